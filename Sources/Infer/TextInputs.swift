public import Checkpoint

/// What transformer families take: token ids, segments, what is padding, and what some take besides.
public struct TextInputs: Sendable {
  /// The arrays under the graph's input names (``Input``).
  public let arrays: [String: NDArray<Float>]

  /// Rows of the batch, and positions of a row: the encoder's where there are two sequences.
  public var batch: Int { first?.shape[0] ?? 0 }
  public var length: Int { first?.shape[1] ?? 0 }

  private var first: NDArray<Float>? {
    arrays[Input.tokens] ?? arrays[Input.context] ?? arrays[Input.decoderTokens]
  }

  init(arrays: [String: NDArray<Float>]) { self.arrays = arrays }

  /// Takes arrays as bert4keras or transformers name them.
  ///
  /// Missing segments are 0, missing positions 0, 1, 2, …; a missing mask follows the model's padding
  /// rule. One-dimensional arrays are one row.
  ///
  /// - Throws: ``InferError`` naming an array that is missing, unknown, given twice or misshapen.
  public init(
    named given: [String: NDArray<Float>], padding: Configuration.PaddingRule, for graph: Graph
  ) throws(InferError) {
    var arrays: [String: NDArray<Float>] = [:]
    let needed = graph.inputs.map { graph[$0].name }
    // keras-bert's Input-Masked tells where its loss looks; no output depends on it.
    for name in given.keys.sorted() where name != "Input-Masked" {
      guard let array = given[name] else { continue }
      guard let kind = Kind.spelled(name, among: needed) else {
        throw InferError(
          .input, name, "the model has no such input",
          hint: "inputs: "
            + Kind.all.filter { needed.contains($0.input) }
            .map { $0.spellings.joined(separator: " or ") }.joined(separator: "; "))
      }
      guard arrays[kind.input] == nil else {
        throw InferError(.input, name, "stands there twice, under two names")
      }
      let ranks = [kind.rank - 1, kind.rank]
      guard ranks.contains(array.shape.count) else {
        throw InferError(.input, name, "has shape \(array.shape); expected \(kind.axes)")
      }
      let isRow = array.shape.count < kind.rank
      let whole = isRow ? NDArray(shape: [1] + array.shape, values: array.values) : array
      if needed.contains(kind.input) {
        arrays[kind.input] = whole
      } else if kind.input == Input.positions {
        throw InferError(
          .input, name, "the model takes none; it counts them",
          hint: "a model built to take them: --set custom_position_ids=true")
      } else if whole.values.contains(where: { $0 != 0 }) {
        throw InferError(.input, name, "the model takes none; only zeros may be given")
      }
    }
    try TextInputs.complete(&arrays, needed, padding)
    self.arrays = arrays
  }

  /// Adds what may be missing, and checks masks.
  private static func complete(
    _ arrays: inout [String: NDArray<Float>], _ needed: [String],
    _ padding: Configuration.PaddingRule
  ) throws(InferError) {
    for input in [Input.tokens, Input.decoderTokens, Input.context, Input.condition]
    where needed.contains(input) && arrays[input] == nil {
      let spellings = Kind.all.first { $0.input == input }?.spellings ?? [input]
      throw InferError(
        .input, spellings[0], "is missing (or \(spellings.dropFirst().joined(separator: ", ")))")
    }
    if let tokens = arrays[Input.tokens], arrays[Input.segments] == nil {
      arrays[Input.segments] = NDArray(zeros: tokens.shape)
    }
    for (mask, tokens) in [(Input.mask, Input.tokens), (Input.decoderMask, Input.decoderTokens)]
    where needed.contains(mask) {
      if let given = arrays[mask] {
        guard let odd = given.values.first(where: { $0 != 0 && $0 != 1 }) else { continue }
        throw InferError(
          .input, mask == Input.mask ? "attention_mask" : "decoder_attention_mask",
          "holds \(odd); expected 1 for tokens and 0 for padding")
      } else if let ids = arrays[tokens] {
        arrays[mask] = TextInputs.mask(ids, arrays[Input.segments], padding)
      } else if let context = arrays[Input.context] {
        let shape = Array(context.shape.prefix(2))
        arrays[mask] = NDArray(
          shape: shape, values: [Float](repeating: 1, count: shape.reduce(1, *)))
      }
    }
    guard let tokens = arrays[Input.tokens] else { return }
    if arrays[Input.positions] == nil {
      let length = max(tokens.shape[1], 1)
      arrays[Input.positions] = NDArray(
        shape: tokens.shape, values: tokens.values.indices.map { Float($0 % length) })
    }
  }

