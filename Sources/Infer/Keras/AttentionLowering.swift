import Checkpoint

extension KerasBuilder {
  /// `x · kernel + bias` of an `EinsumDense`'s weights `[in, heads, size]`: heads side by side.
  mutating func projected(
    _ x: Graph.ID, _ place: String, usesBias: Bool
  ) throws -> Graph.ID {
    let kernel = try weight(place + ".kernel")
    let shape = shape(kernel)
    let width = shape.dropFirst().reduce(1, *)
    var operands = [x, try reshape(kernel, [shape.first ?? 0, width])]
    if usesBias { operands.append(try reshape(try weight(place + ".bias"), [width])) }
    return try apply(Linear(), operands)
  }

  /// What Keras adds to the scores of hidden positions.
  static let hidden = -1e9

  /// 1 where row j may see column k: k ≤ j.
  mutating func triangle(_ rows: Int, _ columns: Int) throws -> Graph.ID {
    let row = try filled([rows, 1], 1)
    let j = try apply(Accumulate(.sum, axis: 0), row)
    let k = try apply(Accumulate(.sum, axis: 1), try filled([1, columns], 1))
    return try binary(.greaterEqual, j, k)
  }

  /// 1 where row j and column k are nearer than a width.
  mutating func band(_ rows: Int, _ columns: Int, _ width: Int) throws -> Graph.ID {
    let j = try apply(Accumulate(.sum, axis: 0), try filled([rows, 1], 1))
    let k = try apply(Accumulate(.sum, axis: 1), try filled([1, columns], 1))
    let distance = try apply(Unary(.abs), try binary(.subtract, j, k))
    return try binary(.less, distance, try constant(Double(width)))
  }

  /// Both of two masks, where there are any.
  mutating func both(_ a: Graph.ID?, _ b: Graph.ID?) throws -> Graph.ID? {
    guard let a, let b else { return a ?? b }
    return try binary(.and, a, b)
  }

  /// A mask `[batch, time]` as `[batch, time, 1]` or `[batch, 1, time]`.
  mutating func expanded(_ mask: Graph.ID?, rows: Bool) throws -> Graph.ID? {
    guard let mask else { return nil }
    let shape = shape(mask)
    guard shape.count == 2 else {
      throw CheckpointError(.mismatch, Place(), "has a mask \(shape); expected [batch, time]")
    }
    return try reshape(mask, rows ? [shape[0], shape[1], 1] : [shape[0], 1, shape[1]])
  }
}

