import Checkpoint
import Foundation
import TestSupport
import Testing

/// `convert` and `verify` of graphs of layers; Keras loads what is written in `make interop`.
@Suite struct KerasConversionTests {
  /// A functional model of Keras 2 with a layer and an inner model that are used twice.
  static let graph = """
    {"class_name": "Functional", "config": {"name": "m", "trainable": true, "layers": [
    {"class_name": "InputLayer", "config": {"batch_input_shape": [null, 8], "dtype": "float32", "name": "a"},
     "name": "a", "inbound_nodes": []},
    {"class_name": "InputLayer", "config": {"batch_input_shape": [null, 8], "dtype": "float32", "name": "b"},
     "name": "b", "inbound_nodes": []},
    {"class_name": "Dense", "config": {"name": "shared", "units": 4, "activation": "relu", "use_bias": true},
     "name": "shared", "inbound_nodes": [[["a", 0, 0, {}]], [["b", 0, 0, {}]]]},
    {"class_name": "Sequential", "config": {"name": "inner", "layers": [
      {"class_name": "InputLayer", "config": {"batch_input_shape": [null, 4], "name": "inner_input"}},
      {"class_name": "Dense", "config": {"name": "narrow", "units": 3, "activation": "tanh"}},
      {"class_name": "Dense", "config": {"name": "wide", "units": 4, "activation": "ACTIVATION"}}]},
     "name": "inner", "inbound_nodes": [[["shared", 0, 0, {}]], [["shared", 1, 0, {}]]]},
    {"class_name": "Dense", "config": {"name": "left", "units": 2}, "name": "left",
     "inbound_nodes": [[["inner", 1, 0, {}]]]},
    {"class_name": "Dense", "config": {"name": "right", "units": 3, "use_bias": false}, "name": "right",
     "inbound_nodes": [[["inner", 2, 0, {}]]]}],
    "input_layers": [["a", 0, 0], ["b", 0, 0]], "output_layers": [["left", 0, 0], ["right", 0, 0]]},
    "keras_version": "2.15.0", "backend": "tensorflow"}
    """

  static func tensor(_ name: String, _ shape: Shape, seed: Int) -> Tensor {
    var generator = SeededGenerator(seed: UInt64(seed))
    return Tensor(
      name: name, shape: shape,
      values: (0..<shape.count).map { _ in Float.random(in: -1...1, using: &generator) })
  }

  /// Weights by layers, with the graph beside them.
  func weights(
    in folder: TemporaryFolder, _ name: String = "own", seed: Int = 1, activation: String = "linear"
  ) throws -> String {
    func group(_ layer: String, _ tensors: [(String, Shape)]) -> Group {
      Group(
        name: layer,
        tensors: tensors.enumerated().map { index, tensor in
          KerasConversionTests.tensor("\(layer)/\(tensor.0)", tensor.1, seed: seed + index)
        })
    }
    let checkpoint = Checkpoint(groups: [
      group("a", []), group("b", []),
      group("shared", [("shared/kernel:0", [8, 4]), ("shared/bias:0", [4])]),
      group(
        "inner",
        [
          ("narrow/kernel:0", [4, 3]), ("narrow/bias:0", [3]), ("wide/kernel:0", [3, 4]),
          ("wide/bias:0", [4]),
        ]),
      group("left", [("left/kernel:0", [4, 2]), ("left/bias:0", [2])]),
      group("right", [("right/kernel:0", [4, 3])]),
    ])
    let path = folder.file("\(name).h5")
    let output = Output(overwrite: true, inputs: [])
    try KerasHDF5().write(checkpoint, to: path, in: output, options: WriteOptions())
    try output.commit(durable: false)
    let text = Self.graph.replacingOccurrences(of: "ACTIVATION", with: activation)
    try text.write(toFile: folder.file("\(name).json"), atomically: true, encoding: .utf8)
    return path
  }

