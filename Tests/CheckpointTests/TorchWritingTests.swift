import TestSupport
import Testing

@testable import Checkpoint

@Suite struct TorchWritingTests {
  let scratch: TemporaryFolder

  init() throws { scratch = try TemporaryFolder() }

  func written(
    _ checkpoint: Checkpoint, _ name: String, format: any Format = Torch(), limit: Int? = nil
  ) throws -> Checkpoint {
    let output = Output(overwrite: true, inputs: [])
    let path = try format.write(
      checkpoint, to: scratch.file(name), in: output, options: WriteOptions(maxShardSize: limit))
    try output.commit(durable: false)
    return try format.read(Probe(path))
  }

  func requireEqual(_ a: Checkpoint, _ b: Checkpoint) throws {
    #expect(a.attributes == b.attributes)
    #expect(a.groups.map(\.name) == b.groups.map(\.name))
    #expect(a.groups.map(\.attributes) == b.groups.map(\.attributes))
    #expect(a.tensors.map(\.name) == b.tensors.map(\.name))
    for (x, y) in zip(a.tensors, b.tensors) {
      #expect(x.dtype == y.dtype && x.shape == y.shape, "\(x.name)")
      #expect(try x.bytes() == y.bytes(), "\(x.name)")
    }
  }

  static let dtypes = DType.allCases.filter { TorchDType.spelled($0) != nil }

  /// Every type and shape, in groups with attributes.
  static let everything: Checkpoint = {
    var tensors: [Tensor] = []
    for dtype in dtypes {
      for shape in [[], [0], [3], [2, 0, 4], [2, 3, 4]] as [Shape] {
        tensors.append(Samples.tensor("层 \(dtype.rawValue)/\(shape)", dtype, shape))
      }
    }
    return Checkpoint(
      groups: [Group(name: "empty"), Group(name: "full", tensors: tensors)],
      attributes: [
        Attribute("a", text: "x"), Attribute("n", .numbers(.u8, shape: [1], bytes: [7])),
      ])
  }()

