public import Checkpoint

extension Activation {
  /// The value at `x`.
  public func callAsFunction<Scalar: ReferenceScalar>(_ x: Scalar) -> Scalar {
    switch self {
    case .linear: x
    // Comparisons are so put that NaN stays NaN, as in the frameworks.
    case .relu: x < 0 ? 0 : x
    case .relu6: x < 0 ? 0 : x > 6 ? 6 : x
    case .tanh: Scalar.tanh(x)
    case .sigmoid: Activation.logistic(x)
    case .geluErf: 0.5 * x * (1 + Scalar.erf(x * Scalar(0.5).squareRoot()))
    case .geluTanh:
      0.5 * x * (1 + Scalar.tanh((2 / Scalar.pi).squareRoot() * (x + 0.044715 * x * x * x)))
    case .geluQuick: x * Activation.logistic(1.702 * x)
    case .silu: x * Activation.logistic(x)
    case .mish: x * Scalar.tanh(Activation.logOnePlusExp(x))
    case .elu: x > 0 ? x : Scalar.exp(x) - 1
    case .selu:
      1.0507009873554805 * (x > 0 ? x : 1.6732632423543772 * (Scalar.exp(x) - 1))
    case .softplus: Activation.logOnePlusExp(x)
    case .softsign: x / (1 + abs(x))
    case .exponential: Scalar.exp(x)
    case .hardSigmoid: x < -2.5 ? 0 : x > 2.5 ? 1 : 0.2 * x + 0.5
    case .leakyRelu: x > 0 ? x : 0.2 * x
    case .squaredRelu: x < 0 ? 0 : x * x
    }
  }

  private static func logistic<Scalar: ReferenceScalar>(_ x: Scalar) -> Scalar {
    1 / (1 + Scalar.exp(-x))
  }

  private static func logOnePlusExp<Scalar: ReferenceScalar>(_ x: Scalar) -> Scalar {
    max(x, 0) + Scalar.log(1 + Scalar.exp(-abs(x)))
  }
}
