import CKernels
import Checkpoint
import Glibc

extension AttentionMask {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (rows, length) = (result.shape[1], result.shape[2])
    let mask = operands[0].data
    for batch in 0..<result.shape[0] {
      var sums: [Float] = []  // running sums of the segments
      if kind == .unilm {
        var sum: Float = 0
        for column in 0..<length {
          sum += operands[1].data[batch * length + column]
          sums.append(sum)
        }
      }
      for row in 0..<rows {
        let target = result.data + (batch * rows + row) * length
        for column in 0..<length {
          let visible =
            switch kind {
            case .bidirectional: true
            case .causal: column <= row
            case .unilm: sums[column] <= sums[row]
            }
          target[column] = visible && mask[batch * length + column] != 0 ? 1 : 0
        }
      }
    }
  }
}

extension AttentionScores {
  public func scratch(_ operands: [[Int]]) -> Int {
    MatMul.buffer + MatMul.panelCount(inner: operands[1][2] / heads, columns: operands[1][1])
  }

  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (query, key) = (operands[0], operands[1])
    let (rows, columns, width) = (result.shape[2], result.shape[3], query.width)
    let size = width / heads
    workers.parallel(result.shape[0] * heads) { range, worker in
      let scratch = workers.scratch(of: worker)
      let panels = scratch + MatMul.buffer
      for item in range {
        let (batch, head) = item.quotientAndRemainder(dividingBy: heads)
        if rows == 1 {
          MatMul.multiplyRow(
            query.data + batch * width + head * size,
            .init(data: key.data + batch * columns * width + head * size, stride: width),
            transposed: true, into: result.data + item * columns, columns: columns, inner: size,
            scale: Float(scale))
          continue
        }
        MatMul.pack(
          key.data + batch * columns * width + head * size, stride: width, transposed: true,
          inner: size, columns: columns, into: panels)
        MatMul.multiply(
          .init(data: query.data + batch * rows * width + head * size, stride: width), panels,
          into: .init(data: result.data + item * rows * columns, stride: columns),
          rows: rows, columns: columns, inner: size, scale: Float(scale), scratch: scratch)
      }
    }
  }
}

extension MaskedSoftmax {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (scores, mask) = (operands[0], operands[1])
    let (heads, rows, columns) = (result.shape[1], result.shape[2], result.shape[3])
    let maskRows = mask.shape[1]
    workers.parallel(result.rows, grain: max(1, 2048 / max(columns, 1))) { range, _ in
      for index in range {
        let (batch, row) = (index / (heads * rows), maskRows == 1 ? 0 : index % rows)
        let (x, y) = (scores.data + index * columns, result.data + index * columns)
        let mask = mask.data + (batch * maskRows + row) * columns
        switch normalization {
        case .softmax:
          y.update(from: x, count: columns)
          ckpt_softmax(y, mask, 1, columns)
        case .softmaxPlus:
          let visible = MaskedSoftmax.visible(mask, columns)
          y.update(from: x, count: columns)
          ckpt_softmax(y, mask, logf(Float(max(visible, 16))) / logf(512), columns)
        case .squaredRelu:
          let visible = Float(MaskedSoftmax.visible(mask, columns))
          for column in 0..<columns {
            // Comparisons are so put that NaN stays NaN.
            y[column] = mask[column] == 0 || x[column] < 0 ? 0 : x[column] * x[column] / visible
          }
        }
      }
    }
  }

  /// The number of positions that a row sees.
  private static func visible(_ mask: UnsafePointer<Float>, _ columns: Int) -> Int {
    var count = 0
    for column in 0..<columns where mask[column] != 0 { count += 1 }
    return count
  }
}

extension AttentionContext {
  public func scratch(_ operands: [[Int]]) -> Int {
    MatMul.buffer
      + MatMul.panelCount(inner: operands[1][1], columns: operands[1][2] / operands[0][1])
  }

  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (weights, value) = (operands[0], operands[1])
    let (heads, rows, columns) = (weights.shape[1], weights.shape[2], weights.shape[3])
    let width = result.width
    let size = width / heads
    workers.parallel(result.shape[0] * heads) { range, worker in
      let scratch = workers.scratch(of: worker)
      let panels = scratch + MatMul.buffer
      for item in range {
        let (batch, head) = item.quotientAndRemainder(dividingBy: heads)
        if rows == 1 {
          MatMul.multiplyRow(
            weights.data + item * columns,
            .init(data: value.data + batch * columns * width + head * size, stride: width),
            transposed: false, into: result.data + batch * width + head * size, columns: size,
            inner: columns)
          continue
        }
        MatMul.pack(
          value.data + batch * columns * width + head * size, stride: width, transposed: false,
          inner: columns, columns: size, into: panels)
        MatMul.multiply(
          .init(data: weights.data + item * rows * columns, stride: columns), panels,
          into: .init(data: result.data + batch * rows * width + head * size, stride: width),
          rows: rows, columns: size, inner: columns, scratch: scratch)
      }
    }
  }
}

extension TalkingHeads {
  /// Elements of each head that are worked on at a time.
  private static let block = 1024

  /// The product's buffer, the kernel as `[out, in]`, a block of all heads packed.
  public func scratch(_ operands: [[Int]]) -> Int {
    let heads = operands[0][1]
    return MatMul.buffer + Buffer.aligned(heads * heads)
      + MatMul.panelCount(inner: heads, columns: TalkingHeads.block)
  }

  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (x, kernel) = (operands[0].data, operands[1].data)
    let bias = operands.count == 3 ? operands[2].data : nil
    let (heads, inner) = (result.shape[1], result.shape[2] * result.shape[3])
    let blocks = (inner + TalkingHeads.block - 1) / TalkingHeads.block
    workers.parallel(result.shape[0] * blocks) { range, worker in
      let scratch = workers.scratch(of: worker)
      let transposed = scratch + MatMul.buffer
      let panels = transposed + Buffer.aligned(heads * heads)
      for index in 0..<(heads * heads) {
        transposed[index] = kernel[index % heads * heads + index / heads]
      }
      for item in range {
        let (batch, block) = item.quotientAndRemainder(dividingBy: blocks)
        let start = batch * heads * inner + block * TalkingHeads.block
        let count = min(TalkingHeads.block, inner - block * TalkingHeads.block)
        MatMul.pack(
          x + start, stride: inner, transposed: false, inner: heads, columns: count, into: panels)
        MatMul.multiply(
          .init(data: transposed, stride: heads), panels,
          into: .init(data: result.data + start, stride: inner),
          rows: heads, columns: count, inner: heads, scratch: scratch)
        guard let bias else { continue }
        for head in 0..<heads {
          let row = result.data + start + head * inner
          for column in 0..<count { row[column] += bias[head] }
        }
      }
    }
  }
}
