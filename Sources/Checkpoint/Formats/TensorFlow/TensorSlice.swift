/// A box of a tensor: what one part of a partitioned variable holds.
///
/// Source: `tensorflow/core/framework/tensor_slice.proto`; keys as
/// `tensorflow/core/util/saved_tensor_slice_util.cc` makes them.
struct TensorSlice: Sendable, Equatable {
  /// An axis: where the box begins, and how long it is; `nil` for the whole axis.
  struct Extent: Sendable, Equatable {
    var start: Int
    var length: Int?
  }

  var extents: [Extent]

  /// Axes that a tensor of TensorFlow may have.
  static let largestRank = 254

  init(extents: [Extent]) { self.extents = extents }

  init(_ message: Protobuf) throws(CheckpointError) {
    var message = message
    extents = []
    while let field = try message.next() {
      guard field.number == 1 else { continue }
      var extent = Extent(start: 0, length: nil)
      var inner = try message.message(of: field.value)
      while let field = try inner.next() {
        if field.number == 1 { extent.start = field.value.int ?? 0 }
        if field.number == 2 { extent.length = field.value.int }
      }
      extents.append(extent)
      guard extents.count <= TensorSlice.largestRank else {
        throw message.fail("a slice has more than \(TensorSlice.largestRank) axes")
      }
    }
  }

  /// The box's place in a tensor of that shape, or `nil` when it is not inside.
  func box(in shape: Shape) -> Box? {
    guard extents.count == shape.rank else { return nil }
    var box = Box(start: [], extents: [])
    for (extent, whole) in zip(extents, shape.extents) {
      let length = extent.length ?? whole - max(0, extent.start)
      guard extent.start >= 0, extent.start <= whole, length >= 0, length <= whole - extent.start
      else { return nil }
      box.start.append(extent.start)
      box.extents.append(length)
    }
    return box
  }

  /// The key under which the part of the tensor `name` stands.
  func key(of name: [UInt8]) -> [UInt8] {
    var key: [UInt8] = []
    OrderedCode.append(number: 0, to: &key)
    OrderedCode.append(text: name, to: &key)
    OrderedCode.append(number: UInt64(extents.count), to: &key)
    for extent in extents {
      OrderedCode.append(signed: Int64(extent.start), to: &key)
      OrderedCode.append(signed: Int64(extent.length ?? -1), to: &key)
    }
    return key
  }
}

/// A part of a tensor's elements.
struct Box: Sendable, Equatable {
  var start: [Int]
  var extents: [Int]

  func overlaps(_ other: Box) -> Bool {
    start.indices.allSatisfy { axis in
      start[axis] < other.start[axis] + other.extents[axis]
        && other.start[axis] < start[axis] + extents[axis]
    }
  }
}

/// Numbers and texts as bytes whose order is theirs.
///
/// Source: the comments of `tensorflow/tsl/lib/strings/ordered_code.h`.
enum OrderedCode {
  /// The count of bytes, then the bytes, the highest first.
  static func append(number: UInt64, to bytes: inout [UInt8]) {
    let count = (64 - number.leadingZeroBitCount + 7) / 8
    bytes.append(UInt8(count))
    for index in (0..<count).reversed() {
      bytes.append(UInt8(truncatingIfNeeded: number >> UInt64(8 * index)))
    }
  }

  /// The bytes, with 00 as 00 ff and ff as ff 00, then 00 01.
  static func append(text: [UInt8], to bytes: inout [UInt8]) {
    for byte in text {
      bytes.append(byte)
      if byte == 0 { bytes.append(0xff) }
      if byte == 0xff { bytes.append(0) }
    }
    bytes += [0, 1]
  }

  /// As many leading ones as there are bytes (zeros for a negative number), then the two's
  /// complement: 7 bits in each byte, one of all of them for the sign.
  static func append(signed value: Int64, to bytes: inout [UInt8]) {
    let magnitude = UInt64(bitPattern: value < 0 ? ~value : value)
    let bits = 64 - magnitude.leadingZeroBitCount
    let count = bits / 7 + 1
    // Two words of eight bytes: the sign, then the number.
    var code = [UInt8](repeating: value < 0 ? 0xff : 0, count: 8)
    for index in (0..<8).reversed() {
      code.append(UInt8(truncatingIfNeeded: value >> Int64(8 * index)))
    }
    code = Array(code.suffix(count))
    // The leading ones turn the sign's bits round.
    for bit in 0..<count { code[bit / 8] ^= 0x80 >> UInt8(bit % 8) }
    bytes += code
  }
}
