import Checkpoint
import Foundation
import TestSupport
import Testing

/// What stands beside the weights, before and after a conversion.
@Suite struct SidesTests {
  @Test func `a folder's weights are found before its arrays`() throws {
    let opening = try Opening(Command.fixtures + "/b4k-albert-relu")
    #expect(Paths.name(of: opening.checkpoint.path) == "weights.h5")
  }

  @Test func `a folder written again as shards, or as one file, holds one result`() throws {
    let folder = try TemporaryFolder()
    let out = folder.file("out")
    let shards = ["--max-shard-size", "60KB"]
    for (options, single) in [([], true), (shards, false), ([], true)] as [([String], Bool)] {
      let result = try Command.run(
        Command.path,
        ["convert", Command.fixtures + "/hf-bert", out, "--to", "huggingface", "--overwrite"]
          + options)
      #expect(result.code == 0, "\(result.errors)")
      #expect(Paths.isFile(out + "/model.safetensors") == single)
      #expect(Paths.isFile(out + "/model.safetensors.index.json") != single)
    }
    #expect(
      try Command.run(
        Command.path,
        ["convert", Command.fixtures + "/hf-bert", out, "--to", "huggingface"] + shards
      ).code == 64, "what would be removed exists, and --overwrite was not given")
  }

  @Test func `a whole model's own configuration outweighs the one beside it`() throws {
    let file = Command.fixtures + "/b4k-bert-tanh/model.h5"
    let model = try Opening(file).model()
    #expect(model.architecture.configuration.activation == .geluTanh)
    #expect(model.warnings.contains { $0.contains("hidden_act") && $0.contains("gelu_tanh") })
    var options = ModelReader.Options()
    options.settings = [("hidden_act", "gelu")]
    #expect(
      try Opening(file, options: options).model().architecture.configuration.activation == .geluErf)
    let written = try Opening(Command.fixtures + "/b4k-bert-tanh/model.keras215.h5").model()
    #expect(written.architecture.configuration.activation == .geluTanh)
  }

  @Test func `a whole model needs no configuration beside it`() throws {
    let folder = try TemporaryFolder()
    for (name, layers) in [("b4k-bert", 3), ("b4k-albert", 5)] {
      let copy = folder.file("\(name).h5")
      try FileManager.default.copyItem(
        atPath: Command.fixtures + "/\(name)/model.h5", toPath: copy)
      let configuration = try Opening(copy).model().architecture.configuration
      let beside = try Opening(Command.fixtures + "/\(name)/weights.h5").model()
      #expect(configuration.layers == layers)
      #expect(configuration.heads == beside.architecture.configuration.heads)
      #expect(
        configuration.blockNormEpsilon == beside.architecture.configuration.blockNormEpsilon)
    }
  }

  @Test func `a whole model goes to npz, proven by its bytes`() throws {
    let folder = try TemporaryFolder()
    for file in ["b4k-bert/model.h5", "b4k-bert/model_with_optimizer.h5"] {
      let result = try Command.run(
        "convert", Command.fixtures + "/" + file, folder.file("x.npz"), "--overwrite", "--json")
      #expect(result.code == 0, "\(result.errors)")
      #expect(result.json?["verified"]?.bool == true)
    }
  }
}
