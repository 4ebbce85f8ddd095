import Checkpoint
import Infer
import TestSupport
import Testing

/// Generation from kept keys and values against the whole sequence run again, and that against the
/// Float64 reference.
@Suite struct StepTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var fixture: String
    var file = "weights.h5"
    var mask: AttentionMaskKind?
    var settings: [(key: String, value: String)] = []
    var addsHead = false
    var addsMixingBias = false

    var testDescription: String { "\(fixture)/\(file) \(mask?.rawValue ?? "")" }

    func model() throws -> RunnableModel {
      var options = ModelReader.Options()
      options.settings = settings
      var model = try Opening(Fixtures.path(fixture, file), options: options).model()
      if addsMixingBias { model.architecture.configuration.talkingHeadsBias = true }
      if addsHead { try Case.addHead(to: &model) }
      return try RunnableModel(model, mask: mask)
    }

    /// Gives a bare encoder an MLM head, and what else its configuration asks for, with random weights.
    private static func addHead(to model: inout Model) throws {
      model.architecture.heads.insert(.mlm)
      var random = Random(7)
      let held = Set(model.weights.map(\.name))
      let family = try ArchitectureRegistry.named(model.architecture.family)
      for spec in family.weights(model.architecture) where !held.contains(spec.name) {
        let shape = spec.shape.extents
        model.weights.append(
          Weight(
            spec.name,
            Tensor(
              name: spec.name, shape: spec.shape, values: random.array(shape, scale: 0.3).values),
            sources: []))
      }
    }
  }

  static let cases: [Case] =
    [
      "b4k-bert", "b4k-albert", "b4k-albert-unshared", "b4k-nezha", "b4k-roformer",
      "b4k-roformer-v2", "b4k-gau-alpha", "b4k-simbert",
    ].flatMap { fixture in
      [AttentionMaskKind.causal, .unilm].map { Case(fixture: fixture, mask: $0) }
    }
    + ["b4k-gpt", "b4k-gpt2", "b4k-gpt2-ml", "b4k-t5", "b4k-t5.1.1", "b4k-t5-no-cross-bias"].map {
      Case(fixture: $0)
    }
    + ["hf-gpt", "hf-gpt2", "hf-t5", "hf-t5-gated", "hf-mt5", "hf-umt5"].map {
      Case(fixture: $0, file: "model.safetensors")
    }
    + [
      "hf-bert-mlm", "hf-roformer", "hf-roberta", "hf-distilbert", "hf-albert-groups",
      "hf-electra-generator",
    ].map { Case(fixture: $0, file: "model.safetensors", mask: .causal) }
    + options

  /// What bert4keras' options change.
  static let options: [Case] = [
    "b4k-opt-residual", "b4k-opt-hierarchical", "b4k-opt-positions",
    "b4k-opt-roformer-positions", "b4k-opt-gated", "b4k-opt-shared-segments", "b4k-opt-lm",
    "b4k-opt-segments3", "b4k-opt-segments0",
  ].map { Case(fixture: $0, mask: .unilm, addsHead: true) }

  /// Prompts of different lengths.
  static func prompts(_ model: RunnableModel, _ random: inout Random, _ count: Int) -> [Prompt] {
    let c = model.architecture.configuration
    let limit = Int32(c.vocabularySize)
    let isUniLM = c.mask == .unilm && c.decoderLayers == 0
    // A segment that has a row of its own: the token table's, where segments are rows of it.
    let segments = c.segments > 1 || c.sharesSegments
    return (0..<count).map { row in
      func tokens(_ range: ClosedRange<Int>) -> [Int32] {
        (0..<Int.random(in: range, using: &random)).map { _ in
          Int32.random(in: 1..<limit, using: &random)
        }
      }
      let source = tokens(2...5)
      return Prompt(
        tokens: source,
        segments: source.indices.map { $0 == source.count - 1 && row == 1 && segments ? 1 : 0 },
        targets: tokens(1...(row % 2 + 1)), targetSegment: isUniLM || segments ? 1 : 0)
    }
  }

  @Test(arguments: cases)
  func `kept keys and values change nothing`(_ test: Case) throws {
    let model = try test.model()
    let plain = try UncachedSteps(model, threads: 1)
    let cached = try CachedSteps(model, threads: 2)
    #expect(try Steps.model(for: model) is CachedSteps)
    #expect(cached.vocabularySize == plain.vocabularySize)
    for seed in 1...2 {
      var random = Random(seed)
      let prompts = Self.prompts(model, &random, 3)
      var expected = try plain.start(prompts)
      try Self.compare(try cached.start(prompts), expected, "start")
      var count = prompts.count
      // Rows are reordered, continued twice, dropped; they become more and fewer.
      for step in 0..<12 {
        if let limit = cached.limit, limit < 10 + step { break }
        let parents = (0..<Int.random(in: 1...5, using: &random)).map { _ in
          Int.random(in: 0..<count, using: &random)
        }
        let tokens = parents.map { _ in
          Int32.random(in: 0..<Int32(plain.vocabularySize), using: &random)
        }
        expected = try plain.advance(parents, tokens)
        try Self.compare(try cached.advance(parents, tokens), expected, "step \(step): \(parents)")
        count = parents.count
      }
    }
  }

  /// Mixed without a bias, hidden positions stay without weight; a bias gives them one.
  @Test func `heads that talk`() throws {
    var test = Case(fixture: "b4k-opt-talking-heads", mask: .causal, addsHead: true)
    try `kept keys and values change nothing`(test)
    test.addsMixingBias = true
    let biased = try test.model()
    #expect(try Steps.model(for: biased) is UncachedSteps)
    #expect(throws: InferError(.unsupported, "the key/value cache", "")) {
      try CachedSteps(biased)
    }
  }

  @Test func `no cache when it is not wanted`() throws {
    let model = try Case(fixture: "hf-gpt2", file: "model.safetensors").model()
    #expect(try Steps.model(for: model, cached: false) is UncachedSteps)
  }

  // MARK: Refusals

  @Test(arguments: [
    Case(fixture: "b4k-bert"), Case(fixture: "b4k-opt-gated", mask: .causal),
    Case(fixture: "hf-t5-encoder", file: "model.safetensors"),
    Case(fixture: "b4k-opt-conditional", mask: .causal, addsHead: true),
    Case(fixture: "b4k-t5", file: "decoder.h5"),
  ])
  func `models that cannot generate`(_ test: Case) throws {
    let model = try test.model()
    #expect(throws: InferError(.unsupported, "generation", "")) { try Steps.model(for: model) }
  }

  @Test(arguments: [true, false])
  func `rows that do not exist, or have no room`(isCached: Bool) throws {
    let model = try Case(fixture: "b4k-bert", mask: .unilm).model()
    let steps = try Steps.model(for: model, cached: isCached)
    let limit = try #require(steps.limit)
    #expect(limit == model.architecture.configuration.positions)
    func prompt(_ count: Int, segment: Int32 = 1) -> Prompt {
      Prompt(
        tokens: .init(repeating: 3, count: count), segments: .init(repeating: 0, count: count),
        targetSegment: segment)
    }
    #expect(throws: InferError(.input, "rows", "")) { try steps.start([]) }
    #expect(throws: InferError(.input, "prompt", "")) { try steps.start([prompt(0)]) }
    #expect(throws: InferError(.input, "prompt", "")) { try steps.start([prompt(2, segment: 0)]) }
    #expect(throws: InferError(.input, "length", "")) { try steps.start([prompt(limit + 1)]) }
    #expect(throws: InferError(.input, "tokens", "")) {
      try steps.start([Prompt(tokens: [9999], segments: [0], targetSegment: 1)])
    }
    let first = try steps.start([prompt(2), prompt(limit - 1)])
    #expect(first.shape == [2, steps.vocabularySize])
    #expect(throws: InferError(.input, "rows", "")) { try steps.advance([2], [1]) }
    #expect(throws: InferError(.input, "rows", "")) { try steps.advance([], []) }
    #expect(throws: InferError(.input, "rows", "")) { try steps.advance([0], [1, 2]) }
    let full = try steps.advance([1, 0], [4, 4])
    #expect(full.shape == [2, steps.vocabularySize])
    #expect(throws: InferError(.input, "length", "")) { try steps.advance([0], [1]) }
    // What was refused has changed nothing; a new start forgets all rows.
    let again = try steps.start([prompt(2), prompt(limit - 1)])
    #expect(again == first)
    #expect(throws: InferError(.input, "prompt", "")) {
      try Steps.model(for: Case(fixture: "b4k-t5").model(), cached: isCached)
        .start([prompt(3)])
    }
  }

  private static func compare(
    _ got: NDArray<Float>, _ expected: NDArray<Float>, _ place: String
  ) throws {
    let relative = difference(got, expected.converted(to: Double.self))
    #expect(relative < 1e-5, "\(place)")
  }

  @Test(arguments: cases)
  func `the whole sequence run again is the reference's`(_ test: Case) throws {
    let model = try test.model()
    var random = Random(3)
    let prompt = Self.prompts(model, &random, 1)[0]
    let plain = try UncachedSteps(model, threads: 1)
    _ = try plain.start([prompt])
    let got = try plain.advance([0], [2])
    let targets = prompt.targets + [2]
    let isPair = model.graph.inputs.contains { model.graph[$0].name == Input.decoderTokens }
    var inputs: [String: NDArray<Float>] = [:]
    func row(_ values: [Int32]) -> NDArray<Float> {
      NDArray(shape: [1, values.count], values: values.map { Float($0) })
    }
    let tokens = isPair ? prompt.tokens : prompt.tokens + targets
    inputs[Input.tokens] = row(tokens)
    inputs[Input.mask] = row(tokens.map { _ in 1 })
    inputs[Input.positions] = row(tokens.indices.map { Int32($0) })
    inputs[Input.segments] = row(
      isPair ? prompt.segments : prompt.segments + targets.map { _ in prompt.targetSegment })
    inputs[Input.decoderTokens] = row(targets)
    inputs[Input.decoderMask] = row(targets.map { _ in 1 })
    let name = model.outputNames.contains("lm_logits") ? "lm_logits" : "mlm_logits"
    let judged = try #require(
      try model.reference(Double.self, inputs, returning: [name])[name])
    let last = NDArray(
      shape: [1, plain.vocabularySize], values: Array(judged.values.suffix(plain.vocabularySize)))
    #expect(difference(got, last) < 1e-5)
  }
}
