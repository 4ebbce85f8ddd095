/// Vectors for texts.
public struct Encode: TextTask {
  /// How a text's vector is made of its tokens' hidden states.
  public enum Pooling: String, Sendable, CaseIterable {
    /// The hidden state of `[CLS]`.
    case cls
    /// The mean over all tokens, `[CLS]` and `[SEP]` included.
    case mean
    /// The pooler's output.
    case pooler
  }

  /// One text's vector, `[hidden]`.
  public struct Answer: TaskAnswer, Equatable {
    public var vector: [Float]
    /// Vectors are compared as numbers, not as decisions.
    public var decisions: [Decision] { [] }
  }

  public let prepare: @Sendable (TaskInput) throws -> Encoding
  private let session: Session
  private let pooling: Pooling
  private let padding: Int32?
  private var value: String { pooling == .pooler ? "pooler_output" : "last_hidden_state" }

  /// - Throws: ``InferError`` when the pooler is asked for and the model has none.
  public init(
    _ model: RunnableModel, _ tokenization: Tokenization, pooling: Pooling, threads: Int? = nil
  ) throws {
    guard pooling != .pooler || model.outputNames.contains("pooler_output") else {
      throw InferError(
        .unsupported, "encode", "the model has no pooler", hint: "use --pooling cls or mean")
    }
    self.pooling = pooling
    padding = tokenization.tokenizer.special.padding
    prepare = { try tokenization.encoding($0.text, pair: $0.pair) }
    let name = pooling == .pooler ? "pooler_output" : "last_hidden_state"
    session = try model.session(returning: [name], threads: threads)
  }

  public func length(_ prepared: Encoding) -> Int { prepared.count }

  public func answers(_ batch: [Encoding]) throws -> [Answer] {
    guard let states = try session.run(TextInputs(batch, padding: padding).arrays)[value] else {
      return []
    }
    let width = states.shape.last ?? 0
    guard pooling != .pooler else {
      return batch.indices.map {
        Answer(vector: Array(states.values[($0 * width)..<(($0 + 1) * width)]))
      }
    }
    let length = states.shape[1]
    return batch.enumerated().map { row, encoding in
      let count = pooling == .cls ? 1 : encoding.count
      return Answer(
        vector: (0..<width).map { column in
          var sum = 0.0
          for position in 0..<count {
            sum += Double(states.values[(row * length + position) * width + column])
          }
          return Float(sum / Double(count))
        })
    }
  }
}
