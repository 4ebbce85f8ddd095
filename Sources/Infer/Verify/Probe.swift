public import Checkpoint

/// Seeded inputs that reach what models differ in: several lengths, padding, both segments.
public enum Probes {
  /// A batch of rows, the first of full length, the last of one or two tokens.
  ///
  /// Ids are drawn from the whole vocabulary without 0, so that bert4keras and transformers agree
  /// on what is padding.
  ///
  /// - Parameters:
  ///   - tokens: the ids to draw from instead, where not all will do.
  ///   - rows: at least 1.
  ///   - longest: the longest row; cut to the position table, and drawn out to where a family's
  ///     distances stop to count.
  public static func text(
    for configuration: Configuration, of family: String, tokens: [Int]? = nil, rows: Int = 4,
    longest: Int = 24, seed: UInt64 = 1
  ) -> TextInputs {
    let c = configuration
    let position = try? ArchitectureRegistry.named(family).structure.position
    let wanted =
      switch position {
      case .relative: max(longest, min(c.relativePositions + 8, 96))
      case .buckets: max(longest, 48)
      default: longest
      }
    var random = SplitMix64(seed: seed)
    // Positions behind a padding id begin behind its row of the table.
    let room =
      c.reach - (position == .absoluteAfterPadding || c.paddingToken > 0 ? c.paddingToken + 1 : 0)
    let longest = max(1, c.positions > 0 ? min(wanted, room) : wanted)
    func batch(_ longest: Int) -> [(tokens: [Int32], segments: [Int32])] {
      (0..<max(rows, 1)).map { row in
        let length = max(min(2, longest), longest - row * longest / max(rows - 1, 1))
        let second = length - length / 3  // where the second segment begins
        let last = max(c.vocabularySize - 1, 1)
        return (
          (0..<length).map { _ in
            let id =
              tokens?.randomElement(using: &random) ?? Int.random(in: 1...last, using: &random)
            return Int32(clamping: id)
          },
          (0..<length).map { $0 >= second && c.segments > 1 ? 1 : 0 }
        )
      }
    }
    let padding = Int32(clamping: tokens?.min() ?? 0)
    var arrays = TextInputs(rows: batch(longest), padding: padding).arrays
    // What only some models take: a decoder's shorter rows, states, a condition.
    let targets = TextInputs(rows: batch(max(1, longest * 2 / 3)), padding: padding).arrays
    arrays[Input.decoderTokens] = targets[Input.tokens]
    arrays[Input.decoderMask] = targets[Input.mask]
    func noise(_ shape: [Int]) -> NDArray<Float> {
      NDArray(
        shape: shape,
        values: (0..<shape.reduce(1, *)).map { _ in Float.random(in: -1...1, using: &random) })
    }
    let shape = arrays[Input.tokens]?.shape ?? [1, 1]
    if c.hasDecoder, !c.hasEncoder { arrays[Input.context] = noise(shape + [c.hiddenSize]) }
    if c.conditionSize > 0 { arrays[Input.condition] = noise([shape[0], c.conditionSize]) }
    return TextInputs(arrays: arrays)
  }
}

extension Configuration {
  /// Positions that the table of positions can tell: decomposed ones reach as far as its rows pair
  /// with each other.
  var reach: Int { hierarchicalPosition != nil ? positions * positions : positions }

  /// The sizes that inputs must keep to when two models take the same ones.
  public func common(with other: Configuration) -> Configuration {
    var common = self
    common.vocabularySize = min(vocabularySize, other.vocabularySize)
    // A model without a table takes any length.
    common.positions =
      reach == 0 || other.reach == 0 ? max(reach, other.reach) : min(reach, other.reach)
    common.hierarchicalPosition = nil
    common.paddingToken = max(paddingToken, other.paddingToken)
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
