import Glibc

/// Numbers of the standard normal distribution, and uniform ones, the same for a seed everywhere but for the last
/// digits of the C library's functions.
///
/// Source: Box and Muller, "A note on the generation of random normal deviates", 1958.
public struct GaussianNoise: Sendable {
  private var random: SplitMix64
  private var spare: Double?

  public init(seed: UInt64) { random = SplitMix64(seed: seed) }

  /// From [0, 1).
  public mutating func uniform() -> Double { Double(random.next() >> 11) * 0x1p-53 }

  public mutating func next() -> Double {
    if let spare {
      self.spare = nil
      return spare
    }
    // From (0, 1], whose logarithm is finite.
    let radius = (-2 * log(1 - uniform())).squareRoot()
    let angle = 2 * Double.pi * uniform()
    spare = radius * sin(angle)
    return radius * cos(angle)
  }

  public mutating func array(_ count: Int) -> [Float] { (0..<count).map { _ in Float(next()) } }
}
