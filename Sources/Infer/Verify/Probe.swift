public import Checkpoint

/// Seeded inputs that reach what models differ in: several lengths, padding, both segments.
public enum Probes {
  /// A batch of rows, the first of full length, the last of one or two tokens.
  ///
  /// Ids are drawn from the whole vocabulary without 0, so that bert4keras and transformers agree
  /// on what is padding.
  ///
  /// - Parameters:
  ///   - rows: at least 1.
  ///   - longest: the longest row; cut to the position table.
  public static func text(
    for configuration: Configuration, rows: Int = 4, longest: Int = 24, seed: UInt64 = 1
  ) -> TextInputs {
    var random = SplitMix64(seed: seed)
    let longest = max(1, min(longest, configuration.positions))
    let batch = (0..<max(rows, 1)).map { row -> (tokens: [Int32], segments: [Int32]) in
      let length = max(min(2, longest), longest - row * longest / max(rows - 1, 1))
      let second = length - length / 3  // where the second segment begins
      let last = Int32(clamping: max(configuration.vocabularySize - 1, 1))
      return (
        (0..<length).map { _ in Int32.random(in: 1...last, using: &random) },
        (0..<length).map { $0 >= second && configuration.segments > 1 ? 1 : 0 }
      )
    }
    return TextInputs(rows: batch)
  }
}

extension Configuration {
  /// The sizes that inputs must keep to when two models take the same ones.
  public func common(with other: Configuration) -> Configuration {
    var common = self
    common.vocabularySize = min(vocabularySize, other.vocabularySize)
    common.positions = min(positions, other.positions)
    common.segments = min(segments, other.segments)
    return common
  }
}

/// A small generator that gives the same numbers everywhere.
///
/// Source: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", 2014.
public struct SplitMix64: RandomNumberGenerator, Sendable {
  private var state: UInt64

  public init(seed: UInt64) { state = seed }

  public mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
