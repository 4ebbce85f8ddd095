import Checkpoint

/// A vocabulary that makes pieces of a word.
protocol PieceModel: Sendable {
  /// What it is called, for people.
  var name: String { get }
  var vocabulary: TokenTable { get }
  var unknown: Int32? { get }

  /// The pieces of a part of a text, in order, with where each stands.
  func pieces(of text: [UInt32], _ range: Range<Int>, _ body: (Int32, Range<Int>) -> Void)
}

/// Tokens and their ids, in both directions, compared by code points.
struct TokenTable: Sendable {
  private var ids: [TokenKey: Int32] = [:]
  private var tokens: [Int32: String] = [:]
  private(set) var idCount = 0

  init() {}

  /// Of equal tokens the last counts.
  mutating func insert(_ token: String, id: Int32) {
    ids[TokenKey(token)] = id
    tokens[id] = token
    idCount = max(idCount, Int(id) + 1)
  }

  var count: Int { ids.count }
  func id(of token: String) -> Int32? { ids[TokenKey(token)] }
  func token(of id: Int32) -> String? { tokens[id] }
}

/// Text whose equality is that of its code points, not Swift's canonical equivalence.
private struct TokenKey: Hashable {
  let text: String

  init(_ text: String) { self.text = text }

  static func == (a: TokenKey, b: TokenKey) -> Bool { a.text.utf8.elementsEqual(b.text.utf8) }

  func hash(into hasher: inout Hasher) {
    for byte in text.utf8 { hasher.combine(byte) }
  }
}

// MARK: - WordPiece

/// The longest token first, then the longest that goes on.
struct WordPieceModel: PieceModel {
  let name = "WordPiece"
  let vocabulary: TokenTable
  let unknown: Int32?
  private let trie: TokenTrie
  private let continued: Int32?
  private let longest: Int

  init(_ vocabulary: TokenTable, trie: TokenTrie, unknown: Int32, prefix: String, longest: Int) {
    self.vocabulary = vocabulary
    self.unknown = unknown
    self.trie = trie
    self.longest = longest
    var node: Int32? = TokenTrie.root
    for scalar in prefix.unicodeScalars {
      node = node.flatMap { trie.child(of: $0, scalar.value) }
    }
    continued = node
  }

  func pieces(of text: [UInt32], _ range: Range<Int>, _ body: (Int32, Range<Int>) -> Void) {
    var found: [(Int32, Range<Int>)] = []
    var start = range.lowerBound
    var node: Int32? = TokenTrie.root
    if range.count <= longest {
      while start < range.upperBound, let first = node,
        let match = trie.longestMatch(in: text, start..<range.upperBound, from: first)
      {
        found.append((match.id, start..<match.end))
        start = match.end
        node = continued
      }
    }
    if start == range.upperBound {
      for piece in found { body(piece.0, piece.1) }
    } else if let unknown {
      body(unknown, range)
    }
  }
}

// MARK: - WordLevel

/// A word is a token, or unknown.
struct WordLevelModel: PieceModel {
  let name = "WordLevel"
  let vocabulary: TokenTable
  let unknown: Int32?

  func pieces(of text: [UInt32], _ range: Range<Int>, _ body: (Int32, Range<Int>) -> Void) {
    if let id = vocabulary.id(of: String(scalars: text[range])) ?? unknown { body(id, range) }
  }
}

// MARK: - Unigram

/// The pieces whose scores sum highest (Viterbi); unknown characters in a row are one piece.
struct UnigramModel: PieceModel {
  let name = "Unigram"
  let vocabulary: TokenTable
  let unknown: Int32?
  private let trie: TokenTrie
  private let scores: [Double]
  private let unknownScore: Double
  /// The tokens `<0x00>` to `<0xFF>`, where unknown characters become bytes.
  private let byteIDs: [Int32]?

  init(_ entries: [(token: String, score: Double)], unknown: Int32?, byteFallback: Bool) {
    var table = TokenTable()
    var trie = TokenTrie()
    for (id, entry) in entries.enumerated() where !entry.token.isEmpty {
      table.insert(entry.token, id: Int32(clamping: id))
      trie.insert(entry.token.unicodeScalars.lazy.map(\.value), id: Int32(clamping: id))
    }
    vocabulary = table
    self.trie = trie
    self.unknown = unknown
    scores = entries.map(\.score)
    unknownScore = (scores.min() ?? 0) - 10
    byteIDs = byteFallback ? TokenTable.byteIDs(table) : nil
  }

  func pieces(of text: [UInt32], _ range: Range<Int>, _ body: (Int32, Range<Int>) -> Void) {
    let count = range.count
    let first = range.lowerBound
    // The best path to each place: its score, where its last piece begins, and that piece.
    var best = [(score: Double, start: Int32, id: Int32)](
      repeating: (0, -1, -1), count: count + 1)
    for start in 0..<count {
      let score = best[start].score
      var node = TokenTrie.root
      var end = start
      var hasSingle = false
      while end < count, let next = trie.child(of: node, text[first + end]) {
        node = next
        end += 1
        guard let id = trie.id(at: node) else { continue }
        if end == start + 1 { hasSingle = true }
        let candidate = scores[Int(id)] + score
        if best[end].start < 0 || candidate > best[end].score {
          best[end] = (candidate, Int32(start), id)
        }
      }
      if !hasSingle {
        let candidate = unknownScore + score
        if best[start + 1].start < 0 || candidate > best[start + 1].score {
          best[start + 1] = (candidate, Int32(start), -1)
        }
      }
    }
    var path: [(id: Int32, range: Range<Int>)] = []
    var end = count
    while end > 0 {
      let node = best[end]
      let start = Int(node.start)
      // Unknown ones join; a token of the unknown's own id counts as unknown too.
      if node.id < 0 || node.id == unknown, let last = path.last,
        last.id < 0 || last.id == unknown
      {
        path[path.count - 1] = (-1, (first + start)..<last.range.upperBound)
      } else {
        path.append((node.id, (first + start)..<(first + end)))
      }
      end = start
    }
    for piece in path.reversed() {
      if piece.id >= 0 {
        body(piece.id, piece.range)
      } else if let id = piece.range.count > 1
        ? vocabulary.id(of: String(scalars: text[piece.range])) : nil
      {
        body(id, piece.range)
      } else if let byteIDs {
        for scalar in text[piece.range] {
          ByteLevel.forBytes(of: scalar) { body(byteIDs[Int($0)], piece.range) }
        }
      } else if let unknown {
        body(unknown, piece.range)
      }
    }
  }
}

extension TokenTable {
  /// The ids of `<0x00>` to `<0xFF>`; `nil` where one is missing.
  static func byteIDs(_ table: TokenTable) -> [Int32]? {
    let digits = Array("0123456789ABCDEF")
    let ids = (0..<256).compactMap { table.id(of: "<0x\(digits[$0 >> 4])\(digits[$0 & 15])>") }
    return ids.count == 256 ? ids : nil
  }
}
