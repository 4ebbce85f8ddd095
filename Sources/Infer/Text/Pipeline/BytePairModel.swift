import Checkpoint

/// Byte-pair encoding: of the pairs that stand beside each other the one that was learned first is joined, until none
/// is left.
struct BytePairModel: PieceModel {
  let name = "BPE"
  let vocabulary: TokenTable
  let unknown: Int32?
  private let rules: Rules
  /// Characters as tokens, where nothing is put before or behind them.
  private let singles: [UInt32: Int32]
  private let lowSingles: [Int32]
  private let merges: MergeTable
  /// Whole parts that are tokens, where merges are passed over for them.
  private let whole: TokenTrie?
  private let byteIDs: [Int32]?

  struct Rules: Sendable {
    var prefix = ""
    var suffix = ""
    /// Whether unknown characters in a row are one piece.
    var fusesUnknown = false
    var byteFallback = false
    /// Whether a part that is a token is taken whole.
    var ignoresMerges = false
  }

  /// - Parameter merges: pairs of tokens, the first to be joined first.
  /// - Throws: ``InferError`` when a pair or what it makes is no token.
  init(
    _ vocabulary: TokenTable, tokens: [(token: String, id: Int32)],
    merges: [(String, String)], unknown: Int32?, rules: Rules, from place: String
  ) throws(InferError) {
    self.vocabulary = vocabulary
    self.unknown = unknown
    self.rules = rules
    var singles: [UInt32: Int32] = [:]
    var low = [Int32](repeating: -1, count: 512)
    for (token, id) in tokens {
      let scalars = token.unicodeScalars
      guard let only = scalars.first, scalars.dropFirst().isEmpty else { continue }
      singles[only.value] = id
      if only.value < 512 { low[Int(only.value)] = id }
    }
    self.singles = singles
    lowSingles = low
    var table = MergeTable(capacity: merges.count)
    let prefixCount = rules.prefix.unicodeScalars.count
    for (rank, pair) in merges.enumerated() {
      let rest = String(String.UnicodeScalarView(pair.1.unicodeScalars.dropFirst(prefixCount)))
      guard let first = vocabulary.id(of: pair.0), let second = vocabulary.id(of: pair.1),
        let joined = vocabulary.id(of: pair.0 + rest)
      else {
        throw InferError(
          .input, place, "joins \"\(pair.0)\" and \"\(pair.1)\", which the vocabulary lacks",
          hint: "do vocabulary and merges belong together?")
      }
      table.insert(first, second, rank: Int32(clamping: rank), id: joined)
    }
    self.merges = table
    if rules.ignoresMerges {
      var trie = TokenTrie()
      for (token, id) in tokens { trie.insert(token.unicodeScalars.lazy.map(\.value), id: id) }
      whole = trie
    } else {
      whole = nil
    }
    byteIDs = rules.byteFallback ? TokenTable.byteIDs(vocabulary) : nil
  }

  private struct Symbol {
    var id: Int32
    /// Bytes of UTF-8 that it stands for: the package counts in these.
    var length: Int32
    var previous: Int32
    var next: Int32
  }

  func pieces(of text: [UInt32], _ range: Range<Int>, _ body: (Int32, Range<Int>) -> Void) {
    if let whole, let match = whole.longestMatch(in: text, range), match.end == range.upperBound {
      body(match.id, range)
      return
    }
    var symbols: [Symbol] = []
    symbols.reserveCapacity(range.count)
    let isWhole = split(text, range, into: &symbols)
    if symbols.count > 1 { merge(&symbols) }
    if isWhole {
      // Lengths are whole characters.
      var start = range.lowerBound
      for symbol in symbols where symbol.length > 0 {
        var end = start
        var left = symbol.length
        while left > 0, end < range.upperBound {
          left -= BytePairModel.length(text[end])
          end += 1
        }
        body(symbol.id, start..<end)
        start = end
      }
    } else {
      // Where a character had no token the package's places slip; they are taken as bytes.
      var places: [Int] = []
      for index in range {
        for _ in 0..<BytePairModel.length(text[index]) { places.append(index) }
      }
      var start = 0
      for symbol in symbols where symbol.length > 0 {
        let end = start + Int(symbol.length)
        let last = places[min(end, places.count) - 1]
        body(symbol.id, places[min(start, places.count - 1)]..<(last + 1))
        start = end
      }
    }
  }

