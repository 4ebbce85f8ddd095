import Glibc
import TestSupport
import Testing

@testable import Checkpoint

@Suite struct KerasHDF5Tests {
  private static func tensor(_ name: String, _ shape: Shape = [2, 3], seed: Int = 0) -> Tensor {
    Tensor(name: name, shape: shape, values: (0..<shape.count).map { Float($0 + seed) })
  }

  /// A weights file as a dialect hands it over: groups and names, no attributes.
  private static let plainLayers = Checkpoint(groups: [
    Group(name: "Input-Token"),
    Group(
      name: "Embedding-Token", tensors: [tensor("Embedding-Token/Embedding-Token/embeddings:0")]),
    Group(
      name: "dense_10",
      tensors: [tensor("dense_10/dense_10/kernel:0"), tensor("dense_10/dense_10/bias:0", [3])]),
    Group(name: "dense_2", tensors: [tensor("dense_2/dense_2/kernel:0", seed: 9)]),
  ])

  @Test(
    arguments: DType.allCases.filter { $0 != .bf16 && $0.hdf5Code != 0 },
    [[], [0], [7], [0, 3], [2, 3], [1, 2, 1, 5]])
  func `every type and shape returns`(_ dtype: DType, _ extents: [Int]) throws {
    let scratch = try TemporaryFolder()
    let shape = Shape(extents)
    let tensor = Samples.tensor("a/b/x", dtype, shape)
    let back = try scratch.rewritten(Checkpoint(groups: [Group(name: "", tensors: [tensor])]))
    #expect(back.tensors.map(\.name) == ["a/b/x"])
    #expect(back.tensors.first?.dtype == dtype)
    #expect(back.tensors.first?.shape == shape)
    #expect(try back.tensors.first?.bytes() == tensor.bytes())
    #expect(back.attributes.isEmpty)
  }

  @Test(arguments: [
    ("model.h5", true), ("tf_model-00001-of-00002.h5", false), ("a_00000.weights.h5", false),
    ("b_00000.weights.h5", true), ("a.weights.h5", true),
  ])
  func `a shard is no entry of a folder`(_ name: String, _ isEntry: Bool) {
    #expect(KerasHDF5().isEntry(name, among: ["a.weights.json", name]) == isEntry)
  }

