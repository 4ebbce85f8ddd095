import Checkpoint
import Testing

/// `ckpt bench` counts what it measures; how long that takes is no affair of a test.
@Suite struct BenchTests {
  private let gpt = Command.fixtures + "/hf-gpt2/model.safetensors"
  private let bert = Command.fixtures + "/b4k-bert/weights.h5"

  @Test(arguments: [true, false])
  func `generation, with and without a cache`(isCached: Bool) throws {
    let result = try Command.run(
      Command.path,
      [
        "bench", gpt, "--generate", "3", "--length", "2", "--batch", "2", "--seconds", "0.01",
        "--json",
      ] + (isCached ? [] : ["--no-cache"]))
    #expect(result.code == 0, "\(result.errors)")
    let json = try #require(result.json)
    #expect(json["generated"] == .number(3) && json["length"] == .number(2))
    #expect(json["cached"] == .bool(isCached))
    #expect((json["tokens_per_second"]?.double ?? 0) > 0)
  }

  @Test func `what cannot generate says how it could`() throws {
    let result = try Command.run(Command.path, ["bench", bert, "--generate", "3"])
    #expect(result.code == 2)
    #expect(result.errors.contains("--mask unilm"))
    let masked = try Command.run(
      Command.path,
      ["bench", bert, "--generate", "2", "--length", "2", "--mask", "unilm", "--seconds", "0.01"])
    #expect(masked.code == 0, "\(masked.errors)")
    #expect(masked.output.contains("1×2 tokens behind 2, cached"))
  }

  @Test(arguments: [["--generate", "1"], ["--no-cache"], ["--generate", "9999", "--length", "2"]])
  func `options that do not fit are usage errors`(options: [String]) throws {
    #expect(try Command.run(Command.path, ["bench", gpt] + options).code == 64)
  }
}
