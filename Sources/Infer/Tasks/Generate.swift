import Checkpoint

/// Text that a model writes: what follows a text, or answers it.
public struct Generate: TextTask {
  /// The answers to one text.
  public struct Answer: TaskAnswer, Equatable {
    /// The beams, the best first, or the samples in order.
    public var sequences: [Sequence]

    public var decisions: [Decision] {
      sequences.enumerated().map { index, sequence in
        Decision(
          "answer \(index + 1)", sequence.ids.map(String.init).joined(separator: " "),
          margin: sequence.margin)
      }
    }
  }

  public struct Sequence: Sendable, Equatable {
    /// The new tokens, with the end that finished it.
    public var ids: [Int32]
    /// The new text, without the end.
    public var text: String
    /// See ``Generated/score``.
    public var score: Double
    /// Whether it came to an end by itself.
    public var isFinished: Bool
    public var margin: Double?
  }

  public let prepare: @Sendable (TaskInput) throws -> DecodingRequest
  private let steps: any StepModel
  private let decoder: Decoder
  private let prompting: Prompting

  /// - Parameter cached: whether keys and values of earlier positions are kept.
  /// - Throws: ``InferError`` when the model cannot generate.
  public init(
    _ model: RunnableModel, _ prompting: Prompting, _ decoding: Decoding, cached: Bool = true,
    threads: Int? = nil
  ) throws {
    let steps = try Steps.model(for: model, cached: cached, threads: threads)
    let limit = steps.limit
    self.steps = steps
    self.prompting = prompting
    decoder = Decoder(decoding)
    prepare = { try prompting.request($0.text, number: $0.number, limit: limit) }
  }

  public func length(_ prepared: DecodingRequest) -> Int {
    prepared.prompt.tokens.count + prepared.prompt.targets.count
  }

  public func answers(_ batch: [DecodingRequest]) throws -> [Answer] {
    try decoder(batch, on: steps).map { found in
      Answer(
        sequences: found.map { generated in
          Sequence(
            ids: generated.ids, text: prompting.text(of: generated.ids), score: generated.score,
            isFinished: generated.isFinished, margin: generated.margin)
        })
    }
  }
}
