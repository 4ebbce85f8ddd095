// The configuration of Keras 1 and 2 as Keras 3 reads it.
//
// Sources: `keras/src/models/functional.py`, `sequential.py` and
// `keras/src/legacy/saving/saving_utils.py` (Keras 3).

extension KerasNetwork {
  /// The same graph as Keras 3 writes it.
  ///
  /// Applications are told with their arguments, inner models are counted from their first application
  /// within the model, inputs state `batch_shape`. What a layer's config says stays: Keras 3 reads the
  /// names of Keras 2 in entries without a module.
  ///
  /// - Throws: ``CheckpointError`` naming a layer that Keras 3 does not have, or computes otherwise.
  public func translated() throws(CheckpointError) -> JSON {
    guard context.version != 1 else {
      throw CheckpointError(
        .unsupported, Place(member: "model \(name)"),
        "its configuration is of Keras 1, which Keras 3 does not read",
        hint: "write it as .h5, which ckpt and Keras 2 read")
    }
    return try translated(shapes(statedInputs).values)
  }

  private func translated(
    _ shapes: [KerasTensor: KerasShape]
  ) throws(CheckpointError) -> JSON {
    var entries: [JSON] = []
    for layer in layers {
      // An input that nothing tells of is found when Keras builds the model.
      if layer.json == nil, (layer.description as? InputLayer)?.shape == nil { continue }
      entries.append(try translated(layer, shapes))
    }
    let isSequential = form == .sequential
    var config =
      isSequential ? JSON.object([.init("name", .string(name))]) : json["config"] ?? .null
    config.set("layers", .array(entries))
    if !isSequential {
      config.set("input_layers", .array(inputs.map(KerasNetwork.reference)))
      // Outputs count the application that an inner functional model has of its own.
      let counted = outputs.map { tensor in
        var copy = tensor
        if self[tensor.layer]?.network?.form == .functional { copy.call += 1 }
        return copy
      }
      config.set("output_layers", .array(counted.map(KerasNetwork.reference)))
    }
    return wrapped(config)
  }

  /// A configuration with what Keras 3 writes around it.
  func wrapped(_ config: JSON) -> JSON {
    let isSequential = form == .sequential
    return .object([
      .init("module", .string(isSequential ? "keras" : "keras.src.models.functional")),
      .init("class_name", .string(isSequential ? "Sequential" : "Functional")),
      .init("config", config),
      .init("registered_name", isSequential ? .null : .string("Functional")),
    ])
  }

  private func translated(
    _ layer: Layer, _ shapes: [KerasTensor: KerasShape]
  ) throws(CheckpointError) -> JSON {
    var entry: JSON
    if let network = layer.network {
      let inner = layer.calls.first?.inputs.map { shapes[$0] } ?? []
      let known = inner.compactMap(\.self)
      entry = try network.translated(
        network.shapes(
          known.count == inner.count && !known.isEmpty
            ? network.binding(known) : network.statedInputs
        ).values)
    } else {
      entry = try KerasNetwork.translated(
        layer.entry
          ?? .object([
            .init("class_name", .string(layer.className)), .init("config", layer.config.json),
          ]), layer.name)
    }
    guard form == .functional else { return entry }
    entry.set("name", .string(layer.name))
    let isInput = layer.calls.allSatisfy(\.tensors.isEmpty) && layer.description is InputLayer
    entry.set(
      "inbound_nodes",
      .array(isInput ? [] : layer.calls.map { KerasNetwork.node($0, shapes) }))
    return entry
  }

