/// The columns of a row whose distance has a row of its own in a table `[2r + 1, …]`; those before
/// share the table's first row, those after its last.
private func near(_ row: Int, _ columns: Int, _ rows: Int) -> (columns: Range<Int>, first: Int) {
  let r = (rows - 1) / 2
  let start = min(max(row - r, 0), columns)
  return (start..<max(start, min(row + r + 1, columns)), start - row + r)
}

/// The largest place: what a Float holds exactly.
private let farthest = 1 << 24

extension RelativeScores {
  /// The product's buffer, the packed table, and one head's products with all of it.
  public func scratch(_ operands: [[Int]]) -> Int {
    let (rows, size) = (operands[1][0], operands[1][1])
    return MatMul.buffer + MatMul.panelCount(inner: size, columns: rows) + operands[0][1] * rows
  }

  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (query, table) = (operands[0], operands[1])
    let places = operands.count == 4 ? operands[2] : nil
    if let places { try checkPlaces(places, farthest) }
    let (length, columns, width) = (query.shape[1], result.width, query.width)
    let (distances, size) = (table.shape[0], table.width)
    workers.parallel(result.shape[0] * heads) { range, worker in
      let scratch = workers.scratch(of: worker)
      let panels = scratch + MatMul.buffer
      let products = panels + MatMul.panelCount(inner: size, columns: distances)
      MatMul.pack(
        table.data, stride: size, transposed: true, inner: size, columns: distances, into: panels)
      for item in range {
        let (batch, head) = item.quotientAndRemainder(dividingBy: heads)
        MatMul.multiply(
          .init(data: query.data + batch * length * width + head * size, stride: width), panels,
          into: .init(data: products, stride: distances),
          rows: length, columns: distances, inner: size, scale: Float(scale), scratch: scratch)
        for row in 0..<length {
          let target = result.data + (item * length + row) * columns
          let source = products + row * distances
          let place = places.map { Int($0.data[batch * length + row]) } ?? row
          let (near, first) = near(place, columns, distances)
          target.update(repeating: source[0], count: near.lowerBound)
          (target + near.lowerBound).update(from: source + first, count: near.count)
          (target + near.upperBound).update(
            repeating: source[distances - 1], count: columns - near.upperBound)
        }
      }
    }
  }
}

extension RelativeContext {
  /// The product's buffer, the packed table, and one head's weights summed by distance.
  public func scratch(_ operands: [[Int]]) -> Int {
    let (rows, size) = (operands[1][0], operands[1][1])
    return MatMul.buffer + MatMul.panelCount(inner: rows, columns: size) + operands[0][2] * rows
  }

  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (weights, table) = (operands[0], operands[1])
    let places = operands.count == 3 ? operands[2] : nil
    if let places { try checkPlaces(places, farthest) }
    let (heads, length, width) = (weights.shape[1], weights.shape[2], result.width)
    let columns = weights.width
    let (distances, size) = (table.shape[0], table.width)
    workers.parallel(result.shape[0] * heads) { range, worker in
      let scratch = workers.scratch(of: worker)
      let panels = scratch + MatMul.buffer
      let sums = panels + MatMul.panelCount(inner: distances, columns: size)
      MatMul.pack(
        table.data, stride: size, transposed: false, inner: distances, columns: size, into: panels)
      for item in range {
        let (batch, head) = item.quotientAndRemainder(dividingBy: heads)
        sums.update(repeating: 0, count: length * distances)
        for row in 0..<length {
          let source = weights.data + (item * length + row) * columns
          let target = sums + row * distances
          let place = places.map { Int($0.data[batch * length + row]) } ?? row
          let (near, first) = near(place, columns, distances)
          for column in near { target[first + column - near.lowerBound] = source[column] }
          for column in 0..<near.lowerBound { target[0] += source[column] }
          for column in near.upperBound..<columns { target[distances - 1] += source[column] }
        }
        MatMul.multiply(
          .init(data: sums, stride: distances), panels,
          into: .init(data: result.data + batch * length * width + head * size, stride: width),
          rows: length, columns: size, inner: distances, scratch: scratch)
      }
    }
  }
}

extension RelativeBias {
  /// The biases of every distance, of which each row of the result is a part.
  public func scratch(_ operands: [[Int]]) -> Int { operands[1][1] + operands[2][1] }

  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let table = operands[0]
    let (heads, rows, columns) = (table.width, operands[1].shape[1], operands[2].shape[1])
    guard rows > 0 else { return }
    if operands.count == 4 { return try placed(operands[3], table, columns, into: result, workers) }
    let buckets = ((1 - rows)..<columns).map { bucket($0, of: table.shape[0]) }
    workers.parallel(heads) { range, worker in
      let biases = workers.scratch(of: worker)
      for head in range {
        for (index, bucket) in buckets.enumerated() {
          biases[index] = table.data[bucket * heads + head]
        }
        for row in 0..<rows {
          (result.data + (head * rows + row) * columns)
            .update(from: biases + (rows - 1 - row), count: columns)
        }
      }
    }
  }
  /// Rows that stand at places of their own; each distance's bias is looked up where it is needed.
  private func placed(
    _ places: View, _ table: View, _ columns: Int, into result: View, _ workers: Workers
  ) throws(InferError) {
    try checkPlaces(places, farthest)
    let (heads, rows) = (table.width, places.width)
    workers.parallel(places.count, grain: max(1, 4096 / max(columns * heads, 1))) { range, _ in
      for index in range {
        let (batch, row) = index.quotientAndRemainder(dividingBy: rows)
        let place = Int(places.data[index])
        for column in 0..<columns {
          let bias = table.data + bucket(column - place, of: table.shape[0]) * heads
          for head in 0..<heads {
            result.data[((batch * heads + head) * rows + row) * columns + column] = bias[head]
          }
        }
      }
    }
  }
}
