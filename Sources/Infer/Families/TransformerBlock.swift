import Checkpoint

/// What a stack's blocks have in common.
struct Stack {
  /// `[B, 1 or T, T]`.
  let visible: Graph.ID
  /// Given positions, or `nil` for 0, 1, 2, ….
  let positions: Graph.ID?
  /// In a step of generation: where its tokens stand among the keys.
  let places: Graph.ID?
  var memory: Memory?
  /// Added to the scores of each head, `[A, T, T]`.
  var bias: Graph.ID?
  var crossBias: Graph.ID?
  /// The scores of the block before, where they are added to the next one's.
  var scores: Graph.ID?

  init(visible: Graph.ID, positions: Graph.ID?, places: Graph.ID?, memory: Memory? = nil) {
    self.visible = visible
    self.positions = positions
    self.places = places
    self.memory = memory
  }

  /// The operand by which ops of distances know where rows stand, if they do not stand at 0, 1, 2, ….
  var placed: [Graph.ID] { places.map { [$0] } ?? [] }
}

/// An encoder's states, as a decoder sees them.
struct Memory {
  /// `nil` in a step of generation, where their keys and values are the graph's states.
  let states: Graph.ID?
  let visible: Graph.ID
}

extension TransformerBuild {
  /// Attention and feed-forward, with their norms where the structure has them.
  ///
  /// - Parameters:
  ///   - block: the stored block, whose weights are used.
  ///   - value: the applied layer, under which values are named.
  mutating func block(
    _ block: String, _ value: String, _ input: Graph.ID, _ stack: inout Stack
  ) throws(InferError) -> Graph.ID {
    if structure.gatedUnit {
      let output = try gatedUnit("\(block).attention", "\(value).attention", input, stack)
      return try norm(
        "\(block).attention.norm", graph.apply(Add(), output, input), configuration.hiddenSize,
        named: "\(value).attention.norm")
    }
    func name(_ part: String) -> Part {
      Part(weight: "\(block).\(part)", value: "\(value).\(part)")
    }
    let width = configuration.hiddenSize
    switch structure.placement {
    case .after:
      let attended = try attention(name("attention"), input, &stack)
      let middle = try norm(name("attention.norm"), graph.apply(Add(), attended, input), width)
      let output = try feedForward(name("feed_forward"), middle)
      return try norm(name("feed_forward.norm"), graph.apply(Add(), output, middle), width)
    case .around:
      let attended = try attention(name("attention"), input, &stack)
      let middle = try graph.apply(Add(), attended, input)
      let output = try feedForward(
        name("feed_forward"), norm(name("attention.norm"), middle, width))
      return try norm(name("feed_forward.norm"), graph.apply(Add(), output, middle), width)
    case .before:
      let attended = try attention(
        name("attention"), norm(name("attention.norm"), input, width), &stack)
      var hidden = try graph.apply(Add(), attended, input)
      if let memory = stack.memory {
        let crossed = try crossAttention(
          name("cross_attention"), norm(name("cross_attention.norm"), hidden, width), memory, stack)
        hidden = try graph.apply(Add(), crossed, hidden)
      }
      let output = try feedForward(
        name("feed_forward"), norm(name("feed_forward.norm"), hidden, width))
      return try graph.apply(Add(), output, hidden, named: "\(value).output")
    }
  }

  /// A part of a block: its weights' names and its values' names.
  struct Part {
    let weight: String
    let value: String

    func callAsFunction(_ name: String) -> Part {
      Part(weight: "\(weight).\(name)", value: "\(value).\(name)")
    }
  }

  private mutating func norm(
    _ part: Part, _ x: Graph.ID, _ width: Int
  ) throws(InferError) -> Graph.ID {
    try norm(part.weight, x, width, named: part.value)
  }

  private mutating func dense(
    _ part: Part, _ x: Graph.ID, _ input: Int, _ output: Int
  ) throws(InferError) -> Graph.ID {
    try dense(part.weight, x, input, output, named: part.value)
  }

  // MARK: Attention

