import TestSupport
import Testing

@testable import Checkpoint

/// What TensorFlow wrote, read.
@Suite struct TFCheckpointTests {
  @Test func `every tensor is what TensorFlow reads`() throws {
    #expect(TFFixtures.expected.count == 13)
    for (file, tensors) in TFFixtures.expected {
      let checkpoint = try TFFixtures.open(file)
      #expect(checkpoint.format == "tf")
      #expect(checkpoint.tensors.count == tensors.count, "\(file)")
      #expect(checkpoint.warnings == [])
      for (name, expected) in tensors { try checkpoint.check(name, expected) }
    }
  }

  @Test func `bytes that lie as they are have a slice and a checksum, others go through windows`()
    throws
  {
    for tensor in try TFFixtures.open("types").tensors {
      #expect(tensor.payload.slice != nil && tensor.payload.checksum?.kind == .crc32c)
    }
    for file in ["big", "boxes", "partitioned"] {
      for tensor in try TFFixtures.open(file).tensors {
        #expect(tensor.payload.isWindowed, "\(file) \(tensor.name)")
      }
    }
    let names = try TFFixtures.open("types").tensors.map(\.name)
    #expect(names == names.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) })
    #expect(names.last == "with space/词嵌入 Ü")
  }

  @Test func `any window of a partitioned tensor is that part of the whole`() throws {
    for tensor in try TFFixtures.open("boxes").tensors + TFFixtures.open("partitioned").tensors {
      let whole = try tensor.bytes()
      for (start, count) in [(0, 1), (1, 2), (3, 70), (whole.count - 5, 5), (0, whole.count)] {
        var window = [UInt8](repeating: 0, count: min(count, whole.count - start))
        var span = window.mutableSpan
        var raw = span.mutableBytes
        try tensor.payload.read(at: start, into: &raw)
        #expect(window == Array(whole[start..<(start + window.count)]), "\(tensor.name) \(start)")
      }
    }
  }

