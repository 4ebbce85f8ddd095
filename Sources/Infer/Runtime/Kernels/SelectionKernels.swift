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

extension SelectPositions {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (length, width) = (operands[0].shape[1], result.width)
    try checkPlaces(operands[1], length)
    for row in 0..<result.shape[0] {
      let position = Int(operands[1].data[row])
      (result.data + row * width).update(
        from: operands[0].data + (row * length + position) * width, count: width)
    }
  }
}

extension SelectColumns {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    select(columns, of: operands[0], into: result, workers)
  }
}

extension SelectColumn {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    select([column], of: operands[0], into: result, workers)
  }
}

private func select(_ columns: [Int], of x: View, into result: View, _ workers: Workers) {
  workers.parallel(x.rows, grain: max(1, 8192 / columns.count)) { range, _ in
    for row in range {
      let (source, target) = (x.data + row * x.width, result.data + row * columns.count)
      for (index, column) in columns.enumerated() { target[index] = source[column] }
    }
  }
}
