import Checkpoint
import TestSupport
import Testing

/// Google's names: both ways for every family, and as the original files have them.
@Suite struct GoogleTests {
  /// Every family with the sizes and heads that it may have.
  static let models:
    [(family: String, heads: Set<Head>, change: @Sendable (inout Configuration) -> Void)] = [
      ("bert", [.pooler, .nsp, .mlm], { _ in }),
      (
        "bert", [],
        {
          $0.projection = true; $0.embeddingSize = 4
        }
      ),
      ("albert", [.pooler, .sop, .mlm], { $0.groups = 1 }), ("albert", [.mlm], { _ in }),
      ("albert", [], { ($0.groups, $0.innerGroups) = (2, 2) }),
      (
        "albert_zh", [.pooler, .nsp, .mlm],
        { ($0.groups, $0.factor, $0.embeddingSize) = (1, true, 4) }
      ),
      ("nezha", [.mlm], { $0.relativePositions = 64 }),
      ("roformer", [.pooler, .mlm], { ($0.keySize, $0.headSize) = (2, 3) }),
      ("roformer_v2", [.mlm], { ($0.keySize, $0.headSize) = (2, 3) }),
      ("gau_alpha", [.mlm], { ($0.keySize, $0.headSize, $0.heads) = (4, 0, 0) }),
      (
        "electra", [.discriminator],
        {
          $0.projection = true; $0.embeddingSize = 4
        }
      ), ("electra", [.mlm], { _ in }),
      ("electra", [], { _ in }), ("gpt", [.lm], { $0.mask = .causal }),
      ("gpt2", [.lm], { ($0.segments, $0.mask) = (0, .causal) }),
      ("gpt2_ml", [.lm], { ($0.segments, $0.mask) = (0, .causal) }), ("t5", [.lm], plain),
      (
        "t5", [.lm],
        {
          plain(&$0); ($0.gates, $0.tiesDecoder) = ([.linear], false)
        }
      ),
      (
        "t5", [],
        {
          plain(&$0); $0.hasDecoder = false
        }
      ),
      (
        "mt5", [.lm],
        {
          plain(&$0); ($0.gates, $0.tiesDecoder) = ([.linear], false)
        }
      ),
    ]

  private static let plain: @Sendable (inout Configuration) -> Void = {
    ($0.segments, $0.positions, $0.buckets) = (0, 0, 32)
  }

  @Test(arguments: models.indices)
  func `what is spelled is bound to the same weights`(_ index: Int) throws {
    let test = Self.models[index]
    var model = try Models.random(
      family: test.family, groups: nil, layers: 3, projection: false, heads: test.heads,
      change: test.change)
    // Epsilons and the like are the code's own.
    model.architecture.configuration = Google().computed(model.architecture)
    if test.family == "nezha" {
      // What is not stored is computed again.
      model.weights = model.weights.map { weight in
        weight.name == "embeddings.relative_position"
          ? Google().made(model.architecture.configuration, family: "nezha")[0] : weight
      }
    }
    let spelling = try Google().spell(model)
    let again = try ModelReader().model(
      of: spelling.checkpoint, configuration: ("bert_config.json", spelling.configuration))
    #expect(again.dialect == "google")
    #expect(again.architecture.family == test.family)
    #expect(again.architecture.heads == test.heads)
    #expect(again.weights.map(\.name) == model.weights.map(\.name))
    for (a, b) in zip(model.weights, again.weights) {
      #expect(try a.tensor.bytes() == b.tensor.bytes(), "\(a.name)")
    }
    // What only T5 has is left open for the others.
    var configuration = again.architecture.configuration
    let own = model.architecture.configuration
    (configuration.decoderLayers, configuration.buckets) = (own.decoderLayers, own.buckets)
    #expect(configuration == own)
  }

  static let files = [
    "albert", "albert-groups", "bert", "bert-adam", "brightmart-albert", "electra", "electra-both",
    "gpt", "gpt2", "gpt2_ml", "mt5.1.1", "nezha", "nezha-huawei", "roformer", "roformer_v2", "t5",
    "t5-slots", "t5.1.1",
  ]

