/// One number from all elements along some axes; negative axes count from the end.
///
/// Without axes nothing is reduced, as in NumPy. Variance and standard deviation are the population's
/// (divided by the count).
public struct Reduce: Op {
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    case sum
    case mean
    case product
    /// The largest; NaN when any is.
    case max
    /// The smallest; NaN when any is.
    case min
    /// 1 when any element is not 0, else 0.
    case any
    /// 1 when no element is 0, else 0.
    case all
    /// `log Σ exp(x)`.
    case logSumExp = "log_sum_exp"
    case variance
    /// The square root of the variance.
    case std
  }

  public let kind: Kind
  public let axes: [Int]
  public let keepsDimensions: Bool

  public init(_ kind: Kind, axes: [Int], keepsDimensions: Bool = false) {
    self.kind = kind
    self.axes = axes
    self.keepsDimensions = keepsDimensions
  }

  public var name: String { "reduce_" + kind.rawValue }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    let x = try only(operands)
    var isReduced = [Bool](repeating: false, count: x.count)
    for axis in axes {
      let axis = try counted(axis, rank: x.count)
      guard !isReduced[axis] else { throw ShapeMismatch("each of the axes \(axes) once") }
      guard x[axis] != .fixed(0) || kind != .max && kind != .min else {
        throw ShapeMismatch("elements along axis \(axis)")
      }
      isReduced[axis] = true
    }
    if keepsDimensions { return zip(x, isReduced).map { $1 ? .fixed(1) : $0 } }
    return zip(x, isReduced).compactMap { $1 ? nil : $0 }
  }

  /// The axes that are reduced, of so many.
  func isReduced(rank: Int) -> [Bool] {
    let axes = Set(axes.map { $0.counted(of: rank) })
    return (0..<rank).map { axes.contains($0) }
  }
}

/// The index of the largest or smallest element along an axis, which disappears.
///
/// The first of equal ones; the first NaN where there is one, as in NumPy.
public struct ArgReduce: Op {
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    case max
    case min
  }

  public let kind: Kind
  public let axis: Int

  public init(_ kind: Kind, axis: Int) {
    self.kind = kind
    self.axis = axis
  }

  public var name: String { "arg" + kind.rawValue }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    var result = try only(operands)
    let axis = try counted(axis, rank: result.count)
    // Indices are floats, which are exact to 2²⁴.
    if case .fixed(let extent) = result[axis], !(1...(1 << 24) ~= extent) {
      throw ShapeMismatch("1 to \(1 << 24) elements along axis \(axis)")
    }
    result.remove(at: axis)
    return result
  }

  /// Whether an element takes the place of the best one before it.
  @inline(__always)
  func isBetter<Scalar: BinaryFloatingPoint>(_ x: Scalar, than best: Scalar) -> Bool {
    if best.isNaN { return false }
    return x.isNaN || (kind == .max ? x > best : x < best)
  }
}

/// The sum or product of all elements up to each one along an axis.
public struct Accumulate: Op {
  public enum Kind: String, Sendable, Hashable, CaseIterable {
    case sum
    case product
  }

  public let kind: Kind
  public let axis: Int
  /// The element itself does not count: the first result is 0, or 1 for a product.
  public let isExclusive: Bool
  /// From the end of the axis.
  public let isReversed: Bool

  public init(_ kind: Kind, axis: Int, isExclusive: Bool = false, isReversed: Bool = false) {
    self.kind = kind
    self.axis = axis
    self.isExclusive = isExclusive
    self.isReversed = isReversed
  }

  public var name: String { "cumulative_" + kind.rawValue }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    let x = try only(operands)
    _ = try counted(axis, rank: x.count)
    return x
  }
}
