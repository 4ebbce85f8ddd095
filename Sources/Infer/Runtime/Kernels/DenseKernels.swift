import CKernels
import Checkpoint

extension Linear {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (x, kernel, bias) = (operands[0], operands[1], operands.count == 3 ? operands[2].data : nil)
    let (rows, inner, columns) = (x.rows, x.width, result.width)
    let bStride = kernel.width
    let code = activation.code
    workers.parallel(columns, grain: 64) { range, _ in
      let b = kernel.data + range.lowerBound * (transposedKernel ? bStride : 1)
      MatMul.multiply(
        x.data, inner, b, bStride, transposed: transposedKernel,
        into: result.data + range.lowerBound, columns, m: rows, n: range.count, k: inner)
      for row in 0..<rows {
        let y = result.data + row * columns + range.lowerBound
        if let bias { ckpt_add(y, bias + range.lowerBound, y, range.count) }
        if activation != .linear { ckpt_activate(code, y, y, range.count) }
      }
    }
  }
}

extension Activate {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let code = activation.code
    workers.parallel(result.count, grain: 4096) { range, _ in
      ckpt_activate(
        code, operands[0].data + range.lowerBound, result.data + range.lowerBound, range.count)
    }
  }
}

extension Add {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (a, b) = (operands[0], operands[1])
    guard b.count > 0 else { return }
    // Rows of the second operand's size, or of the last axis where that is all of it.
    let width = b.count == a.count ? b.width : b.count
    guard width > 0 else { return }
    workers.parallel(a.count / width, grain: max(1, 4096 / width)) { range, _ in
      for row in range {
        let start = row * width
        ckpt_add(a.data + start, b.data + start % b.count, result.data + start, width)
      }
    }
  }
}

extension LayerNorm {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (x, gamma, beta) = (operands[0].data, operands[1].data, operands[2].data)
    let width = result.width
    guard width > 0 else { return }
    workers.parallel(result.rows, grain: max(1, 4096 / width)) { range, _ in
      for row in range {
        ckpt_layer_norm(
          x + row * width, nil, gamma, beta, Float(epsilon), result.data + row * width, width)
      }
    }
  }
}

extension Softmax {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let width = result.width
    guard width > 0 else { return }
    workers.parallel(result.rows, grain: max(1, 2048 / width)) { range, _ in
      for row in range {
        let y = result.data + row * width
        y.update(from: operands[0].data + row * width, count: width)
        ckpt_softmax(y, nil, 1, width)
      }
    }
  }
}

extension Activation {
  /// The C kernels' number of the function.
  var code: ckpt_activation {
    switch self {
    case .linear: CKPT_LINEAR
    case .relu: CKPT_RELU
    case .relu6: CKPT_RELU6
    case .tanh: CKPT_TANH
    case .sigmoid: CKPT_SIGMOID
    case .geluErf: CKPT_GELU_ERF
    case .geluTanh: CKPT_GELU_TANH
    case .geluQuick: CKPT_GELU_QUICK
    case .silu: CKPT_SILU
    case .mish: CKPT_MISH
    case .elu: CKPT_ELU
    case .selu: CKPT_SELU
    case .softplus: CKPT_SOFTPLUS
    case .softsign: CKPT_SOFTSIGN
    case .exponential: CKPT_EXPONENTIAL
    case .hardSigmoid: CKPT_HARD_SIGMOID
    case .leakyRelu: CKPT_LEAKY_RELU
    case .squaredRelu: CKPT_SQUARED_RELU
    }
  }
}
