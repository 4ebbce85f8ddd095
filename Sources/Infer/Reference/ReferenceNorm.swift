extension LayerNorm {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let x = operands[0]
    let width = shape[shape.count - 1]
    var result = NDArray<S>(zeros: shape)
    for row in 0..<(x.values.count / max(width, 1)) {
      let elements = x.values[(row * width)..<((row + 1) * width)]
      let mean = elements.reduce(0, +) / S(width)
      let variance = elements.reduce(0) { $0 + ($1 - mean) * ($1 - mean) } / S(width)
      let deviation = (variance + S(epsilon)).squareRoot()
      for column in 0..<width {
        // A row of equal elements has no direction; without an epsilon it would divide 0 by 0.
        let normal = deviation == 0 ? 0 : (x.values[row * width + column] - mean) / deviation
        result.values[row * width + column] =
          operands.count == 1
          ? normal : normal * operands[1].values[column] + operands[2].values[column]
      }
    }
    return result
  }
}

extension RMSNorm {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let x = operands[0]
    let width = shape[shape.count - 1]
    var result = NDArray<S>(zeros: shape)
    for row in 0..<(x.values.count / max(width, 1)) {
      let elements = x.values[(row * width)..<((row + 1) * width)]
      let square = elements.reduce(0) { $0 + $1 * $1 } / S(width)
      let root = (square + S(epsilon)).squareRoot()
      for column in 0..<width {
        var y = root == 0 ? 0 : x.values[row * width + column] / root
        if operands.count > 1 { y *= operands[1].values[column] }
        if operands.count > 2 { y += operands[2].values[column] }
        result.values[row * width + column] = y
      }
    }
    return result
  }
}

extension Modulate {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (gamma, width) = (operands[1], shape[shape.count - 1])
    let row = shape[1...].reduce(1, *)  // elements for one row of the batch
    var result = operands[0]
    for index in result.values.indices {
      let place = index / row * width + index % width
      result.values[index] *= gamma.values[place]
      if operands.count == 3 { result.values[index] += operands[2].values[place] }
    }
    return result
  }
}
