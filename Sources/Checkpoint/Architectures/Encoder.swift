/// What BERT and ALBERT share: embeddings, post-LayerNorm blocks, pooler and MLM heads.
///
/// Symbols: V vocabulary, E embedding, H hidden, I intermediate, k and d a head's key and value
/// sizes, A heads.
enum Encoder {
  static func embeddings(_ c: Configuration) -> [WeightSpec] {
    var weights = [
      WeightSpec("embeddings.token", [c.vocabularySize, c.embeddingSize]),
      WeightSpec("embeddings.segment", [c.segments, c.embeddingSize]),
      WeightSpec("embeddings.position", [c.positions, c.embeddingSize]),
    ]
    weights += norm("embeddings.norm", c.embeddingSize)
    if c.projection {
      weights += dense("embeddings.projection", c.embeddingSize, c.hiddenSize)
    }
    return weights
  }

  static func block(_ name: String, _ c: Configuration) -> [WeightSpec] {
    dense("\(name).attention.query", c.hiddenSize, c.heads * c.keySize)
      + dense("\(name).attention.key", c.hiddenSize, c.heads * c.keySize)
      + dense("\(name).attention.value", c.hiddenSize, c.heads * c.headSize)
      + dense("\(name).attention.output", c.heads * c.headSize, c.hiddenSize)
      + norm("\(name).attention.norm", c.hiddenSize)
      + dense("\(name).feed_forward.inner", c.hiddenSize, c.intermediateSize)
      + dense("\(name).feed_forward.output", c.intermediateSize, c.hiddenSize)
      + norm("\(name).feed_forward.norm", c.hiddenSize)
  }

  static func heads(_ heads: Set<Head>, _ c: Configuration) -> [WeightSpec] {
    var weights: [WeightSpec] = []
    for head in heads.sorted() {
      switch head {
      case .pooler: weights += dense("pooler", c.hiddenSize, c.hiddenSize, head)
      case .nsp: weights += dense("nsp", c.hiddenSize, 2, head)
      case .sop: weights += dense("sop", c.hiddenSize, 2, head)
      case .mlm:
        weights += dense("mlm.transform", c.hiddenSize, c.embeddingSize, head)
        weights += norm("mlm.norm", c.embeddingSize, head)
        weights.append(WeightSpec("mlm.bias", [c.vocabularySize], head: head))
      }
    }
    return weights
  }

  private static func dense(
    _ name: String, _ input: Int, _ output: Int, _ head: Head? = nil
  ) -> [WeightSpec] {
    [
      WeightSpec("\(name).kernel", [input, output], head: head),
      WeightSpec("\(name).bias", [output], head: head),
    ]
  }

  private static func norm(_ name: String, _ width: Int, _ head: Head? = nil) -> [WeightSpec] {
    [
      WeightSpec("\(name).gamma", [width], head: head),
      WeightSpec("\(name).beta", [width], head: head),
    ]
  }

  /// What shapes tell; `blocks` are the names of the stored blocks that were found.
  static func inferred(
    from shapes: [String: Shape], firstBlock: String?, heads: Int?
  ) -> [String: Int] {
    var values: [String: Int] = [:]
    func take(_ key: String, _ name: String, _ axis: Int) {
      if let shape = shapes[name], shape.rank > axis { values[key] = shape[axis] }
    }
    take("vocab_size", "embeddings.token", 0)
    take("embedding_size", "embeddings.token", 1)
    take("type_vocab_size", "embeddings.segment", 0)
    take("max_position_embeddings", "embeddings.position", 0)
    guard let firstBlock else { return values }
    take("hidden_size", "\(firstBlock).attention.query.kernel", 0)
    take("intermediate_size", "\(firstBlock).feed_forward.inner.kernel", 1)
    if let heads, heads > 0 {
      for (key, name) in [("attention_key_size", "query"), ("attention_head_size", "value")] {
        if let shape = shapes["\(firstBlock).attention.\(name).kernel"], shape.rank == 2,
          shape[1] % heads == 0
        {
          values[key] = shape[1] / heads
        }
      }
    }
    return values
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

  static func check(_ c: Configuration) throws(CheckpointError) {
    guard c.layers <= deepest, c.innerGroups <= deepest, c.depth <= deepest else {
      throw CheckpointError(
        .mismatch, Place(),
        "num_hidden_layers is \(c.layers) (× \(c.innerGroups) inner layers); at most \(deepest) "
          + "are expected")
    }
    if c.keySize == 0 || c.headSize == 0 {
      throw CheckpointError(
        .mismatch, Place(),
        "num_attention_heads is \(c.heads), which does not divide the width of the attention "
          + "(hidden_size is \(c.hiddenSize))",
        hint: "correct it in the configuration or with --set num_attention_heads=N")
    }
  }
}
