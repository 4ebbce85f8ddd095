import Checkpoint

extension KerasBuilder {
  /// A `Dense` that a layer keeps as a part.
  mutating func dense(
    _ x: Graph.ID, _ place: String, bias: Bool, _ activation: KerasActivation? = nil
  ) throws -> Graph.ID {
    var operands = [x, try weight(place + ".kernel")]
    if bias { operands.append(try weight(place + ".bias")) }
    let product = try apply(Linear(), operands)
    return try activation.map { try activate(product, $0) } ?? product
  }

  /// Sines and cosines of positions, in turn: `[…] → […, width]`.
  mutating func sinusoidal(_ positions: Graph.ID, _ width: Int) throws -> Graph.ID {
    let shape = shape(positions)
    let half = width / 2
    let frequencies = (0..<half).map { Double.pow(10000, -2 * Double($0) / Double(width)) }
    let angles = try binary(
      .multiply, try reshape(positions, shape + [1]), try constant([half], frequencies))
    let sines = try reshape(try apply(Unary(.sin), angles), shape + [half, 1])
    let cosines = try reshape(try apply(Unary(.cos), angles), shape + [half, 1])
    let pairs = try apply(Concatenate(axis: -1), sines, cosines)
    return try reshape(pairs, shape + [width])
  }

  /// 0, 1, 2, … in rows: `[1, count]`.
  mutating func counting(_ count: Int) throws -> Graph.ID {
    try constant([1, count], (0..<count).map(Double.init))
  }

  /// Turns neighbouring pairs of `[batch, length, heads · size]` by what a layer of sines made.
  mutating func turned(
    _ x: Graph.ID, by sines: Graph.ID, heads: Int, size: Int
  ) throws -> Graph.ID {
    let (whole, given) = (shape(x), shape(sines))
    guard whole.count == 3, size % 2 == 0, given.count == 3, given[2] == size,
      given[1] == whole[1]
    else {
      throw CheckpointError(
        .mismatch, Place(), "has positions \(given) for heads of \(size) in \(whole)")
    }
    let half = size / 2
    func pair(_ x: Graph.ID, _ lead: [Int]) throws -> (first: Graph.ID, second: Graph.ID) {
      let halves = try parts(try reshape(x, lead + [half, 2]), 1)
      guard halves.count == 2 else { throw InferError(.graph, "rotary", "has no pairs") }
      return (halves[0], halves[1])
    }
    let (even, odd) = try pair(x, [whole[0], whole[1], heads])
    let (sine, cosine) = try pair(sines, [given[0], given[1], 1])
    let first = try binary(
      .subtract, try binary(.multiply, even, cosine), try binary(.multiply, odd, sine))
    let second = try binary(
      .add, try binary(.multiply, odd, cosine), try binary(.multiply, even, sine))
    return try reshape(try apply(Concatenate(axis: -1), first, second), whole)
  }

  /// Weights of scores `[batch, heads, rows, columns]` by bert4keras' ways, of which columns count.
  ///
  /// - Parameters:
  ///   - mask: `[batch, columns]`.
  ///   - visible: of two or three axes, the last ones rows and columns.
  mutating func normalized(
    _ scores: Graph.ID, _ normalization: Normalization, mask: Graph.ID?, visible: Graph.ID?
  ) throws -> Graph.ID {
    let shape = shape(scores)
    let all = try both(visible, try expanded(mask, rows: false))
    if all == nil, normalization == .softmax { return try apply(Softmax(), scores) }
    let given = try all ?? constant(1)
    let rows = self.shape(given).dropLast().last ?? 1
    return try apply(
      MaskedSoftmax(normalization: normalization), scores,
      try apply(BroadcastTo([shape[0], rows == 1 ? 1 : shape[2], shape[3]]), given))
  }
}

extension Bert4kerasEmbedding: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    let table = try builder.weight("embeddings")
    if Bert4kerasEmbedding.isProduct(call) {
      return [
        KerasValue(try builder.apply(Linear(transposedKernel: true), x.id, table), mask: x.mask)
      ]
    }
    let rows = try builder.apply(Gather(), table, x.id)
    let shape = builder.shape(x.id)
    guard masksZero, shape.count == 2, shape[1] > 0 else { return [KerasValue(rows)] }
    // The first token always counts: T5 begins with padding.
    let seen = try builder.binary(.notEqual, x.id, try builder.constant(0))
    let first = try builder.constant([1, shape[1]], (0..<shape[1]).map { $0 == 0 ? 1 : 0 })
    return [KerasValue(rows, mask: try builder.binary(.or, seen, first))]
  }
}

