import Checkpoint
import Infer

/// `--task encode`: a vector for each text.
struct EncodeFace: TaskFace {
  static let name = "encode"
  static let abstract = "a vector for each text"

  let task: Encode
  let showsText = false
  private var vectors: [[Float]] = []
  private let isWritten: Bool

  init(_ context: TaskContext) throws {
    task = try Encode(
      context.runnable(), context.tokenization, pooling: context.options.pooling,
      threads: context.threads)
    isWritten = context.outputs != nil
  }

  func json(_ answer: Encode.Answer, to input: TaskInput) -> [JSON.Member] {
    [.init("embedding", .array(answer.vector.map { .literal("\($0)") }))]
  }

  func lines(_ answer: Encode.Answer, to input: TaskInput) -> [String] {
    isWritten
      ? [] : [JSON.object([.init("text", .string(input.text))] + json(answer, to: input)).compact]
  }

  mutating func receive(_ answer: Encode.Answer, to input: TaskInput) {
    if isWritten { vectors.append(answer.vector) }
  }

  func finish(_ context: TaskContext) throws -> (members: [JSON.Member], lines: [String]) {
    guard let outputs = context.outputs else { return ([], []) }
    let width = vectors.first?.count ?? 0
    let array = NDArray(shape: [vectors.count, width], values: vectors.flatMap(\.self))
    try Arrays.write(
      [("embeddings", array)], to: outputs.path, inputs: context.opening.inputs,
      overwrite: outputs.overwrite)
    return (
      [.init("outputs", .string(outputs.path))],
      ["wrote \(outputs.path): \(vectors.count) × \(width)"]
    )
  }
}
