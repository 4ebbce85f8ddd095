extension Transformer {
  /// What canonical names and shapes tell of a configuration, by key.
  ///
  /// - Parameter heads: the number of attention heads, when known; sizes of heads follow from it.
  static func inferred(
    from shapes: [String: Shape], _ structure: Structure, heads: Int?
  ) -> [String: Int] {
    var values: [String: Int] = [:]
    func take(_ key: String, _ name: String, _ axis: Int) {
      if let shape = shapes[name], shape.rank > axis { values[key] = shape[axis] }
    }
    take("vocab_size", "embeddings.token", 0)
    take("embedding_size", "embeddings.token", 1)
    values["type_vocab_size"] = shapes["embeddings.segment"]?.extents.first ?? 0
    take("max_position_embeddings", "embeddings.position", 0)
    if let rows = shapes["embeddings.relative_position"]?.extents.first, rows % 2 == 1 {
      values["max_relative_position"] = rows / 2
    }
    values["num_hidden_layers"] =
      count("layers.", in: shapes) ?? count("encoder.layers.", in: shapes)
    values["num_decoder_layers"] = count("decoder.layers.", in: shapes)
    if structure.encoderDecoder {
      // A lone decoder's layers are its model's.
      values["num_hidden_layers"] = values["num_hidden_layers"] ?? values["num_decoder_layers"]
      for prefix in ["encoder.", "decoder."] {
        let owner = structure.sharesDistances ? prefix : "\(prefix)layers.0.attention."
        take("relative_attention_num_buckets", "\(owner)relative_position", 0)
        take("num_attention_heads", "\(owner)relative_position", 1)
      }
    }
    guard let block = firstBlock(shapes) else { return values }
    let attention = "\(block).attention"
    take("num_attention_heads", "\(attention).pre_softmax.kernel", 0)
    if structure.gatedUnit {
      take("hidden_size", "\(attention).inner.kernel", 0)
      take("intermediate_size", "\(attention).output.kernel", 0)
      take("attention_key_size", "\(attention).query.gamma", 0)
    } else {
      take("hidden_size", "\(attention).query.kernel", 0)
      take("intermediate_size", "\(block).feed_forward.inner.kernel", 1)
    }
    if let size = shapes["embeddings.relative_position"]?.extents.last, size > 0,
      let width = shapes["\(attention).query.kernel"]?.extents.last, width % size == 0
    {
      values["num_attention_heads"] = width / size
    }
    let known = heads ?? values["num_attention_heads"]
    if let known, known > 0, !structure.gatedUnit {
      for (key, name) in [("attention_key_size", "query"), ("attention_head_size", "value")] {
        if let shape = shapes["\(attention).\(name).kernel"], shape.rank == 2, shape[1] % known == 0
        {
          values[key] = shape[1] / known
        }
      }
    }
    for norm in ["embeddings.norm", "\(attention).norm", "\(block).feed_forward.norm"] {
      take("layer_norm_cond_size", "\(norm).condition_gamma.kernel", 0)
      if let shape = shapes["\(norm).condition.kernel"], shape.rank == 2 {
        values["layer_norm_cond_size"] = shape[0]
        values["layer_norm_cond_hidden_size"] = shape[1]
      }
    }
    return values
  }

  /// What the presence of weights tells and no key states.
  static func settle(
    _ c: inout Configuration, _ shapes: [String: Shape], _ structure: Structure
  ) {
    func has(_ end: String) -> Bool { shapes.keys.contains { $0.hasSuffix(end) } }
    c.projection = has("embeddings.projection.kernel")
    c.factor = shapes["embeddings.factor.kernel"] != nil
    c.talkingHeads = has("attention.pre_softmax.kernel") || has("attention.post_softmax.kernel")
    c.talkingHeadsBias = has("attention.pre_softmax.bias")
    c.normOffset = structure.norm == .scale && has("attention.norm.beta")
    if structure.encoderDecoder {
      c.hasEncoder =
        has("encoder.relative_position") || shapes["encoder.layers.0.attention.query.kernel"] != nil
      c.hasDecoder = shapes["decoder.layers.0.attention.query.kernel"] != nil
    }
    if shapes["lm.kernel"] != nil { c.tiesDecoder = false }
    if shapes.keys.contains(where: { $0.hasPrefix("layers.") }) { c.groups = nil }
  }

  private static func firstBlock(_ shapes: [String: Shape]) -> String? {
    ["layers.0", "groups.0.0", "encoder.layers.0", "decoder.layers.0"].first { block in
      shapes["\(block).attention.query.kernel"] != nil
        || shapes["\(block).attention.inner.kernel"] != nil
        || shapes["\(block).feed_forward.inner.kernel"] != nil
    }
  }

  /// The number after `prefix` in the names that have one, plus one: how many there are.
  static func count(_ prefix: String, in shapes: [String: Shape]) -> Int? {
    let numbers = shapes.keys.compactMap { name -> Int? in
      guard name.hasPrefix(prefix) else { return nil }
      return Int(name.dropFirst(prefix.count).prefix { $0 != "." })
    }
    return numbers.max().map { $0 + 1 }
  }

  /// Layers that a model may apply; more is a mistake in the configuration.
  static let deepest = 2048

  static func check(_ c: Configuration, _ structure: Structure) throws(CheckpointError) {
    let counts = [
      ("num_hidden_layers", c.layers), ("inner_group_num", c.innerGroups),
      ("num_decoder_layers", c.decoderLayers), ("num_hidden_layers × inner_group_num", c.depth),
    ]
    for (name, count) in counts where count > deepest {
      throw CheckpointError(
        .mismatch, Place(member: name), "is \(count); at most \(deepest) layers are expected")
    }
    if !structure.gatedUnit, c.keySize == 0 || c.headSize == 0 {
      throw CheckpointError(
        .mismatch, Place(),
        "num_attention_heads is \(c.heads), which does not divide the width of the attention "
          + "(hidden_size is \(c.hiddenSize))",
        hint: "correct it in the configuration or with --set num_attention_heads=N")
    }
    if structure.position == .relative, c.keySize != c.headSize {
      throw CheckpointError(
        .mismatch, Place(member: "attention_key_size"),
        "is \(c.keySize) and attention_head_size \(c.headSize); one table of distances serves keys "
          + "and values",
        hint: "correct them in the configuration or with --set")
    }
    if structure.languageModel, c.projection {
      throw CheckpointError(
        .mismatch, Place(member: "embedding_size"),
        "is \(c.embeddingSize) and hidden_size \(c.hiddenSize); the language model multiplies the "
          + "states by the token table, which takes one width",
        hint: "read it as another --family")
    }
    if structure.isRotary, c.keySize % 2 != 0 {
      throw CheckpointError(
        .mismatch, Place(member: "attention_key_size"),
        "is \(c.keySize); rotary positions need pairs",
        hint: "correct num_attention_heads in the configuration or with --set")
    }
  }
}
