import Checkpoint
import TestSupport
import Testing

@testable import Infer

/// What transformers and tokenizers make of difficult lines, by `fixtures/generate_tokenizer_kinds.py`.
@Suite struct TokenizerKindTests {
  static let folder = Fixtures.path("tokenizer-kinds") + "/"
  static let files = [
    "albert": "albert.spiece.model", "t5": "t5.spiece.model", "gpt2": "bytes.vocab.json",
    "roberta": "bytes.vocab.json", "tokenizer-json": "unigram.tokenizer.json",
  ]

  static func tokenizer(_ kind: String) throws -> any Tokenizer {
    let file = try #require(files[kind])
    return try TokenizerKindRegistry.named(kind).tokenizer(TokenizerSource(path: folder + file))
  }

  static func json(_ name: String) throws -> JSON {
    try JSON(parsing: File.contents(of: folder + name))
  }

  static func lines() throws -> [String] {
    try json("lines.json").array?.compactMap(\.string) ?? []
  }

  @Test(arguments: files.keys.sorted())
  func `ids, offsets and decoded text are the original library's`(kind: String) throws {
    let lines = try TokenizerKindTests.lines()
    let expected = try #require(try TokenizerKindTests.json("expected.json")[kind])
    let answers = try #require(expected["lines"]?.array)
    let decoded = try #require(expected["decoded"]?.array)
    let tokenizer = try TokenizerKindTests.tokenizer(kind)
    #expect(answers.count == lines.count && lines.count > 80)
    for (index, line) in lines.enumerated() {
      let escaped = line.unicodeScalars.map { $0.escaped(asASCII: true) }.joined()
      let encoding = try tokenizer.encoding(line)
      let ids = answers[index].array?[0].array?.compactMap(\.int)
      #expect(encoding.ids.map(Int.init) == ids, "\(kind): \(escaped)")
      let offsets = encoding.sources.flatMap { source in
        [source?.range.lowerBound ?? 0, source?.range.upperBound ?? 0]
      }
      #expect(offsets == answers[index].array?[1].array?.compactMap(\.int), "\(kind): \(escaped)")
      let text = tokenizer.text(of: encoding.ids)
      #expect(
        Array(text.utf8) == decoded[index].string.map { Array($0.utf8) }, "\(kind): \(escaped)")
      #expect(tokenizer.ids(line) == tokenizer.pieces(line).map(\.id))
    }
  }

  @Test func `the sentencepiece library's pieces cover the text in code points`() throws {
    let tokenizer = try SentencePiece(
      contentsOf: TokenizerKindTests.folder + "albert.spiece.model")
    let pieces = tokenizer.pieces("今天 a\u{301}🙂！")
    #expect(pieces.map(\.range.upperBound).max() == 7)
    #expect(
      zip(pieces, pieces.dropFirst()).allSatisfy { $0.range.upperBound <= $1.range.lowerBound })
    #expect(tokenizer.template(isPair: true).specialCount == 3)
    #expect(tokenizer.pieces("").isEmpty && tokenizer.text(of: [], skippingSpecial: false) == "")
  }

  @Test(arguments: files.keys.sorted() + ["sentencepiece"])
  func `any text is answered`(kind: String) throws {
    let tokenizer =
      kind == "sentencepiece"
      ? try SentencePiece(contentsOf: TokenizerKindTests.folder + "t5.spiece.model")
      : try TokenizerKindTests.tokenizer(kind)
    let texts = [
      "", " ", "\u{0}", "\u{301}", "\r\n", "\u{10ffff}", String(repeating: "a", count: 30_000),
      String(repeating: "\u{301}", count: 3_000), String(repeating: "中", count: 30_000),
      String(repeating: " ", count: 3_000), String(repeating: "'ll", count: 1_000),
    ]
    for text in texts {
      let count = text.unicodeScalars.count
      let pieces = tokenizer.pieces(text)
      #expect(pieces.allSatisfy { $0.range.upperBound <= count })
      _ = tokenizer.text(of: pieces.map(\.id))
    }
  }

  @Test func `damaged files are errors with a place`() throws {
    let folder = try TemporaryFolder()
    func write(_ text: String, _ name: String) throws -> String {
      try folder.file(name, Array(text.utf8))
    }
    for (name, text) in [
      ("tokenizer.json", "{}"), ("a.tokenizer.json", "{\"model\": {\"type\": \"BPE\"}}"),
      ("b.tokenizer.json", "{\"model\": {\"type\": \"Unigram\", \"unk_id\": 9, \"vocab\": []}}"),
      (
        "c.tokenizer.json",
        "{\"model\": {\"type\": \"WordLevel\", \"vocab\": {}}, \"normalizer\": {\"type\": \"Odd\"}}"
      ),
      ("vocab.json", "{\"a\": 0}"), ("spiece.model", "no model"), ("spm.model", ""),
    ] {
      let path = try write(text, name)
      let source = try TokenizerSource(path: path)
      #expect(throws: (any Error).self, "\(name)") {
        try TokenizerKindRegistry.kind(source).tokenizer(source)
      }
    }
    // Every cut and every changed byte of a model is an error or a tokenizer, never a crash.
    let model = try File.contents(of: TokenizerKindTests.folder + "albert.spiece.model")
    for step in stride(from: 0, to: model.count, by: 97) {
      var changed = model
      changed[step] ^= 0x55
      for bytes in [Array(model[..<step]), changed] {
        let path = try folder.file("changed.spiece.model", bytes)
        let source = try TokenizerSource(path: path)
        if let tokenizer = try? ALBERTKind().tokenizer(source) {
          _ = tokenizer.pieces("ＡＢ e\u{301}")
        }
        if let tokenizer = try? SentencePiece(contentsOf: path) {
          _ = tokenizer.pieces("ＡＢ e\u{301}")
        }
      }
    }
  }
}
