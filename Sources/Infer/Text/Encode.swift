/// Vectors for texts.
public final class Encode {
  /// How a text's vector is made of its tokens' hidden states.
  public enum Pooling: String, Sendable, CaseIterable {
    /// The hidden state of `[CLS]`.
    case cls
    /// The mean over all tokens, `[CLS]` and `[SEP]` included.
    case mean
    /// The pooler's output.
    case pooler
  }

  private let session: Session
  private let tokenization: Tokenization
  private let pooling: Pooling
  private var value: String { pooling == .pooler ? "pooler_output" : "last_hidden_state" }

  /// - Throws: ``InferError`` when the pooler is asked for and the model has none.
  public init(
    _ model: RunnableModel, _ tokenization: Tokenization, pooling: Pooling, threads: Int? = nil
  ) throws {
    guard pooling != .pooler || model.outputNames.contains("pooler_output") else {
      throw InferError(
        .unsupported, "encode", "the model has no pooler", hint: "use --pooling cls or mean")
    }
    self.tokenization = tokenization
    self.pooling = pooling
    let name = pooling == .pooler ? "pooler_output" : "last_hidden_state"
    session = try model.session(returning: [name], threads: threads)
  }

  /// One vector per text: `[texts, hidden]`.
  public func vectors(_ texts: [String]) throws -> NDArray<Float> {
    let rows = try tokenization.rows(texts)
    guard !rows.isEmpty, let states = try session.run(TextInputs(rows: rows).arrays)[value] else {
      return NDArray(zeros: [0, 0])
    }
    guard pooling != .pooler else { return states }
    let (length, width) = (states.shape[1], states.shape[2])
    var vectors = NDArray<Float>(zeros: [texts.count, width])
    for row in texts.indices {
      let count = pooling == .cls ? 1 : rows[row].tokens.count
      for column in 0..<width {
        var sum = 0.0
        for position in 0..<count {
          sum += Double(states.values[(row * length + position) * width + column])
        }
        vectors.values[row * width + column] = Float(sum / Double(count))
      }
    }
    return vectors
  }
}
