/// The table's first rows, one per position:
/// `(table [rows, width], like [batch, length, …]) → [length, width]`.
public struct PositionRows: TableOp {
  public init() {}
  public var name: String { "positions" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2, operands[0].count == 2, operands[1].count >= 2 else {
      throw ShapeMismatch("a table [rows, width] and an array [batch, length, …]")
    }
    return [operands[1][1], operands[0][1]]
  }

  var takesIDs: Bool { false }
  func limit(rows: Int) -> Int { rows }
}

/// Positions beyond a table of P rows, each made of two of its rows (kexue.fm/archives/7947).
///
/// With `e = (table − alpha · table[0]) / (1 − alpha)`, position p has the row
/// `alpha · e[p / P] + (1 − alpha) · e[p % P]`. That is `table[p]` below P; P² − 1 is the last.
///
/// `(table [P, width], like [batch, length, …]) → [length, width]`, or with given ids
/// `(table, ids [batch, length]) → [batch, length, width]`.
public struct HierarchicalPositions: TableOp {
  public let alpha: Double
  public let isGiven: Bool

  public init(alpha: Double, isGiven: Bool) {
    self.alpha = alpha
    self.isGiven = isGiven
  }

  public var name: String { "hierarchical_positions" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard alpha != 1, operands.count == 2, operands[0].count == 2,
      isGiven ? operands[1].count == 2 : operands[1].count >= 2
    else {
      throw ShapeMismatch(
        "a table [rows, width], \(isGiven ? "ids [batch, length]" : "an array [batch, length, …]"), "
          + "and an alpha other than 1")
    }
    return isGiven ? operands[1] + [operands[0][1]] : [operands[1][1], operands[0][1]]
  }

  var takesIDs: Bool { isGiven }

  func limit(rows: Int) -> Int {
    let (square, overflow) = rows.multipliedReportingOverflow(by: rows)
    return overflow ? .max : square
  }
}

/// Positions that do not count padding, as RoBERTa numbers them:
/// `tokens [batch, length] → ids [batch, length]`.
///
/// Where a token is not the padding: the number of such tokens up to here, plus `padding`. Padding
/// itself has the position `padding`.
public struct PositionsAfterPadding: Op {
  public let padding: Int

  public init(padding: Int) { self.padding = padding }
  public var name: String { "positions_after_padding" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1, operands[0].count == 2 else {
      throw ShapeMismatch("tokens [batch, length]")
    }
    return operands[0]
  }
}

/// Rotary position embedding (arXiv 2104.09864), on neighbouring pairs of each head:
/// `(x [batch, length, heads·size], positions [batch, length]?) → the same shape`.
///
/// The pair `(2i, 2i + 1)` turns by `position · base^(−2i/size)`. Without given positions they are
/// 0 … length − 1.
public struct Rotary: Op {
  public let heads: Int
  public let base: Double

  public init(heads: Int, base: Double = 10000) {
    self.heads = heads
    self.base = base
  }

  public var name: String { "rotary" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard (1...2).contains(operands.count), operands[0].count == 3, heads > 0, base > 0,
      case .fixed(let width) = operands[0][2], width % (2 * heads) == 0,
      operands.count == 1 || operands[1] == Array(operands[0][..<2])
    else {
      throw ShapeMismatch(
        "x [batch, length, \(heads) heads of an even size] and at most positions [batch, length]")
    }
    return operands[0]
  }
}
