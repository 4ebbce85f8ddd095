import Checkpoint
import TestSupport
import Testing

@Suite struct InfoTests {
  @Test func `info tells what it is, of what it consists and that nothing is odd`() throws {
    let source = Command.fixtures + "/b4k-bert/model_with_optimizer.h5"
    let text = try Command.run("info", source)
    #expect(text.code == 0)
    for words in [
      "bert, 63,171 parameters, 758 KB in 187 tensors, nothing odd found",
      "keras-h5, written by Keras 2.15.0 (tensorflow)", "3 layers of 17,408",
      "63,171 trainable, 126,343 of the optimizer", "f32 758 KB, i64 8 B",
    ] {
      #expect(text.output.contains(words), "\(words): \(text.output)")
    }
    #expect(!text.output.contains("\u{1b}"))
    let json = try #require(try Command.run("info", source, "--json").json)
    #expect(json["composition"]?["roles"]?["optimizer"]?.int == 126_343)
    #expect(json["concerns"]?.array?.isEmpty == true)
    #expect(json["writer"]?.string == "Keras 2.15.0 (tensorflow)")
    #expect(json["parameters"]?.int == 189_514)
  }

  @Test func `names alone are told without values`() throws {
    let json = try #require(
      try Command.run("info", Command.fixtures + "/hf-bert", "--no-values", "--json").json)
    #expect(json["numbers"] == .null && json["family"]?.string == "bert")
    #expect(json["embedding_rows"]?.array?.isEmpty == true)
  }

  @Test func `a model that lacks a weight is shown, and then the error`() throws {
    let folder = try TemporaryFolder()
    let opening = try Opening(Command.fixtures + "/hf-bert")
    var checkpoint = opening.checkpoint
    checkpoint.groups[0].tensors.removeAll { $0.name.hasSuffix("attention.self.value.bias") }
    try write(checkpoint, Safetensors(), to: folder.file("model.safetensors"))
    try folder.file("config.json", File.contents(of: Command.fixtures + "/hf-bert/config.json"))
    let text = try Command.run("info", folder.path)
    #expect(text.code == 2)
    #expect(text.output.contains("bert, 2 layers"), "\(text.output)")
    #expect(text.output.contains("incomplete"))
    #expect(text.output.contains("warning: bert needs layers.*.attention.value.bias (2 tensors)"))
    #expect(text.errors.contains("layers.0.attention.value.bias: is missing"), "\(text.errors)")
    let result = try Command.run("info", folder.path, "--json")
    #expect(result.code == 2)
    let json = try #require(result.json)
    #expect(json["concerns"]?.array?.first?["kind"]?.string == "missing")
    #expect(json["error"]?["kind"]?.string == "mismatch")
  }

  @Test func `an untied ALBERT's layers are copies, and a note says so`() throws {
    let folder = try TemporaryFolder()
    let made = try Command.convert(
      Command.fixtures + "/b4k-albert/weights.h5", to: folder.file("out"), steps: ["untie"],
      ["--to", "huggingface", "--no-verify"])
    #expect(made.code == 0, "\(made.errors)")
    let json = try #require(try Command.run("info", folder.file("out"), "--json").json)
    let copies = try #require(json["layer_copies"]?.array?.first)
    #expect(copies["layers"]?.array?.count == 5 && copies["exact"]?.bool == true)
    #expect(json["concerns"]?.array?.compactMap { $0["kind"]?.string } == ["copied-layers"])
    #expect(json["concerns"]?.array?.first?["severity"]?.string == "note")
  }

  @Test func `a file of no known family has parts, roles and concerns all the same`() throws {
    let folder = try TemporaryFolder()
    let tensors = [
      Tensor(name: "conv/kernel:0", shape: [3, 3, 2], values: (0..<18).map { Float($0) }),
      Tensor(name: "bn/moving_mean:0", shape: [4], values: [1, 2, 3, .nan]),
      Tensor(name: "dense/kernel:0", shape: [4, 4], values: [Float](repeating: 0, count: 16)),
    ]
    let groups = tensors.map {
      Group(name: String($0.name.prefix { $0 != "/" }), tensors: [$0])
    }
    let path = folder.file("net.h5")
    try write(Checkpoint(groups: groups), KerasHDF5(), to: path)
    let json = try #require(try Command.run("info", path, "--json").json)
    #expect(json["family"] == .null)
    #expect(
      json["composition"]?["parts"]?.array?.compactMap { $0["name"]?.string }
        == ["bn", "conv", "dense"])
    #expect(json["composition"]?["roles"]?["fixed"]?.int == 4)
    #expect(json["concerns"]?.array?.compactMap { $0["kind"]?.string } == ["not-finite", "zero"])
    let text = try Command.run("info", path)
    #expect(text.code == 0 && text.output.contains("warning: bn/moving_mean:0 holds 1 NaN"))
  }

  @Test func `hashes of names that cannot be shown are checked as others are`() throws {
    let folder = try TemporaryFolder()
    let (source, manifest) = (folder.file("odd.safetensors"), folder.file("hashes"))
    let names = ["a\nb", "c\u{1b}[31m\"\\", "e\r", "\u{202e}f", "\\plain", "g  f32 (1)"]
    let output = Output(overwrite: true, inputs: [])
    try FormatRegistry.named("safetensors").write(
      Checkpoint(groups: [
        Group(name: "", tensors: names.map { Tensor(name: $0, shape: [1], values: [1]) })
      ]), to: source, in: output, options: WriteOptions())
    try output.commit(durable: false)
    let printed = try Command.run("hash", source, "--per-tensor")
    #expect(printed.output.split(separator: "\n").count == names.count + 1)
    try folder.file("hashes", Array(printed.output.utf8))
    let checked = try Command.run("hash", source, "--check", manifest)
    #expect(checked.code == 0, "\(checked.output) \(checked.errors)")
  }

  @Test func `hash --check says what has changed, by its exit code too`() throws {
    let folder = try TemporaryFolder()
    let source = Command.fixtures + "/b4k-bert/weights.h5"
    let same = Command.fixtures + "/b4k-bert/model.h5"
    for options in [["--per-tensor"], ["--per-tensor", "--json"], ["--json"], []] {
      let printed = try Command.run(Command.path, ["hash", source] + options)
      let manifest = try folder.file("manifest", Array(printed.output.utf8))
      let equal = try Command.run("hash", source, "--check", manifest)
      #expect(equal.code == 0 && equal.output.hasPrefix("ok "), "\(options): \(equal.output)")
      let other = try Command.run("hash", same, "--check", manifest, "--json")
      #expect(other.code == 1 && other.json?["equal"]?.bool == false)
      // The whole model keeps the weights in a group of that name.
      let renamed = other.json?["renamed"]?.array
      #expect(renamed?.count == (options.contains("--per-tensor") ? 62 : 0), "\(options)")
    }
    let bad = try folder.file("bad", Array("nothing".utf8))
    let refused = try Command.run("hash", source, "--check", bad)
    #expect(refused.code == 2 && refused.errors.contains("hash --per-tensor"))
    let both = try Command.run("hash", source, "--check", bad, "--per-tensor")
    #expect(both.code == 64)
  }

  private func write(
    _ checkpoint: Checkpoint, _ format: some Format, to path: String
  ) throws {
    let output = Output(overwrite: true, inputs: [])
    try format.write(checkpoint, to: path, in: output, options: WriteOptions())
    try output.commit(durable: false)
  }
}
