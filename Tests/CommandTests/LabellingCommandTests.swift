import Checkpoint
import Foundation
import TestSupport
import Testing

/// `run --task tag` and `spans`, and `convert --to torchcrf`, as users type them.
@Suite struct LabellingCommandTests {
  /// A fixture's file with a vocabulary beside it: `[PAD] [UNK] [CLS] [SEP] [MASK]`, then a, b, c, ….
  private static func model(_ fixture: String, _ folder: TemporaryFolder) throws -> String {
    let config = try JSON(parsing: File.contents(of: Fixtures.path(fixture, "config.json")))
    let count = try #require(config["vocab_size"]?.int)
    // a to z, then az, bz, …
    let letters: [String] = (0..<(count - 5)).map { index in
      let letter = Character(UnicodeScalar(UInt8(97 + index % 26)))
      return index < 26 ? "\(letter)" : "\(letter)z"
    }
    let tokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"] + letters
    try folder.file("vocab.txt", Array((tokens.joined(separator: "\n") + "\n").utf8))
    let weights = ["model.h5", "model.safetensors"].first {
      Paths.isFile(Fixtures.path(fixture, $0))
    }
    let name = try #require(weights)
    for file in [name, "config.json"] {
      try FileManager.default.copyItem(
        atPath: Fixtures.path(fixture, file), toPath: folder.file(file))
    }
    return folder.file(name)
  }

  @Test(arguments: ["b4k-crf", "b4k-memm", "b4k-memm-low-rank", "hf-bert-token"])
  func `tag labels every token and tells how sure it is`(_ fixture: String) throws {
    let folder = try TemporaryFolder()
    let model = try Self.model(fixture, folder)
    let result = try Command.run(
      "run", model, "--task", "tag", "--marginals", "--k-best", "3", "--json", "a b c", "", "c a")
    #expect(result.code == 0, "\(result.errors)")
    let json = try #require(result.json)
    let labels = try #require(json["labels"]?.array).compactMap(\.string)
    #expect(labels.count > 1)
    let isChain = fixture.hasPrefix("b4k")
    #expect(json["special"]?.bool == isChain)
    #expect(json["starts"] == (isChain ? .array([.string(labels[0])]) : .null))
    let results = try #require(json["results"]?.array)
    #expect(results.map { $0["tokens"]?.array?.count } == (isChain ? [5, 2, 4] : [3, 0, 2]))
    for answer in results {
      let tokens = try #require(answer["tokens"]?.array)
      let paths = try #require(answer["paths"]?.array)
      let best = try #require(paths.first)
      #expect(best["labels"]?.array == tokens.compactMap { $0["label"] })
      if isChain {
        #expect(tokens.first?["label"]?.string == labels[0])
        #expect(tokens.last?["label"]?.string == labels[0])
      }
      for token in tokens {
        let sum = token["probabilities"]?.array?.compactMap(\.double).reduce(0, +)
        #expect(abs((sum ?? 0) - 1) < 1e-9)
      }
      guard paths.count > 1 else { continue }
      let scores = paths.compactMap { $0["score"]?.double }
      let margin = try #require(answer["margin"]?.double)
      #expect(abs(scores[0] - scores[1] - margin) < 1e-4)
    }
  }

  @Test func `labels by name or number may be said to come first and last`() throws {
    let folder = try TemporaryFolder()
    let model = try Self.model("b4k-crf", folder)
    func labels(_ options: String...) throws -> [String] {
      let all = ["run", model, "--task", "tag", "--labels", "v,w,x,y,z", "--json", "a b"]
      let result = try Command.run(Command.path, all + options)
      #expect(result.code == 0, "\(result.errors)")
      return (result.json?["results"]?.array?[0]["tokens"]?.array ?? []).compactMap {
        $0["label"]?.string
      }
    }
    #expect(try labels("--starts", "w", "--ends", "2").first == "w")
    #expect(try labels("--starts", "w", "--ends", "2").last == "x")
    #expect(try labels("--special", "exclude").count == 2)
    #expect(try labels("--special", "exclude", "--starts", "y", "--ends", "z") == ["y", "z"])
    let wrong = try Command.run(
      "run", model, "--task", "tag", "--labels", "v,w,x,y,z", "--starts", "q", "a")
    #expect(wrong.code == 64 && wrong.errors.contains("no label q"), "\(wrong.errors)")
    let none = try Command.run(
      "run", model, "--task", "tag", "--starts", "0", "--ends", "1", "--special", "exclude", "a")
    #expect(none.code == 0 && none.output.contains("no path is allowed"), "\(none.output)")
  }

