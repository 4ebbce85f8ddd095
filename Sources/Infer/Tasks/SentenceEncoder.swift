import Glibc

/// One vector for each text, out of a model's hidden states.
public struct SentenceEncoder {
  /// How a text's vector is made of its tokens' hidden states.
  public enum Pooling: String, Sendable, CaseIterable {
    /// The hidden state of `[CLS]`.
    case cls
    /// The mean over all tokens, `[CLS]` and `[SEP]` included.
    case mean
    /// The hidden state of the last token.
    case last
    /// The mean over all tokens of the first and of the last layer, averaged, as BERT-whitening
    /// (kexue.fm/archives/8069) takes it.
    case firstLast = "first-last-avg"
    /// The pooler's output.
    case pooler
  }

  private let session: Session
  private let pooling: Pooling
  private let isNormalized: Bool
  private let padding: Int32?
  /// The values that are pooled, and averaged where there are two.
  private let values: [String]

  /// - Parameters:
  ///   - isNormalized: whether vectors are divided by their length (L2).
  ///   - padding: the id that fills up shorter rows.
  /// - Throws: ``InferError`` when the model has no value that is to be pooled.
  public init(
    _ model: RunnableModel, pooling: Pooling, isNormalized: Bool = false, padding: Int32?,
    threads: Int? = nil
  ) throws {
    guard pooling != .pooler || model.outputNames.contains("pooler_output") else {
      throw InferError(
        .unsupported, "pooler", "the model has none",
        hint: "use --pooling cls, mean, last or first-last-avg")
    }
    // The encoder's where there are two halves.
    let states = ["encoder_last_hidden_state", "last_hidden_state"]
    guard let last = states.first(where: model.outputNames.contains) else {
      throw InferError(.unsupported, states[1], "the model has no hidden states to pool")
    }
    let isHalf = last == states[0]
    let parts = ["output", "feed_forward.norm", "attention.norm"]
    let first = parts.lazy.map { (isHalf ? "encoder." : "") + "layers.0." + $0 }
      .first { model.graph.value(named: $0) != nil }
    values =
      switch pooling {
      case .pooler: ["pooler_output"]
      case .firstLast: [first ?? last, last]
      default: [last]
      }
    self.pooling = pooling
    self.isNormalized = isNormalized
    self.padding = padding
    session = try model.session(returning: values, threads: threads)
  }

  /// The vectors of a batch, in its order, `[hidden]` each.
  public func vectors(_ batch: [Encoding]) throws -> [[Float]] {
    let results = try session.run(TextInputs(batch, padding: padding).arrays)
    let states = values.compactMap { results[$0] }
    return batch.indices.map { row in
      let pooled = states.map { pool($0, row: row, count: batch[row].count) }
      var vector = pooled.first ?? []
      for other in pooled.dropFirst() {
        for column in vector.indices { vector[column] += other[column] }
      }
      var scale = 1 / Double(max(pooled.count, 1))
      if isNormalized {
        let length = vector.reduce(0) { $0 + $1 * $1 }.squareRoot()
        scale = length > 0 ? 1 / length : 1
      }
      return vector.map { Float($0 * scale) }
    }
  }

  /// A row's vector, in Float64.
  private func pool(_ states: NDArray<Float>, row: Int, count: Int) -> [Double] {
    let width = states.shape.last ?? 0
    let length = states.shape.count > 2 ? states.shape[1] : 1
    let places: Range<Int> =
      switch pooling {
      case .cls, .pooler: 0..<1
      case .mean, .firstLast: 0..<count
      case .last: (count - 1)..<count
      }
    var sum = [Double](repeating: 0, count: width)
    for place in places {
      let start = (row * length + place) * width
      for column in 0..<width { sum[column] += Double(states.values[start + column]) }
    }
    return sum.map { $0 / Double(places.count) }
  }
}