  @Test func `every form of Keras leads to every other, and computes the same`() throws {
    let folder = try TemporaryFolder()
    let own = try weights(in: folder)
    let forms = ["one.keras", "one.h5", "one.weights.h5"].map { folder.file($0) }
    var sources = [own]
    for (index, form) in forms.enumerated() {
      let made = try Command.convert(own, to: form, ["--to", "keras"])
      #expect(made.code == 0, "\(made.errors)")
      #expect(made.json?["verification"]?["verdict"]?.string == "identical", "\(form)")
      #expect(made.json?["verification"]?["values"]?.array?.count == 6)
      #expect(made.json?["read_back"]?.int == 9)
      sources.append(form)
      for (number, target) in forms.enumerated() {
        let suffix = Paths.name(of: target).drop { $0 != "." }
        let again = folder.file("again-\(index)-\(number)\(suffix)")
        let other = try Command.convert(form, to: again, ["--to", "keras"])
        #expect(other.json?["verification"]?["verdict"]?.string == "identical", "\(other.errors)")
        let same = try Command.run("verify", own, again, "--json")
        #expect(same.code == 0 && same.json?["verdict"]?.string == "identical", "\(same.errors)")
        #expect(same.json?["weights_compared"]?.int == 9)
      }
    }
  }

  @Test func `a model without weights leads to every form`() throws {
    let folder = try TemporaryFolder()
    let graph = """
      {"class_name": "Functional", "config": {"name": "m", "layers": [
      {"class_name": "InputLayer", "config": {"batch_input_shape": [null, 3], "name": "a"},
       "name": "a", "inbound_nodes": []},
      {"class_name": "Activation", "config": {"name": "b", "activation": "tanh"}, "name": "b",
       "inbound_nodes": [[["a", 0, 0, {}]]]}],
      "input_layers": [["a", 0, 0]], "output_layers": [["b", 0, 0]]}, "keras_version": "2.15.0"}
      """
    try folder.file("own.json", Array(graph.utf8))
    let output = Output(overwrite: true, inputs: [])
    try Safetensors().write(
      Checkpoint(groups: [Group(name: "", tensors: [])]), to: folder.file("own.safetensors"),
      in: output, options: WriteOptions())
    try output.commit(durable: false)
    let (archive, whole) = (folder.file("one.keras"), folder.file("two.h5"))
    let made = try Command.convert(folder.file("own.safetensors"), to: archive, ["--to", "keras"])
    #expect(made.code == 0, "\(made.errors)")
    #expect(try Command.convert(archive, to: whole).code == 0)
    // Keras looks for the group, and for the list in it.
    let read = try KerasHDF5().read(Probe(whole))
    #expect(read.attributes.contains { $0.name == "model_weights@layer_names" })
    let same = try Command.run("verify", archive, whole, "--json")
    #expect(same.code == 0 && same.json?["verdict"]?.string == "identical", "\(same.errors)")
  }

