/// Which rows of two tables of different lengths are the same.
struct RowTables {
  private struct Lengths: Hashable {
    var first: Int
    var second: Int
  }

  /// The longer table's row for each of the shorter one's, by both lengths.
  private var places: [Lengths: [Int?]] = [:]

  /// Compares tables that differ along the first axis only; `nil` for all other shapes.
  mutating func rows(
    _ first: Tensor, _ second: Tensor
  ) throws(CheckpointError) -> CheckpointDifference.Rows? {
    guard first.shape.rank >= 2, let lengths = lengths(first, second) else { return nil }
    let isFirstLonger = lengths.first > lengths.second
    let (longer, shorter) = isFirstLonger ? (first, second) : (second, first)
    var numbers: [Int: [Int]] = [:]
    for (row, hash) in try RowHash.rows(of: longer).enumerated() {
      numbers[hash, default: []].append(row)
    }
    // Rows that are the same several times, such as those of unused tokens, are taken in turn; one at its own
    // place stays there.
    var next: [Int: Int] = [:]
    var found: [Int?] = []
    for (row, hash) in try RowHash.rows(of: shorter).enumerated() {
      guard let rows = numbers[hash] else {
        found.append(nil)
        continue
      }
      let turn = next[hash, default: 0]
      next[hash] = min(turn + 1, rows.count - 1)
      found.append(turn == 0 && rows.count > 1 && rows.contains(row) ? row : rows[turn])
    }
    if places[lengths] == nil { places[lengths] = found }
    return CheckpointDifference.Rows(lengths.first, lengths.second, found)
  }

  /// Compares vectors by the rows of a table of the same lengths, or as they begin.
  mutating func elements(
    _ first: Tensor, _ second: Tensor
  ) throws(CheckpointError) -> CheckpointDifference.Rows? {
    guard first.shape.rank == 1, !first.dtype.isPacked, let lengths = lengths(first, second) else {
      return nil
    }
    let isFirstLonger = lengths.first > lengths.second
    let (longer, shorter) = try (
      (isFirstLonger ? first : second).bytes(), (isFirstLonger ? second : first).bytes()
    )
    let size = first.dtype.size
    let count = min(lengths.first, lengths.second)
    let map = places[lengths] ?? (0..<count).map { $0 }
    let found = map.enumerated().map { row, place -> Int? in
      guard let place,
        shorter[(row * size)..<((row + 1) * size)]
          == longer[(place * size)..<((place + 1) * size)]
      else { return nil }
      return place
    }
    return CheckpointDifference.Rows(lengths.first, lengths.second, found)
  }

  /// Rows of both, where all other axes and the types are the same.
  private func lengths(_ first: Tensor, _ second: Tensor) -> Lengths? {
    let (a, b) = (first.shape.extents, second.shape.extents)
    guard first.dtype == second.dtype, a.count == b.count, a.dropFirst() == b.dropFirst(),
      a[0] != b[0], min(a[0], b[0]) > 0, first.shape.count > 0, !first.dtype.isPacked
    else { return nil }
    return Lengths(first: a[0], second: b[0])
  }
}

/// Numbers by which rows of bytes are looked up, with a key that is new in every run, so that no file is made
/// to collide.
enum RowHash {
  static func of(_ bytes: ArraySlice<UInt8>) -> Int {
    var hasher = Hasher()
    // The slice is hashed where it lies.
    unsafe bytes.withUnsafeBytes { unsafe hasher.combine(bytes: $0) }
    return hasher.finalize()
  }

  /// Of every index of the first axis.
  static func rows(of tensor: Tensor) throws(CheckpointError) -> [Int] {
    let width = tensor.byteCount / max(1, tensor.shape[0])
    guard width > 0 else { return [] }
    var hashes: [Int] = []
    var rest: [UInt8] = []
    try tensor.readWindows { window in
      unsafe window.withUnsafeBytes { unsafe rest += $0 }
      var start = 0
      while start + width <= rest.count {
        hashes.append(of(rest[start..<(start + width)]))
        start += width
      }
      rest.removeFirst(start)
    }
    return hashes
  }
}

extension CheckpointDifference.Rows {
  /// - Parameter places: the longer table's row for each of the shorter one's.
  init(_ first: Int, _ second: Int, _ places: [Int?]) {
    let found = places.compactMap(\.self)
    self.init(
      first: first, second: second, kept: found.count,
      isOrdered: zip(found, found.dropFirst()).allSatisfy { $0 < $1 },
      isPrefix: places.enumerated().allSatisfy { $0 == $1 })
  }
}
