import Checkpoint
import TestSupport
import Testing

/// PyTorch's and NumPy's files through the command.
@Suite struct TorchCommandTests {
  private let bert = Command.fixtures + "/b4k-bert/weights.h5"
  private let torch = Command.fixtures + "/torch/"

  @Test func `transformers' form in PyTorch's format is a folder with pytorch_model·bin`() throws {
    let folder = try TemporaryFolder()
    let out = folder.file("out")
    let result = try Command.run(
      "convert", bert, out, "--to", "huggingface", "--format", "torch", "--json")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["verified"]?.bool == true)
    #expect(folder.contents == ["out", "out/config.json", "out/pytorch_model.bin"])
    let again = try Command.run("convert", out, folder.file("back.h5"), "--to", "bert4keras")
    #expect(again.code == 0, "\(again.errors)")
    #expect(try Command.run("verify", bert, folder.file("back.h5")).code == 0)
    // Weights of another kind beside it would be read first by some.
    let second = try Command.run("convert", bert, out, "--to", "huggingface", "--overwrite")
    #expect(
      (second.output + second.errors).contains("pytorch_model.bin stands in the folder already"))
  }

  @Test func `h5 to PyTorch to h5 keeps tensors, groups, order and attributes`() throws {
    let folder = try TemporaryFolder()
    let (middle, back) = (folder.file("m.pt"), folder.file("b.h5"))
    #expect(try Command.run("convert", bert, middle).code == 0)
    #expect(try Command.run("convert", middle, back).code == 0)
    let (a, b) = try (Opening(bert).checkpoint, Opening(back).checkpoint)
    #expect(a.attributes == b.attributes)
    #expect(a.groups.map(\.name) == b.groups.map(\.name))
    #expect(a.tensors.map(\.name) == b.tensors.map(\.name))
    #expect(try ContentHash(a).hash == ContentHash(b).hash)
  }

  @Test func `what a training checkpoint holds beside tensors is not lost silently`() throws {
    let folder = try TemporaryFolder()
    let out = folder.file("odd.safetensors")
    let refused = try Command.run("convert", torch + "odd.pt", out)
    #expect(refused.code == 64 && refused.errors.contains("color"), "\(refused.errors)")
    #expect(folder.contents.isEmpty)
    let allowed = try Command.run("convert", torch + "odd.pt", out, "--allow-drop", "*")
    #expect(allowed.code == 64, "an empty result is refused: \(allowed.errors)")
    let training = try Command.run("convert", torch + "training.pt", out)
    #expect(training.code == 0, "\(training.errors)")
    #expect(try Opening(out).checkpoint.text("name") == "模型")
  }

  @Test(arguments: ["safetensors", "torch"])
  func `weights that untie made independent are written each`(_ format: String) throws {
    let folder = try TemporaryFolder()
    let out = folder.file("out")
    let result = try Command.run(
      "convert", Command.fixtures + "/b4k-albert/weights.h5", out, "--to", "huggingface",
      "--apply", "untie", "--format", format)
    #expect(result.code == 0, "\(result.errors)")
    let tensors = try Opening(out).checkpoint.tensors
    #expect(Set(tensors.compactMap(\.payload.slice?.offset)).count == tensors.count)
  }

  @Test func `a whole module is refused with what to do`() throws {
    let result = try Command.run("info", torch + "module.pt")
    #expect(result.code == 2)
    #expect(result.errors.contains("__main__.Net") && result.errors.contains("state_dict()"))
  }

  @Test func `one tensor becomes an npy, whatever its name, and is proven`() throws {
    let folder = try TemporaryFolder()
    let out = folder.file("w.npy")
    let result = try Command.run("convert", torch + "tensor.pt", out, "--json")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["read_back"]?.int == 1)
    let many = try Command.run("convert", torch + "list.pt", out, "--overwrite")
    #expect(many.code == 2 && many.errors.contains("npz"), "\(many.errors)")
  }

  @Test func `a format that is only read says so`() throws {
    let folder = try TemporaryFolder()
    let result = try Command.run("convert", bert, folder.file("x.pdparams"))
    #expect(result.code == 64 && result.errors.contains("read only"), "\(result.errors)")
  }
}
