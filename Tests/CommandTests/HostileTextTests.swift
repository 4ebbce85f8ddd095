import Checkpoint
import Infer
import TestSupport
import Testing

@testable import ckpt

/// Whatever people feed to a task: an answer or a sentence for each line, never a crash.
@Suite struct HostileTextTests {
  /// A model that can do a task, and a vocabulary of its size.
  private struct Asked {
    let model: [String]
    let folder: TemporaryFolder

    init(_ task: String) throws {
      folder = try TemporaryFolder()
      switch task {
      case "classify": model = try Asked.untrained("hf-bert-sequence", 23, folder)
      case "qa": model = try Asked.untrained("hf-albert-qa", 23, folder)
      default: model = [Fixtures.path("tiny-albert", "weights.h5")]
      }
    }

    /// A fixture without a vocabulary gets one of as many tokens as it has rows.
    static func untrained(_ name: String, _ rows: Int, _ folder: TemporaryFolder) throws
      -> [String]
    {
      let characters = (0..<(rows - 5)).map { String(Unicode.Scalar(UInt8(97 + $0))) }
      let tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + characters
      return [
        Fixtures.path(name), "--vocab",
        try folder.file("vocab.txt", Array(tokens.joined(separator: "\n").utf8)),
      ]
    }
  }

  /// Lines as bytes.
  private static let lines: [[UInt8]] = [
    [], Array(" \t\u{3000} ".utf8), Array("[MASK]".utf8), Array("[MASK][MASK][MASK]".utf8),
    [0x61, 0, 0x62, 0], [0xff, 0xfe, 0x61], [0xe5, 0xa5], [0xed, 0xa0, 0x80],
    Array("\u{fffd}\u{7f}\u{1b}[31m\u{200b}\u{feff}".utf8), Array("🏳️‍🌈👨‍👩‍👧‍👦".utf8),
    Array("سلام ‏שלום".utf8),
    Array(("e" + String(repeating: "\u{301}", count: 300)).utf8), Array("𒀀𒁀 ꙮ".utf8),
    Array("[CLS] [SEP] [PAD] [UNK]".utf8), Array(String(repeating: "好", count: 60).utf8),
    Array(String(repeating: "x", count: 5000).utf8), Array("好".utf8),
  ]

  private static let tasks = TaskRegistry.all.map { $0.name }

  private func ask(
    _ task: String, _ options: [String], _ path: String
  ) throws -> (result: Command.Result, answers: [JSON]) {
    let asked = try Asked(task)
    let result = try Command.run(
      Command.path,
      ["run"] + asked.model + ["--task", task, "--json", "--quiet"] + options + [path])
    let json = try #require(result.json, "\(task): \(result.output.prefix(300))")
    return (result, json["results"]?.array ?? [])
  }

  @Test(arguments: tasks, Tokenization.LongText.allCases.map(\.rawValue))
  func `every line has an answer or a reason`(_ task: String, _ long: String) throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("lines", Array(HostileTextTests.lines.joined(separator: [0x0a])))
    let isPaired = TaskRegistry.named(task)?.isPaired ?? false
    let (result, answers) = try ask(task, ["--long", long, "--text-file"], path)
    #expect([0, 2].contains(result.code), "\(task): \(result.errors)")
    // A task that this model cannot do says so once, before any line.
    guard result.json?["error"] == nil else { return }
    #expect(answers.count == HostileTextTests.lines.count)
    // What is no UTF-8 cannot be answered; a task of pairs wants a tab in each line.
    let refused = answers.compactMap { $0["error"]?.string }
    #expect(refused.count >= 3 && !refused.contains(""))
    if !isPaired { #expect(refused.count { $0.contains("UTF-8") } == 3) }
    #expect(result.code == 2)
  }

