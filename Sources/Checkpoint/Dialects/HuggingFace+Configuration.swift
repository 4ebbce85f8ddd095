/// config.json, both ways.
extension HuggingFace {
  // MARK: Reading

  /// ckpt's keys for the family's own, where those are no synonyms or mean something else.
  public func translated(_ configuration: JSON, family: String) -> JSON {
    guard let members = configuration.members,
      let spelling = all.first(where: { $0.family == family })
    else { return configuration }
    let isT5 = family.hasSuffix("t5")
    var result = JSON.object([])
    for member in members {
      let ours = spelling.keys.first { $0.theirs == member.key && $0.ours != "block_norm_eps" }?
        .ours
      switch member.key {
      case "afn" where member.value.string == "gelu" && family == "gpt":
        result.set("hidden_act", .string("gelu_new"))
      case "d_kv":
        result.set("attention_key_size", member.value)
        result.set("attention_head_size", member.value)
      // T5's follow from other keys; elsewhere decoders are tied, or the file holds another.
      case "scale_decoder_outputs" where isT5, "dense_act_fn" where isT5,
        "tie_word_embeddings" where !isT5, "is_gated_act" where isT5:
        break
      case "hidden_act" where family == "distilbert": break
      case "feed_forward_proj" where isT5:
        result.set("hidden_act", HuggingFace.feedForward(member.value, in: configuration))
      default: result.set(ours ?? member.key, member.value)
      }
    }
    if family == "t5" {
      let isScaled =
        configuration["scale_decoder_outputs"]?.bool
        ?? (configuration["tie_word_embeddings"]?.bool != false)
      result.set("scale_decoder_outputs", .bool(isScaled))
    }
    return result
  }

  /// `gated-gelu` is the one of tanh; `dense_act_fn`, where it is there, has the last word.
  private static func feedForward(_ value: JSON, in configuration: JSON) -> JSON {
    guard let text = value.string else { return value }
    let parts = text.split(separator: "-").map(String.init)
    let isGated = configuration["is_gated_act"]?.bool ?? (parts.first == "gated")
    let activation =
      configuration["dense_act_fn"]?.string
      ?? (text == "gated-gelu" ? "gelu_new" : parts.last ?? text)
    return isGated
      ? .array([.string(activation), .string("linear")]) : .string(activation)
  }

  // MARK: Writing

  static func spelled(_ activation: Activation) -> String? {
    switch activation {
    case .geluErf: "gelu"
    case .geluTanh: "gelu_new"
    case .geluQuick: "quick_gelu"
    case .squaredRelu: "relu2"
    case .linear, .relu, .relu6, .tanh, .sigmoid, .silu, .mish: activation.rawValue
    default: nil
    }
  }

  /// The content of config.json for a class.
  func json(
    _ model: Model, _ fit: HuggingFaceFit, _ spelling: HuggingFaceFamily
  ) throws(CheckpointError) -> JSON {
    let architecture = model.architecture
    let c = architecture.configuration
    guard let activation = HuggingFace.spelled(c.activation) else {
      throw CheckpointError(
        .unsupported, Place(member: "hidden_act"),
        "transformers does not know the activation \(c.activation.rawValue)")
    }
    var json = JSON.object([])
    json.set("architectures", .array([.string(fit.type.name)]))
    json.set("model_type", .string(spelling.modelTypes[0]))
    // What the source's configuration says of training and special tokens goes along.
    for member in model.configuration?.members ?? []
    where HuggingFace.travelling.contains(member.key) {
      json.set(member.key, member.value)
    }
    for (key, value) in spelling.constants where json[key] == nil { json.set(key, value) }
    json.set("vocab_size", .number(c.vocabularySize))
    for (theirs, ours) in spelling.keys {
      switch ours {
      case "num_decoder_layers" where !c.hasDecoder: break  // the class's default is num_layers
      case "hidden_act":
        // The class's "gelu" is the one of tanh.
        json.set(
          theirs,
          .string(architecture.family == "gpt" && activation == "gelu_new" ? "gelu" : activation))
      default:
        if let value = ConfigurationKey.named(ours)?.get(c) { json.set(theirs, value) }
      }
    }
    if architecture.family == "roformer", c.positions == 0 {
      json.set("max_position_embeddings", .number(HuggingFace.sinusoidRows(c)))
    }
    if architecture.family.hasSuffix("t5") { setFeedForward(&json, c) }
    if c.mask == .causal, spelling.takesDecoderFlag { json.set("is_decoder", .bool(true)) }
    setLabels(&json, model, fit)
    let dtypes: [DType: String] = [.f16: "float16", .bf16: "bfloat16", .f64: "float64"]
    json.set("dtype", .string(dtypes[model.weights.first?.tensor.dtype ?? .f32] ?? "float32"))
    return json
  }

  private func setFeedForward(_ json: inout JSON, _ c: Configuration) {
    // "gated-gelu" alone would mean the one of tanh.
    let erf = c.activation == .geluErf && !c.gates.isEmpty
    let activation =
      erf ? "gelu_python" : HuggingFace.spelled(c.activation) ?? c.activation.rawValue
    let isGated = !c.gates.isEmpty
    let name = c.activation == .geluTanh && isGated ? "gelu" : activation
    json.set("feed_forward_proj", .string(isGated ? "gated-\(name)" : name))
    json.set("dense_act_fn", .string(activation))
    json.set("is_gated_act", .bool(isGated))
    json.set("is_encoder_decoder", .bool(c.hasDecoder))
    json.set("scale_decoder_outputs", .bool(c.scalesDecoder))
  }

  /// Labels travel where their number is that of the class's layer.
  private func setLabels(_ json: inout JSON, _ model: Model, _ fit: HuggingFaceFit) {
    guard fit.type.task != nil, let count = model.architecture.tops.last?.outputSize else { return }
    let keys = ["id2label", "label2id"]
    if model.configuration?["id2label"]?.members?.count == count {
      for key in keys {
        if let value = model.configuration?[key] { json.set(key, value) }
      }
    } else if count != 2 {  // two is the class's default
      let names = (0..<count).map { "LABEL_\($0)" }
      json.set(
        "id2label",
        .object(names.enumerated().map { JSON.Member(String($0.offset), .string($0.element)) }))
      json.set(
        "label2id",
        .object(names.enumerated().map { JSON.Member($0.element, .number($0.offset)) }))
    }
  }

  private static let travelling: Set<String> = [
    "attention_probs_dropout_prob", "hidden_dropout_prob", "classifier_dropout_prob",
    "classifier_dropout", "initializer_range", "bos_token_id", "eos_token_id", "pad_token_id",
    "decoder_start_token_id", "problem_type", "attention_dropout", "dropout", "qa_dropout",
    "seq_classif_dropout", "attn_pdrop", "embd_pdrop", "resid_pdrop", "dropout_rate",
    "initializer_factor",
  ]
}
