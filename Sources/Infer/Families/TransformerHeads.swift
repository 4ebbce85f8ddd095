import Checkpoint

extension TransformerBuild {
  /// Every head whose weights are there, and what a user has put on top.
  mutating func heads(
    _ architecture: FamilyArchitecture, _ hidden: Graph.ID, _ padding: Graph.ID
  ) throws(InferError) {
    let heads = architecture.heads
    hasTops = !architecture.tops.isEmpty
    if heads.contains(.pooler) { try pooled(hidden, heads) }
    try predictions(heads, hidden)
    if heads.contains(.discriminator) { try discriminator(hidden) }
    try tops(architecture, hidden, padding)
  }

  /// The heads that predict tokens.
  mutating func predictions(_ heads: Set<Head>, _ hidden: Graph.ID) throws(InferError) {
    if heads.contains(.mlm) { try masked(hidden) }
    if heads.contains(.lm) { try languageModel(hidden) }
  }

  /// The first token, dense and activated, and the sequence head over it.
  private mutating func pooled(_ hidden: Graph.ID, _ heads: Set<Head>) throws(InferError) {
    let c = configuration
    let first = try graph.apply(SelectPosition(position: 0), hidden)
    let pooled = try graph.apply(
      Activate(c.poolerActivation),
      dense("pooler", first, c.hiddenSize, c.hiddenSize, bias: true, named: ""), named: "pooler")
    graph.output("pooler_output", pooled)
    for head in [Head.nsp, .sop] where heads.contains(head) {
      let logits = try dense(
        head.rawValue, pooled, c.hiddenSize, 2, bias: true, named: "\(head.rawValue)_logits")
      // Both names are in use for ALBERT's head.
      try leave(logits, head == .sop ? ["sop", "nsp"] : ["nsp"])
    }
  }

  /// The masked language model: transform, norm, tied decoder, bias.
  private mutating func masked(_ hidden: Graph.ID) throws(InferError) {
    let c = configuration
    var operands = [hidden]
    switch structure.maskedHead {
    case .projection:
      if c.projection {
        operands = [
          try dense("mlm.projection", hidden, c.hiddenSize, c.embeddingSize, bias: false)
        ]
      }
      operands.append(try tokenTable())
    case .transform:
      let transform = try graph.apply(
        Activate(c.headActivation ?? c.activation),
        dense("mlm.transform", hidden, c.hiddenSize, c.embeddedSize, named: ""),
        named: "mlm.transform")
      var narrow = try norm("mlm.norm", transform, c.embeddedSize, epsilon: c.headNormEpsilon)
      if c.factor {
        narrow = try graph.apply(
          Linear(transposedKernel: true), narrow,
          graph.weight("embeddings.factor.kernel", [c.embeddingSize, c.hiddenSize]))
      }
      operands = [narrow, try tokenTable(), try graph.weight("mlm.bias", [c.vocabularySize])]
    }
    let logits = try graph.apply(Linear(transposedKernel: true), operands, named: "mlm_logits")
    try leave(logits, ["mlm"])
  }

  /// The causal language model: the token table, or a decoder of its own.
  private mutating func languageModel(_ hidden: Graph.ID) throws(InferError) {
    let c = configuration
    var x = hidden
    if c.scalesDecoder {
      x = try graph.apply(Scale(by: 1 / Double(c.hiddenSize).squareRoot()), x)
    }
    if c.projection, structure.encoderDecoder {
      x = try dense("lm.projection", x, c.hiddenSize, c.embeddingSize, bias: true)
    }
    let kernel =
      c.tiesDecoder
      ? try tokenTable() : try graph.weight("lm.kernel", [c.embeddingSize, c.vocabularySize])
    let logits = try graph.apply(
      Linear(transposedKernel: c.tiesDecoder), x, kernel, named: "lm_logits")
    try leave(logits, ["lm"])
    answer(logits, probabilities: graph.value(named: "lm_probs"))
  }

  /// Whether a token was replaced: `[B, T]`.
  private mutating func discriminator(_ hidden: Graph.ID) throws(InferError) {
    let c = configuration
    let transform = try graph.apply(
      Activate(c.activation),
      dense("discriminator.transform", hidden, c.hiddenSize, c.hiddenSize, named: ""),
      named: "discriminator.transform")
    let logits = try graph.apply(
      SelectColumn(0), dense("discriminator.prediction", transform, c.hiddenSize, 1, named: ""),
      named: "discriminator_logits")
    graph.output("discriminator_logits", logits)
    guard c.headOutput == .softmax else { return answer(logits, probabilities: nil) }
    let probabilities = try graph.apply(
      Activate(.sigmoid), logits, named: "discriminator_probs")
    graph.output("discriminator_probs", probabilities)
    answer(logits, probabilities: probabilities)
  }

  /// The one answer of a model without layers on top leaves as transformers calls it, too.
  private mutating func answer(_ logits: Graph.ID, probabilities: Graph.ID?) {
    guard !hasTops else { return }
    graph.output("logits", logits)
    if let probabilities { graph.output("probs", probabilities) }
  }

