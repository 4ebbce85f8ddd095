// Attention as Keras has it.
//
// Sources: `keras/src/layers/attention` (Keras 2.15 and 3), `official/nlp/modeling/layers/
// talking_heads_attention.py` (TensorFlow Model Garden).

extension KerasCall {
  /// An argument by its name or, where it has none, by its place among those without.
  func argument(_ name: String, at place: Int) -> KerasArgument<Value>? {
    if let named = self[name] { return named.constant == .null ? nil : named }
    // Tensors may stand in one list.
    if arguments.count == 1, case .list(let items) = arguments[0] {
      return items.indices.contains(place) ? items[place] : nil
    }
    guard arguments.indices.contains(place), arguments[place].constant != .null else { return nil }
    return arguments[place]
  }

  /// A flag by its name.
  public func flag(_ name: String) -> Bool {
    guard let constant = self[name]?.constant else { return false }
    return constant.bool ?? (constant.int == 1)
  }

  /// Query, value and key; the value is the key where none is given.
  public func attended() throws(CheckpointError) -> (query: Value, value: Value, key: Value?) {
    guard let query = argument("query", at: 0)?.tensors.first,
      let value = argument("value", at: 1)?.tensors.first
    else { throw CheckpointError(.mismatch, Place(), "takes a query and a value") }
    return (query, value, argument("key", at: 2)?.tensors.first)
  }
}

/// Dot-product attention of several heads (arXiv 1706.03762) over any axes; Model Garden's variant
/// mixes its heads before and after the softmax (arXiv 2003.02436).
public struct KerasMultiHeadAttention: KerasLayer {
  public static let classNames = [
    "MultiHeadAttention", "TalkingHeadsAttention", "GroupQueryAttention", "GroupedQueryAttention",
  ]

  public let heads: Int
  /// Heads of keys and values; fewer than ``heads`` where several queries share them.
  public let keyHeads: Int
  public let keySize: Int
  public let valueSize: Int
  public let usesBias: Bool
  public let usesGate: Bool
  public let talks: Bool
  /// The extents after a query's free axes; `nil`: the query's last one.
  public let output: [Int]?
  /// Axes over which positions attend; all but the batch and the last where `nil`.
  public let axes: [Int]?
  public let window: Int?
  /// Whether parts are stored under names with an underscore.
  private let isPrivate: Bool

  public static func accepts(_ config: KerasConfig) -> Bool {
    config["num_heads", "num_query_heads"] != nil
  }

