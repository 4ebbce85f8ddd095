import Checkpoint

extension WordPiece {
  /// bert4keras' `rematch` of its own tokens: for each, `[CLS]` and `[SEP]` included, the characters that it stands
  /// for.
  ///
  /// Characters are counted in the text in lower case, where `İ` is two; tokens in brackets have none. Beyond
  /// that `Piece.range` says the same of the text as it is.
  ///
  /// - Returns: `nil` where the library finds a token nowhere, which is an error there.
  public func rematch(_ text: String) -> [[Int]]? {
    let tokens = [WordPiece.startToken] + pieces(text).map(\.token) + [WordPiece.endToken]
    return rematch(text, tokens)
  }

  /// The same for any tokens.
  public func rematch(_ text: String, _ tokens: [String]) -> [[Int]]? {
    var lowered = AlignedText(text.unicodeScalars.lazy.map(\.value))
    if lowercase {
      UnicodeData.shared.lower(&lowered, .python)
      lowered = AlignedText(lowered.scalars)
    }
    var normalized: [UInt32] = []
    var places: [Int] = []
    for (index, scalar) in lowered.scalars.enumerated() {
      let parts = splitter.normalized(AlignedText([scalar])).scalars
      for part in parts where !splitter.isDropped(part) {
        normalized.append(part)
        places.append(index)
      }
    }
    var mapping: [[Int]] = []
    mapping.reserveCapacity(tokens.count)
    var offset = 0
    for token in tokens {
      guard !WordPiece.isBracketed(token) else {
        mapping.append([])
        continue
      }
      var stem = token.unicodeScalars.map(\.value)
      if stem.starts(with: [0x23, 0x23]) { stem.removeFirst(2) }
      guard let start = WordPiece.find(stem, in: normalized, from: offset) else { return nil }
      mapping.append(Array(places[start..<(start + stem.count)]))
      offset = start + stem.count
    }
    return mapping
  }

  private static func find(_ part: [UInt32], in text: [UInt32], from start: Int) -> Int? {
    guard let head = part.first else { return start }
    var position = start
    while position + part.count <= text.count {
      if text[position] == head, text[position...].starts(with: part) { return position }
      position += 1
    }
    return nil
  }
}
