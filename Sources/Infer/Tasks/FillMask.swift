import Checkpoint
import Glibc

/// What a masked language model puts in the place of `[MASK]`.
public struct FillMask: TextTask {
  /// The answers for one text.
  public struct Answer: TaskAnswer, Equatable {
    public var masks: [Mask]

    /// The likeliest token of each mask.
    public var decisions: [Decision] {
      masks.enumerated().map { index, mask in
        Decision("mask \(index + 1)", mask.candidates.first?.token ?? "", margin: mask.margin)
      }
    }
  }

  /// One `[MASK]` with its best tokens, the likeliest first.
  public struct Mask: Sendable, Equatable {
    /// The place among the tokens, `[CLS]` being 0.
    public var position: Int
    public var candidates: [Candidate]
    /// How far the second is behind the first, in log-probability.
    public var margin: Double?
  }

  public struct Candidate: Sendable, Equatable {
    public var token: String
    public var id: Int32
    /// Among all tokens of the vocabulary, also where only some are wanted.
    public var probability: Float
  }

  public let prepare: @Sendable (TaskInput) throws -> Encoding
  /// Logits are as wide as the vocabulary: fewer tokens at a time keep them in 64 MB.
  public let batchTokens: Int
  private let session: Session
  private let tokenization: Tokenization
  private let mask: Int32
  private let count: Int
  private let targets: [Int32]?
  private static let logits = "mlm_logits"

  /// - Parameters:
  ///   - count: how many candidates each mask gets.
  ///   - targets: the only tokens that are candidates, as the vocabulary writes them.
  /// - Throws: ``InferError`` when the model has no MLM head, or the vocabulary no `[MASK]` or not all of
  ///   the targets.
  public init(
    _ model: RunnableModel, _ tokenization: Tokenization, count: Int, targets: [String]? = nil,
    threads: Int? = nil
  ) throws {
    guard model.outputNames.contains(FillMask.logits) else {
      throw InferError(.unsupported, "fill-mask", "the model has no MLM head")
    }
    guard let mask = tokenization.tokenizer.special.mask else {
      throw InferError(.input, "[MASK]", "is not in the vocabulary")
    }
    var ids: [Int32] = []
    for target in targets ?? [] {
      guard let id = FillMask.id(of: target, tokenization.tokenizer) else {
        throw InferError(.input, "--targets", "\(target) is no token of the vocabulary")
      }
      if !ids.contains(id) { ids.append(id) }
    }
    session = try model.session(returning: [FillMask.logits], threads: threads)
    self.tokenization = tokenization
    self.mask = mask
    self.count = count
    self.targets = targets == nil ? nil : ids
    let width = model.architecture.configuration.vocabularySize
    batchTokens = min(TaskBatch.tokens, max(128, (16 << 20) / max(width, 1)))
    prepare = { try tokenization.encoding($0.text, pair: $0.pair, keeping: mask) }
  }

  /// A token as it is written, or the one piece that a text is.
  private static func id(of text: String, _ tokenizer: any Tokenizer) -> Int32? {
    if let id = tokenizer.id(of: text) { return id }
    let pieces = tokenizer.pieces(text)
    return pieces.count == 1 && pieces[0].id != tokenizer.special.unknown ? pieces[0].id : nil
  }

  public func length(_ prepared: Encoding) -> Int { prepared.count }

  public func answers(_ batch: [Encoding]) throws -> [Answer] {
    // Rows without a mask have nothing to be computed for.
    guard batch.contains(where: { $0.ids.contains(mask) }) else {
      return batch.map { _ in Answer(masks: []) }
    }
    let inputs = TextInputs(batch, padding: tokenization.tokenizer.special.padding)
    guard let logits = try session.run(inputs.arrays)[FillMask.logits] else { return [] }
    return batch.enumerated().map { row, encoding in
      Answer(
        masks: encoding.ids.indices.filter { encoding.ids[$0] == mask }.map { position in
          answer(logits.vector(row, position), at: position)
        })
    }
  }

  /// The softmax of the logits, the largest first; equal ones in the order of their ids.
  private func answer(_ logits: ArraySlice<Float>, at position: Int) -> Mask {
    let total = Logits.logarithmOfSum(logits)
    let best: [(id: Int32, logit: Float)]
    if let targets {
      let found = targets.filter { $0 < logits.count }.map { logits[logits.startIndex + Int($0)] }
      best = found[...].largest(max(count, 2)).map { (targets[$0], found[$0]) }
    } else {
      best = logits.largest(max(count, 2)).map { (Int32($0 - logits.startIndex), logits[$0]) }
    }
    return Mask(
      position: position,
      candidates: best.prefix(count).map { id, logit in
        Candidate(
          token: tokenization.token(id), id: id,
          probability: Float(Double.exp(Double(logit) - total)))
      },
      margin: best.count > 1 ? Double(best[0].logit) - Double(best[1].logit) : nil)
  }
}
