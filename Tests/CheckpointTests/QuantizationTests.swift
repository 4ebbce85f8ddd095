import TestSupport
import Testing

@testable import Checkpoint

@Suite struct QuantizationTests {
  static func arrays() throws -> (values: Tensor, blocks: Tensor) {
    let tensors = try NPZ().read(Probe(Fixtures.path("gguf", "quantized.npz"))).tensors
    return (tensors[0], tensors[1])
  }

  @Test func `Q8_0 is made as gguf-py makes it, to the bit`() throws {
    let (values, blocks) = try QuantizationTests.arrays()
    #expect(values.canBecome(.q8_0))
    let quantized = values.cast(to: .q8_0)
    #expect(quantized.shape == values.shape)
    #expect(try quantized.bytes() == blocks.bytes())
  }

  @Test func `only float matrices whose rows fill blocks become Q8_0`() {
    func can(_ dtype: DType, _ shape: Shape) -> Bool {
      Samples.tensor("t", dtype, shape).canBecome(.q8_0)
    }
    #expect(can(.f32, [2, 32]) && can(.bf16, [2, 2, 64]) && can(.f64, [0, 32]))
    #expect(
      !can(.f32, [64]) && !can(.f32, [2, 31]) && !can(.i8, [2, 32]) && !can(.q4_0, [2, 32]))
    #expect(!Samples.tensor("t", .f32, [2, 32]).canBecome(.q4_0))
  }

  @Test func `a packed matrix is decoded to be transposed`() throws {
    let blocks = try #require(
      try GGUFTests.open("types.gguf").tensors.first { $0.dtype == .q6_k })
    let turned = blocks.transposed()
    #expect(turned.dtype == .f32 && turned.shape == [256, 2])
    let (values, expected) = try (turned.floats(), blocks.floats())
    for row in 0..<2 {
      for column in 0..<256 { #expect(values[column * 2 + row] == expected[row * 256 + column]) }
    }
  }

  @Test(arguments: [Float.nan, .infinity, 1e38])
  func `what has no finite scale is an error, unless all of a block has none`(value: Float) throws {
    var values = [Float](repeating: 1, count: 64)
    values[40] = value
    let error = #expect(throws: CheckpointError.self) {
      try Tensor(name: "w", shape: [1, 64], values: values).cast(to: .q8_0).bytes()
    }
    #expect(error?.kind == .unsupported && error?.place.tensor == "w")
  }

  static let pairs: [(DType, DType)] = [
    (.q4_0, .f32), (.q6_k, .f16), (.q4_k, .bf16), (.f32, .q8_0), (.f4, .f32), (.f6_e2m3, .f64),
    (.f16, .f32),
  ]

  @Test(arguments: pairs) func `windows of a conversion are parts of the whole`(
    from: DType, to: DType
  ) throws {
    // More elements than are converted at once.
    let shape: Shape = from.isPacked && !from.isQuantized ? [70_001] : [70, 1024]
    var bytes = Samples.tensor("t", .u8, [from.byteCount(of: shape.count)]).payload
    if !from.isPacked {
      bytes = BytesPayload(Elements.encode((0..<shape.count).map { Float($0 % 97) - 40 }, as: from))
    } else if from.isQuantized {
      // Scales that are not finite would be an error in a narrower type.
      var raw = try #require(bytes as? BytesPayload).bytes
      for start in stride(from: 0, to: raw.count, by: from.size) {
        for place in GGUF.halves(in: from) ?? [] { raw[start + place + 1] &= 0x3f }
      }
      bytes = BytesPayload(raw)
    }
    let tensor = Tensor(name: "t", dtype: from, shape: shape, payload: bytes).cast(to: to)
    let whole = try tensor.bytes()
    #expect(whole.count == to.byteCount(of: shape.count))
    let direct: [Float] = Elements.decode(try bytes.all(), as: from)
    #expect(Elements.encode(Array(direct.prefix(shape.count)), as: to) == whole)
    for (start, count) in [(0, 1), (1, 3), (131_071, 5), (whole.count - 1, 1), (777, 140_000)]
    where start + count <= whole.count {
      var window = [UInt8](repeating: 0, count: count)
      var span = window.mutableSpan
      var raw = span.mutableBytes
      try tensor.payload.read(at: start, into: &raw)
      #expect(window == Array(whole[start..<(start + count)]), "\(start)")
    }
  }
}

extension Payload {
  fileprivate func all() throws -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: byteCount)
    var span = bytes.mutableSpan
    var raw = span.mutableBytes
    try read(at: 0, into: &raw)
    return bytes
  }
}
