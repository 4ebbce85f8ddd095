public import Checkpoint

/// Gives every head's queries and keys more columns, with the same scores: `widen-key-size=N`.
///
/// Algebra: a head's scores are q·kᵀ/√d for keys of size d. New columns that are zero in the queries add
/// nothing, whatever the keys have there. As the result divides by √N, the query kernel and its bias
/// take the factor √(N/d): on one side, so that the keys keep their bits and each query weight is rounded
/// once (and not at all where N/d is a power of 4). T5 does not scale its scores and needs no factor.
///
/// Rotated queries and keys (RoFormer): pair j of d/2 turns by the frequency base^(−2j/d), which is that of
/// pair r·j where the size is r·d. So N must be r·d with a whole r, and pair j goes to pair r·j. In a gated
/// attention unit (GAU-α) queries and keys are made of one dense layer by a scale and an offset each; its
/// columns are spread alike, and the query's scale and offset take the factor.
///
/// NEZHA is refused: a row of its table of distances is added to keys and to values, so both have one size.
///
/// `fresh=half` (without an option): the new columns of the key kernel get noise of mean 0 and standard
/// deviation σ (0.02, as BERT's initializer), those of the query kernel are zero and learn from it; new
/// biases are zero. In a gated unit the shared columns and the key's scale get it. `fresh=zeros`: all are
/// zero. Then the gradient of each side, a multiple of the other's columns, is zero too, and training never
/// uses them: for results that are only run. In both the function is unchanged. The same seed gives the
/// same numbers on every machine.
///
/// Inverse: ``NarrowKeySize``, to rounding. Source: Net2Net's idea of growing with the function kept (arXiv
/// 1511.05641). bert4keras' `autoresize_weights` does otherwise: see `KeySizeCommandTests`.
public struct WidenKeySize: ModelTransform {
  /// What stands in new columns.
  enum Fresh: String, CaseIterable {
    case zeros, half
  }

  public init() {}

  public var name: String { "widen-key-size" }
  public var summary: String { "heads get wider queries and keys; the scores stay" }
  public var contract: Correspondence.Contract { .rounding }
  public var precondition: String {
    "not NEZHA; where queries and keys are rotated, N is a multiple of the size"
  }
  public var inverse: String { "narrow-key-size" }
  public var value: TransformValue { .required("N") }
  public var options: [TransformOption] {
    [
      TransformOption(
        "fresh", "zeros|half",
        "half: noise in the new columns of keys, zeros in those of queries, so that training can use "
          + "them (without the option); zeros: zeros in both, which training cannot leave"),
      .noise("the noise's standard deviation; 0.02 unless given"), .seed,
    ]
  }

  /// Columns of a head that can be meant.
  private static let widest = 1 << 16

  public func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    let architecture = model.architecture
    let c = architecture.configuration
    let (old, new) = (c.keySize, try arguments.count())
    guard architecture.structure.position != .relative else {
      throw refusal(
        "\(architecture.family) adds one table of distances to keys and to values, so its keys cannot "
          + "be wider than its values")
    }
    guard new != old else {
      throw arguments.wrong("is the size of queries and keys already; there is nothing to do")
    }
    guard new > old else {
      throw arguments.wrong(
        "is less than the size of queries and keys, \(old)",
        hint: "--apply narrow-key-size=\(new) makes them narrower")
    }
    guard new <= WidenKeySize.widest else {
      throw arguments.wrong("is more than \(WidenKeySize.widest) columns for each head")
    }
    if architecture.structure.isRotary, new % old != 0 {
      throw refusal(
        "\(architecture.family) rotates queries and keys, and only at a multiple of \(old) is there a "
          + "pair for each of their frequencies; \(new) is none",
        hint: "sizes that are: \(2 * old), \(3 * old), \(4 * old)")
    }
    let fresh = try arguments.choice("fresh", Fresh.self) ?? .half
    if fresh == .zeros,
      let option = ["noise", "seed"].first(where: arguments.options.keys.contains)
    {
      throw arguments.wrong("zeros have no \(option)")
    }
    let columns = HeadColumns(
      old: old, new: new, isRotary: architecture.structure.isRotary,
      noise: try arguments.noise(unlessGiven: fresh == .zeros ? 0 : 0.02))
    let factor = architecture.structure.scalesScores ? (Double(new) / Double(old)).squareRoot() : 1

