internal import CStatistics

/// How the elements of two tensors of one shape differ, each looked at once.
///
/// Sums are in Float64 and of places where both are finite. NaN is equal to NaN, and −0 to 0.
/// Elements of complex tensors count as two numbers.
public struct TensorDifference: Sendable {
  /// Numbers that were compared.
  public var count: Int
  /// Whether both hold the same bytes in one type, or the same values in two types.
  public var isIdentical: Bool
  /// Numbers that are not equal.
  public var differing: Int
  /// Numbers beyond the tolerance.
  public var beyond: Int
  /// The largest |a − b|, infinite where a number meets NaN or an infinity that the other does not have.
  public var largest: Double
  /// Where that is, the first of equals, and both values; `nil` where nothing differs.
  public var worst: Place?
  /// The largest finite magnitudes.
  public var peakOfFirst: Double
  public var peakOfSecond: Double
  /// Places where one has NaN and the other does not.
  public var nanInFirst: Int
  public var nanInSecond: Int
  public var nanInBoth: Int
  /// Places, but for NaN, where one is infinite and the other is not the same infinity.
  public var infinite: Int
  /// The largest distance in units in the last place: how many numbers of the type lie between; `nil` where
  /// the two have different types, or none with such units.
  public var ulp: UInt64?
  /// The type of whose precision one is the other's rounding, where both have different types and differ.
  public var rounded: DType?
  /// Why values could not be compared, where only bytes were.
  public var unmeasured: String?
  /// ‖a − b‖².
  public var squaredDifference: Double
  /// ‖a‖², ‖b‖² and a · b.
  public var squaredFirst: Double
  public var squaredSecond: Double
  public var product: Double

  /// A place and what stands there.
  public struct Place: Sendable, Equatable {
    /// By axis, in the shape in which the two were compared.
    public var index: [Int]
    public var first: Double
    public var second: Double
  }

  /// ``largest`` over the largest magnitude of the first.
  public var relative: Double {
    largest == 0 ? 0 : peakOfFirst > 0 ? largest / peakOfFirst : .infinity
  }

  /// ‖a − b‖ / ‖a‖; NaN where there are no such sums (``holdsSquares``).
  public var relativeNorm: Double {
    guard holdsSquares else { return .nan }
    return squaredDifference == 0
      ? 0 : squaredFirst > 0 ? (squaredDifference / squaredFirst).squareRoot() : .infinity
  }

  /// The root of the mean of (a − b)².
  public var rootMeanSquare: Double {
    count > 0 ? (squaredDifference / Double(count)).squareRoot() : 0
  }

  /// Of both as vectors; 1 where both are zero, 0 where one is, and NaN where there are no such sums.
  public var cosine: Double {
    guard holdsSquares else { return .nan }
    return squaredDifference == 0
      ? 1 : TensorDifference.cosine(product, squaredFirst, squaredSecond)
  }

  /// From a · b, ‖a‖² and ‖b‖².
  static func cosine(_ product: Double, _ first: Double, _ second: Double) -> Double {
    let sizes = first.squareRoot() * second.squareRoot()
    guard sizes.isFinite, product.isFinite else { return .nan }
    return sizes > 0 ? min(1, max(-1, product / sizes)) : 0
  }

  /// Whether there are places where both are finite, if any number is, and Float64 holds the squares of what
  /// stands there: those of numbers beyond 1e154 are infinite, and below 1e-162 zero.
  var holdsSquares: Bool {
    let differing = differing - nanInFirst - nanInSecond - infinite
    return squaredFirst.isFinite && squaredSecond.isFinite && squaredDifference.isFinite
      && (squaredFirst > 0 || peakOfFirst == 0) && (squaredSecond > 0 || peakOfSecond == 0)
      && (squaredDifference > 0 || differing == 0 || unmeasured != nil)
  }
}
