public import Checkpoint

/// Leaves out what only training needs: slots of optimizers, step counters, their groups.
///
/// It goes by the names that frameworks give (``TrainingState``).
/// The outputs do not depend on them. There is no inverse.
public struct StripOptimizer: CheckpointTransform {
  public init() {}

  public var name: String { "strip-optimizer" }
  public var summary: String { "optimizer state and step counters are left out" }
  public var contract: Correspondence.Contract { .exact }

  public func apply(
    to checkpoint: Checkpoint, _ arguments: TransformArguments
  ) throws(CheckpointError) -> CheckpointChange {
    var result = checkpoint
    var left: [Leftover] = []
    for index in result.groups.indices {
      let (gone, kept) = result.groups[index].tensors.split { TrainingState.includes($0.name) }
      left += gone.map { Leftover($0, "optimizer state, as --apply strip-optimizer says") }
      result.groups[index].tensors = kept
    }
    let emptied = Set(left.map(\.tensor.name))
    result.groups.removeAll { group in
      group.tensors.isEmpty
        && checkpoint.groups.contains { before in
          before.name == group.name && before.tensors.contains { emptied.contains($0.name) }
        }
    }
    result.attributes.removeAll { TrainingState.includes($0.name) || $0.name == "training_config" }
    return CheckpointChange(result, left: left)
  }
}

extension Array {
  /// Those for which `belongs` holds, and the others, each in order.
  fileprivate func split(_ belongs: (Element) -> Bool) -> ([Element], [Element]) {
    (filter(belongs), filter { !belongs($0) })
  }
}