    var result = model
    result.architecture.configuration.keySize = new
    var rewritten: Set<String> = []
    for attention in architecture.storedAttentions {
      let names =
        architecture.structure.gatedUnit
        ? try columns.widen(&result, gatedUnit: attention, units: c.intermediateSize, factor)
        : try columns.widen(&result, attention: attention, heads: c.heads, factor)
      rewritten.formUnion(names)
    }
    return ModelChange(
      result,
      Correspondence(
        contract: contract, removed: architecture.valuesOfKeySize, rewritten: rewritten))
  }
}

extension FamilyArchitecture {
  /// The values whose width is that of keys.
  var valuesOfKeySize: Set<String> {
    attentionValues(["query", "key"] + (structure.gatedUnit ? ["inner"] : []))
  }
}

/// Where columns of a head go, and what stands in the new ones.
private struct HeadColumns {
  let old: Int
  let new: Int
  let isRotary: Bool
  let noise: (deviation: Double, seed: Int)

  private var step: String { "key size \(old) to \(new)" }

  /// The old column that each of the new ones holds, for one head.
  private var sources: [Int?] {
    var sources = [Int?](repeating: nil, count: new)
    for column in 0..<old {
      // Columns 2j and 2j + 1 are the pair j.
      let target = isRotary ? column / 2 * 2 * (new / old) + column % 2 : column
      sources[target] = column
    }
    return sources
  }

  private func picks(heads: Int = 1, from first: Int = 0, _ factor: Double = 1) -> [Pick] {
    (0..<heads).flatMap { head in
      sources.map { Pick($0.map { first + head * old + $0 }, times: factor) }
    }
  }

  /// Kernels and biases of queries and keys; the names of those that there are.
  func widen(
    _ model: inout Model, attention: String, heads: Int, _ factor: Double
  ) throws(CheckpointError) -> [String] {
    let queries = picks(heads: heads, factor)
    let keys = picks(heads: heads)
    return try model.rewriteDense("\(attention).query") { $0.pickingColumns(queries, step) }
      + model.rewriteDense("\(attention).key") { filled($0.pickingColumns(keys, step), keys) }
  }

  /// The shared columns of the dense layer, and scales and offsets of queries and keys.
  func widen(
    _ model: inout Model, gatedUnit attention: String, units: Int, _ factor: Double
  ) throws(CheckpointError) -> [String] {
    let shared = (0..<(2 * units)).map { Pick($0) } + picks(from: 2 * units)
    let (queries, keys) = (picks(factor), picks())
    func scaleAndOffset(_ part: String) -> [String] {
      ["\(attention).\(part).gamma", "\(attention).\(part).beta"]
    }
    return try model.rewriteDense("\(attention).inner") {
      filled($0.pickingColumns(shared, step), shared)
    }
      + model.rewriteIfPresent(scaleAndOffset("query")) { $0.pickingColumns(queries, step) }
      + model.rewriteIfPresent(scaleAndOffset("key")) {
        filled($0.pickingColumns(keys, step), keys)
      }
  }

  /// Noise in the new columns of a kernel or scale; offsets begin at zero.
  private func filled(_ weight: Weight, _ picks: [Pick]) -> Weight {
    guard !weight.name.hasSuffix(".bias"), !weight.name.hasSuffix(".beta") else { return weight }
    return weight.addingNoise(noise, columns: picks.indices.filter { picks[$0].index == nil })
  }
}
