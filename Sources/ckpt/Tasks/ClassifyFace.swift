import Checkpoint
import Infer

/// `--task classify`: labels for texts.
struct ClassifyFace: TaskFace {
  static let name = "classify"

  let task: Classify
  private let count: Int

  init(_ context: TaskContext) throws {
    let model = try context.texts()
    let choices = context.options.choices
    let head = try context.placing {
      try SequenceHead.named(
        choices.head, of: model, problem: context.configuration?["problem_type"]?.string)
    }
    let names = try context.options.labels.given == nil ? head.labels : nil
    task = try Classify(
      model, context.tokenization, head: head, activation: choices.activation,
      names: names ?? context.options.labels.names(head.size, context.configuration),
      threshold: choices.threshold, threads: context.threads)
    count = context.options.shown
  }

  func json(_ answer: Classify.Answer, to input: TaskInput) -> [JSON.Member] {
    let held = answer.decisions.filter { $0.value == "yes" }.map { JSON.string($0.subject) }
    return [
      .init(
        "labels",
        .array(
          answer.ranked.prefix(count).map {
            .object([
              .init("label", .string($0.name)), .init("score", .number(exactly: $0.score)),
            ])
          })),
      .init(
        "label",
        answer.activation == .softmax
          ? answer.decisions.first.map { .string($0.value) } ?? .null
          : answer.activation == .sigmoid ? .array(held) : .null),
    ]
  }

  func lines(_ answer: Classify.Answer, to input: TaskInput) -> [String] {
    let held = Set(answer.decisions.filter { $0.value == "yes" }.map(\.subject))
    return [
      "  "
        + answer.ranked.prefix(count).map { label in
          let text = "\(label.name) \(Text.decimal(Double(label.score), 3))"
          return held.contains(label.name) ? Terminal.output.bold(text + " ✓") : text
        }.joined(separator: "  ")
    ]
  }
}
