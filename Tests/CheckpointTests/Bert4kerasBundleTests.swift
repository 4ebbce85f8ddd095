import TestSupport
import Testing

@testable import Checkpoint

/// Bundles of objects that bert4keras writes, against the HDF5 file of the same model.
@Suite struct Bert4kerasBundleTests {
  static let fixtures = [
    "b4k-bert", "b4k-albert", "b4k-bert-user", "b4k-albert-relu", "b4k-roformer", "b4k-nezha",
    "b4k-gpt2",
  ]

  func options(_ fixture: String) -> ModelReader.Options {
    var options = ModelReader.Options()
    options.configurationPath = Fixtures.path(fixture, "config.json")
    return options
  }

  func model(_ fixture: String, _ file: String) throws -> Model {
    try Opening(Fixtures.path(fixture, file), options: options(fixture)).model()
  }

  /// Fails unless both models have the same weights and the same tensors that travel along.
  func same(_ model: Model, _ expected: Model, but missing: Set<Head> = []) throws {
    #expect(model.architecture.configuration == expected.architecture.configuration)
    #expect(model.architecture.heads == expected.architecture.heads.subtracting(missing))
    let wanted = expected.weights.filter { weight in
      !missing.contains { weight.name.hasPrefix("\($0.rawValue).") }
    }
    #expect(model.weights.map(\.name) == wanted.map(\.name))
    for (weight, other) in zip(model.weights, wanted) {
      #expect(try weight.tensor.bytes() == other.tensor.bytes(), "\(weight.name)")
    }
  }

  @Test(arguments: Bert4kerasBundleTests.fixtures)
  func `a bundle is the model of the HDF5 file`(fixture: String) throws {
    let expected = try model(fixture, "weights.h5")
    let found = try model(fixture, "tf/best_model.weights")
    #expect(found.dialect == "bert4keras")
    try same(found, expected)
    #expect(found.left.isEmpty && found.redundant.isEmpty)
    let (ours, theirs) = (found.carried, expected.carried)
    #expect(ours.map(\.name) == theirs.map(\.name))
    #expect(ours.flatMap(\.tensors).map(\.name) == theirs.flatMap(\.tensors).map(\.name))
    for (tensor, other) in zip(ours.flatMap(\.tensors), theirs.flatMap(\.tensors)) {
      #expect(try tensor.bytes() == other.bytes())
    }
    #expect(
      found.weights.allSatisfy { $0.sources.allSatisfy { $0.hasSuffix("VARIABLE_VALUE") } })
  }

  @Test(arguments: ["legacy_adam", "adam", "variables"])
  func `training's state is left over with the reason`(file: String) throws {
    let found = try model("b4k-albert-relu", "tf/\(file)")
    try same(found, model("b4k-albert-relu", "weights.h5"))
    #expect(found.carried.isEmpty)
    let all = try Opening(Fixtures.path("b4k-albert-relu/tf", file)).checkpoint.tensors
    #expect(found.left.count == all.count - found.weights.count && found.left.count > 50)
    for leftover in found.left {
      let isMetric = leftover.tensor.name.hasPrefix("keras_api/")
      #expect(leftover.reason == (isMetric ? "a metric's state" : "optimizer state"))
    }
  }

  @Test(arguments: Bert4kerasBundleTests.fixtures)
  func `without the graph, attributes and order tell what they can`(fixture: String) throws {
    var checkpoint = try Opening(Fixtures.path(fixture, "tf/best_model.weights")).checkpoint
    checkpoint.attributes = []
    checkpoint.groups[0].tensors = checkpoint.groups[0].tensors.map { tensor in
      Tensor(
        name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, payload: tensor.payload)
    }
    let bytes = try File.contents(of: Fixtures.path(fixture, "config.json"))
    var options = options(fixture)
    // GPT2's layers are of the kinds, and in the order, of a BERT's without segments.
    if fixture == "b4k-gpt2" { options.family = "gpt2" }
    let found = try ModelReader(options).model(
      of: checkpoint, configuration: ("config.json", JSON(parsing: bytes)))
    let expected = try model(fixture, "weights.h5")
    let told: Set<Head> = [.pooler, .nsp, .sop]
    try same(found, expected, but: told)
    let heads = expected.architecture.heads.intersection(told).count
    #expect(found.carried.count == heads + expected.carried.count)
    #expect(found.carried.allSatisfy { $0.name.hasPrefix("layer_with_weights-") })
  }

  @Test func `a model inside a checkpoint, or in another format, is found too`() throws {
    let folder = try TemporaryFolder()
    var checkpoint = try Opening(Fixtures.path("b4k-bert/tf/best_model.weights")).checkpoint
    let output = Output(overwrite: false, inputs: [])
    try Safetensors().write(
      checkpoint, to: folder.file("a.safetensors"), in: output, options: WriteOptions())
    try output.commit(durable: false)
    let expected = try model("b4k-bert", "weights.h5")
    let opened = try Opening(folder.file("a.safetensors"), options: options("b4k-bert"))
    try same(opened.model(), expected)
    #expect(opened.checkpoint.attributes == checkpoint.attributes)

    checkpoint.groups[0].tensors = checkpoint.groups[0].tensors.map { tensor in
      var copy = tensor.renamed("model/" + tensor.name)
      copy.aliases = tensor.aliases.map { $0.hasPrefix("layer_with") ? "model/" + $0 : $0 }
      return copy
    }
    let counter = "save_counter/.ATTRIBUTES/VARIABLE_VALUE"
    checkpoint.groups[0].tensors.append(Tensor(name: counter, shape: [], values: [1]))
    let bytes = try File.contents(of: Fixtures.path("b4k-bert", "config.json"))
    let found = try ModelReader(options("b4k-bert")).model(
      of: checkpoint, configuration: ("config.json", JSON(parsing: bytes)))
    try same(found, expected)
    #expect(found.left.map(\.tensor.name) == [counter])
  }

  /// The inverse: the keys, the bytes and the variables' own names that tf.keras writes.
  @Test(arguments: Bert4kerasBundleTests.fixtures)
  func `what is written is what Keras writes`(fixture: String) throws {
    let dialect = Bert4keras()
    let spelling = dialect.arranged(
      try dialect.spell(model(fixture, "weights.h5")), for: "tf")
    #expect(spelling.loadsAs.hasSuffix(".load_weights(prefix), with TF_KERAS=1"))
    let folder = try TemporaryFolder()
    let written = try folder.bundle(spelling.checkpoint)
    let expected = try Opening(Fixtures.path(fixture, "tf/best_model.weights")).checkpoint
    #expect(written.tensors.map(\.name) == expected.tensors.map(\.name))
    for (tensor, other) in zip(written.tensors, expected.tensors) {
      #expect(tensor.aliases == other.aliases)
      #expect(try tensor.bytes() == other.bytes(), "\(tensor.name)")
    }
    #expect(Set(spelling.rows.map(\.target)) == Set(expected.tensors.map(\.name)))
  }
}
