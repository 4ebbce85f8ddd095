public import Checkpoint

/// BERT and ALBERT: embeddings, post-LayerNorm blocks, pooler, sequence and MLM heads.
///
/// Source: arXiv 1810.04805 and 1909.11942, as bert4keras and transformers compute them. Shapes: B
/// batch, T length, H hidden, E embedding, A heads.
public struct EncoderBuilder: FamilyBuilder {
  public let family: String

  /// The graph's inputs.
  public static let tokens = "tokens"
  public static let segments = "segments"
  /// 1 where a token stands, 0 for padding.
  public static let mask = "mask"

  public func graph(_ architecture: FamilyArchitecture) throws(InferError) -> Graph {
    let c = architecture.configuration
    var build = Build(configuration: c)
    let tokens = build.graph.input(EncoderBuilder.tokens, [.batch, .length])
    let segments = build.graph.input(EncoderBuilder.segments, [.batch, .length])
    let padding = build.graph.input(EncoderBuilder.mask, [.batch, .length])

    var hidden = try build.embeddings(tokens, segments)
    let visible = try build.graph.apply(
      AttentionMask(c.mask), c.mask == .unilm ? [padding, segments] : [padding],
      named: "attention.mask")
    for depth in 0..<c.depth {
      hidden = try build.block(c.block(at: depth), "layers.\(depth)", hidden, visible)
    }
    build.graph.output("last_hidden_state", hidden)
    if architecture.heads.contains(.pooler) {
      try build.pooled(hidden, architecture.heads)
    }
    if architecture.heads.contains(.mlm) { try build.masked(hidden) }
    return build.graph
  }
}

/// The pieces of an encoder, each adding to one graph.
private struct Build {
  let configuration: Configuration
  var graph = Graph()

  /// token + segment + position → LayerNorm → projection: `[B, T, H]`.
  mutating func embeddings(_ tokens: Graph.ID, _ segments: Graph.ID) throws(InferError) -> Graph.ID
  {
    let c = configuration
    let tokenTable = try graph.weight("embeddings.token", [c.vocabularySize, c.embeddingSize])
    let segmentTable = try graph.weight("embeddings.segment", [c.segments, c.embeddingSize])
    let positionTable = try graph.weight("embeddings.position", [c.positions, c.embeddingSize])
    let token = try graph.apply(Gather(), tokenTable, tokens, named: "embeddings.token")
    let segment = try graph.apply(Gather(), segmentTable, segments, named: "embeddings.segment")
    let position = try graph.apply(
      PositionRows(), positionTable, tokens, named: "embeddings.position")
    let sum = try graph.apply(Add(), graph.apply(Add(), token, segment), position)
    let normal = try norm(
      "embeddings.norm", sum, c.embeddingSize, epsilon: c.embeddingNormEpsilon)
    guard c.projection else { return normal }
    return try dense("embeddings.projection", normal, c.embeddingSize, c.hiddenSize)
  }

