import CKernels
import Checkpoint

extension LayerNorm {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (x, width) = (operands[0].data, result.width)
    let (gamma, beta) = operands.count == 3 ? (operands[1].data, operands[2].data) : (nil, nil)
    guard width > 0 else { return }
    workers.parallel(result.rows, grain: max(1, 4096 / width)) { range, _ in
      for row in range {
        ckpt_layer_norm(
          x + row * width, nil, gamma, beta, Float(epsilon), result.data + row * width, width)
      }
    }
  }
}

extension RMSNorm {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (x, width) = (operands[0].data, result.width)
    let gamma = operands.count > 1 ? operands[1].data : nil
    let beta = operands.count > 2 ? operands[2].data : nil
    guard width > 0 else { return }
    workers.parallel(result.rows, grain: max(1, 4096 / width)) { range, _ in
      for row in range {
        ckpt_rms_norm(
          x + row * width, gamma, beta, Float(epsilon), result.data + row * width, width)
      }
    }
  }
}

extension Modulate {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (x, gamma, width) = (operands[0].data, operands[1].data, result.width)
    let beta = operands.count == 3 ? operands[2].data : nil
    guard width > 0, let batch = result.shape.first, batch > 0 else { return }
    let perRow = result.rows / batch
    workers.parallel(result.rows, grain: max(1, 4096 / width)) { range, _ in
      for row in range {
        let (y, place) = (result.data + row * width, row / perRow * width)
        ckpt_hadamard(x + row * width, gamma + place, y, width)
        if let beta { ckpt_add(y, beta + place, y, width) }
      }
    }
  }
}

extension BatchNorm {
  /// Rows that are worked on at a time, so that few channels fill vectors too.
  private static func period(_ width: Int) -> Int { max(1, 512 / max(width, 1)) }

  /// Means, factors and shifts for that many rows.
  public func scratch(_ operands: [[Int]]) -> Int {
    let width = operands[0].last ?? 1
    return 3 * BatchNorm.period(width) * width
  }

  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (x, mean, variance, width) = (operands[0].data, operands[1], operands[2], result.width)
    let gamma = hasGamma ? operands[3].data : nil
    let beta = hasBeta ? operands[hasGamma ? 4 : 3].data : nil
    guard width > 0 else { return }
    let period = BatchNorm.period(width)
    let length = period * width
    let blocks = (result.rows + period - 1) / period
    workers.parallel(blocks, grain: max(1, 8192 / length)) { range, worker in
      let means = workers.scratch(of: worker)
      let (factors, shifts) = (means + length, means + 2 * length)
      for index in 0..<length {
        let c = index % width
        means[index] = mean.data[c]
        factors[index] = Float(
          Double(gamma?[c] ?? 1) / (Double(variance.data[c]) + epsilon).squareRoot())
        shifts[index] = beta?[c] ?? 0
      }
      for block in range {
        let count = min(length, result.count - block * length)
        let y = result.data + block * length
        ckpt_standardize(x + block * length, means, factors, shifts, y, count)
        if activation != .linear { ckpt_activate(activation.code, y, y, count) }
      }
    }
  }
}