  @Test func `every dtype and shape comes back with groups and attributes`() throws {
    #expect(TorchWritingTests.dtypes.count == 20)
    let everything = TorchWritingTests.everything
    let first = try written(everything, "first.pt")
    try requireEqual(first, everything)
    for tensor in first.tensors where tensor.byteCount > 0 {
      #expect((tensor.payload.slice?.offset ?? 1) % 64 == 0)
    }
    _ = try written(first, "second.pt")
    #expect(
      try File.contents(of: scratch.file("first.pt"))
        == File.contents(of: scratch.file("second.pt")))
  }

  @Test func `shards come back as one, and a smaller limit replaces them`() throws {
    let everything = TorchWritingTests.everything
    let sharded = try written(everything, "pytorch_model.bin", limit: 100)
    #expect(sharded.path == scratch.file("pytorch_model.bin.index.json"))
    #expect(sharded.files.count > 3)
    #expect(Paths.name(of: sharded.files[1]).hasPrefix("pytorch_model-00001-of-"))
    try requireEqual(sharded, everything)
    try requireEqual(written(everything, "pytorch_model.bin"), everything)
    #expect(!Paths.exists(scratch.file("pytorch_model.bin.index.json")))
  }

  @Test func `types that PyTorch does not have are refused by name`() throws {
    let tensor = Samples.tensor("w", .q8_0, [32])
    let error = try #require(throws: CheckpointError.self) {
      try written(Checkpoint(groups: [Group(name: "", tensors: [tensor])]), "q.pt")
    }
    #expect(error.kind == .unsupported && error.place.tensor == "w")
    #expect(error.hint == "use --dtype f32")
  }

  @Test func `tied tensors share a storage and stay two`() throws {
    let views = try Torch().read(Probe(Fixtures.path("torch", "views.pt")))
    let back = try written(views, "tied.pt")
    try requireEqual(back, views)
    func place(_ name: String, _ checkpoint: Checkpoint) -> Int? {
      checkpoint.tensors.first { $0.name == name }?.payload.slice?.offset
    }
    #expect(place("same", back) != nil && place("same", back) == place("base", back))
  }

  @Test(arguments: [nil, 100] as [Int?])
  func `safetensors holds tied tensors once and gives them back as two`(_ limit: Int?) throws {
    let views = try Torch().read(Probe(Fixtures.path("torch", "views.pt")))
    let back = try written(views, "tied.safetensors", format: Safetensors(), limit: limit)
    try requireEqual(back, views)
    #expect(Set(back.tensors.compactMap(\.payload.slice?.offset)).count < back.tensors.count)
    guard limit == nil else { return }
    let path = scratch.file("tied.safetensors")
    let length = try File.contents(of: path)[..<8].reversed().reduce(0) { $0 << 8 | Int($1) }
    let header = try JSON(parsing: Array(File.contents(of: path)[8..<(8 + length)]))
    #expect(header["same"] == nil && header["base"] != nil)
    #expect(header["__metadata__"]?["same"]?.string == "base")
    #expect(header["__metadata__"]?["format"]?.string == "pt")
  }

  @Test func `without a layout a tied tensor is an alias`() throws {
    let header =
      #"{"__metadata__":{"format":"pt","b":"a"},"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}"#
    let bytes = [UInt8(header.utf8.count)] + [UInt8](repeating: 0, count: 7) + Array(header.utf8)
    let checkpoint = try Safetensors().read(
      Probe(scratch.file("alias.safetensors", bytes + [5])))
    #expect(checkpoint.tensors.map(\.name) == ["a"])
    #expect(checkpoint.tensors[0].aliases == ["b"])
    #expect(checkpoint.attributes == [Attribute("format", text: "pt")])
  }

  @Test func `a layout that does not fit is left out with a warning`() throws {
    let output = Output(overwrite: true, inputs: [])
    var writer = try ZipWriter(output.file(scratch.file("odd.pt")))
    try writer.add("data.pkl", bytes: Array("}.".utf8))
    try writer.add(
      ".data/ckpt.layout",
      bytes: Array(
        #"{"attributes":[],"groups":[{"name":"g","attributes":[],"tensors":["x"]}]}"#.utf8))
    try writer.finish()
    try output.commit(durable: false)
    let checkpoint = try Torch().read(Probe(scratch.file("odd.pt")))
    #expect(checkpoint.tensors.isEmpty && checkpoint.warnings.count == 1)
  }

  // MARK: Hostile archives

  /// A zip with this pickle and a storage of 24 bytes.
  func open(_ pickle: String, order: String = "little") throws -> Checkpoint {
    let output = Output(overwrite: true, inputs: [])
    var writer = try ZipWriter(output.file(scratch.file("hostile.pt")))
    try writer.add("a/data.pkl", bytes: Array(pickle.utf8))
    try writer.add("a/byteorder", bytes: Array(order.utf8))
    try writer.add("a/data/0", bytes: (0..<24).map { UInt8($0) })
    try writer.finish()
    try output.commit(durable: false)
    return try Torch().read(Probe(scratch.file("hostile.pt")))
  }

  /// A pickle of protocol 0 of one tensor.
  func tensor(
    key: String = "0", count: String = "6", offset: String = "0", size: String = "(I2\nI3\nt",
    stride: String = "(I3\nI1\nt", type: String = "FloatStorage", location: String = "cpu"
  ) -> String {
    "ctorch._utils\n_rebuild_tensor\n((S'storage'\nctorch\n\(type)\nS'\(key)'\nS'\(location)'\n"
      + "I\(count)\ntQI\(offset)\n\(size)\(stride)tR."
  }

  @Test func `a tensor of protocol 0 is read`() throws {
    let tensor = try #require(try open(tensor()).tensors.first)
    #expect(tensor.name == "hostile" && tensor.shape == [2, 3])
    #expect(try tensor.bytes() == (0..<24).map { UInt8($0) })
    let big = try #require(try open(self.tensor(), order: "big").tensors.first)
    #expect(try big.bytes().prefix(4) == [3, 2, 1, 0])
  }

  @Test func `a view whose count is smaller than its storage is read`() throws {
    let tensor = try #require(
      try open(tensor(count: "4", offset: "1", size: "(I3\nt", stride: "(I1\nt")).tensors.first)
    #expect(try tensor.bytes() == (4..<16).map { UInt8($0) })
    #expect(tensor.payload.slice?.length == 12)
  }

  @Test func `lies about storages and views are damaged`() throws {
    let lies = [
      tensor(count: "7"), tensor(count: "-1"), tensor(count: "L4611686018427387904L"),
      tensor(offset: "1"), tensor(offset: "-1"), tensor(offset: "L9223372036854775807L"),
      tensor(size: "(I2\nI4\nt"), tensor(size: "(I-2\nI3\nt"),
      tensor(size: "(L4611686018427387904L\nI4\nt"), tensor(size: "(I2\nt"), tensor(size: "N"),
      tensor(stride: "(I-3\nI1\nt"), tensor(stride: "(L9223372036854775807L\nI1\nt"),
      tensor(stride: "(I4\nI1\nt"), tensor(key: "1"), tensor(key: "../0"), tensor(key: "0/"),
      tensor(key: ""), "ctorch._utils\n_rebuild_tensor\n(I1\nI0\n(I1\nt(I1\nttR.",
      "ctorch._utils\n_rebuild_tensor\n(S'x'\nQI0\n(I1\nt(I1\nttR.",
    ]
    for (index, lie) in lies.enumerated() {
      let error = try #require(throws: CheckpointError.self, "lie \(index)") { try open(lie) }
      #expect(error.kind == .damaged, "lie \(index): \(error)")
      #expect(error.place.file == scratch.file("hostile.pt"))
    }
    #expect(throws: CheckpointError.self) { try open(tensor(), order: "odd") }
  }

  @Test func `elements that ckpt cannot hold are listed`() throws {
    for lie in [tensor(type: "QInt8Storage"), tensor(type: "evil"), tensor(location: "meta")] {
      #expect(try open(lie).unreadable.map(\.name) == ["hostile"])
    }
  }

  @Test(arguments: ["torch", "torch/sharded", "paddle", "npz", "keras", "gguf", "onnx", "flax"])
  func `a file is of one format only`(_ folder: String) throws {
    let path = Fixtures.path(folder)
    var recognised = 0
    for name in Paths.list(path) where Paths.isFile(Paths.join(path, name)) {
      let probe = try Probe(Paths.join(path, name))
      let names = FormatRegistry.all.filter { $0.recognises(probe) }.map(\.name)
      #expect(names.count <= 1, "\(name): \(names)")
      recognised += names.count
      if folder.hasPrefix("torch"), !name.hasPrefix("expected") { #expect(names == ["torch"]) }
    }
    #expect(recognised > 0)
  }
}
