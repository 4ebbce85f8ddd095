/// The row of a table `[2r + 1, …]` for the distance `column − row`.
private func tableRow(_ row: Int, _ column: Int, _ rows: Int) -> Int {
  let r = (rows - 1) / 2
  return min(max(column - row, -r), r) + r
}

extension RelativeScores {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (query, table) = (operands[0], operands[1])
    let (rows, columns, size) = (shape[2], shape[3], table.shape[1])
    var result = NDArray<S>(zeros: shape)
    for batch in 0..<shape[0] {
      for head in 0..<heads {
        for row in 0..<rows {
          for column in 0..<columns {
            let distance = tableRow(row, column, table.shape[0])
            var sum: S = 0
            for index in 0..<size {
              sum +=
                query.values[((batch * rows + row) * heads + head) * size + index]
                * table.values[distance * size + index]
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

extension RelativeContext {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (weights, table) = (operands[0], operands[1])
    let (heads, rows, columns) = (weights.shape[1], weights.shape[2], weights.shape[3])
    let size = table.shape[1]
    var result = NDArray<S>(zeros: shape)
    for batch in 0..<shape[0] {
      for head in 0..<heads {
        for row in 0..<rows {
          for index in 0..<size {
            var sum: S = 0
            for column in 0..<columns {
              sum +=
                weights.values[((batch * heads + head) * rows + row) * columns + column]
                * table.values[tableRow(row, column, table.shape[0]) * size + index]
            }
            result.values[((batch * rows + row) * heads + head) * size + index] = sum
          }
        }
      }
    }
    return result
  }
}

extension RelativeBias {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (table, buckets) = (operands[0], operands[0].shape[0])
    let (heads, rows, columns) = (shape[0], shape[1], shape[2])
    var result = NDArray<S>(zeros: shape)
    for head in 0..<heads {
      for row in 0..<rows {
        for column in 0..<columns {
          result.values[(head * rows + row) * columns + column] =
            table.values[bucket(column - row, of: buckets) * heads + head]
        }
      }
    }
    return result
  }
}
