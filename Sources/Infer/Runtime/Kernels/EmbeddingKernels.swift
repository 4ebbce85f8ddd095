extension Gather {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (table, ids, width) = (operands[0], operands[1], result.width)
    let rows = Float(table.shape[0])
    // Ids that are inputs were checked with their place; this holds for computed ones too.
    for index in 0..<ids.count where !(ids.data[index] >= 0 && ids.data[index] < rows) {
      throw InferError(
        .input, "gather", "holds the id \(ids.data[index]); the table has ids 0 to \(rows - 1)")
    }
    workers.parallel(ids.count, grain: max(1, 8192 / max(width, 1))) { range, _ in
      for index in range {
        let row = table.data + Int(ids.data[index]) * width
        (result.data + index * width).update(from: row, count: width)
      }
    }
  }
}

extension PositionRows {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    guard result.count <= operands[0].count else {
      throw InferError(
        .input, "length", "\(result.shape[0]) positions; the table has \(operands[0].shape[0])",
        hint: "shorten the input to \(operands[0].shape[0]) tokens")
    }
    result.data.update(from: operands[0].data, count: result.count)
  }
}

extension SelectPosition {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (length, width) = (operands[0].shape[1], result.width)
    guard 0..<length ~= position else {
      throw InferError(.input, "length", "there is no position \(position) in \(length)")
    }
    for row in 0..<result.rows {
      let source = operands[0].data + (row * length + position) * width
      (result.data + row * width).update(from: source, count: width)
    }
  }
}
