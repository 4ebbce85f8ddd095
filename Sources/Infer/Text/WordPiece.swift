public import Checkpoint

/// Splits text into the pieces of a BERT vocabulary, id by id as the original libraries do.
public struct WordPiece: Tokenizer {
  /// Whose rules are followed; they differ in Unicode versions, special tokens and long words.
  public enum Mode: String, Sendable, CaseIterable {
    /// bert4keras 0.11.5, `Tokenizer`: no special tokens inside text, words of up to 200
    /// characters, final sigma.
    case bert4keras
    /// transformers 5, `BertTokenizer` (the `tokenizers` package 0.23).
    case transformers
    /// Google's rules in pure Python: transformers' `BertTokenizerLegacy`, the slow
    /// `BertTokenizer` before version 5.
    case transformersLegacy

    /// How the library reads `vocab.txt`.
    public var vocabularyRule: Vocabulary.Rule {
      switch self {
      case .bert4keras: .firstWords
      case .transformers: .trimmedLines
      case .transformersLegacy: .lines
      }
    }
  }

  public let vocabulary: Vocabulary
  public let mode: Mode
  /// Whether text is put into lower case and stripped of accents.
  public let lowercase: Bool
  public let special: SpecialTokens
  private let unknownID: Int32
  private let startID: Int32
  private let endID: Int32

  private let trie: TokenTrie
  /// Where `##` leads to: what a word goes on with.
  private let continued: Int32?
  /// Tokens that stay whole inside text, and their ids.
  private let whole: [(scalars: [UInt32], id: Int32)]
  private let longestWord: Int
  let splitter: WordSplitter

  static let startToken = "[CLS]"
  static let endToken = "[SEP]"
  static let specialTokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

  /// Whether words come with blanks between them, each looked up whole first.
  public let segmented: Bool
  private let isWordLevel: Bool

  /// - Parameters:
  ///   - segmented: whether the text comes with a blank between words, as a segmenter leaves it: a word that is a
  ///     token is one piece, others are split as usual (bert4keras' `pre_tokenize`).
  ///   - isWordLevel: whether the vocabulary holds words that only a segmenter finds.
  /// - Throws: ``TextError`` when `[UNK]`, `[CLS]` or `[SEP]` is not in the vocabulary.
  public init(
    vocabulary: Vocabulary, mode: Mode, lowercase: Bool, segmented: Bool = false,
    isWordLevel: Bool = false
  ) throws(TextError) {
    func id(_ token: String) throws(TextError) -> Int32 {
      guard let id = vocabulary.id(of: token) else { throw .missingToken(token) }
      return id
    }
    self.vocabulary = vocabulary
    self.mode = mode
    self.lowercase = lowercase
    self.segmented = segmented
    self.isWordLevel = isWordLevel
    unknownID = try id("[UNK]")
    startID = try id("[CLS]")
    endID = try id("[SEP]")
    special = SpecialTokens(
      unknown: unknownID, padding: vocabulary.id(of: "[PAD]"), mask: vocabulary.id(of: "[MASK]"),
      start: startID, end: endID)
    var trie = TokenTrie()
    for token in vocabulary.tokens {
      guard let id = vocabulary.id(of: token) else { continue }
      trie.insert(token.unicodeScalars.lazy.map(\.value), id: id)
    }
    continued = trie.child(of: TokenTrie.root, 0x23).flatMap { trie.child(of: $0, 0x23) }
    self.trie = trie
    longestWord = mode == .bert4keras ? 200 : 100
    whole =
      mode == .bert4keras
      ? []
      : WordPiece.specialTokens.compactMap { token in
        vocabulary.id(of: token).map { (token.unicodeScalars.map(\.value), $0) }
      }
    splitter = WordSplitter(mode: mode, lowercase: lowercase, special: whole.map(\.scalars))
  }

  // MARK: - Tokenizer

  public var summary: String {
    "WordPiece as \(mode.rawValue) makes it, \(lowercase ? "lower case" : "cased")"
      + (segmented ? ", words between blanks" : "")
  }

  public var warnings: [String] {
    guard isWordLevel, !segmented else { return vocabulary.warnings }
    return vocabulary.warnings + [
      "RoFormer's text is segmented by jieba, which ckpt does not do: Chinese is split into single characters; "
        + "give text with blanks between words and --segmented"
    ]
  }

  public var idCount: Int { vocabulary.idCount }
  public func token(of id: Int32) -> String? { vocabulary.token(of: id) }
  public func id(of token: String) -> Int32? { vocabulary.id(of: token) }

  /// transformers' BertTokenizer takes an empty second text for none.
  public var ignoresEmptyPair: Bool { mode == .transformers }

  /// `[CLS] text [SEP]` in segment 0, `pair [SEP]` in segment 1.
  public func template(isPair: Bool) -> EncodingTemplate {
    let first: [EncodingTemplate.Part] = [
      .special(startID, segment: 0), .text(0, segment: 0), .special(endID, segment: 0),
    ]
    return EncodingTemplate(
      isPair ? first + [.text(1, segment: 1), .special(endID, segment: 1)] : first)
  }

