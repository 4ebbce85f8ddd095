import Glibc
import TestSupport
import Testing

@testable import Checkpoint

@Suite struct TorchTests {
  let scratch: TemporaryFolder

  init() throws { scratch = try TemporaryFolder() }

  static let expected =
    (try? ExpectedTensors.file(Fixtures.path("torch", "expected.json"))) ?? []
  static let readable = expected.filter { $0.value["tensors"] != nil }.map(\.key)
  static let refused = expected.filter { $0.value["refused"] != nil }.map(\.key)

  static func path(_ name: String) -> String {
    let path = Fixtures.path("torch", name)
    return Paths.isFolder(path) ? Paths.join(path, "pytorch_model.bin.index.json") : path
  }

  func open(_ name: String) throws -> Checkpoint {
    let probe = try Probe(TorchTests.path(name))
    #expect(try FormatRegistry.recognise(probe).name == "torch")
    return try Torch().read(probe)
  }

  static func expected(_ name: String) -> JSON? { expected.first { $0.key == name }?.value }

  @Test(arguments: readable) func `every tensor is what torch.load gives`(_ name: String) throws {
    #expect(TorchTests.readable.count >= 17)
    let checkpoint = try open(name)
    try ExpectedTensors(TorchTests.expected(name)?["tensors"]).check(checkpoint)
    #expect(checkpoint.path == TorchTests.path(name))
    #expect(checkpoint.files.first == checkpoint.path)
  }

  @Test(arguments: refused) func `what holds no readable weights is refused`(_ name: String) throws
  {
    let word = try #require(TorchTests.expected(name)?["refused"]?.string)
    let error = try #require(throws: CheckpointError.self) { try open(name) }
    #expect(error.kind == .unsupported)
    #expect(error.description.contains(word), "\(error)")
    #expect(error.place.file == TorchTests.path(name))
  }

  @Test(arguments: ["types.pt", "types_legacy.pt", "views.pt", "views_legacy.pt"])
  func `dense tensors lie in the file as they are`(_ name: String) throws {
    let gathered: Set = [
      "transposed", "column", "part", "every second", "expanded", "one", "overlapping", "permuted",
      "inner", "channels last",
    ]
    for tensor in try open(name).tensors where tensor.shape.count > 0 {
      #expect((tensor.payload.slice == nil) == gathered.contains(tensor.name), "\(tensor.name)")
    }
  }

  @Test func `numbers and texts of a training checkpoint become attributes`() throws {
    for name in ["training.pt", "protocol4.pt", "protocol5_legacy.pt"] {
      let checkpoint = try open(name)
      #expect(checkpoint.unreadable.isEmpty && checkpoint.warnings.isEmpty)
      var found: [String: Attribute] = [:]
      for attribute in checkpoint.attributes { found[attribute.name] = attribute }
      func numbers(_ name: String) -> [Double] {
        guard case .numbers(let dtype, _, let bytes)? = found[name]?.value else { return [] }
        return Elements.decode(bytes, as: dtype)
      }
      #expect(numbers("epoch") == [3] && numbers("best") == [0.25] && numbers("done") == [0])
      #expect(numbers("history") == [1.5, 1.25] && numbers("args.lr") == [0.1])
      #expect(numbers("optimizer.param_groups.0.betas") == [0.9, 0.999])
      #expect(numbers("optimizer.param_groups.0.params") == [0, 1, 2, 3, 4])
      #expect(found["name"]?.text == "模型" && found["nothing"]?.text == "None")
      #expect(found["labels"]?.texts == ["O", "B"])
      #expect(found["mixed.1"]?.text == "a" && found["empty"]?.text == "{}")
      #expect(!found.keys.contains { $0.contains("_metadata") })
    }
  }

