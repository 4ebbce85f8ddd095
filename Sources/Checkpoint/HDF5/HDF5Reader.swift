import CHDF5Reader

/// A cursor over a child's records, which are trusted in nothing.
struct HDF5Reader {
  private let bytes: ArraySlice<UInt8>
  private var position: Int

  init(_ bytes: [UInt8]) { self.init(bytes[...]) }

  init(_ bytes: ArraySlice<UInt8>) {
    self.bytes = bytes
    position = bytes.startIndex
  }

  var left: Int { bytes.endIndex - position }

  mutating func take(_ count: Int) throws(CheckpointError) -> ArraySlice<UInt8> {
    guard count >= 0, count <= left else {
      throw CheckpointError(.damaged, Place(), "the answer of the reading process is broken")
    }
    defer { position += count }
    return bytes[position..<(position + count)]
  }

  mutating func byte() throws(CheckpointError) -> UInt8 {
    let slice = try take(1)
    return slice[slice.startIndex]
  }

  mutating func u32() throws(CheckpointError) -> UInt32 {
    try take(4).reversed().reduce(0) { $0 << 8 | UInt32($1) }
  }

  /// A count or an offset; beyond `Int` it is as wrong as it can be.
  mutating func int() throws(CheckpointError) -> Int {
    let value = try take(8).reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return Int(exactly: value) ?? -1
  }

  mutating func blob() throws(CheckpointError) -> ArraySlice<UInt8> {
    try take(Int(try u32()))
  }

  /// Text that is repaired where it is not UTF-8; for reasons, not for names.
  mutating func text() throws(CheckpointError) -> String {
    String(decoding: try blob(), as: UTF8.self)
  }

  mutating func extents() throws(CheckpointError) -> [Int] {
    var extents: [Int] = []
    for _ in 0..<(try byte()) { extents.append(try int()) }
    return extents
  }

  /// A record's tag and content.
  mutating func record() throws(CheckpointError) -> (tag: UInt32, content: HDF5Reader) {
    let tag = UInt32(try byte())
    return (tag, HDF5Reader(try blob()))
  }

  /// The text of the failure record that ends `answer`.
  static func failure(in answer: [UInt8]) -> String? {
    var reader = HDF5Reader(answer)
    while reader.left > 0 {
      guard let (tag, content) = try? reader.record() else { return nil }
      if tag == CKPT_HDF5_FAILURE.rawValue {
        var content = content
        return try? content.text()
      }
    }
    return nil
  }
}