extension ScaleOffsetLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    guard let value = call.inputs.first else {
      throw CheckpointError(.mismatch, Place(), "takes a tensor")
    }
    var x = value.id
    let shape = builder.shape(x)
    if centers, normalizes {
      if !isConditional, scale == .trained, offset == .trained {
        return [
          KerasValue(
            try builder.apply(
              LayerNorm(epsilon: epsilon), x, try builder.weight("gamma"),
              try builder.weight("beta")), mask: value.mask)
        ]
      }
      x = try builder.apply(LayerNorm(epsilon: epsilon), x)
    } else if normalizes {
      x = try builder.apply(RMSNorm(epsilon: epsilon), x)
    } else if centers {
      let mean = try builder.apply(Reduce(.mean, axes: [-1], keepsDimensions: true), x)
      x = try builder.binary(.subtract, x, mean)
    }
    var condition: Graph.ID?
    if isConditional {
      guard call.inputs.count == 2 else {
        throw CheckpointError(.mismatch, Place(), "takes a tensor and its condition")
      }
      var given = call.inputs[1].id
      if hiddenUnits != nil {
        given = try builder.dense(given, "hidden_dense", bias: false, hiddenActivation)
      }
      condition = given
    }
    func part(_ part: Part, _ name: String, _ builder: inout KerasBuilder) throws -> Graph.ID? {
      var result: Graph.ID
      switch part {
      case .absent: return nil
      case .trained: result = try builder.weight(name)
      case .constant(let number): result = try builder.constant(number)
      }
      guard let condition else { return result }
      let own = try builder.dense(condition, name + "_dense", bias: false)
      // A condition of fewer axes counts for all positions.
      let extents = builder.shape(own)
      guard extents.count >= 2, extents.count <= shape.count else {
        throw CheckpointError(.mismatch, Place(), "has a condition \(extents) for \(shape)")
      }
      let apart = try builder.reshape(
        own,
        extents.dropLast() + Array(repeating: 1, count: shape.count - extents.count)
          + extents.suffix(1))
      result = try builder.binary(.add, apart, result)
      return result
    }
    if let gamma = try part(scale, "gamma", &builder) {
      x = try builder.binary(.multiply, x, gamma)
    }
    let bias = builder.hasWeight("bias") ? "bias" : "beta"
    if let beta = try part(offset, bias, &builder) { x = try builder.binary(.add, x, beta) }
    return [KerasValue(x, mask: value.mask)]
  }
}

extension Bert4kerasConcatenation: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let joined = try builder.apply(Concatenate(axis: 1), call.inputs.map(\.id))
    guard call.inputs.contains(where: { $0.mask != nil }) else { return [KerasValue(joined)] }
    let masks = try call.inputs.map { value in
      try value.mask ?? builder.filled(Array(builder.shape(value.id).prefix(2)), 1)
    }
    return [KerasValue(joined, mask: try builder.apply(Concatenate(axis: 1), masks))]
  }
}

