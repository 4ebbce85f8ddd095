// Which stored tensor is which variable.

extension KerasModel {
  mutating func bind(_ checkpoint: Checkpoint) throws(CheckpointError) {
    let variables = try network.variablesByLayer(inputShapes)
    var taken: Set<String> = []
    if KerasModel.storesPaths(checkpoint) {
      try bind(checkpoint, network.variables(variables).map { ($0, $0.path) }, &taken)
    } else if checkpoint.tensors.contains(where: { $0.name.hasSuffix(KerasModel.attribute) }) {
      try bind(
        checkpoint, KerasModel.objectPaths(network.layers.map { ($0, variables[$0.name] ?? []) }),
        &taken)
    } else {
      try bindLayers(checkpoint, variables, &taken)
    }
    carried = checkpoint.groups.compactMap { group in
      var rest = group
      rest.tensors = group.tensors.filter { !taken.contains($0.name) }
      return rest.tensors.isEmpty ? nil : rest
    }
  }

  // MARK: Keras 3

  /// Whether tensors are named by the places of variables in objects, as Keras 3 names them.
  static func storesPaths(_ checkpoint: Checkpoint) -> Bool {
    // A model without weights still has their groups.
    guard !checkpoint.tensors.isEmpty else {
      return checkpoint.groups.contains { $0.name == "layers" || $0.name.hasPrefix("layers/") }
    }
    return checkpoint.tensors.contains { tensor in
      ([tensor.name] + tensor.aliases).contains { name in
        (name.hasPrefix("layers/") || name.hasPrefix(earlyPlace)) && name.contains("/vars/")
      }
    }
  }

  /// What tf.keras 2.13 calls `layers`.
  private static let earlyPlace = "_layer_checkpoint_dependencies/"

  private mutating func bind(
    _ checkpoint: Checkpoint, _ variables: [(KerasVariable, path: String)],
    _ taken: inout Set<String>
  ) throws(CheckpointError) {
    var byName: [String: Tensor] = [:]
    for tensor in checkpoint.tensors {
      for name in [tensor.name] + tensor.aliases {
        byName[name.replacing(KerasModel.earlyPlace, with: "layers/")] = tensor
      }
    }
    for (variable, path) in variables {
      guard let tensor = byName[path] ?? byName[KerasModel.other(path)] else {
        throw CheckpointError(
          .mismatch, .tensor(path),
          "is missing; the configuration says that it holds \(variable.name) \(variable.shape)")
      }
      weights.append(try KerasModel.weight(variable, tensor))
      taken.insert(tensor.name)
      if let again = variable.alias.flatMap({ byName[$0] }) { taken.insert(again.name) }
    }
  }

  // MARK: TensorFlow

  private static let attribute = ObjectGraph.attributes + ObjectGraph.variable

  /// Where `save_weights("x")` of tf.keras keeps variables: layers with weights are counted, and what is in
  /// a layer has its attribute's name (`layer_with_weights-2/cell/kernel/.ATTRIBUTES/VARIABLE_VALUE`).
  private static func objectPaths(
    _ layers: [(layer: KerasNetwork.Layer, variables: [KerasVariable])]
  ) -> [(KerasVariable, path: String)] {
    let counted = layers.filter { !$0.variables.isEmpty }.enumerated()
    return counted.flatMap { number, item -> [(KerasVariable, path: String)] in
      let (layer, variables) = item
      let place = "layer_with_weights-\(number)/"
      if let network = layer.network {
        let inner = network.layers.map { inner in
          let own = inner.name + "."
          return (
            inner,
            variables.filter { $0.name.hasPrefix(own) }.map { variable in
              // Without the inner layer's name and group.
              let parts = variable.path.split(separator: "/").dropFirst(2)
              return KerasVariable(
                String(variable.name.dropFirst(own.count)), variable.shape,
                trainable: variable.isTrainable, path: parts.joined(separator: "/"))
            }
          )
        }
        return zip(variables, objectPaths(inner)).map { ($0.renamed(layer.name), place + $1.path) }
      }
      return variables.map { variable in
        let parts = variable.path.split(separator: "/").dropLast(2)
        let name = variable.name.split(separator: ".").last ?? ""
        return (
          variable.renamed(layer.name),
          place + (parts + [name]).joined(separator: "/") + attribute
        )
      }
    }
  }

  /// The same place under the names that releases before Keras 3.5 give the parts of attention.
  private static func other(_ path: String) -> String {
    path.split(separator: "/").map { part in
      part.hasSuffix("_dense") ? part.hasPrefix("_") ? part.dropFirst() : "_" + part : part
    }.joined(separator: "/")
  }

