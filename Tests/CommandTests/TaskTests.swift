import Checkpoint
import TestSupport
import Testing

/// The real model answers as the original library does, before and after conversion.
@Suite struct TaskTests {
  private let folder = Command.fixtures + "/tiny-albert"

  @Test(arguments: ["", "huggingface", "bert4keras"])
  func `fill-mask gives bert4keras' answers`(_ dialect: String) throws {
    let temporary = try TemporaryFolder()
    var model = folder + "/weights.h5"
    if !dialect.isEmpty {
      let out = temporary.file("out")
      let result = try Command.run(
        "convert", model, out, "--to", dialect, "--apply", "untie")
      #expect(result.code == 0, "\(result.errors)")
      model = out
    }
    let expected = try JSON(parsing: File.contents(of: folder + "/fill_mask.json"))
    let answers = try #require(expected["answers"]?.array)
    let sentences = answers.compactMap { $0["sentence"]?.string }
    let result = try Command.run(
      "run", model, "--task", "fill-mask", "--json", input: sentences.joined(separator: "\n"))
    #expect(result.code == 0, "\(result.errors)")
    let found = try #require(result.json?["results"]?.array)
    #expect(found.count == answers.count)
    for (answer, other) in zip(answers, found) {
      let mask = try #require(other["masks"]?.array?.first)
      #expect(mask["position"] == answer["mask_position"])
      let top = try #require(answer["top"]?.array)
      let candidates = try #require(mask["candidates"]?.array)
      #expect(candidates.map { $0["token"] } == top.map { $0["token"] })
      for (candidate, best) in zip(candidates, top) {
        let (p, q) = (candidate["probability"]?.double ?? 0, best["probability"]?.double ?? 1)
        #expect(abs(p - q) < 1e-4)
      }
    }
  }

  @Test func `encode gives one vector per line`() throws {
    let result = try Command.run(
      "run", folder, "--task", "encode", "--pooling", "mean", "--json",
      input: "酒店很好\n\n电脑")
    #expect(result.code == 0, "\(result.errors)")
    let vectors = try #require(result.json?["results"]?.array)
    #expect(vectors.map { $0["embedding"]?.array?.count } == [128, 128, 128])
  }

  @Test func `text that is too long is refused with its length`() throws {
    let result = try Command.run(
      "run", folder, "--task", "encode", String(repeating: "好", count: 40))
    #expect(result.code == 2)
    #expect(result.errors.contains("42 tokens"))
  }
}
