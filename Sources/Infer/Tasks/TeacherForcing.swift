import Checkpoint

/// A prompt with the target that is judged: each of its tokens sees the target's own before it.
public struct ForcedTarget: Sendable, Equatable {
  public var prompt: Prompt
  public var target: [Int32]
  /// Whether the prompt is the text's own first token, not a source.
  public var isWhole = false
}

/// The logits at each position of targets that are given, in one run over whole sequences.
struct TeacherForcing {
  private let session: Session
  let form: StepForm
  /// Logits that a run may hold: 256 MB.
  private static let roomOfLogits = 1 << 26

  /// - Throws: ``InferError`` when the model does not continue texts.
  init(_ model: RunnableModel, threads: Int? = nil) throws {
    form = try StepForm(model)
    session = try model.session(returning: [form.logits], threads: threads)
  }

  /// Calls `body` for each token of each target, in order.
  func callAsFunction(
    _ rows: [ForcedTarget],
    _ body: (_ row: Int, _ position: Int, _ logits: ArraySlice<Float>) throws -> Void
  ) throws {
    let judged = rows.indices.filter { !rows[$0].target.isEmpty }
    var start = 0
    while start < judged.count {
      var end = start
      var longest = 0
      while end < judged.count {
        let length = try sequence(rows[judged[end]]).tokens.count
        let most = max(longest, length)
        guard
          end == start
            || (end - start + 1) * most * form.vocabularySize <= TeacherForcing.roomOfLogits
        else { break }
        (longest, end) = (most, end + 1)
      }
      try run(judged[start..<end].map { ($0, rows[$0]) }, body)
      start = end
    }
  }

  private func sequence(_ row: ForcedTarget) throws -> StepRow {
    var sequence = try form.row(row.prompt)
    for token in row.target.dropLast() { sequence.append(token) }
    return sequence
  }

  private func run(
    _ rows: [(index: Int, row: ForcedTarget)],
    _ body: (_ row: Int, _ position: Int, _ logits: ArraySlice<Float>) throws -> Void
  ) throws {
    let sequences = try rows.map { try sequence($0.row) }
    guard let logits = try session.run(form.inputs(sequences))[form.logits] else { return }
    for (place, (index, row)) in rows.enumerated() {
      let first = sequences[place].tokens.count - row.target.count
      for position in row.target.indices {
        try body(index, position, logits.vector(place, first + position))
      }
    }
  }
}

extension StepForm {
  /// - Throws: ``InferError`` when a prompt and its target are longer than the model's positions.
  func check(_ row: ForcedTarget) throws(InferError) {
    let count =
      (isEncoderDecoder ? 0 : row.prompt.tokens.count) + row.prompt.targets.count
      + max(row.target.count - 1, 0)
    if let limit, count > limit {
      throw InferError(
        .input, "text", "has \(count) tokens with its target; the limit is \(limit)",
        hint: "shorten it")
    }
  }

  /// Sequences as the graph's inputs, padded on the right.
  func inputs(_ rows: [StepRow]) -> [String: NDArray<Float>] {
    let targets = TextInputs(rows: rows.map { ($0.tokens, $0.segments) }, padding: padding).arrays
    guard isEncoderDecoder else { return targets }
    var inputs = TextInputs(
      rows: rows.map { ($0.source, [Int32](repeating: 0, count: $0.source.count)) }
    ).arrays
    inputs[Input.decoderTokens] = targets[Input.tokens]
    inputs[Input.decoderMask] = targets[Input.mask]
    return inputs
  }
}
