import Checkpoint

extension RescalingLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    let scaled = try builder.binary(
      .multiply, x.id, builder.constant(scale.shape, scale.values))
    let result = try builder.binary(.add, scaled, builder.constant(offset.shape, offset.values))
    return [KerasValue(result, mask: keepsMask ? x.mask : nil)]
  }
}

extension NormalizationLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    let shape = builder.shape(x.id)
    let kept = try KerasConfig.counted(axes, rank: shape.count).sorted()
    func place(_ stated: KerasNumbers?, _ name: String) throws -> Graph.ID {
      guard let stated else {
        let extents = shape.indices.map { kept.contains($0) ? shape[$0] : 1 }
        return try builder.reshape(builder.weight(name), extents)
      }
      guard stated.shape.count <= kept.count else {
        throw CheckpointError(
          .mismatch, Place(), "states a \(name) of \(stated.shape.count) axes for \(kept.count)")
      }
      var extents = Array(repeating: 1, count: stated.shape.isEmpty ? 0 : shape.count)
      for (axis, extent) in zip(kept.suffix(stated.shape.count), stated.shape) {
        extents[axis] = extent
      }
      return try builder.constant(extents, stated.values)
    }
    let mean = try place(mean, "mean")
    let root = try builder.apply(Unary(.sqrt), place(variance, "variance"))
    let deviation = try builder.binary(.maximum, root, builder.constant(1e-7))
    let result =
      inverts
      ? try builder.binary(.add, builder.binary(.multiply, x.id, deviation), mean)
      : try builder.binary(.divide, builder.binary(.subtract, x.id, mean), deviation)
    return [KerasValue(result, mask: keepsMask ? x.mask : nil)]
  }
}

extension DiscretizationLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let bins = try builder.apply(Bucketize(boundaries: boundaries), call.only().id)
    guard let encoding else { return [KerasValue(bins)] }
    return try encoding.lower(KerasCall([KerasValue(bins)]), &builder)
  }
}

extension CategoryEncodingLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    guard let input = call.inputs.first else {
      throw CheckpointError(.mismatch, Place(), "takes one tensor; it is given none")
    }
    var ids = input.id
    let shape = builder.shape(ids)
    if mode == .oneHot {
      if shape.last == 1 { ids = try builder.reshape(ids, Array(shape.dropLast())) }
      return [KerasValue(try builder.apply(OneHot(depth: count), ids))]
    }
    guard !shape.isEmpty else {
      throw CheckpointError(.mismatch, Place(), "counts ids along an axis; it is given a number")
    }
    var hot = try builder.apply(OneHot(depth: count), ids)
    let positional = call.inputs.dropFirst().first
    if mode == .count, let weights = call["count_weights"]?.tensors.first ?? positional {
      let each = try builder.reshape(weights.id, builder.shape(weights.id) + [1])
      hot = try builder.binary(.multiply, hot, each)
    }
    return [
      KerasValue(try builder.apply(Reduce(mode == .count ? .sum : .max, axes: [-2]), hot))
    ]
  }
}
