import Checkpoint

extension MergeLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let inputs = call.inputs
    // Says whether their number and shapes fit.
    _ = try outputs(KerasCall(inputs.map { KerasShape(builder.shape($0.id).map { $0 }) }))
    let rank = inputs.map { builder.shape($0.id).count }.max() ?? 0
    var operands: [Graph.ID] = []
    for input in inputs {
      let aligned = KerasShape(builder.shape(input.id).map { $0 }).aligned(to: rank)
      operands.append(try builder.reshape(input.id, aligned.extents.compactMap { $0 }))
    }
    let function: Binary.Function =
      switch kind {
      case .add, .average: .add
      case .subtract: .subtract
      case .multiply: .multiply
      case .maximum: .maximum
      case .minimum: .minimum
      }
    let masks = inputs.map(\.mask)
    if joinsMasks, [.multiply, .maximum, .minimum].contains(kind),
      masks.contains(where: { $0 != nil }),
      inputs.allSatisfy({ builder.shape($0.id).count == 3 })
    {
      return [try masked(function, operands, masks, &builder)]
    }
    var result = operands[0]
    for operand in operands.dropFirst() { result = try builder.binary(function, result, operand) }
    if kind == .average {
      result = try builder.binary(.divide, result, builder.constant(Double(operands.count)))
    }
    return [KerasValue(result, mask: try mask(masks, &builder))]
  }

  /// Keras 3 lets elements that do not count change neither a product nor an extreme: they are 1, or what the
  /// other operand has.
  private func masked(
    _ function: Binary.Function, _ operands: [Graph.ID], _ masks: [Graph.ID?],
    _ builder: inout KerasBuilder
  ) throws -> KerasValue {
    let joined = try mask(masks, &builder)
    func column(_ mask: Graph.ID) throws -> Graph.ID {
      try builder.reshape(mask, builder.shape(mask) + [1])
    }
    if kind == .multiply {
      var product: Graph.ID?
      for (operand, mask) in zip(operands, masks) {
        var factor = operand
        if let mask {
          factor = try builder.apply(Select(), column(mask), operand, builder.constant(1))
        }
        product = try product.map { try builder.binary(.multiply, $0, factor) } ?? factor
      }
      var result = product ?? operands[0]
      if let joined {
        result = try builder.apply(Select(), column(joined), result, builder.constant(0))
      }
      return KerasValue(result, mask: joined)
    }
    var (result, known) = (operands[0], masks[0])
    for (operand, mask) in zip(operands, masks).dropFirst() {
      var other = operand
      if let mask { other = try builder.apply(Select(), column(mask), other, result) }
      if let known { result = try builder.apply(Select(), column(known), result, other) }
      if let mask, let last = known {
        known = try builder.binary(.or, last, mask)
      } else {
        known = nil
      }
      result = try builder.binary(function, result, other)
    }
    return KerasValue(result, mask: joined)
  }

  private func mask(_ masks: [Graph.ID?], _ builder: inout KerasBuilder) throws -> Graph.ID? {
    let known = masks.compactMap { $0 }
    guard var mask = known.first, !joinsMasks || known.count == masks.count else { return nil }
    for other in known.dropFirst() {
      mask = try builder.binary(joinsMasks ? .or : .and, mask, other)
    }
    return mask
  }
}

extension ConcatenateLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let inputs = call.inputs
    let result = try builder.apply(Concatenate(axis: axis), inputs.map(\.id))
    return [KerasValue(result, mask: try mask(inputs, &builder))]
  }

  /// In time masks stand one after the other; over features all inputs say which steps count.
  private func mask(
    _ inputs: [KerasValue], _ builder: inout KerasBuilder
  ) throws -> Graph.ID? {
    let known = inputs.compactMap(\.mask)
    guard !known.isEmpty, inputs.allSatisfy({ builder.shape($0.id).count == 3 }) else { return nil }
    let place = try KerasConfig.counted([axis], rank: 3)[0]
    if place == 2 {
      // An input without a mask counts everywhere.
      if joinsMasks, known.count < inputs.count {
        return try builder.ones(builder.shape(known[0]))
      }
      var mask = known[0]
      for other in known.dropFirst() {
        mask = try builder.binary(joinsMasks ? .or : .and, mask, other)
      }
      return mask
    }
    var masks: [Graph.ID] = []
    for input in inputs {
      masks.append(try input.mask ?? builder.ones(Array(builder.shape(input.id).prefix(2))))
    }
    return try builder.apply(Concatenate(axis: place), masks)
  }
}

extension DotLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let inputs = call.inputs.map(\.id)
    let (a, b) = try axes(ofRanks: inputs.map { builder.shape($0).count })
    var (x, y) = (inputs[0], inputs[1])
    if normalizes {
      x = try builder.normalized(x, [a], squaredEpsilon: epsilon)
      y = try builder.normalized(y, [b], squaredEpsilon: epsilon)
    }
    let (left, right) = (builder.shape(x), builder.shape(y))
    let (some, others) = (
      left.indices.filter { $0 != 0 && $0 != a }, right.indices.filter { $0 != 0 && $0 != b }
    )
    x = try builder.transpose(x, [0] + some + [a])
    y = try builder.transpose(y, [0, b] + others)
    let rows = some.reduce(1) { $0 * left[$1] }
    let columns = others.reduce(1) { $0 * right[$1] }
    let product = try builder.apply(
      MatrixProduct(), builder.reshape(x, [left[0], rows, left[a]]),
      builder.reshape(y, [right[0], right[b], columns]))
    let rest = some.map { left[$0] } + others.map { right[$0] }
    return [KerasValue(try builder.reshape(product, [left[0]] + (rest.isEmpty ? [1] : rest)))]
  }
}

extension OldMergeLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    guard let layer = layer as? any LoweredLayer else {
      throw CheckpointError(.unsupported, Place(), "cannot be computed yet")
    }
    let shapes = call.map { KerasShape(builder.shape($0.id).map { $0 }) }
    let result = try outputs(shapes)[0]
    let values = try layer.lower(call, &builder)
    guard isCosine else { return values }
    return [KerasValue(try builder.reshape(values[0].id, result.extents.compactMap { $0 }))]
  }
}

extension KerasBuilder {
  /// A tensor of ones, such as a mask by which everything counts.
  mutating func ones(_ shape: [Int]) throws -> Graph.ID {
    try apply(BroadcastTo(shape), constant(1))
  }

  /// Vectors along axes divided by their lengths; a sum of squares below epsilon counts as that.
  mutating func normalized(
    _ x: Graph.ID, _ axes: [Int], squaredEpsilon: Double
  ) throws -> Graph.ID {
    let squares = try apply(Unary(.square), x)
    let sum = try apply(Reduce(.sum, axes: axes, keepsDimensions: true), squares)
    let bounded = try binary(.maximum, sum, constant(squaredEpsilon))
    return try binary(.multiply, x, apply(Unary(.rsqrt), bounded))
  }
}
