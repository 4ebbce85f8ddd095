/// The class that holds a model best, and what it misses or does not expect.
struct HuggingFaceFit: Sendable {
  let type: HuggingFaceClass
  let table: FlatTable
  var missing: [String]
  var unexpected: [String]

  var alternative: Int { type.isPrefixed ? 0 : 1 }
}

extension HuggingFace {
  public func spell(_ model: Model) throws(CheckpointError) -> Spelling {
    let architecture = model.architecture
    let spelling = try spelling(of: architecture.family)
    try HuggingFaceLimits(architecture: architecture, spelling: spelling).check()
    let fit = try fit(model, spelling)
    var spelled = SpelledTensors()
    let written = try fit.table.spell(
      model.weights + identityProjection(architecture, model), alternative: fit.alternative,
      framework: "transformers' \(architecture.family)")
    for var row in written {
      row.tensor.aliases = spelling.ties.filter {
        row.canonical == [$0.canonical] && $0.isThere(fit.type, architecture.configuration)
      }.map { $0.name(in: fit.type) }
      spelled.add(row)
    }
    if architecture.family == "roformer" {
      let table = sinusoidTable(architecture.configuration, fit).cast(to: precision(model))
      spelled.add(table, from: [], "made: sinusoids")
    }
    spelled.carry(model.carried)
    return Spelling(
      checkpoint: Checkpoint(
        format: format, groups: spelled.groups,
        attributes: [Attribute("format", text: "pt")]),
      configuration: try json(model, fit, spelling), rows: spelled.rows,
      loadsAs: "\(fit.type.name).from_pretrained(folder)", missing: fit.missing,
      unexpected: fit.unexpected + spelled.carried, remarks: try remarks(model, fit))
  }

  // MARK: Classes

  /// Of the classes that hold the layers on top: the one that leaves out no head (the pooler counts
  /// least), then the one that misses least, then the one that the source names, then the first.
  private func fit(
    _ model: Model, _ spelling: HuggingFaceFamily
  ) throws(CheckpointError) -> HuggingFaceFit {
    let architecture = model.architecture
    let c = architecture.configuration
    let family = try ArchitectureRegistry.named(architecture.family)
    let candidates = spelling.classes.filter { type in
      (type.hasDecoder == nil || type.hasDecoder == c.hasDecoder)
        && type.task?.fits(architecture.tops, c) ?? architecture.tops.isEmpty
    }
    guard !candidates.isEmpty else { throw HuggingFace.misfit(architecture, spelling) }
    let stated = model.configuration?["architectures"]?.array?.compactMap(\.string) ?? []
    var best: (fit: HuggingFaceFit, rank: [Int])?
    for (order, type) in candidates.enumerated() {
      let table = spelling.table(
        c, tops: type.task?.rows(architecture.tops.map(\.name), storage) ?? [])
      var ideal = architecture
      ideal.heads = type.heads
      func names(_ weights: [String]) throws(CheckpointError) -> [String] {
        var names: [String] = []
        for weight in weights {
          guard let name = table.name(of: weight, alternative: type.isPrefixed ? 0 : 1) else {
            let part = weight.split(separator: ".").first.map(String.init) ?? weight
            throw CheckpointError(
              .wouldDrop, .tensor(weight),
              "has no place in any class of transformers' "
                + architecture.family, hint: "to go on without: --allow-drop '\(part).*'")
          }
          if !names.contains(name) { names.append(name) }
        }
        return names
      }
      let expected = try names(family.weights(ideal).map(\.name))
      let there = try names(model.weights.map(\.name))
      let pooler = try names(
        model.weights.map(\.name).filter { $0.hasPrefix("pooler.") })
      var missing = expected.filter { !there.contains($0) }
      // What is tied to a missing tensor is missing too.
      for tie in spelling.ties where tie.isThere(type, c) {
        let original = table.name(of: tie.canonical, alternative: type.isPrefixed ? 0 : 1)
        if let original, missing.contains(original) { missing.append(tie.name(in: type)) }
      }
      let fit = HuggingFaceFit(
        type: type, table: table, missing: missing,
        unexpected: there.filter { !expected.contains($0) })
      let rank = [
        fit.unexpected.filter { !pooler.contains($0) }.count, fit.missing.count,
        fit.unexpected.count, type.isCausal.map { $0 == (c.mask == .causal) } ?? true ? 0 : 1,
        type.isNamed(in: stated) ? 0 : 1, order,
      ]
      if let best, !rank.lexicographicallyPrecedes(best.rank) { continue }
      best = (fit, rank)
    }
    guard let best else { throw HuggingFace.misfit(architecture, spelling) }
    return best.fit
  }

