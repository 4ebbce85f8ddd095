public import Checkpoint

/// Absorbs the projections between heads into plain attention with wider heads.
///
/// Algebra, for A heads of keys of k and values of d numbers, with S′_e = Σ_b S_b · P[b, e] before the
/// softmax and W′_h = Σ_g W_g · Q[g, h] behind it:
///
/// - S′_e = Σ_b P[b, e] · (q_b · k_b) is one product of heads of A·k numbers: head e's query is the
///   queries of all heads side by side, b's times P[b, e], and every head's key is the keys of all.
///   Where scores are divided by √k, now by √(A·k), queries take the factor √A.
/// - Σ_h (Σ_g Q[g, h] · W_g · v_h) · O_h = Σ_g W_g · Σ_h v_h · Q[g, h] · O_h: every head's value is
///   the values of all heads, and its rows of the output kernel are those of all, h's times Q[g, h].
/// - T5's table of distances B becomes B · P, and NEZHA's is repeated A times. Where layers that share
///   a table have another P, each gets its own, as UMT5 has it.
/// - A bias before the softmax is the same for all positions that a row sees, which a softmax ignores.
///   Behind it, it would weigh every position, masked ones too, which plain attention cannot.
///
/// A projection that is the identity in all layers is left out, which costs nothing; where both are,
/// this undoes ``TalkingHeads`` to the bit. Otherwise the kernels of its side grow A-fold. There is no
/// inverse then: narrower heads hold the result only if their products have a low rank.
/// Source: arXiv 2003.02436 (section 2), whose projections this expands.
public struct FlattenTalkingHeads: ModelTransform {
  public init() {}

  public var name: String { "flatten-talking-heads" }
  public var summary: String { "projections between heads go into plain attention of wider heads" }
  public var contract: Correspondence.Contract { .rounding }
  public var precondition: String {
    "talking heads without a bias behind the softmax; rotated or accumulated scores only where the "
      + "projection before it is the identity"
  }
  public var inverse: String { "talking-heads, where the projections are the identity" }

  public func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    let architecture = model.architecture
    guard architecture.configuration.talkingHeads else {
      throw refusal("this \(architecture.family) has no projections between heads")
    }
    let before = try Projections("pre_softmax", of: model)
    let after = try Projections("post_softmax", of: model)
    if let bias = after.biased {
      throw refusal(
        "its bias adds to the weight of every position, masked ones too, which plain attention "
          + "cannot", at: "\(bias).post_softmax.bias")
    }
    if let bias = before.biased, architecture.configuration.normalization == .squaredRelu {
      throw refusal(
        "the weights are no softmax, so that a bias before them counts",
        at: "\(bias).pre_softmax.bias")
    }
    var (widensKeys, widensValues) = (!before.isIdentity, !after.isIdentity)
    try check(architecture, before, after)
    if architecture.structure.position == .relative, widensKeys || widensValues {
      // One table serves keys and values, so both grow.
      (widensKeys, widensValues) = (true, true)
    }

    var result = model
    var relation = Correspondence(contract: widensKeys || widensValues ? .rounding : .exact)
    let heads = architecture.configuration.heads
    let parts = [".pre_softmax.", ".post_softmax."]
    result.weights.removeAll { weight in parts.contains { weight.name.contains($0) } }
    result.architecture.configuration.talkingHeads = false
    result.architecture.configuration.talkingHeadsBias = false
    func names(_ part: String, _ attention: String) -> [String] {
      ["\(attention).\(part).kernel", "\(attention).\(part).bias"]
    }
    if widensKeys {
      let scale = architecture.structure.scalesScores ? Double(heads).squareRoot() : 1
      for attention in architecture.storedAttentions {
        let factors = before.byOutput(of: attention, times: scale)
        try result.rewriteIfPresent(names("query", attention)) {
          $0.repeatingColumns(times: factors, "heads side by side, times pre_softmax")
        }
        try result.rewriteIfPresent(names("key", attention)) {
          $0.repeatingColumns(times: Projections.ones(heads), "heads side by side")
        }
        relation.rewritten.formUnion(names("query", attention) + names("key", attention))
      }
      result.architecture.configuration.keySize *= heads
      relation.rewritten.formUnion(
        try result.mixDistances(before.kernels, heads: heads, "times pre_softmax", for: self))
    }
    if widensValues {
      for attention in architecture.storedAttentions {
        let kernel = after.kernels[attention] ?? []
        try result.rewriteIfPresent(names("value", attention)) {
          $0.repeatingColumns(times: Projections.ones(heads), "heads side by side")
        }
        try result.rewrite(["\(attention).output.kernel"]) {
          $0.repeatingRows(
            of: heads, times: kernel, "heads one below the other, times post_softmax")
        }
        relation.rewritten.formUnion(names("value", attention) + ["\(attention).output.kernel"])
      }
      result.architecture.configuration.headSize *= heads
    }
    if architecture.structure.position == .relative, widensKeys {
      let name = "embeddings.relative_position"
      try result.rewrite([name]) {
        $0.repeatingColumns(times: Projections.ones(heads), "heads side by side")
      }
      relation.rewritten.insert(name)
    }
    for attention in architecture.appliedAttentions {
      relation.removed.insert("\(attention).post_softmax")
      if widensValues {
        relation.removed.formUnion(["\(attention).value", "\(attention).context"])
      }
      guard widensKeys else {
        relation.removed.insert("\(attention).pre_softmax")
        continue
      }
      relation.removed.formUnion(["query", "key", "scores"].map { "\(attention).\($0)" })
      if before.biased == nil {
        // The new heads' products are what was mixed before.
        relation.renamed["\(attention).pre_softmax"] = "\(attention).scores"
      } else {
        relation.removed.insert("\(attention).pre_softmax")
      }
    }
    let findings = architecture.storedAttentions.flatMap { attention in
      [before, after].map {
        Finding(
          name, attention, "\($0.part)'s distance from the identity", $0.distances[attention] ?? 0)
      }
    }
    return ModelChange(result, relation, findings: findings)
  }

  private func check(
    _ architecture: FamilyArchitecture, _ before: Projections, _ after: Projections
  ) throws(CheckpointError) {
    let (c, structure) = (architecture.configuration, architecture.structure)
    if let place = before.mixed, structure.isRotary {
      throw refusal(
        "queries and keys are rotated by a frequency that each head has once; a wider head has it "
          + "once too, and mixed heads would need it \(c.heads) times",
        at: "\(place).pre_softmax.kernel")
    }
    if let place = before.mixed, c.residualScores {
      throw refusal(
        "each layer's scores are added to the next one's before heads are mixed, and wider heads have "
          + "only the mixed ones", at: "\(place).pre_softmax.kernel")
    }
    if let place = after.mixed, c.rotatesValues {
      throw refusal(
        "values are rotated by a frequency that each head has once; a wider head has other ones",
        at: "\(place).post_softmax.kernel")
    }
  }
}

