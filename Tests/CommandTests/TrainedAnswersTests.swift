import Checkpoint
import TestSupport
import Testing

/// Models that were trained on text answer through the command as the library that trained them, from the text on, and
/// go on answering so behind transforms.
@Suite struct TrainedAnswersTests {
  /// A model of `fixtures/trained` and what its library said.
  private struct Trained {
    let path: String
    let answers: JSON
    let texts: [JSON]

    init(_ name: String) throws {
      path = Fixtures.path("trained", name)
      answers = try JSON(parsing: File.contents(of: Fixtures.path("trained", name, "answers.json")))
      texts = answers["texts"]?.array ?? []
    }

    var lines: String { texts.map { ($0["text"]?.string ?? "") + "\n" }.joined() }

    /// The answers of `run --task` to all its texts.
    func answers(_ options: [String]) throws -> [JSON] {
      let result = try Command.run(
        Command.path, ["run", path, "--text-file", "-", "--json"] + options, input: lines)
      #expect(result.code == 0, "\(result.errors)")
      return result.json?["results"]?.array ?? []
    }
  }

  /// How an answer is asked for, and where it stands in `answers.json`.
  struct Mode: Sendable, CustomTestStringConvertible {
    let model: String
    let keys: [String]
    let options: [String]

    init(_ model: String, _ keys: String..., options: String...) {
      (self.model, self.keys, self.options) = (model, keys, options)
    }

    var testDescription: String { "\(model) \(keys.joined(separator: "."))" }
  }

  static let modes = [
    Mode("unilm-next", "greedy", options: "--max-new-tokens", "16"),
    Mode("unilm-next", "beam", "ids", options: "--max-new-tokens", "16", "--beams", "3"),
    Mode(
      "unilm-next", "beam_minlen", "ids", options: "--max-new-tokens", "16", "--beams", "3",
      "--min-length", "8"),
    Mode(
      "unilm-next", "beam_min_ends", "ids", options: "--max-new-tokens", "22", "--beams", "5",
      "--min-ends", "3"),
    Mode("gpt2-reviews", "greedy", options: "--max-new-tokens", "16"),
    Mode("gpt2-reviews", "beam", "ids", options: "--max-new-tokens", "16", "--beams", "4"),
    Mode(
      "gpt2-reviews", "beam_lp2", "ids", options: "--max-new-tokens", "16", "--beams", "4",
      "--length-penalty", "2", "--early-stopping", "true"),
    Mode(
      "gpt2-reviews", "greedy_repetition", options: "--max-new-tokens", "16",
      "--repetition-penalty", "1.3"),
    Mode(
      "gpt2-reviews", "greedy_no_repeat", options: "--max-new-tokens", "16", "--no-repeat-ngram",
      "2"),
    Mode("t5-segment", "greedy", options: "--max-new-tokens", "40"),
    Mode("t5-segment", "beam", "ids", options: "--max-new-tokens", "40", "--beams", "4"),
    Mode(
      "t5-segment", "beam_lp06", "ids", options: "--max-new-tokens", "40", "--beams", "4",
      "--length-penalty", "0.6"),
  ]

  @Test(arguments: modes)
  func `what is generated from text is the library's, token by token`(_ mode: Mode) throws {
    let trained = try Trained(mode.model)
    var compared = 0
    for cache in [[], ["--no-cache"]] {
      let found = try trained.answers(["--task", "generate"] + mode.options + cache)
      #expect(found.count == trained.texts.count)
      for (text, answer) in zip(trained.texts, found) {
        let expected = mode.keys.reduce(text as JSON?) { $0?[$1] }
        guard let ids = expected?.array?.map(\.int) else { continue }
        #expect(
          answer["answers"]?.array?.first?["ids"]?.array?.map(\.int) == ids,
          "\(text["text"]?.string ?? "")")
        compared += 1
      }
    }
    #expect(compared >= 20)
  }

  @Test func `reviews get bert4keras' probabilities and labels`() throws {
    let trained = try Trained("sentiment-albert")
    let labels = trained.answers["labels"]?.array?.compactMap(\.string) ?? []
    let found = try trained.answers([
      "--task", "classify", "--set", "head.dense=first-token,softmax", "--long", "truncate",
      "--labels", labels.joined(separator: ","),
    ])
    #expect(found.count == trained.texts.count && found.count == 60)
    for (text, answer) in zip(trained.texts, found) {
      #expect(answer["label"]?.string == text["label"]?.string)
      for (label, probability) in zip(labels, text["probabilities"]?.array ?? []) {
        let score = answer["labels"]?.array?.first { $0["label"]?.string == label }?["score"]
        #expect(abs((score?.double ?? .nan) - (probability.double ?? 0)) < 1e-5)
      }
    }
  }

  /// A model, steps that keep its function, and what it is asked behind them.
  static let chains: [(name: String, steps: [String], settings: [String], task: [String])] = [
    (
      "sentiment-albert", ["untie", "widen-key-size=24", "talking-heads"],
      ["head.dense=first-token,softmax"], ["classify", "--long", "truncate"]
    ),
    (
      "sentiment-albert", ["untie"], ["head.dense=first-token,softmax"],
      ["encode", "--long", "truncate"]
    ),
    ("cws-crf", ["widen-key-size=32"], ["transition_multiplier=100"], ["tag"]),
    ("cws-crf", ["talking-heads"], ["transition_multiplier=100"], ["tag", "--k-best", "3"]),
    (
      "cws-memm", ["widen-key-size=32", "talking-heads"], ["transition_multiplier=100"],
      ["tag", "--memm", "average"]
    ),
    ("unilm-next", ["widen-key-size=48", "talking-heads"], [], ["generate", "--beams", "3"]),
    ("unilm-next", ["talking-heads"], [], ["fill-mask"]),
    ("gpt2-reviews", ["widen-key-size=24"], [], ["generate", "--beams", "4"]),
    ("t5-segment", ["unfold-decoder-scale", "widen-key-size=24"], [], ["generate"]),
  ]

  @Test(arguments: chains)
  func `a transformed model gives the same answers`(
    name: String, steps: [String], settings: [String], task: [String]
  ) throws {
    let trained = try Trained(name)
    let folder = try TemporaryFolder()
    let target = folder.file("changed.h5")
    let converted = try Command.convert(
      trained.path, to: target, steps: steps,
      ["--to", "bert4keras"] + settings.flatMap { ["--set", $0] })
    #expect(converted.code == 0, "\(converted.errors)")
    let texts = try folder.file("texts.txt", Array(trained.lines.utf8))
    let result = try Command.run(
      Command.path,
      ["verify", trained.path, target, "--json", "--text-file", texts, "--task"] + task
        + settings.flatMap { ["--set", $0, "--set-b", $0] })
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["verdict"]?.string == "same")
    #expect(result.json?["equal"]?.int == trained.texts.count)
  }
}
