/// What families of transformers share: their weights, from a ``Structure`` and a ``Configuration``.
///
/// Symbols: V vocabulary, E embedding, H hidden, I intermediate, k and d a head's key and value
/// sizes, A heads.
struct Transformer {
  let structure: Structure
  let configuration: Configuration

  /// The weights of every part, in order of use.
  func weights(_ architecture: FamilyArchitecture) -> [WeightSpec] {
    let c = configuration
    var weights = embeddings
    if structure.encoderDecoder {
      if c.hasEncoder { weights += stack("encoder.", c.blocks) }
      if c.hasDecoder { weights += stack("decoder.", (0..<c.decoderLayers).map { "layers.\($0)" }) }
    } else {
      weights += stack("", c.blocks)
    }
    return weights + heads(architecture.heads) + architecture.tops.flatMap(\.weights)
  }

  // MARK: Embeddings

  private var embeddings: [WeightSpec] {
    let c = configuration
    let width = c.embeddedSize
    var weights = [WeightSpec("embeddings.token", [c.vocabularySize, c.embeddingSize])]
    if c.factor {
      weights.append(WeightSpec("embeddings.factor.kernel", [c.embeddingSize, width]))
    }
    if c.segments > 0, !c.sharesSegments {
      weights.append(WeightSpec("embeddings.segment", [c.segments, width]))
    }
    switch structure.position {
    case .absolute, .absoluteAfterPadding:
      weights.append(WeightSpec("embeddings.position", [c.positions, width]))
    case .relative:
      weights.append(
        WeightSpec("embeddings.relative_position", [2 * c.relativePositions + 1, c.keySize]))
    case .none, .rotary, .buckets: break
    }
    if structure.embeddingNorm { weights += norm("embeddings.norm", width) }
    if c.projection, !structure.encoderDecoder {
      weights += dense("embeddings.projection", c.embeddingSize, c.hiddenSize)
    }
    return weights
  }

  // MARK: Blocks

  private func stack(_ prefix: String, _ blocks: [String]) -> [WeightSpec] {
    let c = configuration
    var weights: [WeightSpec] = []
    if structure.encoderDecoder, c.projection {
      weights += dense("\(prefix)embeddings.projection", c.embeddingSize, c.hiddenSize, bias: true)
    }
    if structure.position == .buckets, structure.sharesDistances {
      weights.append(WeightSpec("\(prefix)relative_position", [c.buckets, c.heads]))
    }
    for name in blocks {
      weights += block(prefix + name, isDecoder: prefix == "decoder.")
    }
    if structure.finalNorm { weights += norm("\(prefix)final_norm", c.hiddenSize) }
    return weights
  }

  private func block(_ name: String, isDecoder: Bool) -> [WeightSpec] {
    guard !structure.gatedUnit else { return gatedUnit("\(name).attention") }
    let c = configuration
    var weights = attention("\(name).attention")
    if structure.position == .buckets, !structure.sharesDistances {
      weights.append(WeightSpec("\(name).attention.relative_position", [c.buckets, c.heads]))
    }
    if isDecoder { weights += attention("\(name).cross_attention") }
    weights += dense("\(name).feed_forward.inner", c.hiddenSize, c.intermediateSize)
    for gate in c.gateNames {
      weights += dense("\(name).feed_forward.\(gate)", c.hiddenSize, c.intermediateSize)
    }
    return weights + dense("\(name).feed_forward.output", c.intermediateSize, c.hiddenSize)
      + norm("\(name).feed_forward.norm", c.hiddenSize)
  }

  private func attention(_ name: String) -> [WeightSpec] {
    let c = configuration
    var weights =
      dense("\(name).query", c.hiddenSize, c.heads * c.keySize)
      + dense("\(name).key", c.hiddenSize, c.heads * c.keySize)
      + dense("\(name).value", c.hiddenSize, c.heads * c.headSize)
      + dense("\(name).output", c.heads * c.headSize, c.hiddenSize)
    for part in ["pre_softmax", "post_softmax"] where c.talkingHeads {
      weights.append(WeightSpec("\(name).\(part).kernel", [c.heads, c.heads]))
      if c.talkingHeadsBias { weights.append(WeightSpec("\(name).\(part).bias", [c.heads])) }
    }
    return weights + norm("\(name).norm", c.hiddenSize)
  }

