/// Rows of numbers that come one after the other, and are a tensor in the end.
///
/// They are kept in a file without a name, so that memory does not grow with them.
public final class GatheredRows {
  /// Rows so far, missing ones among them.
  public private(set) var count = 0
  /// Numbers of a row; 0 until there is one.
  public private(set) var width = 0
  private let file: TemporaryFile
  private let path: String
  private var buffer: [Float] = []
  private var missing = 0

  /// - Parameter path: where they will be written, for messages.
  /// - Throws: ``CheckpointError`` when no temporary file can be made.
  public init(for path: String) throws(CheckpointError) {
    file = try TemporaryFile(for: path)
    self.path = path
  }

  /// Adds a row.
  ///
  /// - Throws: ``CheckpointError`` when it has another length than those before, or finds no room.
  public func append(_ row: [Float]) throws(CheckpointError) {
    if width == 0 { width = row.count }
    guard row.count == width else {
      throw CheckpointError(
        .mismatch, .file(path), "row \(count) has \(row.count) numbers; those before have \(width)")
    }
    try fillMissing()
    buffer += row
    count += 1
    if buffer.count > 1 << 18 { try flush() }
  }

  /// Adds a row of NaN.
  public func appendMissing() {
    missing += 1
    count += 1
  }

  private func fillMissing() throws(CheckpointError) {
    while missing > 0 {
      buffer += [Float](repeating: .nan, count: width)
      missing -= 1
      if buffer.count > 1 << 18 { try flush() }
    }
  }

  private func flush() throws(CheckpointError) {
    try file.append(Elements.encode(buffer, as: .f32))
    buffer = []
  }

  /// All rows, `[count, width]`.
  public func tensor(named name: String) throws(CheckpointError) -> Tensor {
    try fillMissing()
    try flush()
    return Tensor(
      name: name, dtype: .f32, shape: Shape([count, width]),
      payload: SlicePayload(
        try FileSlice(file.reopened(), offset: 0, length: count * width * 4)))
  }
}
