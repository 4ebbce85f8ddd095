public import Checkpoint

/// Which positions may look at which, from the padding mask and the segments:
/// `(mask [batch, length], segments [batch, length]?) → [batch, rows, length]`, 1 for visible.
///
/// `rows` is 1 for bidirectional attention, where all positions see the same, else `length`.
/// Causal: position j sees k ≤ j. UniLM (arXiv 1905.03197): j sees k when the running sum of
/// segments at k is at most that at j.
public struct AttentionMask: Op {
  public let kind: AttentionMaskKind

  public init(_ kind: AttentionMaskKind) { self.kind = kind }
  public var name: String { "attention_mask" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == (kind == .unilm ? 2 : 1), operands.allSatisfy({ $0.count == 2 }) else {
      throw ShapeMismatch("a mask [batch, length], and segments for UniLM")
    }
    let rows = kind == .bidirectional ? Dimension.fixed(1) : operands[0][1]
    return [operands[0][0], rows, operands[0][1]]
  }
}

/// Scaled products of queries and keys, head by head:
/// `(query [batch, length, heads·size], key …) → [batch, heads, length, length]`.
public struct AttentionScores: Op {
  public let heads: Int
  public let scale: Double

  public init(heads: Int, scale: Double) {
    self.heads = heads
    self.scale = scale
  }

  public var name: String { "attention_scores" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2, operands[0].count == 3, operands[1].count == 3,
      operands[0][2] == operands[1][2], case .fixed(let width) = operands[0][2],
      heads > 0, width % heads == 0
    else { throw ShapeMismatch("query and key of the same width, a multiple of \(heads) heads") }
    return [operands[0][0], .fixed(heads), operands[0][1], operands[1][1]]
  }
}

/// How attention's scores become weights; a configuration says which.
public typealias Normalization = Configuration.Normalization

/// A normalization over the visible positions:
/// `(scores [batch, heads, rows, columns], mask [batch, 1 or rows, columns]) → weights`.
///
/// By a softmax, a row that sees nothing weighs all positions alike, as the frameworks' additive
/// masks do; by `squaredRelu` it weighs none.
public struct MaskedSoftmax: Op {
  public let normalization: Normalization

  public init(normalization: Normalization = .softmax) { self.normalization = normalization }
  public var name: String { "masked_softmax" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2, operands[0].count == 4, operands[1].count == 3,
      operands[1][2] == operands[0][3],
      operands[1][1] == .fixed(1) || operands[1][1] == operands[0][2]
    else { throw ShapeMismatch("scores [batch, heads, rows, columns] and a mask that fits them") }
    return operands[0]
  }
}

/// Sums of values weighted by attention, heads side by side:
/// `(weights [batch, heads, rows, columns], value [batch, columns, heads·size])
/// → [batch, rows, heads·size]`.
public struct AttentionContext: Op {
  public init() {}
  public var name: String { "attention_context" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2, operands[0].count == 4, operands[1].count == 3,
      operands[1][1] == operands[0][3], case .fixed(let heads) = operands[0][1],
      case .fixed(let width) = operands[1][2], heads > 0, width % heads == 0
    else { throw ShapeMismatch("weights [batch, heads, …] and a value of heads·size") }
    return [operands[0][0], operands[0][2], operands[1][2]]
  }
}

/// Mixes heads (arXiv 2003.02436): `(x [batch, heads, rows, columns], kernel [heads, heads],
/// bias [heads]?) → the same shape`, `y[e] = Σ_h x[h] · kernel[h, e] + bias[e]`.
public struct TalkingHeads: Op {
  public init() {}
  public var name: String { "talking_heads" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard (2...3).contains(operands.count), operands[0].count == 4,
      operands[1] == [operands[0][1], operands[0][1]],
      operands.count == 2 || operands[2] == [operands[0][1]]
    else {
      throw ShapeMismatch(
        "x [batch, heads, rows, columns], a kernel [heads, heads] and at most a bias [heads]")
    }
    return operands[0]
  }
}
