/// The wire format of protocol buffers, read field by field.
///
/// Nothing is decoded ahead: a field's bytes are skipped or looked into, so a message that carries
/// hundreds of megabytes costs what is looked at. Source: protobuf.dev, "Encoding".
public struct Protobuf: Sendable {
  /// A field: its number, and its value or where its bytes lie.
  public struct Field: Sendable {
    public let number: Int
    public let value: Value
  }

  public enum Value: Sendable {
    case varint(UInt64)
    case fixed64(UInt64)
    case fixed32(UInt32)
    /// Bytes from `offset` on: a text, a message or packed numbers.
    case bytes(offset: Int, count: Int)
  }

  private var reader: ByteReader
  private let end: Int

  /// The message in the bytes that `reader` has left.
  public init(_ reader: ByteReader) {
    self.reader = reader
    end = reader.end
  }

  /// The message at `offset`, `count` bytes long, of the same bytes.
  ///
  /// - Throws: ``CheckpointError`` when it reaches beyond this message.
  public func message(offset: Int, count: Int) throws(CheckpointError) -> Protobuf {
    var copy = reader
    try copy.seek(offset)
    guard count >= 0, count <= end - offset else {
      throw copy.fail("a message of \(count) bytes reaches beyond its parent's end")
    }
    return Protobuf(copy, end: offset + count)
  }

  private init(_ reader: ByteReader, end: Int) {
    self.reader = reader
    self.end = end
  }

  public func fail(_ reason: String) -> CheckpointError { reader.fail(reason) }

  /// The next field, or `nil` at the end of the message.
  public mutating func next() throws(CheckpointError) -> Field? {
    guard reader.position < end else { return nil }
    let at = reader.position
    let key = try reader.varint()
    guard let number = Int(exactly: key >> 3), number > 0, number < 1 << 29 else {
      throw reader.fail("no protocol-buffer field has the number \(key >> 3)", at: at)
    }
    let value: Value
    switch key & 7 {
    case 0: value = .varint(try reader.varint())
    case 1: value = .fixed64(try reader.u64())
    case 2:
      let count = try reader.length()
      value = .bytes(offset: reader.position, count: count)
      guard count <= end - reader.position else {
        throw reader.fail("\(count) bytes reach beyond the message's end", at: at)
      }
      try reader.skip(count)
    case 5: value = .fixed32(try reader.u32())
    default: throw reader.fail("wire type \(key & 7) is not used", at: at)
    }
    guard reader.position <= end else {
      throw reader.fail("a field reaches beyond the message's end", at: at)
    }
    return Field(number: number, value: value)
  }

  /// The bytes of a field.
  public func bytes(of value: Value) throws(CheckpointError) -> [UInt8] {
    guard case .bytes(let offset, let count) = value else {
      throw reader.fail("bytes are expected where a number stands")
    }
    var copy = reader
    try copy.seek(offset)
    return try copy.bytes(count)
  }

  public func text(of value: Value) throws(CheckpointError) -> String {
    guard case .bytes(let offset, let count) = value else {
      throw reader.fail("text is expected where a number stands")
    }
    var copy = reader
    try copy.seek(offset)
    return try copy.text(count)
  }

  /// The message in a field.
  public func message(of value: Value) throws(CheckpointError) -> Protobuf {
    guard case .bytes(let offset, let count) = value else {
      throw reader.fail("a message is expected where a number stands")
    }
    return try message(offset: offset, count: count)
  }

  /// The numbers of a repeated varint field: one, or many packed.
  public func varints(of value: Value) throws(CheckpointError) -> [UInt64] {
    switch value {
    case .varint(let number): return [number]
    case .bytes(let offset, let count):
      var copy = reader
      try copy.seek(offset)
      var numbers: [UInt64] = []
      while copy.position < offset + count { numbers.append(try copy.varint()) }
      guard copy.position == offset + count else {
        throw copy.fail("packed numbers reach beyond their field's end")
      }
      return numbers
    default: throw reader.fail("whole numbers are expected")
    }
  }
}

extension Protobuf.Value {
  /// A number, taken as the two's complement that int32 and int64 use.
  public var int: Int? {
    switch self {
    case .varint(let value): Int(truncatingIfNeeded: value)
    case .fixed64(let value): Int(truncatingIfNeeded: value)
    case .fixed32(let value): Int(value)
    case .bytes: nil
    }
  }
}

/// Builds a message, field by field.
public struct ProtobufWriter: Sendable {
  public private(set) var bytes: [UInt8] = []

  public init() {}

  public mutating func varint(_ number: Int, _ value: UInt64) {
    key(number, 0)
    ProtobufWriter.append(value, to: &bytes)
  }

  public mutating func fixed32(_ number: Int, _ value: UInt32) {
    key(number, 5)
    bytes.append(little: value)
  }

  public mutating func bytes(_ number: Int, _ value: [UInt8]) {
    key(number, 2)
    ProtobufWriter.append(UInt64(value.count), to: &bytes)
    bytes += value
  }

  public mutating func text(_ number: Int, _ value: String) { bytes(number, Array(value.utf8)) }

  private mutating func key(_ number: Int, _ type: UInt64) {
    ProtobufWriter.append(UInt64(number) << 3 | type, to: &bytes)
  }

  /// Adds a LEB128 number.
  public static func append(_ value: UInt64, to bytes: inout [UInt8]) {
    var value = value
    while value >= 0x80 {
      bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
      value >>= 7
    }
    bytes.append(UInt8(value))
  }
}
