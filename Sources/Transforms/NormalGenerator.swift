import Glibc

/// Normally distributed numbers, the same for the same seed on every machine of one C library.
///
/// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014) and the
/// transform of Box and Muller.
struct NormalGenerator {
  private var state: UInt64
  private var spare: Double?

  init(seed: UInt64) { state = seed }

  private mutating func bits() -> UInt64 {
    state &+= 0x9E37_79B9_7F4A_7C15
    var z = state
    z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
    z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
    return z ^ (z >> 31)
  }

  /// A number in (0, 1].
  private mutating func uniform() -> Double { Double((bits() >> 11) + 1) * 0x1p-53 }

  /// A number of mean 0 and deviation 1.
  mutating func next() -> Double {
    if let number = spare {
      spare = nil
      return number
    }
    let (radius, angle) = ((-2 * log(uniform())).squareRoot(), 2 * Double.pi * uniform())
    spare = radius * sin(angle)
    return radius * cos(angle)
  }
}