  /// Attention of a sequence to itself: `[B, T, H] → [B, T, H]`.
  private mutating func attention(
    _ part: Part, _ x: Graph.ID, _ stack: inout Stack
  ) throws(InferError) -> Graph.ID {
    let c = configuration
    let keyWidth = c.heads * c.keySize
    let plain = try dense(part("query"), x, c.hiddenSize, keyWidth)
    var (query, key) = (plain, try dense(part("key"), x, c.hiddenSize, keyWidth))
    var value = try dense(part("value"), x, c.hiddenSize, c.heads * c.headSize)
    if structure.isRotary {
      query = try rotated(query, c.heads, stack.positions)
      key = try rotated(key, c.heads, stack.positions)
      if c.rotatesValues { value = try rotated(value, c.heads, stack.positions) }
    }
    key = try appended("\(part.value).key", key, stack)
    value = try appended("\(part.value).value", value, stack)
    let isRelative = structure.position == .relative
    var bias = stack.bias
    if structure.position == .buckets, !structure.sharesDistances {
      let table = try graph.weight("\(part.weight).relative_position", [c.buckets, c.heads])
      bias = try graph.apply(
        relativeBias(isBidirectional: stack.memory == nil), [table, x, key] + stack.placed)
    }
    let hasMore = isRelative || bias != nil
    var scores = try graph.apply(
      AttentionScores(heads: c.heads, scale: scale), query, key,
      named: hasMore ? "" : "\(part.value).scores")
    var table: Graph.ID?
    if isRelative {
      let distances = try graph.weight(
        "embeddings.relative_position", [2 * c.relativePositions + 1, c.keySize])
      table = distances
      let relative = try graph.apply(
        RelativeScores(heads: c.heads, scale: scale),
        [plain, distances] + stack.placed + (stack.places == nil ? [] : [key]))
      scores = try graph.apply(Add(), scores, relative, named: "\(part.value).scores")
    } else if let bias {
      scores = try graph.apply(Add(), scores, bias, named: "\(part.value).scores")
    }
    let own = scores
    if c.residualScores {
      // bert4keras hands on a block's own scores, without what was added to them.
      if let before = stack.scores { scores = try graph.apply(Add(), scores, before) }
      stack.scores = own
    }
    return try attended(part, scores, value, stack.visible, distances: table, stack.placed)
  }

  /// All keys or values up to here: in a step of generation the state of that name, with these rows
  /// written into it.
  private mutating func appended(
    _ name: String, _ rows: Graph.ID, _ stack: Stack
  ) throws(InferError) -> Graph.ID {
    guard let places = stack.places else { return rows }
    let state = try graph.state(name, [.batch, .capacity, graph[rows].shape[2]])
    return try graph.apply(Append(), state, rows, places)
  }

  /// The state that holds a layer's keys.
  mutating func state(_ name: String, _ length: Dimension) throws(InferError) -> Graph.ID {
    let width = configuration.heads * configuration.keySize
    return try graph.state(name, [.batch, length, .fixed(width)])
  }

  /// The bias of distances in an encoder, or in a decoder, which looks in one direction.
  func relativeBias(isBidirectional: Bool) -> RelativeBias {
    RelativeBias(isBidirectional: isBidirectional, maxDistance: configuration.bucketDistance)
  }

  /// Attention to an encoder's states.
  private mutating func crossAttention(
    _ part: Part, _ x: Graph.ID, _ memory: Memory, _ stack: Stack
  ) throws(InferError) -> Graph.ID {
    let c = configuration
    let keyWidth = c.heads * c.keySize
    let query = try dense(part("query"), x, c.hiddenSize, keyWidth)
    func kept(_ name: String, _ width: Int) throws(InferError) -> Graph.ID {
      guard let states = memory.states else {
        return try graph.state("\(part.value).\(name)", [.batch, .length, .fixed(width)])
      }
      return try dense(part(name), states, c.hiddenSize, width)
    }
    let key = try kept("key", keyWidth)
    let value = try kept("value", c.heads * c.headSize)
    var scores = try graph.apply(
      AttentionScores(heads: c.heads, scale: scale), query, key,
      named: stack.crossBias == nil ? "\(part.value).scores" : "")
    if let bias = stack.crossBias {
      scores = try graph.apply(Add(), scores, bias, named: "\(part.value).scores")
    }
    return try attended(part, scores, value, memory.visible, distances: nil, [])
  }