  // MARK: Keras 1 and 2

  private mutating func bindLayers(
    _ checkpoint: Checkpoint, _ variables: [String: [KerasVariable]], _ taken: inout Set<String>
  ) throws(CheckpointError) {
    let groups = checkpoint.groups.filter { !KerasHDF5Names.besideLayers.contains($0.name) }
    var byLayer: [String: Group] = [:]
    for group in groups {
      let prefix = KerasHDF5Names.modelWeights + "/"
      byLayer[
        group.name.hasPrefix(prefix) ? String(group.name.dropFirst(prefix.count)) : group.name] =
        group
    }
    let wanted = network.layers.filter { !(variables[$0.name] ?? []).isEmpty }
    // Numbers in names depend on what was built before; Keras then goes by the order.
    if wanted.contains(where: { byLayer[$0.name]?.tensors.isEmpty ?? true }) {
      let stored = groups.filter { group in
        !group.tensors.isEmpty && !group.name.hasPrefix("optimizer")
      }
      guard stored.count == wanted.count else {
        let missing = wanted.first { byLayer[$0.name]?.tensors.isEmpty ?? true }
        throw CheckpointError(
          .mismatch, Place(member: "layer \(missing?.name ?? "")"),
          "has no weights in the file; the graph has \(wanted.count) layers with weights, the file "
            + "\(stored.count)")
      }
      for (layer, group) in zip(wanted, stored) { byLayer[layer.name] = group }
      warnings.append("layers of the file have other names than in the graph; bound by their order")
    }
    for layer in wanted {
      guard let group = byLayer[layer.name], let own = variables[layer.name] else { continue }
      do throws(CheckpointError) {
        var bound = try layer.description?.adapted(group.tensors, to: own)
        if bound == nil { bound = try KerasModel.bound(group.tensors, to: own) }
        guard let bound else { continue }
        weights += bound.map { $0.renamed(layer.name + "." + $0.name) }
        taken.formUnion(bound.flatMap(\.sources))
      } catch {
        throw error.at(layer.config.place)
      }
    }
  }

  /// A layer's tensors as its variables, in the order in which Keras lists weights.
  ///
  /// That is: all that are trained, then all that are not, also across the layers of an inner model. What
  /// names say decides where several orders fit.
  public static func bound(
    _ stored: [Tensor], to variables: [KerasVariable]
  ) throws(CheckpointError) -> [Weight] {
    guard stored.count == variables.count else {
      throw CheckpointError(
        .mismatch, Place(),
        "the file has \(stored.count) tensors for it, the configuration \(variables.count) variables: "
          + variables.prefix(12).map { "\($0.name) \($0.shape)" }.joined(separator: ", "))
    }
    let orders = [
      variables.filter(\.isTrainable) + variables.filter { !$0.isTrainable }, variables,
    ]
    func fits(_ order: [KerasVariable], names: Bool) -> Bool {
      zip(stored, order).allSatisfy { tensor, variable in
        tensor.shape.extents == variable.shape
          && (!names
            || storedName(tensor) == variable.name.split(separator: ".").last.map(String.init))
      }
    }
    let order =
      orders.first { fits($0, names: true) } ?? orders.first { fits($0, names: false) } ?? orders[0]
    var bound: [Weight] = []
    for (tensor, variable) in zip(stored, order) { bound.append(try weight(variable, tensor)) }
    // As the layer lists them.
    let places = Dictionary(
      variables.enumerated().map { ($0.element.name, $0.offset) }
    ) { first, _ in first }
    return bound.sorted { (places[$0.name] ?? 0) < (places[$1.name] ?? 0) }
  }

  /// The last part of a stored name, without `:0`.
  static func storedName(_ tensor: Tensor) -> String {
    let last = tensor.name.split(separator: "/").last.map(String.init) ?? tensor.name
    return last.split(separator: ":").first.map(String.init) ?? last
  }

  /// A tensor as a variable of the same shape.
  public static func weight(
    _ variable: KerasVariable, _ tensor: Tensor
  ) throws(CheckpointError) -> Weight {
    guard tensor.shape.extents == variable.shape else {
      throw CheckpointError(
        .mismatch, .tensor(tensor.name),
        "has shape \(tensor.shape); the configuration gives \(variable.name) \(variable.shape)")
    }
    return Weight(variable.name, tensor, sources: [tensor.name])
  }
}

extension KerasVariable {
  /// The variable by its name outside of a layer.
  fileprivate func renamed(_ layer: String) -> KerasVariable {
    var copy = self
    copy.name = layer + "." + name
    return copy
  }
}