  @Test(arguments: tasks)
  func `pairs of anything are answered`(_ task: String) throws {
    let folder = try TemporaryFolder()
    let texts = HostileTextTests.lines.compactMap { String(validating: $0, as: UTF8.self) }
    let pairs = texts.indices.map { index in
      JSON.object([
        .init("text", .string(texts[index])),
        .init("pair", .string(texts[(index * 7 + 3) % texts.count])),
      ]).compact
    }
    let broken = [
      "{", "[]", "3", "null", "{\"text\": 3}", "{\"text\": \"\\ud800\"}",
      "{\"text\": \"a\", \"pair\": 3}",
    ]
    let path = try folder.file("lines", Array((pairs + broken).joined(separator: "\n").utf8))
    let (result, answers) = try ask(task, ["--jsonl", "--long", "truncate", "--text-file"], path)
    #expect([0, 2].contains(result.code), "\(task): \(result.errors)")
    guard result.json?["error"] == nil else { return }
    #expect(answers.count == pairs.count + broken.count)
    for answer in answers.suffix(broken.count) { #expect(answer["error"] != nil) }
  }

  @Test(arguments: tasks)
  func `a vocabulary that is larger than the model's is refused, a smaller one warned of`(
    _ task: String
  ) throws {
    let asked = try Asked(task)
    let folder = try TemporaryFolder()
    let tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + (0..<3_000).map { "t\($0)" }
    func run(_ count: Int) throws -> Command.Result {
      let vocabulary = try folder.file(
        "vocab.txt", Array(tokens.prefix(count).joined(separator: "\n").utf8))
      return try Command.run(
        Command.path,
        ["run", asked.model[0], "--vocab", vocabulary, "--task", task, "t1 t2", "[MASK]"])
    }
    let large = try run(3_000)
    #expect(large.code == 2 && large.errors.contains("3000 tokens"), "\(large.errors)")
    let small = try run(7)
    #expect([0, 2].contains(small.code), "\(small.errors)")
    let none = try run(1)
    #expect(none.code == 2 && none.errors.contains("[UNK]"), "\(none.errors)")
  }

  @Test func `a megabyte in one line is refused, cut or refused again`() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("lines", Array(String(repeating: "好坏", count: 175_000).utf8))
    for (long, code) in [("error", Int32(2)), ("truncate", 0), ("hierarchical", 2)] {
      let (result, answers) = try ask("encode", ["--long", long, "--text-file"], path)
      #expect(result.code == code, "\(long): \(result.errors)")
      #expect(answers.count == 1)
      #expect((answers.first?["embedding"] != nil) == (code == 0))
    }
  }

  @Test func `special tokens at other ids are warned of`() throws {
    let folder = try TemporaryFolder()
    let tokens = ["[CLS]", "[UNK]", "[PAD]", "[SEP]", "[MASK]", "好"]
    let vocabulary = try folder.file("vocab.txt", Array(tokens.joined(separator: "\n").utf8))
    let result = try Command.run(
      "run", Fixtures.path("tiny-albert", "weights.h5"), "--vocab", vocabulary, "--task", "encode",
      "好")
    #expect(result.code == 0)
    #expect(result.errors.contains("the padding token is id 2"), "\(result.errors)")
  }

  @Test func `a model without a vocabulary says so`() throws {
    let result = try Command.run(
      "run", Fixtures.path("hf-bert-sequence"), "--task", "classify", "a")
    #expect(result.code == 2 && result.errors.contains("--vocab"))
  }

  @Test func `a file of empty lines is answered line by line`() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("lines", [UInt8](repeating: 0x0a, count: 20_000))
    let (result, answers) = try ask("fill-mask", ["--text-file"], path)
    #expect(result.code == 0 && answers.count == 20_000)
  }

  @Test func `rows of vectors keep the lines' numbers`() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("lines", [0xff, 0x0a] + Array("好\n坏".utf8))
    let out = folder.file("out.npy")
    let (result, _) = try ask("encode", ["--outputs", out, "--text-file"], path)
    #expect(result.code == 2)
    #expect(result.json?["shape"] == .array([.number(3), .number(128)]))
    let probe = try Probe(out)
    let rows = try #require(try NPY().read(probe).tensors.first).floats()
    #expect(rows.prefix(128).count { !$0.isNaN } == 0)
    #expect(rows.dropFirst(128).count { $0.isFinite } == 256)
  }

  @Test func `a reader that goes away ends the run quietly`() throws {
    let folder = try TemporaryFolder()
    let path = try folder.file("lines", Array(String(repeating: "好\n", count: 3_000).utf8))
    let result = try Command.run(
      "/bin/sh",
      [
        "-c",
        "'\(Command.path)' run '\(Fixtures.path("tiny-albert", "weights.h5"))' "
          + "--task encode --text-file '\(path)' | head -n 1",
      ])
    #expect(result.code == 0)
    #expect(result.output.hasPrefix("{\"text\""))
    #expect(result.errors.isEmpty)
  }
}
