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
    // Another class does not take what the old one took by name.
    layers[index].calls = layers[index].calls.map { KerasCall($0.arguments) }
    if let nodes = entry["inbound_nodes"] {
      entry.set("inbound_nodes", KerasNetwork.withoutKeywords(nodes))
    }
    layers[index].json = entry
  }

  /// The nodes with nothing given by name: `kwargs`, or what stands behind a reference.
  private static func withoutKeywords(_ json: JSON) -> JSON {
    if json["kwargs"] != nil, json["args"] != nil {
      var node = json
      node.set("kwargs", .object([]))
      return node
    }
    guard let parts = json.array else { return json }
    if parts.count == 4, parts[0].string != nil, parts[1].int != nil, parts[3].members != nil {
      return .array(parts.dropLast() + [.object([])])
    }
    return .array(parts.map(withoutKeywords))
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

extension KerasNetwork {
  /// Puts layers into the order in which Keras keeps them once it has loaded the model, inner models
  /// likewise.
  ///
  /// Files list weights in that order, and archives number layers by it. What Keras itself saved is in it
  /// already; taking a layer out may change it, as paths get shorter.
  ///
  /// - Throws: as ``connect()``.
  public mutating func sort() throws(CheckpointError) {
    for index in layers.indices {
      guard var inner = layers[index].description as? NetworkLayer else { continue }
      try inner.network.sort()
      layers[index].kind = .known(inner)
    }
    guard form == .functional else { return }
    var calls = KerasOrder()
    var numbers: [KerasTensor: Int] = [:]
    for (index, call) in order {
      let layer = layers[index]
      let inputs = layer.calls[call].tensors.compactMap {
        numbers[KerasTensor(layer: $0.layer, call: $0.call)]
      }
      numbers[KerasTensor(layer: layer.name, call: call)] = calls.call(layer.name, inputs)
    }
    let sorted = calls.layers(
      outputs: outputs.compactMap { numbers[KerasTensor(layer: $0.layer, call: $0.call)] })
    let places = Dictionary(sorted.enumerated().map { ($1, $0) }) { first, _ in first }
    // What leads to no output comes last; Keras does not keep it.
    layers = layers.enumerated().sorted { a, b in
      let (x, y) = (places[a.element.name] ?? .max, places[b.element.name] ?? .max)
      return x == y ? a.offset < b.offset : x < y
    }.map(\.element)
    try connect()
  }
}
