// Attention that knows how far apart two positions are. k − j is the distance from row j to
// column k.

/// A query's products with embeddings of distances (arXiv 1803.02155, arXiv 1909.00204):
/// `(query [batch, length, heads·size], table [2r+1, size]) → [batch, heads, length, length]`.
///
/// `scale · Σ_d query[b, j, h, d] · table[clip(k − j, −r, r) + r, d]`: added to scaled scores.
///
/// Queries that stand elsewhere than their keys' first positions say where:
/// `(query, table, places [batch, length], key-like [batch, columns, …])
/// → [batch, heads, length, columns]`, with `places[b, j]` for j.
public struct RelativeScores: Op {
  public let heads: Int
  public let scale: Double

  public init(heads: Int, scale: Double) {
    self.heads = heads
    self.scale = scale
  }

  public var name: String { "relative_scores" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2 || operands.count == 4, operands[0].count == 3,
      operands[1].count == 2, heads > 0,
      case .fixed(let width) = operands[0][2], case .fixed(let size) = operands[1][1],
      case .fixed(let rows) = operands[1][0], width == heads * size, rows % 2 == 1,
      operands.count == 2 || operands[2] == Array(operands[0][..<2]) && operands[3].count >= 2
    else {
      throw ShapeMismatch(
        "a query [batch, length, \(heads)·size], a table [2r + 1, size], and both or none of "
          + "places [batch, length] and an array [batch, columns, …]")
    }
    return [
      operands[0][0], .fixed(heads), operands[0][1],
      operands.count == 2 ? operands[0][1] : operands[3][1],
    ]
  }
}

/// Embeddings of distances weighted by attention (arXiv 1803.02155), added to the context:
/// `(weights [batch, heads, length, length], table [2r+1, size]) → [batch, length, heads·size]`.
///
/// `Σ_k weights[b, h, j, k] · table[clip(k − j, −r, r) + r, d]`. With a third operand, `places
/// [batch, length]`, weights are `[batch, heads, length, columns]`, and `places[b, j]` stands for j.
public struct RelativeContext: Op {
  public init() {}
  public var name: String { "relative_context" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2 || operands.count == 3, operands[0].count == 4,
      operands.count == 2
        ? operands[0][2] == operands[0][3] : operands[2] == [operands[0][0], operands[0][2]],
      operands[1].count == 2, case .fixed(let heads) = operands[0][1],
      case .fixed(let rows) = operands[1][0], case .fixed(let size) = operands[1][1],
      rows % 2 == 1
    else {
      throw ShapeMismatch(
        "weights [batch, heads, length, length] and a table [2r + 1, size], or weights "
          + "[batch, heads, length, columns], a table and places [batch, length]")
    }
    return [operands[0][0], operands[0][2], .fixed(heads * size)]
  }
}

/// T5's bias for each head and bucket of distances (arXiv 1910.10683), added to scores:
/// `(table [buckets, heads], query-like [batch, rows, …], key-like [batch, columns, …])
/// → [heads, rows, columns]`.
///
/// With a fourth operand, `places [batch, rows]`, rows stand there instead of at 0, 1, 2, …, and the
/// result is `[batch, heads, rows, columns]`.
public struct RelativeBias: Op {
  public let isBidirectional: Bool
  public let maxDistance: Int

  public init(isBidirectional: Bool, maxDistance: Int) {
    self.isBidirectional = isBidirectional
    self.maxDistance = maxDistance
  }

  public var name: String { "relative_bias" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 3 || operands.count == 4, operands[0].count == 2,
      operands[1].count >= 2, operands.count == 3 || operands[3] == Array(operands[1][..<2]),
      operands[2].count >= 2, case .fixed(let buckets) = operands[0][0],
      buckets >= (isBidirectional ? 4 : 2), maxDistance > buckets / (isBidirectional ? 4 : 2)
    else {
      throw ShapeMismatch(
        "a table [buckets, heads] of fewer buckets than the distance \(maxDistance) needs, "
          + "arrays [batch, rows, …] and [batch, columns, …], and at most places [batch, rows]")
    }
    let square = [operands[0][1], operands[1][1], operands[2][1]]
    return operands.count == 3 ? square : [operands[1][0]] + square
  }

  /// The bucket of a distance, column − row.
  ///
  /// Near distances have a bucket each; farther ones share them by their logarithm, up to
  /// `maxDistance`. In one direction everything ahead is in bucket 0; in both, the upper half of the
  /// buckets is for what lies ahead. The logarithm is that of Float32 because the libraries'
  /// is, and a boundary may depend on it.
  func bucket(_ distance: Int, of buckets: Int) -> Int {
    let half = isBidirectional ? buckets / 2 : buckets
    let first = isBidirectional && distance > 0 ? half : 0
    let far = isBidirectional ? abs(distance) : max(-distance, 0)
    let exact = half / 2
    guard far >= exact else { return first + far }
    let position =
      Float.log(Float(far) / Float(exact))
      / Float(Double.log(Double(maxDistance) / Double(exact))) * Float(half - exact)
    return first + min(exact + Int(position), half - 1)
  }
}
