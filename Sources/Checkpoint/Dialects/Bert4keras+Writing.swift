/// A model as bert4keras takes it: layers in Keras' order, config.json, and the call that loads both.
extension Bert4keras {
  public func spell(_ model: Model) throws(CheckpointError) -> Spelling {
    let architecture = model.architecture
    try check(architecture)
    let (groups, rows) = try Bert4keras.table(architecture.family).written(
      Bert4kerasLayers.names(
        architecture, hasDropout: Bert4keras.hasDropout(model.configuration)),
      prefix: architecture.configuration.layerPrefix, of: model)
    return Spelling(
      checkpoint: Checkpoint(format: format, groups: groups),
      configuration: configuration(of: architecture, model), rows: rows,
      loadsAs: loading(architecture), missing: [],
      unexpected: model.carried.flatMap(\.tensors).map(\.name),
      remarks: try remarks(architecture))
  }

  private static func hasDropout(_ configuration: JSON?) -> Bool {
    let rate = configuration?["dropout_rate"] ?? configuration?["hidden_dropout_prob"]
    return rate?.double ?? 0 > 0
  }

  // MARK: Loading

  private func modelName(_ architecture: FamilyArchitecture) -> String {
    let c = architecture.configuration
    switch architecture.family {
    case "albert": return c.groups == nil ? "albert_unshared" : "albert"
    case "distilbert": return "bert"
    case "t5", "mt5":
      let hasModel = architecture.heads.contains(.lm)
      let isNew = hasModel ? !c.tiesDecoder : !c.gates.isEmpty || architecture.family == "mt5"
      let version = isNew ? architecture.family + ".1.1" : "t5.1.0"
      return version + (c.hasDecoder ? c.hasEncoder ? "" : "_decoder" : "_encoder")
    default: return architecture.family
    }
  }

  private func loading(_ architecture: FamilyArchitecture) -> String {
    let (c, heads) = (architecture.configuration, architecture.heads)
    // GAU-α's class is its authors', not bert4keras'.
    let model = architecture.family == "gau_alpha" ? "GAU_alpha" : "'\(modelName(architecture))'"
    var arguments = ["config", "model=\(model)"]
    if heads.contains(.pooler) {
      arguments.append(
        "with_pool="
          + (c.poolerActivation == .tanh
            ? "True" : "'\(Bert4keras.spelled(c.poolerActivation))'"))
    }
    if !heads.isDisjoint(with: [.nsp, .sop]) { arguments.append("with_nsp=True") }
    // A head that is all token table is no reason to put it below the layers on top.
    let isOwn = architecture.structure.maskedHead == .transform || c.projection
    if heads.contains(.mlm), isOwn || architecture.tops.isEmpty {
      arguments.append("with_mlm=True")
    }
    if heads.contains(.discriminator) { arguments.append("with_discriminator=True") }
    if c.hasDecoder, ["t5", "mt5"].contains(architecture.family), !heads.contains(.lm) {
      arguments.append("with_lm=False")
    }
    if c.conditionSize > 0 {
      arguments += ["layer_norm_cond=condition", "additional_input_layers=condition"]
    }
    return KerasTops.built(
      "build_transformer_model(\(arguments.joined(separator: ", ")))", architecture.tops)
      + ".load_weights(file)"
  }

  /// What bert4keras will compute otherwise than the source, and how to load it.
  private func remarks(_ architecture: FamilyArchitecture) throws(CheckpointError) -> [String] {
    let c = architecture.configuration
    var remarks = try Epsilons.remarks(
      c, computed(architecture), architecture.heads,
      "bert4keras 0.11.5 (\(modelName(architecture)))")
    if c.poolerActivation != .tanh, architecture.heads.contains(.pooler) {
      remarks.append("load it with with_pool='\(Bert4keras.spelled(c.poolerActivation))'")
    }
    let isCausal = architecture.structure.languageModel
    if c.mask != (isCausal ? .causal : .bidirectional) {
      let application = c.mask == .causal ? "lm" : "unilm"
      remarks.append("load it with application='\(application)' for the \(c.mask.rawValue) mask")
    }
    if c.conditionSize > 0 {
      remarks.append("condition is an Input layer of shape (\(c.conditionSize),)")
    }
    if c.talkingHeads {
      remarks.append(
        "bert4keras' attention does not mix heads; load it with a class whose attention has "
          + "pre_softmax and post_softmax behind its dense layers")
    }
    if architecture.structure.position == .relative, c.heads == 1 {
      remarks.append(
        "bert4keras cannot build a NEZHA of one head on TensorFlow 2.15, whose einsum loses its shape"
      )
    }
    if architecture.family == "gau_alpha" {
      remarks.append("GAU_alpha is the class of github.com/ZhuiyiTechnology/GAU-alpha")
    }
    return remarks
  }

