public import Checkpoint

/// Makes a longer table of positions by hierarchical decomposition.
///
/// Algebra: of n rows p, with u_i = (p_i − α p_0) / (1 − α), position i·n + j gets
/// α u_i + (1 − α) u_j = p_j + α/(1 − α) · (p_i − p_0). Rows below n (i = 0) keep their bits. What
/// bert4keras computes with `hierarchical_position` at every step stands in the table afterwards, so
/// that any framework can load it.
///
/// N counts positions, which is tokens of the longest text. RoBERTa's table has, before them, a row for
/// each id up to its padding token's; they stay, and its `max_position_embeddings` becomes
/// N + pad_token_id + 1. A model that decomposes its positions already (with its own α) gets a plain
/// table; beyond N it reaches no more.
///
/// Preconditions: a table of positions; n < N ≤ n²; 0 < α < 1. Source: kexue.fm/archives/7947,
/// `PositionEmbedding` of bert4keras' `layers.py`.
public struct ExtendPositions: ModelTransform {
  public init() {}

  public var name: String { "extend-positions" }
  public var summary: String { "a longer table of positions, by hierarchical decomposition" }
  public var contract: Correspondence.Contract { .exact }
  public var precondition: String { "a table of n positions; n < N ≤ n²" }
  public var value: TransformValue { .required("N") }
  public var options: [TransformOption] {
    [
      TransformOption(
        "alpha", "NUMBER",
        "the share of the coarse row, between 0 and 1; 0.4, or what the model decomposes with")
    ]
  }

  public func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    var result = model
    let architecture = model.architecture
    let c = architecture.configuration
    let wanted = try arguments.count()
    let given = try arguments.number("alpha", in: 0...1)
    if given == 0 || given == 1 {
      throw arguments.wrong("alpha is \(given == 0 ? 0 : 1); expected a number between 0 and 1")
    }
    // Rows before the first position's.
    let first: Int
    switch architecture.structure.position {
    case .absolute: first = 0
    case .absoluteAfterPadding: first = c.paddingToken + 1
    case .relative:
      throw refusal("\(architecture.family) has a table of distances, not of positions")
    case .rotary:
      throw refusal("\(architecture.family) rotates by any position and has no table to extend")
    case .buckets:
      throw refusal("\(architecture.family) has biases by distance, and no table of positions")
    case .none: throw refusal("\(architecture.family) has no positions")
    }
    let own = c.hierarchicalPosition
    if let own, let given, own != given {
      throw arguments.wrong(
        "alpha is \(given); the model decomposes its positions with \(own), which is what it was "
          + "trained with")
    }
    let count = c.positions - first
    guard wanted > count else {
      throw arguments.wrong("the table has \(count) positions already")
    }
    let (most, overflows) = max(count, 0).multipliedReportingOverflow(by: max(count, 0))
    guard overflows || wanted <= most else {
      throw refusal(
        "\(count) positions, each with each, tell \(most) apart, not \(wanted)",
        hint: "at most extend-positions=\(most)")
    }
    let alpha = own ?? given ?? 0.4
    let share = alpha / (1 - alpha)
    let rows = (0..<(first + wanted)).map { row -> [Pick] in
      let position = row - first
      guard position >= count else { return [Pick(row)] }
      let coarse = first + position / count
      return [
        Pick(first + position % count), Pick(coarse, times: share), Pick(first, times: -share),
      ]
    }
    try result.rewrite(["embeddings.position"]) { (weight) throws(CheckpointError) in
      weight.mixingRows(rows, "\(wanted) of \(count) positions, alpha \(alpha)")
    }
    result.architecture.configuration.positions = first + wanted
    result.architecture.configuration.hierarchicalPosition = nil
    return ModelChange(
      result,
      Correspondence(
        contract: own == nil ? .exact : .rounding, rewritten: ["embeddings.position"],
        claims: [.decomposed(alpha: alpha, first: first)]))
  }
}
