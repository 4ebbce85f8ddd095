import Checkpoint

extension InputLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] { call.inputs }
}

extension IdentityLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] { Array(call.inputs.prefix(1)) }
}

extension DenseLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.one()
    var operands = [x.id, try builder.weight("kernel")]
    if usesBias { operands.append(try builder.weight("bias")) }
    let product = try builder.apply(Linear(), operands)
    return [KerasValue(try builder.activate(product, activation), mask: x.mask)]
  }
}

extension ActivationLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.one()
    return [KerasValue(try builder.activate(x.id, activation), mask: x.mask)]
  }
}

extension NetworkLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let before = builder.stops.count
    let values = builder.lower(network, network.binding(call.inputs))
    let results = network.outputs.compactMap { values[$0] }
    guard results.count == network.outputs.count else {
      if builder.stops.count > before { throw builder.stops[before].error }
      throw InferError(.input, network.name, "takes \(network.inputs.count) tensors; it is given "
        + "\(call.inputs.count)")
    }
    return results
  }
}

extension KerasCall<KerasValue> {
  /// The only input.
  func one() throws -> KerasValue {
    let inputs = inputs
    guard inputs.count == 1 else {
      throw CheckpointError(.mismatch, Place(), "takes one tensor; it is given \(inputs.count)")
    }
    return inputs[0]
  }
}
