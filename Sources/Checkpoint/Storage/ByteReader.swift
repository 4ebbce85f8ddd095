/// A checked cursor over a file, a part of one, or bytes in memory.
///
/// A file is read in windows, and what is skipped is not read. Every count is compared with what is
/// left before memory is taken.
public struct ByteReader: Sendable {
  /// The order in which a number's bytes lie.
  public enum ByteOrder: Sendable { case little, big }

  public var order = ByteOrder.little
  /// Bytes from the start of the file, or of the memory.
  public private(set) var position: Int
  /// Where the bytes end.
  public let end: Int
  private let file: File?
  private var window: [UInt8]
  private var windowStart: Int

  /// Bytes that the window takes next.
  private var reach = ByteReader.shortest

  private static let windowSize = 1 << 16
  private static let shortest = 1 << 11

  /// A cursor over a part of a file.
  public init(_ slice: FileSlice) {
    file = slice.file
    position = slice.offset
    end = slice.offset + slice.length
    window = []
    windowStart = position
  }

  /// A cursor over bytes in memory, whose first one stands at `offset` for messages.
  public init(_ bytes: [UInt8], at offset: Int = 0) {
    file = nil
    position = offset
    end = offset + bytes.count
    window = bytes
    windowStart = offset
  }

  private init(_ other: ByteReader, end: Int) {
    order = other.order
    position = other.position
    self.end = end
    file = other.file
    window = other.window
    windowStart = other.windowStart
  }

  /// Bytes that remain.
  public var left: Int { end - position }

  /// An error at the cursor.
  public func fail(_ reason: String, at offset: Int? = nil) -> CheckpointError {
    CheckpointError(.damaged, Place(file: file?.path, offset: offset ?? position), reason)
  }

  /// Checks that `count` bytes remain.
  public func need(_ count: Int, for what: String = "") throws(CheckpointError) {
    guard count >= 0, count <= left else {
      let subject = what.isEmpty ? "" : " for \(what)"
      throw fail("\(count) bytes are needed\(subject), but \(left) are left")
    }
  }

  /// Goes on without reading.
  public mutating func skip(_ count: Int) throws(CheckpointError) {
    try need(count)
    position += count
  }

  /// Goes to another place of the same bytes.
  public mutating func seek(_ offset: Int) throws(CheckpointError) {
    guard offset >= 0, offset <= end else {
      throw fail("byte \(offset) is beyond the end at \(end)")
    }
    position = offset
  }

  /// The next `count` bytes.
  public mutating func bytes(_ count: Int) throws(CheckpointError) -> [UInt8] {
    try need(count)
    guard count > 0 else { return [] }
    if count > ByteReader.windowSize, let file {
      defer { position += count }
      return try file.bytes(at: position, count: count)
    }
    try fill(count)
    let start = position - windowStart
    position += count
    return Array(window[start..<(start + count)])
  }

  /// A cursor over the next `count` bytes alone.
  public func prefix(_ count: Int) throws(CheckpointError) -> ByteReader {
    try need(count)
    return ByteReader(self, end: position + count)
  }

  /// A cursor over the next `count` bytes alone; this one goes on behind them.
  public mutating func part(_ count: Int) throws(CheckpointError) -> ByteReader {
    let part = try prefix(count)
    try skip(count)
    return part
  }

  /// The next bytes without going on; fewer at the end.
  public mutating func peek(_ count: Int) throws(CheckpointError) -> [UInt8] {
    let count = min(count, left)
    let before = position
    defer { position = before }
    return try bytes(count)
  }

  public mutating func u8() throws(CheckpointError) -> UInt8 {
    try need(1)
    try fill(1)
    defer { position += 1 }
    return window[position - windowStart]
  }

  public mutating func u16() throws(CheckpointError) -> UInt16 {
    UInt16(truncatingIfNeeded: try number(2))
  }

  public mutating func u32() throws(CheckpointError) -> UInt32 {
    UInt32(truncatingIfNeeded: try number(4))
  }

  public mutating func u64() throws(CheckpointError) -> UInt64 { try number(8) }

  /// A count or an offset of 8 bytes.
  public mutating func int() throws(CheckpointError) -> Int {
    let at = position
    let value = try u64()
    guard let int = Int(exactly: value) else { throw fail("\(value) is no count", at: at) }
    return int
  }

  /// A number of `count` bytes, at most 8.
  public mutating func number(_ count: Int) throws(CheckpointError) -> UInt64 {
    try need(count)
    try fill(count)
    let start = position - windowStart
    var value: UInt64 = 0
    for index in 0..<count {
      let byte = UInt64(window[start + (order == .little ? count - 1 - index : index)])
      value = value << 8 | byte
    }
    position += count
    return value
  }

  /// A LEB128 number, as protocol buffers and LevelDB write it; at most 10 bytes.
  public mutating func varint() throws(CheckpointError) -> UInt64 {
    let at = position
    var value: UInt64 = 0
    var shift: UInt64 = 0
    while true {
      let byte = try u8()
      guard shift < 63 || byte <= 1 else { throw fail("a varint is longer than 64 bits", at: at) }
      value |= UInt64(byte & 0x7f) << shift
      if byte & 0x80 == 0 { return value }
      shift += 7
    }
  }

  /// A varint that is a count of bytes which must be left.
  public mutating func length() throws(CheckpointError) -> Int {
    let at = position
    let value = try varint()
    guard let count = Int(exactly: value), count <= left else {
      throw fail("\(value) bytes are stated, but \(left) are left", at: at)
    }
    return count
  }

  /// UTF-8 text of `count` bytes.
  public mutating func text(_ count: Int) throws(CheckpointError) -> String {
    let at = position
    guard let text = try textIfValid(count) else { throw fail("the text is not UTF-8", at: at) }
    return text
  }

  /// Text of `count` bytes, or `nil` where they are not UTF-8.
  public mutating func textIfValid(_ count: Int) throws(CheckpointError) -> String? {
    guard count <= ByteReader.shortest else {
      return String(validating: try bytes(count), as: UTF8.self)
    }
    try need(count)
    try fill(count)
    let start = position - windowStart
    position += count
    return String(validating: window[start..<(start + count)], as: UTF8.self)
  }

  /// Makes sure that the window holds the next `count` bytes, which are there.
  private mutating func fill(_ count: Int) throws(CheckpointError) {
    let start = position - windowStart
    if start >= 0, start + count <= window.count { return }
    guard let file else { throw fail("the bytes end early") }
    // Who reads on needs more and more; who jumps may need little.
    let readsOn = start >= 0 && start <= window.count
    reach = readsOn ? min(2 * reach, ByteReader.windowSize) : ByteReader.shortest
    windowStart = position
    window = try file.bytes(at: position, count: min(max(count, reach), left))
  }
}
