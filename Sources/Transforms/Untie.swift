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
    let configuration = model.architecture.configuration
    guard configuration.groups != nil else {
      throw refusal(
        "\(model.architecture.family) has its own weights in each of its "
          + "\(configuration.layers) layers already; untie needs shared ones")
    }
    return ModelChange(model.untied, Correspondence(contract: contract))
  }
}
