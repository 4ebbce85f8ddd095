// Layers of bert4keras, and of keras-bert and the packages that it is made of.
//
// Sources: `bert4keras/layers.py` (0.6 to 0.11), `keras_pos_embd`, `keras_multi_head`,
// `keras_position_wise_feed_forward`, `keras_embed_sim`, `keras_bert/layers` (0.89).

extension KerasVariable {
  /// Kernel and bias of a `Dense` that a layer keeps as a part.
  static func dense(_ name: String, _ input: Int, _ output: Int, bias: Bool) -> [KerasVariable] {
    numbered(
      [KerasVariable("kernel", [input, output])] + (bias ? [KerasVariable("bias", [output])] : [])
    ).map { $0.inside(name, path: name) }
  }
}

extension KerasCall<KerasShape> {
  /// The shape of the first input, which has some axes at least.
  func first(rank: Int) throws(CheckpointError) -> KerasShape {
    guard let first = inputs.first, first.rank >= rank else {
      throw CheckpointError(
        .mismatch, Place(),
        "takes a tensor of \(rank) axes at least; it is given \(inputs.first?.description ?? "none")"
      )
    }
    return first
  }

  /// The last extent of an input.
  func width(of input: Int) throws(CheckpointError) -> Int {
    guard inputs.indices.contains(input) else {
      throw CheckpointError(
        .mismatch, Place(), "takes \(input + 1) tensors; it is given \(inputs.count)")
    }
    return try KerasCall([inputs[input]]).width()
  }
}

/// bert4keras' table, which is a product with its transpose too: called with `mode="dense"`.
public struct Bert4kerasEmbedding: KerasLayer {
  public static let classNames = ["Embedding"]

  public let rows: Int
  public let width: Int
  public let masksZero: Bool

  public static func accepts(_ config: KerasConfig) -> Bool { config.context.isBert4keras }

  public init(_ config: KerasConfig) throws(CheckpointError) {
    rows = try config.int("input_dim")
    width = try config.int("output_dim")
    masksZero = try config.bool("mask_zero", default: false)
  }

  /// Whether a call is the product.
  public static func isProduct<Value>(_ call: KerasCall<Value>) -> Bool {
    call["mode"]?.constant?.string == "dense"
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    KerasVariable.numbered([KerasVariable("embeddings", [rows, width])])
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let x = try call.first(rank: 1)
    return [
      Bert4kerasEmbedding.isProduct(call) ? x.ending(in: rows) : KerasShape(x.extents + [width])
    ]
  }
}

/// A gain and a shift of the last axis, which may go by a condition; before it, as
/// `LayerNormalization`, a normalization.
public struct ScaleOffsetLayer: KerasLayer {
  public static let classNames = ["ScaleOffset", "LayerNormalization", "BiasAdd"]

  /// A gain or shift: trained, a constant, or none.
  public enum Part: Sendable, Equatable {
    case trained
    case constant(Double)
    case absent
  }

  public let scale: Part
  public let offset: Part
  public let isConditional: Bool
  public let hiddenUnits: Int?
  public let hiddenActivation: KerasActivation
  /// Whether the mean is taken away, and whether the variance is made 1.
  public let centers: Bool
  public let normalizes: Bool
  public let epsilon: Double
  private let isBias: Bool

  public static func accepts(_ config: KerasConfig) -> Bool {
    !config.className.hasSuffix("LayerNormalization")
      || config.json["conditional"] != nil || config.json["zero_mean"] != nil
  }

  public init(_ config: KerasConfig) throws(CheckpointError) {
    isBias = config.className.hasSuffix("BiasAdd")
    func part(_ key: String, _ old: String) throws(CheckpointError) -> Part {
      guard let value = config.json[key] ?? config.json[old] else { return .trained }
      if value == .null { return .absent }
      if let flag = value.bool { return flag ? .trained : .absent }
      return .constant(try config.double(config.json[key] == nil ? old : key))
    }
    scale = isBias ? .absent : try part("scale", "scale")
    offset = isBias ? .trained : try part("offset", "center")
    isConditional = try config.bool("conditional", default: false)
    hiddenUnits = config["hidden_units"] == nil ? nil : try config.int("hidden_units")
    hiddenActivation = try config.activation("hidden_activation")
    let isNorm = config.className.hasSuffix("LayerNormalization")
    centers = isNorm ? try config.bool("zero_mean", default: true) : false
    normalizes = isNorm ? try config.bool("unit_variance", default: true) : false
    epsilon = try config.double("epsilon", default: 1e-7)
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let width = try call.width(of: 0)
    var own: [KerasVariable] = []
    if offset == .trained { own.append(KerasVariable(isBias ? "bias" : "beta", [width])) }
    if scale == .trained { own.append(KerasVariable("gamma", [width])) }
    own = KerasVariable.numbered(own)
    guard isConditional else { return own }
    var condition = try call.width(of: 1)
    if let hiddenUnits {
      own += KerasVariable.dense("hidden_dense", condition, hiddenUnits, bias: false)
      condition = hiddenUnits
    }
    if offset != .absent { own += KerasVariable.dense("beta_dense", condition, width, bias: false) }
    if scale != .absent { own += KerasVariable.dense("gamma_dense", condition, width, bias: false) }
    return own
  }
}

