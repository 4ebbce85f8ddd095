import Checkpoint

/// What a masked language model puts in the place of `[MASK]`.
public struct FillMask: TextTask {
  /// The answers for one text.
  public struct Answer: TaskAnswer, Equatable {
    public var masks: [Mask]

    /// The likeliest token of each mask.
    public var decisions: [Decision] {
      masks.enumerated().map { index, mask in
        let logarithms = mask.candidates.prefix(2).map { Double.log(Double($0.probability)) }
        return Decision(
          "mask \(index + 1)", mask.candidates.first?.token ?? "",
          margin: logarithms.count == 2 ? logarithms[0] - logarithms[1] : nil)
      }
    }
  }

  /// One `[MASK]` with its best tokens, the likeliest first.
  public struct Mask: Sendable, Equatable {
    /// The place among the tokens, `[CLS]` being 0.
    public var position: Int
    public var candidates: [Candidate]
  }

  public struct Candidate: Sendable, Equatable {
    public var token: String
    public var id: Int32
    public var probability: Float
  }

  public let prepare: @Sendable (TaskInput) throws -> Encoding
  private let session: Session
  private let tokenization: Tokenization
  private let mask: Int32
  private let count: Int
  private static let logits = "mlm_logits"

  /// - Parameter count: how many candidates each mask gets.
  /// - Throws: ``InferError`` when the model has no MLM head or the vocabulary no `[MASK]`.
  public init(
    _ model: RunnableModel, _ tokenization: Tokenization, count: Int, threads: Int? = nil
  ) throws {
    guard model.outputNames.contains(FillMask.logits) else {
      throw InferError(.unsupported, "fill-mask", "the model has no MLM head")
    }
    guard let mask = tokenization.tokenizer.special.mask else {
      throw InferError(.input, "[MASK]", "is not in the vocabulary")
    }
    session = try model.session(returning: [FillMask.logits], threads: threads)
    self.tokenization = tokenization
    self.mask = mask
    self.count = count
    prepare = { try tokenization.encoding($0.text, pair: $0.pair, keeping: mask) }
  }

  public func length(_ prepared: Encoding) -> Int { prepared.count }

  public func answers(_ batch: [Encoding]) throws -> [Answer] {
    let inputs = TextInputs(batch, padding: tokenization.tokenizer.special.padding)
    guard let logits = try session.run(inputs.arrays)[FillMask.logits] else { return [] }
    let (length, width) = (logits.shape[1], logits.shape[2])
    return batch.enumerated().map { row, encoding in
      Answer(
        masks: encoding.ids.indices.filter { encoding.ids[$0] == mask }.map { position in
          let start = (row * length + position) * width
          return Mask(position: position, candidates: best(logits.values[start..<(start + width)]))
        })
    }
  }

  /// The softmax of the logits, the largest first; equal ones in the order of their ids.
  private func best(_ logits: ArraySlice<Float>) -> [Candidate] {
    let largest = Double(logits.max() ?? 0)
    let total = logits.reduce(0.0) { $0 + Double.exp(Double($1) - largest) }
    let order = logits.indices.sorted { (-logits[$0], $0) < (-logits[$1], $1) }
    return order.prefix(count).map { index in
      let id = Int32(index - logits.startIndex)
      return Candidate(
        token: tokenization.token(id), id: id,
        probability: Float(Double.exp(Double(logits[index]) - largest) / total))
    }
  }
}
