extension SpanScores {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (scores, bias, length) = (operands[0].data, operands[1].data, result.width)
    workers.parallel(result.rows, grain: max(1, 4096 / max(length, 1))) { range, _ in
      for index in range {
        let (item, row) = index.quotientAndRemainder(dividingBy: length)
        let (batch, head) = item.quotientAndRemainder(dividingBy: heads)
        let source = scores + (batch * length + row) * length
        let biases = bias + batch * length * 2 * heads + 2 * head
        let last = biases[row * 2 * heads + 1] / 2
        let target = result.data + index * length
        for column in 0..<length {
          target[column] = source[column] + biases[column * 2 * heads] / 2 + last
        }
      }
    }
  }
}

extension SpanMask {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (scores, heads, length) = (operands[0].data, result.shape[1], result.width)
    workers.parallel(result.rows, grain: max(1, 4096 / max(length, 1))) { range, _ in
      for index in range {
        let (item, row) = index.quotientAndRemainder(dividingBy: length)
        let mask = operands[1].data + item / heads * length
        let (source, target) = (scores + index * length, result.data + index * length)
        for column in 0..<length {
          let isHidden = mask[row] == 0 || mask[column] == 0 || isTriangular && column < row
          target[column] = isHidden ? -.infinity : source[column]
        }
      }
    }
  }
}
