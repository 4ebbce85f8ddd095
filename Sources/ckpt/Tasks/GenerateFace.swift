import Checkpoint
import Infer

/// `--task generate`: what a model writes.
struct GenerateFace: TaskFace {
  static let name = "generate"

  let task: Generate
  let notes: [String]

  init(_ context: TaskContext) throws {
    let (model, notes) = try context.generator()
    let prompting = try context.prompting(model)
    let decoding = try context.options.decoding(prompting, customs: context.customs)
    task = try Generate(
      model, prompting, decoding, cached: !context.options.decoding.noCache,
      threads: context.threads)
    self.notes =
      notes
      + (prompting.ends.isEmpty
        ? ["no token is known that ends an answer; --end-token tells one"] : [])
  }

  func json(_ answer: Generate.Answer, to input: TaskInput) -> [JSON.Member] {
    [
      .init(
        "answers",
        .array(
          answer.sequences.map { sequence in
            .object([
              .init("text", .string(sequence.text)),
              .init("ids", .array(sequence.ids.map { .number(Int($0)) })),
              .init("score", .number(sequence.score)),
              .init("finished", .bool(sequence.isFinished)),
              .init("margin", sequence.margin.map { .number($0) } ?? .null),
            ])
          }))
    ]
  }

  func lines(_ answer: Generate.Answer, to input: TaskInput) -> [String] {
    let scores = answer.sequences.map { Text.decimal($0.score, 3) }
    let width = scores.map { Text.width($0) }.max() ?? 0
    return answer.sequences.enumerated().map { index, sequence in
      let pad = String(repeating: " ", count: max(0, width - Text.width(scores[index])))
      let score =
        answer.sequences.count > 1 ? Terminal.output.dim(pad + scores[index]) + "  " : ""
      let end = sequence.isFinished ? "" : Terminal.output.dim(" …")
      return "  " + score + Text.printable(sequence.text) + end
    }
  }
}