  /// The pieces of a text; a word that no pieces make is `[UNK]`, in bert4keras the word itself.
  public func pieces(_ text: String) -> [Piece] {
    var pieces: [Piece] = []
    visit(text) { id, words, range in
      let token =
        if id < 0 && mode == .bert4keras {
          String(scalars: words.text.scalars[range])
        } else {
          vocabulary.token(of: id < 0 ? unknownID : id) ?? "[UNK]"
        }
      pieces.append(
        Piece(
          id: id < 0 ? self.id(ofUnknown: words, range) : id, token: token,
          range: words.text.span(of: range)))
    }
    return pieces
  }

  public func ids(_ text: String) -> [Int32] {
    var ids: [Int32] = []
    ids.reserveCapacity(text.utf8.count / 3 + 2)
    visit(text) { id, words, range in
      ids.append(id < 0 ? self.id(ofUnknown: words, range) : id)
    }
    return ids
  }

  public func kept(_ first: Int, _ second: Int, room: Int) -> (first: Int, second: Int) {
    switch mode {
    case .bert4keras: return Bert4kerasTruncation.kept(first, second, room: room)
    case .transformers: return TransformersTruncation.kept(first, second, room: room)
    case .transformersLegacy:
      let excess = first + second - room
      guard excess > 0 else { return (first, second) }
      // From the longer one until both are equal, then from both in turn.
      let fromLonger = min(abs(first - second), excess)
      let rest = excess - fromLonger
      return first > second
        ? (first - fromLonger - rest / 2, second - (rest - rest / 2))
        : (first - rest / 2, second - fromLonger - (rest - rest / 2))
    }
  }

  // MARK: - Pieces

  /// Calls `body` for each piece in order, with its id (-1 for a word of which no pieces can be made) and where it
  /// stands in the words.
  private func visit(_ text: String, _ body: (Int32, Words, Range<Int>) -> Void) {
    let scalars = text.unicodeScalars.map(\.value)
    var start = 0
    if !whole.isEmpty {
      var position = 0
      while position < scalars.count {
        guard scalars[position] == 0x5b,  // all begin with "["
          let token = specialToken(at: position, in: scalars)
        else {
          position += 1
          continue
        }
        visit(AlignedText(scalars[start..<position], offset: start), body)
        var words = Words(capacity: token.scalars.count)
        words.text = AlignedText(token.scalars, offset: position)
        body(token.id, words, 0..<token.scalars.count)
        position += token.scalars.count
        start = position
      }
    }
    visit(AlignedText(start == 0 ? scalars[...] : scalars[start...], offset: start), body)
  }

  private func specialToken(
    at position: Int, in text: [UInt32]
  ) -> (scalars: [UInt32], id: Int32)? {
    whole.first { text[position...].starts(with: $0.scalars) }
  }

  /// The same for text between tokens that stay whole.
  private func visit(_ text: AlignedText, _ body: (Int32, Words, Range<Int>) -> Void) {
    guard segmented else { return visitWords(text, body) }
    let prepared = splitter.prepared(text)
    for range in splitter.blankSeparated(prepared) {
      var words = Words(capacity: 0)
      words.text = prepared[range]
      let all = 0..<range.count
      if let match = trie.longestMatch(in: words.text.scalars, all), match.end == range.count {
        body(match.id, words, all)
      } else {
        visitWords(words.text, body)
      }
    }
  }

  private func visitWords(_ text: AlignedText, _ body: (Int32, Words, Range<Int>) -> Void) {
    guard text.count > 0 else { return }
    let words = splitter.words(of: text)
    var pieces: [(id: Int32, range: Range<Int>)] = []
    for range in words.ranges {
      if range.count == 1 {
        let node = trie.child(of: TokenTrie.root, words.text.scalars[range.lowerBound])
        body(node.flatMap { trie.id(at: $0) } ?? -1, words, range)
        continue
      }
      pieces.removeAll(keepingCapacity: true)
      var start = range.lowerBound
      var node: Int32? = TokenTrie.root
      if range.count <= longestWord {
        while start < range.upperBound, let first = node,
          let match = trie.longestMatch(
            in: words.text.scalars, start..<range.upperBound, from: first)
        {
          pieces.append((match.id, start..<match.end))
          start = match.end
          node = continued
        }
      }
      if start == range.upperBound {
        for piece in pieces { body(piece.id, words, piece.range) }
      } else {
        body(-1, words, range)
      }
    }
  }

  /// The id of a word of which no pieces can be made.
  private func id(ofUnknown words: Words, _ range: Range<Int>) -> Int32 {
    // bert4keras looks the word up as a token, which a word beyond the limit may be.
    guard mode == .bert4keras, range.count > longestWord else { return unknownID }
    return vocabulary.id(of: String(scalars: words.text.scalars[range])) ?? unknownID
  }
}

extension String {
  /// Text of code points that came out of text.
  init(scalars: some Sequence<UInt32>) {
    var view = String.UnicodeScalarView()
    for value in scalars { view.append(Unicode.Scalar(value) ?? "\u{fffd}") }
    self.init(view)
  }
}
