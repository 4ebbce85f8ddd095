import Checkpoint

/// How two arrays that should be equal differ.
public struct Comparison: Sendable, Equatable {
  /// The value's name in the source, and in the result where it differs.
  public var name: String
  public var otherName: String?
  public var shape: [Int]
  /// The largest and the mean absolute difference; infinite when NaN meets a number.
  public var largest: Double
  public var mean: Double
  /// `largest` over the largest absolute element of the source.
  public var relative: Double
  /// Of the arrays as vectors; 1 when both are zero.
  public var cosine: Double
  /// Where the largest difference is.
  public var index: [Int]
  /// The share of rows (over the last axis) whose largest element is at the same place.
  public var argmaxAgreement: Double

  /// Whether there is NaN at the same place in both, where nothing can differ.
  public var isBlind = false

  /// Why nothing could be compared, when shapes differ.
  public var misfit: String?

  /// Two values that cannot be compared.
  public init(_ name: String, misfit: String) {
    self.name = name
    self.misfit = misfit
    (shape, index) = ([], [])
    (largest, mean, relative) = (.infinity, .infinity, .infinity)
    (cosine, argmaxAgreement) = (0, 0)
  }

  /// Compares two arrays of one shape.
  public init<Scalar>(
    _ name: String, _ a: NDArray<Scalar>, _ b: NDArray<Scalar>, otherName: String? = nil
  ) {
    self.name = name
    self.otherName = otherName == name ? nil : otherName
    shape = a.shape
    var isBlind = false
    var (largest, sum, place, peak) = (0.0, 0.0, 0, 0.0)
    var (dot, normA, normB) = (0.0, 0.0, 0.0)
    a.values.withUnsafeBufferPointer { left in
      b.values.withUnsafeBufferPointer { right in
        for position in left.indices {
          let (x, y) = (Double(left[position]), Double(right[position]))
          let delta = x == y || (x.isNaN && y.isNaN) ? 0 : abs(x - y)
          let difference = delta.isNaN ? Double.infinity : delta
          if difference > largest { (largest, place) = (difference, position) }
          sum += difference
          if x.isNaN, y.isNaN { isBlind = true }
          if x.isFinite { peak = max(peak, abs(x)) }
          if x.isFinite, y.isFinite {
            dot += x * y
            normA += x * x
            normB += y * y
          }
        }
      }
    }
    self.isBlind = isBlind
    self.largest = largest
    mean = a.values.isEmpty ? 0 : sum / Double(a.values.count)
    relative = largest == 0 ? 0 : peak == 0 ? .infinity : largest / peak
    cosine =
      normA == 0 && normB == 0 ? 1 : min(1, dot / max((normA * normB).squareRoot(), 1e-300))
    index = Shape(a.shape).coordinates(of: place)
    argmaxAgreement = Comparison.agreement(a, b)
  }

  private static func agreement<Scalar>(_ a: NDArray<Scalar>, _ b: NDArray<Scalar>) -> Double {
    guard let width = a.shape.last, width > 0, !a.values.isEmpty else { return 1 }
    let rows = a.values.count / width
    func peak(_ values: [Scalar], _ row: Int) -> Int {
      var best = row * width
      for index in (row * width)..<((row + 1) * width) where values[index] > values[best] {
        best = index
      }
      return best
    }
    let same = (0..<rows).count { peak(a.values, $0) == peak(b.values, $0) }
    return Double(same) / Double(rows)
  }
}
