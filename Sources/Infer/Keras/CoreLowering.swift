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
    let x = try call.only()
    var operands = [x.id, try builder.weight("kernel")]
    if usesBias { operands.append(try builder.weight("bias")) }
    let product = try builder.apply(Linear(), operands)
    return [KerasValue(try builder.activate(product, activation), mask: x.mask)]
  }
}

/// A layer that is a function of each element, or of each vector, and nothing else.
protocol ActivatingLayer: LoweredLayer {
  var activation: KerasActivation { get }
}

extension ActivatingLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    return [KerasValue(try builder.activate(x.id, activation), mask: x.mask)]
  }
}

extension ActivationLayer: ActivatingLayer {}
extension ReLULayer: ActivatingLayer {}
extension RectifierLayer: ActivatingLayer {}

extension NetworkLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let before = builder.stops.count
    let values = builder.lower(network, network.binding(call.inputs))
    let results = network.outputs.compactMap { values[$0] }
    guard results.count == network.outputs.count else {
      if builder.stops.count > before { throw builder.stops[before].error }
      throw InferError(
        .input, network.name,
        "takes \(network.inputs.count) tensors; it is given "
          + "\(call.inputs.count)")
    }
    return results
  }
}

extension FlattenLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    var x = try call.only().id
    if isChannelsFirst { x = try builder.channelsLast(x) }
    let shape = builder.shape(x)
    return [KerasValue(try builder.reshape(x, [shape[0], shape.dropFirst().reduce(1, *)]))]
  }
}

// MARK: - Arrangements that many layers need

extension KerasBuilder {
  mutating func reshape(_ x: Graph.ID, _ shape: [Int]) throws -> Graph.ID {
    self.shape(x) == shape ? x : try apply(Reshape(to: shape), x)
  }

  mutating func transpose(_ x: Graph.ID, _ axes: [Int]) throws -> Graph.ID {
    axes == Array(axes.indices) ? x : try apply(Transpose(axes), x)
  }

  /// `[batch, channels, spatial…]` as `[batch, spatial…, channels]`.
  mutating func channelsLast(_ x: Graph.ID) throws -> Graph.ID {
    let rank = shape(x).count
    return rank < 3 ? x : try transpose(x, [0] + Array(2..<rank) + [1])
  }

  /// `[batch, spatial…, channels]` as `[batch, channels, spatial…]`.
  mutating func channelsFirst(_ x: Graph.ID) throws -> Graph.ID {
    let rank = shape(x).count
    return rank < 3 ? x : try transpose(x, [0, rank - 1] + Array(1..<(rank - 1)))
  }

  mutating func binary(
    _ function: Binary.Function, _ a: Graph.ID, _ b: Graph.ID
  ) throws -> Graph.ID { try apply(Binary(function), a, b) }
}