/// Sequences one after the other in time; a mask counts even if another has none.
public struct Bert4kerasConcatenation: KerasLayer {
  public static let classNames = ["Concatenate1D"]

  public init(_ config: KerasConfig) throws(CheckpointError) {}

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    var result = try call.first(rank: 2)
    let lengths = call.inputs.map { $0[1] }
    result.extents[1] = lengths.contains(nil) ? nil : lengths.compactMap(\.self).reduce(0, +)
    return [result]
  }
}

/// Attention of bert4keras, with biases and positions as further inputs; and that of keras-multi-head,
/// which has an activation.
public struct HeadsAttentionLayer: KerasLayer {
  public static let classNames = ["MultiHeadAttention", "TalkingHeadsAttention"]

  public let heads: Int
  /// Of values, and of queries and keys; `nil` where they go by the width.
  public let size: Int?
  public let keySize: Int?
  public let width: Int?
  public let usesBias: Bool
  public let normalization: Configuration.Normalization
  public let isScaled: Bool
  public let returnsScores: Bool
  /// keras-multi-head's, on every product.
  public let activation: KerasActivation
  public let isCausal: Bool
  /// Whether it is keras-multi-head's.
  public let isPlain: Bool
  /// Whether heads are mixed before and after the softmax (arXiv 2003.02436), as users add it.
  public let talks: Bool

  public static func accepts(_ config: KerasConfig) -> Bool {
    config["heads", "nb_head"] != nil || config["head_num"] != nil
  }

  public init(_ config: KerasConfig) throws(CheckpointError) {
    isPlain = config["head_num"] != nil
    talks = config.className.hasSuffix("TalkingHeadsAttention")
    usesBias = try config.bool("use_bias", default: true)
    isCausal = try config.bool("history_only", default: false)
    isScaled = try config.bool("attention_scale", default: true)
    returnsScores = try config.bool("return_attention_scores", default: false)
    guard !isPlain else {
      heads = try config.int("head_num")
      (size, keySize, width) = (nil, nil, nil)
      normalization = .softmax
      activation = try config.activation()
      return
    }
    heads = try config.int("heads", "nb_head")
    let size = try config.int("head_size", "size_per_head")
    self.size = size
    keySize = try config.int("key_size", default: size)
    let (whole, overflow) = heads.multipliedReportingOverflow(by: max(size, keySize ?? size))
    guard !overflow, whole < KerasConfig.largest else {
      throw config.error("has \(heads) heads of \(size)")
    }
    width = try config.int("out_dim", default: heads * size)
    let name = try config.text("normalization", default: "softmax")
    guard let known = Configuration.Normalization(rawValue: name) else {
      throw config.error("its normalization is \"\(name)\"", kind: .unsupported)
    }
    normalization = known
    activation = KerasActivation(name: "linear")
  }

  /// Query, key and value, as far as they are there.
  public static func attended<Value>(_ inputs: [Value]) -> (query: Value, key: Value, value: Value)?
  {
    guard let query = inputs.first else { return nil }
    if inputs.count == 1 { return (query, query, query) }
    return inputs.count < 3 ? nil : (query, inputs[1], inputs[2])
  }