extension KerasMultiHeadAttention: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let (query, value, key) = try call.attended()
    let shape = builder.shape(query.id)
    let (rank, other) = (shape.count, builder.shape(value.id))
    guard rank >= 3, other.count == rank, builder.shape((key ?? value).id).count == rank,
      Array(builder.shape((key ?? value).id).dropLast()) == Array(other.dropLast())
    else {
      throw CheckpointError(.mismatch, Place(), "takes a query \(shape) and a value \(other)")
    }
    let own = try attended(rank: rank)
    let others = [0] + (1..<(rank - 1)).filter { !own.contains($0) }
    guard others.allSatisfy({ shape[$0] == other[$0] }) else {
      throw CheckpointError(.mismatch, Place(), "takes a query \(shape) and a value \(other)")
    }
    var mask = try self.mask(call, shape, other, &builder)

    let q = try builder.projected(query.id, "query", usesBias: usesBias)
    var k = try builder.projected((key ?? value).id, "key", usesBias: usesBias)
    var v = try builder.projected(value.id, "value", usesBias: usesBias)
    if keyHeads < heads {
      k = try shared(k, keySize, &builder)
      v = try shared(v, valueSize, &builder)
    }
    let batch = others.map { shape[$0] }
    let (rows, columns) = (own.map { shape[$0] }, own.map { other[$0] })
    let scale = 1 / Double(keySize).squareRoot()

    // `[batch, positions, heads · size]`: other axes go into the batch, attended ones become one.
    let isPlain = rank == 3 && own == [1]
    func flat(_ x: Graph.ID, _ positions: [Int]) throws -> Graph.ID {
      if isPlain { return x }
      let turned = try builder.transpose(x, others + own + [rank - 1])
      return try builder.reshape(
        turned,
        [batch.reduce(1, *), positions.reduce(1, *), builder.shape(x).last ?? 0])
    }
    var scores = try builder.apply(
      AttentionScores(heads: heads, scale: scale), try flat(q, rows), try flat(k, columns))
    if talks {
      scores = try builder.apply(
        TalkingHeads(), scores, try builder.weight("pre_softmax_weight"))
    }
    builder.name(scores, "scores")
    let whole = batch + [heads] + rows + columns
    var weights: Graph.ID
    if let given = mask {
      // Missing axes of a mask stand before those of positions.
      var extents = builder.shape(given)
      while extents.count < whole.count {
        let place = extents.count - 2 * own.count
        guard place >= 0 else { break }
        extents.insert(1, at: place)
      }
      guard extents.count == whole.count else {
        throw CheckpointError(
          .mismatch, Place(), "is given a mask \(builder.shape(given)) for scores \(whole)")
      }
      mask = try builder.reshape(given, extents)
    }
    if let mask, isPlain, builder.shape(mask)[1] == 1 {
      let extents = builder.shape(mask)
      let visible = try builder.apply(
        BroadcastTo([shape[0], extents[2] == 1 ? 1 : rows[0], columns[0]]),
        try builder.reshape(mask, [extents[0], extents[2], extents[3]]))
      weights = try builder.apply(MaskedSoftmax(), scores, visible)
    } else if let mask {
      let visible = try builder.reshape(
        try builder.apply(BroadcastTo(whole), mask), builder.shape(scores))
      let hidden = try builder.constant(KerasBuilder.hidden)
      weights = try builder.apply(
        Softmax(), try builder.apply(Select(), visible, scores, hidden))
    } else {
      weights = try builder.apply(Softmax(), scores)
    }
    if talks {
      weights = try builder.apply(
        TalkingHeads(), weights, try builder.weight("post_softmax_weight"))
    }
    builder.name(weights, "weights")
    var context = try builder.apply(AttentionContext(), weights, try flat(v, columns))
    if !isPlain {
      let apart = try builder.reshape(context, batch + rows + [heads * valueSize])
      // Axes back to where the query has them.
      let order = others + own + [rank - 1]
      context = try builder.transpose(
        apart, (0..<rank).map { order.firstIndex(of: $0) ?? $0 })
    }
    if usesGate {
      let gate = try builder.projected(query.id, "gate", usesBias: usesBias)
      context = try builder.binary(
        .multiply, context, try builder.apply(Activate(.sigmoid), gate))
    }
    builder.name(context, "context")
    let kernel = try builder.weight("attention_output.kernel")
    let last = Array(builder.shape(kernel).dropFirst(2))
    let width = last.reduce(1, *)
    var operands = [context, try builder.reshape(kernel, [heads * valueSize, width])]
    if usesBias {
      operands.append(
        try builder.reshape(try builder.weight("attention_output.bias"), [width]))
    }
    let result = try builder.apply(Linear(), operands)
    let answer = KerasValue(
      try builder.reshape(result, shape.dropLast() + last), mask: query.mask)
    guard call.flag("return_attention_scores") else { return [answer] }
    return [answer, KerasValue(try builder.reshape(weights, whole))]
  }

  /// Heads of keys or values, each as often as queries share it.
  private func shared(
    _ x: Graph.ID, _ size: Int, _ builder: inout KerasBuilder
  ) throws -> Graph.ID {
    let extents = Array(builder.shape(x).dropLast())
    let apart = try builder.reshape(x, extents + [keyHeads, 1, size])
    let spread = try builder.apply(
      BroadcastTo(extents + [keyHeads, heads / keyHeads, size]), apart)
    return try builder.reshape(spread, extents + [heads * size])
  }

  /// Everything that hides positions: masks that come with what is attended, the given one, the order
  /// of time, a window.
  private func mask(
    _ call: KerasCall<KerasValue>, _ shape: [Int], _ other: [Int], _ builder: inout KerasBuilder
  ) throws -> Graph.ID? {
    let (query, value, key) = try call.attended()
    func own(_ value: KerasValue?, _ name: String) -> Graph.ID? {
      call[name]?.tensors.first?.id ?? value?.mask
    }
    var mask = try builder.both(
      try builder.expanded(own(query, "query_mask"), rows: true),
      try builder.expanded(own(value, "value_mask"), rows: false))
    mask = try builder.both(
      mask, try builder.expanded(key.flatMap { own($0, "key_mask") }, rows: false))
    if call.flag("use_causal_mask") {
      mask = try builder.both(mask, try builder.triangle(shape[1], other[1]))
    }
    if let window {
      mask = try builder.both(mask, try builder.band(shape[1], other[1], window))
    }
    return try builder.both(call["attention_mask"]?.tensors.first?.id, mask)
  }
}

extension PlainAttentionLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let (query, value, given) = try call.attended()
    let key = (given ?? value).id
    let (shape, other) = (builder.shape(query.id), builder.shape(key))
    guard shape.count == 3, other.count == 3, builder.shape(value.id).count == 3 else {
      throw CheckpointError(.mismatch, Place(), "takes a query \(shape) and a key \(other)")
    }
    var scores: Graph.ID
    if score == .dot {
      scores = try builder.apply(MatrixProduct(transposesB: true), query.id, key)
      if usesScale {
        scores = try builder.binary(.multiply, scores, try builder.weight("scale"))
      }
    } else {
      var sums = try builder.binary(
        .add, try builder.reshape(query.id, [shape[0], shape[1], 1, shape[2]]),
        try builder.reshape(key, [other[0], 1, other[1], other[2]]))
      if score == .concat, usesScale {
        sums = try builder.binary(.multiply, sums, try builder.weight("scale"))
      }
      sums = try builder.apply(Activate(.tanh), sums)
      if score == nil, usesScale {
        sums = try builder.binary(.multiply, sums, try builder.weight("scale"))
      }
      scores = try builder.apply(Reduce(.sum, axes: [3]), sums)
      if score == .concat {
        scores = try builder.binary(.multiply, scores, try builder.weight("concat_score_weight"))
      }
    }
    builder.name(scores, "scores")
    // Masks by name are a list: of the query, of the value.
    var (queryMask, mask) = (query.mask, value.mask)
    if case .list(let items)? = call["mask"] {
      queryMask = items.first?.tensors.first?.id
      mask = items.dropFirst().first?.tensors.first?.id
    }
    var visible = try builder.expanded(mask, rows: false)
    if isCausal || call.flag("use_causal_mask") {
      visible = try builder.both(visible, try builder.triangle(shape[1], other[1]))
    }
    if let visible {
      scores = try builder.apply(
        Select(), visible, scores, try builder.constant(KerasBuilder.hidden))
    }
    let weights = try builder.apply(Softmax(), scores)
    builder.name(weights, "weights")
    var context = try builder.apply(MatrixProduct(), weights, value.id)
    if let column = try builder.expanded(queryMask, rows: true) {
      context = try builder.binary(.multiply, context, column)
    }
    return [KerasValue(context, mask: queryMask)]
      + (call.flag("return_attention_scores") ? [KerasValue(weights)] : [])
  }
}
