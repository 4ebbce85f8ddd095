import Synchronization

/// A TensorProto, its fields found and not yet read.
struct ONNXTensor {
  private let message: Protobuf
  private(set) var name = ""
  private(set) var extents: [Int] = []
  private(set) var type = 0
  private(set) var isExternal = false
  private(set) var externalData: [Protobuf] = []
  private var raw: Protobuf.Value?
  /// float_data, int32_data, int64_data, double_data and uint64_data, by field number.
  private var data: [Int: [Protobuf.Value]] = [:]

  private static let largestRank = 1024
  /// Runs of numbers, or numbers that stand alone.
  private static let mostFields = 1 << 20

  init(_ message: Protobuf) throws(CheckpointError) {
    self.message = message
    var message = message
    var fields = 0
    while let field = try message.next() {
      switch field.number {
      case 1:
        if case .bytes(_, let count) = field.value, count > ONNXTensor.largestRank * 10 {
          throw message.fail("a tensor has over \(ONNXTensor.largestRank) axes")
        }
        for extent in try message.varints(of: field.value) {
          extents.append(Int(truncatingIfNeeded: extent))
        }
        guard extents.count <= ONNXTensor.largestRank else {
          throw message.fail("a tensor has over \(ONNXTensor.largestRank) axes")
        }
      case 2: type = field.value.int ?? 0
      case 3: throw message.fail("a tensor in segments is not supported")
      case 4, 5, 7, 10, 11:
        fields += 1
        guard fields <= ONNXTensor.mostFields else {
          throw message.fail("a tensor has over \(ONNXTensor.mostFields) fields of data")
        }
        data[field.number, default: []].append(field.value)
      case 8: name = try message.text(of: field.value)
      case 9: raw = field.value
      case 13: externalData.append(try message.message(of: field.value))
      case 14: isExternal = field.value.int == 1
      default: break
      }
    }
  }

  /// The element type, or `nil` for one that ckpt cannot hold.
  var dtype: DType? { ONNXTensor.types[type] }

  var unreadableReason: String {
    switch type {
    case 8: "holds text"
    case 21, 22: "holds 4-bit integers, which ckpt cannot hold"
    case 25, 26: "holds 2-bit integers, which ckpt cannot hold"
    default: "is of ONNX's type \(type), which is not supported"
    }
  }

  private static let types: [Int: DType] = [
    1: .f32, 2: .u8, 3: .i8, 4: .u16, 5: .i16, 6: .i32, 7: .i64, 9: .bool, 10: .f16, 11: .f64,
    12: .u32, 13: .u64, 14: .c64, 15: .c128, 16: .bf16, 17: .f8_e4m3, 18: .f8_e4m3fnuz,
    19: .f8_e5m2, 20: .f8_e5m2fnuz, 23: .f4, 24: .f8_e8m0,
  ]

  /// Where the elements are: raw bytes, or one of the repeated fields.
  func payload(in file: File, count: Int) throws(CheckpointError) -> any Payload {
    guard let dtype else { return BytesPayload([]) }
    let byteCount = dtype.byteCount(of: count)
    if let raw {
      guard data.isEmpty else { throw message.fail("has raw_data and another field of data") }
      return try slices([raw], in: file, byteCount)
    }
    let field: Int
    switch dtype {
    case .f32, .c64: field = 4
    case .f64, .c128: field = 10
    case .i64: field = 7
    case .u32, .u64: field = 11
    default: field = 5
    }
    guard data.keys.allSatisfy({ $0 == field }) else {
      throw message.fail("its data are not in the field for \(dtype.rawValue)")
    }
    let values = data[field] ?? []
    if field == 4 || field == 10 {
      if values.allSatisfy({ if case .bytes = $0 { true } else { false } }) {
        return try slices(values, in: file, byteCount)
      }
      return try unpacked(values, byteCount)
    }
    return try ONNXVarints(values, in: file, elementSize: dtype.size, byteCount: byteCount)
  }

  /// Numbers that lie in runs of bytes, mostly one.
  private func slices(
    _ values: [Protobuf.Value], in file: File, _ byteCount: Int
  ) throws(CheckpointError) -> any Payload {
    var parts: [FileSlice] = []
    for value in values {
      guard case .bytes(let offset, let count) = value else {
        throw message.fail("bytes are expected where a number stands")
      }
      parts.append(try FileSlice(file, offset: offset, length: count))
    }
    let length = parts.reduce(0) { $0 + $1.length }
    guard length == byteCount else {
      throw CheckpointError(
        .damaged, Place(offset: parts.first?.offset),
        "has \(length) bytes of data; its type and shape need \(byteCount)")
    }
    return parts.count == 1 ? SlicePayload(parts[0]) : JoinedPayload(parts)
  }

