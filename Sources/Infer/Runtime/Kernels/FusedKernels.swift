import CKernels
import Checkpoint

extension AddNorm {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (x, residual) = (operands[0].data, operands[1])
    let (gamma, beta) = (operands[2].data, operands[3].data)
    let width = result.width
    guard width > 0, residual.count > 0 else { return }
    guard residual.count >= width else {  // one number for all
      try Add().run(Array(operands[..<2]), into: result, on: workers)
      for row in 0..<result.rows {
        let y = result.data + row * width
        ckpt_layer_norm(y, nil, gamma, beta, Float(epsilon), y, width)
      }
      return
    }
    workers.parallel(result.rows, grain: max(1, 4096 / width)) { range, _ in
      for row in range {
        ckpt_layer_norm(
          x + row * width, residual.data + row * width % residual.count, gamma, beta,
          Float(epsilon), result.data + row * width, width)
      }
    }
  }
}

extension Attention {
  /// Rows whose scores are held at a time.
  private static let block = 96

  /// Per worker: the product's buffer, one head's keys and values packed, a block of scores.
  public func scratch(_ operands: [[Int]]) -> Int {
    let (rows, columns, size) = (operands[0][1], operands[1][1], operands[0][2] / heads)
    let valueSize = operands[2][2] / heads
    return MatMul.buffer + MatMul.panelCount(inner: size, columns: columns)
      + MatMul.panelCount(inner: columns, columns: valueSize)
      + min(rows, Attention.block) * columns
  }

  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (query, key, value, mask) = (operands[0], operands[1], operands[2], operands[3])
    let (rows, columns, width) = (query.shape[1], key.shape[1], query.width)
    let (size, valueSize) = (width / heads, result.width / heads)
    let maskRows = mask.shape[1]
    let items = result.shape[0] * heads
    if rows == 1 { return row(query, key, value, mask, into: result, on: workers) }
    // With fewer heads than workers could use, a head's rows are shared out too.
    let parts = items >= 2 * workers.count ? 1 : max(1, min(rows / 32, 2 * workers.count / items))
    workers.parallel(items * parts) { range, worker in
      let scratch = workers.scratch(of: worker)
      let keys = scratch + MatMul.buffer
      let values = keys + MatMul.panelCount(inner: size, columns: columns)
      let scores = values + MatMul.panelCount(inner: columns, columns: valueSize)
      for task in range {
        let (item, part) = task.quotientAndRemainder(dividingBy: parts)
        let (batch, head) = item.quotientAndRemainder(dividingBy: heads)
        MatMul.pack(
          key.data + batch * columns * width + head * size, stride: width, transposed: true,
          inner: size, columns: columns, into: keys)
        MatMul.pack(
          value.data + batch * columns * result.width + head * valueSize, stride: result.width,
          transposed: false, inner: columns, columns: valueSize, into: values)
        let end = rows * (part + 1) / parts
        for top in stride(from: rows * part / parts, to: end, by: Attention.block) {
          let height = min(Attention.block, end - top)
          MatMul.multiply(
            .init(data: query.data + (batch * rows + top) * width + head * size, stride: width),
            keys, into: .init(data: scores, stride: columns),
            rows: height, columns: columns, inner: size, scratch: scratch)
          for row in 0..<height {
            let maskRow = batch * maskRows + (maskRows == 1 ? 0 : top + row)
            ckpt_softmax(
              scores + row * columns, mask.data + maskRow * columns, Float(scale), columns)
          }
          let target = result.data + (batch * rows + top) * result.width + head * valueSize
          MatMul.multiply(
            .init(data: scores, stride: columns), values,
            into: .init(data: target, stride: result.width),
            rows: height, columns: valueSize, inner: columns, scratch: scratch)
        }
      }
    }
  }

  /// Attention of one position, such as a step of generation: nothing is packed.
  private func row(
    _ query: View, _ key: View, _ value: View, _ mask: View, into result: View,
    on workers: Workers
  ) {
    let (columns, width, valueWidth) = (key.shape[1], query.width, result.width)
    let (size, valueSize) = (width / heads, valueWidth / heads)
    workers.parallel(result.shape[0] * heads) { range, worker in
      let scores = workers.scratch(of: worker)
      for item in range {
        let (batch, head) = item.quotientAndRemainder(dividingBy: heads)
        MatMul.multiplyRow(
          query.data + batch * width + head * size,
          .init(data: key.data + batch * columns * width + head * size, stride: width),
          transposed: true, into: scores, columns: columns, inner: size)
        ckpt_softmax(scores, mask.data + batch * columns, Float(scale), columns)
        MatMul.multiplyRow(
          scores,
          .init(
            data: value.data + batch * columns * valueWidth + head * valueSize, stride: valueWidth),
          transposed: false, into: result.data + batch * valueWidth + head * valueSize,
          columns: valueSize, inner: columns)
      }
    }
  }
}
