import ArgumentParser
import Checkpoint
import Infer

extension Verify {
  /// Asks both the same texts and compares what they answer.
  func compareAnswers<Face: TaskFace>(
    _: Face.Type, _ first: Opening, _ second: Opening
  ) throws {
    let source = try TaskContext(first, tasks, threads: threads)
    let contexts = [
      source, try TaskContext(second, tasks, threads: threads, customs: source.customs),
    ]
    if !output.quiet {
      for (context, name) in zip(contexts, ["the first", "the second"]) {
        for warning in context.tokenization.warnings {
          Terminal.printError("warning: \(name): \(warning)")
        }
      }
    }
    var tolerance = AnswerTolerance()
    tolerance.margin = margin
    if let rtol { tolerance.relative = rtol }
    if let atol { tolerance.absolute = atol }
    var verification = try AnswerVerification(
      Face(contexts[0]).task, Face(contexts[1]).task, batch: tasks.batch, options: tolerance)
    let texts = try reading.source(text, isPaired: Face.takesPairs(tasks))
    let progress = TaskProgress(Face.name, texts, quiet: output.quiet)
    try verification({ try texts.next() }, progress: progress.update)
    let report = AnswerReport(task: Face.name, verification.result, tolerance)
    if output.json {
      print(report.json.pretty)
    } else if !output.quiet || !verification.result.passed {
      report.print()
    }
    if verification.result.differentCount > 0 { throw ExitCode(1) }
    if !verification.result.passed || !verification.result.failures.isEmpty { throw ExitCode(2) }
  }

  /// Both models, and the first texts as the first one's ids, as many as one run holds.
  func tokenized(
    _ first: Opening, _ second: Opening, _ notes: inout [String]
  ) throws -> (RunnableModel, RunnableModel, TextInputs) {
    let context = try TaskContext(first, tasks, threads: threads)
    let other =
      second.tokenizer == nil ? nil : try TaskContext(second, tasks, threads: threads)
    let source = try reading.source(text, isPaired: false)
    var encodings: [Encoding] = []
    var longest = 0
    while let next = try source.next() {
      let input = try next.get()
      let encoding = try context.tokenization.encoding(input.text, pair: input.pair)
      longest = max(longest, encoding.count)
      guard encodings.isEmpty || (encodings.count + 1) * longest <= TaskBatch.tokens else {
        notes.append(
          "only the first \(Text.plural(encodings.count, "text")) were run: every value is compared"
        )
        break
      }
      encodings.append(encoding)
      if let other, other.tokenization.tokenizes(input, unlike: encoding) {
        notes.append("the two tokenize text \(input.number) differently; the first's ids are used")
      }
    }
    guard !encodings.isEmpty else {
      throw CheckpointError(.mismatch, Place(member: "text"), "has no lines")
    }
    var mapped = try second.model()
    context.tokenization.extendPositions(of: &mapped.architecture.configuration)
    return (
      try context.runnable(), try RunnableModel(mapped, mask: tasks.text.mask),
      TextInputs(encodings, padding: context.tokenization.tokenizer.special.padding)
    )
  }
}

extension Tokenization {
  /// Whether a text has other ids here.
  fileprivate func tokenizes(_ input: TaskInput, unlike encoding: Encoding) -> Bool {
    (try? self.encoding(input.text, pair: input.pair).ids) != encoding.ids
  }
}

/// A comparison of answers as text and as JSON.
struct AnswerReport {
  private let task: String
  private let result: AnswerComparison
  private let tolerance: AnswerTolerance
  /// Texts of each kind that are printed.
  private static let shown = 5

  init(task: String, _ result: AnswerComparison, _ tolerance: AnswerTolerance) {
    self.task = task
    self.result = result
    self.tolerance = tolerance
  }

  /// A margin: tenths as tenths, what is tiny by its power of ten.
  private func ahead(_ margin: Double) -> String {
    margin >= 0.01 ? Text.decimal(margin, 2) : Text.small(margin)
  }

  private var verdict: String {
    result.differentCount > 0
      ? "different"
      : result.equal + result.tieCount == 0
        ? "nothing-compared"
        : result.tieCount > 0 ? "ties" : "same"
  }