extension HeadsAttentionLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    guard let (query, key, value) = HeadsAttentionLayer.attended(call.inputs) else {
      throw CheckpointError(.mismatch, Place(), "takes query, key and value")
    }
    func projection(
      _ x: Graph.ID, _ name: String, _ builder: inout KerasBuilder
    ) throws -> Graph.ID {
      if !isPlain { return try builder.dense(x, name + "_dense", bias: usesBias) }
      let operands =
        try [x, builder.weight("W" + name)] + (usesBias ? [builder.weight("b" + name)] : [])
      return try builder.activate(try builder.apply(Linear(), operands), activation)
    }
    var q = try projection(query.id, "q", &builder)
    var k = try projection(key.id, "k", &builder)
    let v = try projection(value.id, "v", &builder)
    let shape = builder.shape(q)
    guard shape.count == 3, shape[2] % heads == 0 else {
      throw CheckpointError(.mismatch, Place(), "has \(heads) heads for a query \(shape)")
    }
    let (batch, rows, size) = (shape[0], shape[1], shape[2] / heads)
    let columns = builder.shape(k)[1]

    var further = call.inputs.dropFirst(3).map(\.id)[...]
    var bias: Graph.ID?
    if let flag = call["a_bias"] {
      // Its own tensor, or the mark that it stands behind the value.
      bias = flag.tensors.first?.id ?? (call.flag("a_bias") ? further.popFirst() : nil)
    }
    let kind = call["p_bias"]?.constant?.string
    var positions: Graph.ID?
    if let kind {
      guard ["rotary", "typical_relative", "t5_relative"].contains(kind) else {
        throw CheckpointError(.unsupported, Place(), "has positions of the kind \"\(kind)\"")
      }
      guard let given = further.popFirst() else {
        throw CheckpointError(.mismatch, Place(), "is given no positions")
      }
      positions = given
    }
    if kind == "rotary", let positions {
      q = try builder.turned(q, by: positions, heads: heads, size: size)
      k = try builder.turned(k, by: positions, heads: heads, size: size)
    }
    let scale = isScaled ? 1 / Double(size).squareRoot() : 1
    var scores = try builder.apply(AttentionScores(heads: heads, scale: scale), q, k)
    if kind == "t5_relative", let positions {
      let first = try builder.transpose(positions, [2, 0, 1])
      scores = try builder.binary(
        .add, scores, isScaled ? try builder.apply(Scale(by: scale), first) : first)
    } else if kind == "typical_relative", let positions {
      // [rows, batch · heads, size] by [rows, columns, size].
      let apart = try builder.reshape(q, [batch, rows, heads, size])
      let byRow = try builder.reshape(
        try builder.transpose(apart, [1, 0, 2, 3]), [rows, batch * heads, size])
      let own = try builder.apply(MatrixProduct(transposesB: true), byRow, positions)
      let back = try builder.transpose(
        try builder.reshape(own, [rows, batch, heads, columns]), [1, 2, 0, 3])
      scores = try builder.binary(.add, scores, try builder.apply(Scale(by: scale), back))
    }
    if talks {
      scores = try builder.apply(
        TalkingHeads(), scores, try builder.weight("pre_softmax.pre_softmax_weight"))
    }
    builder.name(scores, "scores")
    var (mask, visible) = (value.mask, bias)
    if isPlain { mask = key.mask }
    if let bias, builder.shape(bias).count == 4 {
      // Scores of the layer before.
      scores = try builder.binary(.add, scores, bias)
      visible = nil
    }
    let before = scores
    if isCausal { visible = try builder.both(visible, try builder.triangle(rows, columns)) }
    var weights = try builder.normalized(scores, normalization, mask: mask, visible: visible)
    if talks {
      weights = try builder.apply(
        TalkingHeads(), weights, try builder.weight("post_softmax.post_softmax_weight"))
    }
    builder.name(weights, "weights")
    var context = try builder.apply(AttentionContext(), weights, v)
    if kind == "typical_relative", let positions {
      let byRow = try builder.reshape(
        try builder.transpose(weights, [2, 0, 1, 3]), [rows, batch * heads, columns])
      let own = try builder.apply(MatrixProduct(), byRow, positions)
      let back = try builder.transpose(
        try builder.reshape(own, [rows, batch, heads, size]), [1, 0, 2, 3])
      context = try builder.binary(.add, context, try builder.reshape(back, shape))
    }
    builder.name(context, "context")
    let result = try projection(context, "o", &builder)
    return [KerasValue(result, mask: query.mask)] + (returnsScores ? [KerasValue(before)] : [])
  }
}

extension GatedAttentionLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let inputs = call.inputs
    guard let x = inputs.first, builder.shape(x.id).count == 3, isSelf || inputs.count >= 3 else {
      throw CheckpointError(.mismatch, Place(), "takes sequences of three axes")
    }
    var further = inputs.dropFirst(isSelf ? 1 : 3).map(\.id)[...]
    var visible: Graph.ID?
    if let flag = call["a_bias"] {
      visible = flag.tensors.first?.id ?? (call.flag("a_bias") ? further.popFirst() : nil)
    }
    func cut(_ x: Graph.ID, _ widths: [Int], _ builder: inout KerasBuilder) throws -> [Graph.ID] {
      var (start, parts) = (0, [Graph.ID]())
      for width in widths {
        parts.append(try builder.part(x, axis: 2, from: start, count: width))
        start += width
      }
      return parts
    }
    var (u, q, k, v): (Graph.ID, Graph.ID, Graph.ID, Graph.ID)
    if isSelf {
      let product = try builder.dense(x.id, "i_dense", bias: usesBias, activation)
      let parts = try cut(product, [units, units, keySize], &builder)
      (u, v) = (parts[0], parts[1])
      func moved(_ name: String, _ builder: inout KerasBuilder) throws -> Graph.ID {
        let scaled = try builder.binary(
          .multiply, parts[2], try builder.weight(name + ".gamma"))
        return usesBias
          ? try builder.binary(.add, scaled, try builder.weight(name + ".beta")) : scaled
      }
      q = try moved("q_scaleoffset", &builder)
      k = try moved("k_scaleoffset", &builder)
    } else {
      let product = try builder.dense(x.id, "uq_dense", bias: usesBias, activation)
      let parts = try cut(product, [units, keySize], &builder)
      (u, q) = (parts[0], parts[1])
      k = try builder.dense(inputs[1].id, "k_dense", bias: usesBias, activation)
      v = try builder.dense(inputs[2].id, "v_dense", bias: usesBias, activation)
    }
    if call["p_bias"]?.constant?.string == "rotary" {
      guard let positions = further.popFirst() else {
        throw CheckpointError(.mismatch, Place(), "is given no positions")
      }
      q = try builder.turned(q, by: positions, heads: 1, size: keySize)
      k = try builder.turned(k, by: positions, heads: 1, size: keySize)
    }
    let scale = isScaled ? 1 / Double(keySize).squareRoot() : 1
    let scores = try builder.apply(AttentionScores(heads: 1, scale: scale), q, k)
    builder.name(scores, "scores")
    let weights = try builder.normalized(
      scores, normalization, mask: x.mask, visible: visible)
    builder.name(weights, "weights")
    let context = try builder.apply(AttentionContext(), weights, v)
    let gated = try builder.binary(.multiply, u, context)
    return [KerasValue(try builder.dense(gated, "o_dense", bias: usesBias), mask: x.mask)]
  }
}