  private func attended(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> (query: KerasShape, key: KerasShape, value: KerasShape) {
    guard let parts = HeadsAttentionLayer.attended(call.inputs), parts.query.rank == 3,
      parts.key.rank == 3, parts.value.rank == 3
    else {
      throw CheckpointError(
        .mismatch, Place(),
        "takes query, key and value of three axes; it is given "
          + call.inputs.map(\.description).joined(separator: ", "))
    }
    return parts
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let parts = try attended(call)
    let widths = try [parts.query, parts.key, parts.value].map { shape throws(CheckpointError) in
      try KerasCall([shape]).width()
    }
    if isPlain {
      let width = widths[2]
      guard width % heads == 0 else {
        throw CheckpointError(.mismatch, Place(), "has \(heads) heads for a width of \(width)")
      }
      return KerasVariable.numbered(
        zip(["q", "k", "v", "o"], widths + [width]).flatMap { name, input in
          [KerasVariable("W\(name)", [input, width])]
            + (usesBias ? [KerasVariable("b\(name)", [width])] : [])
        })
    }
    guard let size, let keySize, let width else { return [] }
    return KerasVariable.dense("q_dense", widths[0], heads * keySize, bias: usesBias)
      + KerasVariable.dense("k_dense", widths[1], heads * keySize, bias: usesBias)
      + KerasVariable.dense("v_dense", widths[2], heads * size, bias: usesBias)
      + KerasVariable.dense("o_dense", heads * size, width, bias: usesBias)
      + (talks ? ["pre_softmax", "post_softmax"] : []).flatMap { name in
        KerasVariable.numbered([KerasVariable(name + "_weight", [heads, heads])]).map {
          $0.inside(name, path: name)
        }
      }
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let parts = try attended(call)
    return [parts.query.ending(in: width ?? parts.value[-1])]
      + (returnsScores
        ? [KerasShape([parts.query[0], heads, parts.query[1], parts.key[1]])] : [])
  }
}

/// The gated attention unit (arXiv 2202.10447).
public struct GatedAttentionLayer: KerasLayer {
  public static let classNames = ["GatedAttentionUnit"]

  public let units: Int
  public let keySize: Int
  public let activation: KerasActivation
  public let usesBias: Bool
  public let normalization: Configuration.Normalization
  public let isSelf: Bool
  public let isScaled: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    units = try config.int("units")
    keySize = try config.int("key_size")
    activation = try config.activation(default: "silu")
    usesBias = try config.bool("use_bias", default: true)
    isSelf = try config.bool("self_attention", default: true)
    isScaled = try config.bool("attention_scale", default: true)
    let name = try config.text("normalization", default: "squared_relu")
    guard let known = Configuration.Normalization(rawValue: name) else {
      throw config.error("its normalization is \"\(name)\"", kind: .unsupported)
    }
    normalization = known
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let width = try call.width(of: 0)
    var own: [KerasVariable] = []
    if isSelf {
      own = KerasVariable.dense("i_dense", width, 2 * units + keySize, bias: usesBias)
      for name in ["q_scaleoffset", "k_scaleoffset"] {
        own += KerasVariable.numbered(
          (usesBias ? [KerasVariable("beta", [keySize])] : []) + [
            KerasVariable("gamma", [keySize])
          ]
        ).map { $0.inside(name, path: name) }
      }
    } else {
      own = KerasVariable.dense("uq_dense", width, units + keySize, bias: usesBias)
      own += KerasVariable.dense("k_dense", try call.width(of: 1), keySize, bias: usesBias)
      own += KerasVariable.dense("v_dense", try call.width(of: 2), units, bias: usesBias)
    }
    return own + KerasVariable.dense("o_dense", units, width, bias: usesBias)
  }
}

/// Embeddings of absolute positions: trained or of sines, added, multiplied, concatenated or alone.
public struct PositionLayer: KerasLayer {
  public static let classNames = [
    "PositionEmbedding", "SinusoidalPositionEmbedding", "TrigPosEmbedding",
  ]

  public enum Merge: String, Sendable, CaseIterable {
    case add, mul, zero, concat
    /// Of the input, which are positions (keras-pos-embd).
    case expand
  }

  public let isTrained: Bool
  public let rows: Int
  /// `nil`: as wide as what comes in.
  public let width: Int?
  public let merge: Merge
  /// bert4keras' hierarchical positions by their alpha.
  public let alpha: Double?
  /// Whether a second input says the positions.
  public let isGiven: Bool
  /// For ``Merge/expand``: whether positions count from 0, and the first is padding.
  public let masksZero: Bool

  public static func accepts(_ config: KerasConfig) -> Bool {
    config["merge_mode", "mode", "output_dim"] != nil
  }

