import Checkpoint

/// What a masked language model puts in the place of `[MASK]`.
public final class FillMask {
  /// The answers for one text.
  public struct Answer: Sendable, Equatable {
    public var text: String
    public var masks: [Mask]
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

  private let session: Session
  private let tokenization: Tokenization
  private let mask: Int32
  private static let logits = "mlm_logits"

  /// - Throws: ``InferError`` when the model has no MLM head or the vocabulary no `[MASK]`.
  public init(
    _ model: RunnableModel, _ tokenization: Tokenization, threads: Int? = nil
  ) throws {
    guard model.outputNames.contains(FillMask.logits) else {
      throw InferError(.unsupported, "fill-mask", "the model has no MLM head")
    }
    guard let mask = tokenization.wordPiece.maskID else {
      throw InferError(.input, "[MASK]", "is not in the vocabulary")
    }
    session = try model.session(returning: [FillMask.logits], threads: threads)
    self.tokenization = tokenization
    self.mask = mask
  }

  /// The `count` likeliest tokens for every `[MASK]` of every text.
  public func answers(_ texts: [String], count: Int) throws -> [Answer] {
    let rows = try tokenization.rows(texts, keeping: mask)
    guard !rows.isEmpty,
      let logits = try session.run(TextInputs(rows: rows).arrays)[FillMask.logits]
    else { return [] }
    let (length, width) = (logits.shape[1], logits.shape[2])
    return texts.indices.map { row in
      let positions = rows[row].tokens.indices.filter { rows[row].tokens[$0] == mask }
      return Answer(
        text: texts[row],
        masks: positions.map { position in
          let start = (row * length + position) * width
          return Mask(
            position: position,
            candidates: best(count, of: logits.values[start..<(start + width)]))
        })
    }
  }

  /// The softmax of the logits, the largest first; equal ones in the order of their ids.
  private func best(_ count: Int, of logits: ArraySlice<Float>) -> [Candidate] {
    let largest = Double(logits.max() ?? 0)
    let total = logits.reduce(0.0) { $0 + Double.exp(Double($1) - largest) }
    let order = logits.indices.sorted { (-logits[$0], $0) < (-logits[$1], $1) }
    return order.prefix(count).map { index in
      let id = Int32(index - logits.startIndex)
      return Candidate(
        token: tokenization.wordPiece.vocabulary.token(of: id) ?? "[\(id)]", id: id,
        probability: Float(Double.exp(Double(logits[index]) - largest) / total))
    }
  }
}
