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

/// One position of each row, its own: `(x [batch, length, width], positions [batch])
/// → [batch, 1, width]`.
public struct SelectPositions: Op {
  public init() {}
  public var name: String { "select_positions" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2, operands[0].count == 3, operands[1] == [operands[0][0]] else {
      throw ShapeMismatch("an operand [batch, length, width] and positions [batch]")
    }
    return [operands[0][0], .fixed(1), operands[0][2]]
  }
}

/// Columns of the last axis, in the order in which they are listed:
/// `[…, width] → […, columns.count]`.
public struct SelectColumns: Op {
  public let columns: [Int]

  public init(_ columns: [Int]) { self.columns = columns }
  public var name: String { "select_columns" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1, case .fixed(let width)? = operands[0].last, !columns.isEmpty,
      columns.allSatisfy({ 0..<width ~= $0 })
    else { throw ShapeMismatch("one operand […, width] with the columns \(columns)") }
    return operands[0].dropLast() + [.fixed(columns.count)]
  }
}

/// One column of the last axis, which disappears: `[…, width] → […]`.
public struct SelectColumn: Op {
  public let column: Int

  public init(_ column: Int) { self.column = column }
  public var name: String { "select_column" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1, case .fixed(let width)? = operands[0].last, 0..<width ~= column
    else { throw ShapeMismatch("one operand […, width] with the column \(column)") }
    return operands[0].dropLast()
  }
}
