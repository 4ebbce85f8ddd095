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
    try check(architecture, before, after)
    var (widensKeys, widensValues) = (!before.isIdentity, !after.isIdentity)
    if architecture.structure.position == .relative, widensKeys || widensValues {
      // One table serves keys and values, so both grow.
      (widensKeys, widensValues) = (true, true)
    }

    var result = model
    let parts = [".pre_softmax.", ".post_softmax."]
    result.weights.removeAll { weight in parts.contains { weight.name.contains($0) } }
    result.architecture.configuration.talkingHeads = false
    result.architecture.configuration.talkingHeadsBias = false
    var relation = Correspondence(
      contract: widensKeys || widensValues ? .rounding : .exact,
      removed: architecture.attentionValues(["post_softmax"]))
    if widensKeys {
      relation.rewritten.formUnion(try widenKeys(&result, before))
      relation.removed.formUnion(architecture.attentionValues(["query", "key", "scores"]))
    }
    if widensValues {
      relation.rewritten.formUnion(try widenValues(&result, after))
      relation.removed.formUnion(architecture.attentionValues(["value", "context"]))
    }
    if widensKeys, before.biased == nil {
      // The new heads' products are what was mixed before.
      for attention in architecture.appliedAttentions {
        relation.renamed["\(attention).pre_softmax"] = "\(attention).scores"
      }
    } else {
      relation.removed.formUnion(architecture.attentionValues(["pre_softmax"]))
    }
    let findings = architecture.storedAttentions.flatMap { attention in
      [before, after].map {
        Finding(
          name, attention, "\($0.part)'s largest difference from the identity",
          $0.differences[attention] ?? 0)
      }
    }
    return ModelChange(result, relation, findings: findings)
  }

  /// - Returns: the names of what has other values.
  private func widenKeys(
    _ model: inout Model, _ before: Projections
  ) throws(CheckpointError) -> Set<String> {
    let (structure, heads) = (model.architecture.structure, before.heads)
    let size = model.architecture.configuration.keySize
    let scale = structure.scalesScores ? Double(heads).squareRoot() : 1
    let plain = copies(of: size, times: Projections.ones(heads))
    var rewritten: Set<String> = []
    for attention in model.architecture.storedAttentions {
      let mixed = copies(of: size, times: before.byOutput(of: attention, times: scale))
      rewritten.formUnion(
        try model.rewriteDense("\(attention).query") {
          $0.pickingColumns(mixed, "heads side by side, times pre_softmax")
        })
      rewritten.formUnion(
        try model.rewriteDense("\(attention).key") {
          $0.pickingColumns(plain, "heads side by side")
        })
    }
    if structure.position == .relative {
      let table = "embeddings.relative_position"
      let repeated = copies(of: size, times: Array(repeating: [1], count: heads))
      try model.rewrite([table]) { $0.pickingColumns(repeated, "heads side by side") }
      rewritten.insert(table)
    }
    rewritten.formUnion(
      try model.mixDistances(before.kernels, heads: heads, "times pre_softmax", for: self))
    model.architecture.configuration.keySize *= heads
    return rewritten
  }

  /// - Returns: the names of what has other values.
  private func widenValues(
    _ model: inout Model, _ after: Projections
  ) throws(CheckpointError) -> Set<String> {
    let size = model.architecture.configuration.headSize
    let plain = copies(of: size, times: Projections.ones(after.heads))
    var rewritten: Set<String> = []
    for attention in model.architecture.storedAttentions {
      rewritten.formUnion(
        try model.rewriteDense("\(attention).value") {
          $0.pickingColumns(plain, "heads side by side")
        })
      let mixed = copies(of: size, times: after.byInput(of: attention))
      let output = "\(attention).output.kernel"
      try model.rewrite([output]) {
        $0.pickingRows(mixed, "heads one below the other, times post_softmax")
      }
      rewritten.insert(output)
    }
    model.architecture.configuration.headSize *= after.heads
    return rewritten
  }

  /// All heads of `size` numbers one after the other, once for each copy.
  ///
  /// - Parameter factors: `factors[copy][head]`.
  private func copies(of size: Int, times factors: [[Double]]) -> [Pick] {
    factors.flatMap { factors in
      factors.enumerated().flatMap { head, factor in
        (0..<size).map { Pick(head * size + $0, times: factor) }
      }
    }
  }

  private func check(
    _ architecture: FamilyArchitecture, _ before: Projections, _ after: Projections
  ) throws(CheckpointError) {
    let (c, structure) = (architecture.configuration, architecture.structure)
    if let bias = after.biased {
      throw refusal(
        "its bias adds to the weight of every position, masked ones too, which plain attention "
          + "cannot", at: "\(bias).post_softmax.bias")
    }
    if let bias = before.biased, c.normalization == .squaredRelu {
      throw refusal(
        "the weights are no softmax, so that a bias before them counts",
        at: "\(bias).pre_softmax.bias")
    }
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
  /// The largest magnitude of an element of kernel − identity.
  private(set) var differences: [String: Double] = [:]
  /// The first attention whose kernel is not the identity.
  private(set) var mixed: String?
  /// The first attention that has a bias other than zero.
  private(set) var biased: String?

  var isIdentity: Bool { mixed == nil }

  init(_ part: String, of model: Model) throws(CheckpointError) {
    (self.part, heads) = (part, model.architecture.configuration.heads)
    for attention in model.architecture.storedAttentions {
      let kernel = try model.weight("\(attention).\(part).kernel").tensor.doubles()
      var largest = 0.0
      for (index, value) in kernel.enumerated() {
        let difference = abs(value - (index / heads == index % heads ? 1 : 0))
        // What is not a number is a difference too.
        largest = difference <= largest ? largest : difference
      }
      (kernels[attention], differences[attention]) = (kernel, largest)
      if largest != 0, mixed == nil { mixed = attention }
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

  /// For each head before the projection its factor in every head behind it.
  func byInput(of attention: String) -> [[Double]] {
    let kernel = kernels[attention] ?? []
    return (0..<heads).map { from in (0..<heads).map { kernel[from * heads + $0] } }
  }

  static func ones(_ heads: Int) -> [[Double]] {
    Array(repeating: Array(repeating: 1, count: heads), count: heads)
  }
}
