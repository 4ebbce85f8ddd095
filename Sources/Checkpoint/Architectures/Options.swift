extension FamilyArchitecture {
  /// What is special about the model beside its family and sizes, for people.
  public var options: [String] {
    let c = configuration
    let structure = (try? ArchitectureRegistry.named(family).structure) ?? Structure()
    var options: [String] = []
    func add(_ text: String, when holds: Bool) { if holds { options.append(text) } }
    add("encoder only", when: structure.encoderDecoder && !c.hasDecoder)
    add("decoder only", when: structure.encoderDecoder && !c.hasEncoder)
    add("embeddings of width \(c.embeddingSize), projected to \(c.hiddenSize)", when: c.projection)
    add("token table of width \(c.embeddingSize), multiplied to \(c.hiddenSize)", when: c.factor)
    add("no segments", when: c.segments == 0 && structure.position == .absolute)
    add("segments are rows of the token table", when: c.sharesSegments)
    add(
      "attention keys of \(c.keySize) and values of \(c.headSize) for hidden \(c.hiddenSize)",
      when: !structure.gatedUnit
        && (c.keySize * c.heads != c.hiddenSize || c.headSize * c.heads != c.hiddenSize))
    add(
      "gated feed-forward (\(([c.activation] + c.gates).map(\.rawValue).joined(separator: " · ")))",
      when: !c.gates.isEmpty)
    if let alpha = c.hierarchicalPosition { options.append("hierarchical positions (\(alpha))") }
    add("positions are an input", when: c.givenPositions)
    add("values are rotated too", when: c.rotatesValues)
    add("residual attention scores", when: c.residualScores)
    add("talking heads", when: c.talkingHeads)
    add(
      "norms conditioned on a vector of \(c.conditionSize)"
        + (c.conditionHiddenSize > 0 ? " through \(c.conditionHiddenSize)" : ""),
      when: c.conditionSize > 0)
    add("norms have offsets", when: c.normOffset)
    add("cross-attention has the position bias", when: c.hasDecoder && c.crossPositionBias)
    add("output weights of its own", when: heads.contains(.lm) && !c.tiesDecoder)
    add("\(c.mask.rawValue) mask", when: c.mask != .bidirectional)
    return options
  }
  /// Whether anything in this model goes by that configuration key.
  public func uses(_ key: String) -> Bool {
    let c = configuration
    let structure = (try? ArchitectureRegistry.named(family).structure) ?? Structure()
    return switch key {
    case "pooler_activation": heads.contains(.pooler)
    case "head_norm_eps", "head_act": heads.contains(.mlm) && structure.maskedHead == .transform
    case "head_output": !heads.isDisjoint(with: [.mlm, .nsp, .sop, .lm, .discriminator])
    case "embedding_norm_eps": structure.embeddingNorm
    case "num_attention_heads", "attention_head_size": !structure.gatedUnit
    case "max_position_embeddings":
      [.absolute, .absoluteAfterPadding].contains(structure.position)
    case "pad_token_id": structure.position == .absoluteAfterPadding
    case "max_relative_position": structure.position == .relative
    case "relative_attention_num_buckets", "relative_attention_max_distance":
      structure.position == .buckets
    case "cross_position_bias": c.hasDecoder && structure.position == .buckets
    case "num_decoder_layers": c.hasDecoder
    case "tie_word_embeddings", "scale_decoder_outputs": heads.contains(.lm)
    case "rotary_value": structure.isRotary
    case "transition_multiplier": tops.contains(where: \.hasTransitions)
    case "layer_norm_cond_hidden_act": c.conditionHiddenSize > 0
    default: true
    }
  }
}