/// The projections of all attentions on one side of the softmax.
private struct Projections {
  let part: String
  let heads: Int
  /// `[from, to]` in C order, by attention.
  private(set) var kernels: [String: [Double]] = [:]
  /// The largest element of kernel − identity.
  private(set) var distances: [String: Double] = [:]
  /// The first attention whose kernel is not the identity.
  private(set) var mixed: String?
  /// The first attention that has a bias other than zero.
  private(set) var biased: String?

  var isIdentity: Bool { mixed == nil }

  init(_ part: String, of model: Model) throws(CheckpointError) {
    (self.part, heads) = (part, model.architecture.configuration.heads)
    for attention in model.architecture.storedAttentions {
      guard let tensor = model["\(attention).\(part).kernel"]?.tensor else {
        throw CheckpointError(.mismatch, .tensor("\(attention).\(part).kernel"), "is missing")
      }
      let kernel = try tensor.doubles()
      var distance = 0.0
      for (index, value) in kernel.enumerated() {
        let apart = abs(value - (index / heads == index % heads ? 1 : 0))
        distance = apart <= distance ? distance : apart
      }
      (kernels[attention], distances[attention]) = (kernel, distance)
      if distance != 0, mixed == nil { mixed = attention }
      if biased == nil, let bias = try model["\(attention).\(part).bias"]?.tensor.doubles(),
        !bias.allSatisfy({ $0 == 0 })
      {
        biased = attention
      }
    }
  }

  /// For each head behind the projection the factor of every head before it.
  func byOutput(of attention: String, times scale: Double) -> [[Double]] {
    let kernel = kernels[attention] ?? []
    return (0..<heads).map { to in (0..<heads).map { kernel[$0 * heads + to] * scale } }
  }

  static func ones(_ heads: Int) -> [[Double]] {
    Array(repeating: Array(repeating: 1, count: heads), count: heads)
  }
}

extension Model {
  /// Multiplies the tables of distances of T5 by a matrix for each attention that uses them.
  ///
  /// Where attentions of one table have different matrices, each gets a table of its own and the model
  /// becomes a UMT5.
  ///
  /// - Parameters:
  ///   - matrices: `[heads before, heads after]` in C order, by attention.
  ///   - heads: the number of heads after it.
  /// - Returns: the names of the tables that have other values now.
  mutating func mixDistances(
    _ matrices: [String: [Double]], heads: Int, _ step: String, for transform: any Transform
  ) throws(CheckpointError) -> Set<String> {
    let (c, structure) = (architecture.configuration, architecture.structure)
    guard structure.position == .buckets else { return [] }
    let own = architecture.storedAttentions.filter { !$0.hasSuffix(".cross_attention") }
    let stacks = ["encoder.", "decoder."].map { prefix in
      (
        table: "\(prefix)relative_position",
        users: architecture.storedAttentions.filter { attention in
          attention.hasPrefix(prefix) && (own.contains(attention) || c.crossPositionBias)
        }
      )
    }.filter { !$0.users.isEmpty }
    if structure.sharesDistances,
      let uneven = stacks.first(where: { Set($0.users.map { matrices[$0] }).count > 1 })
    {
      guard !c.crossPositionBias else {
        throw transform.refusal(
          "its attentions share it, and each would need another; only layers without a bias in "
            + "cross-attention can have tables of their own (UMT5)", at: uneven.table,
          hint: "to leave the bias out of cross-attention, another function: "
            + "--set cross_position_bias=false")
      }
      for (table, users) in stacks {
        guard let shared = self[table] else {
          throw CheckpointError(.mismatch, .tensor(table), "is missing")
        }
        weights.removeAll { $0.name == table }
        weights += users.map { shared.renamed("\($0).relative_position", operation: "copied") }
      }
      architecture.family = "umt5"
    }
    let isShared = architecture.structure.sharesDistances
    var changed: Set<String> = []
    for (table, users) in stacks {
      for user in isShared ? Array(users.prefix(1)) : users {
        let name = isShared ? table : "\(user).relative_position"
        let matrix = matrices[user] ?? []
        try rewrite([name]) { $0.multiplyingParts([matrix], columns: heads, step) }
        changed.insert(name)
      }
    }
    return changed
  }
}
