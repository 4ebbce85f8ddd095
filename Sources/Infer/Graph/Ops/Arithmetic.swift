/// A function of two operands, element by element; their shapes repeat by NumPy's rule.
///
/// Truth values are 1 and 0; every number but 0 is true.
public struct Binary: Op {
  public enum Function: String, Sendable, Hashable, CaseIterable {
    case add
    case subtract
    case multiply
    case divide
    /// `floor(a / b)`, as in TensorFlow.
    case floorDivide = "floor_divide"
    /// What remains of a division rounded down: 0, or of `b`'s sign.
    case remainder
    case power
    /// The larger one; NaN when either is.
    case maximum
    /// The smaller one; NaN when either is.
    case minimum
    /// `(a − b)²`.
    case squaredDifference = "squared_difference"
    /// The angle of the point `(b, a)`.
    case arctan2
    case equal
    case notEqual = "not_equal"
    case less
    case lessEqual = "less_equal"
    case greater
    case greaterEqual = "greater_equal"
    case and = "logical_and"
    case or = "logical_or"
    case xor = "logical_xor"
  }

  public let function: Function

  public init(_ function: Function) { self.function = function }
  public var name: String { function.rawValue }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2 else { throw ShapeMismatch("two operands") }
    return try broadcast(operands)
  }
}

/// A function of every element.
public struct Unary: Op {
  public enum Function: String, Sendable, Hashable, CaseIterable {
    case negate
    case abs
    /// -1, 0 or 1.
    case sign
    case square
    case sqrt
    /// `1 / √x`.
    case rsqrt
    /// `1 / x`.
    case reciprocal
    case exp
    /// `exp(x) − 1`.
    case expm1
    case log
    /// `log(1 + x)`.
    case log1p
    case log2
    case log10
    case sin
    case cos
    case tan
    case asin
    case acos
    case atan
    case sinh
    case cosh
    case tanh
    case asinh
    case acosh
    case atanh
    case floor
    case ceil
    /// To the nearest whole number, halves to the even one.
    case round
    /// Towards 0.
    case trunc
    case erf
    /// 1 where `x` is 0, else 0.
    case logicalNot = "logical_not"
    case isFinite = "is_finite"
    case isNaN = "is_nan"
    case isInfinite = "is_infinite"
  }

  public let function: Function

  public init(_ function: Function) { self.function = function }
  public var name: String { function.rawValue }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    try only(operands)
  }
}

/// `min(max(x, min), max)`; NaN stays.
public struct Clip: Op {
  public let min: Double
  public let max: Double

  public init(min: Double, max: Double) {
    self.min = min
    self.max = max
  }

  public var name: String { "clip" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    try only(operands)
  }
}

/// `a` where the condition is not 0, else `b`: `(condition, a, b)`, which repeat by NumPy's rule.
public struct Select: Op {
  public init() {}
  public var name: String { "where" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 3 else { throw ShapeMismatch("a condition and two operands") }
    return try broadcast(operands)
  }
}

/// The number of boundaries that are not larger than each element: Keras' Discretization.
///
/// Boundaries are compared as Float32, as there; all of them count for NaN.
public struct Bucketize: Op {
  public let boundaries: [Double]

  public init(boundaries: [Double]) { self.boundaries = boundaries }
  public var name: String { "bucketize" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard zip(boundaries, boundaries.dropFirst()).allSatisfy({ $0 <= $1 }),
      boundaries.allSatisfy({ !$0.isNaN })
    else { throw ShapeMismatch("boundaries in ascending order") }
    return try only(operands)
  }
}

/// A matrix product over the last two axes: `(a […, m, k], b […, k, n]) → […, m, n]`.
///
/// The axes before them repeat by NumPy's rule. With `transposesA` the first operand is
/// `[…, k, m]`, with `transposesB` the second one `[…, n, k]`.
public struct MatrixProduct: Op {
  public let transposesA: Bool
  public let transposesB: Bool

  public init(transposesA: Bool = false, transposesB: Bool = false) {
    self.transposesA = transposesA
    self.transposesB = transposesB
  }

  public var name: String { "matrix_product" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2, operands.allSatisfy({ $0.count >= 2 }) else {
      throw ShapeMismatch("two operands of two axes at least")
    }
    let (a, b) = (Array(operands[0].suffix(2)), Array(operands[1].suffix(2)))
    let (rows, inner) = transposesA ? (a[1], a[0]) : (a[0], a[1])
    let (other, columns) = transposesB ? (b[1], b[0]) : (b[0], b[1])
    guard inner == other else { throw ShapeMismatch("the same inner extent in both") }
    let outer = try broadcast(operands.map { $0.dropLast(2) })
    let result = outer + [rows, columns]
    if let extents = result.fixed { return try fixed(extents) }
    return result
  }
}

/// The shape of a single operand.
func only(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
  guard operands.count == 1 else { throw ShapeMismatch("one operand") }
  return operands[0]
}