extension PositionLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    guard let x = call.inputs.first, builder.shape(x.id).count >= 2 else {
      throw CheckpointError(.mismatch, Place(), "takes a tensor of two axes at least")
    }
    let shape = builder.shape(x.id)
    guard let width = self.width ?? shape.last, width > 0, isTrained || width % 2 == 0 else {
      throw CheckpointError(.mismatch, Place(), "has sines for a width of \(shape.last ?? 0)")
    }
    var given: Graph.ID?
    if isGiven {
      guard call.inputs.count == 2 else {
        throw CheckpointError(.mismatch, Place(), "takes a tensor and positions")
      }
      given = call.inputs[1].id
    }
    if merge == .expand { given = x.id }
    var rows: Graph.ID
    if isTrained {
      let table = try builder.weight("embeddings")
      if merge == .expand, !masksZero {
        let bound = Double(self.rows)
        let inside = try builder.apply(Clip(min: -bound, max: bound), x.id)
        given = try builder.binary(.add, inside, try builder.constant(bound))
      }
      if let alpha {
        rows = try builder.apply(
          HierarchicalPositions(alpha: alpha, isGiven: given != nil), table, given ?? x.id)
      } else if let given {
        rows = try builder.apply(Gather(), table, given)
      } else {
        rows = try builder.apply(PositionRows(), table, x.id)
      }
    } else {
      rows = try builder.sinusoidal(try given ?? builder.counting(shape[1]), width)
    }
    if merge != .expand, builder.shape(rows).count == 2 {
      rows = try builder.reshape(rows, [1] + builder.shape(rows))
    }
    switch merge {
    case .zero, .expand: return [KerasValue(rows, mask: x.mask)]
    case .add: return [KerasValue(try builder.binary(.add, x.id, rows), mask: x.mask)]
    case .mul:
      let gain = try builder.binary(.add, rows, try builder.constant(1))
      return [KerasValue(try builder.binary(.multiply, x.id, gain), mask: x.mask)]
    case .concat:
      let all = try builder.apply(BroadcastTo(Array(shape.prefix(2)) + [width]), rows)
      return [KerasValue(try builder.apply(Concatenate(axis: -1), x.id, all), mask: x.mask)]
    }
  }
}

extension RelativePositionLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let shapes = call.inputs.map { builder.shape($0.id) }
    guard shapes.count == 2, shapes.allSatisfy({ $0.count >= 2 }) else {
      throw CheckpointError(.mismatch, Place(), "takes two sequences")
    }
    let (queries, keys) = (shapes[0][1], shapes[1][1])
    let farthest = (rows - 1) / 2
    let bias = buckets.map {
      RelativeBias(isBidirectional: $0.isBidirectional, maxDistance: $0.maxDistance)
    }
    var ids: [Double] = []
    for query in 0..<queries {
      for key in 0..<keys {
        let distance = key - query
        ids.append(
          Double(
            bias?.bucket(distance, of: rows) ?? max(-farthest, min(distance, farthest)) + farthest))
      }
    }
    return [
      KerasValue(
        try builder.apply(
          Gather(), try builder.weight("embeddings"),
          try builder.constant([queries, keys], ids)), mask: call.inputs[0].mask)
    ]
  }
}

