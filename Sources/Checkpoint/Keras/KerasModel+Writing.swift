// A model spelled as Keras stores it.

/// How Keras stores the weights of a model.
public enum KerasStorage: Sendable, Equatable {
  /// Groups of layers that list their weights: HDF5 of Keras 1, 2 and 3.
  case layers
  /// The places of variables in objects: `.keras`, `.weights.h5`.
  case paths
}

/// What is to be written of a Keras model.
public struct KerasTarget: Sendable {
  public var storage: KerasStorage
  /// Whether the configuration is in the file; beside it otherwise.
  public var isWhole: Bool
  /// Whether it is a `.keras` archive, whose configuration is Keras 3's.
  public var isArchive: Bool

  public init(storage: KerasStorage, isWhole: Bool, isArchive: Bool = false) {
    self.storage = storage
    self.isWhole = isWhole
    self.isArchive = isArchive
  }
}

/// A Keras model as it is written.
public struct KerasSpelling: Sendable {
  /// What stands in the file; its `model_config` is read again as the same model.
  public var model: KerasModel
  public var checkpoint: Checkpoint
  /// The configuration beside the weights; `nil` where the file holds it.
  public var configuration: JSON?
  public var rows: [Spelling.Row] = []
  /// Tensors that the target has no place for; whether they are lost, or have no meaning any more.
  public var left: [(leftover: Leftover, loses: Bool)] = []
  public var remarks: [String] = []
}

extension KerasModel {
  /// How a checkpoint stores weights.
  public static func storage(of checkpoint: Checkpoint) -> KerasStorage {
    storesPaths(checkpoint) ? .paths : .layers
  }

  /// The model as a target stores it.
  ///
  /// - Parameters:
  ///   - source: what it was read from, and the model before it was transformed: layers that were not
  ///     touched stay as they are stored, where the target stores them in the same way.
  ///   - converted: what becomes of a tensor when it is written, such as another precision.
  /// - Throws: ``CheckpointError`` where the target's Keras cannot hold the model.
  public func spelled(
    as target: KerasTarget, from source: (model: KerasModel, checkpoint: Checkpoint),
    converted: (Tensor) throws(CheckpointError) -> Tensor
  ) throws(CheckpointError) -> KerasSpelling {
    try KerasWriter(self, target, source).spelled(converted)
  }
}

/// Makes a ``KerasSpelling``.
private struct KerasWriter {
  private let target: KerasTarget
  private let source: (model: KerasModel, checkpoint: Checkpoint)
  private let stored: KerasStorage
  private var result: KerasSpelling
  private var document: JSON
  /// The prefix of groups in the target.
  private let prefix: String
  /// Groups of the source that were taken over whole.
  private var copied: Set<String> = []
  /// Whether the configuration is an attribute of an HDF5 file, where entries have no module.
  private var isLegacy: Bool { target.isWhole && !target.isArchive }

  init(
    _ model: KerasModel, _ target: KerasTarget,
    _ source: (model: KerasModel, checkpoint: Checkpoint)
  ) throws(CheckpointError) {
    (self.target, self.source) = (target, source)
    stored = KerasModel.storage(of: source.checkpoint)
    prefix = target.storage == .layers && target.isWhole ? KerasHDF5Names.modelWeights + "/" : ""
    var model = model
    // What was not touched keeps its order, whichever it is.
    let isTouched =
      KerasWriter.variables(source.model) != KerasWriter.variables(model)
      || source.model.network.layers.count != model.network.layers.count
    if isTouched { try model.network.sort() }
    result = KerasSpelling(model: model, checkpoint: Checkpoint())
    document = model.network.document
    if target.isWhole, !target.isArchive, model.network.context.version == 3,
      let operation = model.network.layers.first(where: {
        $0.className.hasPrefix(KerasNetwork.operationPrefix)
      })
    {
      result.remarks.append(
        "Keras 3 does not load HDF5 files with operations in the graph (\(operation.name)); .keras it does"
      )
    }
    // An archive of tf.keras 2.13 to 2.15 stays one of these.
    if target.isArchive, model.network.context.version < 3,
      source.checkpoint.format != Keras().name
    {
      document = try model.network.translated()
      var context = model.network.context
      context.version = 3
      result.model.network = try KerasNetwork(document, context: context)
      result.remarks.append("model_config is translated for Keras 3")
    } else if model.network.context.version == 3, document["module"] == nil, !isLegacy {
      document = model.network.wrapped(document["config"] ?? .null)
    }
  }