  private static func length(_ scalar: UInt32) -> Int32 {
    scalar < 0x80 ? 1 : scalar < 0x800 ? 2 : scalar < 0x10000 ? 3 : 4
  }

  /// Characters as tokens.
  ///
  /// - Returns: Whether each character has its own symbol.
  private func split(
    _ text: [UInt32], _ range: Range<Int>, into symbols: inout [Symbol]
  ) -> Bool {
    var isWhole = true
    var pending: Int32 = 0
    func add(_ id: Int32, _ length: Int32, _ symbols: inout [Symbol]) {
      let count = Int32(truncatingIfNeeded: symbols.count)
      if count > 0 { symbols[Int(count) - 1].next = count }
      symbols.append(Symbol(id: id, length: length, previous: count - 1, next: -1))
    }
    for index in range {
      let scalar = text[index]
      let length = BytePairModel.length(scalar)
      var id: Int32
      if rules.prefix.isEmpty && rules.suffix.isEmpty {
        id = scalar < 512 ? lowSingles[Int(scalar)] : singles[scalar] ?? -1
      } else {
        let token =
          (index > range.lowerBound ? rules.prefix : "") + String(scalars: [scalar])
          + (index == range.upperBound - 1 ? rules.suffix : "")
        id = vocabulary.id(of: token) ?? -1
      }
      if id >= 0 {
        if pending > 0, let unknown {
          add(unknown, pending, &symbols)
          pending = 0
        }
        add(id, length, &symbols)
      } else if let byteIDs {
        // As in the package, bytes do not wait for unknown characters before them.
        ByteLevel.forBytes(of: scalar) { add(byteIDs[Int($0)], 1, &symbols) }
        if length > 1 { isWhole = false }
      } else if let unknown {
        if pending > 0, !rules.fusesUnknown {
          add(unknown, pending, &symbols)
          pending = 0
        }
        pending += length
      } else {
        isWhole = false
      }
    }
    if pending > 0, let unknown { add(unknown, pending, &symbols) }
    return isWhole
  }

  private func merge(_ symbols: inout [Symbol]) {
    if symbols.count <= 24 { mergeShort(&symbols) } else { mergeLong(&symbols) }
  }

  /// Looks through all pairs for the first rule, again and again.
  private func mergeShort(_ symbols: inout [Symbol]) {
    // The rank of each symbol's pair with its next, looked up once.
    var found = [(rank: Int32, id: Int32)](repeating: (.max, -1), count: symbols.count)
    func look(_ index: Int) {
      let next = symbols[index].next
      found[index] =
        next < 0
        ? (.max, -1) : merges.find(symbols[index].id, symbols[Int(next)].id) ?? (.max, -1)
    }
    for index in 0..<(symbols.count - 1) { look(index) }
    while true {
      var best = -1
      var rank = Int32.max
      var index = 0
      while index >= 0 {
        if found[index].rank < rank { (rank, best) = (found[index].rank, index) }
        index = Int(symbols[index].next)
      }
      guard best >= 0 else { return }
      join(&symbols, best, found[best].id)
      look(best)
      if symbols[best].previous >= 0 { look(Int(symbols[best].previous)) }
    }
  }

  /// Joins a symbol with the one behind it.
  private func join(_ symbols: inout [Symbol], _ index: Int, _ id: Int32) {
    let right = symbols[Int(symbols[index].next)]
    symbols[Int(symbols[index].next)].length = 0
    symbols[index].id = id
    symbols[index].length += right.length
    symbols[index].next = right.next
    if right.next >= 0 { symbols[Int(right.next)].previous = Int32(truncatingIfNeeded: index) }
  }

