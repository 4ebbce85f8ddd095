/// The numbers and choices that, together with a family's name, say what its weights mean.
public struct Configuration: Sendable, Equatable {
  /// Rows of the token table.
  public var vocabularySize = 0
  /// Width of the embeddings; different from `hiddenSize` where they are factorized.
  public var embeddingSize = 0
  public var hiddenSize = 0
  /// Layers as the framework counts them: applications of a group, in ALBERT.
  public var layers = 0
  public var heads = 0
  /// Width of a head's queries and keys.
  public var keySize = 0
  /// Width of a head's values.
  public var headSize = 0
  public var intermediateSize = 0
  /// Rows of the position table.
  public var positions = 0
  /// Rows of the segment table.
  public var segments = 0
  /// Of the feed-forward layers, and of the MLM transform unless ``headActivation`` says otherwise.
  public var activation = Activation.geluErf
  /// Of the further factors of a gated feed-forward (arXiv 2002.05202); none where it is plain.
  public var gates: [Activation] = []
  /// Of the MLM transform, where the framework fixes one.
  public var headActivation: Activation?
  public var poolerActivation = Activation.tanh
  /// Added to the variance, of the embeddings' LayerNorm.
  public var embeddingNormEpsilon = 1e-12
  /// Of the blocks' LayerNorms.
  public var blockNormEpsilon = 1e-12
  /// Of the MLM head's LayerNorm.
  public var headNormEpsilon = 1e-12
  /// ALBERT: groups of shared layers, or `nil` when every layer has its own weights.
  public var groups: Int?
  /// ALBERT: layers inside a group, each applied at every depth of the group.
  public var innerGroups = 1
  /// Whether a dense layer leads from the embeddings to the hidden width.
  public var projection = false
  /// Whether a matrix leads from the token table to the hidden width before anything is added.
  public var factor = false
  /// Segments are rows of the token table.
  public var sharesSegments = false
  /// Share of the coarse row where positions are decomposed (kexue.fm/archives/7947), or `nil`.
  public var hierarchicalPosition: Double?
  /// Positions are an input.
  public var givenPositions = false
  /// The padding token's id; only RoBERTa's positions go by it.
  public var paddingToken = 0
  /// NEZHA: distances beyond this count as this.
  public var relativePositions = 64
  /// T5: rows of the table of distances, and where its logarithmic part ends.
  public var buckets = 32
  public var bucketDistance = 128
  /// T5: the decoder's table of distances is added to its cross-attention too.
  public var crossPositionBias = false
  /// RoFormer of transformers: values are rotated as well.
  public var rotatesValues = false
  /// Each layer's scores are added to the next one's (RealFormer, arXiv 2012.11747).
  public var residualScores = false
  /// Projections between heads before and after the softmax (arXiv 2003.02436).
  public var talkingHeads = false
  public var talkingHeadsBias = false
  /// How scores become weights.
  public var normalization = Normalization.softmax
  /// Width of the condition that norms take (conditional layer normalization), or 0.
  public var conditionSize = 0
  /// Width of a hidden layer for the condition, or 0.
  public var conditionHiddenSize = 0
  public var conditionActivation = Activation.linear
  /// T5 of bert4keras 0.11.0: its norms have a beta.
  public var normOffset = false
  /// T5: which halves there are, and the layers of the second.
  public var hasEncoder = true
  public var hasDecoder = true
  public var decoderLayers = 0
  /// Whether the causal language model's decoder is the token table.
  public var tiesDecoder = true
  /// Whether the decoder's states are divided by √(hidden size) before it.
  public var scalesDecoder = false
  /// What the stored transitions of CRFs and MEMMs are multiplied by: bert4keras' lr_multiplier.
  public var transitionMultiplier = 1.0
  public var mask = AttentionMaskKind.bidirectional
  public var padding = PaddingRule.tokenZero
  public var headOutput = HeadOutput.logits
  /// What stands before every layer's name, where a framework lets its users say so (bert4keras).
  public var layerPrefix = ""

  public init() {}

  /// How padding is known when no mask is given.
  public enum PaddingRule: String, Sendable, CaseIterable {
    /// Token id 0 is padding, except at the first position (bert4keras).
    case tokenZero = "token-zero"
    /// The same, and so is segment id 0: both are ids of one table (bert4keras' shared segments).
    case tokenOrSegmentZero = "token-or-segment-zero"
    /// Token id 0 is padding everywhere (keras-bert).
    case everyTokenZero = "every-token-zero"
    /// Nothing is padding unless `attention_mask` says so (transformers).
    case attentionMask = "attention-mask"
  }

