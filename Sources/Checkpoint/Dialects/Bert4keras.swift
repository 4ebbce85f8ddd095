/// bert4keras 0.11: Keras layers with fixed names.
///
/// Source: `models.py` and `layers.py` of bert4keras 0.11.5 (layer names, order of weights,
/// epsilons), and the `layer_names` that Keras 2.15 writes for its models.
public struct Bert4keras: Dialect {
  public init() {}

  public var name: String { "bert4keras" }
  public var aliases: [String] { ["b4k"] }
  public var summary: String { "bert4keras: Keras layers such as Transformer-0-FeedForward" }
  public var families: [String] { ["bert", "albert"] }
  public var format: String { "keras-h5" }
  public var fileName: String { "weights.h5" }

  public func recognise(_ checkpoint: Checkpoint, configuration: JSON?) -> String? {
    let bundle = Bert4kerasBundle(
      checkpoint.tensors, isTied: Bert4keras.isTied(configuration))
    let names = Set((bundle?.layers ?? checkpoint.kerasLayers).map(\.name))
    guard names.contains("Embedding-Token") else { return nil }
    if names.contains("Transformer-MultiHeadSelfAttention") { return "albert" }
    guard names.contains("Transformer-0-MultiHeadSelfAttention") else { return nil }
    return configuration?["num_hidden_groups"] != nil ? "albert" : "bert"
  }

  public func bind(
    _ checkpoint: Checkpoint, family: String
  ) throws(CheckpointError) -> Binding {
    let table = table(family)
    guard
      let bundle = Bert4kerasBundle(
        checkpoint.tensors, isTied: { family == "albert" && $0 == 1 })
    else { return try table.bind(checkpoint.kerasLayers, family: family) }
    var binding = try table.bind(bundle.layers, family: family)
    binding.carried = bundle.named(binding.carried)
    binding.left += bundle.left
    return binding
  }

  private func table(_ family: String) -> LayerTable {
    let sequence = family == "albert" ? "sop" : "nsp"
    return LayerTable(
      rows: [
        .init("Embedding-Token", [("embeddings.token", "embeddings:0")]),
        .init("Embedding-Segment", [("embeddings.segment", "embeddings:0")]),
        .init("Embedding-Position", [("embeddings.position", "embeddings:0")]),
        norm("Embedding-Norm", "embeddings.norm"),
        dense("Embedding-Mapping", "embeddings.projection"),
        dense("Pooler-Dense", "pooler"),
        dense("NSP-Proba", sequence),
        dense("MLM-Dense", "mlm.transform"),
        norm("MLM-Norm", "mlm.norm"),
        .init("MLM-Bias", [("mlm.bias", "beta:0")]),
      ] + blocks("Transformer-{i}", "layers.{i}") + blocks("Transformer", "groups.0.0"),
      namespace: ["Embedding-", "Transformer-", "Pooler", "NSP-", "MLM-"])
  }

  private func blocks(_ layer: String, _ block: String) -> [LayerTable.Row] {
    let attention = ["query", "key", "value", "output"].enumerated().flatMap { index, part in
      inner(index, "\(block).attention.\(part)")
    }
    let feedForward = ["inner", "output"].enumerated().flatMap { index, part in
      inner(index, "\(block).feed_forward.\(part)")
    }
    return [
      .init(Template("\(layer)-MultiHeadSelfAttention"), attention),
      norm("\(layer)-MultiHeadSelfAttention-Norm", "\(block).attention.norm"),
      .init(Template("\(layer)-FeedForward"), feedForward),
      norm("\(layer)-FeedForward-Norm", "\(block).feed_forward.norm"),
    ]
  }

  /// An inner Dense layer, counted inside its layer as Keras 2.15 does.
  private func inner(_ index: Int, _ canonical: String) -> [(canonical: Template, stored: String)] {
    let name = index == 0 ? "dense" : "dense_\(index)"
    return [
      (Template("\(canonical).kernel"), "\(name)/kernel:0"),
      (Template("\(canonical).bias"), "\(name)/bias:0"),
    ]
  }

  private func dense(_ layer: String, _ canonical: String) -> LayerTable.Row {
    .init(
      Template(layer),
      [
        (Template("\(canonical).kernel"), "kernel:0"), (Template("\(canonical).bias"), "bias:0"),
      ])
  }

  private func norm(_ layer: String, _ canonical: String) -> LayerTable.Row {
    .init(
      Template(layer),
      [(Template("\(canonical).beta"), "beta:0"), (Template("\(canonical).gamma"), "gamma:0")])
  }
}

// MARK: - Meaning

