internal import CStatistics

/// What can be said of a tensor's numbers after looking at each of them once.
///
/// Counts are of every number. Moments and extremes are of the finite ones, in Float64. Complex
/// tensors count as twice as many real numbers, blocks as what they stand for.
public struct Statistics: Sendable {
  private let moments: ckpt_moments
  private let sorted: Drawn
  /// Finite numbers in ascending order: all of them, or as many of the whole as ``sampleSize``.
  public var sample: [Double] { sorted.doubles }
  /// The same numbers by place, up to ``sketchSize`` of them, by which tensors of one shape can be
  /// compared roughly.
  public let sketch: [Double]

  /// Numbers that are drawn of a larger tensor: one at random of each of as many equal runs, always the
  /// same.
  public static let sampleSize = 4096
  public static let sketchSize = 256

  /// Numbers that were looked at.
  public var count: Int { finite + nan + infinite }
  public var finite: Int { Int(moments.finite) }
  public var nan: Int { Int(moments.nan) }
  public var positiveInfinite: Int { Int(moments.positive_infinite) }
  public var negativeInfinite: Int { Int(moments.negative_infinite) }
  public var infinite: Int { positiveInfinite + negativeInfinite }
  /// Zeros of both signs.
  public var zeros: Int { Int(moments.zeros) }
  public var negativeZeros: Int { Int(moments.negative_zeros) }
  /// Numbers but zero that are smaller than the stored type's least normal one.
  public var subnormals: Int { Int(moments.subnormals) }
  /// `nil` where no number is finite, as all that follow.
  public var minimum: Double? { finite > 0 ? moments.minimum : nil }
  public var maximum: Double? { finite > 0 ? moments.maximum : nil }
  public var mean: Double? { inUnits(moments.mean) }
  /// √(Σ (x − mean)² / n).
  public var standardDeviation: Double? {
    inUnits((max(0, moments.deviation) / Double(finite)).squareRoot())
  }
  /// √(Σ x²); infinite where that is beyond a Float64.
  public var norm: Double? {
    inUnits((max(0, moments.deviation) + moments.mean * moments.mean * Double(finite)).squareRoot())
  }

  private func inUnits(_ value: Double) -> Double? {
    guard finite > 0 else { return nil }
    guard moments.exponent != 0 else { return value }
    return Double(sign: .plus, exponent: Int(moments.exponent), significand: value)
  }

  /// The largest magnitude.
  public var largest: Double? { finite > 0 ? max(-moments.minimum, moments.maximum) : nil }

  /// Whether all numbers are finite and the same.
  public var isConstant: Bool { finite == count && moments.minimum == moments.maximum }

  /// Whether quantiles and histograms are exact, because the sample holds every finite number.
  public var isExact: Bool { sorted.count == finite }

  /// Finite numbers by which quantiles and histograms are estimated.
  public var sampleCount: Int { sorted.count }

  /// A quantile of the sample, between neighbours as NumPy's `linear`.
  public func quantile(_ share: Double) -> Double? {
    guard sorted.count > 0 else { return nil }
    let last = sorted.count - 1
    let place = share * Double(last)
    let below = min(last, max(0, Int(place)))
    let (a, b) = (sorted[below], sorted[min(last, below + 1)])
    let part = place - Double(below)
    guard part != 0, a != b else { return a }
    return (b - a).isFinite ? a + (b - a) * part : a * (1 - part) + b * part
  }

  public var median: Double? { quantile(0.5) }

  /// How many numbers of the sample fall into each of `bins` equal parts of the range from `low` to
  /// `high`, which belongs to the last; numbers outside are left out.
  public func histogram(bins: Int, from low: Double, to high: Double) -> [Int] {
    // Halves, since the range may be wider than the largest number.
    let width = high / 2 - low / 2
    func bin(_ value: Double) -> Int {
      if value < low { return -1 }
      if value > high { return bins }
      let place = (value / 2 - low / 2) / width * Double(bins)
      return place.isFinite ? min(bins - 1, max(0, Int(place))) : 0
    }
    var counts: [Int] = []
    var start = sorted.firstIndex { bin($0) >= 0 }
    for next in 1..<(max(0, bins) + 1) {
      let end = sorted.firstIndex { bin($0) >= next }
      counts.append(end - start)
      start = end
    }
    return counts
  }

  /// - Parameter drawn: in the order of their places.
  init(_ moments: ckpt_moments, drawn: Drawn) {
    self.moments = moments
    let step = max(1, drawn.count / Statistics.sketchSize)
    sketch = stride(from: 0, to: drawn.count, by: step).prefix(Statistics.sketchSize).map {
      drawn[$0]
    }
    sorted = drawn.finiteAscending()
  }
}

extension DType {
  /// The least positive number that has the type's full precision; 0 where there is none.
  var leastNormal: Double {
    switch self {
    case .f64, .c128: .leastNormalMagnitude
    case .f32, .c64: Double(Float.leastNormalMagnitude)
    case .f16: 0x1p-14
    case .bf16: Double(Float.leastNormalMagnitude)
    default: MiniFloat.of(self)?.leastNormal ?? 0
    }
  }
}
