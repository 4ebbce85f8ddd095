import TestSupport
import Testing

@testable import Checkpoint

/// bert4keras' families and options: what is read from its files and written again.
@Suite struct Bert4kerasTests {
  /// Fixtures of families and options, and what their configuration leaves unsaid.
  static let fixtures: [(name: String, settings: [String: String])] =
    [
      "nezha", "roformer", "roformer-v2", "gau-alpha", "gpt", "gpt2", "gpt2-ml", "electra",
      "albert-unshared", "bert-prefix", "simbert", "t5", "t5.1.1", "t5-no-cross-bias", "opt-sizes",
      "opt-gated", "opt-segments0", "opt-segments3", "opt-shared-segments", "opt-hierarchical",
      "opt-hierarchical-number", "opt-residual", "opt-positions", "opt-roformer-positions",
      "opt-conditional", "opt-conditional-hidden", "opt-talking-heads", "opt-linear-mlm",
    ].map { ("b4k-\($0)", [:]) } + [("b4k-opt-keep-tokens", ["vocab_size": "19"])]

  private func model(
    _ fixture: String, _ file: String = "weights.h5", _ settings: [String: String] = [:]
  ) throws -> Model {
    var options = ModelReader.Options()
    options.settings = settings.map { ($0.key, $0.value) }
    options.configurationPath = Fixtures.path(fixture, "config.json")
    return try Opening(Fixtures.path(fixture, file), options: options).model()
  }

  /// Fails unless the spelling is the file: layers, names, order and bytes.
  private func same(_ spelling: Spelling, as file: String) throws {
    let stored = try Opening(file).checkpoint.groups.filter { !$0.tensors.isEmpty }
    let groups = spelling.checkpoint.groups
    #expect(groups.map(\.name) == stored.map(\.name))
    for (group, other) in zip(groups, stored) {
      #expect(group.tensors.map(\.name) == other.tensors.map(\.name))
      for (tensor, original) in zip(group.tensors, other.tensors) {
        #expect(try tensor.bytes() == original.bytes(), "\(tensor.name)")
      }
    }
  }

