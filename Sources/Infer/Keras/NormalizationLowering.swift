import Checkpoint

extension KerasBuilder {
  /// What is computed of `x` with some axes as its last one: they are moved there, joined, and put back.
  ///
  /// - Parameter axes: in ascending order, different, of `x`.
  fileprivate mutating func joining(
    _ axes: [Int], of x: Graph.ID, _ compute: (Graph.ID, inout KerasBuilder) throws -> Graph.ID
  ) throws -> Graph.ID {
    let extents = shape(x)
    let order = extents.indices.filter { !axes.contains($0) } + axes
    let moved = try transpose(x, order)
    let width = axes.map { extents[$0] }.reduce(1, *)
    let joined = try reshape(moved, order.dropLast(axes.count).map { extents[$0] } + [width])
    let result = try reshape(compute(joined, &self), order.map { extents[$0] })
    var back = order
    for (place, axis) in order.enumerated() { back[axis] = place }
    return try transpose(result, back)
  }

  /// A weight as a vector.
  fileprivate mutating func vector(_ name: String) throws -> Graph.ID {
    let id = try weight(name)
    return try reshape(id, [shape(id).reduce(1, *)])
  }

  /// `x · gamma + beta`, where there are these.
  fileprivate mutating func affine(
    _ x: Graph.ID, hasScale: Bool, hasShift: Bool
  ) throws -> Graph.ID {
    var x = x
    if hasScale { x = try binary(.multiply, x, vector("gamma")) }
    if hasShift { x = try binary(.add, x, vector("beta")) }
    return x
  }

  /// `x` minus its mean over some axes.
  fileprivate mutating func centred(_ x: Graph.ID, over axes: [Int]) throws -> Graph.ID {
    try binary(.subtract, x, apply(Reduce(.mean, axes: axes, keepsDimensions: true), x))
  }
}

extension BatchNormalizationLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    let axes = try axes(rank: builder.shape(x.id).count)
    let result = try builder.joining(axes, of: x.id) { x, builder in
      if moments != .sample {
        var kept: [Graph.ID] = []
        if moments == .stored {
          kept = [try builder.vector("moving_mean"), try builder.vector("moving_variance")]
        } else {
          let others = Array(builder.shape(x).indices.dropLast())
          for kind in [Reduce.Kind.mean, .variance] {
            kept.append(try builder.apply(Reduce(kind, axes: others), x))
          }
        }
        if hasScale { kept.append(try builder.vector("gamma")) }
        if hasShift { kept.append(try builder.vector("beta")) }
        return try builder.apply(
          BatchNorm(epsilon: epsilon, hasGamma: hasScale, hasBeta: hasShift), [x] + kept)
      }
      // (x − mean) / (√(variance + ε) + ε).
      let last = [builder.shape(x).count - 1]
      let centred = try builder.centred(x, over: last)
      let variance = try builder.apply(Reduce(.variance, axes: last, keepsDimensions: true), x)
      let epsilon = try builder.constant(self.epsilon)
      let deviation = try builder.apply(
        Unary(.sqrt), builder.binary(.add, variance, epsilon))
      return try builder.affine(
        builder.binary(.divide, centred, builder.binary(.add, deviation, epsilon)),
        hasScale: hasScale, hasShift: hasShift)
    }
    return [KerasValue(result, mask: x.mask)]
  }
}

extension LayerNormalizationLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    let axes = try axes(rank: builder.shape(x.id).count).sorted()
    let result = try builder.joining(axes, of: x.id) { x, builder in
      if scalesOnly {
        let last = [builder.shape(x).count - 1]
        let variance = try builder.apply(Reduce(.variance, axes: last, keepsDimensions: true), x)
        let inverse = try builder.apply(
          Unary(.rsqrt), builder.binary(.add, variance, builder.constant(epsilon)))
        return try builder.affine(
          builder.binary(.multiply, x, inverse), hasScale: hasScale, hasShift: false)
      }
      if hasScale, hasShift {
        return try builder.apply(
          LayerNorm(epsilon: epsilon), x, builder.vector("gamma"), builder.vector("beta"))
      }
      return try builder.affine(
        builder.apply(LayerNorm(epsilon: epsilon), x), hasScale: hasScale, hasShift: hasShift)
    }
    return [KerasValue(result, mask: x.mask)]
  }
}

extension KerasBuilder {
  /// Group normalization without gain and shift, of `x` with channels last.
  fileprivate mutating func grouped(
    _ x: Graph.ID, groups: Int, epsilon: Double
  ) throws -> Graph.ID {
    let extents = shape(x)
    let (batch, channels) = (extents[0], extents[extents.count - 1])
    let places = extents.dropFirst().dropLast().reduce(1, *)
    let part = channels / groups
    let apart = try transpose(reshape(x, [batch, places, groups, part]), [0, 2, 1, 3])
    let normal = try apply(
      LayerNorm(epsilon: epsilon), reshape(apart, [batch, groups, places * part]))
    let back = try transpose(reshape(normal, [batch, groups, places, part]), [0, 2, 1, 3])
    return try reshape(back, extents)
  }
}

extension GroupNormalizationLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    let axis = try axis(rank: builder.shape(x.id).count)
    let result = try builder.joining([axis], of: x.id) { x, builder in
      let groups = try groups(of: builder.shape(x).last ?? 0)
      return try builder.affine(
        builder.grouped(x, groups: groups, epsilon: epsilon), hasScale: hasScale,
        hasShift: hasShift)
    }
    return [KerasValue(result, mask: x.mask)]
  }
}

extension InstanceNormalizationLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    let rank = builder.shape(x.id).count
    guard rank > 1 else {
      throw CheckpointError(.mismatch, Place(), "takes \(builder.shape(x.id)); expected more axes")
    }
    let axis = try axis(rank: rank)
    let result = try builder.joining([axis ?? rank - 1], of: x.id) { x, builder in
      let normal: Graph.ID
      if isAddons {
        normal = try builder.grouped(x, groups: builder.shape(x).last ?? 1, epsilon: epsilon)
      } else {
        let axes = Array(1..<(axis == nil ? rank : max(1, rank - 1)))
        let centred = try builder.centred(x, over: axes)
        let deviation = try builder.apply(Reduce(.std, axes: axes, keepsDimensions: true), x)
        normal = try builder.binary(
          .divide, centred, builder.binary(.add, deviation, builder.constant(epsilon)))
      }
      return try builder.affine(normal, hasScale: hasScale, hasShift: hasShift)
    }
    return [KerasValue(result, mask: x.mask)]
  }
}

extension RMSNormalizationLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    let axes = try axes(rank: builder.shape(x.id).count)
    let result = try builder.joining(axes, of: x.id) { x, builder in
      try builder.apply(RMSNorm(epsilon: epsilon), x, builder.vector("scale"))
    }
    return [KerasValue(result, mask: x.mask)]
  }
}

extension UnitNormalizationLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    let axes = try axes(rank: builder.shape(x.id).count)
    let squares = try builder.apply(
      Reduce(.sum, axes: axes, keepsDimensions: true), builder.apply(Unary(.square), x.id))
    let inverse = try builder.apply(
      Unary(.rsqrt), builder.binary(.maximum, squares, builder.constant(leastSquare)))
    return [KerasValue(try builder.binary(.multiply, x.id, inverse), mask: x.mask)]
  }
}

extension SpectralNormalizationLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] { try builder.lower(layer, at: "layer", call) }
}