extension Bert4keras {
  public func defaults(
    _ binding: Binding, family: String, configuration: JSON?
  ) -> [(String, JSON)] {
    let tied = binding.weights.contains { $0.name.hasPrefix("groups.") }
    // models.py: BERT (and ALBERT_Unshared, which is one) pins 1e-12; ALBERT's own blocks take
    // Keras' default.
    return [
      ("hidden_act", "gelu_erf"), ("pooler_activation", "tanh"), ("mask", "bidirectional"),
      ("padding", "token-zero"), ("head_output", "softmax"),
    ].map { ($0.0, JSON.string($0.1)) } + [
      ("embedding_norm_eps", .literal("1e-12")),
      ("block_norm_eps", .literal(tied ? "1e-07" : "1e-12")),
      ("head_norm_eps", .literal("1e-12")),
    ] + (tied ? [("num_hidden_groups", .number(1)), ("inner_group_num", .number(1))] : [])
      + KerasTops.defaults(binding)
  }

  public func activation(_ name: String) -> Activation? {
    switch name {
    case "gelu": .geluErf
    case "swish": .silu
    default: Activation(rawValue: name)
    }
  }

  public func remarks(on configuration: JSON) -> [String] {
    configuration["layer_norm_eps"] == nil
      ? []
      : [
        "the configuration states layer_norm_eps; ckpt uses it, but bert4keras itself ignores "
          + "the key"
      ]
  }

  public func valueNames(_ architecture: FamilyArchitecture) -> [String: String] {
    let configuration = architecture.configuration
    var names = [
      "embeddings.token": "Embedding-Token", "embeddings.segment": "Embedding-Segment",
      "embeddings.norm": "Embedding-Norm", "embeddings.projection": "Embedding-Mapping",
      "pooler": "Pooler-Dense", "mlm.transform": "MLM-Dense", "mlm.norm": "MLM-Norm",
      "mlm_logits": "MLM-Bias", "mlm_probs": "MLM-Activation", "nsp_probs": "NSP-Proba",
      "sop_probs": "NSP-Proba",
    ]
    for top in architecture.tops { names["head.\(top.name)"] = top.name }
    for depth in 0..<configuration.depth {
      // A shared layer has one name and, in Keras' way, a node index for each application.
      let (layer, node) =
        configuration.groups == nil ? ("Transformer-\(depth)", "") : ("Transformer", ":\(depth)")
      let value = "layers.\(depth)"
      names["\(value).attention.output"] = "\(layer)-MultiHeadSelfAttention\(node)"
      names["\(value).attention.norm"] = "\(layer)-MultiHeadSelfAttention-Norm\(node)"
      names["\(value).feed_forward.output"] = "\(layer)-FeedForward\(node)"
      names["\(value).feed_forward.norm"] = "\(layer)-FeedForward-Norm\(node)"
    }
    return names
  }
}

// MARK: - Writing

extension Bert4keras {
  public func spell(_ model: Model) throws(CheckpointError) -> Spelling {
    let architecture = model.architecture
    let configuration = architecture.configuration
    try check(architecture)
    let (groups, rows) = try table(architecture.family).written(
      layerNames(architecture), of: model)
    let kind = modelName(architecture)
    let heads = architecture.heads.sorted()
    let flags =
      (heads.contains(.pooler) ? ", with_pool=True" : "")
      + (heads.contains(.nsp) || heads.contains(.sop) ? ", with_nsp=True" : "")
      + (heads.contains(.mlm) ? ", with_mlm=True" : "")
    return Spelling(
      checkpoint: Checkpoint(format: format, groups: groups),
      configuration: spelled(configuration, architecture, model),
      rows: rows,
      loadsAs: KerasTops.built(
        "build_transformer_model(config, model='\(kind)'\(flags))", architecture.tops)
        + ".load_weights(file)",
      missing: [],
      unexpected: model.carried.flatMap(\.tensors).map(\.name),
      remarks: try remarks(architecture))
  }

  private func modelName(_ architecture: FamilyArchitecture) -> String {
    guard architecture.family == "albert" else { return "bert" }
    return architecture.configuration.groups == nil ? "albert_unshared" : "albert"
  }

  private func check(_ architecture: FamilyArchitecture) throws(CheckpointError) {
    let configuration = architecture.configuration
    if let groups = configuration.groups, groups > 1 || configuration.innerGroups > 1 {
      throw CheckpointError(
        .unsupported, Place(),
        "bert4keras' ALBERT shares one layer; this one has \(groups) groups of "
          + "\(configuration.innerGroups)",
        hint: "use --apply untie")
    }
    if configuration.projection, configuration.embeddingSize == configuration.hiddenSize {
      throw CheckpointError(
        .unsupported, .tensor("embeddings.projection"),
        "bert4keras has no projection where embedding_size equals hidden_size "
          + "(\(configuration.hiddenSize))")
    }
    if configuration.activation == .geluQuick || configuration.activation == .squaredRelu {
      throw CheckpointError(
        .unsupported, Place(),
        "bert4keras does not know the activation \(configuration.activation.rawValue)")
    }
    let sequence = !architecture.heads.isDisjoint(with: [.nsp, .sop])
    if sequence, !architecture.heads.contains(.pooler) {
      throw CheckpointError(
        .unsupported, .tensor("pooler.kernel"), "bert4keras' NSP head needs the pooler")
    }
  }

