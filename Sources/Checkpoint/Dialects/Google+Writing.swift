extension Google {
  public func spell(_ model: Model) throws(CheckpointError) -> Spelling {
    let architecture = model.architecture
    let spelling = try spelling(of: architecture)
    try check(architecture)
    var remarks = try remarks(architecture, spelling)
    var weights = model.weights
    if architecture.family == "nezha" {
      try checkDistances(model)
      weights.removeAll { $0.name == NEZHA.distances }
      remarks.append("the table of distances is not stored: NEZHA's code computes it")
    }
    let written = try spelling.table(architecture.configuration).spell(
      weights, framework: "\(name)'s \(architecture.family)")
    var spelled = SpelledTensors()
    for row in written { spelled.add(row) }
    spelled.carry(model.carried)
    return Spelling(
      checkpoint: Checkpoint(format: format, groups: spelled.groups),
      configuration: json(model, spelling), rows: spelled.rows,
      loadsAs: loadsAs(architecture, spelling), missing: [], unexpected: spelled.carried,
      remarks: remarks, contract: architecture.family == "nezha" ? .rounding : .exact)
  }

  /// A masked language model without a discriminator is ELECTRA's generator.
  private func spelling(
    of architecture: FamilyArchitecture
  ) throws(CheckpointError) -> GoogleFamily {
    guard architecture.family == "electra" else {
      return try spelling(of: architecture.family, names: [])
    }
    let part: Part =
      architecture.heads.contains(.mlm) && !architecture.heads.contains(.discriminator)
      ? .generator : .discriminator
    return .electra(part, GoogleFamily.ELECTRAScopes(written: part))
  }

  public func computed(_ architecture: FamilyArchitecture) -> Configuration {
    var c = architecture.configuration
    c.padding = .attentionMask
    c.headOutput = .logits
    guard let spelling = try? spelling(of: architecture) else { return c }
    let epsilons = spelling.epsilons.compactMap { Double($0) }
    (c.embeddingNormEpsilon, c.blockNormEpsilon, c.headNormEpsilon) =
      (epsilons[0], epsilons[1], epsilons[2])
    return c
  }

  // MARK: Limits

  private func check(_ architecture: FamilyArchitecture) throws(CheckpointError) {
    let c = architecture.configuration
    let odd = ([c.activation] + c.gates).first { $0 == .geluQuick || $0 == .squaredRelu }
    if let odd {
      throw CheckpointError(
        .unsupported, Place(member: "hidden_act"),
        "none of those who read such checkpoints knows the activation \(odd.rawValue)")
    }
    if let head = c.headActivation, head != c.activation, architecture.heads.contains(.mlm) {
      throw CheckpointError(
        .unsupported, Place(member: "head_act"),
        "the code for these names computes the MLM transform by hidden_act "
          + "(\(c.activation.rawValue)); the source by \(head.rawValue)",
        hint: "to accept another function: --set head_act=\(c.activation.rawValue)")
    }
    if ["t5", "mt5"].contains(architecture.family), c.bucketDistance != 128 {
      throw CheckpointError(
        .unsupported, Place(member: "relative_attention_max_distance"),
        "the code for these names has 128; the source \(c.bucketDistance)",
        hint: "to accept another function: --set relative_attention_max_distance=128")
    }
    if c.rotatesValues {
      throw CheckpointError(
        .unsupported, Place(member: "rotary_value"),
        "the code for these names rotates queries and keys only; the source rotates values too",
        hint: "transformers holds such a model: --to huggingface")
    }
    let known = GoogleFamily.tops.map { ($0.name, $0.kind, $0.input) }
    for top in architecture.tops
    where !known.contains(where: { $0 == top.name && $1 == top.kind && $2 == top.input }) {
      throw CheckpointError(
        .unsupported, .tensor("head.\(top.name)"),
        "Google's checkpoints have no name for \(top.meaning)",
        hint: "to go on without: --allow-drop 'head.\(top.name).*'")
    }
    guard architecture.family == "albert" else { return }
    if let stray = Google.stray(layers: c.layers, groups: c.groups ?? c.layers) {
      throw CheckpointError(
        .unsupported, Place(member: "num_hidden_groups"),
        "of \(c.layers) layers in \(c.groups ?? c.layers) groups, google-research/albert computes "
          + "layer \(stray.layer) with group \(stray.theirs) instead of \(stray.ours)",
        hint: "bert4keras and transformers hold such a model: --to bert4keras, --to huggingface")
    }
  }

  /// NEZHA's table is computed by those who load the checkpoint, so it must be theirs.
  private func checkDistances(_ model: Model) throws(CheckpointError) {
    guard let table = model[NEZHA.distances]?.tensor, table.shape.rank == 2 else { return }
    let expected = NEZHA.sinusoids(rows: table.shape[0], width: table.shape[1])
    let tolerance = table.dtype == .bf16 ? 1e-2 : 1e-3
    for (index, value) in try table.doubles().enumerated()
    where !(abs(value - expected[index]) <= tolerance) {
      throw CheckpointError(
        .unsupported, .tensor(table.name),
        "is no table of sinusoids (row \(index / table.shape[1]) has \(value) where "
          + "\(expected[index]) is expected), and the checkpoint has no place for another")
    }
  }

  private func remarks(
    _ architecture: FamilyArchitecture, _ spelling: GoogleFamily
  ) throws(CheckpointError) -> [String] {
    let c = architecture.configuration
    var remarks = try Epsilons.remarks(
      c, computed(architecture), architecture.heads, "the code for these names")
    switch ([c.activation] + c.gates).first(where: { [.geluErf, .geluTanh].contains($0) }) {
    case .geluErf? where spelling.gelu == .geluTanh:
      remarks.append(
        "gelu is meant by erf, as bert4keras and transformers' converter take it; Google's own "
          + "code computes it by tanh")
    case .geluTanh?:
      remarks.append(
        "gelu is meant by tanh: call set_gelu('tanh') in bert4keras, and say \"gelu_new\" in the "
          + "configuration for transformers' converter")
    default: break
    }
    if c.mask != spelling.mask {
      let application = [.causal: "lm", .unilm: "unilm"][c.mask] ?? "encoder"
      remarks.append(
        "the mask is \(c.mask.rawValue): application='\(application)' in bert4keras")
    }
    if c.padding == .tokenZero {
      remarks.append("pass input_mask where padding is: only bert4keras takes token id 0 for it")
    }
    if c.crossPositionBias {
      remarks.append(
        "cross-attention has the position bias, which bert4keras adds and Mesh TensorFlow does not")
    }
    let isT5 = ["t5", "mt5"].contains(architecture.family)
    if c.heads > 1, c.keySize != c.headSize || !isT5 && c.heads * c.headSize != c.hiddenSize {
      remarks.append(
        "attention_key_size and attention_head_size, keys of \(c.keySize) and values of \(c.headSize), "
          + "are read by bert4keras; other code for these names has one size for both")
    }
    return remarks
  }

  // MARK: Configuration

  private func json(_ model: Model, _ spelling: GoogleFamily) -> JSON {
    let architecture = model.architecture
    let c = architecture.configuration
    var json = JSON.object([])
    for key in [
      "attention_probs_dropout_prob", "hidden_dropout_prob", "dropout_rate", "initializer_range",
    ] {
      if let value = model.configuration?[key] { json.set(key, value) }
    }
    var gelu: String?
    let names = ([c.activation] + c.gates).map { activation -> JSON in
      switch activation {
      case .geluErf: gelu = "erf"
      case .geluTanh: gelu = "tanh"
      case .silu: return .string("swish")
      default: return .string(activation.rawValue)
      }
      return .string("gelu")
    }
    json.set("hidden_act", names.count == 1 ? names[0] : .array(names))
    if let gelu { json.set(Google.geluKey, .string(gelu)) }
    json.set("vocab_size", .number(c.vocabularySize))
    json.set("hidden_size", .number(c.hiddenSize))
    if c.embeddingSize != c.hiddenSize { json.set("embedding_size", .number(c.embeddingSize)) }
    json.set("num_hidden_layers", .number(c.layers))
    if c.heads > 0 { json.set("num_attention_heads", .number(c.heads)) }
    if c.headSize > 0, c.headSize * c.heads != c.hiddenSize {
      json.set("attention_head_size", .number(c.headSize))
    }
    if c.keySize != c.headSize { json.set("attention_key_size", .number(c.keySize)) }
    json.set("intermediate_size", .number(c.intermediateSize))
    if c.positions > 0 { json.set("max_position_embeddings", .number(c.positions)) }
    if !spelling.lacksSegments { json.set("type_vocab_size", .number(c.segments)) }
    if c.poolerActivation != .tanh {
      json.set("pooler_activation", .string(c.poolerActivation.rawValue))
    }
    switch architecture.family {
    case "albert":
      json.set("num_hidden_groups", .number(c.groups ?? c.layers))
      json.set("inner_group_num", .number(c.innerGroups))
    case "albert_zh": json.set("ln_type", .string("postln"))
    case "nezha": json.set("use_relative_position", .bool(true))
    case "roformer": json.set("model_type", .string("roformer"))
    case "t5", "mt5":
      if c.hasDecoder, c.decoderLayers != c.layers {
        json.set("num_decoder_layers", .number(c.decoderLayers))
      }
      json.set("cross_position_bias", .bool(c.crossPositionBias))
      json.set("scale_decoder_outputs", .bool(c.scalesDecoder))
    default: break
    }
    let usual =
      architecture.family == "gau_alpha" ? Configuration.Normalization.softmaxPlus : .softmax
    if c.normalization != usual { json.set("normalization", .string(c.normalization.rawValue)) }
    // What a reader would take for another function, were it not said.
    for key in ["hierarchical_position", "residual_attention_scores", "shared_segment_embeddings"] {
      guard let key = ConfigurationKey.named(key) else { continue }
      if key.get(c) != key.get(Configuration()) { json.set(key.name, key.get(c)) }
    }
    return json
  }

  private func loadsAs(_ architecture: FamilyArchitecture, _ spelling: GoogleFamily) -> String {
    let c = architecture.configuration
    guard var kind = spelling.bert4keras else {
      switch architecture.family {
      case "electra": return "google-research/electra, as its generator"
      case "albert_zh": return "brightmart/albert_zh, before it took Google's code"
      default: return "ZhuiyiTechnology/GAU-alpha: build_transformer_model(…, model=GAU_alpha)"
      }
    }
    if architecture.family == "albert", (c.groups ?? c.layers) > 1 || c.innerGroups > 1 {
      return "google-research/albert, AlbertModel(config)"
    }
    if architecture.family == "t5", !c.gates.isEmpty { kind = "t5.1.1" }
    if c.hasEncoder != c.hasDecoder { kind += c.hasEncoder ? "_encoder" : "_decoder" }
    let heads = architecture.heads
    let flags: [(Bool, String)] = [
      (heads.contains(.pooler), "with_pool"), (!heads.isDisjoint(with: [.nsp, .sop]), "with_nsp"),
      (heads.contains(.mlm), "with_mlm"), (heads.contains(.discriminator), "with_discriminator"),
      (heads.contains(.lm) && ["t5", "mt5"].contains(architecture.family), "with_lm"),
    ]
    return "build_transformer_model('\(configurationName)', '\(fileName)', model='\(kind)'"
      + flags.filter(\.0).map { ", \($0.1)=True" }.joined() + ")"
  }
}
