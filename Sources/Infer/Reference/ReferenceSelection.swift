extension SelectPosition {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (length, width) = (operands[0].shape[1], operands[0].shape[2])
    var result = NDArray<S>(zeros: shape)
    for row in 0..<shape[0] {
      for column in 0..<width {
        result.values[row * width + column] =
          operands[0].values[(row * length + position) * width + column]
      }
    }
    return result
  }
}

extension SelectPositions {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (length, width) = (operands[0].shape[1], operands[0].shape[2])
    return NDArray(
      shape: shape,
      values: operands[1].values.enumerated().flatMap { row, position in
        let start = (row * length + Int(position)) * width
        return operands[0].values[start..<(start + width)]
      })
  }
}

extension SelectColumns {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let width = operands[0].shape[operands[0].shape.count - 1]
    let rows = operands[0].values.count / width
    return NDArray(
      shape: shape,
      values: (0..<rows).flatMap { row in columns.map { operands[0].values[row * width + $0] } })
  }
}

extension SelectColumn {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let width = operands[0].shape[operands[0].shape.count - 1]
    let rows = operands[0].values.count / width
    return NDArray(
      shape: shape, values: (0..<rows).map { operands[0].values[$0 * width + column] })
  }
}
