extension Rectify {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (slope, threshold, most) = (S(negativeSlope), S(threshold), maxValue.map { S($0) })
    return NDArray(
      shape: shape,
      values: operands[0].values.map { x in
        if let most, x >= most { return most }
        if x <= threshold { return slope == 0 ? 0 : slope * (x - threshold) }
        return x
      })
  }
}

extension ParametricActivation {
  @_specialize(where S == Double)
  @_specialize(where S == Float)
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    NDArray(shape: shape, values: operands[0].values.map { kind.value($0) })
  }
}

extension ParametricActivation.Kind {
  // NaN stays NaN where the frameworks keep it: comparisons are so put.
  @_specialize(where S == Double)
  @_specialize(where S == Float)
  func value<S: ReferenceScalar>(_ x: S) -> S {
    switch self {
    case .leakyRelu(let slope): return x > 0 ? x : S(slope) * x
    case .elu(let alpha): return x > 0 ? x : S(alpha) * S.expm1(x)
    case .celu(let alpha): return x > 0 ? x : S(alpha) * S.expm1(x / S(alpha))
    case .threshold(let value, let replacement): return x > S(value) ? x : S(replacement)
    case .thresholdedRelu(let theta): return x <= S(theta) ? 0 : x
    case .hardShrink(let lambda): return x.magnitude <= S(lambda) ? 0 : x
    case .softShrink(let lambda):
      return x > S(lambda) ? x - S(lambda) : x < -S(lambda) ? x + S(lambda) : x.isNaN ? x : 0
    case .hardTanh: return x < -1 ? -1 : x > 1 ? 1 : x
    case .hardSigmoid6: return x < -3 ? 0 : x > 3 ? 1 : (x + 3) / 6
    case .hardSilu: return x < -3 ? 0 : x > 3 ? x : x * ((x + 3) / 6)
    case .logSigmoid: return (x < 0 ? x : 0) - S.log1p(S.exp(-x.magnitude))
    case .tanhShrink: return x - S.tanh(x)
    case .squarePlus(let b):
      // Below 0 the root nearly cancels x; the same by the third binomial formula does not.
      let root = (x * x + S(b)).squareRoot()
      return x < 0 ? S(b) / (root - x) / 2 : (x + root) / 2
    case .sparsePlus: return x <= -1 ? 0 : x < 1 ? (x + 1) * (x + 1) / 4 : x
    case .sparseSigmoid: return x <= -1 ? 0 : x < 1 ? (x + 1) / 2 : x.isNaN ? x : 1
    }
  }
}
