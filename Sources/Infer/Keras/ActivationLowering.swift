import Checkpoint

extension SoftmaxLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    // A mask of Keras that travels with the input would have another rank, and is not given to it.
    let positional = call.arguments.dropFirst().first?.tensors.first
    guard let mask = call["mask"]?.tensors.first ?? positional else {
      return [KerasValue(try builder.softmax(x.id, axes), mask: x.mask)]
    }
    let masked =
      zeroesMasked
      ? try builder.apply(Select(), mask.id, x.id, builder.constant(-1e9))
      : try builder.binary(
        .add, x.id,
        builder.apply(Scale(by: 1e9), builder.shifted(mask.id, by: -1)))
    var y = try builder.softmax(masked, axes)
    if zeroesMasked { y = try builder.apply(Select(), mask.id, y, builder.constant(0)) }
    return [KerasValue(y, mask: x.mask)]
  }
}

extension TrainedActivationLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    let result: Graph.ID
    switch kind {
    case .prelu:
      let isPositive = try builder.binary(.greater, x.id, builder.constant(0))
      let below = try builder.binary(.multiply, x.id, builder.weight("alpha"))
      result = try builder.apply(Select(), isPositive, x.id, below)
    case .parametricSoftplus:
      let inner = try builder.binary(.multiply, x.id, builder.weight("beta"))
      let soft = try builder.apply(Activate(.softplus), inner)
      result = try builder.binary(.multiply, soft, builder.weight("alpha"))
    case .srelu:
      let left = try builder.weight("t_left")
      let width = try builder.apply(Unary(.abs), builder.weight("t_right"))
      let moved = try builder.binary(.subtract, x.id, left)
      let above = try builder.apply(Activate(.relu), moved)
      let middle = try builder.binary(.minimum, above, width)
      let below = try builder.binary(
        .multiply, builder.binary(.minimum, moved, builder.constant(0)), builder.weight("a_left"))
      let beyond = try builder.apply(
        Activate(.relu), builder.binary(.subtract, moved, width))
      let right = try builder.binary(.multiply, beyond, builder.weight("a_right"))
      let inner = try builder.binary(.add, builder.binary(.add, left, middle), below)
      result = try builder.binary(.add, inner, right)
    }
    return [KerasValue(result, mask: x.mask)]
  }
}
