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

  /// The key of ckpt's own that says that a token table was trimmed: ids of the whole vocabulary mean
  /// other rows then, which no framework's key tells.
  public static let originalVocabulary = "original_vocab_size"

  public static let all: [ConfigurationKey] = [
    count("vocab_size", "rows of the token table", \.vocabularySize),
    count(
      originalVocabulary, "rows of the token table before it was trimmed, 0 where it was not",
      \.originalVocabularySize, least: 0),
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
    // transformers until version 4: another number of heads in each layer.
    "pruned_heads": [.object([])],
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