  private func check(_ architecture: FamilyArchitecture) throws(CheckpointError) {
    let c = architecture.configuration
    func refuse(
      _ reason: String, _ place: Place = Place(), hint: String? = nil
    ) throws(CheckpointError) {
      throw CheckpointError(.unsupported, place, reason, hint: hint)
    }
    guard families.contains(architecture.family) else {
      throw refusal(of: architecture.family)
    }
    let structure = architecture.structure
    if let groups = c.groups, groups > 1 || c.innerGroups > 1 {
      try refuse(
        "bert4keras' ALBERT shares one layer; this one has \(groups) groups of \(c.innerGroups)",
        hint: "use --apply untie")
    }
    if c.factor {
      try refuse(
        "bert4keras 0.11.5 has no matrix between the token table and the sum of the embeddings",
        .tensor("embeddings.factor.kernel"), hint: "use --apply fold-embedding")
    }
    if c.projection, c.embeddingSize == c.hiddenSize {
      try refuse(
        "bert4keras has no projection where embedding_size equals hidden_size (\(c.hiddenSize))",
        .tensor("embeddings.projection"))
    }
    if c.projection, structure.languageModel {
      try refuse(
        "bert4keras' \(architecture.family) multiplies its states by the token table, which is "
          + "\(c.embeddingSize) wide", Place(member: "embedding_size"))
    }
    let unknown: Set<Activation> = [.geluQuick, .squaredRelu]
    if let activation = ([c.activation] + c.gates).first(where: unknown.contains) {
      try refuse("bert4keras does not know the activation \(activation.rawValue)")
    }
    if let activation = c.headActivation, activation != c.activation,
      architecture.heads.contains(.mlm), structure.maskedHead == .transform
    {
      try refuse(
        "bert4keras' MLM transform has the activation of the feed-forward, "
          + "\(c.activation.rawValue); this one has \(activation.rawValue)",
        Place(member: "head_act"),
        hint: "to accept another function: --set head_act=\(c.activation.rawValue)")
    }
    let sequence = !architecture.heads.isDisjoint(with: [.nsp, .sop])
    if sequence, !architecture.heads.contains(.pooler) {
      try refuse("bert4keras' NSP head needs the pooler", .tensor("pooler.kernel"))
    }
    try checkFixed(c, structure, architecture.family)
  }

  /// Values that bert4keras has for all models of a family.
  private func checkFixed(
    _ c: Configuration, _ structure: Structure, _ family: String
  ) throws(CheckpointError) {
    let normalization: Configuration.Normalization = structure.gatedUnit ? .softmaxPlus : .softmax
    let fixed: [(key: String, isUsual: Bool, usual: String)] = [
      ("normalization", c.normalization == normalization, normalization.rawValue),
      ("rotary_value", !c.rotatesValues, "false"),
      ("mask", !structure.languageModel || c.mask != .bidirectional, "causal"),
      (
        "max_relative_position", structure.position != .relative || c.relativePositions == 64, "64"
      ),
      (
        "relative_attention_num_buckets", structure.position != .buckets || c.buckets == 32, "32"
      ),
      (
        "relative_attention_max_distance",
        structure.position != .buckets || c.bucketDistance == 128, "128"
      ),
      (
        "scale_decoder_outputs",
        !structure.encoderDecoder || !c.hasDecoder || c.scalesDecoder, "true"
      ),
      (
        "num_decoder_layers",
        !structure.encoderDecoder || !c.hasEncoder || !c.hasDecoder || c.decoderLayers == c.layers,
        "\(c.layers)"
      ),
    ]
    for value in fixed where !value.isUsual {
      throw CheckpointError(
        .unsupported, Place(member: value.key),
        "bert4keras' \(family) has \(value.usual); the source has "
          + (ConfigurationKey.named(value.key)?.get(c).compact ?? "another value"),
        hint: value.key == "scale_decoder_outputs"
          ? "use --apply unfold-decoder-scale: the weights take the factor, the function stays"
          : ["mask", "rotary_value", "relative_attention_max_distance"].contains(value.key)
            ? "to accept another function: --set \(value.key)=\(value.usual)" : nil)
    }
    if c.normOffset {
      throw CheckpointError(
        .unsupported, Place(member: "beta"),
        "bert4keras 0.11.5 has no beta in T5's norms; only 0.11.0 had")
    }
  }

