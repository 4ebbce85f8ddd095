/// What bert4keras computes where a file leaves it open.
extension Bert4keras {
  public var settings: [(name: String, summary: String)] {
    [(Bert4kerasVersion.setting, "the release that wrote the file; epsilons follow from it")]
  }

  public func assumptions(
    _ binding: Binding, of checkpoint: Checkpoint, family: String, configuration: JSON?, said: Said
  ) throws(CheckpointError) -> Assumptions {
    let layers = plainLayers(of: checkpoint, family: family)
    try Bert4keras.check(checkpoint, of: family)
    var assumptions = Assumptions(
      values: defaults(binding, family: family, configuration: configuration))
    if said.family == nil,
      let found = Bert4keras.recognise(
        layers, configuration, calls: Bert4keras.calls(in: checkpoint)),
      Bert4keras.stated(configuration, among: found.alike) == nil, let remark = found.remark
    {
      assumptions.remarks.append(remark)
    }
    let isShared = Bert4keras.isShared(binding)
    let (version, remark) = try Bert4kerasVersion.assumed(
      family, isShared: isShared, .init(family, binding, layers),
      said: said.settings[Bert4kerasVersion.setting])
    // Keras lists layers without weights too; objects of TensorFlow do not.
    if layers.contains(where: { $0.name == "Decoder-Output-Scale" }) {
      let ties = layers.contains { $0.name == "Decoder-Output-LM-Activation" }
      assumptions.values.append(("tie_word_embeddings", .bool(ties)))
    }
    let epsilons = version.epsilons(family, isShared: isShared)
    assumptions.values += zip(ConfigurationKey.epsilons, epsilons).map { ($0, .number($1)) }
    // A whole model states its epsilons.
    let stated = Set(stated(in: checkpoint).map(\.0))
    let isStated = stated.contains("block_norm_eps")
    // Rows of the token table, which does not tell how many.
    if stated.contains("shared_segment_embeddings") {
      assumptions.values.append(("type_vocab_size", .number(2)))
    }
    if let remark, !isStated { assumptions.remarks.append(remark) }
    return assumptions
  }

  private static func isShared(_ binding: Binding) -> Bool {
    binding.weights.contains { $0.name.hasPrefix("groups.") }
  }

  public func defaults(
    _ binding: Binding, family: String, configuration: JSON?
  ) -> [(String, JSON)] {
    let isShared = Bert4keras.isShared(binding)
    let structure = (try? ArchitectureRegistry.named(family).structure) ?? Structure()
    let gates = Configuration.gateCount(in: binding.weights.map(\.name))
    let activation =
      switch family {
      case "t5", "mt5": gates == 0 ? "relu" : "gelu_erf"
      case "roformer_v2": "relu"
      case "gau_alpha": "silu"
      default: "gelu_erf"
      }
    let linear = JSON.string("linear")
    var values: [(String, JSON)] = [
      (
        "hidden_act",
        gates == 0
          ? .string(activation)
          : .array([.string(activation)] + Array(repeating: linear, count: gates))
      ),
      ("pooler_activation", .string("tanh")),
      ("mask", .string(structure.languageModel ? "causal" : "bidirectional")),
      ("head_output", .string("softmax")),
    ]
    let epsilons = Bert4kerasVersion.newest.epsilons(family, isShared: isShared)
    values += zip(ConfigurationKey.epsilons, epsilons).map { ($0, .number($1)) }
    if isShared { values += [("num_hidden_groups", .number(1)), ("inner_group_num", .number(1))] }
    if structure.gatedUnit { values.append(("normalization", .string("softmax_plus"))) }
    let read = configuration.map { translated($0, family: family) }
    let segments = read?["segment_vocab_size"] ?? read?["type_vocab_size"]
    let sharesSegments =
      read?["shared_segment_embeddings"]?.bool == true && segments?.int != 0
    if sharesSegments { values.append(("type_vocab_size", .number(2))) }
    values.append(("padding", .string(Bert4keras.padding(sharesSegments).rawValue)))
    if structure.encoderDecoder {
      let model = read?["with_lm"].map { $0 != .bool(false) }
      values += [
        ("cross_position_bias", .bool(true)), ("scale_decoder_outputs", .bool(true)),
        ("tie_word_embeddings", .bool(model ?? (gates == 0))),
      ]
    }
    return values + KerasTops.defaults(binding)
  }

  private static func padding(_ sharesSegments: Bool) -> Configuration.PaddingRule {
    sharesSegments ? .tokenOrSegmentZero : .tokenZero
  }

