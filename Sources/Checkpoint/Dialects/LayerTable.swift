/// A table for Keras models, which keep weights in layers: layer name ↔ canonical weights in order.
///
/// Inside a layer only the order counts. Names of inner Dense layers (`dense_73/kernel:0`) come
/// from a counter of the session that wrote the file; nothing is bound by them. Where all last
/// parts of a layer's names differ (`beta`, `gamma`), they decide, because that order has changed
/// between versions.
struct LayerTable: Sendable {
  struct Row: Sendable {
    let layer: Template
    /// The canonical weights and the names written for them, in the framework's order; `{layer}` is
    /// the layer's own.
    let weights: [(canonical: Template, stored: String)]

    init(_ layer: Template, _ weights: [(canonical: Template, stored: String)]) {
      self.layer = layer
      self.weights = weights
    }
  }

  let rows: [Row]
  /// Beginnings of layer names that belong to the family.
  let namespace: [String]

  func bind(_ groups: [Group], family: String) throws(CheckpointError) -> Binding {
    var binding = Binding()
    for group in groups where !group.tensors.isEmpty {
      if group.tensors.allSatisfy({ $0.name.hasPrefix("optimizer_weights/") }) {
        binding.left += group.tensors.map { Leftover($0, "optimizer state") }
      } else if let (row, numbers) = match(group.name) {
        binding.weights += try bind(group, row, numbers)
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

  private func bind(
    _ group: Group, _ row: Row, _ numbers: [String: Int]
  ) throws(CheckpointError) -> [Weight] {
    guard group.tensors.count == row.weights.count else {
      let expected = row.weights.map { $0.canonical.filled(numbers) }.joined(separator: ", ")
      throw CheckpointError(
        .mismatch, Place(member: group.name),
        "has \(group.tensors.count) weights, expected \(row.weights.count): \(expected)")
    }
    let expected = row.weights.map {
      LayerTable.leaf($0.stored.replacing("{layer}", with: group.name))
    }
    let found = group.tensors.map { LayerTable.leaf($0.name) }
    let byLeaf = Set(expected).count == expected.count && Set(expected) == Set(found)
    return row.weights.indices.map { index in
      let position = byLeaf ? found.firstIndex(of: expected[index]) ?? index : index
      let tensor = group.tensors[position]
      return Weight(
        row.weights[index].canonical.filled(numbers), tensor, sources: [tensor.name])
    }
  }

  private func match(_ layer: String) -> (Row, [String: Int])? {
    for row in rows {
      if let numbers = row.layer.match(layer) { return (row, numbers) }
    }
    return nil
  }

  /// The layer of that name: its canonical weights with the names to write.
  func spelled(_ layer: String) -> [(canonical: String, stored: String)]? {
    match(layer).map { row, numbers in
      row.weights.map {
        ($0.canonical.filled(numbers), $0.stored.replacing("{layer}", with: layer))
      }
    }
  }

  /// `a/b/kernel:0` → `kernel`.
  private static func leaf(_ name: String) -> String {
    let last = name.split(separator: "/").last.map(String.init) ?? name
    return last.split(separator: ":").first.map(String.init) ?? last
  }
}