  public init(_ config: KerasConfig) throws(CheckpointError) {
    let name = config.className.split(separator: ">").last.map(String.init) ?? config.className
    talks = name == "TalkingHeadsAttention"
    let isGrouped = name.hasPrefix("Group")
    if isGrouped {
      heads = try config.int("num_query_heads")
      keyHeads = try config.int("num_key_value_heads")
      keySize = try config.int("head_dim")
      valueSize = keySize
      guard heads % keyHeads == 0 else {
        throw config.error("has \(heads) query heads, no multiple of \(keyHeads) key heads")
      }
      (output, axes) = (nil, nil)
    } else {
      heads = try config.int("num_heads", "num_attention_heads")
      keyHeads = heads
      keySize = try config.int("key_dim", "key_size")
      valueSize = try config.int("value_dim", "value_size", default: keySize)
      output = config["output_shape"] == nil ? nil : try config.ints("output_shape", count: nil)
      axes =
        config["attention_axes"] == nil
        ? nil : try config.ints("attention_axes", count: nil, least: -8)
    }
    usesBias = try config.bool("use_bias", default: true)
    usesGate = try config.bool("use_gate", default: false)
    window = config["sliding_window"] == nil ? nil : try config.int("sliding_window")
    isPrivate = isGrouped || config.context.version < 3
    let (width, overflow) = heads.multipliedReportingOverflow(by: max(keySize, valueSize))
    guard !overflow, width <= KerasConfig.largest else {
      throw config.error("has \(heads) heads of \(max(keySize, valueSize))")
    }
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let (query, value, key) = try call.attended()
    func width(_ shape: KerasShape) throws(CheckpointError) -> Int {
      try KerasCall([shape]).width()
    }
    func part(
      _ name: String, _ kernel: [Int], _ bias: [Int]
    ) -> [KerasVariable] {
      let place =
        (isPrivate ? "_" : "") + (name == "attention_output" ? "output" : name) + "_dense"
      return KerasVariable.numbered(
        [KerasVariable("kernel", kernel)] + (usesBias ? [KerasVariable("bias", bias)] : [])
      ).map { $0.inside(name, path: place) }
    }
    let queryWidth = try width(query)
    var all: [KerasVariable] = []
    if talks {
      all = KerasVariable.numbered([
        KerasVariable("pre_softmax_weight", [heads, heads]),
        KerasVariable("post_softmax_weight", [heads, heads]),
      ])
    }
    all += part("query", [queryWidth, heads, keySize], [heads, keySize])
    all += part("key", [try width(key ?? value), keyHeads, keySize], [keyHeads, keySize])
    if usesGate { all += part("gate", [queryWidth, heads, valueSize], [heads, valueSize]) }
    all += part("value", [try width(value), keyHeads, valueSize], [keyHeads, valueSize])
    let last = output ?? [queryWidth]
    return all + part("attention_output", [heads, valueSize] + last, last)
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let (query, value, _) = try call.attended()
    guard query.rank >= 3, value.rank >= 3 else {
      throw CheckpointError(.mismatch, Place(), "takes a query \(query) and a value \(value)")
    }
    var shapes = [
      KerasShape(query.extents.dropLast() + (output?.map { $0 } ?? [query[-1]]))
    ]
    if call.flag("return_attention_scores") {
      let own = try attended(rank: query.rank)
      let others = (1..<(query.rank - 1)).filter { !own.contains($0) }
      shapes.append(
        KerasShape(
          [query[0]] + others.map { query[$0] } + [heads] + own.map { query[$0] }
            + own.map { value[$0] }))
    }
    return shapes
  }

  /// The axes over which positions attend, counted from the front.
  public func attended(rank: Int) throws(CheckpointError) -> [Int] {
    guard let axes else { return Array(1..<max(rank - 1, 1)) }
    var counted: [Int] = []
    for axis in axes {
      let place = axis < 0 ? axis + rank : axis
      guard 1..<max(rank - 1, 1) ~= place, !counted.contains(place) else {
        throw CheckpointError(
          .mismatch, Place(), "attends over the axes \(axes); its query has \(rank) axes")
      }
      counted.append(place)
    }
    return counted
  }
}

/// Attention without projections: Luong's (arXiv 1508.04025) by products or by sums, and Bahdanau's
/// additive one (arXiv 1409.0473).
public struct PlainAttentionLayer: KerasLayer {
  public static let classNames = ["Attention", "AdditiveAttention"]

  public enum Score: String, Sendable, CaseIterable {
    case dot, concat
  }

  /// `nil`: `Σ scale · tanh(query + key)`, Bahdanau's.
  public let score: Score?
  public let usesScale: Bool
  public let isCausal: Bool

  public static func accepts(_ config: KerasConfig) -> Bool { config["units"] == nil }

  public init(_ config: KerasConfig) throws(CheckpointError) {
    let isAdditive = config.className.hasSuffix("AdditiveAttention")
    score = isAdditive ? nil : try config.choice("score_mode", default: Score.dot)
    usesScale = try config.bool("use_scale", default: isAdditive)
    isCausal = try config.bool("causal", default: false)
  }

  private func attended(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> (query: KerasShape, value: KerasShape, key: KerasShape?) {
    let parts = try call.attended()
    guard parts.query.rank == 3, parts.value.rank == 3, parts.key?.rank ?? 3 == 3 else {
      throw CheckpointError(
        .mismatch, Place(), "takes a query \(parts.query) and a value \(parts.value)")
    }
    return parts
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    var all: [KerasVariable] = []
    if usesScale {
      let (query, _, _) = try attended(call)
      all.append(KerasVariable("scale", score == nil ? [try KerasCall([query]).width()] : []))
    }
    if score == .concat { all.append(KerasVariable("concat_score_weight", [])) }
    return KerasVariable.numbered(all)
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let (query, value, _) = try attended(call)
    return [query.ending(in: value[-1])]
      + (call.flag("return_attention_scores") ? [query.ending(in: value[1])] : [])
  }
}