  /// An entry of a layer, or of one that another wraps.
  private static func translated(
    _ entry: JSON, _ name: String
  ) throws(CheckpointError) -> JSON {
    guard let className = entry["class_name"]?.string, var config = entry["config"] else {
      return entry
    }
    let place = Place(member: "layer \(name) (\(className))")
    if let reason = missing[className] {
      throw CheckpointError(
        .unsupported, place, reason, hint: "write it as .h5, which ckpt and Keras 2 read")
    }
    for key in ["activation", "recurrent_activation", "inner_activation"]
    where config[key]?.string == "hard_sigmoid" {
      throw CheckpointError(
        .unsupported, place,
        "\(key) is hard_sigmoid, by which Keras 2 means another function than Keras 3 does",
        hint: "write it as .h5, which ckpt and Keras 2 read")
    }
    // Entries without a module are read as those of an HDF5 file, with the names of Keras 2.
    var members = (entry.members ?? []).filter {
      !["module", "registered_name", "build_config", "inbound_nodes", "name"].contains($0.key)
    }
    if className == "InputLayer" {
      if let shape = config["batch_input_shape"] { config.set("batch_shape", shape) }
      if config["dtype"] == nil, let dtype = config["input_dtype"] { config.set("dtype", dtype) }
    }
    var gone: Set<String> = ["batch_input_shape", "input_dtype", "time_major"]
    if className.hasPrefix("Separable") || className.hasPrefix("Depthwise")
      || className.hasSuffix("Transpose")
    {
      // Their configs have them from the convolution that they were derived from.
      if let groups = config["groups"]?.int, groups != 1 {
        throw CheckpointError(.unsupported, place, "has groups, which Keras 3 does not have in it")
      }
      gone.insert("groups")
    }
    if className.hasPrefix("Separable") {
      gone.formUnion(["kernel_initializer", "kernel_regularizer", "kernel_constraint"])
    }
    config = .object((config.members ?? []).filter { !gone.contains($0.key) })
    if className == "BatchNormalization", let axes = config["axis"]?.array, axes.count == 1 {
      config.set("axis", axes[0])
    }
    for key in ["layer", "backward_layer", "cell"] {
      guard let inner = config[key], inner["class_name"] != nil else { continue }
      var wrapped = try translated(inner, name)
      // Wrapped layers are read by their module.
      wrapped.set("module", inner["module"] ?? .string("keras.layers"))
      wrapped.set("registered_name", inner["registered_name"] ?? .null)
      config.set(key, wrapped)
    }
    members.removeAll { $0.key == "config" }
    members.append(.init("config", config))
    return .object(members)
  }

  /// Classes that Keras 3 does not have.
  private static let missing: [String: String] = {
    let operations = "is an operation of TensorFlow in the graph, which Keras 3 does not load"
    let fast = "is a layer for NVIDIA's library, which Keras 3 does not have"
    return [
      "TFOpLambda": operations, "SlicingOpLambda": operations, "TensorFlowOpLayer": operations,
      "ClassMethod": operations, "InstanceMethod": operations, "InstanceProperty": operations,
      "CuDNNLSTM": fast, "CuDNNGRU": fast,
    ]
  }()

  private static func reference(_ tensor: KerasTensor) -> JSON {
    .array([.string(tensor.layer), .number(tensor.call), .number(tensor.output)])
  }

  private static func node(
    _ call: KerasCall<KerasTensor>, _ shapes: [KerasTensor: KerasShape]
  ) -> JSON {
    func written(_ argument: KerasArgument<KerasTensor>) -> JSON {
      switch argument {
      case .constant(let json): json
      case .list(let items): .array(items.map { written($0) })
      case .tensor(let tensor):
        .object([
          .init("class_name", .string("__keras_tensor__")),
          .init(
            "config",
            .object([
              .init(
                "shape",
                .array((shapes[tensor]?.extents ?? [nil]).map { $0.map { .number($0) } ?? .null })),
              .init("dtype", .string("float32")), .init("keras_history", reference(tensor)),
            ])),
        ])
      }
    }
    return .object([
      .init("args", .array(call.arguments.map { written($0) })),
      .init("kwargs", .object(call.keywords.map { .init($0.name, written($0.argument)) })),
    ])
  }
}
