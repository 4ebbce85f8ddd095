import CKernels

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
