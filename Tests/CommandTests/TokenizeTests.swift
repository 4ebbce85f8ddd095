import Checkpoint
import TestSupport
import Testing

/// `ckpt tokenize`.
@Suite struct TokenizeTests {
  private let vocabulary = Command.fixtures + "/tokenizer/vocab.txt"

  @Test func `tokens, ids and offsets of each text are a line of JSON`() throws {
    let result = try Command.run(
      "tokenize", vocabulary, "--json", "--tokenizer", "bert4keras", "--rematch", "Cafe\u{301} 中")
    #expect(result.code == 0, "\(result.errors)")
    let json = try JSON(parsing: Array(result.output.utf8))
    #expect(json["tokens"]?.array?.compactMap(\.string) == ["[CLS]", "cafe", "中", "[SEP]"])
    let offsets = json["offsets"]?.array?.map { $0.array?.compactMap(\.int) }
    #expect(offsets == [nil, [0, 4], [6, 7], nil])
    #expect(
      json["rematch"]?.array?.map { $0.array?.compactMap(\.int) } == [[], [0, 1, 2, 3], [6], []])
  }

  @Test func `ids become the text again`() throws {
    let ids = try Command.run("tokenize", vocabulary, "--ids-only", "hello world")
    #expect(ids.code == 0, "\(ids.errors)")
    let text = try Command.run("tokenize", vocabulary, "--decode", "--skip-special", ids.output)
    #expect(text.output == "hello world\n", "\(text.errors)")
    #expect(try Command.run("tokenize", vocabulary, "--decode", "99999999").code == 2)
    for flag in ["--ids-only", "--no-special", "--max-length=3"] {
      #expect(try Command.run("tokenize", vocabulary, "--decode", flag, "1").code == 64)
    }
  }

  @Test func `a line that is not UTF-8 is reported, and the rest goes on`() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file(
      "lines.txt", Array("hello\n".utf8) + [0xff, 0x0a] + Array("world\n".utf8))
    let result = try Command.run("tokenize", vocabulary, "--ids-only", "--text-file", path)
    #expect(result.code == 2 && result.errors.contains("text 2"))
    #expect(result.output.split(separator: "\n").count == 2)
  }

  @Test func `a model's own tokenizer is found beside it`() throws {
    let result = try Command.run("tokenize", Command.fixtures + "/tiny-albert", "酒店")
    #expect(result.code == 0 && result.output.contains("酒|店"), "\(result.errors)")
  }
}
