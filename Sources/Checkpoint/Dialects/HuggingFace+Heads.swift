/// Layers of tasks, read.
extension HuggingFace {
  public func bindTops(
    _ binding: inout Binding, of checkpoint: Checkpoint, configuration: JSON?,
    said: [(name: String, value: String)]
  ) throws(CheckpointError) {
    try settleDecoder(&binding, of: checkpoint, configuration)
    let carried = binding.carried.flatMap(\.tensors)
    let names = Set(carried.map(\.name))
    let fitting = classes(of: binding).filter { type in
      type.task?.kernels.allSatisfy(names.contains) ?? false
    }
    guard var task = fitting.first?.task else {
      if let first = said.first {
        throw CheckpointError(
          .usage, Place(member: "--set head.\(first.name)"),
          "the file has no layer of that name on top of the model")
      }
      return
    }
    let stated = HuggingFace.stated(configuration)
    let isPooled = binding.weights.contains { $0.name == "pooler.kernel" }
    if let type = fitting.first(where: { $0.isNamed(in: stated) }), let own = type.task {
      task = own
    } else if let type = fitting.first(where: { !$0.heads.contains(.pooler) || isPooled }),
      let own = type.task
    {
      task = own
      if said.isEmpty, let layer = own.layers.first, own.layers.count == 1, layer.output == .labels
      {
        binding.warnings.append(
          "no configuration says what \(layer.name) is for; taken to be \(type.name)'s, on the "
            + "\(layer.input.description): --set head.\(layer.name)=pooler|sequence|first-token "
            + "decides")
      }
    }
    let activation =
      configuration?["hidden_act"]?.string.flatMap { self.activation($0) } ?? .geluErf
    try bind(task, &binding, carried, activation, said)
  }

  /// Takes a task's layers from what is carried.
  private func bind(
    _ task: HuggingFaceTask, _ binding: inout Binding, _ carried: [Tensor],
    _ activation: Activation, _ said: [(name: String, value: String)]
  ) throws(CheckpointError) {
    let table = FlatTable(
      rows: task.rows(task.layers.map(\.name), storage), buffers: [], namespace: [])
    let own = try table.bind(carried, family: "a head")
    var tops = try task.tops(own.shapes, hiddenActivation: activation)
    for (name, value) in said {
      guard let index = tops.firstIndex(where: { $0.name == name }) else {
        throw CheckpointError(
          .usage, Place(member: "--set head.\(name)"), "there is no such layer on top",
          hint: "layers: \(tops.map(\.name).joined(separator: ", "))")
      }
      let input = TopLayer.Input(value)
      if case .layer = input {
        throw CheckpointError(
          .usage, Place(member: "--set head.\(name)=\(value)"),
          "is none of pooler, sequence, first-token")
      }
      tops[index].input = input
    }
    binding.weights += own.weights
    binding.carried = own.carried
    binding.tops += tops
  }

  /// The classes that the family and its halves leave, in order of preference.
  private func classes(of binding: Binding) -> [HuggingFaceClass] {
    let hasDecoder = binding.weights.contains { $0.name.hasPrefix("decoder.") }
    let classes = all.first { $0.family == binding.family }?.classes ?? []
    return classes.filter { $0.hasDecoder == nil || $0.hasDecoder == hasDecoder }
  }

  private static func stated(_ configuration: JSON?) -> [String] {
    configuration?["architectures"]?.array?.compactMap(\.string) ?? []
  }

  /// A decoder that equals the token table is tied to it, unless the configuration says otherwise.
  private func settleDecoder(
    _ binding: inout Binding, of checkpoint: Checkpoint, _ configuration: JSON?
  ) throws(CheckpointError) {
    guard configuration?["tie_word_embeddings"]?.bool != false,
      let index = binding.weights.firstIndex(where: { $0.name == "lm.kernel" }),
      let table = binding.weights.first(where: { $0.name == "embeddings.token" }),
      let decoder = checkpoint.tensors.first(where: { binding.weights[index].sources == [$0.name] }
      ),
      decoder.shape == table.tensor.shape, decoder.dtype == table.tensor.dtype,
      try decoder.hasBytes(of: table.tensor)
    else { return }
    binding.weights.remove(at: index)
    binding.redundant.append(Leftover(decoder, "equals \(table.sources.joined())"))
  }
}
