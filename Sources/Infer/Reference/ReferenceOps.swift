import Checkpoint

// Every op's definition as plain loops: formula first, nothing clever. B batch, T length, A heads.

extension Gather {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (table, ids) = (operands[0], operands[1])
    let width = table.shape[1]
    return NDArray(
      shape: shape,
      values: ids.values.flatMap { id in
        table.values[(Int(id) * width)..<((Int(id) + 1) * width)]
      })
  }
}

extension PositionRows {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    NDArray(shape: shape, values: Array(operands[0].values[..<(shape[0] * shape[1])]))
  }
}

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

extension Linear {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (x, kernel) = (operands[0], operands[1])
    let output = shape[shape.count - 1]
    let input = x.shape[x.shape.count - 1]
    var result = NDArray<S>(zeros: shape)
    for row in 0..<(x.values.count / max(input, 1)) {
      for column in 0..<output {
        var sum: S = 0
        for index in 0..<input {
          let weight =
            transposedKernel
            ? kernel.values[column * input + index] : kernel.values[index * output + column]
          sum += x.values[row * input + index] * weight
        }
        if operands.count == 3 { sum += operands[2].values[column] }
        result.values[row * output + column] = activation(sum)
      }
    }
    return result
  }
}

extension Activate {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    NDArray(shape: shape, values: operands[0].values.map { activation($0) })
  }
}

extension Add {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    var result = operands[0]
    for index in result.values.indices {
      result.values[index] += operands[1].values[index % operands[1].values.count]
    }
    return result
  }
}

extension LayerNorm {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (x, gamma, beta) = (operands[0], operands[1], operands[2])
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
        result.values[row * width + column] = normal * gamma.values[column] + beta.values[column]
      }
    }
    return result
  }
}

extension Softmax {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let width = shape[shape.count - 1]
    var result = operands[0]
    for row in 0..<(result.values.count / max(width, 1)) {
      softmax(&result.values, row * width, width)
    }
    return result
  }
}

extension AttentionMask {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (rows, length) = (shape[1], shape[2])
    var result = NDArray<S>(zeros: shape)
    for batch in 0..<shape[0] {
      var sums: [S] = []  // running sums of the segments
      if kind == .unilm {
        var sum: S = 0
        for column in 0..<length {
          sum += operands[1].values[batch * length + column]
          sums.append(sum)
        }
      }
      for row in 0..<rows {
        for column in 0..<length {
          let visible =
            switch kind {
            case .bidirectional: true
            case .causal: column <= row
            case .unilm: sums[column] <= sums[row]
            }
          let kept = operands[0].values[batch * length + column] != 0
          result.values[(batch * rows + row) * length + column] = visible && kept ? 1 : 0
        }
      }
    }
    return result
  }
}

extension AttentionScores {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (query, key) = (operands[0], operands[1])
    let (rows, columns) = (shape[2], shape[3])
    let width = query.shape[2]
    let size = width / heads
    var result = NDArray<S>(zeros: shape)
    for batch in 0..<shape[0] {
      for head in 0..<heads {
        for row in 0..<rows {
          for column in 0..<columns {
            var sum: S = 0
            for index in 0..<size {
              sum +=
                query.values[(batch * rows + row) * width + head * size + index]
                * key.values[(batch * columns + column) * width + head * size + index]
            }
            result.values[((batch * heads + head) * rows + row) * columns + column] =
              sum * S(scale)
          }
        }
      }
    }
    return result
  }
}

extension MaskedSoftmax {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (heads, rows, columns) = (shape[1], shape[2], shape[3])
    let (mask, maskRows) = (operands[1], operands[1].shape[1])
    var result = operands[0]
    for batch in 0..<shape[0] {
      for head in 0..<heads {
        for row in 0..<rows {
          let start = ((batch * heads + head) * rows + row) * columns
          let maskStart = (batch * maskRows + (maskRows == 1 ? 0 : row)) * columns
          let seesAny = (0..<columns).contains { mask.values[maskStart + $0] != 0 }
          for column in 0..<columns {
            if !seesAny {
              result.values[start + column] = 0
            } else if mask.values[maskStart + column] == 0 {
              result.values[start + column] = -.infinity
            }
          }
          softmax(&result.values, start, columns)
        }
      }
    }
    return result
  }
}

extension AttentionContext {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (weights, value) = (operands[0], operands[1])
    let (heads, rows, columns) = (weights.shape[1], weights.shape[2], weights.shape[3])
    let width = shape[2]
    let size = width / heads
    var result = NDArray<S>(zeros: shape)
    for batch in 0..<shape[0] {
      for head in 0..<heads {
        for row in 0..<rows {
          for index in 0..<size {
            var sum: S = 0
            for column in 0..<columns {
              sum +=
                weights.values[((batch * heads + head) * rows + row) * columns + column]
                * value.values[(batch * columns + column) * width + head * size + index]
            }
            result.values[(batch * rows + row) * width + head * size + index] = sum
          }
        }
      }
    }
    return result
  }
}

/// `exp(x − max) / Σ exp(x − max)` in place over `count` elements from `start`.
private func softmax<S: ReferenceScalar>(_ values: inout [S], _ start: Int, _ count: Int) {
  guard count > 0 else { return }
  let range = start..<(start + count)
  let largest = values[range].reduce(-.infinity, max)
  var sum: S = 0
  for index in range {
    values[index] = S.exp(values[index] - largest)
    sum += values[index]
  }
  for index in range { values[index] /= sum }
}
