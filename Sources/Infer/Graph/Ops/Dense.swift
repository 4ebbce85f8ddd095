public import Checkpoint

/// A matrix product over the last axis, with an optional bias and activation:
/// `(x […, in], kernel [in, out], bias [out]?) → act(x · kernel + bias)`.
///
/// With `transposedKernel` the kernel is `[out, in]`: a tied decoder multiplies by the transposed
/// embedding table. The activation other than `linear` comes from a fusion pass.
public struct Linear: ActivatedOp {
  public var transposedKernel: Bool
  public var activation: Activation

  public init(transposedKernel: Bool = false, activation: Activation = .linear) {
    self.transposedKernel = transposedKernel
    self.activation = activation
  }

  public var name: String { "linear" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard (2...3).contains(operands.count), let width = operands[0].last, operands[1].count == 2
    else { throw ShapeMismatch("x […, in], a kernel and at most a bias") }
    let (input, output) =
      transposedKernel
      ? (operands[1][1], operands[1][0]) : (operands[1][0], operands[1][1])
    guard input == width, operands.count == 2 || operands[2] == [output] else {
      throw ShapeMismatch("a kernel that takes \(width) and a bias of \(output)")
    }
    return operands[0].dropLast() + [output]
  }
}

/// An activation, element by element.
public struct Activate: Op {
  public let activation: Activation

  public init(_ activation: Activation) { self.activation = activation }
  public var name: String { activation.rawValue }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1 else { throw ShapeMismatch("one operand") }
    return operands[0]
  }
}

/// A sum; the second operand's axes are the last ones of the first, and repeat over the others.
public struct Add: Op {
  public init() {}
  public var name: String { "add" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2, Array(operands[0].suffix(operands[1].count)) == operands[1] else {
      throw ShapeMismatch("a second operand of the first one's last axes")
    }
    return operands[0]
  }
}

/// An element-wise product; the second operand's axes are the last ones of the first, and repeat
/// over the others.
public struct Multiply: Op {
  public init() {}
  public var name: String { "multiply" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    try Add().shape(operands)
  }
}

/// A product with a constant.
public struct Scale: Op {
  public let factor: Double

  public init(by factor: Double) { self.factor = factor }
  public var name: String { "scale" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1 else { throw ShapeMismatch("one operand") }
    return operands[0]
  }
}

/// Exponentials over the last axis, divided by their sum.
public struct Softmax: Op {
  public init() {}
  public var name: String { "softmax" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1, !operands[0].isEmpty else { throw ShapeMismatch("one operand") }
    return operands[0]
  }
}