  public init(_ config: KerasConfig) throws(CheckpointError) {
    isTrained =
      config.className.hasSuffix("PositionEmbedding")
      && !config.className.hasSuffix("SinusoidalPositionEmbedding")
    rows = isTrained ? try config.int("input_dim", default: 1) : 0
    width = config["output_dim"] == nil ? nil : try config.int("output_dim")
    let isExpanding =
      config["merge_mode"] == nil && config.json["mask_zero"] != nil
      || config.className.hasSuffix("TrigPosEmbedding")
    merge = try config.choice("merge_mode", "mode", default: isExpanding ? Merge.expand : .add)
    isGiven = try config.bool("custom_position_ids", default: false)
    masksZero = config["mask_zero"].map { $0 != .bool(false) } ?? false
    switch config["hierarchical"] {
    case nil, .bool(false)?: alpha = nil
    case .bool(true)?: alpha = 0.4
    default:
      let stated = try config.double("hierarchical")
      alpha = stated == 0 ? nil : stated
    }
    if !isTrained, let width, width % 2 != 0 { throw config.error("has the odd width \(width)") }
    guard !isTrained || width != nil else { throw config.error("its config has no output_dim") }
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    guard isTrained, let width else { return [] }
    let all = merge == .expand && !masksZero ? 2 * rows + 1 : rows
    return KerasVariable.numbered([KerasVariable("embeddings", [all, width])])
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let x = try call.first(rank: 2)
    switch merge {
    case .add, .mul: return [x]
    case .zero: return [KerasShape([x[0], x[1], width])]
    case .expand: return [KerasShape(x.extents + [width])]
    case .concat:
      guard let own = x[2], let width else { return [x.ending(in: nil)] }
      return [x.ending(in: own + width)]
    }
  }
}

/// Rows of a table by distances: clipped (arXiv 1803.02155), or in T5's buckets (arXiv 1910.10683).
public struct RelativePositionLayer: KerasLayer {
  public static let classNames = ["RelativePositionEmbedding", "RelativePositionEmbeddingT5"]

  public let rows: Int
  public let width: Int
  /// `nil`: distances are clipped.
  public let buckets: (maxDistance: Int, isBidirectional: Bool)?

  public init(_ config: KerasConfig) throws(CheckpointError) {
    rows = try config.int("input_dim")
    width = try config.int("output_dim")
    guard config.className.hasSuffix("T5") else {
      buckets = nil
      return
    }
    buckets = (
      try config.int("max_distance", default: 128), try config.bool("bidirectional", default: true)
    )
    let near = rows / (buckets?.isBidirectional == true ? 4 : 2)
    guard near > 0, buckets?.maxDistance ?? 0 > near else {
      throw config.error("has \(rows) buckets for distances of \(buckets?.maxDistance ?? 0)")
    }
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    KerasVariable.numbered([KerasVariable("embeddings", [rows, width])])
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    guard call.inputs.count == 2 else {
      throw CheckpointError(
        .mismatch, Place(), "takes two sequences; it is given \(call.inputs.count)")
    }
    return [KerasShape([call.inputs[0][1], call.inputs[1][1], width])]
  }
}

/// Two products with an activation between; gated where there are several activations
/// (arXiv 2002.05202).
public struct FeedForwardLayer: KerasLayer {
  public static let classNames = ["FeedForward"]

  public let units: Int
  public let activations: [KerasActivation]
  public let usesBias: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    units = try config.int("units")
    usesBias = try config.bool("use_bias", default: true)
    guard let items = config["activation"].flatMap(KerasConfig.items) else {
      activations = [try config.activation(default: "relu")]
      return
    }
    guard 1...8 ~= items.count else { throw config.error("has \(items.count) activations") }
    activations = try items.map { item throws(CheckpointError) in
      try KerasActivation(item, config)
    }
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let width = try call.width()
    return activations.indices.flatMap {
      KerasVariable.dense("i\($0)_dense", width, units, bias: usesBias)
    } + KerasVariable.dense("o_dense", units, width, bias: usesBias)
  }
}

/// Labels' scores for a CRF or a MEMM: masked positions are −∞.
///
/// The transitions are for whoever decodes.
public struct TransitionLayer: KerasLayer {
  public static let classNames = ["ConditionalRandomField", "MaximumEntropyMarkovModel"]

  public let rank: Int?
  /// Whether it is a MEMM.
  public let isMarkov: Bool
  /// What the stored transitions are multiplied by.
  public let multiplier: Double

  public init(_ config: KerasConfig) throws(CheckpointError) {
    rank = config["hidden_dim"] == nil ? nil : try config.int("hidden_dim")
    isMarkov = config.className.hasSuffix("MaximumEntropyMarkovModel")
    multiplier = try config.double("lr_multiplier", default: 1)
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let labels = try call.width()
    return KerasVariable.numbered(
      rank.map { rank in
        [KerasVariable("l_trans", [labels, rank]), KerasVariable("r_trans", [labels, rank])]
      } ?? [KerasVariable("trans", [labels, labels])])
  }
}