  /// The same with a heap of pairs, so that long words take no quadratic time.
  private func mergeLong(_ symbols: inout [Symbol]) {
    var heap = MergeHeap()
    func look(_ index: Int) {
      let next = symbols[index].next
      guard next >= 0,
        let found = merges.find(symbols[index].id, symbols[Int(next)].id)
      else { return }
      heap.push(rank: found.rank, position: Int32(truncatingIfNeeded: index), id: found.id)
    }
    for index in 0..<(symbols.count - 1) { look(index) }
    while let top = heap.pop() {
      let index = Int(top.position)
      guard symbols[index].length > 0, symbols[index].next >= 0,
        let current = merges.find(symbols[index].id, symbols[Int(symbols[index].next)].id),
        current.id == top.id
      else { continue }
      join(&symbols, index, top.id)
      if symbols[index].previous >= 0 { look(Int(symbols[index].previous)) }
      look(index)
    }
  }
}

/// Rules of joining by the two tokens' ids.
private struct MergeTable: Sendable {
  private struct Entry: Sendable {
    var key: UInt64 = .max
    var rank: Int32 = 0
    var id: Int32 = 0
  }

  private var entries: [Entry]
  private let seed = UInt64.random(in: 0...UInt64.max)

  init(capacity: Int) {
    var size = 16
    while size < capacity * 2 { size *= 2 }
    entries = [Entry](repeating: Entry(), count: size)
  }

  private func slot(_ key: UInt64) -> Int {
    var hash = (key ^ seed) &* 0x9e37_79b9_7f4a_7c15
    hash = (hash ^ (hash >> 29)) &* 0xbf58_476d_1ce4_e5b9
    return Int(truncatingIfNeeded: hash >> 32) & (entries.count - 1)
  }

  private static func key(_ first: Int32, _ second: Int32) -> UInt64 {
    UInt64(UInt32(bitPattern: first)) << 32 | UInt64(UInt32(bitPattern: second))
  }

  /// Of equal pairs the last counts, as in the package.
  mutating func insert(_ first: Int32, _ second: Int32, rank: Int32, id: Int32) {
    let key = MergeTable.key(first, second)
    var slot = slot(key)
    while entries[slot].key != .max, entries[slot].key != key {
      slot = (slot + 1) & (entries.count - 1)
    }
    entries[slot] = Entry(key: key, rank: rank, id: id)
  }

  @inline(__always)
  func find(_ first: Int32, _ second: Int32) -> (rank: Int32, id: Int32)? {
    let key = MergeTable.key(first, second)
    var slot = slot(key)
    while true {
      let entry = entries[slot]
      if entry.key == key { return (entry.rank, entry.id) }
      if entry.key == .max { return nil }
      slot = (slot + 1) & (entries.count - 1)
    }
  }
}

/// Pairs to be joined: the lowest rank first, of equal ones the first in the text.
private struct MergeHeap {
  private var items: [(key: UInt64, id: Int32)] = []

  mutating func push(rank: Int32, position: Int32, id: Int32) {
    let key = UInt64(UInt32(bitPattern: rank)) << 32 | UInt64(UInt32(bitPattern: position))
    items.append((key, id))
    var index = items.count - 1
    while index > 0, items[(index - 1) / 2].key > items[index].key {
      items.swapAt(index, (index - 1) / 2)
      index = (index - 1) / 2
    }
  }

  mutating func pop() -> (position: Int32, id: Int32)? {
    guard let first = items.first, let last = items.popLast() else { return nil }
    if !items.isEmpty {
      items[0] = last
      var index = 0
      while true {
        var least = index
        for child in [2 * index + 1, 2 * index + 2]
        where child < items.count && items[child].key < items[least].key {
          least = child
        }
        guard least != index else { break }
        items.swapAt(index, least)
        index = least
      }
    }
    return (Int32(truncatingIfNeeded: first.key & 0xffff_ffff), first.id)
  }
}