  /// Lets logits leave, and their softmax where the framework's own model returns it.
  private mutating func leave(_ logits: Graph.ID, _ names: [String]) throws(InferError) {
    for name in names { graph.output("\(name)_logits", logits) }
    guard configuration.headOutput == .softmax else { return }
    let probabilities = try graph.apply(Softmax(), logits, named: "\(names[0])_probs")
    for name in names { graph.output("\(name)_probs", probabilities) }
  }

  // MARK: On top

  /// Layers of a user or a task, each named `head.NAME`.
  private mutating func tops(
    _ architecture: FamilyArchitecture, _ hidden: Graph.ID, _ padding: Graph.ID
  ) throws(InferError) {
    var results: [String: Graph.ID] = [:]
    // The last of several dense layers answers; those below are values.
    let below = Set(
      architecture.tops.compactMap { top -> String? in
        if case .layer(let name) = top.input { name } else { nil }
      })
    let answering = architecture.tops.filter { top in
      if case .dense = top.kind { !below.contains(top.name) } else { false }
    }
    for top in architecture.tops {
      let input: Graph.ID
      switch top.input {
      case .sequence: input = hidden
      case .firstToken: input = try graph.apply(SelectPosition(position: 0), hidden)
      case .pooler:
        guard let pooler = graph.value(named: "pooler_output") else {
          throw InferError(.graph, top.name, "sits on the pooler, and the model has none")
        }
        input = pooler
      case .layer(let name):
        guard let result = results[name] else {
          throw InferError(.graph, top.name, "sits on \(name), which is no layer before it")
        }
        input = result
      }
      // A single answer is called as transformers calls it.
      let alone = answering.count == 1 && answering[0].name == top.name
      results[top.name] = try self.top(
        top, on: input, padding,
        answer: below.contains(top.name) ? nil : alone ? "" : "\(top.name)_")
    }
  }

  private mutating func top(
    _ top: TopLayer, on x: Graph.ID, _ padding: Graph.ID, answer: String?
  ) throws(InferError) -> Graph.ID {
    let name = "head.\(top.name)"
    func dense(_ part: String, _ x: Graph.ID, _ output: Int, named value: String) throws(InferError)
      -> Graph.ID
    {
      guard case .fixed(let input)? = graph[x].shape.last else {
        throw InferError(.graph, top.name, "sits on \(graph[x].shape)")
      }
      return try self.dense(name + part, x, input, output, bias: top.hasBias, named: value)
    }
    switch top.kind {
    case .dense(let output):
      let isPlain = output == .activated(.linear)
      let logits = try dense("", x, top.outputSize, named: isPlain ? name : "")
      if let answer { graph.output("\(answer)logits", logits) }
      let result: Graph.ID
      switch output {
      case .activated(.linear): return logits
      case .activated(let activation):
        result = try graph.apply(Activate(activation), logits, named: name)
      case .softmax: result = try graph.apply(Softmax(), logits, named: name)
      }
      if let answer, output == .softmax || output == .activated(.sigmoid) {
        graph.output("\(answer)probs", result)
      }
      return result
    case .span:
      let both = try dense("", x, 2, named: name)
      for (column, end) in ["start_logits", "end_logits"].enumerated() {
        graph.output(end, try graph.apply(SelectColumn(column), both, named: end))
      }
      return both
    case .crf, .memm:
      graph.output(top.kind == .crf ? "crf_emissions" : "memm_emissions", x)
      return x
    case .globalPointer(let size, let isRotary, let isTriangular):
      let pairs = try dense("", x, 2 * size * top.outputSize, named: "")
      func half(_ offset: Int) throws(InferError) -> Graph.ID {
        let columns = (0..<top.outputSize).flatMap { head in
          (0..<size).map { head * 2 * size + offset * size + $0 }
        }
        let part = try graph.apply(SelectColumns(columns), pairs)
        return isRotary ? try rotated(part, top.outputSize, nil) : part
      }
      let scores = try graph.apply(
        AttentionScores(heads: top.outputSize, scale: 1 / Double(size).squareRoot()), half(0),
        half(1))
      return try spans(scores, padding, isTriangular, name)
    case .efficientGlobalPointer(let size, let isRotary, let isTriangular):
      let shared = try dense(".projection", x, 2 * size, named: "")
      func every(second offset: Int) throws(InferError) -> Graph.ID {
        let part = try graph.apply(
          SelectColumns((0..<size).map { 2 * $0 + offset }), shared)
        return isRotary ? try rotated(part, 1, nil) : part
      }
      let scores = try graph.apply(
        AttentionScores(heads: 1, scale: 1 / Double(size).squareRoot()), every(second: 0),
        every(second: 1))
      let bias = try dense(".scores", shared, 2 * top.outputSize, named: "")
      return try spans(
        graph.apply(SpanScores(heads: top.outputSize), scores, bias), padding, isTriangular, name)
    }
  }

  private mutating func spans(
    _ scores: Graph.ID, _ padding: Graph.ID, _ isTriangular: Bool, _ name: String
  ) throws(InferError) -> Graph.ID {
    let masked = try graph.apply(
      SpanMask(isTriangular: isTriangular), scores, padding, named: name)
    graph.output("span_scores", masked)
    return masked
  }
}
