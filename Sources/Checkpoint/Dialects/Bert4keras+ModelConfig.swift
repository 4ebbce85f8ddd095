/// What a whole-model file says of itself: Keras stores each layer's configuration in `model_config`.
///
/// It is what was computed, so it outweighs a config.json beside it, which may be older than a
/// `set_gelu('tanh')` or another version's epsilons.
extension Bert4keras {
  public func stated(in checkpoint: Checkpoint) -> [(String, JSON)] {
    guard let text = checkpoint.text("model_config"),
      let tree = try? JSON(parsing: Array(text.utf8)),
      let layers = tree["config"]?["layers"]?.array
    else { return [] }
    var values: [(String, JSON)] = []
    func state(_ key: String, _ value: JSON?) {
      guard let value, !values.contains(where: { $0.0 == key }) else { return }
      values.append((key, value))
    }
    for layer in layers {
      guard let config = layer["config"], let name = config["name"]?.string else { continue }
      switch name {
      case "Embedding-Norm": state("embedding_norm_eps", config["epsilon"])
      case "MLM-Norm": state("head_norm_eps", config["epsilon"])
      case "Pooler-Dense": state("pooler_activation", activation(in: config))
      case _ where KerasTops.haveTransitions.contains(layer["class_name"]?.string ?? ""):
        state("transition_multiplier", config["lr_multiplier"])
      case "Attention-LM-Mask": state("mask", .string("causal"))
      case "Attention-UniLM-Mask": state("mask", .string("unilm"))
      case _ where !name.hasPrefix("Transformer-"): break
      case _ where name.hasSuffix("-Norm"): state("block_norm_eps", config["epsilon"])
      case _ where name.hasSuffix("-FeedForward"):
        state("hidden_act", activation(in: config))
        if name == "Transformer-FeedForward" {  // ALBERT's shared layer, called at every depth
          state("num_hidden_layers", layer["inbound_nodes"]?.array.map { .number($0.count) })
        }
      case _ where name.hasSuffix("-MultiHeadSelfAttention"):
        state("num_attention_heads", config["heads"])
        state("attention_head_size", config["head_size"])
        state("attention_key_size", config["key_size"])
      default: break
      }
    }
    return values
  }

  /// An activation's name: a text, what Keras 2.15 makes of a function, or a list of one of these.
  private func activation(in config: JSON) -> JSON? {
    guard var value = config["activation"] else { return nil }
    if let list = value.array {
      guard list.count == 1 else { return nil }  // a gated feed-forward
      value = list[0]
    }
    return (value["config"]?.string ?? value.string).map { .string($0) }
  }
}