  /// No class has these layers on top.
  private static func misfit(
    _ architecture: FamilyArchitecture, _ spelling: HuggingFaceFamily
  ) -> CheckpointError {
    guard let last = architecture.tops.last else {
      return CheckpointError(
        .unsupported, Place(), "transformers has no class for such a \(architecture.family)")
    }
    return CheckpointError(
      .wouldDrop, .tensor("head.\(last.name)"),
      "transformers has no \(architecture.family) class with "
        + architecture.tops.map { "\($0.name) (\($0.meaning))" }.joined(separator: " and "),
      hint: "to go on without: --allow-drop 'head.\(last.name).*'")
  }

  // MARK: Made weights

  /// The precision of weights that are made.
  private func precision(_ model: Model) -> DType {
    model.weights.map(\.tensor.dtype).first(where: \.isFloat) ?? .f32
  }

  /// ALBERT's class always has the projection; where sizes are equal the identity is stated.
  private func identityProjection(
    _ architecture: FamilyArchitecture, _ model: Model
  ) -> [Weight] {
    let c = architecture.configuration
    guard architecture.family == "albert", !c.projection else { return [] }
    let width = c.hiddenSize
    let dtype = precision(model)
    let identity = (0..<(width * width)).map { Float($0 / width == $0 % width ? 1 : 0) }
    func constant(_ name: String, _ shape: Shape, _ values: [Float]) -> Weight {
      Weight(
        name, Tensor(name: name, shape: shape, values: values).cast(to: dtype), sources: [],
        operation: "made: identity")
    }
    return [
      constant("embeddings.projection.kernel", [width, width], identity),
      constant("embeddings.projection.bias", [width], [Float](repeating: 0, count: width)),
    ]
  }

  private func sinusoidTable(_ c: Configuration, _ fit: HuggingFaceFit) -> Tensor {
    HuggingFace.sinusoidTable(
      rows: HuggingFace.sinusoidRows(c), width: c.keySize,
      named: (fit.type.isPrefixed ? "roformer." : "") + HuggingFace.sinusoids)
  }

  // MARK: Remarks

  private func remarks(
    _ model: Model, _ fit: HuggingFaceFit
  ) throws(CheckpointError) -> [String] {
    let architecture = model.architecture
    let c = architecture.configuration
    let family = architecture.family
    var remarks = try Epsilons.remarks(
      c, computed(architecture), architecture.heads,
      "transformers (\(family == "distilbert" ? "1e-12 in every norm" : "one layer_norm_eps"))")
    if c.mask == .causal, family == "albert" || family == "distilbert" {
      remarks.append("transformers' \(family) has no causal mask; give it as a 4-D mask")
    }
    if c.mask == .unilm { remarks.append("transformers has no UniLM mask; give it as a 4-D mask") }
    if c.padding == .tokenZero {
      remarks.append("pass attention_mask: transformers does not take token id 0 for padding")
    }
    if family.hasSuffix("t5"), architecture.heads.contains(.lm), c.tiesDecoder, !c.scalesDecoder {
      remarks.append("transformers 4 scales the states of a tied decoder; 5 computes as here")
    }
    for group in model.carried {
      guard let flag = model.flags[group.name] else { continue }
      remarks.append("no class reads \(group.name), whose place is unknown; \(flag) gives it one")
    }
    if let task = fit.type.task {
      for (layer, top) in zip(task.layers, architecture.tops)
      where layer.name != top.name || top.kind == .dense(.softmax) {
        remarks.append(
          "\(top.name) becomes \(fit.type.name)'s \(layer.stored)"
            + (top.kind == .dense(.softmax) ? "; the class returns logits, before softmax" : ""))
      }
    }
    return remarks
  }
}
