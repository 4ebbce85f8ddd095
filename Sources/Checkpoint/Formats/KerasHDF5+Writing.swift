/// What goes where in an HDF5 file, decided and checked before anything is written; see
/// ``KerasHDF5``.
struct KerasHDF5Plan {
  struct Object {
    var path: String
    var attributes: [Attribute]
  }

  struct Dataset {
    var path: String
    var tensor: Tensor
    var attributes: [Attribute]
  }

  /// Groups with attributes or without members, the root first; others are made on the way.
  private(set) var groups: [Object] = []
  private(set) var datasets: [Dataset] = []

  /// - Throws: ``CheckpointError`` naming the tensor whose name or type HDF5 cannot hold.
  init(_ checkpoint: Checkpoint) throws(CheckpointError) {
    let isKeras = KerasHDF5Plan.isKeras(checkpoint)
    let container = KerasHDF5Plan.container(checkpoint)
    var (root, model) = KerasHDF5Plan.split(checkpoint.attributes)
    var layerPaths: Set<String> = []
    if isKeras {
      let layers = KerasHDF5Plan.layers(checkpoint, in: container)
      layerPaths = Set(layers.map { KerasHDF5Names.weightPath($0, of: container) })
      if container.isEmpty {
        // A list without a version says Keras 1, whose weights loaders convert: it stays without.
        let isNew = KerasHDF5Names.list(KerasHDF5Names.layerNames, in: root) == nil
        KerasHDF5Plan.set(KerasHDF5Names.layerNames, layers, in: &root)
        if isNew { KerasHDF5Plan.addWriter(to: &root) }
      } else {
        KerasHDF5Plan.set(KerasHDF5Names.layerNames, layers, in: &model)
      }
    }
    groups.append(Object(path: "", attributes: root))
    if !model.isEmpty {
      groups.append(Object(path: KerasHDF5Names.modelWeights, attributes: model))
    }
    for group in checkpoint.groups {
      try add(group, isKeras: isKeras, isLayer: layerPaths.contains(group.name))
    }
    try check()
    for index in groups.indices {
      groups[index].attributes = groups[index].attributes.flatMap(KerasHDF5Plan.parts)
    }
  }

  // MARK: Keras or plain

  /// Whether `layer_names` is there, or the names are those that Keras gives.
  private static func isKeras(_ checkpoint: Checkpoint) -> Bool {
    let (root, model) = split(checkpoint.attributes)
    if KerasHDF5Names.list(KerasHDF5Names.layerNames, in: root) != nil { return true }
    if KerasHDF5Names.list(KerasHDF5Names.layerNames, in: model) != nil { return true }
    return checkpoint.groups.contains { group in
      !group.name.isEmpty && !KerasHDF5Names.besideLayers.contains(group.name)
        && group.tensors.contains { tensor in
          tensor.name.hasPrefix(group.name + "/")
            && tensor.name.utf8.dropFirst(group.name.utf8.count + 1)
              .contains(UInt8(ascii: "/"))
        }
    }
  }

  /// The path of the group that holds the layers: `model_weights` of a whole model, or the root.
  private static func container(_ checkpoint: Checkpoint) -> String {
    let model = split(checkpoint.attributes).model
    return KerasHDF5Names.list(KerasHDF5Names.layerNames, in: model) == nil
      ? "" : KerasHDF5Names.modelWeights
  }

  /// Attributes of the root and of `model_weights`.
  private static func split(
    _ attributes: [Attribute]
  ) -> (root: [Attribute], model: [Attribute]) {
    let prefix = KerasHDF5Names.modelWeights + "@"
    var root: [Attribute] = []
    var model: [Attribute] = []
    for attribute in attributes {
      if attribute.name.hasPrefix(prefix) {
        model.append(
          Attribute(String(attribute.name.dropFirst(prefix.count)), attribute.value))
      } else {
        root.append(attribute)
      }
    }
    return (root, model)
  }

  /// The names of the layers: as listed, if all that are listed are there; else all groups.
  private static func layers(_ checkpoint: Checkpoint, in container: String) -> [String] {
    let (root, model) = split(checkpoint.attributes)
    let names = Set(checkpoint.groups.map(\.name))
    let listed = KerasHDF5Names.list(
      KerasHDF5Names.layerNames, in: container.isEmpty ? root : model)
    if let listed,
      listed.allSatisfy({ names.contains(KerasHDF5Names.weightPath($0, of: container)) })
    {
      return listed
    }
    let prefix = container.isEmpty ? "" : container + "/"
    var seen: Set<String> = []
    return checkpoint.groups.compactMap { group in
      guard group.name.hasPrefix(prefix), group.name.utf8.count > prefix.utf8.count else {
        return nil
      }
      let name = String(group.name.dropFirst(prefix.count))
      return KerasHDF5Names.besideLayers.contains(name) || !seen.insert(name).inserted ? nil : name
    }
  }

