/// A table for frameworks that name every tensor: canonical name ↔ stored name and layout.
struct FlatTable: Sendable {
  /// How a stored tensor lies beside the canonical ones; each way has its inverse.
  enum Layout: Sendable {
    case plain
    /// A matrix turned round: `[out, in]` for `[in, out]`.
    case transposed
    /// The last axis is the first of axes of extent 1 (`[1, in, out]`), as convolutions have them.
    case squeezed
  }

  struct Row: Sendable {
    /// One weight, or several that are stored side by side along their last axis (`[in, 3 · out]`).
    let canonical: [Template]
    /// Spellings; the first is written, all are read.
    let stored: [Template]
    let layout: Layout
    /// Whether the row is only a copy of a weight that is stored elsewhere (a tied decoder).
    let copy: Bool

    init(
      _ canonical: Template, _ stored: [Template], transposed: Bool = false, copy: Bool = false
    ) {
      self.init([canonical], stored, transposed ? .transposed : .plain, copy: copy)
    }

    init(
      _ canonical: [Template], _ stored: [Template], _ layout: Layout = .plain, copy: Bool = false
    ) {
      self.canonical = canonical
      self.stored = stored
      self.layout = layout
      self.copy = copy
    }
  }

  let rows: [Row]
  /// Buffers that frameworks store beside the weights, and why they are not needed.
  let buffers: [(Template, String)]
  /// Beginnings of names that belong to the family: a name without a row is then an error.
  let namespace: [String]

  // MARK: Reading

  func bind(_ tensors: [Tensor], family: String) throws(CheckpointError) -> Binding {
    var binding = Binding()
    var carried: [Tensor] = []
    var copies: [(canonical: String, tensor: Tensor)] = []
    for tensor in tensors {
      if let (row, numbers) = match(tensor.name) {
        let weights = try FlatTable.weights(row, numbers, tensor)
        if row.copy {
          copies += weights.map { ($0.name, $0.tensor) }
        } else {
          binding.weights += weights
        }
      } else if let buffer = buffers.first(where: { $0.0.match(tensor.name) != nil }) {
        binding.redundant.append(Leftover(tensor, buffer.1))
      } else if namespace.contains(where: { tensor.name.hasPrefix($0) }) {
        throw CheckpointError(
          .mismatch, .tensor(tensor.name), "has a name of \(family) but is no weight of it",
          hint: "choose another --family, or remove it from the file")
      } else {
        carried.append(tensor)
      }
    }
    if !carried.isEmpty { binding.carried = [Group(name: "", tensors: carried)] }
    for (canonical, tensor) in copies {
      try bind(copy: tensor, of: canonical, into: &binding)
    }
    return binding
  }

  /// The canonical weights that a stored tensor holds.
  private static func weights(
    _ row: Row, _ numbers: [String: Int], _ stored: Tensor
  ) throws(CheckpointError) -> [Weight] {
    var tensor = stored
    var steps: [String] = []
    switch row.layout {
    case .plain: break
    case .transposed:
      tensor = stored.transposed()
      steps.append("transposed")
    case .squeezed:
      tensor = try stored.reshaped(to: Shape(Array(stored.shape.extents.drop { $0 == 1 })))
      steps.append("reshaped")
    }
    let names = row.canonical.map { $0.filled(numbers) }
    guard names.count > 1 else {
      return [
        Weight(
          names[0], tensor, sources: [stored.name], operation: steps.joined(separator: ", "))
      ]
    }
    let parts = try tensor.split(names.count, axis: tensor.shape.rank - 1)
    return zip(names, parts).enumerated().map { index, pair in
      let step = "part \(index + 1) of \(names.count)"
      return Weight(
        pair.0, pair.1, sources: [stored.name],
        operation: (steps + [step]).joined(separator: ", "))
    }
  }

