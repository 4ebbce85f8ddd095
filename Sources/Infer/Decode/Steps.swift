import Checkpoint

/// Which models can continue a text token by token, and what runs them.
public enum Steps {
  /// What continues texts with a model.
  ///
  /// - Parameters:
  ///   - cached: whether keys and values of earlier positions are kept, where the model allows it;
  ///     else the whole sequence is run again for each token.
  ///   - threads: all processors by default.
  /// - Throws: ``InferError`` when the model cannot generate, saying why; what reading weights
  ///   throws.
  public static func model(
    for model: RunnableModel, cached: Bool = true, threads: Int? = nil
  ) throws -> any StepModel {
    cached && CachedSteps.obstacle(model) == nil
      ? try CachedSteps(model, threads: threads) : try UncachedSteps(model, threads: threads)
  }
}

/// How a model's logits of the next token are asked for.
struct StepForm {
  /// The output that holds them.
  let logits: String
  let vocabularySize: Int
  /// Rows of the token table.
  private let tokens: Int
  let isEncoderDecoder: Bool
  let mask: AttentionMaskKind
  /// See ``StepModel/limit``.
  let limit: Int?
  /// What stands in positions that hold no token.
  let padding: Int32

  /// - Throws: ``InferError`` when the model cannot generate.
  init(_ model: RunnableModel) throws {
    let c = model.architecture.configuration
    let structure = try ArchitectureRegistry.named(model.architecture.family).structure
    func refusal(_ reason: String, hint: String? = nil) -> InferError {
      InferError(.unsupported, "generation", reason, hint: hint)
    }
    let outputs = Set(model.outputNames)
    guard let logits = ["lm_logits", "mlm_logits"].first(where: outputs.contains),
      let value = model.graph.value(named: logits),
      case .fixed(let width)? = model.graph[value].shape.last
    else {
      throw refusal(
        "the model has no head that predicts tokens (LM or MLM)",
        hint: "it answers \(model.outputNames.joined(separator: ", "))")
    }
    if structure.encoderDecoder {
      guard c.hasEncoder, c.hasDecoder else {
        throw refusal("the model is one half of an encoder and a decoder; generation needs both")
      }
    } else if c.mask == .bidirectional {
      throw refusal(
        "every position sees those behind it, so the model cannot continue a text",
        hint: "--mask unilm lets a target see its source and what stands before it; "
          + "--mask causal all see what stands before them")
    }
    guard c.conditionSize == 0 else {
      throw refusal("the model's norms depend on a condition, which generation does not give")
    }
    self.logits = logits
    vocabularySize = width
    tokens = c.vocabularySize
    isEncoderDecoder = structure.encoderDecoder
    mask = structure.encoderDecoder ? .causal : c.mask
    switch structure.position {
    case .absolute:
      let (square, overflow) = c.positions.multipliedReportingOverflow(by: c.positions)
      limit = c.hierarchicalPosition == nil ? c.positions : overflow ? .max : square
    case .absoluteAfterPadding: limit = c.positions - c.paddingToken - 1
    case .none, .relative, .rotary, .buckets: limit = nil
    }
    padding = structure.position == .absoluteAfterPadding ? Int32(clamping: c.paddingToken) : 0
  }

  /// The row that a prompt begins.
  ///
  /// - Throws: ``InferError`` when there is nothing to begin with, or more than there is room for.
  func row(_ prompt: Prompt) throws(InferError) -> StepRow {
    guard prompt.tokens.count == prompt.segments.count else {
      throw InferError(
        .input, "prompt",
        "has \(prompt.tokens.count) tokens and \(prompt.segments.count) segments")
    }
    guard !(isEncoderDecoder ? prompt.targets : prompt.tokens + prompt.targets).isEmpty,
      !isEncoderDecoder || !prompt.tokens.isEmpty
    else {
      throw InferError(
        .input, "prompt", "has no token",
        hint: isEncoderDecoder
          ? "a decoder begins with a start token, and its encoder needs a source" : nil)
    }
    guard mask != .unilm || prompt.targetSegment > 0 else {
      throw InferError(
        .input, "prompt", "its targets have segment \(prompt.targetSegment); expected 1",
        hint: "under the UniLM mask segment 0 is the source, which sees all of itself")
    }
    var row = StepRow(
      source: isEncoderDecoder ? prompt.tokens : [], targetSegment: prompt.targetSegment)
    if !isEncoderDecoder { (row.tokens, row.segments) = (prompt.tokens, prompt.segments) }
    for token in prompt.targets { row.append(token) }
    try check(row, row.source + row.tokens)
    return row
  }

  /// The rows that continue others.
  ///
  /// - Throws: ``InferError`` when a parent does not exist or has no room left.
  func rows(
    _ rows: [StepRow], _ parents: [Int], _ tokens: [Int32]
  ) throws(InferError) -> [StepRow] {
    guard !parents.isEmpty, parents.count == tokens.count else {
      throw InferError(
        .input, "rows", "\(parents.count) rows are to be continued by \(tokens.count) tokens")
    }
    var result: [StepRow] = []
    for (parent, token) in zip(parents, tokens) {
      guard rows.indices ~= parent else {
        throw InferError(.input, "rows", "there is no row \(parent) among \(rows.count)")
      }
      var row = rows[parent]
      row.append(token)
      try check(row, [token])
      result.append(row)
    }
    return result
  }

  /// Checks what a row holds before anything is kept of it.
  private func check(_ row: StepRow, _ new: [Int32]) throws(InferError) {
    if let token = new.first(where: { !(0..<tokens ~= Int($0)) }) {
      throw InferError(
        .input, "tokens", "hold \(token); the model has ids 0 to \(tokens - 1)")
    }
    guard let limit, row.tokens.count > limit else { return }
    throw InferError(
      .input, "length", "\(row.tokens.count) tokens, but the model has \(limit) positions",
      hint: "shorten the prompt, or generate fewer tokens")
  }
}

/// A sequence in the making.
struct StepRow {
  /// What an encoder reads.
  var source: [Int32] = []
  /// The sequence that grows.
  var tokens: [Int32] = []
  var segments: [Int32] = []
  var targetSegment: Int32 = 0

  mutating func append(_ token: Int32) {
    tokens.append(token)
    segments.append(targetSegment)
  }
}
