/// Generation without a memory: each step runs the ordinary graph over whole sequences.
///
/// Slow and plain: what ``CachedSteps`` is compared with.
public final class UncachedSteps: StepModel {
  public let vocabularySize: Int
  public let limit: Int?
  private let form: StepForm
  private let session: Session
  private var rows: [StepRow] = []

  /// - Throws: ``InferError`` when the model cannot generate; what reading weights throws.
  public init(_ model: RunnableModel, threads: Int? = nil) throws {
    form = try StepForm(model)
    vocabularySize = form.vocabularySize
    limit = form.limit
    session = try model.session(returning: [form.logits], threads: threads)
  }

  public func start(_ prompts: [Prompt]) throws -> NDArray<Float> {
    try next(prompts.map { try form.row($0) })
  }

  public func advance(_ parents: [Int], _ tokens: [Int32]) throws -> NDArray<Float> {
    try next(form.rows(rows, parents, tokens))
  }

  /// Runs all rows, padded on the right, and takes each one's last logits.
  private func next(_ next: [StepRow]) throws -> NDArray<Float> {
    guard !next.isEmpty else { throw InferError(.input, "rows", "there is none") }
    rows = next
    guard let logits = try session.run(form.inputs(rows))[form.logits] else {
      throw InferError(.graph, form.logits, "was not computed")
    }
    return NDArray(
      shape: [rows.count, vocabularySize],
      values: rows.enumerated().flatMap { logits.vector($0, $1.tokens.count - 1) })
  }
}
