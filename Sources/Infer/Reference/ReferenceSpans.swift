extension SpanScores {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (scores, bias, length) = (operands[0], operands[1], shape[2])
    var result = NDArray<S>(zeros: shape)
    for batch in 0..<shape[0] {
      for head in 0..<heads {
        for row in 0..<length {
          for column in 0..<length {
            result.values[((batch * heads + head) * length + row) * length + column] =
              scores.values[(batch * length + row) * length + column]
              + bias.values[(batch * length + column) * 2 * heads + 2 * head] / 2
              + bias.values[(batch * length + row) * 2 * heads + 2 * head + 1] / 2
          }
        }
      }
    }
    return result
  }
}

extension SpanMask {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (mask, heads, length) = (operands[1], shape[1], shape[2])
    var result = operands[0]
    for batch in 0..<shape[0] {
      for head in 0..<heads {
        for row in 0..<length {
          for column in 0..<length
          where mask.values[batch * length + row] == 0
            || mask.values[batch * length + column] == 0 || isTriangular && column < row
          {
            result.values[((batch * heads + head) * length + row) * length + column] = -.infinity
          }
        }
      }
    }
    return result
  }
}
