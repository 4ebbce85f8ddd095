/// The row of a table `[2r + 1, …]` for the distance `column − row`.
private func tableRow(_ row: Int, _ column: Int, _ rows: Int) -> Int {
  let r = (rows - 1) / 2
  return min(max(column - row, -r), r) + r
}

/// Where a row stands: by the places `[batch, rows]` that are given, else at its own number.
private func place<S: ReferenceScalar>(
  _ places: NDArray<S>?, _ batch: Int, _ row: Int
) -> Int {
  places.map { Int($0.values[batch * $0.shape[1] + row]) } ?? row
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
            let from = place(operands.count == 4 ? operands[2] : nil, batch, row)
            let distance = tableRow(from, column, table.shape[0])
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
            let from = place(operands.count == 3 ? operands[2] : nil, batch, row)
            for column in 0..<columns {
              sum +=
                weights.values[((batch * heads + head) * rows + row) * columns + column]
                * table.values[tableRow(from, column, table.shape[0]) * size + index]
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
    let places = operands.count == 4 ? operands[3] : nil
    let (heads, rows, columns) = (table.shape[1], operands[1].shape[1], operands[2].shape[1])
    var result = NDArray<S>(zeros: shape)
    for batch in 0..<(places?.shape[0] ?? 1) {
      for head in 0..<heads {
        for row in 0..<rows {
          for column in 0..<columns {
            let distance = column - place(places, batch, row)
            result.values[((batch * heads + head) * rows + row) * columns + column] =
              table.values[bucket(distance, of: buckets) * heads + head]
          }
        }
      }
    }
    return result
  }
}
