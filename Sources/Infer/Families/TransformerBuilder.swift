public import Checkpoint

/// Every family of transformers: embeddings, blocks, heads, as its ``Structure`` puts them together.
///
/// Source: the papers that the families name, as bert4keras 0.11.5 and transformers compute them.
/// Shapes: B batch, T length, H hidden, E embedding, A heads, k and d a head's key and value sizes.
public struct TransformerBuilder: FamilyBuilder {
  public let family: String

  public func graph(_ architecture: FamilyArchitecture) throws(InferError) -> Graph {
    try graph(architecture, isStep: false)
  }

  public func stepGraph(_ architecture: FamilyArchitecture) throws(InferError) -> Graph {
    try graph(architecture, isStep: true)
  }

  private func graph(
    _ architecture: FamilyArchitecture, isStep: Bool
  ) throws(InferError) -> Graph {
    let structure: Structure
    do throws(CheckpointError) {
      structure = try ArchitectureRegistry.named(architecture.family).structure
    } catch {
      throw InferError(.unsupported, architecture.family, error.reason)
    }
    var build = TransformerBuild(structure, architecture.configuration, isStep: isStep)
    if structure.encoderDecoder {
      try build.encoderDecoder(architecture)
    } else {
      try build.encoder(architecture)
    }
    return build.graph
  }
}

/// The inputs that graphs of transformers take.
public enum Input {
  public static let tokens = "tokens"
  public static let segments = "segments"
  /// 1 where a token stands, 0 for padding.
  public static let mask = "mask"
  /// Given positions.
  public static let positions = "positions"
  /// What norms are conditioned on, `[B, width]`.
  public static let condition = "condition"
  public static let decoderTokens = "decoder_tokens"
  public static let decoderMask = "decoder_mask"
  /// An encoder's states for a lone decoder, `[B, T, H]`.
  public static let context = "context"
  /// In a step of generation: where each token stands among all keys, `[B, T]`.
  public static let places = "places"
  /// In a step: 1 where a token sees a key, `[B, T, capacity]`.
  public static let visible = "visible"
  /// In a step: which of its tokens is a row's last one, `[B]`.
  public static let last = "last"
}

/// A graph in the making.
struct TransformerBuild {
  let structure: Structure
  let configuration: Configuration
  /// Whether earlier positions are states, and the graph computes those that follow them.
  let isStep: Bool
  var graph = Graph()
  /// The condition behind its hidden layer, by the norm that has one, else the input itself.
  var condition: Graph.ID?
  /// Whether layers on top answer.
  var hasTops = false

  init(_ structure: Structure, _ configuration: Configuration, isStep: Bool) {
    self.structure = structure
    self.configuration = configuration
    self.isStep = isStep
  }

  // MARK: One stack

  mutating func encoder(_ architecture: FamilyArchitecture) throws(InferError) {
    let c = configuration
    let tokens = graph.input(Input.tokens, [.batch, .length])
    let hasSegments = c.segments > 0 || c.mask == .unilm && !isStep
    let segments = hasSegments ? graph.input(Input.segments, [.batch, .length]) : nil
    let padding = isStep ? nil : graph.input(Input.mask, [.batch, .length])
    if c.conditionSize > 0 {
      condition = graph.input(Input.condition, [.batch, .fixed(c.conditionSize)])
    }
    let places = isStep ? graph.input(Input.places, [.batch, .length]) : nil
    let positions = try givenPositions(tokens) ?? places
    var hidden = try embeddings(tokens, c.segments > 0 ? segments : nil, positions)
    let visible = try visibility(
      c.mask, padding: padding, segments: c.mask == .unilm ? segments : nil, .length)
    var context = Stack(visible: visible, positions: positions, places: places)
    for depth in 0..<c.depth {
      hidden = try block(c.block(at: depth), "layers.\(depth)", hidden, &context)
    }
    if structure.finalNorm { hidden = try norm("final_norm", hidden, c.hiddenSize) }
    try answers(architecture, hidden, padding)
  }

  /// The hidden states and every head over them; of a step the logits of each row's next token.
  private mutating func answers(
    _ architecture: FamilyArchitecture, _ hidden: Graph.ID, _ padding: Graph.ID?
  ) throws(InferError) {
    if let padding {
      graph.output("last_hidden_state", hidden)
      return try heads(architecture, hidden, padding)
    }
    let last = graph.input(Input.last, [.batch])
    try predictions(architecture.heads, graph.apply(SelectPositions(), hidden, last))
  }