  /// Attention and feed-forward, each added to its input and normalized.
  ///
  /// - Parameters:
  ///   - block: the stored block, whose weights are used.
  ///   - value: the applied layer, under which values are named.
  mutating func block(
    _ block: String, _ value: String, _ input: Graph.ID, _ visible: Graph.ID
  ) throws(InferError) -> Graph.ID {
    let c = configuration
    func names(_ part: String) -> (String, String) { ("\(block).\(part)", "\(value).\(part)") }
    let (queryWeight, query) = names("attention.query")
    let (keyWeight, key) = names("attention.key")
    let (valueWeight, values) = names("attention.value")
    let keyWidth = c.heads * c.keySize
    let valueWidth = c.heads * c.headSize
    let q = try dense(queryWeight, input, c.hiddenSize, keyWidth, named: query)
    let k = try dense(keyWeight, input, c.hiddenSize, keyWidth, named: key)
    let v = try dense(valueWeight, input, c.hiddenSize, valueWidth, named: values)
    let scores = try graph.apply(
      AttentionScores(heads: c.heads, scale: 1 / Double(c.keySize).squareRoot()), q, k,
      named: "\(value).attention.scores")
    let weights = try graph.apply(
      MaskedSoftmax(), scores, visible, named: "\(value).attention.weights")
    let context = try graph.apply(
      AttentionContext(), weights, v, named: "\(value).attention.context")
    let attended = try dense(
      "\(block).attention.output", context, valueWidth, c.hiddenSize,
      named: "\(value).attention.output")
    let middle = try norm(
      "\(block).attention.norm", graph.apply(Add(), attended, input), c.hiddenSize,
      epsilon: c.blockNormEpsilon, named: "\(value).attention.norm")

    let inner = try graph.apply(
      Activate(c.activation),
      dense(
        "\(block).feed_forward.inner", middle, c.hiddenSize, c.intermediateSize, named: ""),
      named: "\(value).feed_forward.inner")
    let output = try dense(
      "\(block).feed_forward.output", inner, c.intermediateSize, c.hiddenSize,
      named: "\(value).feed_forward.output")
    return try norm(
      "\(block).feed_forward.norm", graph.apply(Add(), output, middle), c.hiddenSize,
      epsilon: c.blockNormEpsilon, named: "\(value).feed_forward.norm")
  }

  /// The first token, dense and activated, and the sequence head over it.
  mutating func pooled(_ hidden: Graph.ID, _ heads: Set<Head>) throws(InferError) {
    let c = configuration
    let first = try graph.apply(SelectPosition(position: 0), hidden)
    let pooled = try graph.apply(
      Activate(c.poolerActivation), dense("pooler", first, c.hiddenSize, c.hiddenSize, named: ""),
      named: "pooler")
    graph.output("pooler_output", pooled)
    for head in [Head.nsp, .sop] where heads.contains(head) {
      let logits = try dense(
        head.rawValue, pooled, c.hiddenSize, 2, named: "\(head.rawValue)_logits")
      // Both names are in use for ALBERT's head.
      let names = head == .sop ? ["sop", "nsp"] : ["nsp"]
      try leave(logits, names)
    }
  }

  /// The masked language model: transform, LayerNorm, tied decoder, bias.
  mutating func masked(_ hidden: Graph.ID) throws(InferError) {
    let c = configuration
    let transform = try graph.apply(
      Activate(c.activation),
      dense("mlm.transform", hidden, c.hiddenSize, c.embeddingSize, named: ""),
      named: "mlm.transform")
    let normal = try norm(
      "mlm.norm", transform, c.embeddingSize, epsilon: c.headNormEpsilon)
    let logits = try graph.apply(
      Linear(transposedKernel: true), normal,
      graph.weight("embeddings.token", [c.vocabularySize, c.embeddingSize]),
      graph.weight("mlm.bias", [c.vocabularySize]), named: "mlm_logits")
    try leave(logits, ["mlm"])
  }

  /// Lets logits leave, and their softmax where the framework's own model returns it.
  private mutating func leave(_ logits: Graph.ID, _ names: [String]) throws(InferError) {
    for name in names { graph.output("\(name)_logits", logits) }
    guard configuration.headOutput == .softmax else { return }
    let probabilities = try graph.apply(Softmax(), logits, named: "\(names[0])_probs")
    for name in names { graph.output("\(name)_probs", probabilities) }
  }

  /// `x · kernel + bias`, named like its weights unless it is said otherwise.
  private mutating func dense(
    _ weight: String, _ x: Graph.ID, _ input: Int, _ output: Int, named name: String? = nil
  ) throws(InferError) -> Graph.ID {
    try graph.apply(
      Linear(), x, graph.weight("\(weight).kernel", [input, output]),
      graph.weight("\(weight).bias", [output]), named: name ?? weight)
  }

  private mutating func norm(
    _ weight: String, _ x: Graph.ID, _ width: Int, epsilon: Double, named name: String? = nil
  ) throws(InferError) -> Graph.ID {
    try graph.apply(
      LayerNorm(epsilon: epsilon), x, graph.weight("\(weight).gamma", [width]),
      graph.weight("\(weight).beta", [width]), named: name ?? weight)
  }
}
