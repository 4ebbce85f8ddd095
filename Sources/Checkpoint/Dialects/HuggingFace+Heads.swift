/// Layers of tasks, read.
extension HuggingFace {
  public func bindTops(
    _ binding: inout Binding, of checkpoint: Checkpoint, configuration: JSON?,
    said: [(name: String, value: String)]
  ) throws(CheckpointError) {
    try settleDecoder(&binding, of: checkpoint, configuration)
    let names = Set(binding.carried.flatMap(\.tensors).map(\.name))
    let classes = classes(of: binding)
    let fitting = classes.filter { $0.task?.kernels.allSatisfy(names.contains) ?? false }
    guard !fitting.isEmpty else {
      guard let first = said.first else { return }
      throw CheckpointError(
        .usage, Place(member: "--set head.\(first.name)"),
        "the file has no layer of that name on top of the model")
    }
    let stated = configuration?["architectures"]?.array?.compactMap(\.string) ?? []
    let type: HuggingFaceClass
    if let named = fitting.first(where: { $0.isNamed(in: stated) }) {
      type = named
    } else if let other = stated.first, said.isEmpty,
      !classes.contains(where: { $0.isNamed(in: stated) })
    {
      binding.warnings.append(
        "ckpt does not know what \(other) computes with \(fitting[0].layer): carried under its name"
          + "; --set head.\(fitting[0].layer)=pooler|sequence|first-token gives it a place")
      return
    } else {
      // A file that has a pooler has it for the layer above.
      let isPooled = binding.weights.contains { $0.name == "pooler.kernel" }
      type = fitting.first { isPooled || !$0.heads.contains(.pooler) } ?? fitting[0]
      if said.isEmpty, let own = type.task?.layers, own.count == 1, own[0].output == .labels {
        binding.warnings.append(
          "no configuration says what \(type.layer) is for; taken to be \(type.name)'s, on the "
            + "\(own[0].input.description): --set head.\(type.layer)=pooler|sequence|first-token "
            + "decides")
      }
    }
    guard let task = type.task else { return }
    let activation =
      configuration?["hidden_act"]?.string.flatMap { self.activation($0) } ?? .geluErf
    try bind(task, &binding, activation, said)
  }

  /// Takes a task's layers from what is carried.
  private func bind(
    _ task: HuggingFaceTask, _ binding: inout Binding, _ activation: Activation,
    _ said: [(name: String, value: String)]
  ) throws(CheckpointError) {
    let table = FlatTable(
      rows: task.rows(task.layers.map(\.name), storage), buffers: [], namespace: [])
    let own = try table.bind(
      binding.carried.flatMap(\.tensors), family: "a head")
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