  @Test func `what is no tensor is listed with the reason`() throws {
    let checkpoint = try open("odd.pt")
    let reasons = Dictionary(
      uniqueKeysWithValues: checkpoint.unreadable.map { ($0.name, $0.reason) })
    #expect(
      reasons.keys.sorted() == [
        "bytes", "color", "conjugated", "function", "half", "huge", "loop.1", "meta", "negated",
        "quantized", "sparse",
      ])
    #expect(reasons["color"]?.contains("__main__.Color") == true)
    #expect(reasons["sparse"]?.contains("to_dense()") == true)
    #expect(reasons["loop.1"] == "contains itself")
    #expect(checkpoint.text("dtype") == "torch.float16")
    #expect(checkpoint.text("device") == "cuda:1" && checkpoint.text("path") == "/a/b")
    #expect(
      checkpoint.attributes.contains(
        Attribute("number", .numbers(.f32, shape: [], bytes: [0, 0, 0xc0, 0x3f]))))
  }

  @Test func `a missing shard is named`() throws {
    let index = try File.contents(of: TorchTests.path("sharded"))
    let path = try scratch.file("pytorch_model.bin.index.json", index)
    let probe = try Probe(path)
    #expect(try FormatRegistry.recognise(probe).name == "torch")
    let error = try #require(throws: CheckpointError.self) { try Torch().read(probe) }
    #expect(error.description.contains("pytorch_model-00001-of-00002.bin"))
  }

  @Test func `the tar of before 0·1·10 is refused by name`() throws {
    var bytes: [UInt8] = []
    for name in ["sys_info", "pickle", "tensors", "storages"] {
      var header = [UInt8](repeating: 0, count: 512)
      header.replaceSubrange(0..<name.utf8.count, with: Array(name.utf8))
      header.replaceSubrange(124..<135, with: Array("00000000000".utf8))
      header.replaceSubrange(257..<263, with: Array("ustar\0".utf8))
      header.replaceSubrange(148..<156, with: Array("        ".utf8))
      let sum = String(header.reduce(0) { $0 + Int($1) }, radix: 8)
      header.replaceSubrange(148..<156, with: Array("0\(sum)\0\0\0\0".utf8.prefix(8)))
      bytes += header
    }
    let path = try scratch.file("old.pt", bytes + [UInt8](repeating: 0, count: 1024))
    let error = try #require(throws: CheckpointError.self) { try Torch().read(Probe(path)) }
    #expect(error.kind == .unsupported && error.reason.contains("0.1.10"), "\(error)")
  }

  static let small = ["views.pt", "views_legacy.pt", "model.tar.gz"]

  @Test(arguments: small) func `truncation at every byte is an error`(_ name: String) throws {
    let bytes = try File.contents(of: TorchTests.path(name))
    for count in 0..<bytes.count {
      let path = try scratch.file("cut.pt", Array(bytes[..<count]))
      do throws(CheckpointError) {
        for tensor in try Torch().read(Probe(path)).tensors { _ = try tensor.bytes() }
        // The end of a gzip stream holds nothing of the weights.
        #expect(name == "model.tar.gz" && count > bytes.count - 600, "\(count) bytes")
      } catch {
        #expect([.damaged, .notRecognised].contains(error.kind), "\(error)")
        #expect(error.place.file == path)
      }
    }
  }

  @Test(arguments: small + ["odd.pt", "script.pt", "protocol4.pt"])
  func `random mutations give an error or sound tensors`(_ name: String) throws {
    let bytes = try File.contents(of: TorchTests.path(name))
    var random = SeededGenerator(seed: 11)
    for _ in Fuzz.trials(name == "views_legacy.pt" ? 10_000 : 1000) {
      var copy = bytes
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        copy[Int.random(in: 0..<copy.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      let path = try scratch.file("mutated.pt", copy)
      do throws(CheckpointError) {
        for tensor in try Torch().read(Probe(path)).tensors {
          #expect(try tensor.bytes().count == tensor.byteCount)
        }
      } catch {
        #expect([.damaged, .unsupported, .notRecognised].contains(error.kind), "\(error)")
      }
    }
  }
}

/// Files made by other people; run where a folder with both is named by the environment variable.
private let realFiles = getenv("CKPT_REAL_FILES").map { String(cString: $0) }

@Suite(.enabled(if: realFiles != nil, "CKPT_REAL_FILES names no folder"))
struct TorchRealFilesTests {
  @Test(arguments: ["pt-allennlp-th", "pt-burn-dtypes", "pt-candle", "pt-lpips"])
  func `every tensor is what torch and NumPy read`(_ set: String) throws {
    let folder = try #require(realFiles)
    for member in try ExpectedTensors.file("\(folder)/expected/\(set).json") {
      let path = "\(folder)/files/\(set)/\(member.key)"
      guard let tensors = member.value["tensors"] else {
        #expect(throws: CheckpointError.self) { try Opening(path) }
        continue
      }
      try ExpectedTensors(tensors).check(
        try Opening(path).checkpoint, nameless: member.value["kind"]?.string == "npy")
    }
  }

  @Test func `weights inside a tar·gz are those beside it`() throws {
    let folder = "\(try #require(realFiles))/files/pt-allennlp-th/simple_tagger/serialization"
    let inside = try Opening("\(folder)/model.tar.gz").checkpoint
    let beside = try Opening("\(folder)/best.th").checkpoint
    #expect(try ContentHash(inside).hash == ContentHash(beside).hash)
  }
}