extension FeedForwardLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    var hidden = try builder.dense(x.id, "i0_dense", bias: usesBias, activations[0])
    for index in activations.indices.dropFirst() {
      let gate = try builder.dense(x.id, "i\(index)_dense", bias: usesBias, activations[index])
      hidden = try builder.binary(.multiply, hidden, gate)
    }
    builder.name(hidden, "hidden")
    return [KerasValue(try builder.dense(hidden, "o_dense", bias: usesBias), mask: x.mask)]
  }
}

extension TransitionLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    guard let column = try builder.expanded(x.mask, rows: true) else { return [KerasValue(x.id)] }
    return [
      KerasValue(
        try builder.apply(Select(), column, x.id, try builder.constant(-Double.infinity)))
    ]
  }
}

extension SpanLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    let shape = builder.shape(x.id)
    guard shape.count == 3 else {
      throw CheckpointError(.mismatch, Place(), "takes a sequence of three axes")
    }
    let (batch, length) = (shape[0], shape[1])
    let product = try builder.dense(x.id, isEfficient ? "p_dense" : "dense", bias: usesBias)
    var (starts, ends): (Graph.ID, Graph.ID)
    if isEfficient {
      // Starts and ends take turns.
      let pairs = try builder.parts(try builder.reshape(product, [batch, length, size, 2]), 1)
      (starts, ends) = (
        try builder.reshape(pairs[0], [batch, length, size]),
        try builder.reshape(pairs[1], [batch, length, size])
      )
    } else {
      let halves = try builder.parts(
        try builder.reshape(product, [batch, length, heads, 2 * size]), size)
      (starts, ends) = (
        try builder.reshape(halves[0], [batch, length, heads * size]),
        try builder.reshape(halves[1], [batch, length, heads * size])
      )
    }
    let own = isEfficient ? 1 : heads
    if turns {
      let sines = try builder.sinusoidal(try builder.counting(length), size)
      starts = try builder.turned(starts, by: sines, heads: own, size: size)
      ends = try builder.turned(ends, by: sines, heads: own, size: size)
    }
    var scores = try builder.apply(
      AttentionScores(heads: own, scale: 1 / Double(size).squareRoot()), starts, ends)
    if isEfficient {
      let bias = try builder.apply(
        Scale(by: 0.5), try builder.dense(product, "q_dense", bias: usesBias))
      // [batch, length, heads, 2] as [2][batch, heads, length].
      let turned = try builder.transpose(
        try builder.reshape(bias, [batch, length, heads, 2]), [0, 2, 1, 3])
      let halves = try builder.parts(turned, 1)
      let column = try builder.reshape(halves[0], [batch, heads, 1, length])
      let row = try builder.reshape(halves[1], [batch, heads, length, 1])
      scores = try builder.binary(.add, try builder.binary(.add, scores, column), row)
    }
    let mask = try builder.expanded(x.mask, rows: false)
    var visible = try builder.both(mask, try builder.expanded(x.mask, rows: true))
    if isTriangular {
      let triangle = try builder.transpose(try builder.triangle(length, length), [1, 0])
      visible = try builder.both(visible, triangle)
    }
    guard let visible else { return [KerasValue(scores)] }
    let extents = builder.shape(visible)
    let apart = try builder.reshape(
      visible, extents.count == 3 ? [extents[0], 1, extents[1], extents[2]] : extents)
    return [
      KerasValue(
        try builder.apply(Select(), apart, scores, try builder.constant(-Double.infinity)))
    ]
  }
}

extension LossLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] { try passed(call.inputs) }
}

// MARK: - keras-bert

extension TokenEmbeddingLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    let table = try builder.weight("embeddings")
    let mask = try masksZero ? builder.binary(.notEqual, x.id, builder.constant(0)) : nil
    return [KerasValue(try builder.apply(Gather(), table, x.id), mask: mask), KerasValue(table)]
  }
}

extension EmbeddingSimilarityLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    guard call.inputs.count == 2 else {
      throw CheckpointError(.mismatch, Place(), "takes a tensor and a table")
    }
    let operands =
      try call.inputs.map(\.id) + (usesBias ? [builder.weight("bias")] : [])
    let scores = try builder.apply(Linear(transposedKernel: true), operands)
    return [KerasValue(try builder.activate(scores, activation), mask: call.inputs[0].mask)]
  }
}

extension ExtractLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only().id
    let shape = builder.shape(x)
    guard shape.count >= 2 else {
      throw CheckpointError(.mismatch, Place(), "takes a tensor of two axes at least")
    }
    return [KerasValue(try builder.step(x, index < 0 ? index + shape[1] : index))]
  }
}
