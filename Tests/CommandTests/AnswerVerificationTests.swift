import Checkpoint
import TestSupport
import Testing

/// `verify --task`: what a transform or a conversion must not change are the answers.
@Suite struct AnswerVerificationTests {
  private let model = Fixtures.path("tiny-albert", "weights.h5")
  private let sentences = Fixtures.path("tiny-albert", "sentences.txt")

  /// Real sentences, each with a mask at several places.
  private func masked(_ folder: TemporaryFolder) throws -> String {
    let text = String(decoding: try File.contents(of: sentences), as: UTF8.self)
    let lines = text.split(separator: "\n").flatMap { line in
      let whole = Array(String(line).replacing("[MASK]", with: "好").prefix(28))
      return stride(from: 1, to: whole.count, by: 4).map { place in
        String(whole[..<place]) + "[MASK]" + String(whole[(place + 1)...])
      }
    }
    return try folder.file("masked.txt", Array(lines.joined(separator: "\n").utf8))
  }

  @Test(arguments: [
    ["untie"], ["untie", "widen-key-size=64"], ["untie", "talking-heads"], [],
  ])
  func `transforms leave the answers as they are`(_ steps: [String]) throws {
    let folder = try TemporaryFolder()
    let out = folder.file("out.h5")
    let converted = try Command.convert(model, to: out, steps: steps)
    #expect(converted.code == 0, "\(converted.errors)")
    let texts = try masked(folder)
    for task in ["fill-mask", "encode"] {
      let result = try Command.run(
        "verify", model, out, "--task", task, "--text-file", texts, "--json")
      #expect(result.code == 0, "\(result.errors) \(result.output)")
      #expect(result.json?["different"]?.int == 0)
      #expect((result.json?["texts"]?.int ?? 0) >= 40)
      #expect(result.json?["equal"] == result.json?["texts"])
    }
  }

  @Test func `another dialect gives the same answers, another activation does not`() throws {
    let folder = try TemporaryFolder()
    let out = folder.file("out")
    #expect(try Command.run("convert", model, out, "--to", "huggingface").code == 0)
    let texts = try masked(folder)
    let same = try Command.run(
      "verify", model, out, "--task", "fill-mask", "--text-file", texts, "--json")
    #expect(same.code == 0 && same.json?["verdict"] == .string("same"), "\(same.output)")
    #expect(same.json?["tokenized_differently"] == .null)
    let other = try Command.run(
      "verify", model, out, "--task", "encode", "--text-file", texts, "--json", "--set-b",
      "hidden_act=relu")
    #expect(other.code == 1)
    #expect(other.json?["different"]?.int == other.json?["texts"]?.int)
    let first = try #require(other.json?["first_difference"])
    #expect(first["number"]?.int == 1)
    let words = try Command.run(
      "verify", model, out, "--task", "encode", "--text", "好", "--set-b", "hidden_act=relu")
    #expect(words.code == 1 && words.output.contains("differs: text 1: 好"))
  }

  @Test func `a vocabulary with other ids is told`() throws {
    let folder = try TemporaryFolder()
    var tokens = String(
      decoding: try File.contents(of: Fixtures.path("tiny-albert", "vocab.txt")), as: UTF8.self
    ).split(separator: "\n").map(String.init)
    let place = try #require(tokens.firstIndex(of: "好"))
    tokens.swapAt(place, place + 1)
    let vocabulary = try folder.file("vocab.txt", Array(tokens.joined(separator: "\n").utf8))
    let result = try Command.run(
      "verify", model, model, "--task", "encode", "--text", "酒店", "--text", "很好", "--vocab-b",
      vocabulary, "--json")
    #expect(result.code == 1)
    #expect(result.json?["tokenized_differently"]?["number"]?.int == 2)
    #expect(result.json?["tokenized_differently"]?["token"]?.int == 2)
    #expect(result.json?["equal"]?.int == 1 && result.json?["different"]?.int == 1)
  }

  @Test func `without a task text is what both are run on`() throws {
    let result = try Command.run(
      "verify", model, model, "--text", "酒店很好", "--text", "电脑", "--json")
    #expect(result.code == 0)
    #expect(result.json?["verdict"] == .string("identical"))
    #expect(result.json?["rows"]?.int == 2 && result.json?["length"]?.int == 6)
    let folder = try TemporaryFolder()
    let many = try folder.file(
      "many", Array(String(repeating: "酒店很好，下次还来\n", count: 300).utf8))
    let file = try Command.run("verify", model, model, "--text-file", many, "--json")
    #expect(file.code == 0)
    #expect(file.output.contains("only the first"))
  }

  @Test func `texts that neither answers are not a proof`() throws {
    let long = String(repeating: "好", count: 100)
    let result = try Command.run(
      "verify", model, model, "--task", "encode", "--text", long, "--text", "好", "--json")
    #expect(result.code == 2)
    #expect(result.json?["not_answered"]?.array?.count == 1)
    #expect(result.json?["equal"]?.int == 1)
    let nothing = try Command.run("verify", model, model, "--task", "encode", "--text", long)
    #expect(nothing.code == 2 && nothing.output.contains("nothing was compared"))
  }

  @Test func `flags that do not go together are refused`() throws {
    #expect(
      try Command.run("verify", model, model, "--text", "a", "--inputs", "x.npz").code == 64)
    #expect(
      try Command.run("verify", model, model, "--task", "encode", "--per-layer").code == 64)
  }
}
