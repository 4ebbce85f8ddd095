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

extension Linear {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (x, kernel) = (operands[0], operands[1])
    let output = shape[shape.count - 1]
    let input = x.shape[x.shape.count - 1]
    let rows = x.values.count / max(input, 1)
    var sums = [S](repeating: 0, count: rows * output)
    // Each element's products are added by index; a kernel's row is read once for all rows of x.
    x.values.withUnsafeBufferPointer { x in
      kernel.values.withUnsafeBufferPointer { kernel in
        sums.withUnsafeMutableBufferPointer { sums in
          if transposedKernel {
            for column in 0..<output {
              for row in 0..<rows {
                var sum: S = 0
                for index in 0..<input {
                  sum += x[row * input + index] * kernel[column * input + index]
                }
                sums[row * output + column] = sum
              }
            }
          } else {
            for index in 0..<input {
              for row in 0..<rows {
                let factor = x[row * input + index]
                for column in 0..<output {
                  sums[row * output + column] += factor * kernel[index * output + column]
                }
              }
            }
          }
        }
      }
    }
    for position in sums.indices {
      let biased = operands.count == 3 ? operands[2].values[position % output] : 0
      sums[position] = activation(sums[position] + biased)
    }
    return NDArray(shape: shape, values: sums)
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

extension Multiply {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    var result = operands[0]
    for index in result.values.indices {
      result.values[index] *= operands[1].values[index % operands[1].values.count]
    }
    return result
  }
}

extension Scale {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    NDArray(shape: shape, values: operands[0].values.map { $0 * S(factor) })
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

/// `exp(x − max) / Σ exp(x − max)` in place over `count` elements from `start`.
func softmax<S: ReferenceScalar>(_ values: inout [S], _ start: Int, _ count: Int) {
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