  func spelled(
    _ converted: (Tensor) throws(CheckpointError) -> Tensor
  ) throws(CheckpointError) -> KerasSpelling {
    var copy = self
    switch target.storage {
    case .layers: try copy.addLayers(converted)
    case .paths: try copy.addPaths(converted)
    }
    try copy.carry(converted)
    copy.addAttributes()
    return copy.result
  }

  private var network: KerasNetwork { result.model.network }

  private func inputs() -> [KerasTensor: KerasShape] {
    network.statedInputs.merging(result.model.given) { $1 }
  }

  private mutating func add(_ group: Group, _ weights: [Weight]) {
    result.checkpoint.groups.append(group)
    for (tensor, weight) in zip(group.tensors, weights) {
      let cast =
        tensor.dtype == (weight.rounding ?? weight.tensor.dtype)
        ? [] : ["cast \(tensor.dtype.rawValue)"]
      result.rows.append(
        Spelling.Row(
          target: tensor.name, canonical: weight.name.isEmpty ? [] : [weight.name],
          sources: weight.sources,
          operation: ([weight.operation] + cast).filter { !$0.isEmpty }.joined(separator: ", "),
          dtype: tensor.dtype, shape: tensor.shape))
    }
  }

  // MARK: Groups of layers

  private mutating func addLayers(
    _ converted: (Tensor) throws(CheckpointError) -> Tensor
  ) throws(CheckpointError) {
    let variables = try network.variablesByLayer(inputs())
    let byName = Dictionary(result.model.weights.map { ($0.name, $0) }) { first, _ in first }
    for layer in network.layers where layer.json != nil {
      // A sequential model does not count its input among its layers.
      if network.form == .sequential, layer.description is InputLayer { continue }
      let path = prefix + layer.name
      if let group = untouched(layer, variables[layer.name] ?? []) {
        copied.insert(group.name)
        var copy = Group(name: path, attributes: group.attributes.filter { !$0.name.contains("@") })
        for tensor in group.tensors {
          let name = path + tensor.name.dropFirst(group.name.count)
          copy.tensors.append(try converted(tensor).renamed(name))
        }
        add(copy, group.tensors.map { Weight("", $0, sources: [$0.name]) })
        continue
      }
      let isFrozen = layer.config["trainable"]?.bool == false
      let own = variables[layer.name] ?? []
      let ordered =
        isFrozen ? own : own.filter(\.isTrainable) + own.filter { !$0.isTrainable }
      var group = Group(name: path)
      var weights: [Weight] = []
      for variable in ordered {
        let name = "\(layer.name).\(variable.name)"
        guard let weight = byName[name] else {
          throw CheckpointError(.mismatch, .tensor(name), "is missing")
        }
        let tensor = try converted(weight.rounded().tensor)
        group.tensors.append(tensor.renamed("\(path)/\(legacyName(variable, of: layer))"))
        weights.append(weight)
      }
      add(group, weights)
    }
  }

  /// As Keras names a variable in a layer's group: `dense/kernel:0`, `lstm/lstm_cell/kernel:0`; of inner
  /// models by the inner layer's name alone.
  private func legacyName(_ variable: KerasVariable, of layer: KerasNetwork.Layer) -> String {
    var parts = variable.name.split(separator: ".").map(String.init)
    if layer.network == nil || network.context.version == 3 {
      if variable.path.hasPrefix("cell/"), parts.count == 1 {
        parts.insert(KerasNames.snakeCase(layer.className) + "_cell", at: 0)
      }
      parts.insert(layer.name, at: 0)
    }
    return parts.joined(separator: "/") + (network.context.version == 3 ? "" : ":0")
  }