  /// Scores to weights, weights to context, context to output.
  private mutating func attended(
    _ part: Part, _ scores: Graph.ID, _ value: Graph.ID, _ visible: Graph.ID,
    distances: Graph.ID?, _ places: [Graph.ID]
  ) throws(InferError) -> Graph.ID {
    let c = configuration
    var scores = scores
    if c.talkingHeads { scores = try talkingHeads(part("pre_softmax"), scores) }
    var weights = try graph.apply(
      MaskedSoftmax(normalization: c.normalization), scores, visible, named: "\(part.value).weights"
    )
    if c.talkingHeads { weights = try talkingHeads(part("post_softmax"), weights) }
    let name = "\(part.value).context"
    var context = try graph.apply(
      AttentionContext(), weights, value, named: distances == nil ? name : "")
    if let distances {
      context = try graph.apply(
        Add(), context, graph.apply(RelativeContext(), [weights, distances] + places), named: name)
    }
    return try dense(part("output"), context, c.heads * c.headSize, c.hiddenSize)
  }

  private mutating func talkingHeads(
    _ part: Part, _ x: Graph.ID
  ) throws(InferError) -> Graph.ID {
    let heads = configuration.heads
    var operands = [x, try graph.weight("\(part.weight).kernel", [heads, heads])]
    if configuration.talkingHeadsBias {
      operands.append(try graph.weight("\(part.weight).bias", [heads]))
    }
    return try graph.apply(TalkingHeads(), operands, named: part.value)
  }

  mutating func rotated(
    _ x: Graph.ID, _ heads: Int, _ positions: Graph.ID?
  ) throws(InferError) -> Graph.ID {
    try graph.apply(Rotary(heads: heads), [x, positions].compactMap(\.self))
  }

  private var scale: Double {
    structure.scalesScores ? 1 / Double(configuration.keySize).squareRoot() : 1
  }

  // MARK: Feed-forward

  /// `act(x · W₀)`, times further factors where it is gated, `· W`.
  private mutating func feedForward(_ part: Part, _ x: Graph.ID) throws(InferError) -> Graph.ID {
    let c = configuration
    func factor(_ name: String, _ activation: Activation, named value: String) throws(InferError)
      -> Graph.ID
    {
      try graph.apply(
        Activate(activation),
        dense("\(part.weight).\(name)", x, c.hiddenSize, c.intermediateSize, named: ""),
        named: value)
    }
    let value = "\(part.value).inner"
    var inner = try factor("inner", c.activation, named: c.gates.isEmpty ? value : "")
    for (index, gate) in c.gates.enumerated() {
      inner = try graph.apply(
        Multiply(), inner, factor(c.gateNames[index], gate, named: ""),
        named: index == c.gates.count - 1 ? value : "")
    }
    return try dense(part("output"), inner, c.intermediateSize, c.hiddenSize)
  }

  /// A gated attention unit: `(u ⊙ A·v) · W`, with u, v and a shared query and key of one dense layer.
  private mutating func gatedUnit(
    _ weight: String, _ value: String, _ x: Graph.ID, _ stack: Stack
  ) throws(InferError) -> Graph.ID {
    let c = configuration
    let (units, size) = (c.intermediateSize, c.keySize)
    let inner = try graph.apply(
      Activate(c.activation),
      dense("\(weight).inner", x, c.hiddenSize, 2 * units + size, named: ""),
      named: "\(value).inner")
    let gate = try graph.apply(SelectColumns(Array(0..<units)), inner)
    let values = try graph.apply(SelectColumns(Array(units..<(2 * units))), inner)
    let shared = try graph.apply(SelectColumns(Array((2 * units)..<(2 * units + size))), inner)
    func scaled(_ name: String) throws(InferError) -> Graph.ID {
      let gamma = try graph.weight("\(weight).\(name).gamma", [size])
      let full = "\(value).\(name)"
      guard structure.biases else { return try graph.apply(Multiply(), shared, gamma, named: full) }
      return try graph.apply(
        Add(), graph.apply(Multiply(), shared, gamma),
        graph.weight("\(weight).\(name).beta", [size]),
        named: full)
    }
    let query = try rotated(scaled("query"), 1, stack.positions)
    let key = try appended(
      "\(value).key", rotated(scaled("key"), 1, stack.positions), stack)
    let content = try appended("\(value).value", values, stack)
    let scores = try graph.apply(
      AttentionScores(heads: 1, scale: 1 / Double(size).squareRoot()), query, key,
      named: "\(value).scores")
    let weights = try graph.apply(
      MaskedSoftmax(normalization: c.normalization), scores, stack.visible,
      named: "\(value).weights")
    let context = try graph.apply(AttentionContext(), weights, content, named: "\(value).context")
    return try dense(
      "\(weight).output", graph.apply(Multiply(), context, gate), units, c.hiddenSize,
      named: "\(value).output")
  }
}
