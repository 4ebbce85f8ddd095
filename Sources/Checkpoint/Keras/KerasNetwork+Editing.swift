// Changes of a network that keep its configuration in step.

extension KerasNetwork {
  /// The configuration with everything that was changed; what was not stands as it was read.
  public var document: JSON {
    var document = json
    guard var config = json["config"] else { return json }
    let entries = JSON.array(layers.compactMap { $0.entry })
    if config.array != nil {
      config = entries
    } else {
      config.set("layers", entries)
      if let outputs = redirectedOutputs { config.set("output_layers", outputs) }
    }
    document.set("config", config)
    return document
  }

  /// Lets everything that takes a tensor take another instead, the model's outputs included.
  ///
  /// A sequential model has no references: removing a layer is all that it needs.
  public mutating func redirect(_ old: KerasTensor, to new: KerasTensor) {
    let (written, target) = (written(old), written(new))
    for index in layers.indices {
      guard layers[index].calls.contains(where: { $0.tensors.contains(old) }) else { continue }
      layers[index].calls = layers[index].calls.map { call in call.map { $0 == old ? new : $0 } }
      guard form == .functional, let nodes = layers[index].json?["inbound_nodes"] else { continue }
      layers[index].json?.set(
        "inbound_nodes", KerasNetwork.replaced(written, by: target, in: nodes))
    }
    outputs = outputs.map { $0 == old ? new : $0 }
    if form == .functional, let list = redirectedOutputs ?? json["config"]?["output_layers"] {
      redirectedOutputs = KerasNetwork.replaced(
        self.written(old, isOutput: true), by: self.written(new, isOutput: true), in: list)
    }
  }

  /// Takes a layer out; nothing may take from it any more.
  public mutating func remove(_ name: String) {
    layers.removeAll { $0.name == name }
  }

  /// Changes a member of a layer's config, and what the layer is accordingly.
  public mutating func set(_ key: String, _ value: JSON, of name: String) {
    guard let index = layers.firstIndex(where: { $0.name == name }) else { return }
    layers[index].config.json.set(key, value)
    layers[index].kind = Layer.kind(layers[index].config)
  }

  /// Makes a layer one of another class of Keras itself, in the same place.
  public mutating func replace(_ name: String, className: String, config: JSON) {
    guard let index = layers.firstIndex(where: { $0.name == name }) else { return }
    let context = layers[index].config.context
    layers[index].config = KerasConfig(
      config, layer: name, className: className, context: context)
    layers[index].kind = Layer.kind(layers[index].config)
    guard var entry = layers[index].json else { return }
    entry.set("class_name", .string(className))
    entry.set("config", config)
    if entry["module"] != nil { entry.set("module", .string("keras.layers")) }
    if entry["registered_name"] != nil { entry.set("registered_name", .null) }
    layers[index].json = entry
  }

  /// A tensor as the file refers to it.
  private func written(_ tensor: KerasTensor, isOutput: Bool = false) -> KerasTensor {
    var copy = tensor
    let layer = self[tensor.layer]
    copy.call += (isOutput ? layer?.firstOutput : layer?.firstCall) ?? 0
    return copy
  }

  /// The same references with one in place of another: `["dense", 0, 0, …]` and `keras_history`.
  static func replaced(_ old: KerasTensor, by new: KerasTensor, in json: JSON) -> JSON {
    if let parts = json.array {
      if parts.count >= 3, parts[0].string == old.layer, parts[1].int == old.call,
        parts[2].int == old.output
      {
        return .array(
          [.string(new.layer), .number(new.call), .number(new.output)]
            + parts[3...].map { replaced(old, by: new, in: $0) })
      }
      return .array(parts.map { replaced(old, by: new, in: $0) })
    }
    if let members = json.members {
      return .object(members.map { .init($0.key, replaced(old, by: new, in: $0.value)) })
    }
    return json
  }
}

extension KerasNetwork.Layer {
  /// The entry as it is written; `nil` for an input that the file only implies.
  var entry: JSON? {
    guard var entry = json else { return nil }
    if let network {
      if let inner = network.document["config"] { entry.set("config", inner) }
    } else if entry["config"] != config.json {
      entry.set("config", config.json)
    }
    return entry
  }
}