  @Test func `texts are attributes, and what no tensor can hold is listed`() throws {
    let checkpoint = try TFFixtures.open("texts")
    #expect(checkpoint.tensors.map(\.name) == ["numbers"])
    #expect(checkpoint.text("text") == "one")
    let texts = try #require(checkpoint.attributes.first { $0.name == "texts" })
    let type = Attribute.TextType()
    #expect(
      texts.value
        == .text(["a", "", "中文", String(repeating: "x", count: 200)], shape: [2, 2], type: type))
    #expect(
      checkpoint.attributes.contains(
        Attribute("bytes", .numbers(.u8, shape: [3], bytes: [0xff, 0, 1]))))
    #expect(
      checkpoint.attributes.contains(Attribute("none", .text([], shape: [0], type: type))))
    #expect(checkpoint.unreadable.map(\.name) == ["byte lists", "quantized"])
    #expect(checkpoint.unreadable[1].reason.contains("quint8"))
  }

  @Test func `objects' variables have their own names and paths as aliases`() throws {
    let checkpoint = try TFFixtures.open("objects")
    #expect(checkpoint.path.hasSuffix("文-2.index"))
    #expect(checkpoint.text("label/.ATTRIBUTES/VARIABLE_VALUE") == "中文")
    let first = try checkpoint.tensor("net/first/.ATTRIBUTES/VARIABLE_VALUE")
    #expect(first.aliases == ["first_weight", "net/first"])
    // Two variables have the name `twice`, so it tells nothing.
    #expect(
      try checkpoint.tensor("net/list/1/.ATTRIBUTES/VARIABLE_VALUE").aliases == ["net/list/1"])
    let odd = try checkpoint.tensor("net/dots/a.Sb..c/.ATTRIBUTES/VARIABLE_VALUE")
    #expect(odd.aliases == ["odd", "net/dots/a/b.c"])
    let slot = "net/first/.OPTIMIZER_SLOT/optimizer/m/.ATTRIBUTES/VARIABLE_VALUE"
    #expect(try checkpoint.tensor(slot).shape == [3, 2])
    #expect(checkpoint.attributes.contains { $0.name == ObjectGraph.key })
    #expect(
      try checkpoint.tensor("save_counter/.ATTRIBUTES/VARIABLE_VALUE").doubles() == [2])
  }

  @Test(arguments: [
    ("types", "types.index"), ("types.index", "types.index"),
    ("types.data-00000-of-00001", "types.index"), ("sharded", "sharded.index"),
    ("sharded.data-00001-of-00002", "sharded.index"), ("objects", "objects/文-2.index"),
    ("objects/checkpoint", "objects/文-2.index"), ("objects/文-1", "objects/文-1.index"),
    ("saved_model", "saved_model/variables/variables.index"),
    ("saved_model/saved_model.pb", "saved_model/variables/variables.index"),
    ("saved_model/variables", "saved_model/variables/variables.index"), ("v1", "v1"),
    ("v1-split-00001-of-00002", "v1-split-00001-of-00002"),
  ])
  func `a checkpoint is found by any of its names`(name: String, file: String) throws {
    let checkpoint = try TFFixtures.open(name)
    #expect(checkpoint.path == TFFixtures.path(file))
    #expect(!checkpoint.tensors.isEmpty)
    #expect(checkpoint.warnings.allSatisfy { $0.contains("文-1.index") })
  }

  @Test func `the configuration of what was read is found from every entrance`() throws {
    let folder = try TemporaryFolder()
    try folder.bundle([Tensor(name: "a", shape: [1], values: [1])], "best_model.weights")
    try folder.file("config.json", Array("{}".utf8))
    let own = try folder.file("best_model.config.json", Array("{}".utf8))
    for entrance in [
      "", "best_model.weights", "best_model.weights.index", "checkpoint",
      "best_model.weights.data-00000-of-00001",
    ] {
      #expect(try Opening(folder.file(entrance)).configuration?.path == own, "\(entrance)")
    }
  }

  @Test func `index and shards are its files`() throws {
    #expect(
      try TFFixtures.open("sharded").files.map { Paths.name(of: $0) }
        == ["sharded.index", "sharded.data-00000-of-00002", "sharded.data-00001-of-00002"])
    #expect(
      try TFFixtures.open("v1-split-00001-of-00002").files.map { Paths.name(of: $0) }
        == ["v1-split-00000-of-00002", "v1-split-00001-of-00002"])
  }

  @Test func `a file that is called like the prefix is opened itself`() throws {
    let folder = try TemporaryFolder()
    try folder.bundle([Tensor(name: "a", shape: [1], values: [1])], "best_model.weights")
    #expect(try Opening(folder.file("best_model.weights")).checkpoint.format == "tf")
    let output = Output(overwrite: false, inputs: [])
    try KerasHDF5().write(
      Checkpoint(groups: [Group(name: "", tensors: [Tensor(name: "b", shape: [1], values: [2])])]),
      to: folder.file("best_model.weights"), in: output, options: WriteOptions())
    try output.commit(durable: false)
    #expect(try Opening(folder.file("best_model.weights")).checkpoint.format == "keras-h5")
    #expect(try Opening(folder.file("best_model.weights.index")).checkpoint.format == "tf")
  }

  @Test func `a pointer that was moved leads to what is beside it`() throws {
    let folder = try TemporaryFolder()
    try folder.bundle([Tensor(name: "a", shape: [1], values: [1])], "m.ckpt-7")
    for (text, isMoved) in [
      ("model_checkpoint_path: \"m.ckpt-7\"\n", false),
      (
        "# kept\n model_checkpoint_path : 'm.ckpt' \"-\\067\" last_preserved_timestamp: 1.5e9",
        false
      ),
      ("model_checkpoint_path: \"/gone/away/m.ckpt-7\"\n", true),
      ("model_checkpoint_path: \"\(folder.path)/m.ckpt-7\"\n", false),
    ] {
      try folder.file("checkpoint", Array(text.utf8))
      let checkpoint = try TFCheckpoint().read(Probe(folder.file("checkpoint")))
      #expect(checkpoint.tensors.map(\.name) == ["a"])
      #expect(checkpoint.warnings.count == (isMoved ? 1 : 0))
    }
    for text in [
      "model_checkpoint_path: \"m.ckpt-8\"", "model_checkpoint_path: \"m", "model_checkpoint_path",
      "model_checkpoint_path: \"\\9\"", "all_model_checkpoint_paths: \"m.ckpt-7\"",
      "model_checkpoint_path: \"\\777\"", "model_checkpoint_path: \"\\377\"",
      "model_checkpoint_path: {", "model_checkpoint_path:",
    ] {
      try folder.file("checkpoint", Array(text.utf8))
      #expect(throws: CheckpointError.self, "\(text)") {
        try TFCheckpoint().read(Probe(folder.file("checkpoint")))
      }
    }
  }

  @Test func `what is missing is named`() throws {
    let folder = try TemporaryFolder()
    let index = try File.contents(of: TFFixtures.path("sharded.index"))
    try folder.file("s.index", index)
    try folder.file(
      "s.data-00000-of-00002", File.contents(of: TFFixtures.path("sharded.data-00000-of-00002")))
    let shard = #expect(throws: CheckpointError.self) { try Opening(folder.file("s")) }
    #expect(shard?.kind == .cannotRead)
    #expect(shard?.reason.contains("s.data-00001-of-00002") == true)
    try folder.file("t.data-00000-of-00001", [1])
    let noIndex = #expect(throws: CheckpointError.self) { try Opening(folder.file("t")) }
    #expect(noIndex?.reason.contains("t.index") == true)
    try folder.file(
      "v-00000-of-00002", File.contents(of: TFFixtures.path("v1-split-00000-of-00002")))
    let part = #expect(throws: CheckpointError.self) {
      try Opening(folder.file("v-00000-of-00002"))
    }
    #expect(part?.reason.contains("v-00001-of-00002") == true)
    try folder.file("saved_model.pb", [8, 1])
    #expect(throws: CheckpointError(.cannotRead, .file(folder.file("saved_model.pb")), "")) {
      try Opening(folder.file("saved_model.pb"))
    }
  }
}
