public import Checkpoint

/// Gives the feed-forward layers more units, which are copies: `widen-ffn=4096`.
///
/// Algebra: of I units, unit j of the N new ones is a copy of unit j mod I: its columns of the inner
/// kernel, of every further factor and of their biases. A unit that stands m times then gives its share
/// m times, so each of its rows of the output kernel is divided by m: Σ (h/m) = h. In a gated attention
/// unit a unit is a column of the gate u and one of the values v, whose rows of the output follow the
/// same rule; queries and keys stay. Equal copies get equal gradients and stay equal unless dropout
/// tells them apart; `noise=σ` adds to each copy's columns of the kernels numbers of mean 0 and
/// standard deviation σ (the first of the copies stays), which makes the step lossy. The same seed gives
/// the same numbers on every machine. Source: Net2WiderNet (arXiv 1511.05641), where the units that are
/// copied are drawn at random. There is no inverse.
public struct WidenFeedForward: ModelTransform {
  public init() {}

  public var name: String { "widen-ffn" }
  public var summary: String {
    "feed-forward layers get more units, copies that share their output"
  }
  public var contract: Correspondence.Contract { .rounding }
  public var value: TransformValue { .required("N") }
  public var options: [TransformOption] {
    [
      .noise("adds noise of this standard deviation to the copies, so that they learn apart"),
      .seed,
    ]
  }

  public func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    let architecture = model.architecture
    let c = architecture.configuration
    let (old, new) = (c.intermediateSize, try arguments.count())
    guard new > old else {
      throw arguments.wrong(
        new == old
          ? "is the width already" : "is less than the width of \(old); units are only added")
    }
    guard new <= 1 << 24 else { throw arguments.wrong("is more than 16777216 units") }
    let noise = try arguments.noise()
    let units = (0..<new).map { $0 % old }
    let columns = units.map { Pick($0) }
    let rows = units.map { Pick($0, times: 1 / Double((new - $0 - 1) / old + 1)) }
    let step = "widened to \(new) units"
    var result = model
    var rewritten: Set<String> = []
    for block in architecture.storedBlocks {
      let isUnit = architecture.structure.gatedUnit
      let part = isUnit ? "\(block).attention" : "\(block).feed_forward"
      // Gate and values lie side by side, and behind them what queries and keys are made of.
      let picks =
        isUnit
        ? columns + units.map { Pick(old + $0) } + (0..<c.keySize).map { Pick(2 * old + $0) }
        : columns
      let copies = (isUnit ? [old..<new, (new + old)..<(2 * new)] : [old..<new]).joined()
      for factor in ["inner"] + (isUnit ? [] : c.gateNames) {
        rewritten.formUnion(
          try result.rewriteDense("\(part).\(factor)") { weight in
            let wide = weight.pickingColumns(picks, step)
            return weight.name.hasSuffix(".bias") ? wide : wide.addingNoise(noise, columns: copies)
          })
      }
      try result.rewrite(["\(part).output.kernel"]) { $0.pickingRows(rows, step) }
      rewritten.insert("\(part).output.kernel")
    }
    result.architecture.configuration.intermediateSize = new
    let removed = architecture.appliedBlocks.flatMap { block in
      architecture.structure.gatedUnit
        ? ["\(block).attention.inner", "\(block).attention.context"]
        : ["\(block).feed_forward.inner"]
    }
    let inner = rewritten.filter { !$0.hasSuffix(".bias") && !$0.hasSuffix(".output.kernel") }
    return ModelChange(
      result,
      Correspondence(
        contract: noise.deviation > 0 ? .lossy : contract, removed: Set(removed),
        rewritten: rewritten,
        claims: noise.deviation > 0 ? [.disturbed(inner, noise.deviation)] : []))
  }
}