  /// What sees what: by the mask's rule, or as a step is told.
  private mutating func visibility(
    _ kind: AttentionMaskKind, padding: Graph.ID?, segments: Graph.ID?, _ length: Dimension,
    prefix: String = ""
  ) throws(InferError) -> Graph.ID {
    guard let padding else {
      return graph.input(Input.visible, [.batch, length, .capacity])
    }
    return try graph.apply(
      AttentionMask(kind), [padding, segments].compactMap(\.self), named: "\(prefix)attention.mask")
  }

  /// Positions that are an input, or that follow from the tokens.
  private mutating func givenPositions(_ tokens: Graph.ID) throws(InferError) -> Graph.ID? {
    // A step does not know the tokens before, by which RoBERTa's positions go.
    let isTold = isStep && structure.position == .absoluteAfterPadding
    if configuration.givenPositions || isTold {
      return graph.input(Input.positions, [.batch, .length])
    }
    guard structure.position == .absoluteAfterPadding else { return nil }
    return try graph.apply(PositionsAfterPadding(padding: configuration.paddingToken), tokens)
  }

  /// token + segment + position → norm → projection: `[B, T, H]`.
  private mutating func embeddings(
    _ tokens: Graph.ID, _ segments: Graph.ID?, _ positions: Graph.ID?
  ) throws(InferError) -> Graph.ID {
    let c = configuration
    let width = c.embeddedSize
    let table = try tokenTable()
    var sum = try graph.apply(Gather(), table, tokens, named: "embeddings.token")
    if c.factor {
      sum = try graph.apply(
        Linear(), sum, graph.weight("embeddings.factor.kernel", [c.embeddingSize, width]),
        named: "embeddings.factor")
    }
    if let segments {
      let rows =
        c.sharesSegments ? table : try graph.weight("embeddings.segment", [c.segments, width])
      sum = try graph.apply(
        Add(), sum, graph.apply(Gather(), rows, segments, named: "embeddings.segment"))
    }
    if let position = try position(tokens, positions, width) {
      sum = try graph.apply(Add(), sum, position)
    }
    if structure.embeddingNorm {
      sum = try norm("embeddings.norm", sum, width, epsilon: c.embeddingNormEpsilon)
    }
    guard c.projection else { return sum }
    return try dense("embeddings.projection", sum, c.embeddingSize, c.hiddenSize)
  }

  /// The rows of the position table, where positions enter by one.
  private mutating func position(
    _ tokens: Graph.ID, _ positions: Graph.ID?, _ width: Int
  ) throws(InferError) -> Graph.ID? {
    let c = configuration
    guard structure.position == .absolute || structure.position == .absoluteAfterPadding else {
      return nil
    }
    let table = try graph.weight("embeddings.position", [c.positions, width])
    let op: any Op =
      if let alpha = c.hierarchicalPosition {
        HierarchicalPositions(alpha: alpha, isGiven: positions != nil)
      } else if positions != nil {
        Gather()
      } else {
        PositionRows()
      }
    return try graph.apply(op, table, positions ?? tokens, named: "embeddings.position")
  }

  // MARK: Encoder and decoder

  mutating func encoderDecoder(_ architecture: FamilyArchitecture) throws(InferError) {
    let c = configuration
    var memory: Graph.ID?
    var memoryMask: Graph.ID?
    if c.conditionSize > 0 {
      condition = graph.input(Input.condition, [.batch, .fixed(c.conditionSize)])
    }
    if isStep {
      memoryMask = graph.input(Input.mask, [.batch, .length])
    } else if c.hasEncoder {
      let tokens = graph.input(Input.tokens, [.batch, .length])
      let padding = graph.input(Input.mask, [.batch, .length])
      let hidden = try stack("encoder.", tokens, padding, c.layers, memory: nil)
      graph.output("encoder_last_hidden_state", hidden)
      if !c.hasDecoder {
        graph.output("last_hidden_state", hidden)
        try heads(architecture, hidden, padding)
      }
      memory = hidden
      memoryMask = padding
    } else {
      memory = graph.input(Input.context, [.batch, .length, .fixed(c.hiddenSize)])
      memoryMask = graph.input(Input.mask, [.batch, .length])
    }
    guard c.hasDecoder, let memoryMask else { return }
    let tokens = graph.input(Input.decoderTokens, [.batch, .targets])
    let padding = isStep ? nil : graph.input(Input.decoderMask, [.batch, .targets])
    let seen = try graph.apply(
      AttentionMask(.bidirectional), memoryMask, named: "cross_attention.mask")
    let hidden = try stack(
      "decoder.", tokens, padding, c.decoderLayers, memory: Memory(states: memory, visible: seen))
    try answers(architecture, hidden, padding)
  }