  private func model(_ file: String, _ options: ModelReader.Options) throws -> Model {
    try Opening(Fixtures.path("google", file, "bert_model.ckpt"), options: options).model()
  }

  private func options(_ file: String) -> ModelReader.Options {
    var options = ModelReader.Options()
    if ["nezha", "roformer"].contains(file) { options.family = file }
    return options
  }

  @Test(arguments: files)
  func `names are written as the original file has them`(_ file: String) throws {
    let opening = try Opening(
      Fixtures.path("google", file, "bert_model.ckpt"), options: options(file))
    let model = try opening.model()
    let left = Set(model.left.map(\.tensor.name))
    let spelled = try Google().spell(model).checkpoint.tensors
    let original = opening.checkpoint.tensors.filter { !left.contains($0.name) }
    #expect(Set(spelled.map(\.name)) == Set(original.map(\.name)))
    let byName = Dictionary(spelled.map { ($0.name, $0) }) { first, _ in first }
    for tensor in original {
      #expect(try byName[tensor.name]?.bytes() == tensor.bytes(), "\(tensor.name)")
    }
    #expect(model.carried.isEmpty)
    #expect(
      left.isEmpty == !["adam", "both", "groups", "slots", "huawei", "brightmart"].contains {
        file.contains($0)
      })
  }

  /// One model, saved by bert4keras in both forms.
  @Test(arguments: files.filter { Paths.isFile(Fixtures.path("google", $0, "weights.h5")) })
  func `the weights are those of bert4keras' file`(_ file: String) throws {
    let model = try model(file, options(file))
    guard Bert4keras().families.contains(model.architecture.family) else { return }
    var reading = ModelReader.Options()
    reading.dialect = "bert4keras"
    reading.family = model.architecture.family
    let other = try Opening(Fixtures.path("google", file, "weights.h5"), options: reading).model()
    #expect(model.weights.map(\.name) == other.weights.map(\.name))
    for (a, b) in zip(model.weights, other.weights) where a.name != "embeddings.relative_position" {
      #expect(try a.tensor.bytes() == b.tensor.bytes(), "\(a.name)")
    }
  }

  @Test func `ELECTRA's generator is read when it is said`() throws {
    var reading = ModelReader.Options()
    #expect(try model("electra-both", reading).architecture.heads == [.discriminator])
    reading.settings = [(key: "part", value: "generator")]
    let generator = try model("electra-both", reading)
    #expect(generator.architecture.heads == [.mlm])
    #expect(generator.architecture.configuration.hiddenSize == 8)
    #expect(
      generator.left.contains {
        $0.tensor.name == "electra/embeddings_project/kernel" && $0.reason.contains("discriminator")
      })
    #expect(throws: CheckpointError.self) { try model("electra", reading) }
    #expect(throws: CheckpointError.self) { try model("bert", reading) }
    reading.settings = [(key: "part", value: "head")]
    #expect(throws: CheckpointError.self) { try model("electra-both", reading) }
  }

  @Test func `NEZHA and RoFormer are not guessed`() throws {
    let error = try #require(throws: CheckpointError.self) {
      try model("nezha", ModelReader.Options())
    }
    #expect(error.kind == .notRecognised)
    #expect(error.hint?.contains("--family") == true)
  }

  @Test func `the layers on top of Google's own tasks`() throws {
    let base = try Models.random(
      family: "bert", groups: nil, layers: 1, projection: false, heads: [.pooler])
    var spelling = try Google().spell(base)
    let values = (0..<18).map { Float($0) }
    spelling.checkpoint.groups[0].tensors += [
      Tensor(name: "output_weights", shape: [3, 6], values: values),
      Tensor(name: "output_bias", shape: [3], values: [1, 2, 3]),
    ]
    let model = try ModelReader().model(
      of: spelling.checkpoint, configuration: ("bert_config.json", spelling.configuration))
    let top = try #require(model.architecture.tops.first)
    #expect(top.summary == "classifier: 3 wide, on pooler")
    let again = try Google().spell(model).checkpoint.tensors
    #expect(
      try again.first { $0.name == "output_weights" }?.floats() == values)
  }

  @Test func `OpenAI's GPT-2`() throws {
    let model = try Models.random(
      family: "gpt2", groups: nil, layers: 12, projection: false, heads: [.lm]
    ) { $0.segments = 0 }
    let byName = Dictionary(model.weights.map { ($0.name, $0.tensor) }) { first, _ in first }
    func values(_ name: String) throws -> [Float] { try #require(byName[name]).floats() }
    var tensors: [Tensor] = []
    func add(_ name: String, _ shape: Shape, _ values: [Float]) {
      tensors.append(Tensor(name: "model/\(name)", shape: shape, values: values))
    }
    /// Kernels side by side: row after row of each.
    func joined(_ names: [String], rows: Int) throws -> [Float] {
      let all = try names.map(values)
      return (0..<rows).flatMap { row in
        all.flatMap { $0[(row * $0.count / rows)..<((row + 1) * $0.count / rows)] }
      }
    }
    add("wte", [11, 6], try values("embeddings.token"))
    add("wpe", [7, 6], try values("embeddings.position"))
    for layer in 0..<12 {
      let block = "layers.\(layer)"
      let fused = ["query", "key", "value"].map { "\(block).attention.\($0)" }
      add("h\(layer)/attn/c_attn/w", [1, 6, 18], try joined(fused.map { "\($0).kernel" }, rows: 6))
      add("h\(layer)/attn/c_attn/b", [18], try joined(fused.map { "\($0).bias" }, rows: 1))
      for (stored, part, shape) in [
        ("attn/c_proj", "attention.output", [1, 6, 6]),
        ("mlp/c_fc", "feed_forward.inner", [1, 6, 10]),
        ("mlp/c_proj", "feed_forward.output", [1, 10, 6]),
      ] {
        add("h\(layer)/\(stored)/w", Shape(shape), try values("\(block).\(part).kernel"))
        add("h\(layer)/\(stored)/b", [shape[2]], try values("\(block).\(part).bias"))
      }
      for (stored, part) in [("ln_1", "attention.norm"), ("ln_2", "feed_forward.norm")] {
        add("h\(layer)/\(stored)/g", [6], try values("\(block).\(part).gamma"))
        add("h\(layer)/\(stored)/b", [6], try values("\(block).\(part).beta"))
      }
    }
    add("ln_f/g", [6], try values("final_norm.gamma"))
    add("ln_f/b", [6], try values("final_norm.beta"))
    let parameters = try JSON(parsing: Array(#"{"n_head": 2, "n_layer": 12, "n_embd": 6}"#.utf8))
    let again = try ModelReader().model(
      of: Checkpoint(groups: [Group(name: "", tensors: tensors)]),
      configuration: ("hparams.json", parameters))
    #expect(again.architecture.configuration.activation == .geluTanh)
    #expect(again.weights.map(\.name) == model.weights.map(\.name))
    for (a, b) in zip(model.weights, again.weights) {
      #expect(try a.tensor.bytes() == b.tensor.bytes(), "\(a.name)")
    }
  }

  @Test func `an untied ALBERT that Google's code would compute otherwise is refused`() throws {
    let model = try Models.random(
      family: "albert", groups: nil, layers: 22, projection: false, heads: [])
    let error = try #require(throws: CheckpointError.self) { try Google().spell(model) }
    #expect(error.kind == .unsupported)
    #expect(error.reason.contains("layer"))
    let fine = try Models.random(
      family: "albert", groups: nil, layers: 24, projection: false, heads: [])
    #expect(try Google().spell(fine).remarks.count == 2)
  }

  @Test func `a table of distances that is no sinusoid has no place`() throws {
    let model = try Models.random(
      family: "nezha", groups: nil, layers: 1, projection: false, heads: [])
    let error = try #require(throws: CheckpointError.self) { try Google().spell(model) }
    #expect(error.reason.contains("sinusoids"))
  }
}