  /// Numbers of fixed size, each a field of its own.
  private func unpacked(
    _ values: [Protobuf.Value], _ byteCount: Int
  ) throws(CheckpointError) -> any Payload {
    var bytes: [UInt8] = []
    for value in values {
      switch value {
      case .fixed32(let bits): bytes.append(little: bits)
      case .fixed64(let bits): bytes.append(little: bits)
      case .bytes: bytes += try message.bytes(of: value)
      case .varint: throw message.fail("a number of fixed size is expected")
      }
    }
    guard bytes.count == byteCount else {
      throw message.fail(
        "has \(bytes.count) bytes of data; its type and shape need \(byteCount)")
    }
    return BytesPayload(bytes)
  }
}

/// Elements that are stored as varints, decoded in windows.
///
/// They can only be counted from the start, so the place of the last window is remembered: windows
/// one after the other cost one pass.
private final class ONNXVarints: Payload {
  let byteCount: Int
  private let runs: [FileSlice]
  /// Varints that stand alone.
  private let single: [UInt64]
  private let elementSize: Int
  private let last = Mutex<(element: Int, run: Int, offset: Int)>((0, 0, 0))

  var storage: String { "varints" }
  var isWindowed: Bool { true }

  init(
    _ values: [Protobuf.Value], in file: File, elementSize: Int, byteCount: Int
  ) throws(CheckpointError) {
    var runs: [FileSlice] = []
    var single: [UInt64] = []
    for value in values {
      switch value {
      case .varint(let number): single.append(number)
      case .bytes(let offset, let count):
        runs.append(try FileSlice(file, offset: offset, length: count))
      default: throw CheckpointError(.damaged, Place(), "whole numbers are expected")
      }
    }
    let longest = runs.reduce(single.count) { $0 + $1.length }
    guard runs.isEmpty || single.isEmpty, byteCount / elementSize <= longest else {
      throw CheckpointError(
        .damaged, Place(offset: runs.first?.offset),
        "has at most \(longest) numbers; its shape needs \(byteCount / elementSize)")
    }
    self.runs = runs
    self.single = single
    self.elementSize = elementSize
    self.byteCount = byteCount
    guard runs.isEmpty, single.count != byteCount / elementSize else { return }
    throw CheckpointError(
      .damaged, Place(),
      "has \(single.count) numbers; its shape needs \(byteCount / elementSize)")
  }

  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    guard buffer.byteCount > 0 else { return }
    let first = offset / elementSize
    let end = (offset + buffer.byteCount + elementSize - 1) / elementSize
    var bytes: [UInt8] = []
    bytes.reserveCapacity((end - first) * elementSize)
    if runs.isEmpty {
      for number in single[first..<end] { append(number, to: &bytes) }
    } else {
      try decode(first..<end, into: &bytes)
    }
    try BytesPayload(bytes).read(at: offset - first * elementSize, into: &buffer)
  }

  private func decode(_ range: Range<Int>, into bytes: inout [UInt8]) throws(CheckpointError) {
    var place = last.withLock { $0 }
    if place.element > range.lowerBound { place = (0, 0, 0) }
    while place.element < range.upperBound {
      guard place.run < runs.count else {
        throw CheckpointError(
          .damaged, Place(offset: runs.last?.offset),
          "has \(place.element) numbers; its shape needs \(byteCount / elementSize)")
      }
      var reader = ByteReader(runs[place.run])
      try reader.skip(place.offset)
      while reader.left > 0, place.element < range.upperBound {
        let number = try reader.varint()
        if place.element >= range.lowerBound { append(number, to: &bytes) }
        place.element += 1
      }
      place.offset = reader.position - runs[place.run].offset
      if reader.left == 0 { (place.run, place.offset) = (place.run + 1, 0) }
    }
    if range.upperBound == byteCount / elementSize,
      place.run < runs.count && runs[place.run...].contains(where: { $0.length > 0 })
    {
      throw CheckpointError(
        .damaged, Place(offset: runs[place.run].offset + place.offset),
        "has more numbers than the \(range.upperBound) of its shape")
    }
    let reached = place
    last.withLock { $0 = reached }
  }

  private func append(_ number: UInt64, to bytes: inout [UInt8]) {
    for byte in 0..<elementSize { bytes.append(UInt8(truncatingIfNeeded: number >> (8 * byte))) }
  }
}