  /// The source's group of a layer whose weights are as they were.
  private func untouched(_ layer: KerasNetwork.Layer, _ variables: [KerasVariable]) -> Group? {
    guard stored == .layers, let before = source.model.network[layer.name],
      before.className == layer.className
    else { return nil }
    let group = source.checkpoint.groups.first {
      $0.name == layer.name || $0.name == "\(KerasHDF5Names.modelWeights)/\(layer.name)"
    }
    guard let group, group.tensors.allSatisfy({ $0.name.hasPrefix(group.name + "/") }) else {
      return nil
    }
    let old = source.model.weights.filter { $0.name.hasPrefix(layer.name + ".") }
    let new = result.model.weights.filter { $0.name.hasPrefix(layer.name + ".") }
    let isSame =
      old.count == new.count
      && zip(old, new).allSatisfy {
        $0.name == $1.name && $0.sources == $1.sources && $0.operation == $1.operation
          && $1.rounding == nil && $0.tensor.shape == $1.tensor.shape
          && $0.tensor.dtype == $1.tensor.dtype
      }
    return isSame ? group : nil
  }

  // MARK: Paths

  private mutating func addPaths(
    _ converted: (Tensor) throws(CheckpointError) -> Tensor
  ) throws(CheckpointError) {
    let byName = Dictionary(result.model.weights.map { ($0.name, $0) }) { first, _ in first }
    var groups: [String] = ["vars"]
    var names: [String: String] = ["vars": network.name]
    KerasWriter.places(network, below: "", &groups, &names)
    var members: [String: [(tensor: Tensor, weight: Weight)]] = [:]
    for variable in try network.variables(inputs()) {
      guard let weight = byName[variable.name] else {
        throw CheckpointError(.mismatch, .tensor(variable.name), "is missing")
      }
      let tensor = try converted(weight.rounded().tensor)
      for path in [variable.path] + [variable.alias].compactMap({ $0 }) {
        let group = HDF5Index.parent(of: path)
        if members[group] == nil, names[group] == nil { groups.append(group) }
        members[group, default: []].append((tensor.renamed(path), weight))
      }
    }
    for path in groups {
      let own = members[path] ?? []
      // Keras 3 says whose they are.
      let owner = network.context.version == 3 ? names[path] : nil
      let attributes = owner.map { [Attribute("name", text: $0)] } ?? []
      add(
        Group(name: path, attributes: attributes, tensors: own.map(\.tensor)), own.map(\.weight))
    }
  }

  /// The groups that Keras makes for layers, also for those without weights.
  private static func places(
    _ network: KerasNetwork, below path: String, _ groups: inout [String],
    _ owners: inout [String: String]
  ) {
    var names = KerasNames()
    for layer in network.layers {
      let place = "\(path)layers/\(names.next(layer.className))"
      groups.append(place + "/vars")
      owners[place + "/vars"] = layer.name
      if let inner = layer.network { places(inner, below: place + "/", &groups, &owners) }
    }
  }

  // MARK: What else there is

  /// Takes over what belongs to no layer that ckpt knows, where it still means the same.
  private mutating func carry(
    _ converted: (Tensor) throws(CheckpointError) -> Tensor
  ) throws(CheckpointError) {
    let isSame = stored == target.storage
    let isRestructured =
      KerasWriter.variables(source.model) != KerasWriter.variables(result.model)
    for group in source.model.carried where !copied.contains(group.name) {
      var kept = group
      kept.tensors = []
      for tensor in group.tensors {
        let isTraining =
          TrainingState.includes(tensor.name) || tensor.name.hasPrefix("optimizer")
          || tensor.name.hasPrefix("metrics/")
        if tensor.name.contains("seed_generator"), !isSame || isRestructured {
          result.left.append(
            (Leftover(tensor, "is the state of random numbers, which only training draws"), false))
        } else if isTraining, isRestructured {
          result.left.append(
            (Leftover(tensor, "is of the layers as they were before the transform"), false))
        } else if !isSame {
          result.left.append(
            (
              Leftover(
                tensor,
                isTraining
                  ? "optimizer state has another form there" : "belongs to no layer that ckpt knows"
              ),
              true
            ))
        } else {
          kept.tensors.append(try converted(tensor))
        }
      }
      guard !kept.tensors.isEmpty else { continue }
      kept = moved(kept)
      if let index = result.checkpoint.groups.firstIndex(where: { $0.name == kept.name }) {
        result.checkpoint.groups[index].tensors += kept.tensors
      } else {
        result.checkpoint.groups.append(kept)
      }
      result.rows += kept.tensors.map {
        Spelling.Row(
          target: $0.name, sources: [$0.name], operation: "", dtype: $0.dtype, shape: $0.shape)
      }
    }
    guard isRestructured || !isSame || !target.isWhole else { return }
    if source.checkpoint.text("training_config") != nil || document["compile_config"] != nil {
      result.remarks.append("how it was compiled is not written: compile it again to train it")
    }
  }