  @Test(arguments: ["v\nw\nx\ny\nz\n\n", "\u{feff}v\r\nw\r\nx\r\ny\r\nz\r\n", "v \nw\n x\ny\nz"])
  func `labels stand in a file, a line each, however lines end`(_ text: String) throws {
    let folder = try TemporaryFolder()
    let model = try Self.model("b4k-crf", folder)
    let names = try folder.file("labels.txt", Array(text.utf8))
    let lines = try folder.file("lines.txt", Array("\u{feff}a b\r\n".utf8))
    let result = try Command.run(
      "run", model, "--task", "tag", "--labels", "@\(names)", "--json", "--text-file", lines)
    #expect(result.code == 0, "\(result.errors)")
    #expect(
      result.json?["labels"]?.array?.compactMap(\.string) == ["v", "w", "x", "y", "z"])
    #expect(result.json?["results"]?.array?[0]["text"]?.string == "a b")
  }

  @Test func `flags that do nothing for a task are refused`() throws {
    let folder = try TemporaryFolder()
    let model = try Self.model("b4k-crf", folder)
    for flags in [["--outputs", folder.file("x.npy")], ["--tap", "x"], ["--reference", "f64"]] {
      let result = try Command.run(
        Command.path, ["run", model, "--task", "tag", "a b"] + flags)
      #expect(result.code == 64 && result.errors.contains("--"), "\(flags): \(result.errors)")
    }
    // A file that stands in the way is told before the texts are answered, not behind them.
    let output = try folder.file("x.npy", [0])
    let result = try Command.run(
      "run", model, "--task", "encode", "--outputs", output, "--text-file", folder.file("none"))
    #expect(result.code == 64 && result.errors.contains("exists"), "\(result.errors)")
  }

  @Test func `an MEMM is read in every direction`() throws {
    let folder = try TemporaryFolder()
    let model = try Self.model("b4k-memm", folder)
    for direction in ["viterbi", "forward", "backward", "average"] {
      let result = try Command.run(
        "run", model, "--task", "tag", "--memm", direction, "--marginals", "--starts", "any",
        "--ends", "any", "--json", "a b c d")
      #expect(result.code == 0, "\(result.errors)")
      #expect(result.json?["decoder"]?.string == "memm, \(direction)")
      let partition = try #require(result.json?["results"]?.array?[0]["log_partition"]?.double)
      // One direction's path scores are log-probabilities: all together they are 1.
      if direction == "forward" || direction == "backward" { #expect(abs(partition) < 1e-9) }
    }
  }

  @Test(arguments: ["b4k-global-pointer", "b4k-efficient-global-pointer"])
  func `spans are those whose score is above the threshold`(_ fixture: String) throws {
    let folder = try TemporaryFolder()
    let model = try Self.model(fixture, folder)
    func spans(_ options: String...) throws -> [JSON] {
      let result = try Command.run(
        Command.path,
        ["run", model, "--task", "spans", "--labels", "p,q,r", "--json", "a b c d e"] + options)
      #expect(result.code == 0, "\(result.errors)")
      return result.json?["results"]?.array?[0]["spans"]?.array ?? []
    }
    // Every first and last token, in three heads.
    let all = try spans("--span-threshold=-1000")
    #expect(all.count == 3 * 15)
    #expect(try spans("--span-threshold", "1000").isEmpty)
    let some = try spans()
    #expect(some == all.filter { ($0["score"]?.double ?? 0) > 0 })
    let flat = try spans("--span-threshold=-1000", "--flat")
    let best = all.compactMap { $0["score"]?.double }.max()
    #expect(flat.contains { $0["score"]?.double == best })
    var covered: Set<Int> = []
    for span in flat {
      let (first, last) = (span["first"]?.int ?? 0, span["last"]?.int ?? 0)
      #expect(covered.isDisjoint(with: first...last))
      covered.formUnion(first...last)
    }
  }

  @Test func `what a model does not have is said`() throws {
    let folder = try TemporaryFolder()
    let model = try Self.model("b4k-crf", folder)
    let spans = try Command.run("run", model, "--task", "spans", "a")
    #expect(spans.code == 2 && spans.errors.contains("no GlobalPointer"), "\(spans.errors)")
    let tags = try Command.run("run", Command.fixtures + "/tiny-albert", "--task", "tag", "好")
    #expect(tags.code == 2 && tags.errors.contains("no layer that labels tokens"))
    let export = try Command.run(
      "convert", Command.fixtures + "/tiny-albert", folder.file("crf.json"), "--to", "torchcrf")
    #expect(export.code == 2 && export.errors.contains("no CRF"), "\(export.errors)")
    let changed = try Command.run(
      "convert", model, folder.file("crf.json"), "--to", "torchcrf", "--dtype", "f16")
    #expect(changed.code == 64)
    let nowhere = try Command.run("convert", model, folder.file("crf"), "--to", "torchcrf")
    #expect(nowhere.code == 64 && nowhere.errors.contains("suffix"), "\(nowhere.errors)")
  }

  @Test func `a CRF without labels is refused`() throws {
    let folder = try TemporaryFolder()
    let probe = try Probe(Fixtures.path("trained", "cws-crf", "weights.h5"))
    var checkpoint = try FormatRegistry.recognise(probe).read(probe)
    for group in checkpoint.groups.indices
    where ["dense", "conditional_random_field"].contains(checkpoint.groups[group].name) {
      checkpoint.groups[group].tensors = checkpoint.groups[group].tensors.map {
        Tensor(name: $0.name, shape: Shape($0.shape.extents.map { $0 == 4 ? 0 : $0 }), values: [])
      }
    }
    let output = Output(overwrite: false, inputs: [])
    let path = folder.file("weights.h5")
    try FormatRegistry.named("keras-h5").write(
      checkpoint, to: path, in: output, options: WriteOptions())
    try output.commit(durable: false)
    for file in ["config.json", "vocab.txt"] {
      try FileManager.default.copyItem(
        atPath: Fixtures.path("trained", "cws-crf", file), toPath: folder.file(file))
    }
    for command in [
      ["run", path, "--task", "tag", "好"], ["bench", path, "--viterbi"],
      ["convert", path, folder.file("crf.json"), "--to", "torchcrf"],
    ] {
      let result = try Command.run(Command.path, command)
      #expect(result.code == 2 && result.errors.contains("no labels"), "\(result.errors)")
    }
  }

  @Test(arguments: ["b4k-crf", "b4k-memm", "b4k-memm-low-rank"])
  func `torchcrf gets the transitions as they are used`(_ fixture: String) throws {
    let folder = try TemporaryFolder()
    let model = try Self.model(fixture, folder)
    let used = try NPZ().read(Probe(Fixtures.path(fixture, "transitions.npz")))
    let expected = try #require(used.tensors.first { $0.name.hasSuffix("transitions") }).floats()
    let count = Int(Double(expected.count).squareRoot())
    for name in ["crf.safetensors", "crf.pt"] {
      let result = try Command.run(
        "convert", model, folder.file(name), "--to", "torchcrf", "--set", "crf_starts=0,1", "--json"
      )
      #expect(result.code == 0, "\(result.errors)")
      let probe = try Probe(folder.file(name))
      let tensors = try FormatRegistry.recognise(probe).read(probe).tensors
      #expect(tensors.map(\.name) == ["start_transitions", "end_transitions", "transitions"])
      #expect(try tensors[0].floats() == (0..<count).map { $0 < 2 ? 0 : -10_000 })
      #expect(try tensors[1].floats() == (0..<count).map { _ in 0 })
      for (mine, other) in zip(try tensors[2].floats(), expected) {
        #expect(abs(mine - other) <= 1e-5 * max(1, abs(other)))
      }
    }
    let result = try Command.run("convert", model, folder.file("crf.json"), "--to", "torchcrf")
    #expect(result.code == 0, "\(result.errors)")
    let json = try JSON(parsing: File.contents(of: folder.file("crf.json")))
    #expect(json["num_tags"]?.int == count)
    #expect(json["transitions"]?.array?.count == count)
    let again = try Command.run("convert", model, folder.file("crf.json"), "--to", "torchcrf")
    #expect(again.code == 64)
  }

  @Test(arguments: ["cws-crf", "cws-memm"])
  func `a trained segmenter gives bert4keras' labels, scores and words`(_ name: String) throws {
    let expected = try JSON(
      parsing: File.contents(of: Fixtures.path("trained", name, "answers.json")))
    let labels = try #require(expected["labels"]?.array).compactMap(\.string)
    let texts = try #require(expected["texts"]?.array)
    let ways =
      name == "cws-memm"
      ? [
        ("viterbi", nil), ("forward", "forward"), ("backward", "backward"), ("average", "average"),
      ]
      : [("viterbi", String?.none)]
    for (direction, key) in ways {
      let result = try Command.run(
        "run", Fixtures.path("trained", name, "weights.h5"), "--task", "tag", "--labels",
        labels.joined(separator: ","), "--set",
        "transition_multiplier=\(expected["lr_multiplier"]?.int ?? 0)", "--memm", direction,
        "--k-best", "5", "--marginals", "--json",
        input: texts.compactMap { $0["text"]?.string }.joined(separator: "\n"))
      #expect(result.code == 0, "\(result.errors)")
      let results = try #require(result.json?["results"]?.array)
      #expect(results.count == texts.count)
      for (answer, text) in zip(results, texts) {
        let decided = key.flatMap { text[$0] } ?? text
        let tags = try #require(decided["tags"]?.array).compactMap(\.int)
        let found = try #require(answer["tokens"]?.array)
        #expect(found.compactMap { $0["label"]?.string } == tags.map { labels[$0] })
        let score = try #require(decided["score"]?.double)
        #expect(abs((answer["score"]?.double ?? .nan) - score) < 1e-3 * max(1, abs(score)))
        let margin = try #require(decided["margin"]?.double)
        #expect(abs((answer["margin"]?.double ?? .nan) - margin) < 1e-3 * max(1, abs(margin)))
        guard key == nil else { continue }
        #expect(found.map { $0["token"]?.string }.count == text["tokens"]?.array?.count)
        let words = try #require(answer["words"]?.array)
        if words.allSatisfy({ $0["start"]?.int != nil }) {
          #expect(
            words.compactMap { $0["text"]?.string } == text["words"]?.array?.compactMap(\.string))
        }
        guard let best = text["k_best"]?.array else { continue }
        #expect(
          answer["paths"]?.array?.compactMap { $0["labels"]?.array?.compactMap(\.string) }
            == best.map { ($0["tags"]?.array ?? []).compactMap(\.int).map { labels[$0] } })
        let allowed = try #require(text["allowed"])
        let partition = try #require(allowed["log_partition"]?.double)
        #expect(abs((answer["log_partition"]?.double ?? .nan) - partition) < 1e-3 * abs(partition))
        let marginals = try #require(allowed["marginals"]?.array)
        for (token, row) in zip(found, marginals) {
          for (mine, other) in zip(token["probabilities"]?.array ?? [], row.array ?? []) {
            #expect(abs((mine.double ?? .nan) - (other.double ?? 0)) < 1e-3)
          }
        }
      }
    }
  }
}
