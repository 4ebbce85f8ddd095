import Checkpoint
import Infer

/// `--task spans`: the spans that a GlobalPointer finds.
struct SpansFace: TaskFace {
  static let name = "spans"

  let task: FindSpans

  init(_ context: TaskContext) throws {
    let runnable = try context.runnable()
    let layer = try context.placing { try FindSpans.layer(of: runnable) }
    task = try FindSpans(
      runnable, context.tokenization,
      labels: context.options.labels.names(layer.outputSize, context.configuration),
      decoder: SpanDecoder(
        threshold: context.options.labelling.spanThreshold,
        isFlat: context.options.labelling.flat),
      threads: context.threads)
  }

  func json(_ answer: FindSpans.Answer, to input: TaskInput) -> [JSON.Member] {
    [
      .init(
        "spans",
        .array(
          answer.spans.map { found in
            .object(
              [
                .init("label", .string(found.span.label)), .init("text", .string(found.span.text)),
              ] + LabelJSON.place(found.span.range, found.text, input) + [
                .init("first", .number(found.span.first)), .init("last", .number(found.span.last)),
                .init("score", .number(Double(found.score))),
              ])
          })),
      .init("margin", answer.margin.map { .number($0) } ?? .null),
    ]
  }

  func lines(_ answer: FindSpans.Answer, to input: TaskInput) -> [String] {
    LabelJSON.lines(answer.spans.map { ($0.span, $0.score) })
  }

  func finish(_ context: TaskContext) throws -> (members: [JSON.Member], lines: [String]) {
    (
      [
        .init("labels", .array(task.labels.map { .string($0) })),
        .init("threshold", .number(Double(task.decoder.threshold))),
        .init("flat", .bool(task.decoder.isFlat)),
      ], []
    )
  }
}