  /// What a model's variables are, to tell whether another has the same.
  private static func variables(_ model: KerasModel) -> [String] {
    model.weights.map { "\($0.name) \($0.tensor.shape)" }
  }

  /// A layer's group at its place in the target: below `model_weights` or not.
  private func moved(_ group: Group) -> Group {
    let container = KerasHDF5Names.modelWeights + "/"
    guard target.storage == .layers, !KerasHDF5Names.besideLayers.contains(group.name),
      !group.name.hasPrefix("optimizer"), !group.name.isEmpty
    else { return group }
    let bare =
      group.name.hasPrefix(container) ? String(group.name.dropFirst(container.count)) : group.name
    var copy = group
    copy.name = prefix + bare
    copy.attributes.removeAll { $0.name.contains("@") }
    copy.tensors = group.tensors.map { tensor in
      tensor.name.hasPrefix(group.name + "/")
        ? tensor.renamed(copy.name + tensor.name.dropFirst(group.name.count)) : tensor
    }
    return copy
  }

  private mutating func addAttributes() {
    let from = source.checkpoint
    let usual = ["", "1.2.2", "2.15.0", "3.0.0"][network.context.version]
    let stated =
      from.text("keras_version") ?? from.text("model_weights@keras_version")
      ?? source.model.network.json["keras_version"]?.string
    let isStated = stated?.hasPrefix("\(network.context.version).") ?? false
    let version = isStated ? stated ?? usual : usual
    let backend = network.context.backend ?? "tensorflow"
    let isRestructured = !result.left.isEmpty
    var attributes: [Attribute] = []
    if target.isArchive {
      if isRestructured || stored != .paths { document.remove("compile_config") }
      attributes.append(Attribute("model_config", text: document.compact))
      attributes.append(Attribute("keras_version", text: version))
      // A new date would make other bytes of the same model.
      if let date = from.text("date_saved") {
        attributes.append(Attribute("date_saved", text: date))
      }
      result.checkpoint.attributes = attributes
      return
    }
    if !target.isWhole {
      var json = document
      json.set("keras_version", .string(version))
      json.set("backend", .string(backend))
      result.configuration = json
      if target.storage == .layers {
        result.checkpoint.attributes = [
          Attribute("backend", text: backend), Attribute("keras_version", text: version),
        ]
        addLayerNames("layer_names")
      }
      return
    }
    for key in ["compile_config", "keras_version", "backend", "build_config"] {
      document.remove(key)
    }
    attributes = [
      Attribute("backend", text: backend), Attribute("keras_version", text: version),
      Attribute("model_config", text: document.compact),
    ]
    if stored == .layers, !isRestructured, let training = from.text("training_config") {
      attributes.append(Attribute("training_config", text: training))
    }
    let container = KerasHDF5Names.modelWeights
    attributes += [
      Attribute("\(container)@backend", text: backend),
      Attribute("\(container)@keras_version", text: version),
    ]
    result.checkpoint.attributes = attributes
    addLayerNames("\(container)@layer_names")
  }

  private mutating func addLayerNames(_ attribute: String) {
    let names = result.checkpoint.groups.map(\.name)
      .filter { $0.hasPrefix(prefix) && !$0.isEmpty }
      .map { String($0.dropFirst(prefix.count)) }
      .filter { !KerasHDF5Names.besideLayers.contains($0) && !$0.hasPrefix("optimizer") }
    result.checkpoint.attributes.append(KerasHDF5Names.attribute(attribute, names))
  }
}
