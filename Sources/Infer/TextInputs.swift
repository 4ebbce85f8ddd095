public import Checkpoint

/// What transformer families take: token ids, segments, and what is padding.
public struct TextInputs: Sendable {
  /// The arrays under the graph's input names, each `[batch, length]`.
  public let arrays: [String: NDArray<Float>]

  public var batch: Int { arrays[EncoderBuilder.tokens]?.shape[0] ?? 0 }
  public var length: Int { arrays[EncoderBuilder.tokens]?.shape[1] ?? 0 }

  private static let names: [(input: String, spellings: [String])] = [
    (EncoderBuilder.tokens, ["Input-Token", "input_ids", "tokens"]),
    (EncoderBuilder.segments, ["Input-Segment", "token_type_ids", "segments"]),
    (EncoderBuilder.mask, ["attention_mask", "mask"]),
  ]

  /// Takes arrays as bert4keras or transformers name them.
  ///
  /// Missing segments are 0; a missing mask follows the model's padding rule. One-dimensional arrays
  /// are one row.
  ///
  /// - Throws: ``InferError`` naming an array that is missing, unknown, given twice or misshapen.
  public init(
    named given: [String: NDArray<Float>], padding: Configuration.PaddingRule
  ) throws(InferError) {
    var arrays: [String: NDArray<Float>] = [:]
    for name in given.keys.sorted() {
      guard let array = given[name] else { continue }
      guard let input = TextInputs.names.first(where: { $0.spellings.contains(name) })?.input
      else {
        throw InferError(
          .input, name, "the model has no such input",
          hint: "inputs: "
            + TextInputs.names.map { $0.spellings.joined(separator: " or ") }
            .joined(separator: "; "))
      }
      guard arrays[input] == nil else {
        throw InferError(.input, name, "stands there twice, under two names")
      }
      guard (1...2).contains(array.shape.count) else {
        throw InferError(.input, name, "has shape \(array.shape); expected [batch, length]")
      }
      arrays[input] =
        array.shape.count == 1 ? NDArray(shape: [1] + array.shape, values: array.values) : array
    }
    guard let tokens = arrays[EncoderBuilder.tokens] else {
      throw InferError(.input, "Input-Token", "is missing (or input_ids)")
    }
    if let mask = arrays[EncoderBuilder.mask],
      let odd = mask.values.first(where: { $0 != 0 && $0 != 1 })
    {
      throw InferError(
        .input, "attention_mask", "holds \(odd); expected 1 for tokens and 0 for padding")
    }
    if arrays[EncoderBuilder.segments] == nil {
      arrays[EncoderBuilder.segments] = NDArray(zeros: tokens.shape)
    }
    if arrays[EncoderBuilder.mask] == nil {
      arrays[EncoderBuilder.mask] = TextInputs.mask(tokens, padding)
    }
    self.arrays = arrays
  }

  /// Rows of ids of different lengths, padded with 0 to the longest.
  public init(rows: [(tokens: [Int32], segments: [Int32])]) {
    let length = max(rows.map(\.tokens.count).max() ?? 0, 1)
    var tokens = NDArray<Float>(zeros: [rows.count, length])
    var segments = tokens
    var mask = tokens
    for (row, ids) in rows.enumerated() {
      for position in ids.tokens.indices {
        tokens.values[row * length + position] = Float(ids.tokens[position])
        segments.values[row * length + position] = Float(ids.segments[position])
        mask.values[row * length + position] = 1
      }
    }
    arrays = [
      EncoderBuilder.tokens: tokens, EncoderBuilder.segments: segments, EncoderBuilder.mask: mask,
    ]
  }

  private static func mask(
    _ tokens: NDArray<Float>, _ padding: Configuration.PaddingRule
  ) -> NDArray<Float> {
    let length = tokens.shape[1]
    return NDArray(
      shape: tokens.shape,
      values: tokens.values.indices.map { index in
        switch padding {
        case .attentionMask: 1
        case .tokenZero: tokens.values[index] > 0 || index % length == 0 ? 1 : 0
        }
      })
  }
}
