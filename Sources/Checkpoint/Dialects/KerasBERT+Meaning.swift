extension KerasBERT {
  /// `gelu` is the exact function to 0.82.0 and its approximation from 0.83.0; no file says which.
  static let doubt =
    "gelu is taken as keras-bert computes it from 0.83.0 on (tanh); for a model of 0.82.0 or earlier "
    + "say --set hidden_act=gelu_erf"

  public func activation(_ name: String) -> Activation? {
    switch name {
    case "gelu": .geluTanh
    case "swish": .silu
    default: Activation(rawValue: name)
    }
  }

  public func defaults(
    _ binding: Binding, family: String, configuration: JSON?
  ) -> [(String, JSON)] {
    // Epsilon is K.epsilon() squared.
    [
      ("hidden_act", "gelu_tanh"), ("pooler_activation", "tanh"), ("mask", "bidirectional"),
      ("padding", Configuration.PaddingRule.everyTokenZero.rawValue), ("head_output", "softmax"),
    ].map { ($0.0, JSON.string($0.1)) }
      + ConfigurationKey.epsilons.map { ($0, .literal("1e-14")) } + KerasTops.defaults(binding)
  }

  public func remarks(on configuration: JSON) -> [String] {
    configuration["hidden_act"]?.string == "gelu" && configuration["gelu"] == nil
      ? [KerasBERT.doubt] : []
  }

  /// What ``spell(_:)`` notes beside a name that means two functions.
  public func translated(_ configuration: JSON, family: String) -> JSON {
    guard configuration["hidden_act"]?.string == "gelu", configuration["gelu"]?.string == "erf"
    else {
      return configuration
    }
    var copy = configuration
    copy.set("hidden_act", .string(Activation.geluErf.rawValue))
    return copy
  }

  public func stated(in checkpoint: Checkpoint) -> [(String, JSON)] {
    guard let graph = KerasGraph(checkpoint) else { return [] }
    var values: [(String, JSON)] = []
    func state(_ key: String, _ value: JSON?) {
      guard let value, value != .null, !values.contains(where: { $0.0 == key }) else { return }
      values.append((key, value))
    }
    for layer in checkpoint.kerasLayers {
      guard let (kind, config) = graph.form(of: layer.name) else { continue }
      switch layer.name {
      case "Embedding-Norm": state("embedding_norm_eps", config["epsilon"])
      case "MLM-Norm": state("head_norm_eps", config["epsilon"])
      case "NSP-Dense": state("pooler_activation", .init(KerasBERT.activation(config)))
      case _ where KerasTops.haveTransitions.contains(kind):
        state("transition_multiplier", config["lr_multiplier"])
      case _ where !layer.name.hasPrefix("Encoder-"): break
      case _ where layer.name.hasSuffix("-Norm"): state("block_norm_eps", config["epsilon"])
      case _ where layer.name.hasSuffix("-FeedForward"):
        state("hidden_act", .init(KerasBERT.activation(config)))
      case _ where layer.name.hasSuffix("-MultiHeadSelfAttention"):
        state("num_attention_heads", config["head_num"])
        if config["history_only"]?.bool == true { state("mask", .string("causal")) }
      default: break
      }
    }
    return values
  }

  /// An activation's name: a text, or what Keras makes of a function.
  static func activation(_ config: JSON) -> String? {
    guard let value = config["activation"] else { return nil }
    return value["config"]?.string ?? value.string
  }

  public func computed(_ architecture: FamilyArchitecture) -> Configuration {
    var configuration = architecture.configuration
    configuration.embeddingNormEpsilon = 1e-14
    configuration.blockNormEpsilon = 1e-14
    configuration.headNormEpsilon = 1e-14
    configuration.padding = .everyTokenZero
    configuration.headOutput = .softmax
    return configuration
  }
}

extension JSON {
  /// A text, or nothing.
  fileprivate init(_ text: String?) { self = text.map { .string($0) } ?? .null }
}

// MARK: - Writing