  // MARK: config.json

  private func configuration(of architecture: FamilyArchitecture, _ model: Model) -> JSON {
    let c = architecture.configuration
    let structure = architecture.structure
    var json = JSON.object([])
    func set(_ key: String, _ value: JSON) { json.set(key, value) }
    let kept = [
      "attention_probs_dropout_prob", "hidden_dropout_prob", "attention_dropout_rate",
      "dropout_rate", "initializer_range",
    ]
    for key in kept {
      if let value = model.configuration?[key] { set(key, value) }
    }
    let activations = ([c.activation] + c.gates).map { JSON.string(Bert4keras.spelled($0)) }
    set("hidden_act", activations.count == 1 ? activations[0] : .array(activations))
    set("vocab_size", .number(c.vocabularySize))
    set("hidden_size", .number(c.hiddenSize))
    if c.embeddingSize != c.hiddenSize { set("embedding_size", .number(c.embeddingSize)) }
    set(
      "num_hidden_layers",
      .number(c.hasEncoder || !structure.encoderDecoder ? c.layers : c.decoderLayers))
    set("num_attention_heads", .number(max(c.heads, 1)))
    if !structure.gatedUnit, c.headSize * c.heads != c.hiddenSize {
      set("attention_head_size", .number(c.headSize))
    }
    if c.keySize != c.headSize { set("attention_key_size", .number(c.keySize)) }
    set("intermediate_size", .number(c.intermediateSize))
    if !structure.encoderDecoder {
      if c.positions > 0 { set("max_position_embeddings", .number(c.positions)) }
      set("type_vocab_size", .number(c.segments))
    }
    if c.sharesSegments { set("shared_segment_embeddings", .bool(true)) }
    if let share = c.hierarchicalPosition {
      set("hierarchical_position", share == 0.4 ? .bool(true) : .number(share))
    }
    if c.givenPositions { set("custom_position_ids", .bool(true)) }
    if c.residualScores { set("residual_attention_scores", .bool(true)) }
    if c.conditionHiddenSize > 0 {
      set("layer_norm_cond_hidden_size", .number(c.conditionHiddenSize))
      set("layer_norm_cond_hidden_act", .string(Bert4keras.spelled(c.conditionActivation)))
    }
    // What neither weights nor their names will tell.
    if architecture.heads.contains(.pooler), c.poolerActivation != .tanh {
      set("with_pool", .string(Bert4keras.spelled(c.poolerActivation)))
    }
    if structure.encoderDecoder, c.hasDecoder {
      let hasModel = architecture.heads.contains(.lm)
      if !hasModel || c.tiesDecoder && !c.gates.isEmpty { set("with_lm", .bool(hasModel)) }
    }
    if structure.encoderDecoder, c.hasDecoder, !c.crossPositionBias {
      set("cross_position_bias", .bool(false))
    }
    // bert4keras takes it from its argument with_pool alone.
    if architecture.heads.contains(.pooler), c.poolerActivation != .tanh {
      set("pooler_activation", .string(Bert4keras.spelled(c.poolerActivation)))
    }
    if !c.layerPrefix.isEmpty { set("prefix", .string(c.layerPrefix)) }
    if architecture.family == "albert" {
      set("num_hidden_groups", .number(c.groups ?? c.layers))
      set("inner_group_num", .number(1))
    }
    KerasTops.note(model, in: &json)
    return json
  }

  private static func spelled(_ activation: Activation) -> String {
    switch activation {
    case .geluErf: "gelu"
    case .silu: "swish"
    default: activation.rawValue
    }
  }
}
