/// Rows of a table by id: `(table [rows, width], ids [batch, length]) → [batch, length, width]`.
public struct Gather: Op {
  public init() {}
  public var name: String { "gather" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2, operands[0].count == 2 else {
      throw ShapeMismatch("a table [rows, width] and ids")
    }
    return operands[1] + [operands[0][1]]
  }
}

/// The table's first rows, one per position:
/// `(table [rows, width], like [batch, length]) → [length, width]`.
public struct PositionRows: Op {
  public init() {}
  public var name: String { "positions" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2, operands[0].count == 2, operands[1].count >= 2 else {
      throw ShapeMismatch("a table [rows, width] and an array [batch, length, …]")
    }
    return [operands[1][1], operands[0][1]]
  }
}

/// One position of every row: `[batch, length, width] → [batch, width]`.
public struct SelectPosition: Op {
  public let position: Int

  public init(position: Int) { self.position = position }
  public var name: String { "select" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1, operands[0].count == 3 else {
      throw ShapeMismatch("one operand [batch, length, width]")
    }
    return [operands[0][0], operands[0][2]]
  }
}
