import CKernels
import Glibc

extension Rectify {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (slope, threshold) = (Float(negativeSlope), Float(threshold))
    let most = maxValue.map { Float($0) } ?? .infinity
    let (x, y) = (operands[0].data, result.data)
    workers.parallel(result.count, grain: 4096) { range, _ in
      if slope == 0 {
        for i in range { y[i] = x[i] >= most ? most : x[i] <= threshold ? 0 : x[i] }
      } else {
        for i in range {
          y[i] = x[i] >= most ? most : x[i] <= threshold ? slope * (x[i] - threshold) : x[i]
        }
      }
    }
  }
}

extension ParametricActivation {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    workers.parallel(result.count, grain: 4096) { range, _ in
      kind.run(operands[0].data + range.lowerBound, result.data + range.lowerBound, range.count)
    }
  }
}

extension ParametricActivation.Kind {
  /// `y[i] = f(x[i])`.
  fileprivate func run(
    _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    @inline(__always) func each(_ f: (Float) -> Float) {
      for i in 0..<count { y[i] = f(x[i]) }
    }
    switch self {
    case .leakyRelu(let slope):
      let slope = Float(slope)
      each { $0 > 0 ? $0 : slope * $0 }
    case .elu(1): ckpt_activate(CKPT_ELU, x, y, count)
    case .elu(let alpha):
      let alpha = Float(alpha)
      each { $0 > 0 ? $0 : alpha * expm1f($0) }
    case .celu(let alpha):
      let alpha = Float(alpha)
      each { $0 > 0 ? $0 : alpha * expm1f($0 / alpha) }
    case .threshold(let value, let replacement):
      let (value, replacement) = (Float(value), Float(replacement))
      each { $0 > value ? $0 : replacement }
    case .thresholdedRelu(let theta):
      let theta = Float(theta)
      each { $0 <= theta ? 0 : $0 }
    case .hardShrink(let lambda):
      let lambda = Float(lambda)
      each { $0.magnitude <= lambda ? 0 : $0 }
    case .softShrink(let lambda):
      let lambda = Float(lambda)
      each { $0 > lambda ? $0 - lambda : $0 < -lambda ? $0 + lambda : $0 != $0 ? $0 : 0 }
    case .hardTanh: each { $0 < -1 ? -1 : $0 > 1 ? 1 : $0 }
    case .hardSigmoid6: each { $0 < -3 ? 0 : $0 > 3 ? 1 : ($0 + 3) / 6 }
    case .hardSilu: each { $0 < -3 ? 0 : $0 > 3 ? $0 : $0 * (($0 + 3) / 6) }
    case .logSigmoid: each { ($0 < 0 ? $0 : 0) - log1pf(expf(-$0.magnitude)) }
    case .tanhShrink: each { $0 - tanhf($0) }
    case .squarePlus(let b):
      let b = Float(b)
      each { x in
        // So written that nothing cancels.
        let root = (x * x + b).squareRoot()
        return x < 0 ? b / (root - x) / 2 : (x + root) / 2
      }
    case .sparsePlus: each { $0 <= -1 ? 0 : $0 < 1 ? ($0 + 1) * ($0 + 1) / 4 : $0 }
    case .sparseSigmoid: each { $0 <= -1 ? 0 : $0 < 1 ? ($0 + 1) / 2 : $0 != $0 ? $0 : 1 }
    }
  }
}
