import Checkpoint
import TestSupport
import Testing

/// The classes of transformers, as `hf-keys.json` lists their parameters.
@Suite struct HuggingFaceTests {
  /// A class's row: its configuration, its state dict, and which names are ties.
  struct Class: Sendable, CustomTestStringConvertible {
    var name: String
    var configuration: JSON
    var keys: [(name: String, shape: Shape)]
    var tied: [String]

    var testDescription: String { name }
  }

  /// Pooling over the last token that is no padding, and a choice of token by the configuration.
  static let unknown: Set<String> = [
    "GPT2ForSequenceClassification", "OpenAIGPTForSequenceClassification",
    "T5ForSequenceClassification", "MT5ForSequenceClassification",
    "UMT5ForSequenceClassification", "RoFormerForMultipleChoice",
  ]

  static let classes: [Class] = {
    guard let bytes = try? File.contents(of: Fixtures.path("hf-keys.json")),
      let members = (try? JSON(parsing: bytes))?.members
    else { return [] }
    return members.map { member in
      Class(
        name: member.key, configuration: member.value["config"] ?? .object([]),
        keys: (member.value["keys"]?.members ?? []).map {
          ($0.key, Shape($0.value.array?.compactMap(\.int) ?? []))
        }, tied: (member.value["tied"]?.members ?? []).map(\.key))
    }
  }()

  /// The class's parameters without ties, each with values of its own.
  private func tensors(_ type: Class) -> [Tensor] {
    type.keys.filter { !type.tied.contains($0.name) }.enumerated().map { index, key in
      // ALBERT's sentence order has two labels; the row was made with three.
      let isOrder = key.name.hasPrefix("sop_classifier.")
      let shape = isOrder ? Shape([2] + key.shape.extents.dropFirst()) : key.shape
      guard !key.name.hasSuffix("embed_positions.weight") else {
        return HuggingFaceTests.sinusoids(key.name, shape)
      }
      return Tensor(
        name: key.name, shape: shape,
        values: (0..<shape.count).map { Float(index) + Float($0) / 1000 })
    }
  }

  /// As RoFormer's class makes them.
  private static func sinusoids(_ name: String, _ shape: Shape) -> Tensor {
    // Width 4: angles 1 and 1/100 of the position.
    func sine(_ x: Double) -> Double {
      var (term, sum) = (x, x)
      for n in 1..<20 {
        term *= -x * x / Double((2 * n) * (2 * n + 1))
        sum += term
      }
      return sum
    }
    var values: [Double] = []
    for row in 0..<shape[0] {
      let angles = [Double(row), Double(row) / 100]
      values += angles.map(sine) + angles.map { sine($0 + .pi / 2) }
    }
    return Tensor(name: name, shape: shape, values: values.map(Float.init))
  }

  private func configuration(_ type: Class) -> JSON {
    let types: [(prefix: String, type: String)] = [
      ("DistilBert", "distilbert"), ("Bert", "bert"), ("Albert", "albert"), ("Electra", "electra"),
      ("RoFormer", "roformer"), ("Roberta", "roberta"), ("GPT2", "gpt2"),
      ("OpenAIGPT", "openai-gpt"),
      ("T5", "t5"), ("MT5", "mt5"), ("UMT5", "umt5"),
    ]
    var json = type.configuration
    json.set("model_type", .string(types.first { type.name.hasPrefix($0.prefix) }?.type ?? ""))
    json.set("architectures", .array([.string(type.name)]))
    let isCausal = ["LMHeadModel", "ForCausalLM"].contains { type.name.hasSuffix($0) }
    if isCausal { json.set("is_decoder", .bool(true)) }
    return json
  }

  @Test(arguments: classes.filter { !unknown.contains($0.name) })
  func `a class's parameters are read and written again for the same class`(
    _ type: Class
  ) throws {
    let tensors = tensors(type)
    let model = try ModelReader().model(
      of: Checkpoint(format: "safetensors", groups: [Group(name: "", tensors: tensors)]),
      configuration: ("config.json", configuration(type)))
    #expect(model.carried.isEmpty)
    let spelling = try HuggingFace().spell(model)
    #expect(spelling.loadsAs == "\(type.name).from_pretrained(folder)")
    #expect(spelling.missing == [])
    #expect(spelling.unexpected == [])
    let written = Dictionary(
      spelling.checkpoint.tensors.map { ($0.name, $0) }
    ) { first, _ in first }
    #expect(Set(written.keys) == Set(tensors.map(\.name)))
    for tensor in tensors where !tensor.name.hasSuffix("embed_positions.weight") {
      #expect(try written[tensor.name]?.bytes() == tensor.bytes(), "\(tensor.name)")
    }
    #expect(Set(spelling.checkpoint.tensors.flatMap(\.aliases)) == Set(type.tied))
    // What it says of itself says the same again.
    let again = try ModelReader().model(
      of: spelling.checkpoint, configuration: ("config.json", spelling.configuration))
    #expect(again.architecture == model.architecture)
  }

