import Checkpoint
import TestSupport
import Testing

/// `--dtype` between packed types and floats.
@Suite struct PackedTests {
  static let types = Fixtures.path("gguf", "types.gguf")

  @Test func `packed tensors become floats in any format, as gguf-py decodes them`() throws {
    let folder = try TemporaryFolder()
    let target = folder.file("t.safetensors")
    let result = try Command.run("convert", PackedTests.types, target, "--dtype", "f32", "--json")
    #expect(result.code == 0, "\(result.errors)")
    let found = try Opening(target).checkpoint.tensors
    let expected = try Opening(Fixtures.path("gguf", "expected.npz")).checkpoint.tensors
    let byName = Dictionary(uniqueKeysWithValues: expected.map { ($0.name, $0) })
    var decoded = 0
    for tensor in found {
      let wanted = try #require(byName["types.gguf/\(tensor.name)"])
      guard tensor.dtype == .f32, wanted.dtype == .f32 else { continue }
      #expect(try tensor.bytes() == wanted.bytes(), "\(tensor.name)")
      decoded += 1
    }
    #expect(decoded > 25)
    #expect(found.count == 33 && found.allSatisfy { $0.dtype == .f32 || !$0.dtype.isFloat })
  }

  @Test(arguments: ["t.safetensors", "t.h5", "t.npz"])
  func `without it other formats refuse, with the way out`(name: String) throws {
    let folder = try TemporaryFolder()
    let result = try Command.run("convert", PackedTests.types, folder.file(name))
    #expect(result.code == 2)
    #expect(result.errors.contains("tensor ") && result.errors.contains("use --dtype f32"))
    #expect(folder.contents.isEmpty)
  }

  @Test func `q8_0 quantizes matrices and leaves the rest`() throws {
    let folder = try TemporaryFolder()
    let tensors = [
      Samples.tensor("ids", .i32, [2, 32]), Tensor(name: "vector", shape: [32], values: values(32)),
      Tensor(name: "matrix", shape: [4, 32], values: values(128)),
      Tensor(name: "ragged", shape: [2, 3], values: values(6)),
    ]
    let output = Output(overwrite: true, inputs: [])
    let source = folder.file("s.safetensors")
    try FormatRegistry.named("safetensors").write(
      Checkpoint(groups: [Group(name: "", tensors: tensors)]), to: source, in: output,
      options: WriteOptions())
    try output.commit(durable: false)
    let result = try Command.run(
      "convert", source, folder.file("t.gguf"), "--dtype", "q8_0", "--json")
    #expect(result.code == 0, "\(result.errors)")
    let found = try Opening(folder.file("t.gguf")).checkpoint.tensors
    #expect(
      Dictionary(uniqueKeysWithValues: found.map { ($0.name, $0.dtype) })
        == ["ids": .i32, "vector": .f32, "matrix": .q8_0, "ragged": .f32])
    let bytes = found.reduce(0) { $0 + $1.byteCount }
    #expect(result.json?["bytes"]?.int == bytes)
    let matrix = try #require(found.first { $0.name == "matrix" })
    for (value, original) in zip(try matrix.floats(), values(128)) {
      #expect(abs(value - original) < 0.01)
    }
    // A format without the type names the tensor and leaves nothing.
    let refused = try Command.run(
      "convert", source, folder.file("u.safetensors"), "--dtype", "q8_0")
    #expect(refused.code == 2 && refused.errors.contains("matrix"))
    #expect(!Paths.exists(folder.file("u.safetensors")))
  }

  @Test func `other packed types cannot be asked for`() throws {
    let folder = try TemporaryFolder()
    let result = try Command.run(
      "convert", PackedTests.types, folder.file("t.gguf"), "--dtype", "q4_0")
    #expect(result.code == 64 && result.errors.contains("q8_0"))
  }

  @Test func `what is only read says so`() throws {
    let folder = try TemporaryFolder()
    for (source, target) in [("onnx/types.onnx", "t.onnx"), ("flax/model.msgpack", "t.msgpack")] {
      let result = try Command.run("convert", Fixtures.path(source), folder.file(target))
      #expect(result.code == 64 && result.errors.contains("is read only"))
    }
    #expect(folder.contents.isEmpty)
  }

  private func values(_ count: Int) -> [Float] {
    (0..<count).map { Float($0 * 37 % 101) / 101 - 0.5 }
  }
}