  /// Tokens through one half's blocks and final norm.
  private mutating func stack(
    _ prefix: String, _ tokens: Graph.ID, _ padding: Graph.ID?, _ layers: Int, memory: Memory?
  ) throws(InferError) -> Graph.ID {
    let c = configuration
    var hidden = try graph.apply(Gather(), tokenTable(), tokens, named: "\(prefix)embeddings.token")
    if c.projection {
      hidden = try dense(
        "\(prefix)embeddings.projection", hidden, c.embeddingSize, c.hiddenSize, bias: true)
    }
    let visible = try visibility(
      memory == nil ? c.mask : .causal, padding: padding, segments: nil, .targets, prefix: prefix)
    let places = isStep ? graph.input(Input.places, [.batch, .targets]) : nil
    var context = Stack(visible: visible, positions: places, places: places, memory: memory)
    if structure.position == .buckets, structure.sharesDistances {
      let table = try graph.weight("\(prefix)relative_position", [c.buckets, c.heads])
      let bias = relativeBias(isBidirectional: memory == nil)
      let first = "\(prefix)layers.0"
      let keys = places == nil ? hidden : try state("\(first).attention.key", .capacity)
      context.bias = try graph.apply(bias, [table, hidden, keys] + context.placed)
      if let memory, c.crossPositionBias {
        // States, where a step has no encoder to ask.
        let keys =
          if let states = memory.states { states } else {
            try state("\(first).cross_attention.key", .length)
          }
        context.crossBias = try graph.apply(bias, [table, hidden, keys] + context.placed)
      }
    }
    for index in 0..<layers {
      hidden = try block("\(prefix)layers.\(index)", "\(prefix)layers.\(index)", hidden, &context)
    }
    return structure.finalNorm ? try norm("\(prefix)final_norm", hidden, c.hiddenSize) : hidden
  }

  // MARK: Parts

  mutating func tokenTable() throws(InferError) -> Graph.ID {
    try graph.weight(
      "embeddings.token", [configuration.vocabularySize, configuration.embeddingSize])
  }

  /// `x · kernel + bias`, named like its weights unless it is said otherwise.
  mutating func dense(
    _ weight: String, _ x: Graph.ID, _ input: Int, _ output: Int, bias: Bool? = nil,
    named name: String? = nil
  ) throws(InferError) -> Graph.ID {
    let kernel = try graph.weight("\(weight).kernel", [input, output])
    guard bias ?? structure.biases else {
      return try graph.apply(Linear(), x, kernel, named: name ?? weight)
    }
    return try graph.apply(
      Linear(), x, kernel, graph.weight("\(weight).bias", [output]), named: name ?? weight)
  }

  /// The family's norm, conditioned where the configuration says so.
  mutating func norm(
    _ weight: String, _ x: Graph.ID, _ width: Int, epsilon: Double? = nil,
    named name: String? = nil
  ) throws(InferError) -> Graph.ID {
    let epsilon = epsilon ?? configuration.blockNormEpsilon
    let name = name ?? weight
    let op: any Op =
      structure.norm == .layer ? LayerNorm(epsilon: epsilon) : RMSNorm(epsilon: epsilon)
    guard structure.norm != .plain else { return try graph.apply(op, x, named: name) }
    let gamma = try graph.weight("\(weight).gamma", [width])
    let hasBeta = structure.norm == .layer || configuration.normOffset
    let beta = hasBeta ? try graph.weight("\(weight).beta", [width]) : nil
    guard let condition else {
      return try graph.apply(op, [x, gamma, beta].compactMap(\.self), named: name)
    }
    // gamma + condition · kernel, and so for beta (kexue.fm/archives/7124).
    let c = configuration
    var source = condition
    var size = c.conditionSize
    if c.conditionHiddenSize > 0 {
      source = try graph.apply(
        Linear(), condition,
        graph.weight("\(weight).condition.kernel", [size, c.conditionHiddenSize]))
      source = try graph.apply(Activate(c.conditionActivation), source)
      size = c.conditionHiddenSize
    }
    var operands = [try graph.apply(op, x)]
    for (part, base) in [("gamma", gamma), ("beta", beta)] {
      guard let base else { continue }
      operands.append(
        try graph.apply(
          Linear(), source, graph.weight("\(weight).condition_\(part).kernel", [size, width]), base)
      )
    }
    return try graph.apply(Modulate(), operands, named: name)
  }
}
