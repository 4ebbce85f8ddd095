import CKernels
import Glibc

extension PositionRows {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    try checkPositions(result.shape[0], limit(rows: operands[0].shape[0]))
    result.data.update(from: operands[0].data, count: result.count)
  }
}

extension HierarchicalPositions {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (table, rows, width) = (operands[0].data, operands[0].shape[0], result.width)
    let ids = isGiven ? operands[1].data : nil
    if isGiven {
      try checkIDs(operands[1], limit(rows: rows))
    } else {
      try checkPositions(result.shape[0], limit(rows: rows))
    }
    let (alpha, rest) = (Float(alpha), Float(1 - alpha))
    workers.parallel(result.rows, grain: max(1, 4096 / max(width, 1))) { range, _ in
      for index in range {
        let (high, low) = (ids.map { Int($0[index]) } ?? index).quotientAndRemainder(
          dividingBy: rows)
        let (coarse, fine) = (table + high * width, table + low * width)
        let y = result.data + index * width
        for column in 0..<width {
          let origin = alpha * table[column]
          y[column] =
            alpha * ((coarse[column] - origin) / rest) + rest * ((fine[column] - origin) / rest)
        }
      }
    }
  }
}

extension PositionsAfterPadding {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (length, padding) = (result.width, Float(padding))
    for row in 0..<result.rows {
      let (tokens, ids) = (operands[0].data + row * length, result.data + row * length)
      var count: Float = 0
      for column in 0..<length {
        if tokens[column] != padding { count += 1 }
        ids[column] = tokens[column] != padding ? count + padding : padding
      }
    }
  }
}

extension Rotary {
  /// Cosines and sines for one position.
  public func scratch(_ operands: [[Int]]) -> Int { operands[0][2] / heads }

  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (x, width) = (operands[0].data, result.width)
    let (batch, length, pairs) = (result.shape[0], result.shape[1], width / heads / 2)
    // In double precision: at position 100,000 a float angle would be off by 0.004.
    let frequencies = (0..<pairs).map { pow(base, -Double($0) / Double(pairs)) }
    let positions = operands.count == 2 ? operands[1].data : nil
    // Without given positions the rows of the batch share their angles.
    let items = positions == nil ? length : batch * length
    workers.parallel(items, grain: max(1, 2048 / max(width, 1))) { range, worker in
      let cosines = workers.scratch(of: worker)
      let sines = cosines + pairs
      for item in range {
        let position = positions.map { Double($0[item]) } ?? Double(item)
        for pair in 0..<pairs {
          let angle = position * frequencies[pair]
          cosines[pair] = Float(cos(angle))
          sines[pair] = Float(sin(angle))
        }
        for row in stride(from: item, to: batch * length, by: items) {
          for head in 0..<heads {
            let start = row * width + head * 2 * pairs
            ckpt_rotate(x + start, cosines, sines, result.data + start, pairs)
          }
        }
      }
    }
  }
}
