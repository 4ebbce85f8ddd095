import Testing

@testable import Checkpoint

@Suite struct VocabularyTests {
  /// What Python makes of a file: `load_vocab` of bert4keras and that of transformers.
  static let files: [(String, words: [(String, Int32)], lines: [(String, Int32)])] = [
    ("a\nb\na\nc\n", [("a", 2), ("b", 1), ("c", 2)], [("a", 2), ("b", 1), ("c", 3)]),
    ("a\r\nb\r\n", [("a", 0), ("b", 1)], [("a", 0), ("b", 1)]),
    ("a\rb", [("a", 0), ("b", 1)], [("a", 0), ("b", 1)]),
    ("", [], []),
    ("\n", [("", 0)], [("", 0)]),
    ("a\n\n\nb", [("a", 0), ("", 2), ("b", 2)], [("a", 0), ("", 2), ("b", 3)]),
    (" x y\n\tz\n", [("x", 0), ("z", 1)], [(" x y", 0), ("\tz", 1)]),
    ("\u{feff}a\nb", [("\u{feff}a", 0), ("b", 1)], [("\u{feff}a", 0), ("b", 1)]),
    (
      "\u{3000}q\n \u{a0}\nw\u{2028}v\nn\u{0b}m\n", [("q", 0), ("", 1), ("w", 2), ("n", 3)],
      [("\u{3000}q", 0), (" \u{a0}", 1), ("w\u{2028}v", 2), ("n\u{0b}m", 3)]
    ),
  ]

  @Test(arguments: files.indices)
  func `a file means what it means in Python`(index: Int) throws {
    let (text, words, lines) = VocabularyTests.files[index]
    for (rule, wanted) in [(Vocabulary.Rule.firstWords, words), (.lines, lines)] {
      let vocabulary = try Vocabulary(parsing: Array(text.utf8), rule: rule)
      #expect(vocabulary.count == wanted.count)
      for (token, id) in wanted { #expect(vocabulary.id(of: token) == id, "\(token)") }
      #expect(vocabulary.id(of: "missing") == nil)
    }
  }

  @Test func `transformers 5 trims the ends of lines, as Unicode defines white space`() throws {
    // As BertTokenizer 5.23.0 reads them.
    let text =
      "a\u{3000}\nb\u{a0}\nc\u{0b}\nd\u{2028}\ne\u{1c}\nf\t\ng\u{200b}\nh\u{85}\n"
      + " x \r\nq\rr\n\n"
    let vocabulary = try Vocabulary(parsing: Array(text.utf8), rule: .trimmedLines)
    let wanted = [
      "a", "b", "c", "d", "e\u{1c}", "f", "g\u{200b}", "h", " x", "q\rr", "",
    ]
    #expect(vocabulary.tokens == wanted)
    #expect(wanted.map { vocabulary.id(of: $0) } == (0..<11).map { $0 })
  }

  @Test func `an id leads back to its token, the last of those that share it`() throws {
    let text = Array("a\nb\na\nc\n".utf8)
    let lines = try Vocabulary(parsing: text)
    #expect((0..<5).map { lines.token(of: $0) } == [nil, "b", "a", "c", nil])
    #expect(lines.idCount == 4)
    let words = try Vocabulary(parsing: text, rule: .firstWords)
    #expect((0..<4).map { words.token(of: $0) } == [nil, "b", "c", nil])
    #expect(words.idCount == 3)
    #expect(lines.warnings.count == 1 && words.warnings.count == 1)
  }

  @Test func `one character and its decomposed form are two tokens`() {
    let vocabulary = Vocabulary(tokens: ["\u{e9}", "e\u{301}"])
    #expect(vocabulary.count == 2)
    #expect(vocabulary.id(of: "e\u{301}") == 1)
    #expect(vocabulary.warnings.isEmpty)
  }

  @Test func `bytes that are not UTF-8 are named by line and offset`() {
    #expect(throws: CheckpointError(.damaged, Place(offset: 2), "")) {
      try Vocabulary(parsing: [0x61, 0x0a, 0xc4, 0xe3, 0x0a])
    }
  }

  @Test func `what is written is read again`() throws {
    let vocabulary = Vocabulary(tokens: ["[PAD]", "词", "##é", "a b"])
    let again = try Vocabulary(parsing: Array(vocabulary.text.utf8))
    #expect(again.tokens == vocabulary.tokens)
  }
}
