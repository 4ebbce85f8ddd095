/// A state with rows written into it: `(state [batch, capacity, width], rows [batch, length, width],
/// places [batch, length]) → [batch, capacity, width]`.
///
/// `result[b, places[b, j]] = rows[b, j]`; all else is the state's. Where the first operand is a state
/// of the graph, the result is that state's own memory, so nothing is copied and what is written
/// stays for the next run.
public struct Append: Op {
  public init() {}
  public var name: String { "append" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 3, operands[0].count == 3, operands[1].count == 3,
      operands[0][0] == operands[1][0], operands[0][2] == operands[1][2],
      operands[2] == Array(operands[1][..<2])
    else {
      throw ShapeMismatch(
        "a state [batch, capacity, width], rows [batch, length, width] and places [batch, length]")
    }
    return operands[0]
  }
}
