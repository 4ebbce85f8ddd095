import Checkpoint
import TestSupport
import Testing

/// TensorFlow bundles on the command line, as bert4keras' users have them.
@Suite struct BundleTests {
  private let configuration = Command.fixtures + "/b4k-bert/config.json"
  private let weights = Command.fixtures + "/b4k-bert/weights.h5"
  private let bundle = Command.fixtures + "/b4k-bert/tf/best_model.weights"

  @Test func `a bundle becomes HDF5 and transformers' form, and HDF5 a bundle`() throws {
    let folder = try TemporaryFolder()
    let h5 = folder.file("a.h5")
    for (out, arguments) in [
      (h5, ["--to", "bert4keras"]), (folder.file("hf"), ["--to", "huggingface"]),
      (folder.file("b.weights.index"), ["--to", "bert4keras"]),
    ] {
      let result = try Command.run(
        Command.path, ["convert", bundle, out, "--config", configuration, "--json"] + arguments)
      #expect(result.code == 0, "\(result.errors)")
      #expect(result.json?["verified"]?.bool == true)
    }
    #expect(
      folder.contents == [
        "a.config.json", "a.h5", "b.weights.config.json", "b.weights.data-00000-of-00001",
        "b.weights.index", "checkpoint", "hf", "hf/config.json", "hf/model.safetensors",
      ])
    let verified = try Command.run(
      "verify", h5, weights, "--rtol", "0", "--quiet")
    #expect(verified.code == 0, "\(verified.output)\(verified.errors)")
    let written = try Command.run("verify", folder.file("b.weights"), weights, "--quiet")
    #expect(written.code == 0, "\(written.output)\(written.errors)")
  }

  @Test func `names stay as they are without a dialect, and hashes too`() throws {
    let folder = try TemporaryFolder()
    let out = folder.file("copy.index")
    let result = try Command.run("convert", bundle, out, "--json")
    #expect(result.code == 0, "\(result.errors)")
    let hashes = try [bundle, folder.file("copy")].map { try Command.run("hash", $0, "--json") }
    #expect(hashes[0].json?["hash"]?.string != nil)
    #expect(hashes[0].json?["hash"] == hashes[1].json?["hash"])
  }

  @Test func `an optimizer's state is lost only when told`() throws {
    let folder = try TemporaryFolder()
    let source = Command.fixtures + "/b4k-albert-relu/tf/adam"
    let config = Command.fixtures + "/b4k-albert-relu/config.json"
    let arguments = [
      "convert", source, folder.file("a.h5"), "--to", "bert4keras", "--config", config,
    ]
    let refused = try Command.run(Command.path, arguments)
    #expect(refused.code != 0 && refused.errors.contains("--allow-drop 'optimizer/*'"))
    #expect(folder.contents == [])
    let done = try Command.run(Command.path, arguments + ["--allow-drop", "optimizer/*"])
    #expect(done.code == 0, "\(done.errors)")
  }

  @Test func `inputs are never overwritten, nor a shard of them`() throws {
    let folder = try TemporaryFolder()
    let prefix = folder.file("m")
    #expect(try Command.run("convert", bundle, prefix + ".index", "--no-verify").code == 0)
    let result = try Command.run(
      "convert", prefix, prefix + ".index", "--overwrite", "--no-verify")
    #expect(result.code == 64 && result.errors.contains("never overwritten"))
    let shard = prefix + ".data-00000-of-00001"
    let other = try Command.run("convert", prefix, shard, "--format", "h5", "--overwrite")
    #expect(other.code == 64, "\(other.errors)")
  }
}
