/// What comes in; its shape may be unknown where a sequential model was never built.
public struct InputLayer: KerasLayer {
  public static let classNames = ["InputLayer"]

  public let shape: KerasShape?
  /// The stated element type; `int32` for ids.
  public let dtype: String?

  public init(_ config: KerasConfig) throws(CheckpointError) {
    dtype = config["dtype", "input_dtype"]?.string
    guard let stated = config["batch_shape", "batch_input_shape"],
      let items = KerasConfig.items(stated)
    else {
      shape = nil
      return
    }
    var extents: [Int?] = []
    for item in items {
      guard item == .null || item.int.map({ (0..<KerasConfig.largest).contains($0) }) ?? false
      else { throw config.error("its shape is \(stated.compact); expected extents or null") }
      extents.append(item.int)
    }
    guard !extents.isEmpty else { throw config.error("its shape has no batch axis") }
    shape = KerasShape(extents)
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] { shape.map { [$0] } ?? [] }
}

/// `activation(x · kernel + bias)` over the last axis: kernel `[in, units]`, bias `[units]`.
///
/// Keras 1 calls it `TimeDistributedDense` where it has three axes.
public struct DenseLayer: KerasLayer {
  public static let classNames = ["Dense", "TimeDistributedDense"]

  public let units: Int
  public let usesBias: Bool
  public let activation: KerasActivation

  public init(_ config: KerasConfig) throws(CheckpointError) {
    units = try config.int("units", "output_dim")
    usesBias = try config.bool("use_bias", "bias", default: true)
    activation = try config.activation()
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let width = try call.width()
    return KerasVariable.numbered(
      [KerasVariable("kernel", [width, units])]
        + (usesBias ? [KerasVariable("bias", [units])] : []))
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] { [try call.only().ending(in: units)] }
}

/// An activation as a layer of its own.
public struct ActivationLayer: KerasLayer {
  public static let classNames = ["Activation"]

  public let activation: KerasActivation

  public init(_ config: KerasConfig) throws(CheckpointError) {
    activation = try config.activation()
  }
}

/// Layers that hand on what they take when the model is not trained.
public struct IdentityLayer: KerasLayer {
  public static let classNames = [
    "Identity", "Dropout", "SpatialDropout1D", "SpatialDropout2D", "SpatialDropout3D",
    "GaussianDropout", "GaussianNoise", "AlphaDropout", "ActivityRegularization",
  ]

  public init(_ config: KerasConfig) throws(CheckpointError) {}
}

/// All axes but the batch as one.
public struct FlattenLayer: KerasLayer {
  public static let classNames = ["Flatten"]

  /// Whether channels come first, which are moved to the end before.
  public let isChannelsFirst: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    isChannelsFirst = try config.isChannelsFirst()
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let shape = try call.only()
    return [KerasShape([shape[0], shape.count(from: 1)])]
  }
}

/// A model as a layer of another.
public struct NetworkLayer: KerasLayer {
  public static let classNames = ["Functional", "Model", "Sequential"]

  public var network: KerasNetwork

  public init(_ config: KerasConfig) throws(CheckpointError) {
    network = try KerasNetwork(
      className: config.className, config: config.json, context: config.context,
      json: .object([
        .init("class_name", .string(config.className)), .init("config", config.json),
      ]))
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    try network.variables(network.binding(call.inputs))
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let shapes = network.shapes(network.binding(call.inputs)).values
    return network.outputs.compactMap { shapes[$0] }
  }

  /// Layers inside may have older forms: a model lists what is trained, layer by layer, and then what
  /// is not.
  public func adapted(
    _ stored: [Tensor], to variables: [KerasVariable]
  ) throws(CheckpointError) -> [Weight]? {
    guard network.context.version < 3, stored.count == variables.count else { return nil }
    let listed = variables.filter(\.isTrainable) + variables.filter { !$0.isTrainable }
    let byName = Dictionary(zip(listed.map(\.name), stored)) { first, _ in first }
    var weights: [Weight] = []
    var isChanged = false
    for layer in network.layers {
      let own = variables.filter { $0.name.hasPrefix(layer.name + ".") }
      let tensors = own.compactMap { byName[$0.name] }
      let inside = own.map { $0.outside(layer.name) }
      guard !own.isEmpty, let description = layer.description else { continue }
      do throws(CheckpointError) {
        let adapted = try description.adapted(tensors, to: inside)
        isChanged = isChanged || adapted != nil
        var bound = adapted ?? []
        if adapted == nil { bound = try KerasModel.bound(tensors, to: inside) }
        for weight in bound {
          weights.append(weight.renamed(layer.name + "." + weight.name))
        }
      } catch {
        // Another order of the file's, in which nothing is to be adapted.
        guard isChanged else { return nil }
        throw error.at(layer.config.place)
      }
    }
    return isChanged ? weights : nil
  }
}

extension KerasCall<KerasShape> {
  /// The extent of the only input's last axis, by which shapes of weights go.
  public func width() throws(CheckpointError) -> Int { try extent(at: -1) }

  /// The extent of an axis of the only input.
  public func extent(at axis: Int) throws(CheckpointError) -> Int {
    let shape = try only()
    guard let extent = shape[axis] else {
      throw CheckpointError(
        .mismatch, Place(), "takes \(shape), whose axis \(axis) must be known",
        hint: "give the shape by --set input_shape=…, or run it on arrays that have it")
    }
    return extent
  }
}