  /// A tied copy must equal its original; alone, it is the original.
  private func bind(
    copy: Tensor, of canonical: String, into binding: inout Binding
  ) throws(CheckpointError) {
    guard let original = binding.weights.first(where: { $0.name == canonical }) else {
      binding.weights.append(Weight(canonical, copy, sources: [copy.name]))
      return
    }
    guard original.tensor.shape == copy.shape, original.tensor.dtype == copy.dtype,
      try original.tensor.hasBytes(of: copy)
    else {
      throw CheckpointError(
        .unsupported, .tensor(copy.name),
        "differs from \(original.sources.joined()), to which it should be tied")
    }
    binding.redundant.append(Leftover(copy, "equals \(original.sources.joined())"))
  }

  private func match(_ name: String) -> (Row, [String: Int])? {
    let name = Array(name.utf8)
    for row in rows {
      for template in row.stored {
        if let numbers = template.match(name) { return (row, numbers) }
      }
    }
    return nil
  }

  // MARK: Writing

  /// A tensor to write: what it is made of, and how.
  struct Written {
    var tensor: Tensor
    /// The canonical weights that it holds.
    var canonical: [String]
    var sources: [String]
    var operation: String
  }

  /// The weights as the framework stores them, in the order of the first of each.
  ///
  /// - Parameters:
  ///   - alternative: which of a row's spellings is written; the last one where there are fewer.
  ///   - framework: for the message when a weight has no place.
  func spell(
    _ weights: [Weight], alternative: Int = 0, framework: String
  ) throws(CheckpointError) -> [Written] {
    let byName = Dictionary(weights.map { ($0.name, $0) }) { first, _ in first }
    var written: [Written] = []
    var done: Set<String> = []
    for weight in weights where !done.contains(weight.name) {
      guard let (row, numbers) = place(of: weight.name) else {
        throw CheckpointError(
          .unsupported, .tensor(weight.name), "has no place in \(framework)",
          hint: FlatTable.leaving(weight.name))
      }
      let names = row.canonical.map { $0.filled(numbers) }
      var parts: [Weight] = []
      for name in names {
        guard let part = byName[name] else {
          throw CheckpointError(
            .mismatch, .tensor(name), "is missing; \(framework) keeps it beside \(weight.name)")
        }
        parts.append(part)
      }
      done.formUnion(names)
      let stored = row.stored[min(alternative, row.stored.count - 1)].filled(numbers)
      written.append(try FlatTable.written(row, parts, as: stored))
    }
    return written
  }

  /// How to go on without a head; the rest of a model cannot be left out.
  private static func leaving(_ canonical: String) -> String? {
    let part = canonical.split(separator: ".").first.map(String.init) ?? canonical
    return Head(rawValue: part).map { "to go on without: --allow-drop '\($0.rawValue).*'" }
  }

  private static func written(
    _ row: Row, _ parts: [Weight], as name: String
  ) throws(CheckpointError) -> Written {
    var tensor = parts[0].tensor
    var steps = [parts[0].operation]
    if parts.count > 1 {
      tensor = try Tensor.joined(name, parts.map(\.tensor), axis: tensor.shape.rank - 1)
      steps = ["joined"]
    }
    switch row.layout {
    case .plain: break
    case .transposed:
      // A matrix that was only turned round for reading is written as it is stored.
      tensor = tensor.transposed()
      steps.append("transposed")
    case .squeezed:
      tensor = try tensor.reshaped(to: Shape([1] + tensor.shape.extents))
      steps.append("reshaped")
    }
    tensor = tensor.renamed(name)
    tensor.aliases = []
    var sources: [String] = []
    for source in parts.flatMap(\.sources) where !sources.contains(source) {
      sources.append(source)
    }
    return Written(
      tensor: tensor, canonical: parts.map(\.name), sources: sources,
      operation: steps.filter { !$0.isEmpty }.joined(separator: ", "))
  }

  /// The name under which a canonical weight is stored, or `nil` when it has no place.
  func name(of canonical: String, alternative: Int = 0) -> String? {
    place(of: canonical).map { row, numbers in
      row.stored[min(alternative, row.stored.count - 1)].filled(numbers)
    }
  }

  private func place(of canonical: String) -> (Row, [String: Int])? {
    for row in rows where !row.copy {
      for template in row.canonical {
        if let numbers = template.match(canonical) { return (row, numbers) }
      }
    }
    return nil
  }
}
