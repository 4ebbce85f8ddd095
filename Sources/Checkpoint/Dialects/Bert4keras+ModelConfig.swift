/// What a whole-model file says of itself: Keras stores each layer's configuration in `model_config`.
///
/// It is what was computed, so it outweighs a config.json beside it, which may be older than a
/// `set_gelu('tanh')` or another version's epsilons.
extension Bert4keras {
  public func stated(in checkpoint: Checkpoint) -> [(String, JSON)] {
    let prefix = Bert4keras.prefix(of: checkpoint)
    var values: [(String, JSON)] = prefix.isEmpty ? [] : [("prefix", .string(prefix))]
    func state(_ key: String, _ value: JSON?) {
      guard let value, !values.contains(where: { $0.0 == key }) else { return }
      values.append((key, value))
    }
    let layers = Bert4keras.modelLayers(checkpoint)
    let names = Set(layers.map(\.name))
    if names.contains("Embedding-Token-Segment"), !names.contains("Embedding-Segment") {
      state("shared_segment_embeddings", .bool(true))
      state("padding", .string(Configuration.PaddingRule.tokenOrSegmentZero.rawValue))
    }
    for layer in layers {
      let config = layer.config
      if KerasTops.haveTransitions.contains(layer.className) {
        state("transition_multiplier", config["lr_multiplier"])
      }
      switch layer.name {
      case "Embedding-Norm": state("embedding_norm_eps", config["epsilon"])
      case "MLM-Norm": state("head_norm_eps", config["epsilon"])
      case "Embedding-Position":
        let share = config["hierarchical"] ?? .null
        state("hierarchical_position", share == .null ? .bool(false) : share)
        state("custom_position_ids", config["custom_position_ids"])
      case "Embedding-Rotary-Position":
        state("custom_position_ids", config["custom_position_ids"])
      case "Pooler-Dense": state("pooler_activation", activations(in: config))
      case "Attention-LM-Mask":
        // T5's is its decoder's, which is causal in any case; its encoder is not.
        if !names.contains("Decoder-Output-Norm") { state("mask", .string("causal")) }
      case "Attention-UniLM-Mask": state("mask", .string("unilm"))
      case "MLM-Activation", "Output-MLM-Activation", "LM-Activation", "Decoder-Output-LM",
        "Decoder-Output-LM-Activation", "Discriminator-Prediction":
        // One key for all heads: it may not take the probabilities from next sentence prediction.
        if !names.contains("NSP-Proba") { state("head_output", output(of: config)) }
      case let name where name.hasSuffix("Embedding-Relative-Position"):
        state("relative_attention_max_distance", config["max_distance"])
      default: break
      }
      if layer.name.hasSuffix("-Norm"), let hidden = config["hidden_units"], hidden != .null {
        state("layer_norm_cond_hidden_size", hidden)
        state("layer_norm_cond_hidden_act", activation(config["hidden_activation"]))
      }
      guard layer.name.contains("Transformer-") else { continue }
      if layer.name.contains("-Norm") {
        state("block_norm_eps", config["epsilon"])
      } else if layer.name.hasSuffix("-FeedForward") {
        state("hidden_act", activations(in: config))
        if layer.name == "Transformer-FeedForward" {  // shared, called at every depth
          state("num_hidden_layers", layer.calls.map { .number($0.count) })
        }
      } else if layer.name.hasSuffix("-MultiHeadSelfAttention") {
        state("num_attention_heads", config["heads"])
        state("attention_head_size", config["head_size"])
        state("attention_key_size", config["key_size"])
        state("normalization", config["normalization"])
        state("residual_attention_scores", config["return_attention_scores"])
      } else if layer.name.hasSuffix("-MultiHeadCrossAttention") {
        state("cross_position_bias", .bool(layer.positionBias?.string != nil))
      } else if layer.name.hasSuffix("-GatedAttentionUnit") {
        state("hidden_act", activations(in: config))
        state("attention_key_size", config["key_size"])
        state("normalization", config["normalization"])
      }
    }
    return values
  }

  /// Whether a whole model computes as the family does, where no key says so.
  static func check(_ checkpoint: Checkpoint, of family: String) throws(CheckpointError) {
    let structure = try ArchitectureRegistry.named(family).structure
    let bias: JSON =
      switch structure.position {
      case .relative: .string("typical_relative")
      case .rotary: .string("rotary")
      case .buckets: .string("t5_relative")
      case .none, .absolute, .absoluteAfterPadding: .null
      }
    for layer in modelLayers(checkpoint) where layer.name.contains("Transformer-") {
      func expect(_ key: String, _ found: JSON?, _ usual: JSON) throws(CheckpointError) {
        guard let found, found != usual else { return }
        throw CheckpointError(
          .mismatch, Place(member: layer.name),
          "model_config says \(key) is \(found.compact); \(family) has \(usual.compact)",
          hint: "choose another --family")
      }
      let isAttention = layer.name.hasSuffix("-MultiHeadSelfAttention")
      if isAttention || layer.name.hasSuffix("-GatedAttentionUnit") {
        try expect(
          "attention_scale", layer.config["attention_scale"], .bool(structure.scalesScores))
        try expect("p_bias", layer.calls == nil ? nil : layer.positionBias ?? .null, bias)
      }
      if layer.name.contains("-Norm") {
        try expect("zero_mean", layer.config["zero_mean"], .bool(structure.norm == .layer))
      }
    }
  }

  /// A layer of `model_config`, by its name without a prefix.
  private struct ModelLayer {
    let name: String
    let className: String
    let config: JSON
    /// One for each application.
    let calls: [JSON]?

    /// `p_bias` of the first call's arguments.
    var positionBias: JSON? {
      let arguments = calls?.first?.array?.first?.array?.last
      return arguments?["p_bias"]
    }
  }

  private static func modelLayers(_ checkpoint: Checkpoint) -> [ModelLayer] {
    guard let text = checkpoint.text("model_config"),
      let tree = try? JSON(parsing: Array(text.utf8)),
      let layers = tree["config"]?["layers"]?.array
    else { return [] }
    let named = layers.compactMap { layer -> ModelLayer? in
      guard let config = layer["config"], let name = config["name"]?.string else { return nil }
      return ModelLayer(
        name: name, className: layer["class_name"]?.string ?? "", config: config,
        calls: layer["inbound_nodes"]?.array)
    }
    let prefix = prefix(of: named.map(\.name))
    guard !prefix.isEmpty else { return named }
    return named.map { layer in
      ModelLayer(
        name: layer.name.replacingPrefix(prefix, with: ""), className: layer.className,
        config: layer.config, calls: layer.calls)
    }
  }

  /// What a head returns.
  private func output(of config: JSON) -> JSON? {
    switch activation(config["activation"])?.string {
    case "softmax", "sigmoid": .string("softmax")
    case "linear": .string("logits")
    default: nil
    }
  }

  /// A layer's activation, or the list of them.
  private func activations(in config: JSON) -> JSON? {
    guard let list = config["activation"]?.array, list.count != 1 else {
      return activation(config["activation"]?.array?.first ?? config["activation"])
    }
    let names = list.compactMap { activation($0) }
    return names.count == list.count ? .array(names) : nil
  }

  /// An activation's name: a text, or what Keras 2.15 makes of a function.
  private func activation(_ value: JSON?) -> JSON? {
    (value?["config"]?.string ?? value?.string).map { .string($0) }
  }
}
