public import Checkpoint

/// Lets layers share weights, as ALBERT's do (arXiv 1909.11942): `tie` or `tie=G` for G groups.
///
/// Algebra: of L layers, layer i belongs to group ⌊i·G/L⌋, as ALBERT counts; G is any number below L.
/// With `inner=J` a group has J layers that are applied in turn: of the L/J rounds, round r belongs to
/// group ⌊r·G·J/L⌋, and layer j of each of its rounds becomes the group's layer j. A shared weight is
/// the mean of its layers', computed in Float64 and rounded once; where all are equal to the bit the
/// tensor is kept, and if that holds throughout, the function is the same, else it is another. How far
/// apart the layers were is told: for each layer ‖W − mean‖ / ‖mean‖ over all its weights and of the
/// weight where it is largest, and the largest difference of an element.
///
/// Only ALBERT has shared layers: a family that computes the same (BERT, DistilBERT, ELECTRA) becomes
/// an ALBERT, others are refused. Inverse: ``Untie``, which gives every layer the shared weights; after
/// `untie`, `tie` gives the model back that it was.
public struct Tie: ModelTransform {
  public init() {}

  public var name: String { "tie" }
  public var summary: String {
    "layers share weights as ALBERT's do: their mean; exact where they are equal"
  }
  public var contract: Correspondence.Contract { .lossy }
  public var precondition: String {
    "every layer has its own weights; ALBERT, or what computes the same and becomes one: BERT, "
      + "DistilBERT, ELECTRA without its discriminator's head"
  }
  public var inverse: String { "untie" }
  public var value: TransformValue { .optional("G") }
  public var options: [TransformOption] {
    [TransformOption("inner", "J", "layers of a group, applied in turn; 1 unless given")]
  }

  public func apply(
    to source: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    let groups = arguments.value == nil ? 1 : try arguments.count()
    let inner = try arguments.count("inner") ?? 1
    let model = try shareable(source)
    let before = model.architecture.configuration
    guard before.layers.isMultiple(of: inner) else {
      throw arguments.wrong("inner=\(inner) does not divide \(before.layers) layers")
    }
    var after = before
    (after.layers, after.groups, after.innerGroups) = (before.layers / inner, groups, inner)
    guard groups < after.layers else {
      throw arguments.wrong(
        "\(groups) group\(groups == 1 ? "" : "s") of \(inner) would share nothing: the model has "
          + "\(before.layers) layer\(before.layers == 1 ? "" : "s")")
    }
    let groupedLayers = after.blocks.map { block in
      (0..<before.layers).filter { after.block(at: $0) == block }.map { "layers.\($0)" }
    }
    let spread = try LayerSpread(model, groups: groupedLayers)
    var change = ModelChange(model, findings: findings(spread))
    change.model.architecture.configuration = after
    change.model.weights.removeAll { $0.name.hasPrefix("layers.") }
    for (block, layers) in zip(after.blocks, groupedLayers) {
      for weights in try model.weights(across: layers) {
        let first = weights[0]
        let name = block + first.name.dropFirst(layers[0].count)
        if spread.equal.contains(first.name) {
          change.model.weights.append(first.shared(with: weights, as: name))
        } else {
          change.model.weights.append(first.mean(of: weights, as: name))
          change.correspondence.contract = .lossy
          change.correspondence.rewritten.formUnion(weights.map(\.name))
        }
      }
    }
    if source.architecture.heads.contains(.nsp), model.architecture.heads.contains(.sop) {
      change.correspondence.renamed["nsp"] = "sop"
    }
    if change.correspondence.contract == .lossy {
      change.correspondence.claims = [.averaged]
    }
    change.model = try change.model.checked()
    return change
  }

  private func findings(_ spread: LayerSpread) -> [Finding] {
    spread.layers.flatMap { layer in
      let distance = Finding(name, layer.name, "distance from the mean", layer.distance)
      guard let farthest = layer.farthest else { return [distance] }
      return [
        distance,
        Finding(name, layer.name, "largest difference from the mean", layer.largestDifference),
        Finding(
          name, farthest.name, "distance from the mean, the layer's farthest weight",
          farthest.distance),
      ]
    }
  }

  /// Whether there are layers that the model could share.
  public static func accepts(_ model: Model) -> Bool {
    guard let model = try? Tie().shareable(model) else { return false }
    return model.architecture.configuration.layers > 1
  }

  /// The model as a family whose layers can be shared, each with its own weights.
  private func shareable(_ source: Model) throws(CheckpointError) -> Model {
    let model = source.ungrouped
    let family = model.architecture.family
    if let groups = model.architecture.configuration.groups {
      throw refusal(
        "its layers are shared already, in \(groups) group\(groups == 1 ? "" : "s")",
        hint: "to share them otherwise: --apply untie first")
    }
    guard family != "albert", family != "albert_zh" else { return model }
    do throws(CheckpointError) {
      return try model.relabelled(as: "albert")
    } catch {
      throw refusal("only ALBERT's layers can be shared, and this is none: \(error.reason)")
    }
  }
}

extension Weight {
  /// This weight in the place of all of its equals.
  fileprivate func shared(with others: [Weight], as name: String) -> Weight {
    var result = renamed(name, operation: others.count > 1 ? "shared" : "")
    for weight in others {
      result.sources += weight.sources.filter { !result.sources.contains($0) }
    }
    return result
  }

  /// The mean of weights, this one among them.
  fileprivate func mean(of weights: [Weight], as name: String) -> Weight {
    let tensors = weights.map(\.tensor)
    return computed(
      as: name, tensor.shape, "mean of \(weights.count) layers", with: Array(weights.dropFirst())
    ) { (range) throws(CheckpointError) in
      try LayerSpread.mean(of: tensors, rows: range)
    }
  }
}
