/// Canonical bytes that lie in several runs, one after the other.
struct JoinedPayload: Payload {
  let byteCount: Int
  private let parts: [FileSlice]
  /// Where each part begins among the bytes.
  private let starts: [Int]

  var storage: String { "in \(parts.count) parts" }
  var isWindowed: Bool { true }

  init(_ parts: [FileSlice]) {
    self.parts = parts
    var total = 0
    starts = parts.map { part in
      defer { total += part.length }
      return total
    }
    byteCount = total
  }

  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    let end = offset + buffer.byteCount
    var bytes: [UInt8] = []
    bytes.reserveCapacity(buffer.byteCount)
    for (part, start) in zip(parts, starts) {
      let (low, high) = (max(offset, start), min(end, start + part.length))
      guard low < high else { continue }
      bytes += try part.file.bytes(at: part.offset + low - start, count: high - low)
    }
    try BytesPayload(bytes).read(at: 0, into: &buffer)
  }
}