  /// How attention's scores become weights.
  public enum Normalization: String, Sendable, CaseIterable {
    case softmax
    /// Scores are multiplied by log(max(n, 16)) / log(512) first (kexue.fm/archives/8823).
    case softmaxPlus = "softmax_plus"
    /// `relu(x)² / n`, n being the number of visible positions (arXiv 2202.10447).
    case squaredRelu = "squared_relu"
  }

  /// The weights' names of a gated feed-forward's further factors.
  public var gateNames: [String] { Configuration.gateNames(gates.count) }

  static func gateNames(_ count: Int) -> [String] { (0..<count).map(gateName) }

  private static func gateName(_ index: Int) -> String {
    index == 0 ? "gate" : "gate_\(index + 1)"
  }

  /// How many further factors the feed-forward of weights with these canonical names has.
  static func gateCount(in names: some Collection<String>) -> Int {
    var count = 0
    while names.contains(where: { $0.hasSuffix(".feed_forward.\(gateName(count)).kernel") }) {
      count += 1
    }
    return count
  }

  /// What the framework's own model returns at its heads.
  public enum HeadOutput: String, Sendable, CaseIterable {
    case logits, softmax
  }

  /// Width in which token, segment and position are added, and of the MLM transform.
  public var embeddedSize: Int { factor ? hiddenSize : embeddingSize }

  /// How often a block is applied.
  public var depth: Int { layers * innerGroups }

  /// The stored block that is applied at `depth`, such as `layers.3` or `groups.0.1`.
  ///
  /// ALBERT's group of layer i is ⌊i / (layers / groups)⌋.
  public func block(at depth: Int) -> String {
    guard let groups else { return "layers.\(depth)" }
    let layer = depth / innerGroups
    // As transformers computes it, in floating point, so that uneven divisions agree too.
    let group = Int(Double(layer) / (Double(layers) / Double(groups)))
    return "groups.\(min(group, groups - 1)).\(depth % innerGroups)"
  }

  /// The stored blocks, each once.
  public var blocks: [String] {
    guard let groups else { return (0..<layers).map { "layers.\($0)" } }
    return (0..<groups).flatMap { group in
      (0..<innerGroups).map { "groups.\(group).\($0)" }
    }
  }
}

/// LayerNorm's epsilons.
public enum Epsilons {
  /// Whether two epsilons are so small that the difference does not count: both at most 1e-7, where
  /// the effect on a normalized value stays below a few float32 roundings.
  public static func alike(_ a: Double, _ b: Double) -> Bool { a == b || max(a, b) <= 1e-7 }

  /// What a framework that computes with other epsilons means for a model.
  ///
  /// - Throws: ``CheckpointError`` of kind `unsupported` when the difference counts.
  static func remarks(
    _ own: Configuration, _ framework: Configuration, _ heads: Set<Head>, _ name: String
  ) throws(CheckpointError) -> [String] {
    let differing = [
      ("embedding_norm_eps", own.embeddingNormEpsilon, framework.embeddingNormEpsilon),
      ("block_norm_eps", own.blockNormEpsilon, framework.blockNormEpsilon),
      ("head_norm_eps", own.headNormEpsilon, framework.headNormEpsilon),
    ].filter { key, a, b in a != b && (key != "head_norm_eps" || heads.contains(.mlm)) }
    let unlike = differing.filter { !alike($0.1, $0.2) }
    if let (key, a, b) = unlike.first {
      throw CheckpointError(
        .unsupported, Place(member: key),
        "\(name) computes with \(b); the source computes with \(a)",
        hint: "to accept another function: "
          + unlike.map { "--set \($0.0)=\($0.2)" }.joined(separator: " "))
    }
    return differing.map { key, a, b in "\(name) computes \(key) \(b); the source \(a)" }
  }
}

/// A key under which configuration files and `--set` state a value.
public struct ConfigurationKey: Sendable {
  /// The name in reports and for `--set`.
  public let name: String
  /// Other spellings, of bert4keras, Google and transformers.
  public let synonyms: [String]
  /// What it says, for people.
  public let summary: String
  /// The value as JSON.
  public let get: @Sendable (Configuration) -> JSON
  /// Takes a value; `false` when it is of the wrong kind or out of range.
  public let set: @Sendable (inout Configuration, JSON) -> Bool

