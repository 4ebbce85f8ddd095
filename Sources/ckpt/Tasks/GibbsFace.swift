import Checkpoint
import Infer

/// `--task gibbs`: sentences drawn from a masked language model.
struct GibbsFace: TaskFace {
  static let name = "gibbs"
  static let needsNoText = true

  let task: Gibbs

  init(_ context: TaskContext) throws {
    let model = try context.runnable()
    let prompting = try context.prompting(model)
    let given = context.options.decoding
    let decoding = try context.options.decoding(prompting, customs: context.customs)
    var options = Gibbs.Options(sampler: Sampler(decoding))
    options.samples = given.samples ?? 1
    options.sweeps = given.sweeps
    options.order = given.order
    options.length = given.length
    options.seed = given.seed
    task = try Gibbs(model, context.tokenization, options, threads: context.threads)
  }

  func json(_ answer: Gibbs.Answer, to input: TaskInput) -> [JSON.Member] {
    [
      .init(
        "samples",
        .array(
          answer.sequences.map { sequence in
            .object([
              .init("text", .string(sequence.text)),
              .init("ids", .array(sequence.ids.map { .number(Int($0)) })),
            ])
          }))
    ]
  }

  func lines(_ answer: Gibbs.Answer, to input: TaskInput) -> [String] {
    answer.sequences.map { "  " + Text.printable($0.text) }
  }
}