extension KerasBERT {
  public func spell(_ model: Model) throws(CheckpointError) -> Spelling {
    let architecture = model.architecture
    let c = architecture.configuration
    try check(architecture)
    let (groups, rows) = try KerasBERT.table.written(layers(architecture), of: model)
    var remarks = try Epsilons.remarks(
      c, computed(architecture), architecture.heads, "keras-bert 0.89.0")
    if c.activation == .geluErf {
      remarks.append(
        "the model's gelu is the exact one: load it with keras-bert up to 0.82.0, or give "
          + "get_model feed_forward_activation=tf.nn.gelu; the approximation of later versions "
          + "differs by up to 5e-4 in each unit")
    }
    if c.mask == .causal {
      remarks.append("the model's mask is causal: give its attention history_only=True")
    }
    // Its model has all heads or none.
    let all: Set<Head> = [.pooler, .nsp, .mlm]
    let isPart = !architecture.heads.isEmpty && architecture.heads != all
    if isPart {
      remarks.append(
        "keras-bert's model has the heads "
          + "\(all.sorted().map(\.rawValue).joined(separator: ", ")) together; those that are not in "
          + "the file keep their first values")
    }
    return Spelling(
      checkpoint: Checkpoint(format: format, groups: groups),
      configuration: spelled(c, model), rows: rows,
      loadsAs: KerasTops.built(
        "build_model_from_config(config, training=\(architecture.heads.isEmpty ? "False" : "True"))[0]",
        architecture.tops) + ".load_weights(file\(isPart ? ", by_name=True" : ""))",
      missing: [],
      unexpected: model.carried.flatMap(\.tensors).map(\.name),
      remarks: remarks)
  }

  private func check(_ architecture: FamilyArchitecture) throws(CheckpointError) {
    let c = architecture.configuration
    func refuse(_ reason: String, _ hint: String? = nil) throws(CheckpointError) {
      throw CheckpointError(.unsupported, Place(), "keras-bert \(reason)", hint: hint)
    }
    let structure = try ArchitectureRegistry.named(architecture.family).structure
    if structure != BERT().structure {
      try refuse(
        "spells no \(architecture.family), only BERT",
        DialectRegistry.asStored)
    }
    if c.groups != nil || c.innerGroups > 1 {
      try refuse(
        "has no shared layers",
        c.embeddingSize == c.hiddenSize ? "use --apply untie --to-family bert" : nil)
    }
    guard families.contains(architecture.family) else { throw refusal(of: architecture.family) }
    var plain = architecture
    plain.configuration.mask = .bidirectional
    if let option = plain.options.first { try refuse("has no place for: \(option)") }
    if c.segments != 2 { try refuse("has two segments; the model has \(c.segments)") }
    if c.mask == .unilm { try refuse("knows no unilm mask") }
    if c.activation == .geluQuick || c.activation == .squaredRelu {
      try refuse("does not know the activation \(c.activation.rawValue)")
    }
    if architecture.heads.contains(.mlm), let head = c.headActivation, head != c.activation {
      try refuse(
        "has one activation for blocks and MLM head; the model has \(c.activation.rawValue) and "
          + head.rawValue)
    }
    if architecture.heads.contains(.pooler), c.poolerActivation != .tanh {
      try refuse("has a pooler with tanh; the model's has \(c.poolerActivation.rawValue)")
    }
    if architecture.heads.contains(.nsp), !architecture.heads.contains(.pooler) {
      try refuse("has its NSP head on the pooler, which is missing")
    }
  }

  /// Layers in Keras' order, that of the whole model.
  private func layers(_ architecture: FamilyArchitecture) -> [String] {
    var layers = ["Embedding-Token", "Embedding-Segment", "Embedding-Position", "Embedding-Norm"]
    for number in 1...max(architecture.configuration.layers, 1) {
      for part in [
        "MultiHeadSelfAttention", "MultiHeadSelfAttention-Norm", "FeedForward", "FeedForward-Norm",
      ] {
        layers.append("Encoder-\(number)-\(part)")
      }
    }
    let heads = architecture.heads
    if heads.contains(.mlm) { layers += ["MLM-Dense", "MLM-Norm", "MLM-Sim"] }
    if heads.contains(.pooler) { layers.append("NSP-Dense") }
    if heads.contains(.nsp) { layers.append("NSP") }
    return layers
  }

  private func spelled(_ c: Configuration, _ model: Model) -> JSON {
    var json = JSON.object([])
    for key in ["attention_probs_dropout_prob", "hidden_dropout_prob", "initializer_range"] {
      if let value = model.configuration?[key] { json.set(key, value) }
    }
    let isGelu = c.activation == .geluErf || c.activation == .geluTanh
    json.set("hidden_act", .string(isGelu ? "gelu" : c.activation.rawValue))
    if isGelu { json.set("gelu", .string(c.activation == .geluErf ? "erf" : "tanh")) }
    for (key, value) in [
      ("hidden_size", c.hiddenSize), ("intermediate_size", c.intermediateSize),
      ("max_position_embeddings", c.positions), ("num_attention_heads", c.heads),
      ("num_hidden_layers", c.layers), ("type_vocab_size", c.segments),
      ("vocab_size", c.vocabularySize),
    ] {
      json.set(key, .number(value))
    }
    KerasTops.note(model, in: &json)
    return json
  }
}
