/// Rows of a table by id: `(table [rows, width], ids […]) → […, width]`.
public struct Gather: TableOp {
  public init() {}
  public var name: String { "gather" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2, operands[0].count == 2 else {
      throw ShapeMismatch("a table [rows, width] and ids")
    }
    return operands[1] + [operands[0][1]]
  }

  var takesIDs: Bool { true }
  func limit(rows: Int) -> Int { rows }
}