  @Test(arguments: classes.filter { !unknown.contains($0.name) })
  func `missing and unexpected keys are what the class lacks and has over`(
    _ type: Class
  ) throws {
    let whole = try ModelReader().model(
      of: Checkpoint(format: "safetensors", groups: [Group(name: "", tensors: tensors(type))]),
      configuration: ("config.json", configuration(type)))
    for removed in whole.architecture.heads {
      var model = whole
      model.architecture.heads.remove(removed)
      model.weights.removeAll { $0.name.hasPrefix("\(removed.rawValue).") }
      guard let spelling = try? HuggingFace().spell(model) else { continue }
      let name = String(spelling.loadsAs.prefix { $0 != "." })
      let expected = Set(try named(name).keys.map(\.name))
      let written = Set(spelling.checkpoint.tensors.flatMap { [$0.name] + $0.aliases })
      #expect(Set(spelling.missing) == expected.subtracting(written), "\(name)")
      #expect(Set(spelling.unexpected) == written.subtracting(expected), "\(name)")
    }
  }

  @Test func `every class is there`() {
    #expect(HuggingFaceTests.classes.count == 70)
    #expect(unknownNames.isSubset(of: Set(HuggingFaceTests.classes.map(\.name))))
  }

  private var unknownNames: Set<String> { HuggingFaceTests.unknown }

  // MARK: Heads

  private func named(_ name: String) throws -> Class {
    try #require(HuggingFaceTests.classes.first { $0.name == name })
  }

  /// The class's parameters without a word about the class.
  private func read(
    _ name: String, settings: [(key: String, value: String)] = []
  ) throws -> Model {
    var options = ModelReader.Options()
    options.settings = [("num_attention_heads", "2")] + settings
    let checkpoint = Checkpoint(
      format: "safetensors", groups: [Group(name: "", tensors: tensors(try named(name)))])
    return try ModelReader(options).model(of: checkpoint, configuration: nil)
  }

  @Test(arguments: [
    ("BertForSequenceClassification", TopLayer.Input.pooler),
    ("BertForTokenClassification", .sequence), ("ElectraForTokenClassification", .sequence),
  ])
  func `without a configuration a classifier's place is assumed and said`(
    _ name: String, _ input: TopLayer.Input
  ) throws {
    let model = try read(name)
    #expect(model.architecture.tops.map(\.input) == [input])
    #expect(model.warnings.contains { $0.contains("--set head.classifier=") })
    let told = try read(name, settings: [("head.classifier", "first-token")])
    #expect(told.architecture.tops.map(\.input) == [.firstToken])
    #expect(!told.warnings.contains { $0.contains("--set head.classifier=") })
  }

  @Test(arguments: [("xlm-roberta", "XLMRoberta"), ("camembert", "Camembert")])
  func `classes of the same build under other names are known by their kind`(
    _ type: String, _ prefix: String
  ) throws {
    for (name, input) in [
      ("RobertaForMultipleChoice", TopLayer.Input.pooler),
      ("RobertaForTokenClassification", .sequence),
    ] {
      let own = try named(name)
      var json = configuration(own)
      json.set("model_type", .string(type))
      json.set(
        "architectures", .array([.string(name.replacing("Roberta", with: prefix))]))
      let model = try ModelReader().model(
        of: Checkpoint(format: "torch", groups: [Group(name: "", tensors: tensors(own))]),
        configuration: ("config.json", json))
      #expect(model.architecture.tops.map(\.input) == [input])
      #expect(model.warnings == [])
      #expect(try HuggingFace().spell(model).loadsAs.hasPrefix(name))
    }
  }

  @Test func `layers of a class that ckpt cannot compute are carried, and that is said`() throws {
    for name in HuggingFaceTests.unknown {
      let type = try named(name)
      let model = try ModelReader().model(
        of: Checkpoint(format: "torch", groups: [Group(name: "", tensors: tensors(type))]),
        configuration: ("config.json", configuration(type)))
      #expect(model.architecture.tops.isEmpty)
      #expect(!model.carried.flatMap(\.tensors).isEmpty, "\(name)")
      let spelling = try HuggingFace().spell(model)
      #expect(spelling.unexpected == model.carried.flatMap(\.tensors).map(\.name))
    }
  }

