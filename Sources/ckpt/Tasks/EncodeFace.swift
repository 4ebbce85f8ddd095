import Checkpoint
import Infer

/// `--task encode`: a vector for each text.
struct EncodeFace: TaskFace {
  static let name = "encode"
  static func writes(_ options: TaskOptions) -> Bool { true }

  let task: Encode
  let showsText = false
  /// Row i is text i, also where texts before it have no vector.
  private let rows: GatheredRows?

  init(_ context: TaskContext) throws {
    task = try Encode(context.encoder(), context.tokenization)
    rows = try context.outputs.map { try GatheredRows(for: $0.path) }
  }

  func json(_ answer: Encode.Answer, to input: TaskInput) -> [JSON.Member] {
    rows == nil ? [.init("embedding", .array(answer.vector.map { .number(exactly: $0) }))] : []
  }

  func lines(_ answer: Encode.Answer, to input: TaskInput) -> [String] {
    rows == nil
      ? [JSON.object([.init("text", .string(input.text))] + json(answer, to: input)).compact] : []
  }

  mutating func receive(_ answer: Encode.Answer?, to input: TaskInput) throws {
    if let answer { try rows?.append(answer.vector) } else { rows?.appendMissing() }
  }

  func finish(_ context: TaskContext) throws -> (members: [JSON.Member], lines: [String]) {
    guard let rows, let outputs = context.outputs else { return ([], []) }
    try Arrays.write(
      [rows.tensor(named: "embeddings")], to: outputs.path, inputs: context.opening.inputs,
      overwrite: outputs.overwrite)
    return (
      [
        .init("outputs", .string(outputs.path)),
        .init("shape", .array([.number(rows.count), .number(rows.width)])),
      ],
      ["wrote \(outputs.path): \(rows.count) × \(rows.width)"]
    )
  }
}

extension TaskContext {
  /// What makes vectors of texts, as the flags say.
  func encoder() throws -> SentenceEncoder {
    try SentenceEncoder(
      runnable(), pooling: options.encoding.pooling, isNormalized: options.encoding.normalize,
      padding: tokenization.tokenizer.special.padding, threads: threads)
  }
}

extension JSON {
  /// The shortest digits that give this number back; null where JSON has no way to write it.
  static func number(exactly value: Float) -> JSON {
    value.isFinite ? .literal("\(value)") : .null
  }
}