/// Scores of spans: GlobalPointer (kexue.fm/archives/8373), and the one with few weights
/// (kexue.fm/archives/8877).
public struct SpanLayer: KerasLayer {
  public static let classNames = ["GlobalPointer", "EfficientGlobalPointer"]

  public let heads: Int
  public let size: Int
  public let turns: Bool
  public let usesBias: Bool
  public let isTriangular: Bool
  public let isEfficient: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    heads = try config.int("heads")
    size = try config.int("head_size")
    turns = try config.bool("RoPE", default: true)
    usesBias = try config.bool("use_bias", default: true)
    isTriangular = try config.bool("tril_mask", default: true)
    isEfficient = config.className.hasSuffix("EfficientGlobalPointer")
    let (width, overflow) = heads.multipliedReportingOverflow(by: 2 * size)
    guard !overflow, width < KerasConfig.largest, !turns || size % 2 == 0 else {
      throw config.error("has \(heads) heads of \(size)")
    }
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let width = try call.width()
    if !isEfficient { return KerasVariable.dense("dense", width, 2 * size * heads, bias: usesBias) }
    return KerasVariable.dense("p_dense", width, 2 * size, bias: usesBias)
      + KerasVariable.dense("q_dense", 2 * size, 2 * heads, bias: usesBias)
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let x = try call.first(rank: 3)
    return [KerasShape([x[0], heads, x[1], x[1]])]
  }
}

/// A layer that adds a loss, and hands on some of what it takes.
public struct LossLayer: KerasLayer {
  public static let classNames = ["Loss"]

  /// Which inputs; all where `nil`.
  public let kept: [Int]?

  public init(_ config: KerasConfig) throws(CheckpointError) {
    kept =
      config["output_axis"] == nil ? nil : try config.ints("output_axis", count: nil, least: -64)
  }

  /// What it hands on.
  public func passed<Value>(_ inputs: [Value]) throws(CheckpointError) -> [Value] {
    guard let kept else { return inputs }
    return try kept.map { index throws(CheckpointError) in
      let place = index < 0 ? index + inputs.count : index
      guard inputs.indices.contains(place) else {
        throw CheckpointError(
          .mismatch, Place(), "hands on input \(index); it is given \(inputs.count)")
      }
      return inputs[place]
    }
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] { try passed(call.inputs) }
}

// MARK: - keras-bert

/// A table that answers rows and itself, for a product with it later.
public struct TokenEmbeddingLayer: KerasLayer {
  public static let classNames = ["TokenEmbedding", "EmbeddingRet"]

  public let rows: Int
  public let width: Int
  public let masksZero: Bool

  public static func accepts(_ config: KerasConfig) -> Bool { config["input_dim"] != nil }

  public init(_ config: KerasConfig) throws(CheckpointError) {
    rows = try config.int("input_dim")
    width = try config.int("output_dim")
    masksZero = try config.bool("mask_zero", default: false)
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    KerasVariable.numbered([KerasVariable("embeddings", [rows, width])])
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    [KerasShape(try call.only().extents + [width]), KerasShape([rows, width])]
  }
}

/// A softmax over products with the rows of a table that comes in.
public struct EmbeddingSimilarityLayer: KerasLayer {
  public static let classNames = ["EmbeddingSimilarity"]

  public let usesBias: Bool
  public let activation: KerasActivation

  public init(_ config: KerasConfig) throws(CheckpointError) {
    // Releases before 0.9 have no activation in their config and compute a softmax.
    usesBias = try config.bool("use_bias", default: true)
    activation = try config.activation(default: "softmax")
  }

  private func rows(_ call: KerasCall<KerasShape>) throws(CheckpointError) -> Int? {
    guard call.inputs.count == 2, call.inputs[1].rank == 2 else {
      throw CheckpointError(.mismatch, Place(), "takes a tensor and a table")
    }
    return call.inputs[1][0]
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    guard let rows = try rows(call), usesBias else { return [] }
    return KerasVariable.numbered([KerasVariable("bias", [rows])])
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    [try call.first(rank: 2).ending(in: try rows(call))]
  }
}

/// One position of every row.
public struct ExtractLayer: KerasLayer {
  public static let classNames = ["Extract"]

  public let index: Int

  public init(_ config: KerasConfig) throws(CheckpointError) {
    index = try config.int("index", least: -(1 << 20))
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let x = try call.first(rank: 2)
    return [KerasShape([x[0]] + x.extents.dropFirst(2))]
  }
}