  /// Rows of ids of different lengths, padded to the longest.
  ///
  /// - Parameter length: how long rows are at least.
  public init(
    rows: [(tokens: [Int32], segments: [Int32])], padding: Int32 = 0, length least: Int? = nil
  ) {
    let length = max(rows.map(\.tokens.count).max() ?? 0, least ?? 1, 1)
    var segments = NDArray<Float>(zeros: [rows.count, length])
    var tokens = NDArray(
      shape: segments.shape, values: segments.values.map { _ in Float(padding) })
    var mask = segments
    var positions = segments
    for (row, ids) in rows.enumerated() {
      for position in ids.tokens.indices {
        tokens.values[row * length + position] = Float(ids.tokens[position])
        segments.values[row * length + position] = Float(ids.segments[position])
        mask.values[row * length + position] = 1
      }
      for position in 0..<length { positions.values[row * length + position] = Float(position) }
    }
    arrays = [
      Input.tokens: tokens, Input.segments: segments, Input.mask: mask, Input.positions: positions,
    ]
  }

  private static func mask(
    _ tokens: NDArray<Float>, _ segments: NDArray<Float>?, _ padding: Configuration.PaddingRule
  ) -> NDArray<Float> {
    let length = tokens.shape[1]
    // A row's first position never counts as padding.
    func isGiven(_ ids: NDArray<Float>, _ index: Int) -> Bool {
      ids.values[index] > 0 || index % length == 0
    }
    return NDArray(
      shape: tokens.shape,
      values: tokens.values.indices.map { index in
        switch padding {
        case .attentionMask: 1
        case .everyTokenZero: tokens.values[index] > 0 ? 1 : 0
        case .tokenZero: isGiven(tokens, index) ? 1 : 0
        case .tokenOrSegmentZero:
          isGiven(tokens, index)
            && (segments.map { $0.shape == tokens.shape && isGiven($0, index) } ?? false) ? 1 : 0
        }
      })
  }

  /// The first rows and positions.
  func cut(rows: Int, length: Int) -> TextInputs {
    TextInputs(
      arrays: Dictionary(
        uniqueKeysWithValues: arrays.map { name, array in
          var shape = array.shape
          shape[0] = min(rows, shape[0])
          if shape.count > 1, name != Input.condition { shape[1] = min(length, shape[1]) }
          let inner = array.shape.dropFirst(2).reduce(1, *)
          let (columns, stride) = (
            shape.count > 1 ? shape[1] * inner : 1,
            array.shape.count > 1 ? array.shape[1] * inner : 1
          )
          let values = (0..<shape[0]).flatMap { row in
            array.values[(row * stride)..<(row * stride + columns)]
          }
          return (name, NDArray(shape: shape, values: values))
        }))
  }

  /// What an input of a user's graph takes by its name, where that tells it.
  static func input(called name: String) -> String? {
    let lowered = name.lowercased()
    return Kind.spelled(name, among: [Input.tokens])?.input
      ?? (lowered.contains("token")
        ? Input.tokens : lowered.contains("segment") ? Input.segments : nil)
  }

  /// An input of graphs and what frameworks call it.
  private struct Kind {
    let input: String
    let spellings: [String]
    let axes: String
    var rank: Int { axes.split(separator: ",").count }

    static let all: [Kind] = [
      Kind(
        input: Input.tokens,
        spellings: ["Input-Token", "Encoder-Input-Token", "input_ids", Input.tokens],
        axes: "[batch, length]"),
      Kind(
        input: Input.segments, spellings: ["Input-Segment", "token_type_ids", Input.segments],
        axes: "[batch, length]"),
      Kind(
        input: Input.mask,
        spellings: ["attention_mask", "encoder_attention_mask", Input.mask],
        axes: "[batch, length]"),
      Kind(
        input: Input.positions, spellings: ["Input-Position", "position_ids", Input.positions],
        axes: "[batch, length]"),
      Kind(
        input: Input.condition,
        spellings: ["layer_norm_cond", "Input-Condition", Input.condition], axes: "[batch, width]"),
      Kind(
        input: Input.decoderTokens,
        spellings: ["Decoder-Input-Token", "decoder_input_ids", Input.decoderTokens],
        axes: "[batch, targets]"),
      Kind(
        input: Input.decoderMask, spellings: ["decoder_attention_mask", Input.decoderMask],
        axes: "[batch, targets]"),
      Kind(
        input: Input.context,
        spellings: ["Input-Context", "encoder_hidden_states", Input.context],
        axes: "[batch, length, hidden]"),
    ]

    /// The input of that name; a user's prefix may stand before bert4keras' names.
    ///
    /// - Parameter needed: the inputs that the graph has; a lone decoder's tokens are `input_ids` too.
    static func spelled(_ name: String, among needed: [String]) -> Kind? {
      if name == "input_ids", !needed.contains(Input.tokens), needed.contains(Input.decoderTokens) {
        return all.first { $0.input == Input.decoderTokens }
      }
      if let exact = all.first(where: { $0.spellings.contains(name) }) { return exact }
      let ends = all.flatMap { kind in kind.spellings.map { (kind, $0) } }
        .filter { $0.1.contains("-") && name.hasSuffix($0.1) }
      return ends.max { $0.1.count < $1.1.count }?.0
    }
  }
}
