/// Numbers of mean 0 and standard deviation 1, nearly normal, one for each index: those of any part of a
/// weight can be had without the others, and are the same on every machine.
struct Noise {
  private let key: UInt64

  /// - Parameter name: what the numbers are for, so that two weights get different ones.
  init(seed: Int, _ name: String) {
    // FNV-1a.
    let hash = name.utf8.reduce(0xcbf2_9ce4_8422_2325 as UInt64) {
      ($0 ^ UInt64($1)) &* 0x100_0000_01b3
    }
    key = Noise.mixed(UInt64(bitPattern: Int64(seed))) ^ hash
  }

  /// The sum of twelve numbers from [0, 1), which has variance 1, less its mean: sums need no library
  /// whose last digit differs from machine to machine.
  subscript(index: Int) -> Double {
    let start = Noise.mixed(key ^ UInt64(bitPattern: Int64(index)))
    var sum = -6.0
    for turn in 0..<12 as Range<UInt64> {
      sum += Double(Noise.mixed(start &+ turn) >> 11) * 0x1p-53
    }
    return sum
  }

  /// SplitMix64's output of a state (Steele, Lea, Flood 2014).
  private static func mixed(_ state: UInt64) -> UInt64 {
    var z = state &+ 0x9e37_79b9_7f4a_7c15
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
