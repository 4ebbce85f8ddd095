import Checkpoint
import Testing
import Transforms

@Suite struct FoldDecoderScaleTests {
  /// A T5 whose output weights are 1, 2, 3, ….
  private func t5(ties: Bool, scales: Bool = true, projection: Bool = false) throws -> Model {
    var c = Configuration()
    (c.vocabularySize, c.embeddingSize, c.hiddenSize, c.intermediateSize) = (7, 4, 4, 6)
    if projection { (c.embeddingSize, c.projection) = (3, true) }
    (c.heads, c.keySize, c.headSize, c.layers, c.decoderLayers) = (2, 3, 3, 1, 1)
    (c.buckets, c.activation) = (4, .relu)
    (c.tiesDecoder, c.scalesDecoder) = (ties, scales)
    return try SampleModel.make("t5", heads: [.lm], c) { _, index in Float(index + 1) }
  }

  private func folded(_ model: Model) throws -> (Model, Correspondence) {
    let change = try TransformRegistry.apply(
      [TransformStep(parsing: "fold-decoder-scale")], to: model)
    return (change.model, change.correspondence)
  }

  @Test func `a decoder of its own takes the factor`() throws {
    let model = try t5(ties: false)
    let (result, relation) = try folded(model)
    #expect(relation.contract == .rounding)
    #expect(relation.rewritten == ["lm.kernel"])
    #expect(!result.architecture.configuration.scalesDecoder)
    let before = try #require(try model["lm.kernel"]?.tensor.floats())
    // √4 is exact in binary.
    #expect(try result["lm.kernel"]?.tensor.floats() == before.map { $0 / 2 })
    for weight in model.weights where weight.name != "lm.kernel" {
      #expect(try result[weight.name]?.tensor.bytes() == weight.tensor.bytes())
    }
  }

  @Test func `the inverse gives the weights back, and bert4keras holds the result`() throws {
    let model = try t5(ties: false)
    let there = try folded(model).0
    let change = try TransformRegistry.apply(
      [TransformStep(parsing: "unfold-decoder-scale")], to: there)
    let back = change.model
    #expect(change.correspondence.rewritten == ["lm.kernel"])
    #expect(back.architecture == model.architecture)
    // √4 is exact in binary.
    #expect(try back["lm.kernel"]?.tensor.floats() == model["lm.kernel"]?.tensor.floats())
    #expect(throws: CheckpointError.self) {
      try TransformRegistry.apply([TransformStep(parsing: "unfold-decoder-scale")], to: model)
    }
  }

  @Test func `a tied decoder gets weights of its own, the embeddings stay`() throws {
    let model = try t5(ties: true)
    let (result, _) = try folded(model)
    #expect(!result.architecture.configuration.tiesDecoder)
    let table = try #require(model["embeddings.token"]?.tensor)
    #expect(try result["lm.kernel"]?.tensor.floats() == table.transposed().floats().map { $0 / 2 })
    #expect(try result["embeddings.token"]?.tensor.bytes() == table.bytes())
  }

  @Test func `a projection before it takes the factor instead`() throws {
    let model = try t5(ties: false, projection: true)
    let (result, _) = try folded(model)
    let before = try #require(try model["lm.projection.kernel"]?.tensor.floats())
    #expect(try result["lm.projection.kernel"]?.tensor.floats() == before.map { $0 / 2 })
    #expect(try result["lm.kernel"]?.tensor.bytes() == model["lm.kernel"]?.tensor.bytes())
  }

  @Test func `in windows of any place the scaled bytes are the same`() throws {
    let tensor = try #require(try folded(t5(ties: false)).0["lm.kernel"]?.tensor)
    let whole = try tensor.bytes()
    for (start, count) in [(0, 1), (3, 6), (5, 11), (whole.count - 1, 1)] {
      var part = [UInt8](repeating: 0, count: count)
      var span = part.mutableSpan
      var raw = unsafe span.mutableBytes
      try tensor.payload.read(at: start, into: &raw)
      #expect(part == Array(whole[start..<(start + count)]))
    }
  }

  @Test func `a model that does not scale is refused`() throws {
    let error = try #require(throws: CheckpointError.self) {
      try folded(t5(ties: true, scales: false))
    }
    #expect(error.kind == .unsupported)
  }

  @Test func `what was refused can be written, and T5 holds it`() throws {
    let model = try t5(ties: false)
    #expect(throws: CheckpointError.self) { try HuggingFace().spell(model) }
    let spelling = try HuggingFace().spell(folded(model).0)
    #expect(spelling.loadsAs.hasPrefix("T5ForConditionalGeneration"))
    #expect(spelling.configuration["tie_word_embeddings"] == .bool(false))
    #expect(spelling.configuration["scale_decoder_outputs"] == .bool(false))
  }
}