  @Test func `layers without a list get one, as Keras writes it`() throws {
    let scratch = try TemporaryFolder()
    let back = try scratch.rewritten(Self.plainLayers)
    #expect(back.groups.map(\.name) == Self.plainLayers.groups.map(\.name))
    #expect(back.tensors.map(\.name) == Self.plainLayers.tensors.map(\.name))
    #expect(
      back.attributes.first
        == Attribute(
          "layer_names",
          .text(
            ["Input-Token", "Embedding-Token", "dense_10", "dense_2"], shape: [4],
            type: .init(size: 15, utf8: false, padding: .nullPadded))))
    #expect(back.text("backend") == "tensorflow")
    #expect(back.text("keras_version") == "2.15.0")
    #expect(
      back.groups[0].attributes
        == [Attribute("weight_names", .numbers(.f64, shape: [0], bytes: []))])
    #expect(back.groups[2].attributes.first?.texts == ["dense_10/kernel:0", "dense_10/bias:0"])
  }

  @Test func `attributes that are given stand before our own`() throws {
    let scratch = try TemporaryFolder()
    var checkpoint = Self.plainLayers
    checkpoint.set(Attribute("keras_version", text: "2.3.1"))
    let back = try scratch.rewritten(checkpoint)
    #expect(back.attributes.map(\.name) == ["keras_version", "layer_names", "backend"])
    #expect(back.text("keras_version") == "2.3.1")
  }

  @Test func `a file of Keras 1 does not get a version`() throws {
    let scratch = try TemporaryFolder()
    var checkpoint = try scratch.rewritten(Self.plainLayers)
    checkpoint.attributes.removeAll { $0.name != "layer_names" }
    #expect(try scratch.rewritten(checkpoint, "1.h5").summary() == checkpoint.summary())
  }

  @Test func `plain names stay plain`() throws {
    let scratch = try TemporaryFolder()
    let names = ["bert.encoder.layer.0.weight", "bert.pooler.bias", "cls/bias"]
    let back = try scratch.rewritten(
      Checkpoint(groups: [Group(name: "", tensors: names.map { Self.tensor($0) })]))
    #expect(Set(back.tensors.map(\.name)) == Set(names))
    #expect(back.attributes.isEmpty)
    #expect(back.groups.allSatisfy { $0.attributes.isEmpty })
  }

  @Test func `a whole model returns as it was`() throws {
    let scratch = try TemporaryFolder()
    let fixed = Attribute.TextType(size: 12, utf8: false, padding: .nullPadded)
    func names(_ name: String, _ texts: [String], type: Attribute.TextType) -> Attribute {
      Attribute(name, .text(texts, shape: [texts.count], type: type))
    }
    let checkpoint = Checkpoint(
      groups: [
        Group(
          name: "model_weights/b",
          attributes: [names("weight_names", ["b/z:0", "b/a:0"], type: .init())],
          tensors: [Self.tensor("model_weights/b/b/z:0"), Self.tensor("model_weights/b/b/a:0")]),
        Group(
          name: "model_weights/a",
          attributes: [Attribute("weight_names", .numbers(.f64, shape: [0], bytes: []))]),
        Group(
          name: "model_weights/top_level_model_weights",
          attributes: [Attribute("weight_names", .numbers(.f64, shape: [0], bytes: []))]),
        Group(
          name: "optimizer_weights",
          attributes: [names("weight_names", ["Adam/iter:0", "Adam/b/z/m:0"], type: fixed)],
          tensors: [
            Self.tensor("optimizer_weights/Adam/iter:0", []),
            Self.tensor("optimizer_weights/Adam/b/z/m:0"),
          ]),
      ],
      attributes: [
        Attribute("model_config", text: "{\"class_name\": \"Functional\", \"ü\": 1}"),
        Attribute("keras_version", .text(["2.15.0"], shape: [], type: .init(utf8: false))),
        names("model_weights@layer_names", ["b", "a"], type: fixed),
        Attribute("model_weights@backend", text: "tensorflow"),
      ])
    let back = try scratch.rewritten(checkpoint)
    #expect(try back.summary() == checkpoint.summary())
    #expect(back.warnings.isEmpty && back.unreadable.isEmpty)
  }

  @Test(arguments: ["layouts.h5", "userblock.h5"])
  func `writing what was read gives the same checkpoint and the same bytes`(
    _ name: String
  ) throws {
    let scratch = try TemporaryFolder()
    let original = try HDF5Fixtures.read(name)
    let first = try scratch.rewritten(original, "first.h5")
    let second = try scratch.rewritten(first, "second.h5")
    #expect(try first.summary() == original.summary())
    #expect(try second.summary() == original.summary())
    #expect(try File.contents(of: first.path) == File.contents(of: second.path))
    #expect(first.unreadable.isEmpty)
  }

  @Test func `attributes survive their JSON form`() throws {
    let group = try #require(
      HDF5Fixtures.read("layouts.h5").groups.first { $0.name == "attributes" })
    for attribute in group.attributes {
      #expect(Attribute(json: try JSON(parsing: Array(attribute.json.compact.utf8))) == attribute)
    }
  }

  @Test func `long lists are split as Keras splits them`() throws {
    let scratch = try TemporaryFolder()
    let names = (0..<3000).map { "a_layer_with_a_long_name_of_50_bytes_in_all_n_\(1000 + $0)" }
    let checkpoint = Checkpoint(
      groups: names.map { Group(name: $0) }
        + [Group(name: "last", tensors: [Self.tensor("last/last/kernel:0")])])
    let back = try scratch.rewritten(checkpoint)
    let parts = back.attributes.filter { $0.name.hasPrefix("layer_names") }
    #expect(parts.map(\.name) == ["layer_names0", "layer_names1", "layer_names2"])
    #expect(parts.map(\.texts.count) == [1001, 1000, 1000])
    #expect(back.groups.map(\.name) == names + ["last"])
    #expect(try scratch.rewritten(back, "again.h5").summary() == back.summary())
  }

  @Test func `an attribute that no old file can hold makes a newer file`() throws {
    let scratch = try TemporaryFolder()
    let large = Attribute(
      "large", .numbers(.f32, shape: [20000], bytes: [UInt8](repeating: 3, count: 80000)))
    let checkpoint = Checkpoint(
      groups: [Group(name: "", tensors: [Self.tensor("x")])], attributes: [large])
    #expect(try scratch.rewritten(checkpoint).summary() == checkpoint.summary())
  }

  @Test func `lists that no longer agree are made anew`() throws {
    let scratch = try TemporaryFolder()
    var checkpoint = try scratch.rewritten(Self.plainLayers)
    checkpoint.groups.remove(at: 0)
    checkpoint.groups[1].tensors.swapAt(0, 1)
    let back = try scratch.rewritten(checkpoint, "second.h5")
    #expect(back.groups.map(\.name) == ["Embedding-Token", "dense_10", "dense_2"])
    #expect(back.groups[1].attributes.first?.texts == ["dense_10/bias:0", "dense_10/kernel:0"])
    #expect(back.warnings.isEmpty)
  }

  @Test func `a list that names what is not there is warned of`() throws {
    let scratch = try TemporaryFolder()
    let checkpoint = Checkpoint(
      groups: [Group(name: "", tensors: [Self.tensor("a/x")])],
      attributes: [Attribute("layer_names0", .text(["a", "b"], shape: [2], type: .init()))])
    // Written as plain HDF5 first, so that the list is not mended.
    let output = Output(overwrite: true, inputs: [])
    let path = Paths.join(scratch.path, "x.h5")
    let file = try output.file(path)
    var writer = try HDF5Writer(file)
    let offset = try #require(try writer.makeDataset("a/x", dtype: .f32, shape: [2, 3]))
    try writer.add(checkpoint.attributes[0], to: "")
    try writer.close()
    try file.write(Self.tensor("a/x"), at: offset)
    try output.commit(durable: false)
    let back = try KerasHDF5().read(Probe(path))
    #expect(back.warnings == ["layer_names lists b, but the file has no such group"])
    #expect(back.tensors.map(\.name) == ["a/x"])
  }

  @Test(arguments: [
    (["x/kernel", "x/kernel/adam_m"], CheckpointError(.unsupported, .tensor("x/kernel"), "")),
    (["x", "x"], CheckpointError(.unsupported, .tensor("x"), "")),
    (["a//b"], CheckpointError(.unsupported, .tensor("a//b"), "")),
    (["/a"], CheckpointError(.unsupported, .tensor("/a"), "")),
    (["a/./b"], CheckpointError(.unsupported, .tensor("a/./b"), "")),
    ([""], CheckpointError(.unsupported, .tensor(""), "")),
  ])
  func `names that HDF5 cannot hold are refused`(
    _ names: [String], _ expected: CheckpointError
  ) throws {
    let scratch = try TemporaryFolder()
    let checkpoint = Checkpoint(
      groups: [Group(name: "", tensors: names.map { Self.tensor($0) })])
    var expected = expected
    expected.place.file = Paths.join(scratch.path, "out.h5")
    #expect(throws: expected) { try scratch.rewritten(checkpoint) }
    #expect(Paths.list(scratch.path).isEmpty)
  }

  @Test func `bfloat16 is refused with what to do`() throws {
    let scratch = try TemporaryFolder()
    let tensor = Tensor(name: "x", dtype: .bf16, shape: [1], payload: BytesPayload([0, 0]))
    let error = #expect(throws: CheckpointError.self) {
      try scratch.rewritten(Checkpoint(groups: [Group(name: "", tensors: [tensor])]))
    }
    #expect(error?.hint == "use --dtype f32 or --dtype f16")
  }

  @Test func `a folder that is gone is an error, not a crash`() throws {
    let scratch = try TemporaryFolder()
    let error = #expect(throws: CheckpointError.self) {
      try scratch.rewritten(Self.plainLayers, "no/such/folder/x.h5")
    }
    #expect(error?.kind == .cannotWrite)
  }

  @Test func `natural order counts`() {
    let names = ["b", "a/2", "a-1/1", "a/10", "a", "a/1/x", "a/01"]
    let sorted = ["a", "a/01", "a/1/x", "a/2", "a/10", "a-1/1", "b"]
    #expect(names.sorted(by: Natural.less) == sorted)
  }
}
