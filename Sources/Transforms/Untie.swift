public import Checkpoint

/// Gives every depth of an ALBERT its own copy of the shared layer.
///
/// Algebra: depth i applied the block b(i) = group ⌊i·G/L⌋, inner layer j; the result's layer
/// i·J + j holds a copy of it. The same operations run on the same numbers, so every value is equal
/// to the bit. Afterwards the layers can be trained apart. Inverse: ``Tie``.
/// Source: `ALBERT_Unshared` of bert4keras; `group_idx` in transformers' `modeling_albert.py`.
public struct Untie: ModelTransform {
  public init() {}

  public var name: String { "untie" }
  public var summary: String { "ALBERT's shared layers become one layer per depth" }
  public var contract: Correspondence.Contract { .exact }
  public var precondition: String { "layers are shared in groups" }
  public var inverse: String { "tie" }

  public func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    var result = model
    let configuration = model.architecture.configuration
    guard configuration.groups != nil else {
      throw refusal(
        "\(model.architecture.family) has its own weights in each of its "
          + "\(configuration.layers) layers already; untie needs shared ones")
    }
    result.weights = []
    var untied = false
    for weight in model.weights {
      guard weight.name.hasPrefix("groups.") else {
        result.weights.append(weight)
        continue
      }
      // All depths at the place of the first shared weight keep the architecture's order.
      if !untied {
        for depth in 0..<configuration.depth {
          let block = configuration.block(at: depth) + "."
          for shared in model.weights where shared.name.hasPrefix(block) {
            let name = "layers.\(depth)." + shared.name.dropFirst(block.count)
            result.weights.append(shared.renamed(name, operation: "copied"))
          }
        }
        untied = true
      }
    }
    result.architecture.configuration.layers = configuration.depth
    result.architecture.configuration.groups = nil
    result.architecture.configuration.innerGroups = 1
    return ModelChange(result, Correspondence(contract: contract))
  }
}
