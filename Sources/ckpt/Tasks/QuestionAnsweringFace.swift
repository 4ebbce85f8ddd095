import Checkpoint
import Infer

/// `--task qa`: the part of a context that answers a question.
struct QuestionAnsweringFace: TaskFace {
  static let name = "qa"
  static let isPaired = true

  let task: QuestionAnswering
  private let count: Int

  init(_ context: TaskContext) throws {
    let choices = context.options.choices
    var options = QuestionAnswering.Options()
    options.count = context.options.shown
    options.longest = choices.maxAnswerLength
    options.maybeImpossible = choices.handleImpossible
    options.stride = choices.stride
    task = try QuestionAnswering(
      context.runnable(), context.tokenization, options: options, threads: context.threads)
    count = options.count
  }

  func json(_ answer: QuestionAnswering.Answer, to input: TaskInput) -> [JSON.Member] {
    [
      .init(
        "answers",
        .array(
          answer.spans.prefix(count).map {
            .object([
              .init("answer", .string($0.text)), .init("score", .number($0.score)),
              .init("start", .number($0.range.lowerBound)),
              .init("end", .number($0.range.upperBound)),
            ])
          }))
    ]
  }

  func lines(_ answer: QuestionAnswering.Answer, to input: TaskInput) -> [String] {
    answer.spans.isEmpty
      ? ["  no answer"]
      : answer.spans.prefix(count).map {
        "  \(Text.decimal($0.score, 3))  \($0.range.isEmpty ? "(no answer)" : $0.text)"
      }
  }
}
