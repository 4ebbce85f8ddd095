/// What transformers cannot hold, and what to do instead.
struct HuggingFaceLimits {
  let architecture: FamilyArchitecture
  let spelling: HuggingFaceFamily

  private var c: Configuration { architecture.configuration }
  private var name: String { spelling.classes[0].name }
  private var isT5: Bool { spelling.family.hasSuffix("t5") }

  /// A reason, where it shows, and the next step.
  private typealias Reason = (place: String, reason: String, hint: String?)

  /// - Throws: ``CheckpointError`` of kind `unsupported` with the first reason.
  func check() throws(CheckpointError) {
    guard let (place, reason, hint) = reasons.first else { return }
    throw CheckpointError(.unsupported, Place(member: place), reason, hint: hint)
  }

  private var reasons: [Reason] {
    common + sizes + (isT5 ? encoderDecoder : encoder) + heads
  }

  private func when(
    _ condition: Bool, _ place: String, _ reason: String, _ hint: String? = nil
  ) -> [Reason] { condition ? [(place, reason, hint)] : [] }

  private static let asStored = DialectRegistry.asStored

  private var common: [Reason] {
    when(
      c.residualScores, "residual_attention_scores",
      "transformers has no class that adds a layer's scores to the next one's",
      HuggingFaceLimits.asStored)
      + when(
        c.talkingHeads, "attention.pre_softmax",
        "transformers has no class with projections between heads (talking-heads)",
        (Bert4keras().families.contains(architecture.family) ? "--to bert4keras holds them; " : "")
          + "--apply flatten-talking-heads makes plain attention of wider heads"
      )
      + when(
        c.hierarchicalPosition != nil, "hierarchical_position",
        "transformers has one row per position; these are decomposed",
        "for a table of N of them: --apply extend-positions=N; to compute with the first "
          + "\(c.positions) only: --set hierarchical_position=false"
      )
      + when(
        c.givenPositions, "custom_position_ids",
        "positions are an input here; transformers counts them unless position_ids are given",
        "to count them: --set custom_position_ids=false")
      + when(
        c.conditionSize > 0, "layer_norm_cond_size",
        "transformers has no norms with a condition", HuggingFaceLimits.asStored)
      + when(
        c.normalization != .softmax, "normalization",
        "transformers' attention has softmax, not \(c.normalization.rawValue)",
        HuggingFaceLimits.asStored)
      + when(
        c.sharesSegments, "shared_segment_embeddings",
        "transformers' segments have a table of their own; here they are rows of the token table",
        HuggingFaceLimits.asStored)
      + when(
        c.factor, "embeddings.factor", "transformers has no factored token table",
        "use --apply fold-embedding")
  }

  private var sizes: [Reason] {
    let width = c.heads * c.keySize
    let isUneven = isT5 ? c.keySize != c.headSize : width != c.hiddenSize || c.headSize != c.keySize
    let family = architecture.family
    return when(
      isUneven, "layers.0.attention",
      isT5
        ? "T5 has one size for keys and values; here keys have \(c.keySize) and values \(c.headSize)"
        : "transformers needs hidden_size = heads × size; here \(c.heads) heads have key size "
          + "\(c.keySize) and value size \(c.headSize), and hidden_size is \(c.hiddenSize)",
      Bert4keras().families.contains(family)
        ? "bert4keras has attention_key_size and attention_head_size: --to bert4keras"
        : "no framework that ckpt writes for has a \(family) of such sizes")
  }

