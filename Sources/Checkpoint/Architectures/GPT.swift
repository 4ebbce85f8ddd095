/// GPT (OpenAI 2018): a causal BERT without a norm behind the embeddings.
public struct GPT: Family {
  public init() {}

  public var name: String { "gpt" }
  public var aliases: [String] { ["openai-gpt"] }
  public var summary: String { "GPT: causal, norms behind each sum" }
  public var possibleHeads: [Head] { [.lm] }
  public var structure: Structure {
    var structure = Structure()
    structure.embeddingNorm = false
    structure.languageModel = true
    return structure
  }
}

/// GPT-2 (OpenAI 2019): norms before each part, and one at the end.
public struct GPT2: Family {
  public init() {}

  public var name: String { "gpt2" }
  public var summary: String { "GPT-2: causal, norms before each part" }
  public var possibleHeads: [Head] { [.lm] }
  public var structure: Structure {
    var structure = GPT().structure
    structure.placement = .before
    return structure
  }
}

/// GPT2-ML (imcaspar/gpt2-ml, after Grover): norms around the feed-forward only.
public struct GPT2ML: Family {
  public init() {}

  public var name: String { "gpt2_ml" }
  public var aliases: [String] { ["gpt2-ml"] }
  public var summary: String { "GPT2-ML: causal, norms around the feed-forward" }
  public var possibleHeads: [Head] { [.lm] }
  public var structure: Structure {
    var structure = GPT().structure
    structure.embeddingNorm = true
    structure.placement = .around
    return structure
  }
}
