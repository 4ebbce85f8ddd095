import Checkpoint

/// Finds the longest token that a word goes on with.
///
/// A hash is extended character by character, so that all beginnings of a word are looked up in one
/// pass: a long word costs its length times the longest token's, not more.
struct PieceIndex: Sendable {
  private var scalars: [UInt32] = []
  /// Where each entry's characters start; one more than entries.
  private var offsets: [Int] = [0]
  private var hashes: [UInt64] = []
  private var ids: [Int32] = []
  private var slots: [Int32] = []
  private var longest = 0
  /// Different in every process, so that no vocabulary can be made of colliding tokens.
  private let seed = UInt64.random(in: 0...UInt64.max)
  private let continuedSeed: UInt64
  private static let prefix: [UInt32] = [0x23, 0x23]

  init(_ vocabulary: Vocabulary) {
    continuedSeed = PieceIndex.prefix.reduce(seed, PieceIndex.extend)
    var size = 16
    while size < vocabulary.tokens.count * 2 { size *= 2 }
    slots = [Int32](repeating: -1, count: size)
    for token in vocabulary.tokens {
      guard let id = vocabulary.id(of: token) else { continue }
      let hash = token.unicodeScalars.reduce(seed) { PieceIndex.extend($0, $1.value) }
      scalars += token.unicodeScalars.map(\.value)
      longest = max(longest, scalars.count - (offsets.last ?? 0))
      var slot = Int(truncatingIfNeeded: hash) & (size - 1)
      while slots[slot] >= 0 { slot = (slot + 1) & (size - 1) }
      slots[slot] = Int32(ids.count)
      offsets.append(scalars.count)
      hashes.append(hash)
      ids.append(id)
    }
  }

  private static func extend(_ hash: UInt64, _ scalar: UInt32) -> UInt64 {
    let mixed = (hash ^ UInt64(scalar)) &* 0x9e37_79b9_7f4a_7c15
    return mixed ^ (mixed >> 29)
  }

  /// The longest token at `start`; after the first piece, one that is written with `##`.
  ///
  /// - Returns: The token's id and where it ends in the word.
  func longestMatch(in word: ArraySlice<UInt32>, at start: Int) -> (id: Int32, end: Int)? {
    let continued = start > word.startIndex
    var hash = continued ? continuedSeed : seed
    var best: (id: Int32, end: Int)?
    var end = start
    let limit = min(word.endIndex, start + longest)
    while end < limit {
      hash = PieceIndex.extend(hash, word[end])
      end += 1
      if let id = find(hash, word[start..<end], continued: continued) { best = (id, end) }
    }
    return best
  }

  private func find(_ hash: UInt64, _ piece: ArraySlice<UInt32>, continued: Bool) -> Int32? {
    var slot = Int(truncatingIfNeeded: hash) & (slots.count - 1)
    while slots[slot] >= 0 {
      let entry = Int(slots[slot])
      if hashes[entry] == hash {
        let token = scalars[offsets[entry]..<offsets[entry + 1]]
        if continued
          ? token.starts(with: PieceIndex.prefix) && token.dropFirst(2).elementsEqual(piece)
          : token.elementsEqual(piece)
        {
          return ids[entry]
        }
      }
      slot = (slot + 1) & (slots.count - 1)
    }
    return nil
  }
}
