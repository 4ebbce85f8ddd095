// Ops that only passes make: each stands for two or three others and is defined by them.

/// A sum and its layer normalization: `(x, residual, gamma, beta) → LayerNorm(Add(x, residual))`.
public struct AddNorm: Op {
  public let epsilon: Double

  public init(epsilon: Double) { self.epsilon = epsilon }
  public var name: String { "add_norm" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 4 else { throw ShapeMismatch("x, a residual, gamma and beta") }
    let sum = try Add().shape(Array(operands[..<2]))
    return try LayerNorm(epsilon: epsilon).shape([sum] + operands[2...])
  }
}

/// Attention in one step: scores, their masked softmax, and the values' weighted sums:
/// `(query, key, value [batch, length, heads·size], mask [batch, 1 or rows, columns])
/// → [batch, rows, heads·size]`.
///
/// The array of all scores, `[batch, heads, rows, columns]`, is never made.
public struct Attention: Op {
  public let heads: Int
  public let scale: Double

  public init(heads: Int, scale: Double) {
    self.heads = heads
    self.scale = scale
  }

  public var name: String { "attention" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 4 else { throw ShapeMismatch("a query, a key, a value and a mask") }
    let scores = try AttentionScores(heads: heads, scale: scale).shape(Array(operands[..<2]))
    let weights = try MaskedSoftmax().shape([scores, operands[3]])
    return try AttentionContext().shape([weights, operands[2]])
  }
}
