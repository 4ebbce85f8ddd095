/// Where a tensor's bytes are and how to get at them; nothing is read until asked for.
///
/// Bytes are always delivered in the canonical order: little-endian, C order.
public protocol Payload: Sendable {
  /// The length of the canonical bytes.
  var byteCount: Int { get }

  /// The stored bytes as they lie in a file, when those are the canonical bytes already.
  ///
  /// Such a payload is copied by the kernel and read without conversion.
  var slice: FileSlice? { get }

  /// How the bytes are kept, for people: `contiguous`, `chunked gzip`, `computed`, …
  var storage: String { get }

  /// What the bytes were packed by, in the order of packing: `shuffle`, `gzip`, `deflate`, …
  var filters: [String] { get }

  /// Whether parts can be read without computing the whole.
  var isWindowed: Bool { get }

  /// Memory that reading takes beside the window that is filled, in bytes; an estimate.
  var workingBytes: Int { get }

  /// The checksum of ``slice``'s bytes that the file states, checked when they are copied.
  var checksum: Checksum? { get }

  /// Fills `buffer` with the canonical bytes from `offset` on.
  ///
  /// - Precondition: `offset + buffer.byteCount <= byteCount`.
  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError)
}

extension Payload {
  public var slice: FileSlice? { nil }
  public var filters: [String] { [] }
  public var isWindowed: Bool { slice != nil }
  public var workingBytes: Int { isWindowed ? 0 : byteCount }
  public var checksum: Checksum? { nil }
}

/// Bytes held in memory.
public struct BytesPayload: Payload {
  public let bytes: [UInt8]

  public init(_ bytes: [UInt8]) { self.bytes = bytes }

  public var byteCount: Int { bytes.count }
  public var storage: String { "memory" }

  public func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    let part = bytes[offset..<(offset + buffer.byteCount)]
    // Both hold exactly as many bytes as the buffer.
    unsafe buffer.withUnsafeMutableBytes { target in
      unsafe part.withUnsafeBytes { unsafe target.copyMemory(from: $0) }
    }
  }
}

/// Bytes that are made from other tensors when they are asked for, all at once.
///
/// The closure holds its operands; nothing is kept after a read, so only one result is in memory
/// at a time.
public struct ComputedPayload: Payload {
  public let byteCount: Int
  public let storage: String
  private let make: @Sendable () throws(CheckpointError) -> [UInt8]

  /// - Parameters:
  ///   - operation: what is done, for people (`transpose`, `cast f16`).
  ///   - make: returns exactly `byteCount` canonical bytes.
  public init(
    byteCount: Int, operation: String,
    make: @escaping @Sendable () throws(CheckpointError) -> [UInt8]
  ) {
    self.byteCount = byteCount
    self.storage = operation
    self.make = make
  }

  public func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    let bytes = try make()
    guard bytes.count == byteCount else {
      throw CheckpointError(
        .damaged, Place(), "\(storage) made \(bytes.count) bytes where \(byteCount) were expected")
    }
    try BytesPayload(bytes).read(at: offset, into: &buffer)
  }
}

/// Elements converted to another type when they are read.
struct CastPayload: Payload {
  let source: Tensor
  let target: DType
  let overflow: Overflow

  var byteCount: Int { target.byteCount(of: source.shape.count) }
  var storage: String { "cast \(target.rawValue)" }
  var isWindowed: Bool { source.payload.isWindowed }
  var workingBytes: Int {
    source.payload.workingBytes + (isWindowed ? Window.gathered : byteCount + CastPayload.step * 16)
  }

  /// Elements that are converted at once; a multiple of every block.
  private static let step = 1 << 16

  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    guard buffer.byteCount > 0 else { return }
    // Blocks count powers of two, so the larger one holds whole blocks of both types.
    let block = target.block
    let unit = max(source.dtype.block.elements, block.elements)
    let end = offset + buffer.byteCount
    var first = offset / block.bytes * block.elements / unit * unit
    let start = first / block.elements * block.bytes
    var bytes: [UInt8] = []
    while start + bytes.count < end {
      let last = min(source.shape.count, first + CastPayload.step)
      bytes += try convert(first..<last)
      first = last
    }
    try BytesPayload(bytes).read(at: offset - start, into: &buffer)
  }

  /// Bytes of the elements in `range`, which begins with a block of both types.
  private func convert(_ range: Range<Int>) throws(CheckpointError) -> [UInt8] {
    let block = source.dtype.block
    var bytes = [UInt8](repeating: 0, count: source.dtype.byteCount(of: range.count))
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try source.payload.read(at: range.lowerBound / block.elements * block.bytes, into: &raw)
    return DType.f32.holds(source.dtype)
      ? try encoded(Elements.decode(bytes, as: source.dtype) as [Float], range)
      : try encoded(Elements.decode(bytes, as: source.dtype) as [Double], range)
  }

  private func encoded<Value: BinaryFloatingPoint>(
    _ decoded: [Value], _ range: Range<Int>
  ) throws(CheckpointError) -> [UInt8] {
    var values = decoded
    // A packed type's last block may be begun only.
    if values.count > range.count { values.removeLast(values.count - range.count) }
    return try overflow.encode(values, as: target) { index in
      CheckpointError(
        .unsupported, .tensor(source.name),
        "element \(range.lowerBound + index) is \(values[index]), and "
          + (target.isQuantized
            ? "its block has no finite scale in \(target.rawValue)"
            : "beyond the range of \(target.rawValue)"),
        hint: target.isQuantized
          ? "use --dtype f32 or bf16"
          : "use --dtype f32 or bf16; --apply cast=\(target.rawValue):overflow=clip takes the largest "
            + "number instead")
    }
  }
}
