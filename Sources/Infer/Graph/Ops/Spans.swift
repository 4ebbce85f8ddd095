// Scores of spans, from a first to a last token: GlobalPointer (kexue.fm/archives/8373) and
// EfficientGlobalPointer (kexue.fm/archives/8877).

/// One head's scores and each head's bias of first and last tokens:
/// `(scores [batch, 1, length, length], bias [batch, length, 2·heads])
/// → [batch, heads, length, length]`.
///
/// `scores[b, 0, m, n] + bias[b, n, 2h] / 2 + bias[b, m, 2h + 1] / 2`.
public struct SpanScores: Op {
  public let heads: Int

  public init(heads: Int) { self.heads = heads }
  public var name: String { "span_scores" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2, operands[0].count == 4, operands[0][1] == .fixed(1), heads > 0,
      operands[0][2] == operands[0][3],
      operands[1] == [operands[0][0], operands[0][2], .fixed(2 * heads)]
    else {
      throw ShapeMismatch(
        "scores [batch, 1, length, length] and a bias [batch, length, \(2 * heads)]")
    }
    return [operands[0][0], .fixed(heads), operands[0][2], operands[0][3]]
  }
}

/// −infinity for what is no span: where the row or the column is padding, and with `isTriangular`
/// where the column comes before the row:
/// `(scores [batch, heads, length, length], mask [batch, length]) → the same shape`.
public struct SpanMask: Op {
  public let isTriangular: Bool

  public init(isTriangular: Bool) { self.isTriangular = isTriangular }
  public var name: String { "span_mask" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2, operands[0].count == 4, operands[0][2] == operands[0][3],
      operands[1] == [operands[0][0], operands[0][2]]
    else {
      throw ShapeMismatch("scores [batch, heads, length, length] and a mask [batch, length]")
    }
    return operands[0]
  }
}
