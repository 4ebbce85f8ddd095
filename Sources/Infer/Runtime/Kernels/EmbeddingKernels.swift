extension Gather {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (table, ids, width) = (operands[0], operands[1], result.width)
    try checkIDs(ids, limit(rows: table.shape[0]))
    workers.parallel(ids.count, grain: max(1, 8192 / max(width, 1))) { range, _ in
      for index in range {
        let row = table.data + Int(ids.data[index]) * width
        (result.data + index * width).update(from: row, count: width)
      }
    }
  }
}

extension TableOp {
  /// Ids that are inputs were checked with their place; those that are computed are RoBERTa's positions.
  func checkIDs(_ ids: View, _ limit: Int) throws(InferError) {
    for index in 0..<ids.count where !(ids.data[index] >= 0 && ids.data[index] < Float(limit)) {
      throw InferError(
        .input, "positions",
        "reach \(Double(ids.data[index])); the table has rows 0 to \(limit - 1)",
        hint: "shorten the input; RoBERTa's positions begin behind pad_token_id")
    }
  }

  /// Positions without ids were checked when the extents were.
  func checkPositions(_ count: Int, _ limit: Int) throws(InferError) {
    guard count <= limit else {
      throw InferError(
        .input, "length", "\(count) positions; the table has \(limit)",
        hint: "shorten the input to \(limit) tokens")
    }
  }
}
