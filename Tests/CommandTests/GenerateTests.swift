import Checkpoint
import Foundation
import TestSupport
import Testing

/// What models write, as the command shows it.
@Suite struct GenerateTests {
  private let model = Command.fixtures + "/tiny-albert"

  private func answers(_ options: String..., input: String) throws -> [[JSON]] {
    let result = try Command.run(
      Command.path, ["run", model, "--task"] + options + ["--json", "--quiet"], input: input)
    #expect(result.code == 0, "\(result.errors)")
    return try #require(result.json?["results"]?.array).map {
      $0["answers"]?.array ?? $0["samples"]?.array ?? []
    }
  }

  @Test func `draws are the same for any batch and any number of threads`() throws {
    let texts = "酒店很好\n房间\n电脑的屏幕不错，\n\n早餐"
    let all = try answers(
      "generate", "--samples", "2", "--top-k", "9", "--seed", "7", "--max-new-tokens", "6",
      input: texts)
    #expect(all.map(\.count) == [2, 2, 2, 2, 2])
    for options in [["--batch", "1"], ["--threads", "1"], ["--threads", "2", "--batch", "3"]] {
      let result = try Command.run(
        Command.path,
        ["run", model, "--task", "generate", "--samples", "2", "--top-k", "9", "--seed", "7"]
          + ["--max-new-tokens", "6", "--json", "--quiet"] + options, input: texts)
      let found = try #require(result.json?["results"]?.array).map { $0["answers"]?.array ?? [] }
      #expect(found.map { $0.map { $0["ids"] } } == all.map { $0.map { $0["ids"] } })
    }
    let other = try answers(
      "generate", "--samples", "2", "--top-k", "9", "--seed", "8", "--max-new-tokens", "6",
      input: texts)
    #expect(other != all)
  }

  @Test func `beams come in order, and one is what is asked for by default`() throws {
    let beams = try #require(
      try answers(
        "generate", "--beams", "4", "--returns", "3", "--beam-rule", "transformers",
        "--max-new-tokens", "5", input: "酒店"
      ).first)
    let scores = beams.compactMap { $0["score"]?.double }
    #expect(scores.count == 3)
    #expect(scores == scores.sorted(by: >))
    #expect(try answers("generate", "--max-new-tokens", "5", input: "酒店")[0].count == 1)
  }

  @Test func `Gibbs sampling keeps the text around its masks`() throws {
    let texts = "酒店[MASK][MASK]好"
    let samples = try answers(
      "gibbs", "--samples", "3", "--sweeps", "2", "--seed", "3", input: texts)[0]
    #expect(samples.count == 3)
    let given = try answers("gibbs", "--sweeps", "1", "--order", "ordered", input: texts)[0]
    let ids = try #require(given.first?["ids"]?.array)
    #expect(ids.count == 7)
    for sample in samples {
      let own = try #require(sample["ids"]?.array)
      #expect([0, 1, 2, 5, 6].allSatisfy { own[$0] == ids[$0] })
    }
    #expect(try answers("gibbs", "--length", "4", input: "\n")[0].first?["ids"]?.array?.count == 6)
    // No text at all is one that is empty.
    let blank = try answers("gibbs", "--length", "4", input: "")
    #expect(try blank == answers("gibbs", "--length", "4", input: "\n"))
  }

  @Test func `scores are of each token, and pairs are judged under the UniLM mask`() throws {
    let folder = try TemporaryFolder()
    try Data("酒店\t很好\n房间很小\n".utf8).write(
      to: URL(fileURLWithPath: folder.file("pairs.tsv")))
    let result = try Command.run(
      "run", model, "--task", "score", "--pairs", folder.file("pairs.tsv"), "--json", "--quiet")
    // The second line is no pair.
    #expect(result.code == 2)
    let rows = try #require(result.json?["results"]?.array)
    #expect(rows[0]["tokens"]?.array?.count == 3)
    #expect(rows[1]["error"]?.string?.contains("tab") == true)
    let alone = try Command.run("run", model, "--task", "score", "酒店", "--per-token")
    #expect(alone.code == 0)
    #expect(alone.output.contains("perplexity"))
    #expect(alone.errors.contains("masked in turn"))
  }

  @Test func `exposure bias has a table, numbers and a plot`() throws {
    let folder = try TemporaryFolder()
    let pairs = folder.file("pairs.tsv")
    try Data("酒店\t很好\n房间很小\t但是很干净\n".utf8).write(to: URL(fileURLWithPath: pairs))
    let plot = folder.file("plot.png")
    let result = try Command.run(
      "run", model, "--task", "exposure", "--pairs", pairs, "-o", plot, "--json",
      "--max-new-tokens", "8")
    #expect(result.code == 0, "\(result.errors)")
    let json = try #require(result.json)
    #expect(json["pairs"]?.int == 2)
    #expect(json["positions"]?.array?.count ?? 0 >= 6)
    let total = try #require(json["total"])
    #expect(total["targets"]?.int == 9)
    let image = try Data(contentsOf: URL(fileURLWithPath: plot))
    #expect(image.prefix(4) == Data([0x89, 0x50, 0x4e, 0x47]))
    let again = try Command.run(
      "run", model, "--task", "exposure", "--pairs", pairs, "-o", plot)
    #expect(again.code == 64)
    let table = try Command.run("run", model, "--task", "exposure", "--pairs", pairs)
    #expect(table.output.contains("BLEU-4"))
  }

  @Test func `free runs may be as long as their targets, and end with what is continued`() throws {
    let folder = try TemporaryFolder()
    let pairs = folder.file("pairs.tsv")
    let trained = Command.fixtures + "/trained/gpt2-reviews"
    let run = try Command.run(
      "run", trained, "--task", "generate", "--json", "--max-new-tokens", "40", "这个酒店")
    let text = try #require(
      run.json?["results"]?.array?.first?["answers"]?.array?.first?["text"]?.string)
    try Data("这个酒店\t\(text)\n".utf8).write(to: URL(fileURLWithPath: pairs))
    let result = try Command.run(
      "run", trained, "--task", "exposure", "--pairs", pairs, "--json", "--max-new-tokens", "2")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["positions"]?.array?.count == 40)
    #expect(result.json?["exact"]?.int == 1)
  }

  @Test func `tokens of bytes are shown as the characters that they make`() throws {
    let result = try Command.run(
      "run", Command.fixtures + "/trained/gpt2-reviews", "--task", "score", "--per-token",
      "这个酒店 hi 😀")
    let rows = result.output.split(separator: "\n").compactMap { $0.split(separator: " ").first }
    #expect(["这个", "酒店", "Ġ", "h", "i", "ð"].allSatisfy { rows.contains($0) }, "\(rows)")
  }

  @Test func `any temperature draws`() throws {
    for temperature in ["1e-300", "1e300"] {
      let drawn = try answers(
        "generate", "--samples", "2", "--temperature", temperature, "--max-new-tokens", "3",
        "--end-token", "99", input: "酒店")[0]
      #expect(drawn.map { $0["ids"]?.array?.count } == [3, 3])
      if temperature == "1e-300" { #expect(drawn[0] == drawn[1]) }
    }
  }

  @Test(arguments: [
    (["--beams", "2", "--samples", "2"], "--beams"), (["--top-p", "0"], "--top-p"),
    (["--beams", "9223372036854775807"], "--beams"), (["--beams", "1001"], "--beams"),
    (["--samples", "9223372036854775807"], "--samples"),
    (["--beam-rule", "transformers", "--length-penalty=-inf"], "--length-penalty"),
    (["--returns", "2"], "--returns"), (["--max-new-tokens", "0"], "--max-new-tokens"),
    (["--length-penalty", "2", "--beams", "2"], "--length-penalty"),
    (["--beam-rule", "transformers", "--min-ends", "2"], "--min-ends"),
    (["--beam-rule", "transformers", "--temperature", "2"], "--temperature"),
  ])
  func `options that do not fit are refused by name`(_ options: [String], _ name: String) throws {
    let result = try Command.run(
      Command.path, ["run", model, "--task", "generate", "酒店"] + options)
    #expect(result.code == 64)
    #expect(result.errors.contains(name))
  }

  @Test func `tokens that begin and end are told by spelling or by id`() throws {
    let ids = try answers(
      "generate", "--end-token", "好", "--end-token", "99", "--max-new-tokens", "3", input: "酒店")
    #expect(ids[0].count == 1)
    let result = try Command.run(
      "run", model, "--task", "generate", "--end-token", "no such", "酒店")
    #expect(result.code == 2)
    #expect(result.errors.contains("no such"))
  }

  @Test(arguments: ["", "[MASK][MASK]", "\u{0}\u{1}\u{feff}", "龘靐齉"])
  func `any text has an answer`(_ text: String) throws {
    for task in ["generate", "gibbs", "score"] {
      let result = try Command.run(
        "run", model, "--task", task, "--max-new-tokens", "3", "--sweeps", "1", "--length", "3",
        "--quiet", input: text + "\n")
      #expect(result.code == 0, "\(task): \(result.errors)")
    }
  }

  @Test func `a text that fills the model's positions is told so`() throws {
    let long = String(repeating: "好", count: 1 << 20)
    let result = try Command.run(
      "run", model, "--task", "generate", "--quiet", input: "酒店\n\(long)\n")
    #expect(result.code == 2)
    #expect(result.errors.contains("text 2"))
    let full = try Command.run(
      "run", model, "--task", "generate", "--quiet", String(repeating: "好", count: 30))
    #expect(full.code == 2 || full.code == 0)
    #expect(!full.errors.contains("bug"))
  }

  @Test func `a model without a vocabulary or a head says what it lacks`() throws {
    let result = try Command.run(
      "run", Command.fixtures + "/hf-bert-tiny", "--task", "generate", "酒店")
    #expect(result.code == 2)
    #expect(!result.errors.isEmpty)
  }
}
