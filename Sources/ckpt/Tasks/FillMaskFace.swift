import Checkpoint
import Infer

/// `--task fill-mask`: the likeliest tokens for each `[MASK]`.
struct FillMaskFace: TaskFace {
  static let name = "fill-mask"

  let task: FillMask

  init(_ context: TaskContext) throws {
    task = try FillMask(
      context.runnable(), context.tokenization, count: context.options.shown,
      targets: context.options.choices.targets?.split(separator: ",").map(String.init),
      threads: context.threads)
  }

  func json(_ answer: FillMask.Answer, to input: TaskInput) -> [JSON.Member] {
    [
      .init(
        "masks",
        .array(
          answer.masks.map { mask in
            .object([
              .init("position", .number(mask.position)),
              .init(
                "candidates",
                .array(
                  mask.candidates.map {
                    .object([
                      .init("token", .string($0.token)), .init("id", .number(Int($0.id))),
                      .init("probability", .number(Double($0.probability))),
                    ])
                  })),
            ])
          }))
    ]
  }

  func lines(_ answer: FillMask.Answer, to input: TaskInput) -> [String] {
    answer.masks.isEmpty
      ? ["  no [MASK]"]
      : answer.masks.map { mask in
        "  "
          + mask.candidates.map { "\($0.token) \(Text.decimal(Double($0.probability), 3))" }
          .joined(separator: "  ")
      }
  }
}
