/// A table for Keras models, which keep weights in layers: layer name ↔ canonical weights in order.
///
/// Inside a layer only the order counts. Names of inner Dense layers (`dense_73/kernel:0`) come
/// from a counter of the session that wrote the file; nothing is bound by them. Where a last part
/// of a name stands once (`beta`, `gamma`), it decides, because that order has changed between
/// versions.
struct LayerTable: Sendable {
  /// A weight inside a layer.
  struct Item: Sendable {
    let canonical: Template
    /// The name written for it; `{layer}` is the layer's own.
    let stored: String
    /// The attributes by which it hangs at its layer, such as `q_dense/kernel`.
    let attributes: String

    init(_ canonical: String, _ stored: String, at attributes: String? = nil) {
      self.canonical = Template(canonical)
      self.stored = stored
      self.attributes =
        attributes ?? stored.split(separator: ":").first.map(String.init) ?? stored
    }

    /// Kernels and tables are matrices, the rest are vectors.
    var rank: Int {
      let leaf = LayerTable.leaf(stored)
      let isMatrix = ["kernel", "embeddings", "weight"].contains { leaf.hasSuffix($0) }
      return isMatrix || leaf.contains("}_W") ? 2 : 1
    }
    /// The name in a layer.
    func stored(in layer: String) -> String { stored.replacing("{layer}", with: layer) }
  }

  /// A layer, and what it may hold, in the framework's order: with and without biases, and so on.
  struct Row: Sendable {
    let layer: Template
    let variants: [[Item]]
    /// What it held in earlier releases: read, and not written.
    let older: [[Item]]

    init(_ layer: String, _ variants: [[Item]], older: [[Item]] = []) {
      self.layer = Template(layer)
      self.variants = variants
      self.older = older
    }

    /// A layer that always holds the same.
    init(_ layer: String, _ weights: [(canonical: String, stored: String)]) {
      self.init(layer, [weights.map { Item($0.canonical, $0.stored) }])
    }

    /// The variant that a layer's weights are, by how many there are and which are matrices.
    func items(of group: Group) -> [Item]? {
      let ranks = group.tensors.map(\.shape.rank)
      let fitting = (variants + older).filter { $0.count == ranks.count }
      return fitting.first { $0.map(\.rank) == ranks }
        ?? fitting.first { $0.map(\.rank).sorted() == ranks.sorted() } ?? fitting.first
    }
  }

  let rows: [Row]
  /// Beginnings of layer names that belong to the family.
  let namespace: [String]

  func bind(_ groups: [Group], family: String) throws(CheckpointError) -> Binding {
    var binding = Binding()
    var places: [String: Int] = [:]
    for group in groups where !group.tensors.isEmpty {
      if group.tensors.allSatisfy({ $0.name.hasPrefix("optimizer_weights/") }) {
        binding.left += group.tensors.map { Leftover($0, "optimizer state") }
      } else if let (row, numbers) = match(group.name) {
        for weight in try LayerTable.bind(group, row, numbers) {
          if let place = places[weight.name] {
            binding.redundant.append(try LayerTable.copy(weight, of: binding.weights[place]))
          } else {
            places[weight.name] = binding.weights.count
            binding.weights.append(weight)
          }
        }
      } else if namespace.contains(where: { group.name.hasPrefix($0) }) {
        throw CheckpointError(
          .mismatch, Place(member: group.name), "has a name of \(family) but is no layer of it",
          hint: "choose another --family; ckpt families lists them")
      } else {
        binding.carried.append(group)
      }
    }
    return binding
  }

  private static func bind(
    _ group: Group, _ row: Row, _ numbers: [String: Int]
  ) throws(CheckpointError) -> [Weight] {
    guard let items = row.items(of: group) else {
      let usual = row.variants[0]
      let expected = usual.map { $0.canonical.filled(numbers) }.joined(separator: ", ")
      throw CheckpointError(
        .mismatch, Place(member: group.name),
        "has \(group.tensors.count) weights, expected \(usual.count): \(expected)")
    }
    let names = items.map { $0.stored(in: group.name) }
    let places = places(of: items, named: names, among: group.tensors)
    return items.indices.map { index in
      let tensor = group.tensors[places[index]]
      return Weight(items[index].canonical.filled(numbers), tensor, sources: [tensor.name])
    }
  }

  /// Where each weight stands: by a name that both sides have once, then by order among its rank.
  private static func places(
    of items: [Item], named names: [String], among tensors: [Tensor]
  ) -> [Int] {
    let wanted = names.map(leaf)
    let found = tensors.map(leaf)
    var places = [Int?](repeating: nil, count: items.count)
    for (index, leaf) in wanted.enumerated()
    where wanted.count(where: { $0 == leaf }) == 1 && found.count(where: { $0 == leaf }) == 1 {
      places[index] = found.firstIndex(of: leaf)
    }
    var free = tensors.indices.filter { !places.contains($0) }
    for index in items.indices where places[index] == nil {
      let next = free.firstIndex { tensors[$0].shape.rank == items[index].rank } ?? 0
      places[index] = free.remove(at: next)
    }
    return places.compactMap(\.self)
  }

  /// What several layers hold must be the same in all.
  private static func copy(
    _ weight: Weight, of other: Weight
  ) throws(CheckpointError) -> Leftover {
    guard other.tensor.shape == weight.tensor.shape, other.tensor.dtype == weight.tensor.dtype,
      try other.tensor.bytes() == weight.tensor.bytes()
    else {
      throw CheckpointError(
        .unsupported, .tensor(weight.tensor.name),
        "differs from \(other.tensor.name), which stands for \(weight.name) too")
    }
    return Leftover(weight.tensor, "equals \(other.tensor.name)")
  }

  private func match(_ layer: String) -> (Row, [String: Int])? {
    for row in rows {
      if let numbers = row.layer.match(layer) { return (row, numbers) }
    }
    return nil
  }

  /// The layer of that name: the canonical weights that there are, with the names to write.
  func spelled(
    _ layer: String, of weights: Set<String>
  ) -> [(canonical: String, stored: String)] {
    guard let (row, numbers) = match(layer) else { return [] }
    let filled = row.variants.map {
      $0.map { ($0.canonical.filled(numbers), $0.stored(in: layer)) }
    }
    return filled.filter { $0.allSatisfy { weights.contains($0.0) } }.max { $0.count < $1.count }
      ?? []
  }

  /// The attributes by which a layer's weights hang at it, or `nil` for another's layer.
  func attributes(of group: Group) -> [String]? {
    match(group.name)?.0.items(of: group)?.map(\.attributes)
  }

  /// `a/b/kernel:0` → `kernel`; in a checkpoint of objects the attribute, else the variable's name.
  static func leaf(_ tensor: Tensor) -> String {
    let object = ObjectGraph.attributes + ObjectGraph.variable
    let path = tensor.name.replacingSuffix(object, with: "")
    let isObject = path != tensor.name
    let own = leaf(path)
    if isObject, Int(own) != nil, let alias = tensor.aliases.first(where: { $0 != path }) {
      return leaf(alias)
    }
    return own
  }

  private static func leaf(_ name: String) -> String {
    let last = name.split(separator: "/").last.map(String.init) ?? name
    return last.split(separator: ":").first.map(String.init) ?? last
  }
}