  /// One dense layer for gate, value and shared query and key; scales make the last two of one.
  private func gatedUnit(_ name: String) -> [WeightSpec] {
    let c = configuration
    func scaled(_ part: String) -> [WeightSpec] {
      let gamma = WeightSpec("\(name).\(part).gamma", [c.keySize])
      return structure.biases ? [gamma, WeightSpec("\(name).\(part).beta", [c.keySize])] : [gamma]
    }
    return dense("\(name).inner", c.hiddenSize, 2 * c.intermediateSize + c.keySize)
      + scaled("query") + scaled("key")
      + dense("\(name).output", c.intermediateSize, c.hiddenSize)
      + norm("\(name).norm", c.hiddenSize)
  }

  // MARK: Heads

  private func heads(_ heads: Set<Head>) -> [WeightSpec] {
    let c = configuration
    var weights: [WeightSpec] = []
    for head in heads.sorted() {
      switch head {
      case .pooler: weights += dense("pooler", c.hiddenSize, c.hiddenSize, head, bias: true)
      case .nsp: weights += dense("nsp", c.hiddenSize, 2, head, bias: true)
      case .sop: weights += dense("sop", c.hiddenSize, 2, head, bias: true)
      case .mlm where structure.maskedHead == .projection:
        if c.projection {
          weights += dense("mlm.projection", c.hiddenSize, c.embeddingSize, head, bias: false)
        }
      case .mlm:
        weights += dense("mlm.transform", c.hiddenSize, c.embeddedSize, head)
        weights += norm("mlm.norm", c.embeddedSize, head)
        weights.append(WeightSpec("mlm.bias", [c.vocabularySize], head: head))
      case .lm:
        if c.projection, structure.encoderDecoder {
          weights += dense("lm.projection", c.hiddenSize, c.embeddingSize, head, bias: true)
        }
        if !c.tiesDecoder {
          weights.append(
            WeightSpec("lm.kernel", [c.embeddingSize, c.vocabularySize], head: head))
        }
      case .discriminator:
        weights += dense("discriminator.transform", c.hiddenSize, c.hiddenSize, head)
        weights += dense("discriminator.prediction", c.hiddenSize, 1, head)
      }
    }
    return weights
  }

  // MARK: Parts

  private func dense(
    _ name: String, _ input: Int, _ output: Int, _ head: Head? = nil, bias: Bool? = nil
  ) -> [WeightSpec] {
    let kernel = WeightSpec("\(name).kernel", [input, output], head: head)
    return bias ?? structure.biases
      ? [kernel, WeightSpec("\(name).bias", [output], head: head)] : [kernel]
  }

  private func norm(_ name: String, _ width: Int, _ head: Head? = nil) -> [WeightSpec] {
    let c = configuration
    guard structure.norm != .plain else { return [] }
    let hasBeta = structure.norm == .layer || c.normOffset
    var weights = [WeightSpec("\(name).gamma", [width], head: head)]
    if hasBeta { weights.append(WeightSpec("\(name).beta", [width], head: head)) }
    guard c.conditionSize > 0 else { return weights }
    let hidden = c.conditionHiddenSize
    if hidden > 0 {
      weights.append(
        WeightSpec("\(name).condition.kernel", [c.conditionSize, hidden], head: head))
    }
    let input = hidden > 0 ? hidden : c.conditionSize
    if hasBeta {
      weights.append(WeightSpec("\(name).condition_beta.kernel", [input, width], head: head))
    }
    weights.append(WeightSpec("\(name).condition_gamma.kernel", [input, width], head: head))
    return weights
  }
}
