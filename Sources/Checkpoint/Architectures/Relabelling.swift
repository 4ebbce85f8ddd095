extension Model {
  /// The same weights as another family that computes the same function with them.
  ///
  /// Families of one ``Structure`` do: an untied ALBERT, a BERT with factorized embeddings and an
  /// ELECTRA are one encoder. What a family has no place for (heads, segments) must be gone before.
  ///
  /// - Throws: ``CheckpointError`` when the families do not compute the same.
  public func relabelled(as name: String) throws(CheckpointError) -> Model {
    let family = try ArchitectureRegistry.named(name)
    guard family.name != architecture.family else { return self }
    return try ungrouped.relabelled(as: family)
  }

  private func relabelled(as family: any Family) throws(CheckpointError) -> Model {
    let own = try ArchitectureRegistry.named(architecture.family)
    try Relabelling.check(architecture, own, family)
    let renamed = Relabelling.heads(architecture.heads, as: family)
    var result = self
    result.architecture.family = family.name
    result.architecture.heads = Set(architecture.heads.map { renamed[$0] ?? $0 })
    if architecture.heads.contains(.mlm), own.structure.maskedHead == .transform {
      // What a framework fixes for a family is stated, so that it is not another's.
      let c = architecture.configuration
      result.architecture.configuration.headActivation = c.headActivation ?? c.activation
    }
    result.weights = weights.map { weight in
      for (old, new) in renamed where weight.name.hasPrefix(old.rawValue + ".") {
        return weight.renamed(new.rawValue + weight.name.dropFirst(old.rawValue.count))
      }
      return weight
    }
    return try result.checked()
  }

  /// The same model where each shared block is applied just once: nothing is shared then, as in an untied
  /// ALBERT of transformers, which has as many groups as layers.
  public var ungrouped: Model {
    let c = architecture.configuration
    return c.blocks.count == c.depth ? untied : self
  }

  /// The same function with a copy of its block for every applied layer: `layers.{i}` for `groups.{g}.{j}`.
  public var untied: Model {
    let c = architecture.configuration
    guard c.groups != nil else { return self }
    var result = self
    result.architecture.configuration.groups = nil
    result.architecture.configuration.innerGroups = 1
    result.architecture.configuration.layers = c.depth
    let operation = c.blocks.count == c.depth ? "" : "copied"
    let copies = (0..<c.depth).flatMap { depth in
      let block = c.block(at: depth)
      return weights.filter { $0.name.hasPrefix(block + ".") }.map {
        $0.renamed("layers.\(depth)" + $0.name.dropFirst(block.count), operation: operation)
      }
    }
    // All of them at the place of the first shared weight, which is the architecture's order.
    let place = weights.firstIndex { $0.name.hasPrefix("groups.") } ?? weights.count
    result.weights.removeAll { $0.name.hasPrefix("groups.") }
    result.weights.insert(contentsOf: copies, at: place)
    return result
  }
}

/// Which families compute the same with the same weights, and why others do not.
enum Relabelling {
  /// Heads that are one function under two names.
  private static let sequenceHeads: [Head] = [.nsp, .sop]

  /// A head's name in the other family, for those that change it.
  static func heads(_ heads: Set<Head>, as family: any Family) -> [Head: Head] {
    var renamed: [Head: Head] = [:]
    for head in sequenceHeads where heads.contains(head) && !family.possibleHeads.contains(head) {
      renamed[head] = sequenceHeads.first(where: family.possibleHeads.contains)
    }
    return renamed
  }

  static func check(
    _ architecture: FamilyArchitecture, _ own: any Family, _ family: any Family
  ) throws(CheckpointError) {
    let c = architecture.configuration
    func refuse(_ reason: String, _ hint: String? = nil) -> CheckpointError {
      CheckpointError(.unsupported, Place(), reason, hint: hint)
    }
    guard own.structure == family.structure else {
      throw refuse(
        "\(own.name) and \(family.name) do not compute the same function"
          + (difference(own.structure, family.structure).map { ": \($0)" } ?? ""))
    }
    if c.factor || family.name == "albert_zh" {
      throw refuse(
        "albert_zh has a factored token table, which "
          + "\(c.factor ? family.name : own.name) has not",
        c.factor ? "use --apply fold-embedding" : nil)
    }
    if c.groups != nil, family.name != "albert" {
      throw refuse(
        "\(family.name) has its own weights in every layer; these are shared",
        "use --apply untie")
    }
    if family.name == "distilbert", c.segments > 0 {
      throw refuse("DistilBERT has no segments; this model has \(c.segments)")
    }
    let renamed = heads(architecture.heads, as: family)
    let homeless = architecture.heads.sorted().filter {
      !family.possibleHeads.contains(renamed[$0] ?? $0)
    }
    if !homeless.isEmpty {
      throw CheckpointError(
        .wouldDrop, Place(),
        "\(family.name) has no \(homeless.map(\.rawValue).joined(separator: ", "))",
        hint: "to go on without: "
          + homeless.map { "--allow-drop '\($0.rawValue).*'" }.joined(separator: " "))
    }
  }

  /// The first thing in which two structures differ, for people.
  private static func difference(_ a: Structure, _ b: Structure) -> String? {
    if a.encoderDecoder != b.encoderDecoder { return "one has a decoder beside its encoder" }
    if a.gatedUnit != b.gatedUnit { return "one has gated attention units" }
    if a.position != b.position {
      return
        "positions enter by \(a.position.meaning) in one and by \(b.position.meaning) in the other"
    }
    if a.sharesDistances != b.sharesDistances {
      return "layers share a table of distances in one and have their own in the other"
    }
    if a.placement != b.placement { return "their norms stand at other places" }
    if a.norm != b.norm { return "their norms compute otherwise" }
    if a.embeddingNorm != b.embeddingNorm { return "only one has a norm behind the embeddings" }
    return nil
  }
}

extension Structure.Position {
  /// For people.
  fileprivate var meaning: String {
    switch self {
    case .none: "nothing"
    case .absolute: "a table"
    case .absoluteAfterPadding: "a table counted from behind the padding id"
    case .relative: "a table of distances"
    case .rotary: "rotation"
    case .buckets: "biases by distance"
    }
  }
}
