import Checkpoint
import Foundation
import TestSupport
import Testing

@testable import Infer

/// The original tokenizers' answers, made by `fixtures/generate_tokenizer.py`.
struct TokenizerFixture: Sendable {
  static let folder = Fixtures.path("tokenizer") + "/"

  let lines: [String]
  let pairs: [(first: String, second: String, limit: Int?)]
  let expected: JSON

  init() throws {
    func json(_ name: String) throws -> JSON {
      try JSON(parsing: File.contents(of: TokenizerFixture.folder + name))
    }
    lines = try json("lines.json").array?.compactMap(\.string) ?? []
    pairs =
      try json("pairs.json").array?.map {
        ($0["first"]?.string ?? "", $0["second"]?.string ?? "", $0["maxlen"]?.int)
      } ?? []
    expected = try json("expected.json")
  }

  static func wordPiece(_ mode: WordPiece.Mode, lowercase: Bool) throws -> WordPiece {
    let vocabulary = try Vocabulary(
      contentsOf: folder + "vocab.txt", rule: mode.vocabularyRule)
    return try WordPiece(vocabulary: vocabulary, mode: mode, lowercase: lowercase)
  }

  /// The mode's name in `expected.json`.
  static func name(_ mode: WordPiece.Mode, lowercase: Bool) -> String {
    let library =
      switch mode {
      case .bert4keras: "bert4keras"
      case .transformers: "transformers"
      case .transformersLegacy: "transformers-legacy"
      }
    return library + (lowercase ? "-lower" : "-cased")
  }
}

extension JSON {
  fileprivate var numbers: [Int32] { array?.compactMap { $0.int.map(Int32.init) } ?? [] }
}

@Suite struct WordPieceTests {
  @Test(arguments: WordPiece.Mode.allCases, [true, false])
  func `every line gives the original library's tokens and ids`(
    mode: WordPiece.Mode, lowercase: Bool
  ) throws {
    let fixture = try TokenizerFixture()
    let tokenizer = try TokenizerFixture.wordPiece(mode, lowercase: lowercase)
    let name = TokenizerFixture.name(mode, lowercase: lowercase)
    let answers = try #require(fixture.expected[name]?["lines"]?.array)
    #expect(answers.count == fixture.lines.count && answers.count >= 600)
    for (line, answer) in zip(fixture.lines, answers) {
      let escaped = line.unicodeScalars.map { $0.escaped(asASCII: true) }.joined()
      let encoded = try tokenizer.encoding(line)
      #expect(encoded.ids == answer.array?[1].numbers, "\(name): \(escaped)")
      #expect(encoded.segments.allSatisfy { $0 == 0 })
      // Compared by code points: Swift takes é and é for equal.
      let tokens = ["[CLS]"] + tokenizer.pieces(line).map(\.token) + ["[SEP]"]
      let wanted = answer.array?[0].array?.compactMap(\.string) ?? []
      #expect(
        tokens.map { Array($0.unicodeScalars) } == wanted.map { Array($0.unicodeScalars) },
        "\(name): \(escaped)")
    }
  }

  @Test(arguments: WordPiece.Mode.allCases, [true, false])
  func `every pair is joined and cut as the original library does`(
    mode: WordPiece.Mode, lowercase: Bool
  ) throws {
    let fixture = try TokenizerFixture()
    let tokenizer = try TokenizerFixture.wordPiece(mode, lowercase: lowercase)
    let name = TokenizerFixture.name(mode, lowercase: lowercase)
    let answers = try #require(fixture.expected[name]?["pairs"]?.array)
    #expect(answers.count == fixture.pairs.count)
    for (pair, answer) in zip(fixture.pairs, answers) {
      let encoded = try tokenizer.encoding(pair.first, pair: pair.second, maxLength: pair.limit)
      #expect(encoded.ids == answer.array?[0].numbers, "\(name): \(pair)")
      #expect(encoded.segments == answer.array?[1].numbers, "\(name): \(pair)")
    }
  }

  /// Seconds this thread has computed: other work on the machine does not count.
  func clock() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  @Test func `a long line takes linear time`() throws {
    // The kinds of text that invite quadratic work.
    let runs = [
      "a", "a ", "中", "Σ", "\u{301}", "\u{323}\u{301}", "[", "[MASK]", "'Σ", "\u{200b}", "가",
      "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa ",
    ]
    let vocabulary = Vocabulary(
      tokens: ["[UNK]", "[CLS]", "[SEP]", "[MASK]", String(repeating: "a", count: 99) + "b"]
        + (1...60).flatMap { length in
          [String(repeating: "a", count: length), "##" + String(repeating: "a", count: length)]
        })
    for mode in WordPiece.Mode.allCases {
      let tokenizer = try WordPiece(vocabulary: vocabulary, mode: mode, lowercase: true)
      for run in runs {
        func seconds(_ count: Int) throws -> Double {
          let text = String(repeating: run, count: count / run.unicodeScalars.count)
          let start = clock()
          _ = try tokenizer.encoding(text)
          return clock() - start
        }
        let short = try seconds(1_500)
        let long = try seconds(15_000)
        #expect(long < 40 * short + 0.2, "\(mode), \(run): \(short) s, \(long) s")
      }
    }
  }

  @Test func `a vocabulary without the special tokens is refused`() throws {
    #expect(throws: TextError.missingToken("[CLS]")) {
      try WordPiece(
        vocabulary: Vocabulary(tokens: ["[UNK]", "[SEP]"]), mode: .bert4keras, lowercase: true)
    }
  }

  @Test(arguments: WordPiece.Mode.allCases)
  func `a limit below the special tokens is an error, at it a frame`(mode: WordPiece.Mode) throws {
    let tokenizer = try TokenizerFixture.wordPiece(mode, lowercase: true)
    #expect(throws: TextError.limitTooSmall(1, least: 2)) {
      try tokenizer.encoding("hello", maxLength: 1)
    }
    #expect(throws: TextError.limitTooSmall(2, least: 3)) {
      try tokenizer.encoding("hello", pair: "world", maxLength: 2)
    }
    #expect(try tokenizer.encoding("hello", maxLength: 2).ids == [2, 3])
    #expect(try tokenizer.encoding("hello", pair: "world", maxLength: 3).ids == [2, 3, 3])
    #expect(
      try tokenizer.encoding("", pair: "").segments
        == (mode == .transformers ? [0, 0] : [0, 0, 1]))
  }
}
