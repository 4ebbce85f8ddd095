/// Keras' ReLU layer with all its arguments.
///
/// `maxValue` from there on; `x` above the threshold; else `negativeSlope · (x − threshold)`. At the
/// threshold itself the result is 0: so Keras computes it, whatever its documentation says. A slope of
/// 0 gives 0 for all numbers, and NaN stays.
public struct Rectify: Op {
  public let negativeSlope: Double
  public let threshold: Double
  public let maxValue: Double?

  public init(negativeSlope: Double = 0, threshold: Double = 0, maxValue: Double? = nil) {
    self.negativeSlope = negativeSlope
    self.threshold = threshold
    self.maxValue = maxValue
  }

  public var name: String { "rectify" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    try only(operands)
  }
}

/// An activation with a parameter, or one of the rarer ones of Keras 3, element by element.
public struct ParametricActivation: Op {
  public enum Kind: Sendable, Hashable {
    /// `x` above 0, else `slope · x`.
    case leakyRelu(Double)
    /// `x` above 0, else `alpha · (exp(x) − 1)`.
    case elu(Double)
    /// `x` above 0, else `alpha · (exp(x / alpha) − 1)`.
    case celu(Double)
    /// `x` above the value, else the replacement.
    case threshold(Double, Double)
    /// `x` above theta, else 0.
    case thresholdedRelu(Double)
    /// `x` where `|x| > lambda`, else 0.
    case hardShrink(Double)
    /// `x` moved towards 0 by lambda, and 0 between.
    case softShrink(Double)
    /// `max(−1, min(1, x))`.
    case hardTanh
    /// `relu6(x + 3) / 6`: Keras 3's hard sigmoid, and PyTorch's.
    case hardSigmoid6
    /// `x · relu6(x + 3) / 6`, also called hard swish.
    case hardSilu
    /// `−softplus(−x)`.
    case logSigmoid
    /// `x − tanh(x)`.
    case tanhShrink
    /// `(x + √(x² + b)) / 2`.
    case squarePlus(Double)
    /// 0 up to −1, `(x + 1)² / 4` up to 1, then `x`.
    case sparsePlus
    /// 0 up to −1, `(x + 1) / 2` up to 1, then 1.
    case sparseSigmoid
  }

  public let kind: Kind

  public init(kind: Kind) { self.kind = kind }

  public var name: String {
    switch kind {
    case .leakyRelu: "leaky_relu"
    case .elu: "elu"
    case .celu: "celu"
    case .threshold: "threshold"
    case .thresholdedRelu: "thresholded_relu"
    case .hardShrink: "hard_shrink"
    case .softShrink: "soft_shrink"
    case .hardTanh: "hard_tanh"
    case .hardSigmoid6: "hard_sigmoid"
    case .hardSilu: "hard_silu"
    case .logSigmoid: "log_sigmoid"
    case .tanhShrink: "tanh_shrink"
    case .squarePlus: "squareplus"
    case .sparsePlus: "sparse_plus"
    case .sparseSigmoid: "sparse_sigmoid"
    }
  }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    try only(operands)
  }
}
