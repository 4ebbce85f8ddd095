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
  /// Of the feed-forward layers and of the MLM transform.
  public var activation = Activation.geluErf
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
  public var mask = AttentionMaskKind.bidirectional
  public var padding = PaddingRule.tokenZero
  public var headOutput = HeadOutput.logits

  public init() {}

  /// How padding is known when no mask is given.
  public enum PaddingRule: String, Sendable, CaseIterable {
    /// Token id 0 is padding, except at the first position (bert4keras).
    case tokenZero = "token-zero"
    /// Nothing is padding unless `attention_mask` says so (transformers).
    case attentionMask = "attention-mask"
  }

  /// What the framework's own model returns at its heads.
  public enum HeadOutput: String, Sendable, CaseIterable {
    case logits, softmax
  }

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
    count("hidden_size", "width of the hidden states", \.hiddenSize, also: ["n_embd", "dim"]),
    count("embedding_size", "width of the embeddings", \.embeddingSize),
    count(
      "num_hidden_layers", "layers, as the framework counts them", \.layers,
      also: ["n_layer", "n_layers"]),
    count("num_attention_heads", "attention heads", \.heads, also: ["n_head", "n_heads"]),
    count("attention_head_size", "width of a head's values", \.headSize),
    count("attention_key_size", "width of a head's queries and keys", \.keySize),
    count(
      "intermediate_size", "inner width of the feed-forward", \.intermediateSize,
      also: ["hidden_dim"]),
    count(
      "max_position_embeddings", "rows of the position table", \.positions,
      also: ["max_position", "n_positions"]),
    count(
      "type_vocab_size", "rows of the segment table", \.segments, also: ["segment_vocab_size"]),
    ConfigurationKey(
      name: "num_hidden_groups", synonyms: [], summary: "ALBERT: groups of shared layers",
      get: { .number($0.groups ?? $0.layers) },
      set: { configuration, value in
        guard let count = value.int, count > 0, count < 1 << 20 else { return false }
        configuration.groups = count
        return true
      }),
    count("inner_group_num", "ALBERT: layers inside a group", \.innerGroups),
    choice(
      "hidden_act", "activation of the feed-forward", \.activation, also: ["activation"]),
    choice("pooler_activation", "activation of the pooler", \.poolerActivation),
    number("embedding_norm_eps", "epsilon of the embeddings' LayerNorm", \.embeddingNormEpsilon),
    number("block_norm_eps", "epsilon of the blocks' LayerNorms", \.blockNormEpsilon),
    number("head_norm_eps", "epsilon of the MLM head's LayerNorm", \.headNormEpsilon),
    choice("mask", "bidirectional, causal or unilm", \.mask),
    choice("padding", "token-zero or attention-mask", \.padding),
    choice("head_output", "logits or softmax", \.headOutput),
  ]

  /// Keys that change what is computed in a way that no family here knows, and the values with
  /// which they do not.
  static let unsupported: [String: [JSON]] = [
    "position_embedding_type": [.string("absolute")],
    "hierarchical_position": [.bool(false)],
    "shared_segment_embeddings": [.bool(false)],
    "residual_attention_scores": [.bool(false)],
    "custom_position_ids": [.bool(false)],
    "add_cross_attention": [.bool(false)],
  ]

  /// The keys that `layer_norm_eps` sets all at once.
  public static let epsilons = ["embedding_norm_eps", "block_norm_eps", "head_norm_eps"]

  private static func count(
    _ name: String, _ summary: String,
    _ path: any WritableKeyPath<Configuration, Int> & Sendable, also synonyms: [String] = []
  ) -> ConfigurationKey {
    ConfigurationKey(
      name: name, synonyms: synonyms, summary: summary, get: { .number($0[keyPath: path]) },
      set: { configuration, value in
        guard let count = value.int, count > 0, count < 1 << 31 else { return false }
        configuration[keyPath: path] = count
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
    _ path: any WritableKeyPath<Configuration, Choice> & Sendable, also synonyms: [String] = []
  ) -> ConfigurationKey {
    ConfigurationKey(
      name: name, synonyms: synonyms, summary: summary,
      get: { .string($0[keyPath: path].rawValue) },
      set: { configuration, value in
        guard let choice = value.string.flatMap(Choice.init(rawValue:)) else { return false }
        configuration[keyPath: path] = choice
        return true
      })
  }
}