  public static func named(_ name: String) -> ConfigurationKey? {
    all.first { $0.name == name || $0.synonyms.contains(name) }
  }

  public static let all: [ConfigurationKey] = [
    count("vocab_size", "rows of the token table", \.vocabularySize),
    count(
      "hidden_size", "width of the hidden states", \.hiddenSize, also: ["n_embd", "dim", "d_model"]),
    count("embedding_size", "width of the embeddings", \.embeddingSize),
    count(
      "num_hidden_layers", "layers, as the framework counts them", \.layers,
      also: ["n_layer", "n_layers", "num_layers"]),
    count("num_decoder_layers", "layers of the decoder", \.decoderLayers),
    count(
      "num_attention_heads", "attention heads", \.heads, also: ["n_head", "n_heads", "num_heads"]),
    count("attention_head_size", "width of a head's values", \.headSize),
    count("attention_key_size", "width of a head's queries and keys", \.keySize),
    count(
      "intermediate_size", "inner width of the feed-forward", \.intermediateSize,
      also: ["hidden_dim", "n_inner", "d_ff"]),
    count(
      "max_position_embeddings", "rows of the position table", \.positions,
      also: ["max_position", "n_positions"]),
    count(
      "type_vocab_size", "rows of the segment table, 0 for none", \.segments,
      also: ["segment_vocab_size"], least: 0),
    flag("shared_segment_embeddings", "segments are rows of the token table", \.sharesSegments),
    ConfigurationKey(
      name: "hierarchical_position", synonyms: [],
      summary: "share of the coarse row where positions are decomposed, or false",
      get: { $0.hierarchicalPosition.map { .number($0) } ?? .bool(false) },
      set: { configuration, value in
        switch value {
        case .bool(let isOn): configuration.hierarchicalPosition = isOn ? 0.4 : nil
        default:
          if let isOn = value.string.flatMap(Bool.init) {
            configuration.hierarchicalPosition = isOn ? 0.4 : nil
            return true
          }
          guard let share = value.double, share >= 0, share < 1 else { return false }
          configuration.hierarchicalPosition = share == 0 ? nil : share
        }
        return true
      }),
    flag("custom_position_ids", "positions are an input", \.givenPositions),
    count("pad_token_id", "the padding token's id", \.paddingToken, least: 0),
    count("max_relative_position", "NEZHA: distances are clipped to this", \.relativePositions),
    count("relative_attention_num_buckets", "T5: rows of the table of distances", \.buckets),
    count("relative_attention_max_distance", "T5: where distances stop to count", \.bucketDistance),
    flag("cross_position_bias", "T5: cross-attention has the position bias", \.crossPositionBias),
    flag("rotary_value", "RoFormer: values are rotated too", \.rotatesValues),
    flag(
      "residual_attention_scores", "each layer's scores are added to the next one's",
      \.residualScores),
    choice("normalization", "softmax, softmax_plus or squared_relu", \.normalization),
    count("layer_norm_cond_size", "width of the norms' condition", \.conditionSize),
    count(
      "layer_norm_cond_hidden_size", "width of its hidden layer", \.conditionHiddenSize),
    choice("layer_norm_cond_hidden_act", "activation of that layer", \.conditionActivation),
    flag(
      "tie_word_embeddings", "the language model's decoder is the token table", \.tiesDecoder),
    flag("scale_decoder_outputs", "states are divided by √hidden_size before it", \.scalesDecoder),
    ConfigurationKey(
      name: "num_hidden_groups", synonyms: [], summary: "ALBERT: groups of shared layers",
      get: { .number($0.groups ?? $0.layers) },
      set: { configuration, value in
        guard let count = value.int, count > 0, count < 1 << 20 else { return false }
        configuration.groups = count
        return true
      }),
    count("inner_group_num", "ALBERT: layers inside a group", \.innerGroups),
    ConfigurationKey(
      name: "hidden_act", synonyms: ["activation", "activation_function"],
      summary: "activation of the feed-forward; a list where it is gated",
      get: { configuration in
        let names = ([configuration.activation] + configuration.gates).map(\.rawValue)
        return names.count == 1 ? .string(names[0]) : .array(names.map { .string($0) })
      },
      set: { configuration, value in
        let names =
          value.array?.map(\.string) ?? value.string?.split(separator: ",").map(String.init)
        let list = names?.map { $0.flatMap(Activation.init(rawValue:)) } ?? []
        guard let first = list.first, let first, !list.contains(nil) else { return false }
        configuration.activation = first
        configuration.gates = list.dropFirst().compactMap(\.self)
        return true
      }),
    ConfigurationKey(
      name: "head_act", synonyms: [], summary: "activation of the MLM transform",
      get: { .string(($0.headActivation ?? $0.activation).rawValue) },
      set: { configuration, value in
        guard let choice = value.string.flatMap(Activation.init(rawValue:)) else { return false }
        configuration.headActivation = choice
        return true
      }),
    choice("pooler_activation", "activation of the pooler", \.poolerActivation),
    number("embedding_norm_eps", "epsilon of the embeddings' LayerNorm", \.embeddingNormEpsilon),
    number("block_norm_eps", "epsilon of the blocks' LayerNorms", \.blockNormEpsilon),
    number("head_norm_eps", "epsilon of the MLM head's LayerNorm", \.headNormEpsilon),
    ConfigurationKey(
      name: "transition_multiplier", synonyms: ["crf_multiplier"],
      summary: "what the stored transitions of a CRF or MEMM are multiplied by",
      get: { .number($0.transitionMultiplier) },
      set: { configuration, value in
        guard let number = value.double, number > 0, number.isFinite else { return false }
        configuration.transitionMultiplier = number
        return true
      }),
    choice("mask", "bidirectional, causal or unilm", \.mask),
    choice(
      "padding", "token-zero, token-or-segment-zero, every-token-zero or attention-mask", \.padding),
    choice("head_output", "logits or softmax", \.headOutput),
    ConfigurationKey(
      name: "prefix", synonyms: [], summary: "bert4keras: what stands before every layer's name",
      get: { .string($0.layerPrefix) },
      set: { configuration, value in
        guard let prefix = value.string, !prefix.contains("/") else { return false }
        configuration.layerPrefix = prefix
        return true
      }),
  ]

