/// A table for frameworks that name every tensor: canonical name ↔ stored name.
struct FlatTable: Sendable {
  struct Row: Sendable {
    let canonical: Template
    /// Spellings; the first is written, all are read.
    let stored: [Template]
    /// Whether the stored matrix is `[out, in]`.
    let transposed: Bool
    /// Whether the row is only a copy of a weight that is stored elsewhere (a tied decoder).
    let copy: Bool

    init(
      _ canonical: Template, _ stored: [Template], transposed: Bool = false, copy: Bool = false
    ) {
      self.canonical = canonical
      self.stored = stored
      self.transposed = transposed
      self.copy = copy
    }
  }

  let rows: [Row]
  /// Buffers that frameworks store beside the weights, and why they are not needed.
  let buffers: [(Template, String)]
  /// Beginnings of names that belong to the family: a name without a row is then an error.
  let namespace: [String]

  func bind(_ tensors: [Tensor], family: String) throws(CheckpointError) -> Binding {
    var binding = Binding()
    var carried: [Tensor] = []
    var copies: [(canonical: String, tensor: Tensor)] = []
    for tensor in tensors {
      if let (row, numbers) = match(tensor.name) {
        let canonical = row.canonical.filled(numbers)
        if row.copy {
          copies.append((canonical, tensor))
        } else {
          binding.weights.append(
            Weight(
              canonical, row.transposed ? tensor.transposed() : tensor, sources: [tensor.name],
              operation: row.transposed ? "transposed" : ""))
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

  /// A tied copy must equal its original; alone, it is the original.
  private func bind(
    copy: Tensor, of canonical: String, into binding: inout Binding
  ) throws(CheckpointError) {
    guard let original = binding.weights.first(where: { $0.name == canonical }) else {
      binding.weights.append(Weight(canonical, copy, sources: [copy.name]))
      return
    }
    guard original.tensor.shape == copy.shape, original.tensor.dtype == copy.dtype,
      try original.tensor.bytes() == copy.bytes()
    else {
      throw CheckpointError(
        .unsupported, .tensor(copy.name),
        "differs from \(original.sources.joined()), to which it should be tied")
    }
    binding.redundant.append(Leftover(copy, "equals \(original.sources.joined())"))
  }

  private func match(_ name: String) -> (Row, [String: Int])? {
    for row in rows {
      for template in row.stored {
        if let numbers = template.match(name) { return (row, numbers) }
      }
    }
    return nil
  }

  /// The stored name and layout of a canonical weight.
  func spelled(_ canonical: String, alternative: Int = 0) -> (name: String, transposed: Bool)? {
    for row in rows where !row.copy {
      if let numbers = row.canonical.match(canonical) {
        let template = row.stored[min(alternative, row.stored.count - 1)]
        return (template.filled(numbers), row.transposed)
      }
    }
    return nil
  }
}
