import Checkpoint

extension EmbeddingLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let ids = try call.only().id
    let rows = try builder.apply(Gather(), builder.weight("embeddings"), ids)
    let mask =
      masksZero && builder.shape(ids).count == 2
      ? try builder.binary(.notEqual, ids, builder.constant(0)) : nil
    return [KerasValue(rows, mask: mask)]
  }
}

extension ReversibleEmbeddingLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    guard call.isReversed else { return try table.lower(call, &builder) }
    let x = try call.only()
    var scores = try builder.apply(
      Linear(transposedKernel: isTied), x.id,
      builder.weight(isTied ? "embeddings" : "reverse_embeddings"))
    if let cap {
      scores = try builder.apply(Activate(.tanh), builder.apply(Scale(by: 1 / cap), scores))
      scores = try builder.apply(Scale(by: cap), scores)
    }
    return [KerasValue(scores, mask: x.mask)]
  }
}

extension MaskingLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only().id
    let shape = builder.shape(x)
    guard shape.count >= 2 else {
      throw CheckpointError(.mismatch, Place(), "masks steps of sequences; it is given \(shape)")
    }
    let differs = try builder.binary(.notEqual, x, builder.constant(value))
    let counts = try builder.apply(Reduce(.any, axes: [-1], keepsDimensions: true), differs)
    let kept = try builder.binary(.multiply, x, counts)
    let mask = shape.count == 3 ? try builder.reshape(counts, Array(shape.prefix(2))) : nil
    return [KerasValue(kept, mask: mask)]
  }
}