  private var encoder: [Reason] {
    let family = spelling.family
    let hasProjection = ["albert", "electra", "roformer"].contains(family)
    let other = family == "bert" || family == "distilbert"
    let isGPT = family == "gpt" || family == "gpt2"
    return when(
      c.projection && !hasProjection, "embeddings.projection",
      "\(name) has no projection from embedding_size \(c.embeddingSize) to hidden_size "
        + "\(c.hiddenSize)",
      other
        ? "use --to-family albert: AlbertFor… with one group per layer computes the same"
        : HuggingFaceLimits.asStored)
      + when(
        !c.gates.isEmpty, "feed_forward.gate",
        "\(name)'s feed-forward is not gated; this one is \(c.gates.count + 1) factors",
        HuggingFaceLimits.asStored)
      + when(
        c.segments == 0 && family != "distilbert" && !isGPT, "embeddings.segment",
        "\(name) has a table of segments, and this model has none",
        family == "bert"
          ? "use --to-family distilbert, a BERT without segments"
          : HuggingFaceLimits.asStored)
      + when(
        c.segments > 0 && (family == "distilbert" || isGPT), "embeddings.segment",
        "\(name) has no table of segments", HuggingFaceLimits.asStored)
      + when(
        c.rotatesValues && family != "roformer", "rotary_value", "\(name) rotates no values",
        HuggingFaceLimits.asStored)
      + when(
        family == "gpt" && c.intermediateSize != 4 * c.hiddenSize, "intermediate_size",
        "\(name)'s feed-forward is 4 × hidden_size wide, \(4 * c.hiddenSize); here "
          + "\(c.intermediateSize)", HuggingFaceLimits.asStored)
      + when(
        family == "gpt" && ![.geluTanh, .relu, .silu].contains(c.activation), "hidden_act",
        "\(name) knows gelu (the one of tanh), relu and silu, not \(c.activation.rawValue)",
        "to accept another function: --set hidden_act=gelu_tanh")
      + when(
        isGPT && c.scalesDecoder, "scale_decoder_outputs", "\(name) does not scale its states",
        "use --apply fold-decoder-scale")
  }

  private var encoderDecoder: [Reason] {
    let hasModel = architecture.heads.contains(.lm)
    let fold = "use --apply fold-decoder-scale: the decoder's weights take the factor"
    return when(
      !c.hasEncoder, "encoder", "transformers has no class for a T5 decoder without its encoder",
      HuggingFaceLimits.asStored)
      + when(
        c.projection, "encoder.embeddings.projection",
        "T5's embeddings are as wide as its states", HuggingFaceLimits.asStored)
      + when(
        c.crossPositionBias && c.hasDecoder, "cross_position_bias",
        "transformers' cross-attention has no position bias",
        "to accept another function: --set cross_position_bias=false")
      + when(
        c.normOffset, "attention.norm.beta", "T5's norms have no beta in transformers",
        HuggingFaceLimits.asStored)
      + when(
        c.gates.count > 1 || !c.gates.allSatisfy { $0 == .linear }, "feed_forward.gate",
        "T5's second factor is linear, and there is no third", HuggingFaceLimits.asStored)
      + when(
        hasModel && c.scalesDecoder && spelling.family == "mt5", "scale_decoder_outputs",
        "MT5 does not scale its decoder's states", fold)
      + when(
        hasModel && c.scalesDecoder && !c.tiesDecoder && spelling.family == "t5",
        "scale_decoder_outputs",
        "T5 with output weights of its own does not scale its decoder's states", fold)
      + when(
        hasModel && !c.scalesDecoder && spelling.family == "umt5", "scale_decoder_outputs",
        "UMT5 scales its decoder's states",
        "use --apply unfold-decoder-scale: the decoder's weights take the inverse factor")
  }

  private var heads: [Reason] {
    let heads = architecture.heads
    let transform = c.headActivation ?? c.activation
    let isFixed = ["electra", "roberta"].contains(spelling.family)
    let expected = isFixed ? Activation.geluErf : c.activation
    return when(
      c.poolerActivation != .tanh && heads.contains(.pooler), "pooler",
      "transformers' pooler has tanh, not \(c.poolerActivation.rawValue)",
      "to accept another function: --set pooler_activation=tanh; without it: "
        + "--allow-drop 'pooler.*'")
      + when(
        heads.contains(.mlm) && transform != expected, "mlm.transform",
        "\(name)'s MLM head has \(expected.rawValue), not \(transform.rawValue)",
        "to accept another function: --set head_act=\(expected.rawValue); without it: "
          + "--allow-drop 'mlm.*'")
  }

  // MARK: Families

  /// Why a family has no class.
  static func foreign(_ family: String) -> CheckpointError {
    let reasons: [String: (String, String?)] = [
      "nezha": ("transformers 5 has no NEZHA: no class has a table of distances", asStored),
      "roformer_v2": (
        "transformers' RoFormer has biases and norms with weights; RoFormerV2 has neither",
        asStored
      ),
      "gau_alpha": ("transformers has no gated attention units", asStored),
      "gpt2_ml": (
        "transformers' GPT-2 has its norms before each part; GPT2-ML has them around the "
          + "feed-forward", asStored
      ),
      "albert_zh": (
        "transformers has no factored token table",
        "use --apply fold-embedding, which gives an ALBERT, or behind --apply untie a BERT"
      ),
    ]
    let (reason, hint) = reasons[family] ?? ("transformers has no class for \(family)", nil)
    return CheckpointError(.unsupported, Place(), reason, hint: hint)
  }
}
