import Checkpoint
import Foundation
import TestSupport
import Testing

/// What commands show of Keras graphs: models that other libraries saved.
@Suite struct KerasGraphTests {
  private static let folder = Command.fixtures + "/keras"

  /// Two chains of dense layers in one model: an inner one that is applied twice, and a frozen layer.
  static let nested = """
    {"class_name": "Functional", "config": {"name": "whole", "layers": [
      {"class_name": "InputLayer", "name": "a", "inbound_nodes": [],
       "config": {"name": "a", "batch_input_shape": [null, 6]}},
      {"class_name": "InputLayer", "name": "b", "inbound_nodes": [],
       "config": {"name": "b", "batch_input_shape": [null, 6]}},
      {"class_name": "Sequential", "name": "enc",
       "inbound_nodes": [[["a", 0, 0, {}]], [["b", 0, 0, {}]]],
       "config": {"name": "enc", "layers": [
         {"class_name": "InputLayer", "config": {"name": "in", "batch_input_shape": [null, 6]}},
         {"class_name": "Dense", "config": {"name": "one", "units": 5}},
         {"class_name": "Dense", "config": {"name": "two", "units": 4, "activation": "tanh"}}]}},
      {"class_name": "Dense", "name": "cold", "inbound_nodes": [[["enc", 0, 0, {}]]],
       "config": {"name": "cold", "units": 3, "trainable": false}},
      {"class_name": "Mystery", "name": "what", "inbound_nodes": [[["enc", 1, 0, {}]]],
       "config": {"name": "what", "units": 2}},
      {"class_name": "Dense", "name": "behind", "inbound_nodes": [[["what", 0, 0, {}]]],
       "config": {"name": "behind", "units": 2}}],
     "input_layers": [["a", 0, 0], ["b", 0, 0]],
     "output_layers": [["cold", 0, 0], ["behind", 0, 0]]}}
    """

  /// The model as a weights file with its configuration beside it.
  static func write(
    _ folder: TemporaryFolder, _ name: String, scale: Float = 1, graph: String = nested,
    more: [(String, [Int])] = []
  ) throws -> String {
    var tensors: [Tensor] = []
    for (path, shape) in [
      ("layers/sequential/layers/dense/vars/0", [6, 5]),
      ("layers/sequential/layers/dense/vars/1", [5]),
      ("layers/sequential/layers/dense_1/vars/0", [5, 4]),
      ("layers/sequential/layers/dense_1/vars/1", [4]), ("layers/dense/vars/0", [4, 3]),
      ("layers/dense/vars/1", [3]), ("layers/mystery/vars/0", [4, 2]),
    ] + more {
      let count = shape.reduce(1, *)
      tensors.append(
        Tensor(
          name: path, shape: Shape(shape),
          values: (0..<count).map {
            scale * (Float($0) * 0.37 - 1).truncatingRemainder(dividingBy: 1)
          }))
    }
    try folder.file("\(name).json", Array(graph.utf8))
    let output = Output(overwrite: true, inputs: [])
    try Safetensors().write(
      Checkpoint(groups: [Group(name: "", tensors: tensors)]),
      to: folder.file("\(name).safetensors"), in: output, options: WriteOptions())
    try output.commit(durable: false)
    return folder.file("\(name).safetensors")
  }

