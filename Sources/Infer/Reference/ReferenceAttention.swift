import Checkpoint

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
    var result = NDArray<S>(zeros: shape)
    for batch in 0..<shape[0] {
      for head in 0..<heads {
        for row in 0..<rows {
          let start = ((batch * heads + head) * rows + row) * columns
          let maskStart = (batch * maskRows + (maskRows == 1 ? 0 : row)) * columns
          let visible = (0..<columns).filter { mask.values[maskStart + $0] != 0 }
          let scores = operands[0].values[start..<(start + columns)]
          if normalization == .squaredRelu {
            for column in visible {
              let score = scores[start + column]
              result.values[start + column] = score < 0 ? 0 : score * score / S(visible.count)
            }
            continue
          }
          let factor =
            normalization == .softmaxPlus ? S.log(S(max(visible.count, 16))) / S.log(512) : 1
          if !visible.isEmpty {
            for column in 0..<columns { result.values[start + column] = -.infinity }
          }
          for column in visible {
            result.values[start + column] = scores[start + column] * factor
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

extension TalkingHeads {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (x, kernel) = (operands[0], operands[1])
    let (heads, inner) = (shape[1], shape[2] * shape[3])
    var result = NDArray<S>(zeros: shape)
    for batch in 0..<shape[0] {
      for head in 0..<heads {
        for index in 0..<inner {
          var sum: S = 0
          for other in 0..<heads {
            sum +=
              x.values[(batch * heads + other) * inner + index]
              * kernel.values[other * heads + head]
          }
          if operands.count == 3 { sum += operands[2].values[head] }
          result.values[(batch * heads + head) * inner + index] = sum
        }
      }
    }
    return result
  }
}