  /// Without the keys that bert4keras ignores for the family.
  public func translated(_ configuration: JSON, family: String) -> JSON {
    guard let members = configuration.members else { return configuration }
    var ignored: Set<String> = ["prefix"]
    if configuration["segment_vocab_size"] != nil { ignored.insert("type_vocab_size") }
    switch family {
    case "gpt2", "gpt2_ml":
      ignored.formUnion([
        "type_vocab_size", "segment_vocab_size", "shared_segment_embeddings", "custom_position_ids",
      ])
    case "t5", "mt5":
      ignored.formUnion([
        "type_vocab_size", "segment_vocab_size", "custom_position_ids", "hierarchical_position",
        "shared_segment_embeddings", "max_position_embeddings", "max_position",
      ])
    case "nezha": ignored.formUnion(["custom_position_ids", "hierarchical_position"])
    case "roformer", "roformer_v2", "gau_alpha": ignored.insert("hierarchical_position")
    default: break
    }
    var copy = JSON.object([])
    for member in members where !ignored.contains(member.key) { copy.set(member.key, member.value) }
    // build_transformer_model takes its options from config.json, too.
    if let activation = configuration["with_pool"]?.string {
      copy.set("pooler_activation", .string(activation))
    }
    return copy
  }

  public func remarks(on configuration: JSON) -> [String] {
    configuration["layer_norm_eps"] == nil
      ? []
      : [
        "the configuration states layer_norm_eps; ckpt uses it, but bert4keras itself ignores "
          + "the key"
      ]
  }

  public func computed(_ architecture: FamilyArchitecture) -> Configuration {
    var configuration = architecture.configuration
    let epsilons = Bert4kerasVersion.newest.epsilons(
      architecture.family, isShared: configuration.groups != nil)
    configuration.embeddingNormEpsilon = epsilons[0]
    configuration.blockNormEpsilon = epsilons[1]
    configuration.headNormEpsilon = epsilons[2]
    configuration.padding = Bert4keras.padding(configuration.sharesSegments)
    configuration.headOutput = .softmax
    return configuration
  }

  public func valueNames(_ architecture: FamilyArchitecture) -> [String: String] {
    let c = architecture.configuration
    let structure = architecture.structure
    var names = [
      "embeddings.token": "Embedding-Token", "embeddings.segment": "Embedding-Segment",
      "embeddings.norm": "Embedding-Norm", "embeddings.projection": "Embedding-Mapping",
      "final_norm": "Output-Norm", "pooler": "Pooler-Dense", "nsp_probs": "NSP-Proba",
      "sop_probs": "NSP-Proba",
      "discriminator.transform": "Discriminator-Dense",
      "discriminator_probs": "Discriminator-Prediction",
    ]
    names.merge(
      structure.maskedHead == .transform
        ? [
          "mlm.transform": "MLM-Dense", "mlm.norm": "MLM-Norm", "mlm_logits": "MLM-Bias",
          "mlm_probs": "MLM-Activation",
        ] : ["mlm.projection": "Output-Mapping", "mlm_probs": "Output-MLM-Activation"]
    ) { $1 }
    if structure.encoderDecoder {
      names["lm_probs"] = c.tiesDecoder ? "Decoder-Output-LM-Activation" : "Decoder-Output-LM"
      for (half, count) in [("Encoder", c.layers), ("Decoder", c.decoderLayers)] {
        names["\(half.lowercased()).final_norm"] = "\(half)-Output-Norm"
        for index in 0..<count {
          names.merge(
            block("\(half.lowercased()).layers.\(index)", "\(half)-Transformer-\(index)", structure)
          ) { $1 }
        }
      }
    } else {
      names["lm_probs"] = "LM-Activation"
      for depth in 0..<c.depth {
        // A shared layer has one name and, in Keras' way, a node index for each application.
        let (layer, node) =
          c.groups == nil ? ("Transformer-\(depth)", "") : ("Transformer", ":\(depth)")
        names.merge(block("layers.\(depth)", layer, structure).mapValues { $0 + node }) { $1 }
      }
    }
    names = names.mapValues { c.layerPrefix + $0 }
    for top in architecture.tops { names["head.\(top.name)"] = top.name }
    return names
  }

  private func block(
    _ value: String, _ layer: String, _ structure: Structure
  ) -> [String: String] {
    guard !structure.gatedUnit else {
      let unit = "\(layer)-GatedAttentionUnit"
      return ["\(value).attention.output": unit, "\(value).attention.norm": "\(unit)-Norm"]
    }
    let isAround = structure.placement == .around
    let (attention, feedForward) = ("\(layer)-MultiHeadSelfAttention", "\(layer)-FeedForward")
    let cross = "\(layer)-MultiHeadCrossAttention"
    return [
      "\(value).attention.output": attention,
      "\(value).attention.norm": isAround ? "\(feedForward)-Norm-0" : "\(attention)-Norm",
      "\(value).cross_attention.output": cross, "\(value).cross_attention.norm": "\(cross)-Norm",
      "\(value).feed_forward.output": feedForward,
      "\(value).feed_forward.norm": "\(feedForward)-Norm\(isAround ? "-1" : "")",
    ]
  }
}