  /// The layers in Keras' order: by decreasing distance from the outputs.
  ///
  /// Each head is a chain that ends at depth 0; at equal depth the pooler's chain comes first.
  private func layerNames(_ architecture: FamilyArchitecture) -> [String] {
    let configuration = architecture.configuration
    var layers = ["Embedding-Token", "Embedding-Segment", "Embedding-Position", "Embedding-Norm"]
    if configuration.projection { layers.append("Embedding-Mapping") }
    let blocks =
      configuration.groups == nil
      ? (0..<configuration.layers).map { "Transformer-\($0)" } : ["Transformer"]
    for block in blocks {
      layers += [
        "\(block)-MultiHeadSelfAttention", "\(block)-MultiHeadSelfAttention-Norm",
        "\(block)-FeedForward", "\(block)-FeedForward-Norm",
      ]
    }
    var chain: [(layer: String, depth: Int)] = []
    let sequence = !architecture.heads.isDisjoint(with: [.nsp, .sop])
    if architecture.heads.contains(.pooler) { chain.append(("Pooler-Dense", sequence ? 1 : 0)) }
    if sequence { chain.append(("NSP-Proba", 0)) }
    if architecture.heads.contains(.mlm) {
      chain += [("MLM-Dense", 4), ("MLM-Norm", 3), ("MLM-Bias", 1)]
    }
    return layers
      + chain.enumerated()
      .sorted { ($1.element.depth, $0.offset) < ($0.element.depth, $1.offset) }
      .map(\.element.layer)
  }

  private func spelled(
    _ c: Configuration, _ architecture: FamilyArchitecture, _ model: Model
  ) -> JSON {
    var json = JSON.object([])
    func set(_ key: String, _ value: JSON) { json.set(key, value) }
    for key in ["attention_probs_dropout_prob", "hidden_dropout_prob", "initializer_range"] {
      if let value = model.configuration?[key] { set(key, value) }
    }
    set(
      "hidden_act",
      .string(c.activation == .geluErf ? "gelu" : c.activation.rawValue))
    set("vocab_size", .number(c.vocabularySize))
    set("hidden_size", .number(c.hiddenSize))
    if c.embeddingSize != c.hiddenSize { set("embedding_size", .number(c.embeddingSize)) }
    set("num_hidden_layers", .number(c.layers))
    set("num_attention_heads", .number(c.heads))
    if c.headSize * c.heads != c.hiddenSize { set("attention_head_size", .number(c.headSize)) }
    if c.keySize != c.headSize { set("attention_key_size", .number(c.keySize)) }
    set("intermediate_size", .number(c.intermediateSize))
    set("max_position_embeddings", .number(c.positions))
    set("type_vocab_size", .number(c.segments))
    if architecture.family == "albert" {
      set("num_hidden_groups", .number(c.groups ?? c.layers))
      set("inner_group_num", .number(1))
    }
    KerasTops.note(model, in: &json)
    return json
  }

  public func computed(_ architecture: FamilyArchitecture) -> Configuration {
    var configuration = architecture.configuration
    configuration.embeddingNormEpsilon = 1e-12
    configuration.blockNormEpsilon = configuration.groups == nil ? 1e-12 : 1e-7
    configuration.headNormEpsilon = 1e-12
    configuration.padding = .tokenZero
    configuration.headOutput = .softmax
    return configuration
  }

  /// Where bert4keras will compute with another epsilon than the source, and how to load it.
  private func remarks(_ architecture: FamilyArchitecture) throws(CheckpointError) -> [String] {
    let c = architecture.configuration
    var remarks = try Epsilons.remarks(
      c, computed(architecture), architecture.heads,
      "bert4keras 0.11.5 (\(modelName(architecture)))")
    if c.poolerActivation != .tanh, architecture.heads.contains(.pooler) {
      remarks.append("load it with with_pool='\(c.poolerActivation.rawValue)'")
    }
    if c.mask != .bidirectional {
      let application = c.mask == .causal ? "lm" : "unilm"
      remarks.append("load it with application='\(application)' for the \(c.mask.rawValue) mask")
    }
    return remarks
  }
}