  @Test func `a whole model tells whether its only block is shared`() throws {
    let layers = try Opening(Fixtures.path("b4k-opt-segments3", "weights.h5")).checkpoint
      .kerasLayers
    let three = try JSON(parsing: Array(#"{"num_hidden_layers": 3}"#.utf8))
    for (calls, family) in [(nil, "albert"), (1, "bert"), (3, "albert")] as [(Int?, String)] {
      #expect(Bert4keras.recognise(layers, three, calls: calls)?.family == family)
    }
  }

  @Test(arguments: fixtures)
  func `what is read is written as it was, and read again`(
    _ test: (name: String, settings: [String: String])
  ) throws {
    let model = try model(test.name, "weights.h5", test.settings)
    let spelling = try Bert4keras().spell(model)
    try same(spelling, as: Fixtures.path(test.name, "weights.h5"))
    // config.json says all that the weights do not.
    let again = try ModelReader().model(
      of: spelling.checkpoint, configuration: ("config.json", spelling.configuration))
    #expect(again.architecture.configuration == model.architecture.configuration)
    #expect(again.architecture.family == model.architecture.family)

    let bundle = Bert4keras().arranged(spelling, for: "tf").checkpoint
    let found = try ModelReader().model(
      of: bundle, configuration: ("config.json", spelling.configuration))
    #expect(found.architecture.family == model.architecture.family)
    #expect(found.weights.map(\.name) == model.weights.map(\.name))
    for (weight, other) in zip(found.weights, model.weights) {
      #expect(try weight.tensor.bytes() == other.tensor.bytes(), "\(weight.name)")
    }
  }

  @Test(arguments: ["encoder", "decoder"], ["b4k-t5", "b4k-t5.1.1"])
  func `halves of T5 are written as they were`(_ half: String, _ fixture: String) throws {
    let spelling = try Bert4keras().spell(model(fixture, "\(half).h5"))
    try same(spelling, as: Fixtures.path(fixture, "\(half).h5"))
    #expect(spelling.loadsAs.contains("_\(half)'"), "\(spelling.loadsAs)")
  }

  @Test(arguments: [
    ("b4k-roformer", "model='roformer', with_pool=True, with_nsp=True, with_mlm=True"),
    ("b4k-electra", "model='electra', with_discriminator=True"),
    ("b4k-gau-alpha", "model=GAU_alpha, with_mlm=True"), ("b4k-gpt2-ml", "model='gpt2_ml')"),
    ("b4k-t5", "model='t5.1.0')"), ("b4k-t5.1.1", "model='t5.1.1')"),
    ("b4k-opt-conditional", "layer_norm_cond=condition"),
    ("b4k-albert-unshared", "model='bert'"),
  ])
  func `the call that loads it is named`(_ fixture: String, _ call: String) throws {
    let loads = try Bert4keras().spell(model(fixture)).loadsAs
    #expect(loads.contains(call), "\(loads)")
  }

  /// Whole-model files state everything that is computed: no configuration file is needed.
  @Test(arguments: ["b4k-roformer", "b4k-nezha", "b4k-gpt2"])
  func `a whole model tells its configuration`(_ fixture: String) throws {
    let folder = try TemporaryFolder()
    let bytes = try File.contents(of: Fixtures.path(fixture, "model.h5"))
    let alone = try Opening(folder.file("model.h5", bytes)).model()
    var configuration = try model(fixture).architecture.configuration
    // Rows of a table that the family has not.
    configuration.positions = alone.architecture.configuration.positions
    #expect(alone.architecture.configuration == configuration)
    #expect(!alone.warnings.contains { $0.contains("bert4keras_version") })
  }

  @Test func `a vocabulary that was trimmed is a contradiction with its way out`() throws {
    let error = try #require(throws: CheckpointError.self) { try model("b4k-opt-keep-tokens") }
    #expect(error.kind == .mismatch)
    #expect(error.hint?.contains("--set vocab_size=19") == true, "\(error)")
    let trimmed = try model("b4k-opt-keep-tokens", "weights.h5", ["vocab_size": "19"])
    #expect(trimmed.architecture.configuration.vocabularySize == 19)
  }

  @Test func `a prefix is found, kept and said`() throws {
    let model = try model("b4k-bert-prefix")
    #expect(model.architecture.configuration.layerPrefix == "Student-")
    #expect(try Bert4keras().spell(model).configuration["prefix"]?.string == "Student-")
  }

  @Test func `what cannot be told is assumed aloud, and --family decides`() throws {
    #expect(try model("b4k-albert-unshared").warnings.contains { $0.contains("--family decides") })
    var options = ModelReader.Options()
    options.family = "electra"
    options.configurationPath = Fixtures.path("b4k-electra", "config.json")
    let electra = try Opening(Fixtures.path("b4k-electra", "weights.h5"), options: options).model()
    #expect(electra.warnings == [])
  }

  /// `b4k-names-families.json`: what `save_weights` writes, by model, application and heads.
  @Test func `families are written in Keras' order under its names`() throws {
    let bytes = try File.contents(of: Fixtures.path("b4k-names-families.json"))
    let entries = try #require(try JSON(parsing: bytes).members)
    #expect(entries.count > 20)
    for (key, rows) in entries.map({ ($0.key, $0.value) }) {
      let parts = key.split(separator: "|").map(String.init)
      let expected = try #require(rows.array).compactMap { row -> (String, [String], [[Int]])? in
        guard let parts = row.array, let layer = parts[0].string,
          let names = parts[1].array?.compactMap(\.string), !names.isEmpty
        else { return nil }
        let shapes = parts[2].array?.map { $0.array?.compactMap(\.int) ?? [] } ?? []
        return (layer, names, shapes)
      }
      // A checkpoint of those layers, read and written.
      let groups = expected.map { layer, names, shapes in
        Group(
          name: layer,
          tensors: zip(names, shapes).map { name, shape in
            Tensor(
              name: "\(layer)/\(name)", shape: Shape(shape),
              values: [Float](repeating: 0, count: shape.reduce(1, *)))
          })
      }
      var options = ModelReader.Options()
      options.family = parts[0]
      let heads = parts[0] == "gau_alpha" ? "1" : "2"
      options.settings = [("num_attention_heads", heads), ("num_hidden_layers", "2")]
      let blocks = groups.count { $0.name.hasSuffix("-MultiHeadSelfAttention") }
      if blocks == 1, parts[0] != "albert" { options.settings[1].value = "1" }
      let model = try ModelReader(options).model(
        of: Checkpoint(format: "keras-h5", groups: groups), configuration: nil)
      let spelled = try Bert4keras().spell(model).checkpoint.groups
      #expect(spelled.map(\.name) == groups.map(\.name), "\(key)")
      #expect(
        spelled.flatMap(\.tensors).map(\.name) == groups.flatMap(\.tensors).map(\.name), "\(key)")
    }
  }
}
