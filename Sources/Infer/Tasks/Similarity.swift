import Glibc

/// How near the vectors of two texts are: their cosine.
public struct Similarity: TextTask {
  /// The vectors of a text, or of the two of a pair.
  public struct Answer: TaskAnswer, Equatable {
    public var vectors: [[Float]]

    /// Of the two vectors; `nil` for a text alone.
    public var cosine: Double? {
      vectors.count == 2 ? Similarity.cosine(vectors[0], vectors[1]) : nil
    }

    public var decisions: [Decision] { [] }
    public var numbers: [Float] { cosine.map { [Float($0)] } ?? vectors.flatMap(\.self) }
  }

  public let prepare: @Sendable (TaskInput) throws -> [Encoding]
  private let encoder: SentenceEncoder

  public init(_ encoder: SentenceEncoder, _ tokenization: Tokenization) {
    self.encoder = encoder
    prepare = { input in
      try ([input.text] + (input.pair.map { [$0] } ?? [])).map { try tokenization.encoding($0) }
    }
  }

  public func length(_ prepared: [Encoding]) -> Int { prepared.map(\.count).max() ?? 0 }

  public func ids(_ prepared: [Encoding]) -> [[Int32]] { prepared.map(\.ids) }

  public var batchTokens: Int { 1024 }

  public func answers(_ batch: [[Encoding]]) throws -> [Answer] {
    var vectors = try encoder.vectors(batch.flatMap(\.self))[...]
    return batch.map { texts in
      defer { vectors = vectors.dropFirst(texts.count) }
      return Answer(vectors: Array(vectors.prefix(texts.count)))
    }
  }

  /// Σab / (‖a‖ ‖b‖); NaN where one is zero.
  public static func cosine(_ a: [Float], _ b: [Float]) -> Double {
    var (dot, first, second) = (0.0, 0.0, 0.0)
    for (x, y) in zip(a, b) {
      dot += Double(x) * Double(y)
      first += Double(x) * Double(x)
      second += Double(y) * Double(y)
    }
    return dot / (first * second).squareRoot()
  }
}
