import Checkpoint
import Infer

/// `--task tag`: a label for each token, and what the labels make of the text.
struct TagFace: TaskFace {
  static let name = "tag"

  let task: Tag
  private let layer: String

  /// Where the words are everything that labels say, they stand alone, a line for each text.
  var showsText: Bool { !makesWords || isDetailed }
  private let isDetailed: Bool

  init(_ context: TaskContext) throws {
    let options = context.options.labelling
    let model = try context.texts()
    let labelling = try context.placing { try model.labelling(options.memm) }
    let kind = labelling.kind
    let labels = try context.options.labels.names(labelling.size, context.configuration)
    let isChain = if case .softmax = kind { false } else { true }
    // bert4keras' examples give [CLS] and [SEP] label 0 and decode them with the rest.
    let special = options.special.map { $0 == .include } ?? isChain
    let customary = isChain && special ? "0" : nil
    self.layer =
      switch kind {
      case .softmax: "softmax"
      case .crf: "crf"
      case .memm(_, let direction): "memm, \(direction.rawValue)"
      }
    task = try Tag(
      model, context.tokenization, labelling: labelling,
      decoder: LabelDecoder(
        kind, labels: labelling.size,
        starts: LabellingOptions.choice(
          options.starts ?? customary, of: labels, flag: "--starts"),
        ends: LabellingOptions.choice(options.ends ?? customary, of: labels, flag: "--ends")),
      labels: labels, scheme: options.scheme ?? LabelScheme.of(labels),
      options: Tag.Options(special: special, paths: options.kBest, marginals: options.marginals),
      threads: context.threads)
    isDetailed = options.kBest > 1 || options.marginals
  }

  /// Whether the labels have no types, so that they divide the text.
  private var makesWords: Bool {
    task.reading.scheme != .none && LabelScheme.areWords(task.reading.labels)
  }

  // MARK: - JSON

  func json(_ answer: Tag.Answer, to input: TaskInput) -> [JSON.Member] {
    let labels = task.reading.labels
    var members: [JSON.Member] = [
      .init(
        "tokens",
        .array(
          answer.tokens.map { token in
            var json: [JSON.Member] = [
              .init("token", .string(token.token)), .init("label", .string(token.label)),
            ]
            json += LabelJSON.place(token.range, token.text, input)
            if let probabilities = token.probabilities {
              json.append(
                .init(
                  "probabilities",
                  .array(probabilities.map { .number($0) })))
            }
            return .object(json)
          })),
      .init("score", .number(answer.score)),
      .init("margin", answer.margin.map { .number($0) } ?? .null),
    ]
    if let partition = answer.logPartition {
      members.append(.init("log_partition", .number(partition)))
    }
    if !answer.paths.isEmpty {
      members.append(
        .init(
          "paths",
          .array(
            answer.paths.map { path in
              .object([
                .init("labels", .array(path.labels.map { .string(labels[$0]) })),
                .init("score", .number(path.score)),
              ])
            })))
    }
    if makesWords {
      members.append(
        .init(
          "words",
          .array(
            answer.spans.map { word in
              .object(
                [.init("text", .string(word.text))]
                  + LabelJSON.place(word.range, answer.tokens[word.first].text, input))
            })))
    } else if task.reading.scheme != .none {
      members.append(
        .init(
          "spans",
          .array(
            answer.spans.map { span in
              .object(
                [.init("label", .string(span.label)), .init("text", .string(span.text))]
                  + LabelJSON.place(span.range, answer.tokens[span.first].text, input))
            })))
    }
    return members
  }

  func finish(_ context: TaskContext) throws -> (members: [JSON.Member], lines: [String]) {
    let reading = task.reading
    func names(_ labels: [Int]?) -> JSON {
      labels.map { .array($0.map { .string(reading.labels[$0]) }) } ?? .null
    }
    return (
      [
        .init("decoder", .string(layer)),
        .init("labels", .array(reading.labels.map { .string($0) })),
        .init("scheme", .string(reading.scheme.rawValue)),
        .init("special", .bool(reading.options.special)),
        .init("starts", names(reading.decoder.starts)),
        .init("ends", names(reading.decoder.ends)),
      ], []
    )
  }

  // MARK: - Lines

  func lines(_ answer: Tag.Answer, to input: TaskInput) -> [String] {
    guard answer.score > -.infinity else { return ["  no path is allowed"] }
    let indent = showsText ? "  " : ""
    var lines: [String] = []
    let own = answer.tokens.filter { $0.text != nil }
    if makesWords {
      lines.append(indent + answer.spans.map(\.text).joined(separator: " "))
    } else if task.reading.scheme != .none {
      lines += LabelJSON.lines(answer.spans.map { ($0, nil) })
    } else {
      lines.append(indent + own.map { "\($0.token)/\($0.label)" }.joined(separator: " "))
    }
    if !answer.paths.isEmpty {
      var table = Table([.right, .right, .left], header: nil)
      for (index, path) in answer.paths.enumerated() {
        table.add(
          "\(index + 1)", Text.decimal(path.score, 4),
          path.labels.map { task.reading.labels[$0] }.joined(separator: " "))
      }
      lines += table.lines(Terminal.output, columns: nil).map { "  " + $0 }
    }
    if answer.tokens.contains(where: { $0.probabilities != nil }) {
      var table = Table(
        [.left, .left] + task.reading.labels.map { _ in .right },
        header: ["token", "label"] + task.reading.labels)
      for token in answer.tokens {
        table.add(
          [token.token, token.label] + (token.probabilities ?? []).map { Text.decimal($0, 4) })
      }
      lines += table.lines(Terminal.output, columns: nil).map { "  " + $0 }
    }
    return lines
  }
}

/// What `tag` and `spans` write alike.
enum LabelJSON {
  /// Where it stands: code points from `start` to before `end`, in the `pair` where there is one.
  static func place(_ range: Range<Int>?, _ text: Int?, _ input: TaskInput) -> [JSON.Member] {
    [
      .init("start", range.map { .number($0.lowerBound) } ?? .null),
      .init("end", range.map { .number($0.upperBound) } ?? .null),
    ]
      + (input.pair == nil
        ? [] : [.init("of", text.map { .string($0 == 0 ? "text" : "pair") } ?? .null)])
  }

  /// A line for each span: its label, place, score and text.
  static func lines(_ spans: [(span: TextSpan, score: Float?)]) -> [String] {
    guard !spans.isEmpty else { return ["  none"] }
    var table = Table([.left, .left, .right, .left])
    for (span, score) in spans {
      table.add(
        span.label, span.range.map { "\($0.lowerBound)–\($0.upperBound)" } ?? "",
        score.map { Text.decimal(Double($0), 3) } ?? "", span.text)
    }
    return table.lines(Terminal.output, columns: nil).map { "  " + $0 }
  }
}
