import Checkpoint
import Infer

/// `--task similarity`: the cosine of two texts' vectors, or of every two of all texts.
struct SimilarityFace: TaskFace {
  static let name = "similarity"
  static let isPaired = true

  static func takesPairs(_ options: TaskOptions) -> Bool { !options.encoding.matrix }
  static func writes(_ options: TaskOptions) -> Bool { options.encoding.matrix }

  let task: Similarity
  private let isMatrix: Bool
  private var vectors: [[Float]] = []
  /// Of the texts that have a vector.
  private var numbers: [Int] = []
  /// Texts whose matrix a screen and a document can still hold.
  private static let most = 2_000

  var showsText: Bool { false }

  init(_ context: TaskContext) throws {
    task = try Similarity(context.encoder(), context.tokenization)
    isMatrix = context.options.encoding.matrix
  }

  func json(_ answer: Similarity.Answer, to input: TaskInput) -> [JSON.Member] {
    answer.cosine.map { [.init("similarity", .number($0))] } ?? []
  }

  func lines(_ answer: Similarity.Answer, to input: TaskInput) -> [String] {
    guard let cosine = answer.cosine, let pair = input.pair else { return [] }
    return ["\(Text.decimal(cosine, 4))  \(input.text) ↔ \(pair)"]
  }

  mutating func receive(_ answer: Similarity.Answer?, to input: TaskInput) throws {
    guard isMatrix, let answer else { return }
    guard vectors.count < SimilarityFace.most else {
      throw CheckpointError(
        .unsupported, Place(member: "--matrix"), "has more than \(SimilarityFace.most) texts",
        hint: "write vectors instead: --task encode --normalize --outputs vectors.npy")
    }
    vectors += answer.vectors.prefix(1)
    numbers.append(input.number)
  }

  func finish(_ context: TaskContext) throws -> (members: [JSON.Member], lines: [String]) {
    guard isMatrix else { return ([], []) }
    let matrix = vectors.map { a in vectors.map { Similarity.cosine(a, $0) } }
    if let outputs = context.outputs {
      try Arrays.write(
        [
          (
            "similarity",
            NDArray(
              shape: [matrix.count, matrix.count], values: matrix.flatMap { $0.map { Float($0) } })
          )
        ], to: outputs.path, inputs: context.opening.inputs, overwrite: outputs.overwrite)
    }
    var table = Table(
      [.right] + numbers.map { _ in .right }, header: [""] + numbers.map { "\($0)" })
    for (number, row) in zip(numbers, matrix) {
      table.add(["\(number)"] + row.map { Text.decimal($0, 3) })
    }
    return (
      [
        .init("numbers", .array(numbers.map { .number($0) })),
        .init("matrix", .array(matrix.map { row in .array(row.map { .number($0) }) })),
      ] + (context.outputs.map { [.init("outputs", .string($0.path))] } ?? []),
      context.outputs.map { ["wrote \($0.path): \(matrix.count) × \(matrix.count)"] }
        ?? table.lines(.output, columns: Terminal.output.columns)
    )
  }
}