  /// Keys that change what is computed in a way that no family here knows, and the values with
  /// which they do not.
  static let unsupported: [String: [JSON]] = [
    "position_embedding_type": [.string("absolute")],
    "ln_type": [.string("postln")],
    "add_cross_attention": [.bool(false)],
    "scale_attn_by_inverse_layer_idx": [.bool(false)],
    "scale_attn_weights": [.bool(true)],
  ]

  /// The keys that `layer_norm_eps` sets all at once.
  public static let epsilons = ["embedding_norm_eps", "block_norm_eps", "head_norm_eps"]

  private static func count(
    _ name: String, _ summary: String,
    _ path: any WritableKeyPath<Configuration, Int> & Sendable, also synonyms: [String] = [],
    least: Int = 1
  ) -> ConfigurationKey {
    ConfigurationKey(
      name: name, synonyms: synonyms, summary: summary, get: { .number($0[keyPath: path]) },
      set: { configuration, value in
        guard let count = value.int, count >= least, count < 1 << 31 else { return false }
        configuration[keyPath: path] = count
        return true
      })
  }

  private static func flag(
    _ name: String, _ summary: String,
    _ path: any WritableKeyPath<Configuration, Bool> & Sendable
  ) -> ConfigurationKey {
    ConfigurationKey(
      name: name, synonyms: [], summary: summary, get: { .bool($0[keyPath: path]) },
      set: { configuration, value in
        guard let isOn = value.bool ?? value.string.flatMap(Bool.init) else { return false }
        configuration[keyPath: path] = isOn
        return true
      })
  }

  private static func number(
    _ name: String, _ summary: String,
    _ path: any WritableKeyPath<Configuration, Double> & Sendable
  ) -> ConfigurationKey {
    ConfigurationKey(
      name: name, synonyms: [], summary: summary, get: { .number($0[keyPath: path]) },
      set: { configuration, value in
        guard let number = value.double, number >= 0, number.isFinite else { return false }
        configuration[keyPath: path] = number
        return true
      })
  }

  private static func choice<Choice: RawRepresentable<String> & SendableMetatype>(
    _ name: String, _ summary: String,
    _ path: any WritableKeyPath<Configuration, Choice> & Sendable
  ) -> ConfigurationKey {
    ConfigurationKey(
      name: name, synonyms: [], summary: summary,
      get: { .string($0[keyPath: path].rawValue) },
      set: { configuration, value in
        guard let choice = value.string.flatMap(Choice.init(rawValue:)) else { return false }
        configuration[keyPath: path] = choice
        return true
      })
  }
}
