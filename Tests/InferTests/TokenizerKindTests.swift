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

  /// tokenizer_config.json and the ids that transformers 5's `BertTokenizer` makes of one text.
  static let configurations: [(json: String, ids: [Int32], decoded: String)] = [
    ("{}", [2, 5, 9, 12, 15, 16, 18, 17, 13, 4, 18, 3], "cafe 天 气 into < x > in x"),
    (
      #"{"strip_accents": false}"#, [2, 6, 9, 12, 15, 16, 18, 17, 13, 4, 18, 3],
      "café 天 气 into < x > in x"
    ),
    (
      #"{"do_lower_case": false, "strip_accents": true}"#,
      [2, 1, 9, 12, 15, 16, 18, 17, 13, 4, 18, 3], "天 气 into < x > in x"
    ),
    (
      #"{"tokenize_chinese_chars": false}"#, [2, 5, 10, 15, 16, 18, 17, 13, 4, 18, 3],
      "cafe 天气 into < x > in x"
    ),
    (
      #"{"extra_special_tokens": ["<x>", "天气"]}"#, [2, 5, 10, 15, 19, 13, 4, 18, 3],
      "cafe into in x"
    ),
    (
      #"{"additional_special_tokens": ["<x>"]}"#, [2, 5, 9, 12, 15, 19, 13, 4, 18, 3],
      "cafe 天 气 into in x"
    ),
    (
      #"{"cls_token": "in", "sep_token": "<sep>"}"#,
      [13, 5, 9, 12, 13, 1, 16, 18, 17, 13, 4, 18, 19], "cafe 天 气 < x > x"
    ),
    (
      #"{"added_tokens_decoder": {"2147483647": {"content": "Café", "normalized": true}, "#
        + #""40": {"content": "in", "single_word": true, "special": true}}}"#,
      [2, 7, 9, 12, 15, 16, 18, 17, 13, 4, 18, 3], "cafe 天 气 into < x > x"
    ),
  ]

  @Test(arguments: configurations)
  func `a configured BertTokenizer is the original library's`(
    json: String, ids: [Int32], decoded: String
  ) throws {
    let folder = try TemporaryFolder()
    let tokens =
      "[PAD] [UNK] [CLS] [SEP] [MASK] cafe café Café CAFÉ 天 天气 ##气 气 in ##to into < > x"
    let path = try folder.file(
      "vocab.txt", Array((tokens.split(separator: " ").joined(separator: "\n") + "\n").utf8))
    _ = try folder.file("tokenizer_config.json", Array(json.utf8))
    let tokenizer = try BERTKind().tokenizer(TokenizerSource(path: path))
    let encoding = try tokenizer.encoding("Café 天气 into<x> in [MASK] x")
    #expect(encoding.ids == ids)
    #expect(encoding.segments == ids.map { _ in 0 })
    #expect(tokenizer.text(of: ids, skippingSpecial: true) == decoded)
  }

  @Test func `a mask takes the blanks that its configuration gives it`() throws {
    let folder = try TemporaryFolder()
    for (name, file) in [("vocab.json", "bytes.vocab.json"), ("merges.txt", "bytes.merges.txt")] {
      _ = try folder.file(name, File.contents(of: TokenizerKindTests.folder + file))
    }
    let mask = #"{"content": "<mask>", "lstrip": true, "normalized": false, "special": true}"#
    _ = try folder.file("tokenizer_config.json", Array("{\"mask_token\": \(mask)}".utf8))
    let tokenizer = try RoBERTaKind().tokenizer(
      TokenizerSource(path: Paths.join(folder.path, "vocab.json")))
    let pieces = tokenizer.pieces("a <mask>")
    #expect(pieces.map(\.token) == ["a", "<mask>"])
    #expect(pieces.last?.id == tokenizer.special.mask)
    // Where no id is left, that is said.
    _ = try folder.file("vocab.json", Array("{\"<s>\": 2147483647}".utf8))
    _ = try folder.file("merges.txt", [])
    #expect(throws: (any Error).self) {
      try RoBERTaKind().tokenizer(TokenizerSource(path: Paths.join(folder.path, "vocab.json")))
    }
  }

  @Test func `what a kind has no use for is refused`() throws {
    for kind in ["gpt2", "t5", "tokenizer-json", "albert"] {
      let path = TokenizerKindTests.folder + (TokenizerKindTests.files[kind] ?? "")
      let source = try TokenizerSource(path: path, segmented: true)
      #expect(throws: CheckpointError.self, "\(kind)") {
        try TokenizerKindRegistry.named(kind).tokenizer(source)
      }
    }
    let cased = try TokenizerSource(
      path: TokenizerKindTests.folder + "t5.spiece.model", lowercase: false)
    #expect(throws: CheckpointError.self) { try T5Kind().tokenizer(cased) }
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