  /// Replaces the list `name`, unless it says the same already.
  private static func set(_ name: String, _ texts: [String], in attributes: inout [Attribute]) {
    if KerasHDF5Names.list(name, in: attributes) == texts { return }
    attributes.removeAll { KerasHDF5Names.isPart($0, of: name) }
    attributes.append(KerasHDF5Names.attribute(name, texts))
  }

  /// Says who wrote the file, as Keras 2 does and its loaders ask.
  private static func addWriter(to attributes: inout [Attribute]) {
    let type = Attribute.TextType(size: nil, utf8: false, padding: .nullTerminated)
    for (name, value) in [("backend", "tensorflow"), ("keras_version", "2.15.0")]
    where !attributes.contains(where: { $0.name == name }) {
      attributes.append(Attribute(name, .text([value], shape: [], type: type)))
    }
  }

  // MARK: Groups and datasets

  private mutating func add(
    _ group: Group, isKeras: Bool, isLayer: Bool
  ) throws(CheckpointError) {
    var own: [Attribute] = []
    var perDataset: [String: [Attribute]] = [:]
    let names = Set(group.tensors.map(\.name))
    for attribute in group.attributes {
      if let at = attribute.name.lastIndex(of: "@"), names.contains(String(attribute.name[..<at])) {
        let name = String(attribute.name[attribute.name.index(after: at)...])
        perDataset[String(attribute.name[..<at]), default: []].append(
          Attribute(name, attribute.value))
      } else {
        own.append(attribute)
      }
    }
    var paths: [String] = []
    for tensor in group.tensors {
      let isBelow = group.name.isEmpty || tensor.name.hasPrefix(group.name + "/")
      let path = isKeras && !isBelow ? HDF5Index.join(group.name, tensor.name) : tensor.name
      let attributes = perDataset[tensor.name] ?? []
      try KerasHDF5Plan.check(tensor, attributes)
      paths.append(path)
      datasets.append(Dataset(path: path, tensor: tensor, attributes: attributes))
    }
    // A list of weights stays as it is while it agrees with the tensors and their order.
    if let listed = KerasHDF5Names.list(KerasHDF5Names.weightNames, in: own) {
      let weights = listed.map { KerasHDF5Names.weightPath($0, of: group.name) }
      let wanted = Set(weights)
      if paths.filter(wanted.contains) != weights { setWeightNames(paths, of: group, in: &own) }
    } else if isLayer {
      setWeightNames(paths, of: group, in: &own)
    }
    if group.name.isEmpty {
      groups[0].attributes += own.filter { new in
        !groups[0].attributes.contains { $0.name == new.name }
      }
    } else {
      groups.append(Object(path: group.name, attributes: own))
    }
  }

  private func setWeightNames(
    _ paths: [String], of group: Group, in attributes: inout [Attribute]
  ) {
    let prefix = group.name.isEmpty ? 0 : group.name.utf8.count + 1
    KerasHDF5Plan.set(
      KerasHDF5Names.weightNames,
      paths.map { String(decoding: $0.utf8.dropFirst(prefix), as: UTF8.self) }, in: &attributes)
  }

  /// A list of texts that is too long for one attribute, as Keras splits it: `name0`, `name1`, ….
  private static func parts(_ attribute: Attribute) -> [Attribute] {
    guard case .text(let texts, let shape, let type) = attribute.value, shape.count == 1,
      byteCount(attribute) > KerasHDF5Names.attributeLimit
    else { return [attribute] }
    let size = byteCount(attribute) / texts.count
    let most = max(KerasHDF5Names.attributeLimit / size, 1)
    let count = (texts.count + most - 1) / most
    // As numpy.array_split does it: the first parts take one more where it does not come out even.
    let (length, longer) = texts.count.quotientAndRemainder(dividingBy: count)
    var start = 0
    return (0..<count).map { index in
      let end = start + length + (index < longer ? 1 : 0)
      defer { start = end }
      return Attribute(
        attribute.name + String(index),
        .text(Array(texts[start..<end]), shape: [end - start], type: type))
    }
  }

  /// Bytes that an attribute's value takes in the object's header.
  private static func byteCount(_ attribute: Attribute) -> Int {
    switch attribute.value {
    // A text of varying length is a length and a reference to a heap.
    case .text(let texts, _, let type): texts.count * (type.size ?? 16)
    case .numbers(_, _, let bytes): bytes.count
    }
  }

