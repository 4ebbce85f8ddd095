public import Checkpoint

/// A Keras model with the graph for inputs of certain shapes: what is run, tapped, judged and compared.
public struct RunnableKeras: Runnable {
  public let model: KerasModel
  public let graph: Graph
  /// Layers at which it ends, and why.
  public let stops: [(layer: String, error: any Error)]
  /// Outputs that know which of their positions count: a mask came with them all the way.
  let maskedOutputs: Set<String>
  private let weights: [String: Tensor]

  /// - Parameter shapes: the extents of every input, by the name of its layer.
  /// - Throws: ``InferError`` where an input is missing or contradicts what the model states.
  public init(_ model: KerasModel, inputs shapes: [String: [Int]]) throws {
    self.model = model
    weights = Dictionary(model.weights.map { ($0.name, $0.tensor) }) { first, _ in first }
    var builder = KerasBuilder(weights: weights.mapValues(\.shape.extents))
    var values: [KerasTensor: KerasValue] = [:]
    for tensor in model.network.inputs {
      guard let shape = shapes[tensor.layer] else {
        throw InferError(.input, tensor.layer, "is missing")
      }
      values[tensor] = KerasValue(builder.input(tensor.layer, shape))
    }
    values = builder.lower(model.network, values)
    var masked: Set<String> = []
    for (name, tensor) in zip(model.network.outputNames, model.network.outputs) {
      guard let value = values[tensor] else { continue }
      builder.output(name, value.id)
      if value.mask != nil { masked.insert(name) }
    }
    (graph, stops, maskedOutputs) = (builder.graph, builder.stops, masked)
  }

  /// Why not all outputs can be computed; `nil` where they can.
  public var obstacle: (any Error)? {
    outputNames.count < model.network.outputs.count ? stops.first?.error : nil
  }

  /// The stored tensor of a graph's weight.
  public func weight(_ name: String) throws -> Tensor {
    guard let tensor = weights[name] else {
      throw InferError(.graph, name, "the model has no such weight")
    }
    return tensor
  }

  /// The same model with other tensors for some weights.
  func varied(weights changed: [String: Tensor]) -> RunnableKeras {
    RunnableKeras(self, weights.merging(changed) { $1 })
  }

  private init(_ other: RunnableKeras, _ weights: [String: Tensor]) {
    (model, graph, stops) = (other.model, other.graph, other.stops)
    maskedOutputs = other.maskedOutputs
    self.weights = weights
  }
}

extension RunnableKeras {
  /// Whether layers of a class can be computed.
  public static func computes(_ type: any KerasLayer.Type) -> Bool { type is any LoweredLayer.Type }

  /// Takes arrays by the names of the model's input layers, where there is one input by any name; an
  /// array without the batch's axis is one row.
  ///
  /// - Throws: ``InferError`` naming an array that is missing, unknown or misshapen.
  public static func inputs(
    named given: [String: NDArray<Float>], for network: KerasNetwork
  ) throws(InferError) -> [String: NDArray<Float>] {
    let names = network.inputs.map(\.layer)
    var arrays: [String: NDArray<Float>] = [:]
    for (name, array) in given {
      let bare = name.split(separator: ":").first.map(String.init) ?? name
      guard
        let own = [name, bare].first(where: names.contains)
          ?? (names.count == 1 && given.count == 1 ? names[0] : nil)
      else {
        throw InferError(
          .input, name, "the model has no such input",
          hint: "inputs: \(names.joined(separator: ", "))")
      }
      arrays[own] = array
    }
    let shapes = network.statedInputs
    for tensor in network.inputs {
      let name = tensor.layer
      guard var array = arrays[name] else {
        throw InferError(
          .input, name, "is missing", hint: "inputs: \(names.joined(separator: ", "))")
      }
      if let stated = shapes[tensor] {
        if array.shape.count == stated.rank - 1 {
          array = NDArray(shape: [1] + array.shape, values: array.values)
        }
        guard array.shape.count == stated.rank,
          zip(array.shape, stated.extents).allSatisfy({ $1 == nil || $0 == $1 })
        else {
          throw InferError(.input, name, "has shape \(array.shape); expected \(stated)")
        }
      }
      guard !array.values.isEmpty, !array.shape.isEmpty else {
        throw InferError(.input, name, "is empty")
      }
      arrays[name] = array
    }
    return arrays
  }

  /// Values by glob over layers' names and what is inside layers, in order of computation.
  public func taps(_ globs: [String]) throws(InferError) -> [String] {
    let candidates = graph.valueNames + graph.aliases
    var taps: [String] = []
    for glob in globs {
      let pattern = Glob(glob)
      let matched = candidates.filter(pattern.matches)
      guard !matched.isEmpty else {
        throw InferError(
          .input, "--tap \(glob)", "no value has such a name",
          hint: "values: \(graph.valueNames.prefix(8).joined(separator: ", ")), …")
      }
      for name in matched where !taps.contains(name) { taps.append(name) }
    }
    return taps
  }
}