  func print() {
    let terminal = Terminal.output
    if let odd = result.tokenizedDifferently {
      Terminal.print(
        "\(terminal.yellow("note:")) the two tokenize text \(odd.number) differently, "
          + "from token \(odd.token) on")
    }
    for failure in result.failures.prefix(AnswerReport.shown) {
      Terminal.print("\(terminal.red("not answered:")) text \(failure.number): \(failure.reason)")
    }
    for tie in result.ties.prefix(AnswerReport.shown) { print(tie, terminal.yellow("tie:")) }
    for text in result.different.prefix(AnswerReport.shown) {
      print(text, terminal.red("differs:"))
    }
    let texts = Text.plural(result.texts, "text")
    var facts = ["\(task): \(texts)", "\(result.equal) equal"]
    if result.tieCount > 0 {
      facts.append("\(Text.plural(result.tieCount, "tie")) within \(Text.small(tolerance.margin))")
    }
    if result.differentCount > 0 { facts.append("\(result.differentCount) different") }
    if !result.failures.isEmpty { facts.append("\(result.failures.count) not answered") }
    if let margin = result.smallestMargin {
      facts.append("smallest margin \(ahead(margin))")
    }
    if let largest = result.largestDifference, let relative = result.largestRelative {
      facts.append("max |Δ| \(Text.small(largest)), relative \(Text.small(relative))")
    }
    if let cosine = result.smallestCosine {
      facts.append("smallest cosine \(Text.decimal(cosine, 8))")
    }
    let head =
      switch verdict {
      case "same": terminal.green("same answers:")
      case "ties": terminal.green("same answers but for ties:")
      case "different": terminal.red("different answers:")
      default: terminal.red("nothing was compared:")
      }
    Terminal.print("\(head) \(facts.joined(separator: ", "))")
  }

  private func print(_ text: AnswerComparison.Text, _ head: String) {
    Terminal.print("\(head) text \(text.number): \(Text.shortened(text.text, to: 60))")
    for difference in text.differences.prefix(AnswerReport.shown) {
      func side(_ value: String?, _ margin: Double?) -> String {
        (value ?? "nothing") + (margin.map { " (ahead by \(ahead($0)))" } ?? "")
      }
      Terminal.print(
        "  \(difference.subject): \(side(difference.first, difference.firstMargin)) in the first, "
          + "\(side(difference.second, difference.secondMargin)) in the second")
    }
  }

  var json: JSON {
    .object([
      .init("task", .string(task)),
      .init("verdict", .string(verdict)),
      .init("passed", .bool(result.passed)),
      .init("texts", .number(result.texts)),
      .init("equal", .number(result.equal)),
      .init("ties", .number(result.tieCount)),
      .init("different", .number(result.differentCount)),
      .init("margin", .number(tolerance.margin)),
      .init("smallest_margin", result.smallestMargin.map { .number($0) } ?? .null),
      .init(
        "tokenized_differently",
        result.tokenizedDifferently.map {
          .object([.init("number", .number($0.number)), .init("token", .number($0.token))])
        } ?? .null),
      .init(
        "numbers",
        result.largestDifference.map { largest in
          .object([
            .init("max_abs", .number(largest)),
            .init("relative", .number(result.largestRelative ?? 0)),
            .init("cosine", result.smallestCosine.map { .number($0) } ?? .null),
          ])
        } ?? .null),
      .init("first_difference", result.different.first.map(json) ?? .null),
      .init("tied_texts", .array(result.ties.map(json))),
      .init("different_texts", .array(result.different.map(json))),
      .init(
        "not_answered",
        .array(
          result.failures.map {
            .object([
              .init("number", .number($0.number)), .init("reason", .string($0.reason)),
            ])
          })),
    ])
  }

  private func json(_ text: AnswerComparison.Text) -> JSON {
    .object([
      .init("number", .number(text.number)), .init("text", .string(text.text)),
      .init(
        "differences",
        .array(
          text.differences.map { difference in
            .object([
              .init("subject", .string(difference.subject)),
              .init("first", difference.first.map { .string($0) } ?? .null),
              .init("second", difference.second.map { .string($0) } ?? .null),
              .init("first_margin", difference.firstMargin.map { .number($0) } ?? .null),
              .init("second_margin", difference.secondMargin.map { .number($0) } ?? .null),
            ])
          })),
    ])
  }
}
