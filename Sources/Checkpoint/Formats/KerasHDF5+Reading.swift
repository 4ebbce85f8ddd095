/// Orders what an HDF5 file holds as Keras means it; see ``KerasHDF5``.
struct KerasHDF5Reading {
  private let index: HDF5Index
  private let attributes: [String: [Attribute]]
  private let datasets: [String: HDF5Dataset]
  private var claimed: Set<String> = []
  private var groups: [Group] = []
  private var places: [String: Int] = [:]
  private var warnings: [String] = []

  init(_ index: HDF5Index) {
    self.index = index
    attributes = Dictionary(
      index.groups.map { ($0.path, $0.attributes) }, uniquingKeysWith: { first, _ in first })
    datasets = Dictionary(
      index.datasets.map { ($0.path, $0) }, uniquingKeysWith: { first, _ in first })
  }

  /// Everything but the path and the format's name.
  func checkpoint() -> Checkpoint {
    var copy = self
    return copy.make()
  }

  private mutating func make() -> Checkpoint {
    let root = attributes[""] ?? []
    let model = attributes[KerasHDF5Names.modelWeights] ?? []
    if let layers = KerasHDF5Names.list(KerasHDF5Names.layerNames, in: root) {
      addLayers(layers, in: "")
    } else if let layers = KerasHDF5Names.list(KerasHDF5Names.layerNames, in: model) {
      addLayers(layers, in: KerasHDF5Names.modelWeights)
    }
    addRest()
    return Checkpoint(
      groups: groups,
      attributes: root
        + model.map { Attribute("\(KerasHDF5Names.modelWeights)@\($0.name)", $0.value) },
      unreadable: index.unreadable, warnings: warnings)
  }

  private mutating func addLayers(_ layers: [String], in container: String) {
    for layer in layers {
      let path = KerasHDF5Names.weightPath(layer, of: container)
      guard attributes[path] != nil else {
        warnings.append("layer_names lists \(layer), but the file has no such group")
        continue
      }
      guard places[path] == nil else {
        warnings.append("layer_names lists \(layer) twice")
        continue
      }
      add(path)
    }
  }

  /// Adds a group with the weights that it names, in their order.
  private mutating func add(_ path: String) {
    let own = path == KerasHDF5Names.modelWeights ? [] : attributes[path] ?? []
    places[path] = groups.count
    groups.append(Group(name: path, attributes: path.isEmpty ? [] : own))
    for name in KerasHDF5Names.list(KerasHDF5Names.weightNames, in: own) ?? [] {
      let weight = KerasHDF5Names.weightPath(name, of: path)
      if let dataset = datasets[weight], claimed.insert(weight).inserted {
        add(dataset, to: groups.count - 1)
      } else {
        warnings.append(
          datasets[weight] == nil
            ? "weight_names of \(path) lists \(name), but the file has no such dataset"
            : "weight_names of \(path) lists \(name), which was listed before")
      }
    }
  }

  private mutating func add(_ dataset: HDF5Dataset, to place: Int) {
    groups[place].tensors.append(dataset.tensor)
    for attribute in dataset.attributes {
      groups[place].attributes.append(
        Attribute("\(dataset.path)@\(attribute.name)", attribute.value))
    }
  }

  /// Adds what no layer names, in natural order.
  private mutating func addRest() {
    // Lists of weights claim what they name before it is seen as its parent group's own.
    let naming = index.groups.map(\.path).filter { path in
      places[path] == nil && path != KerasHDF5Names.modelWeights && !path.isEmpty
        && KerasHDF5Names.list(KerasHDF5Names.weightNames, in: attributes[path] ?? []) != nil
    }
    let before = groups.count
    for path in naming.sorted(by: Natural.less) { add(path) }

    var own: [String: [HDF5Dataset]] = [:]
    for dataset in index.datasets where !claimed.contains(dataset.path) {
      own[HDF5Index.parent(of: dataset.path), default: []].append(dataset)
    }
    let members = Set(
      index.groups.lazy.filter { !$0.path.isEmpty }.map { HDF5Index.parent(of: $0.path) }
        + index.datasets.lazy.map { HDF5Index.parent(of: $0.path) })
    let worthy = index.groups.map(\.path).filter { path in
      if own[path] != nil { return true }
      let isPlain = path.isEmpty || path == KerasHDF5Names.modelWeights
      return !isPlain && places[path] == nil
        && (!(attributes[path] ?? []).isEmpty || !members.contains(path))
    }
    for path in worthy.sorted(by: Natural.less) {
      if places[path] == nil { add(path) }
      guard let place = places[path] else { continue }
      for dataset in (own[path] ?? []).sorted(by: { Natural.less($0.path, $1.path) }) {
        add(dataset, to: place)
      }
    }
    let rest = groups[before...].sorted { Natural.less($0.name, $1.name) }
    groups.replaceSubrange(before..., with: rest)
  }
}
