/// Vectors for texts.
public struct Encode: TextTask {
  /// One text's vector, `[hidden]`.
  public struct Answer: TaskAnswer, Equatable {
    public var vector: [Float]
    /// Vectors are compared as numbers, not as decisions.
    public var decisions: [Decision] { [] }
    public var numbers: [Float] { vector }
  }

  public let prepare: @Sendable (TaskInput) throws -> Encoding
  private let encoder: SentenceEncoder

  public init(_ encoder: SentenceEncoder, _ tokenization: Tokenization) {
    self.encoder = encoder
    prepare = { try tokenization.encoding($0.text, pair: $0.pair) }
  }

  public func length(_ prepared: Encoding) -> Int { prepared.count }

  public func answers(_ batch: [Encoding]) throws -> [Answer] {
    try encoder.vectors(batch).map { Answer(vector: $0) }
  }
}
