import TestSupport
import Testing

@testable import Checkpoint

@Suite struct TFWritingTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  @Test func `the bytes are TensorFlow's own`() throws {
    let checkpoint = try TFFixtures.open("types")
    #expect(TFCheckpoint().leavesOut(checkpoint) == [])
    try folder.bundle(checkpoint)
    for suffix in [".index", ".data-00000-of-00001"] {
      #expect(
        try File.contents(of: folder.file("model" + suffix))
          == File.contents(of: TFFixtures.path("types" + suffix)), "\(suffix)")
    }
    #expect(
      try File.contents(of: folder.file("checkpoint"))
        == Array(
          "model_checkpoint_path: \"model\"\nall_model_checkpoint_paths: \"model\"\n".utf8))
  }

  @Test func `every type and shape comes back as it was`() throws {
    var tensors: [Tensor] = []
    for dtype in DType.allCases where TensorFlowType.number(dtype) != nil {
      for shape: Shape in [[], [0], [3], [2, 0, 5], [2, 3, 4]] {
        tensors.append(Samples.tensor("层/\(dtype.rawValue) \(shape)", dtype, shape))
      }
    }
    #expect(tensors.count == 19 * 5)
    let back = try folder.bundle(tensors.reversed())
    let sorted = tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    #expect(back.tensors.map(\.name) == sorted.map(\.name))
    for (tensor, original) in zip(back.tensors, sorted) {
      #expect(tensor.dtype == original.dtype && tensor.shape == original.shape)
      #expect(try tensor.bytes() == original.bytes())
    }
    try folder.bundle(back, "second", overwrite: true)
    for suffix in [".index", ".data-00000-of-00001"] {
      #expect(
        try File.contents(of: folder.file("model" + suffix))
          == File.contents(of: folder.file("second" + suffix)))
    }
  }

  @Test func `ten thousand tensors fill several blocks`() throws {
    let tensors = (0..<10_000).map { number in
      Tensor(
        name: "\(number)/some rather long name of a layer and its weight", shape: [1],
        values: [Float(number)])
    }
    let back = try folder.bundle(tensors).tensors
    #expect(back.count == 10_000)
    let byName = Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) })
    for tensor in back.enumerated().filter({ $0.offset % 97 == 0 }).map(\.element) {
      #expect(try byName[tensor.name]?.bytes() == tensor.bytes())
    }
    let size = try File.contents(of: folder.file("model.index")).count
    #expect(size > 2 * (256 << 10), "\(size) bytes are no several blocks")
  }

  @Test func `shards hold as much as they may`() throws {
    let tensors = "abcdef".map { Samples.tensor(String($0), .f32, [10]) }
    let checkpoint = Checkpoint(groups: [Group(name: "", tensors: tensors)])
    let back = try folder.bundle(checkpoint, options: WriteOptions(maxShardSize: 100))
    #expect(folder.contents.filter { $0.contains(".data-") }.count == 3)
    #expect(back.files.count == 4)
    for (tensor, original) in zip(back.tensors, tensors) {
      #expect(try tensor.bytes() == original.bytes())
    }
    // Fewer shards take the place of more.
    try folder.bundle(checkpoint, overwrite: true)
    #expect(folder.contents == ["checkpoint", "model.data-00000-of-00001", "model.index"])
    #expect(try TemporaryFolder().bundle(Checkpoint()).tensors.isEmpty)
  }

  @Test func `what a bundle cannot hold is refused by name`() throws {
    let cases: [(Tensor, CheckpointError.Kind)] = [
      (Samples.tensor("w", .f4, [2]), .unsupported),
      (Samples.tensor("w", .q8_0, [32]), .unsupported),
      (Samples.tensor("w", .f8_e8m0, [2]), .unsupported),
      (Samples.tensor("", .f32, [2]), .unsupported),
      (Samples.tensor("\0w", .f32, [2]), .unsupported),
    ]
    for (tensor, kind) in cases {
      #expect(
        throws: CheckpointError(
          kind, Place(file: folder.file("model.index"), tensor: tensor.name), "")
      ) { try folder.bundle([tensor]) }
    }
    #expect(folder.contents == [])
  }

  @Test func `texts stay; other attributes, layers and an untrue graph are told`() throws {
    var checkpoint = try TFFixtures.open("objects/文-2")
    checkpoint.set(Attribute("backend", text: "tensorflow"))
    #expect(try folder.bundle(checkpoint, "a").text("backend") == "tensorflow")
    checkpoint.set(Attribute("epoch", .numbers(.i64, shape: [], bytes: [1, 0, 0, 0, 0, 0, 0, 0])))
    checkpoint.groups = [Group(name: "layer", tensors: checkpoint.tensors)]
    checkpoint.groups[0].tensors[0].name = "renamed"
    let left = TFCheckpoint().leavesOut(checkpoint)
    #expect(left.count == 3)
    #expect(left.contains { $0.contains(ObjectGraph.key) })
    #expect(left.contains { $0.contains("epoch") })
    let back = try TemporaryFolder().bundle(checkpoint, "b")
    #expect(!back.attributes.contains { $0.name == ObjectGraph.key })
    #expect(back.tensors.count == checkpoint.tensors.count)
  }

  @Test func `the graph goes on without values that are gone`() throws {
    let original = try TFFixtures.open("objects/文-2")
    var checkpoint = original
    checkpoint.groups[0].tensors.removeAll { $0.name.contains("optimizer") }
    #expect(checkpoint.tensors.count == 5)
    #expect(TFCheckpoint().leavesOut(checkpoint) == [])
    let back = try folder.bundle(checkpoint)
    #expect(back.tensors.map(\.aliases) == checkpoint.tensors.map(\.aliases))
    let graph = try #require(back.attributes.first { $0.name == ObjectGraph.key })
    guard case .numbers(_, _, let bytes) = graph.value else { return }
    let keys = try ObjectGraph(bytes).values.map(\.key)
    let texts = ["label/.ATTRIBUTES/VARIABLE_VALUE"]
    #expect(Set(keys) == Set(checkpoint.tensors.map(\.name) + texts))
    checkpoint.groups[0].tensors.removeAll()
    checkpoint.attributes.removeAll { $0.name.hasPrefix("label") }
    #expect(TFCheckpoint().leavesOut(checkpoint).count == 1)
  }

  @Test func `the pointer keeps the others, and is replaced only when told`() throws {
    let checkpoint = Checkpoint(
      groups: [Group(name: "", tensors: [Samples.tensor("w", .f32, [2])])])
    try folder.bundle(checkpoint, "模型 1")
    let error = #expect(throws: CheckpointError.self) { try folder.bundle(checkpoint, "b") }
    #expect(error?.kind == .usage && error?.hint?.contains("--overwrite") == true)
    #expect(folder.contents == ["checkpoint", "模型 1.data-00000-of-00001", "模型 1.index"])
    try folder.bundle(checkpoint, "b", overwrite: true)
    let state = try CheckpointState(reading: folder.file("checkpoint"))
    #expect(state == CheckpointState(latest: "b", all: ["模型 1", "b"]))
    #expect(try Opening(folder.path).checkpoint.path == folder.file("b.index"))
    #expect(throws: CheckpointError.self) {
      try folder.bundle(checkpoint, "checkpoint", overwrite: true)
    }
    // A file of that name would be opened in its place.
    let other = try TemporaryFolder()
    try other.file("c.weights", [1])
    #expect(throws: CheckpointError(.usage, .file(other.file("c.weights")), "")) {
      try other.bundle(checkpoint, "c.weights")
    }
  }
}
