extension FamilyArchitecture {
  /// Whether a configuration value has a part in what the model computes: the pooler's activation has
  /// none where there is no pooler.
  public func depends(on key: String) -> Bool {
    let c = configuration
    return switch key {
    case "pooler_activation": heads.contains(.pooler)
    case "head_norm_eps", "head_act": heads.contains(.mlm) && structure.maskedHead == .transform
    // The halves of a T5 have their own.
    case "mask": !structure.encoderDecoder
    case "head_output": !heads.isDisjoint(with: [.mlm, .nsp, .sop, .lm, .discriminator])
    case "num_decoder_layers": c.hasDecoder
    case "embedding_norm_eps": structure.embeddingNorm
    case "num_attention_heads", "attention_head_size": !structure.gatedUnit
    case "max_position_embeddings":
      [.absolute, .absoluteAfterPadding].contains(structure.position)
    case "pad_token_id": structure.position == .absoluteAfterPadding
    case "max_relative_position": structure.position == .relative
    case "relative_attention_num_buckets", "relative_attention_max_distance":
      structure.position == .buckets
    case "cross_position_bias": c.hasDecoder && structure.position == .buckets
    case "tie_word_embeddings", "scale_decoder_outputs": heads.contains(.lm)
    case "rotary_value": structure.isRotary
    case "transition_multiplier": tops.contains(where: \.hasTransitions)
    case "layer_norm_cond_hidden_act": c.conditionHiddenSize > 0
    default: true
    }
  }
}
