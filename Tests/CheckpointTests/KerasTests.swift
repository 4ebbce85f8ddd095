import Glibc
import TestSupport
import Testing

@testable import Checkpoint

/// Archives and shards of Keras 3 and tf.keras 2.15.
@Suite struct KerasTests {
  struct Expectation: CustomTestStringConvertible {
    let file: String
    let json: JSON
    var testDescription: String { file }
  }

  static let expectations: [Expectation] = ["keras2", "keras3"].flatMap { library in
    let bytes = try? File.contents(of: Fixtures.path("keras", "expected.\(library).json"))
    return (bytes.flatMap { try? JSON(parsing: $0).members } ?? []).map {
      Expectation(file: $0.key, json: $0.value)
    }
  }

  static func read(_ path: String) throws -> Checkpoint { try Opening(path).checkpoint }
  static func fixture(_ name: String) throws -> Checkpoint {
    try read(Fixtures.path("keras", name))
  }

  static func digest(_ bytes: [UInt8]) -> String {
    var state = SHA256()
    state.update(bytes)
    return state.hex()
  }

  @Test func `there are expectations`() { #expect(Self.expectations.count == 13) }

  @Test(arguments: expectations) func `every tensor is the library's`(
    _ expected: Expectation
  ) throws {
    let checkpoint = try Self.fixture(expected.file)
    #expect(checkpoint.format == (expected.file.hasSuffix(".h5") ? "keras-h5" : "keras"))
    let tensors = try #require(expected.json["tensors"]?.members)
    #expect(Set(checkpoint.tensors.map(\.name)) == Set(tensors.map(\.key)))
    #expect(
      checkpoint.tensors.map(\.name)
        == checkpoint.tensors.map(\.name).sorted(by: Natural.less))
    let dtypes = ["float32": DType.f32, "bfloat16": .bf16, "int64": .i64, "uint32": .u32]
    for entry in tensors {
      let tensor = try checkpoint.tensor(entry.key)
      #expect(tensor.dtype == dtypes[entry.value["dtype"]?.string ?? ""])
      #expect(tensor.shape.extents == entry.value["shape"]?.array?.compactMap(\.int))
      #expect(Self.digest(try tensor.bytes()) == entry.value["sha256"]?.string, "\(entry.key)")
    }
    if let config = expected.json["model_config"]?.string {
      #expect(Self.digest(Array((checkpoint.text("model_config") ?? "").utf8)) == config)
      #expect(checkpoint.text("keras_version") == expected.json["keras_version"]?.string)
      #expect(checkpoint.text("date_saved") == expected.json["date_saved"]?.string)
    }
  }

  @Test(arguments: ["keras3.keras", "bf16.keras", "windows.keras", "sharded.weights.json"])
  func `stored weights are read in place`(_ name: String) throws {
    let checkpoint = try Self.fixture(name)
    for tensor in checkpoint.tensors {
      #expect(checkpoint.files.contains(try #require(tensor.payload.slice).file.path))
    }
  }

  @Test func `packed weights are unpacked to a file without a name`() throws {
    let tensor = try #require(try Self.fixture("deflated.keras").tensors.first)
    #expect(tensor.payload.slice?.file.path.hasSuffix("(model.weights.h5, unpacked)") == true)
  }

  @Test func `backslashes stand in the name, slashes in an alias`() throws {
    let tensor = try Self.fixture("windows.keras").tensor("layers\\dense/vars/0")
    #expect(tensor.aliases == ["layers/dense/vars/0"])
  }

