extension Tensor {
  /// Whether some rows can be read without the others: not what is packed, and not blocks.
  public var readsByRows: Bool { payload.isWindowed && !dtype.isQuantized && !dtype.isPacked }

  /// Ranges of the first axis that together are all of it, to be read one after the other: some rows at
  /// a time where that costs no more than reading all, otherwise all at once.
  public var pieces: [Range<Int>] {
    let count = shape.extents.first ?? 1
    let width = count == 0 ? 0 : shape.count / count
    guard readsByRows, width > 0 else { return [0..<count] }
    let step = max(1, (1 << 20) / width)
    return stride(from: 0, to: count, by: step).map { $0..<min(count, $0 + step) }
  }
}