  @Test func `info prints Keras' summary, and why a layer is not known`() throws {
    let folder = try TemporaryFolder()
    let path = try Self.write(folder, "m")
    let text = try Command.run("info", path)
    #expect(text.code == 0, "\(text.errors)")
    for words in [
      "Keras functional model of 7 layers", "enc (Sequential)      (None, 4)             59  a, b",
      "  two (Dense)         (None, 4)             24  one",
      "cold (Dense)          (None, 3)             15  enc",
      "what (Mystery)                ?              8  enc:1",
      "behind (Dense)                ?", "total          82", "trainable      67",
      "non-trainable  15", "layer what (Mystery) is of a class that ckpt does not know",
    ] {
      // Columns are as wide as what is in them.
      let output = text.output.split(separator: " ").joined(separator: " ")
      #expect(
        output.contains(words.split(separator: " ").joined(separator: " ")), "\(words): \(output)")
    }
    let json = try #require(try Command.run("info", path, "--json").json)
    #expect(json["dialect"]?.string == "keras" && json["family"] == .null)
    let keras = try #require(json["keras"])
    #expect(keras["form"]?.string == "functional" && keras["name"]?.string == "whole")
    #expect(keras["outputs"]?.array?.last?["shape"] == .null)
    let rows = try #require(keras["layers"]?.array)
    #expect(rows.map { $0["depth"]?.int } == [0, 0, 0, 1, 1, 0, 0, 0])
    #expect(rows[4]["path"]?.string == "enc.two" && rows[2]["connected_to"]?.array?.count == 2)
    #expect(rows[6]["connected_to"]?.array?.first?.array?.first?["call"]?.int == 1)
    #expect(rows[5]["trainable_parameters"]?.int == 0 && rows[5]["parameters"]?.int == 15)
    #expect(json["composition"]?["roles"]?["fixed"]?.int == 15)
  }

  @Test func `what is stored behind an unknown layer is counted`() throws {
    let folder = try TemporaryFolder()
    let behind = [("layers/dense_1/vars/0", [2, 2]), ("layers/dense_1/vars/1", [2])]
    let path = try Self.write(folder, "m", more: behind)
    let keras = try #require(try Command.run("info", path, "--json").json?["keras"])
    let row = try #require(keras["layers"]?.array?.last)
    #expect(row["path"]?.string == "behind" && row["parameters"]?.int == 6)
    #expect(keras["total_parameters"]?.int == 88 && keras["trainable_parameters"]?.int == 73)
  }

  @Test func `weights that no shape leads to are refused`() throws {
    let folder = try TemporaryFolder()
    let graph = Self.nested.replacingOccurrences(
      of: #""batch_input_shape": [null, 6]"#, with: #""batch_input_shape": "x""#)
    let path = try Self.write(folder, "m", graph: graph)
    let inputs = folder.file("in.npz")
    let rows = ["a", "b"].map { Samples.tensor($0, .f32, [2, 6], seed: 1) }
    let output = Output(overwrite: true, inputs: [])
    try NPZ().write(
      Checkpoint(groups: [Group(name: "", tensors: rows)]), to: inputs, in: output,
      options: WriteOptions())
    try output.commit(durable: false)
    let run = try Command.run("run", path, "--inputs", inputs, "--outputs", folder.file("o.npz"))
    #expect(run.code == 2 && run.errors.contains("--set input_shape"), "\(run.code) \(run.errors)")
  }

  @Test func `what a layer cannot be called with is refused with its name`() throws {
    let folder = try TemporaryFolder()
    let graph = """
      {"class_name": "Functional", "config": {"name": "m", "layers": [
      {"class_name": "InputLayer", "config": {"batch_input_shape": [null, 4, 1], "name": "a"},
       "name": "a", "inbound_nodes": []},
      {"class_name": "SimpleRNN", "config": {"name": "b", "units": 1}, "name": "b",
       "inbound_nodes": [[["a", 0, 0, {}], ["a", 0, 0, {}]]]}],
      "input_layers": [["a", 0, 0]], "output_layers": [["b", 0, 0]]}, "keras_version": "2.15.0"}
      """
    try folder.file("m.json", Array(graph.utf8))
    let output = Output(overwrite: true, inputs: [])
    let paths: [(String, [Int])] = [
      ("layers/simple_rnn/cell/vars/0", [1, 1]), ("layers/simple_rnn/cell/vars/1", [1, 1]),
      ("layers/simple_rnn/cell/vars/2", [1]),
    ]
    try Safetensors().write(
      Checkpoint(groups: [
        Group(name: "", tensors: paths.map { Samples.tensor($0, .f32, Shape($1), seed: 1) })
      ]), to: folder.file("m.safetensors"), in: output, options: WriteOptions())
    try NPZ().write(
      Checkpoint(groups: [
        Group(name: "", tensors: [Samples.tensor("a", .f32, [2, 4, 1], seed: 1)])
      ]),
      to: folder.file("in.npz"), in: output, options: WriteOptions())
    try output.commit(durable: false)
    let run = try Command.run(
      "run", folder.file("m.safetensors"), "--inputs", folder.file("in.npz"), "--outputs",
      folder.file("o.npz"))
    #expect(
      run.code == 2 && run.errors.contains("layer b (SimpleRNN)"), "\(run.code) \(run.errors)")
  }

  @Test func `ls, show and diff go by layers`() throws {
    let folder = try TemporaryFolder()
    let (path, other) = (try Self.write(folder, "m"), try Self.write(folder, "n", scale: 2))
    let listed = try Command.run("ls", path, "--canonical", "enc.*")
    #expect(listed.output.contains("enc.two.bias") && !listed.output.contains("cold"))
    let shown = try Command.run("show", path, "enc.two.bias", "--json")
    #expect(shown.json?["name"]?.string == "layers/sequential/layers/dense_1/vars/1")
    #expect(try Command.run("diff", path, path, "--canonical").code == 0)
    let diff = try Command.run("diff", path, other, "--canonical", "--json")
    #expect(diff.code == 1 && diff.json?["matching"]?.string == "meaning")
    #expect(diff.json?["first"]?["dialect"]?.string == "keras")
    #expect(
      diff.json?["pairs"]?.array?.contains { $0["first"]?["canonical"]?.string == "cold.kernel" }
        == true)
  }

  @Test func `a model is matched with the same one whose layers were counted on`() throws {
    let folder = try TemporaryFolder()
    let path = try Self.write(folder, "m")
    let other = try Self.write(folder, "n")
    let renamed = Self.nested.replacing("\"cold\"", with: "\"cold_7\"")
    try folder.file("n.json", Array(renamed.utf8))
    let diff = try Command.run("diff", path, other, "--json")
    #expect(diff.code == 0, "\(diff.output)")
    #expect(
      diff.json?["notes"]?.array?.contains { $0.string?.contains("by their order") == true } == true
    )
  }

  @Test func `bench counts rows of a graph, and refuses what is for transformers`() throws {
    let folder = try TemporaryFolder()
    let json = """
      {"class_name": "Sequential", "config": {"name": "s", "layers": [
        {"class_name": "InputLayer", "config": {"name": "x", "batch_input_shape": [null, null, 4]}},
        {"class_name": "Dropout", "config": {"name": "out", "rate": 0.5}}]}}
      """
    try folder.file("m.json", Array(json.utf8))
    let output = Output(overwrite: true, inputs: [])
    try Safetensors().write(
      Checkpoint(
        groups: [Group(name: "", tensors: [Tensor(name: "t", shape: Shape([1]), values: [1])])]),
      to: folder.file("m.safetensors"), in: output, options: WriteOptions())
    try output.commit(durable: false)
    let path = folder.file("m.safetensors")
    let result = try Command.run(
      "bench", path, "--batch", "3", "--length", "5", "--seconds", "0.01", "--json")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["inputs"]?["x"] == .array([.number(3), .number(5), .number(4)]))
    #expect(result.json?["batch"]?.int == 3 && (result.json?["rows_per_second"]?.double ?? 0) > 0)
    let text = try Command.run("bench", path, "--seconds", "0.01")
    #expect(text.output.contains("rows/s") && text.output.contains("x (1, 128, 4)"))
    #expect(try Command.run("bench", path, "--viterbi").code == 64)
  }

  @Test func `report holds the layers that it draws`() throws {
    let folder = try TemporaryFolder()
    let page = folder.file("page.html")
    let made = try Command.run("report", try Self.write(folder, "m"), "-o", page)
    #expect(made.code == 0, "\(made.errors)")
    let html = String(decoding: try File.contents(of: page), as: UTF8.self)
    #expect(html.contains("graphSection") && html.contains("\"path\":\"enc.two\""))
  }

  @Test func `the listed classes are those of the docs`() throws {
    let listed = try Command.run("layers", "--markdown")
    let folder = Paths.folder(of: Command.fixtures)
    let docs = String(
      decoding: try File.contents(of: folder + "/docs/keras-layers.md"), as: UTF8.self)
    #expect(listed.output == docs, "run: ckpt layers --markdown > docs/keras-layers.md")
    let json = try #require(try Command.run("layers", "--json").json?["layers"]?.array)
    let dense = json.first { $0["name"]?.string == "Dense" }
    #expect(dense?["computed"] == .bool(true))
    #expect(dense?["aliases"] == .array([.string("TimeDistributedDense")]))
    #expect(try Command.run("layers").output.contains("TimeDistributedDense"))
  }
}
