import Checkpoint

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

extension TransformOption {
  static func noise(_ summary: String) -> TransformOption {
    TransformOption("noise", "σ", summary)
  }

  static let seed = TransformOption("seed", "N", "another noise; 0 unless given")
}

extension TransformArguments {
  /// The standard deviation and the seed of the noise that is asked for.
  ///
  /// - Parameter usual: the deviation where none is given; 0 is no noise.
  func noise(
    unlessGiven usual: Double = 0
  ) throws(CheckpointError) -> (deviation: Double, seed: Int) {
    let deviation = try number("noise", in: 0...1e6) ?? usual
    let seed = try count("seed", least: 0)
    guard seed == nil || deviation > 0 else { throw wrong("seed is given without noise") }
    return (deviation, seed ?? 0)
  }
}

extension Weight {
  /// Noise of a standard deviation added to columns of a matrix, or elements of a vector.
  func addingNoise(
    _ noise: (deviation: Double, seed: Int), columns: some Sequence<Int> & Sendable
  ) -> Weight {
    guard noise.deviation > 0 else { return self }
    let (tensor, numbers, deviation) = (tensor, Noise(seed: noise.seed, name), noise.deviation)
    let width = tensor.shape.extents.last ?? 0
    let isVector = tensor.shape.rank == 1
    return computed(tensor.shape, "noise") { (range) throws(CheckpointError) in
      var values = try tensor.doubles(rows: range)
      let first = isVector ? range.lowerBound : range.lowerBound * width
      for row in isVector ? 0..<1 : range {
        for column in columns {
          let index = row * width + column
          // A vector may be asked for a part of its elements.
          if values.indices.contains(index - first) {
            values[index - first] += deviation * numbers[index]
          }
        }
      }
      return values
    }
  }
}
