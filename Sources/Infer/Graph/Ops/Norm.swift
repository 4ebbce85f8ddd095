public import Checkpoint

/// Layer normalization over the last axis (arXiv 1607.06450):
/// `(x) → (x − mean) / √(variance + epsilon)`, `(x, gamma, beta) → gamma · that + beta`.
public struct LayerNorm: Op {
  public let epsilon: Double

  public init(epsilon: Double) { self.epsilon = epsilon }
  public var name: String { "layer_norm" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1 || operands.count == 3, let width = operands[0].last,
      operands[1...].allSatisfy({ $0 == [width] })
    else { throw ShapeMismatch("x […, width], or x, gamma [width] and beta [width]") }
    return operands[0]
  }
}

/// Root mean square normalization over the last axis (arXiv 1910.07467):
/// `(x, gamma?, beta?) → x / √(mean(x²) + epsilon) · gamma + beta`.
public struct RMSNorm: Op {
  public let epsilon: Double

  public init(epsilon: Double) { self.epsilon = epsilon }
  public var name: String { "rms_norm" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard (1...3).contains(operands.count), let width = operands[0].last,
      operands[1...].allSatisfy({ $0 == [width] })
    else { throw ShapeMismatch("x […, width] and at most gamma [width] and beta [width]") }
    return operands[0]
  }
}

/// One gain and shift for each row of the batch, as conditional normalization has them
/// (arXiv 1707.00683): `(x [batch, …, width], gamma [batch, width], beta [batch, width]?)
/// → x · gamma + beta`.
public struct Modulate: Op {
  public init() {}
  public var name: String { "modulate" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard (2...3).contains(operands.count), operands[0].count >= 2,
      let batch = operands[0].first, let width = operands[0].last,
      operands[1...].allSatisfy({ $0 == [batch, width] })
    else { throw ShapeMismatch("x [batch, …, width], gamma and at most beta [batch, width]") }
    return operands[0]
  }
}

/// Batch normalization with the moments of training (arXiv 1502.03167), over the last axis:
/// `(x […, c], mean [c], variance [c], gamma [c]?, beta [c]?)
/// → act(gamma · (x − mean) / √(variance + epsilon) + beta)`.
///
/// The activation other than `linear` comes from a fusion pass.
public struct BatchNorm: ActivatedOp {
  public let epsilon: Double
  public var activation: Activation
  /// Whether there are gains; else they are 1.
  public let hasGamma: Bool
  /// Whether there are shifts; else they are 0.
  public let hasBeta: Bool

  public init(
    epsilon: Double, activation: Activation = .linear, hasGamma: Bool = true, hasBeta: Bool = true
  ) {
    self.epsilon = epsilon
    self.activation = activation
    self.hasGamma = hasGamma
    self.hasBeta = hasBeta
  }

  public var name: String { "batch_norm" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 3 + (hasGamma ? 1 : 0) + (hasBeta ? 1 : 0),
      let width = operands[0].last, operands[1...].allSatisfy({ $0 == [width] })
    else {
      throw ShapeMismatch(
        "x […, c], mean and variance\(hasGamma ? ", gamma" : "")\(hasBeta ? ", beta" : "") [c]")
    }
    return operands[0]
  }
}