  @Test func `what is said of a layer that is not there is refused`() throws {
    for (name, key, value) in [
      ("BertModel", "head.classifier", "pooler"),
      ("BertForTokenClassification", "head.x", "pooler"),
      ("BertForTokenClassification", "head.classifier", "somewhere"),
    ] {
      let error = try #require(throws: CheckpointError.self) {
        try read(name, settings: [(key, value)])
      }
      #expect(error.kind == .usage, "\(error)")
    }
  }

  /// A random model with a user's layers on top.
  private func topped(_ tops: [TopLayer], heads: Set<Head> = []) throws -> Model {
    var model = try Models.random(
      family: "bert", groups: nil, layers: 2, projection: false, heads: heads)
    model.architecture.tops = tops
    model.weights += tops.flatMap(\.weights).map { spec in
      Weight(
        spec.name,
        Tensor(
          name: spec.name, shape: spec.shape,
          values: [Float](repeating: 0.5, count: spec.shape.count)), sources: [spec.name])
    }
    return try model.checked()
  }

  @Test(arguments: [
    (TopLayer.Input.sequence, Set<Head>(), "BertForTokenClassification"),
    (TopLayer.Input.pooler, Set<Head>([.pooler]), "BertForSequenceClassification"),
  ])
  func `a user's dense layer becomes the class's classifier`(
    _ input: TopLayer.Input, _ heads: Set<Head>, _ name: String
  ) throws {
    for output in [TopLayer.Output.softmax, .activated(.linear)] {
      let model = try topped(
        [TopLayer("dense_3", .dense(output), on: input, inputSize: 6, outputSize: 5)], heads: heads)
      let spelling = try HuggingFace().spell(model)
      #expect(spelling.loadsAs == "\(name).from_pretrained(folder)")
      #expect(spelling.missing == [])
      #expect(spelling.unexpected == [])
      #expect(spelling.checkpoint.tensors.contains { $0.name == "classifier.weight" })
      #expect(spelling.configuration["id2label"]?.members?.count == 5)
      #expect(spelling.remarks.contains { $0.contains("dense_3") })
    }
  }

  @Test func `layers that no class has are refused with what to drop`() throws {
    let dense = TopLayer(
      "dense_3", .dense(.activated(.linear)), on: .sequence, inputSize: 6, outputSize: 5)
    let crf = TopLayer("crf", .crf, on: .layer("dense_3"), inputSize: 5, outputSize: 5)
    for tops in [
      [dense, crf],
      [TopLayer("d", .dense(.activated(.relu)), on: .sequence, inputSize: 6, outputSize: 5)],
      [TopLayer("d", .dense(.softmax), on: .firstToken, inputSize: 6, outputSize: 5)],
    ] {
      let error = try #require(throws: CheckpointError.self) {
        try HuggingFace().spell(topped(tops))
      }
      #expect(error.kind == .wouldDrop)
      #expect(error.hint?.contains("--allow-drop 'head.\(tops.last?.name ?? "").*'") == true)
    }
  }

  // MARK: Refusals

  struct Refusal: Sendable, CustomTestStringConvertible {
    var family: String
    var heads: Set<Head> = []
    var change: @Sendable (inout Configuration) -> Void
    var words: [String]

    var testDescription: String { "\(family): \(words[0])" }
  }

  static let refusals: [Refusal] = [
    Refusal(family: "bert", change: { $0.keySize = 4 }, words: ["key size 4"]),
    Refusal(family: "bert", change: { $0.residualScores = true }, words: ["adds a layer's scores"]),
    Refusal(family: "bert", change: { $0.talkingHeads = true }, words: ["talking-heads"]),
    Refusal(
      family: "bert", change: { $0.hierarchicalPosition = 0.4 },
      words: ["decomposed", "--set hierarchical_position=false"]),
    Refusal(
      family: "bert", change: { $0.givenPositions = true },
      words: ["position_ids", "--set custom_position_ids=false"]),
    Refusal(family: "bert", change: { $0.conditionSize = 3 }, words: ["condition"]),
    Refusal(family: "bert", change: { $0.normalization = .squaredRelu }, words: ["squared_relu"]),
    Refusal(family: "bert", change: { $0.sharesSegments = true }, words: ["token table"]),
    Refusal(
      family: "bert", change: { $0.segments = 0 },
      words: ["table of segments", "--to-family distilbert"]),
    Refusal(family: "distilbert", change: { _ in }, words: ["table of segments"]),
    Refusal(family: "gpt", change: { $0.segments = 0 }, words: ["4 × hidden_size"]),
    Refusal(
      family: "gpt", change: { ($0.segments, $0.intermediateSize) = (0, 24) },
      words: ["one of tanh", "--set hidden_act=gelu_tanh"]),
    Refusal(
      family: "electra", heads: [.mlm], change: { $0.headActivation = .geluTanh },
      words: ["gelu_erf", "--set head_act=gelu_erf", "--allow-drop 'mlm.*'"]),
    Refusal(
      family: "bert", heads: [.pooler], change: { $0.poolerActivation = .relu },
      words: ["tanh, not relu", "--allow-drop 'pooler.*'"]),
    Refusal(
      family: "roformer", heads: [.pooler],
      change: { ($0.hiddenSize, $0.embeddingSize, $0.keySize, $0.headSize) = (8, 8, 4, 4) },
      words: ["pooler", "--allow-drop 'pooler.*'"]),
    Refusal(family: "nezha", change: { _ in }, words: ["NEZHA"]),
    Refusal(
      family: "roformer_v2",
      change: { ($0.hiddenSize, $0.embeddingSize, $0.keySize, $0.headSize) = (8, 8, 4, 4) },
      words: ["RoFormerV2"]),
    Refusal(family: "gau_alpha", change: { $0.keySize = 4 }, words: ["gated attention"]),
    Refusal(family: "gpt2_ml", change: { $0.segments = 0 }, words: ["around"]),
    Refusal(
      family: "t5", heads: [.lm], change: { $0.crossPositionBias = true },
      words: ["position bias", "--set cross_position_bias=false"]),
    Refusal(
      family: "t5", heads: [.lm], change: { ($0.scalesDecoder, $0.tiesDecoder) = (true, false) },
      words: ["output weights of its own", "--apply fold-decoder-scale"]),
    Refusal(
      family: "mt5", heads: [.lm], change: { $0.scalesDecoder = true },
      words: ["MT5", "--apply fold-decoder-scale"]),
    Refusal(
      family: "t5", heads: [], change: { $0.hasEncoder = false }, words: ["without its encoder"]),
    Refusal(family: "t5", heads: [.lm], change: { $0.normOffset = true }, words: ["beta"]),
    Refusal(family: "t5", heads: [.lm], change: { $0.keySize = 5 }, words: ["one size"]),
  ]

  @Test(arguments: refusals)
  func `what transformers cannot hold is refused with the next step`(_ refusal: Refusal) throws {
    let model = try Models.random(
      family: refusal.family, groups: nil, layers: 1, projection: false, heads: refusal.heads,
      change: refusal.change)
    let error = try #require(throws: CheckpointError.self) { try HuggingFace().spell(model) }
    #expect([.unsupported, .wouldDrop].contains(error.kind))
    for word in refusal.words {
      #expect(error.description.contains(word) || error.hint?.contains(word) == true, "\(error)")
    }
  }

  @Test func `a table that is not of sinusoids is refused`() throws {
    var tensors = tensors(try named("RoFormerModel"))
    let index = try #require(tensors.firstIndex { $0.name.hasSuffix("embed_positions.weight") })
    tensors[index] = Tensor(
      name: tensors[index].name, shape: tensors[index].shape,
      values: [Float](repeating: 0.3, count: tensors[index].shape.count))
    let checkpoint = Checkpoint(
      format: "safetensors", groups: [Group(name: "", tensors: tensors)])
    let error = try #require(throws: CheckpointError.self) {
      try ModelReader().model(
        of: checkpoint,
        configuration: ("config.json", configuration(try named("RoFormerModel"))))
    }
    #expect(error.description.contains("sinusoids"))
  }

  @Test func `a decoder that equals the token table is tied, another is the model's own`() throws {
    let type = try named("T5ForConditionalGeneration")
    let tensors = tensors(type)
    let table = try #require(tensors.first { $0.name == "shared.weight" })
    let other = Tensor(
      name: "lm_head.weight", shape: table.shape,
      values: [Float](repeating: 0.25, count: table.shape.count))
    for (decoder, isTied) in [(table.renamed("lm_head.weight"), true), (other, false)] {
      let model = try ModelReader().model(
        of: Checkpoint(
          format: "safetensors", groups: [Group(name: "", tensors: tensors + [decoder])]),
        configuration: ("config.json", configuration(type)))
      #expect(model.architecture.configuration.tiesDecoder == isTied)
      #expect(model.redundant.map(\.tensor.name) == (isTied ? ["lm_head.weight"] : []))
      #expect(model.architecture.configuration.scalesDecoder)
    }
  }

  @Test func `tf_model h5 is read only`() throws {
    let model = try Models.random(
      family: "bert", groups: nil, layers: 1, projection: false, heads: [])
    let error = try #require(throws: CheckpointError.self) { try HuggingFaceTF().spell(model) }
    #expect(error.hint?.contains("--to huggingface") == true)
  }
}
