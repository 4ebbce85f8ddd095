extension LayerTable {
  /// A model's Keras layers: the dialect's own, those on top, and what is carried.
  ///
  /// - Parameters:
  ///   - layers: the dialect's own, in Keras' order; those without weights are left out.
  ///   - prefix: what stands before their names.
  func written(
    _ layers: [String], prefix: String = "", of model: Model
  ) throws(CheckpointError) -> (groups: [Group], rows: [Spelling.Row]) {
    let weights = Dictionary(model.weights.map { ($0.name, $0) }) { first, _ in first }
    let names = Set(weights.keys)
    let tops = model.architecture.tops
    var groups: [Group] = []
    var rows: [Spelling.Row] = []
    var placed: Set<String> = []
    func add(
      _ layer: String, _ parts: [(canonical: String, stored: String)]
    ) throws(CheckpointError) {
      var group = Group(name: layer)
      for (canonical, stored) in parts {
        placed.insert(canonical)
        guard let weight = weights[canonical] else {
          throw CheckpointError(
            .mismatch, .tensor(canonical), "is needed for the layer \(layer) and is missing")
        }
        let tensor = weight.tensor.renamed("\(layer)/\(layer)/\(stored)")
        group.tensors.append(tensor)
        rows.append(
          Spelling.Row(
            target: tensor.name, sources: weight.sources, operation: weight.operation,
            dtype: tensor.dtype, shape: tensor.shape))
      }
      groups.append(group)
    }
    for layer in layers {
      // A weight stands in one layer, though releases may have kept it in another.
      let parts = spelled(layer, of: names.subtracting(placed))
      if !parts.isEmpty { try add(prefix + layer, parts) }
    }
    // Where a file gave the order of what is on top, it stays; Keras loads by it.
    let ordered = Set(model.carried.filter { $0.tensors.isEmpty }.map(\.name))
    for top in tops where !ordered.contains(top.name) { try add(top.name, top.kerasWeights) }
    for group in model.carried.flatMap(LayerTable.layers) {
      if group.tensors.isEmpty {
        if let top = tops.first(where: { $0.name == group.name }) {
          try add(top.name, top.kerasWeights)
        }
        continue
      }
      let name = group.name.isEmpty ? "carried" : group.name
      var copy = Group(name: name)
      for tensor in group.tensors {
        // A whole-model file keeps its weights one level deeper than a weights-only file.
        let plain = tensor.name.replacingPrefix("model_weights/", with: "")
        let target = plain.hasPrefix(name + "/") ? plain : "\(name)/\(plain)"
        copy.tensors.append(tensor.renamed(target))
        rows.append(
          Spelling.Row(
            target: target, sources: [tensor.name], operation: "carried", dtype: tensor.dtype,
            shape: tensor.shape))
      }
      groups.append(copy)
    }
    if let left = model.weights.first(where: { !placed.contains($0.name) }) {
      throw CheckpointError(
        .unsupported, .tensor(left.name),
        "has no place in any layer of \(model.architecture.family)")
    }
    return (groups, rows)
  }

  /// A group of a format without layers, as the layers that its names begin with.
  private static func layers(_ group: Group) -> [Group] {
    guard group.name.isEmpty else { return [group] }
    var layers: [Group] = []
    for tensor in group.tensors {
      let parts = tensor.name.split(separator: "/", maxSplits: 1)
      let name = parts.count > 1 ? String(parts[0]) : ""
      if let index = layers.firstIndex(where: { $0.name == name }) {
        layers[index].tensors.append(tensor)
      } else {
        layers.append(Group(name: name, tensors: [tensor]))
      }
    }
    return layers
  }
}

extension TopLayer {
  /// Its weights with the names that Keras and bert4keras write, in their order.
  var kerasWeights: [(canonical: String, stored: String)] {
    let names: [String]
    switch kind {
    case .dense, .span: names = ["kernel:0", "bias:0"]
    case .crf, .memm(rank: nil): names = ["trans:0"]
    case .memm: names = ["l_trans:0", "r_trans:0"]
    case .globalPointer: names = ["dense/kernel:0", "dense/bias:0"]
    case .efficientGlobalPointer:
      let inner = ["dense", "dense_1"]
      names = inner.flatMap { hasBias ? ["\($0)/kernel:0", "\($0)/bias:0"] : ["\($0)/kernel:0"] }
    }
    return zip(weights, names).map { ($0.name, $1) }
  }

  /// Whether it holds transitions.
  public var hasTransitions: Bool {
    switch kind {
    case .crf, .memm: true
    default: false
    }
  }
}
