import TestSupport
import Testing

@testable import Checkpoint

/// A payload over another that counts as windowed, and tells the most that was read at once.
private final class Watched: Payload, @unchecked Sendable {
  let bytes: [UInt8]
  private(set) var most = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  var byteCount: Int { bytes.count }
  var storage: String { "watched" }
  var isWindowed: Bool { true }

  func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    most = max(most, buffer.byteCount)
    try BytesPayload(bytes).read(at: offset, into: &buffer)
  }
}

@Suite struct StridedPayloadTests {
  /// Element by element, as the definition says.
  func expected(
    _ stored: [UInt8], _ shape: Shape, _ strides: [Int], _ origin: Int, _ size: Int, _ swapped: Int
  ) -> [UInt8] {
    var bytes: [UInt8] = []
    for element in 0..<shape.count {
      var (rest, place) = (element, origin)
      for axis in (0..<shape.rank).reversed() {
        place += rest % shape[axis] * strides[axis]
        rest /= shape[axis]
      }
      let piece = Array(stored[(place * size)..<((place + 1) * size)])
      for start in Swift.stride(from: 0, to: size, by: swapped) {
        bytes += piece[start..<(start + swapped)].reversed()
      }
    }
    return bytes
  }

  @Test func `random views and windows are what the definition says`() throws {
    var random = SeededGenerator(seed: 5)
    for _ in 0..<300 {
      let rank = Int.random(in: 0...4, using: &random)
      let shape = Shape((0..<rank).map { _ in Int.random(in: 1...6, using: &random) })
      let strides = (0..<rank).map { _ in Int.random(in: 0...9, using: &random) }
      let origin = Int.random(in: 0...5, using: &random)
      let (size, swapped) =
        [(1, 1), (2, 1), (4, 4), (8, 8), (8, 4), (16, 1)].randomElement(using: &random) ?? (1, 1)
      let last = zip(shape.extents, strides).reduce(origin) { $0 + ($1.0 - 1) * $1.1 }
      let stored = (0..<((last + 1) * size)).map { _ in
        UInt8.random(in: 0...255, using: &random)
      }
      let payload = try StridedPayload(
        stored: Watched(stored), shape: shape, strides: strides, origin: origin, size: size,
        swapped: swapped)
      let whole = expected(stored, shape, strides, origin, size, swapped)
      for _ in 0..<4 {
        let start = Int.random(in: 0..<whole.count, using: &random)
        let count = Int.random(in: 0...(whole.count - start), using: &random)
        var window = [UInt8](repeating: 0, count: count)
        var span = window.mutableSpan
        var raw = span.mutableBytes
        try payload.read(at: start, into: &raw)
        #expect(window == Array(whole[start..<(start + count)]), "\(shape) \(strides)")
      }
    }
  }

  @Test(arguments: [[3, 1_500_000], [1_500_000, 3], [1500, 3000], [2, 1500, 1000]])
  func `a large view passes through a small buffer`(_ extents: [Int]) throws {
    let shape = Shape(extents)
    let stored = (0..<(shape.count * 4)).map { UInt8(truncatingIfNeeded: $0 &* 31 >> 3) }
    let watched = Watched(stored)
    let payload = try StridedPayload(
      stored: watched, shape: shape, strides: shape.fortranStrides, size: 4)
    let tensor = Tensor(name: "t", dtype: .f32, shape: shape, payload: payload)
    var place = 0
    var differing = 0
    let reference = expected(stored, shape, shape.fortranStrides, 0, 4, 1)
    try tensor.readWindows { bytes in
      for index in 0..<bytes.byteCount
      where bytes.unsafeLoad(fromByteOffset: index, as: UInt8.self) != reference[place + index] {
        differing += 1
      }
      place += bytes.byteCount
    }
    #expect(differing == 0 && place == reference.count)
    #expect(watched.most <= 8 << 20)
  }

  @Test func `turning round twice gives the stored bytes`() throws {
    let tensor = Tensor(name: "t", shape: [2, 3], values: [1, 2, 3, 4, 5, 6])
    #expect(try tensor.transposed().floats() == [1, 4, 2, 5, 3, 6])
    #expect(tensor.transposed().transposed().payload is BytesPayload)
  }

  @Test(arguments: [[3, 2], [1, 9], [6, 1], [Int.max, 1]])
  func `a view that leaves its storage is damaged`(_ strides: [Int]) {
    #expect(throws: CheckpointError(.damaged, Place(), "")) {
      try StridedPayload(
        stored: BytesPayload([UInt8](repeating: 0, count: 24)), shape: [2, 3], strides: strides,
        size: 4)
    }
  }
}

@Suite struct ElementsTests {
  /// Values of the codes, from the formats' own tables.
  @Test(arguments: [
    (DType.f8_e4m3, UInt8(0x7e), Float(448)), (.f8_e4m3, 0x01, 0x1p-9), (.f8_e4m3, 0x38, 1),
    (.f8_e5m2, 0x7b, 57344), (.f8_e5m2, 0x01, 0x1p-16), (.f8_e5m2, 0x7c, .infinity),
    (.f8_e4m3fnuz, 0x7f, 240), (.f8_e5m2fnuz, 0x7f, 57344), (.f8_e8m0, 0x7f, 1),
    (.f8_e8m0, 0x00, 0x1p-127), (.f8_e8m0, 0xfe, 0x1p127),
  ])
  func `small floats have the standards' values`(_ dtype: DType, _ code: UInt8, _ value: Float) {
    let decoded: [Float] = Elements.decode([code], as: dtype)
    #expect(decoded == [value])
    #expect(Elements.encode([value], as: dtype) == [code])
  }

  @Test(arguments: [
    DType.f8_e4m3, .f8_e5m2, .f8_e4m3fnuz, .f8_e5m2fnuz, .f8_e8m0, .f4, .f6_e2m3, .f6_e3m2,
  ])
  func `every code of a small float returns`(_ dtype: DType) {
    let codes = (0..<768).map { UInt8(truncatingIfNeeded: $0 &* 89) }
    let values: [Float] = Elements.decode(codes, as: dtype)
    #expect(values.count == 768 / dtype.block.bytes * dtype.block.elements)
    let again: [Float] = Elements.decode(Elements.encode(values, as: dtype), as: dtype)
    #expect(zip(values, again).allSatisfy { $0 == $1 || ($0.isNaN && $1.isNaN) })
  }

  @Test func `rounding is to nearest, ties to even`() {
    // Between 1 (0x38) and 1.125 (0x39) of e4m3.
    let values: [Float] = [1.0625, 1.06, 1.07, 1.1875, 464, 465, -1e9]
    #expect(
      Elements.encode(values, as: .f8_e4m3) == [0x38, 0x38, 0x39, 0x3a, 0x7e, 0x7f, 0x7f])
  }
}