  @Test func `assets are listed, not dropped`() throws {
    let unreadable = try Self.fixture("assets.keras").unreadable
    #expect(
      unreadable == [
        Unreadable(
          name: "assets/layers/lookup/vocabulary.txt",
          reason: "is a file of a layer (an asset), no tensor")
      ])
  }

  @Test func `an archive that is written reads as the one that was read`() throws {
    let scratch = try TemporaryFolder()
    let source = try Self.fixture("keras3.keras")
    let output = Output(overwrite: true, inputs: [])
    try Keras().write(source, to: scratch.file("a.keras"), in: output, options: WriteOptions())
    try output.commit(durable: false)
    let again = try Keras().read(Probe(scratch.file("a.keras")))
    #expect(again.tensors.map(\.name) == source.tensors.map(\.name))
    for (a, b) in zip(source.tensors, again.tensors) { #expect(try a.hasBytes(of: b)) }
    #expect(again.text("model_config") == source.text("model_config"))
  }

  @Test func `plain HDF5 named .keras opens by content`() throws {
    let scratch = try TemporaryFolder()
    let path = try scratch.file(
      "a.keras", File.contents(of: Fixtures.path("keras", "keras2.weights.h5")))
    #expect(try Self.read(path).format == "keras-h5")
  }

  // MARK: Shards

  /// The sharded fixture in a folder of its own.
  private static func shards(_ scratch: TemporaryFolder) throws -> String {
    for name in ["sharded.weights.json", "sharded_00000.weights.h5", "sharded_00001.weights.h5"] {
      try scratch.file(name, File.contents(of: Fixtures.path("keras", name)))
    }
    return scratch.file("sharded.weights.json")
  }

  @Test func `a folder with shards is opened by its index`() throws {
    let scratch = try TemporaryFolder()
    let index = try Self.shards(scratch)
    let checkpoint = try Self.read(scratch.path)
    #expect(checkpoint.path == index)
    #expect(checkpoint.files.count == 3)
    #expect(checkpoint.warnings == [])
  }

  @Test func `a missing shard is named`() throws {
    let scratch = try TemporaryFolder()
    let index = try Self.shards(scratch)
    unlink(scratch.file("sharded_00001.weights.h5"))
    let error = try #require(throws: CheckpointError.self) { try Self.read(index) }
    #expect(error.kind == .cannotRead)
    #expect(error.reason == "the shard sharded_00001.weights.h5 is missing")
  }

  @Test(arguments: [
    (#""../x.weights.h5""#, "the index does not name a file beside it"),
    (#"["sharded_00000.weights.h5", 3]"#, "the index does not name a file beside it"),
    (#""sharded_00001.weights.h5""#, "is in the index but not in the shard"),
  ])
  func `an index that leads elsewhere is refused`(_ files: String, _ reason: String) throws {
    let scratch = try TemporaryFolder()
    _ = try Self.shards(scratch)
    let path = try scratch.file(
      "x.weights.json", Array(#"{"weight_map": {"/layers/dense/vars": \#(files)}}"#.utf8))
    let error = try #require(throws: CheckpointError.self) { try Self.read(path) }
    #expect(error.kind == .damaged)
    #expect(error.reason == reason)
  }

  @Test func `a tensor in two shards is refused`() throws {
    let scratch = try TemporaryFolder()
    _ = try Self.shards(scratch)
    try scratch.file(
      "copy.weights.h5", File.contents(of: scratch.file("sharded_00000.weights.h5")))
    let path = try scratch.file(
      "x.weights.json",
      Array(
        #"{"weight_map": {"/layers/dense/vars": ["copy.weights.h5", "sharded_00000.weights.h5"]}}"#
          .utf8))
    let error = try #require(throws: CheckpointError.self) { try Self.read(path) }
    #expect(error.reason == "stands in the shard copy.weights.h5 too")
  }

  // MARK: Damage

  /// Reads everything; only the errors that damaged files may have come.
  private static func survive(_ bytes: [UInt8], _ scratch: TemporaryFolder) throws -> Bool {
    let probe = try Probe(try scratch.file("damaged.keras", bytes))
    guard Keras().recognises(probe) else { return false }
    do throws(CheckpointError) {
      for tensor in try Keras().read(probe).tensors {
        #expect(tensor.byteCount <= 64 << 20)
        _ = try tensor.bytes()
      }
      return true
    } catch {
      #expect([.damaged, .unsupported].contains(error.kind), "\(error)")
      #expect(error.place.file != nil, "\(error)")
      return false
    }
  }

  @Test(arguments: ["bf16.deflated.keras", "npz.keras"])
  func `every truncation is refused`(_ name: String) throws {
    let scratch = try TemporaryFolder()
    let bytes = try File.contents(of: Fixtures.path("keras", name))
    // At every byte of the smaller one.
    for length in stride(from: 0, to: bytes.count, by: name == "npz.keras" ? 1 : 13) {
      #expect(try !Self.survive(Array(bytes[..<length]), scratch), "\(length)")
    }
  }

  @Test(arguments: ["bf16.deflated.keras", "npz.keras", "keras213.keras"])
  func `mutations end without a crash`(_ name: String) throws {
    let scratch = try TemporaryFolder()
    let bytes = try File.contents(of: Fixtures.path("keras", name))
    var random = SeededGenerator(seed: UInt64(bytes.count))
    for _ in Fuzz.trials(name == "npz.keras" ? 10_000 : 300) {
      var damaged = bytes
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        damaged[Int.random(in: 0..<damaged.count, using: &random)] =
          UInt8.random(in: 0...255, using: &random)
      }
      _ = try Self.survive(damaged, scratch)
    }
  }
}