  private static func check(
    _ tensor: Tensor, _ attributes: [Attribute]
  ) throws(CheckpointError) {
    let isMarked = attributes.contains { $0.name == "dtype" && $0.text == "bfloat16" }
    guard tensor.dtype != .bf16 || isMarked else {
      throw CheckpointError(
        .unsupported, .tensor(tensor.name), "is bf16, which Keras cannot read from HDF5",
        hint: "use --dtype f32 or --dtype f16")
    }
    guard tensor.dtype.hdf5Code != 0 else {
      throw CheckpointError(
        .unsupported, .tensor(tensor.name),
        "is \(tensor.dtype.rawValue), which HDF5 files do not hold",
        hint: tensor.dtype.isFloat || tensor.dtype.isPacked ? "use --dtype f32" : nil)
    }
  }

  /// Checks paths: their components, that none stands twice, and that no dataset holds another.
  private func check() throws(CheckpointError) {
    var taken: Set<String> = []
    for dataset in datasets {
      let place = Place.tensor(dataset.tensor.name)
      try KerasHDF5Plan.check(dataset.path, place)
      guard taken.insert(dataset.path).inserted else {
        throw CheckpointError(.unsupported, place, "the name stands twice")
      }
    }
    for path in datasets.map(\.path) + groups.map(\.path) {
      var folder = HDF5Index.parent(of: path)
      while !folder.isEmpty, !taken.contains(folder) { folder = HDF5Index.parent(of: folder) }
      guard folder.isEmpty else {
        throw CheckpointError(
          .unsupported, .tensor(folder),
          "is a tensor, so HDF5 cannot hold \(path) below it",
          hint: "use --apply strip-optimizer if the longer one is an optimizer's slot, or "
            + "--apply 'rename=OLD=>NEW'")
      }
    }
    for group in groups where !group.path.isEmpty {
      let place = Place(member: "group \(group.path)")
      try KerasHDF5Plan.check(group.path, place)
      guard !taken.contains(group.path) else {
        throw CheckpointError(.unsupported, place, "is the name of a tensor too")
      }
    }
  }

  private static func check(_ path: String, _ place: Place) throws(CheckpointError) {
    let components = path.split(separator: "/", omittingEmptySubsequences: false)
    guard components.allSatisfy({ !$0.isEmpty && $0 != "." }), !path.utf8.contains(0) else {
      throw CheckpointError(
        .unsupported, place, "the name is no HDF5 path",
        hint: "names need a text between slashes, other than \".\"")
    }
  }
}

// MARK: - Writing

extension KerasHDF5Plan {
  /// Bytes from which a dataset is worth packing: the list of its chunks takes as many.
  private static let leastPacked = 4096

  /// Writes everything.
  ///
  /// - Returns: the file's size, in bytes.
  @discardableResult
  func write(
    to file: OutputFile, _ compression: Compression?
  ) throws(CheckpointError) -> Int {
    let (offsets, size) = try writeStructure(to: file, compression)
    // The structure is written and room is reserved; the payload goes straight into it.
    for (dataset, offset) in zip(datasets, offsets) {
      guard let offset else { continue }
      try file.write(dataset.tensor, at: offset)
    }
    return size
  }

  /// Writes all but the payload of contiguous datasets.
  ///
  /// - Returns: where that payload goes, in bytes, `nil` where a dataset has none or is packed; and the
  ///   file's size.
  private func writeStructure(
    to file: OutputFile, _ compression: Compression?
  ) throws(CheckpointError) -> (offsets: [Int?], size: Int) {
    let attributes = groups.flatMap(\.attributes) + datasets.flatMap(\.attributes)
    let isLarge = attributes.contains {
      KerasHDF5Plan.byteCount($0) > KerasHDF5Names.attributeLimit
    }
    var writer = try HDF5Writer(file, largeAttributes: isLarge)
    for group in groups {
      try writer.makeGroup(group.path)
      for attribute in group.attributes { try writer.add(attribute, to: group.path) }
    }
    var offsets: [Int?] = []
    for dataset in datasets {
      if case .gzip(let level) = compression,
        dataset.tensor.byteCount >= KerasHDF5Plan.leastPacked
      {
        try writer.makePackedDataset(dataset.path, of: dataset.tensor, level: level)
        offsets.append(nil)
      } else {
        offsets.append(
          try writer.makeDataset(
            dataset.path, dtype: dataset.tensor.dtype, shape: dataset.tensor.shape))
      }
      for attribute in dataset.attributes { try writer.add(attribute, to: dataset.path) }
    }
    return (offsets, try writer.close())
  }
}
