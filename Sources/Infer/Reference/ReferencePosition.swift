import Glibc

extension PositionRows {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    NDArray(shape: shape, values: Array(operands[0].values[..<(shape[0] * shape[1])]))
  }
}

extension HierarchicalPositions {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let table = operands[0]
    let (rows, width) = (table.shape[0], table.shape[1])
    let positions = isGiven ? operands[1].values.map { Int($0) } : Array(0..<shape[0])
    /// (table − alpha · table[0]) / (1 − alpha)
    func e(_ row: Int, _ column: Int) -> S {
      (table.values[row * width + column] - S(alpha) * table.values[column]) / S(1 - alpha)
    }
    return NDArray(
      shape: shape,
      values: positions.flatMap { p in
        (0..<width).map { S(alpha) * e(p / rows, $0) + S(1 - alpha) * e(p % rows, $0) }
      })
  }
}

extension PositionsAfterPadding {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    var result = NDArray<S>(zeros: shape)
    for row in 0..<shape[0] {
      var count = 0
      for column in 0..<shape[1] {
        let isToken = operands[0].values[row * shape[1] + column] != S(padding)
        if isToken { count += 1 }
        result.values[row * shape[1] + column] = S(isToken ? count + padding : padding)
      }
    }
    return result
  }
}

extension Rotary {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (length, width) = (shape[1], shape[2])
    let size = width / heads
    var result = operands[0]
    for row in 0..<(shape[0] * length) {
      let position = operands.count == 2 ? Double(operands[1].values[row]) : Double(row % length)
      for head in 0..<heads {
        for pair in 0..<(size / 2) {
          let angle = position * pow(base, -2 * Double(pair) / Double(size))
          let (c, s) = (S(cos(angle)), S(sin(angle)))
          let index = row * width + head * size + 2 * pair
          let (a, b) = (operands[0].values[index], operands[0].values[index + 1])
          result.values[index] = a * c - b * s
          result.values[index + 1] = b * c + a * s
        }
      }
    }
    return result
  }
}