  @Test func `an archive has the members, names and references of Keras 3`() throws {
    let folder = try TemporaryFolder()
    let made = folder.file("one.keras")
    #expect(try Command.convert(weights(in: folder), to: made).code == 0)
    let checkpoint = try Keras().read(Probe(made))
    let names = [
      "layers/dense/vars/0", "layers/dense/vars/1", "layers/dense_1/vars/0",
      "layers/dense_1/vars/1", "layers/dense_2/vars/0",
      "layers/sequential/layers/dense/vars/0", "layers/sequential/layers/dense/vars/1",
      "layers/sequential/layers/dense_1/vars/0", "layers/sequential/layers/dense_1/vars/1",
    ]
    #expect(checkpoint.tensors.map(\.name).sorted() == names.sorted())
    #expect(checkpoint.text("keras_version")?.hasPrefix("3.") == true)
    let config = try JSON(parsing: Array(#require(checkpoint.text("model_config")).utf8))
    #expect(config["module"]?.string == "keras.src.models.functional")
    let layers = try #require(config["config"]?["layers"]?.array)
    #expect(
      layers[0]["config"]?["batch_shape"]?.compact == "[null, 8]"
        || layers[0]["config"]?["batch_shape"]?.compact == "[null,8]")
    // Keras 3 counts an inner model's applications from the first within the model.
    let node = layers[5]["inbound_nodes"]?.array?.first?["args"]?.array?.first
    let history = node?["config"]?["keras_history"]?.array
    #expect(history?.first?.string == "inner" && history?[1].int == 1)
    // Twice the same bytes.
    let twin = folder.file("two.keras")
    #expect(try Command.convert(weights(in: folder), to: twin).code == 0)
    #expect(try File.contents(of: made) == File.contents(of: twin))
  }

  @Test func `what Keras 3 would compute otherwise is refused`() throws {
    let folder = try TemporaryFolder()
    let own = try weights(in: folder, activation: "hard_sigmoid")
    let refused = try Command.convert(own, to: folder.file("x.keras"))
    #expect(refused.code == 2)
    #expect(refused.errors.contains("hard_sigmoid") && refused.errors.contains("wide"))
    #expect(!Paths.exists(folder.file("x.keras")))
  }

  @Test func `verify names the first layer that differs`() throws {
    let folder = try TemporaryFolder()
    let (a, b) = (try weights(in: folder), try weights(in: folder, "other", seed: 7))
    let result = try Command.run("verify", a, b, "--json")
    #expect(result.code == 1)
    #expect(result.json?["first_difference"]?["name"]?.string == "shared")
    #expect(result.json?["length"] == .null && result.json?["rows"]?.int == 2)
    #expect(result.json?["weights_differing"]?.array?.isEmpty == false)
  }

  @Test func `a folded graph answers as the one that it was made of`() throws {
    let folder = try TemporaryFolder()
    let source = Fixtures.path("keras-models", "mobilenet", "keras3.keras")
    let folded = folder.file("folded.keras")
    let made = try Command.convert(source, to: folded, ["--apply", "fold-batchnorm"])
    #expect(made.code == 0, "\(made.errors)")
    let same = try Command.run("verify", source, folded, "--json")
    #expect(same.code == 0, "\(same.errors)")
    #expect(same.json?["verdict"]?.string == "rounding")
    // A weight that is off shows in the answers.
    let other = try Command.run(
      "verify", folded, Fixtures.path("keras-models", "xception", "keras3.keras"))
    #expect(other.code != 0)
  }

  @Test func `a step for families does not touch a graph of layers`() throws {
    let folder = try TemporaryFolder()
    let result = try Command.convert(
      weights(in: folder), to: folder.file("x.keras"), steps: ["untie"])
    #expect(result.code == 64 && result.errors.contains("graph"), "\(result.errors)")
  }

  @Test func `casts round, and say so`() throws {
    let folder = try TemporaryFolder()
    let result = try Command.convert(
      weights(in: folder), to: folder.file("x.keras"), steps: ["cast=f16"])
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["verification"]?["contract"]?.string == "lossy")
    #expect(
      try Keras().read(Probe(folder.file("x.keras"))).tensors.allSatisfy { $0.dtype == .f16 })
  }

  // MARK: Known families

  @Test func `an untied ALBERT is written whole, each depth with layers of its own`() throws {
    let folder = try TemporaryFolder()
    let out = folder.file("untied.h5")
    let made = try Command.convert(
      Fixtures.path("b4k-albert", "model.h5"), to: out, steps: ["untie", "drop-layers=1"])
    #expect(made.code == 0, "\(made.errors)")
    let checkpoint = try KerasHDF5().read(Probe(out))
    let config = try JSON(parsing: Array(#require(checkpoint.text("model_config")).utf8))
    let layers = try #require(config["config"]?["layers"]?.array)
    let names = layers.compactMap { $0["name"]?.string }
    #expect(
      names.filter { $0.hasSuffix("-FeedForward") }
        == (0..<4).map { "Transformer-\($0)-FeedForward" })
    let second = layers.first { $0["name"]?.string == "Transformer-1-FeedForward-Add" }
    #expect(second?["inbound_nodes"]?.array?.count == 1)
    let mlm = layers.first { $0["name"]?.string == "MLM-Dense" }
    #expect(
      mlm?["inbound_nodes"]?.array?.first?.array?.first?.array?.first?.string
        == "Transformer-3-FeedForward-Norm")
  }

  @Test func `sizes in a whole model's graph follow its weights`() throws {
    let folder = try TemporaryFolder()
    let out = folder.file("wide.h5")
    let made = try Command.convert(
      Fixtures.path("b4k-bert", "model.h5"), to: out,
      steps: ["widen-key-size=20", "widen-ffn=100", "extend-positions=64"])
    #expect(made.code == 0, "\(made.errors)")
    let checkpoint = try KerasHDF5().read(Probe(out))
    let config = try JSON(parsing: Array(#require(checkpoint.text("model_config")).utf8))
    func value(_ layer: String, _ key: String) -> Int? {
      config["config"]?["layers"]?.array?.first { $0["name"]?.string == layer }?["config"]?[key]?
        .int
    }
    #expect(value("Transformer-0-MultiHeadSelfAttention", "key_size") == 20)
    #expect(value("Transformer-1-FeedForward", "units") == 100)
    #expect(value("Embedding-Position", "input_dim") == 64)
  }
}
