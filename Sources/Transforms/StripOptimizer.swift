public import Checkpoint

/// Leaves out what only training needs: slots of optimizers, step counters, their groups.
///
/// It goes by the names that frameworks give: Keras' `optimizer_weights/` and `optimizer/`,
/// TensorFlow's slots (`kernel/adam_m`, `kernel/Adam_1`, `kernel_slot_vr`, `.OPTIMIZER_SLOT`),
/// `global_step`, `save_counter` and the powers of Adam, PyTorch's `optimizer.state` and `optimizer_state_dict`.
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
      let (gone, kept) = result.groups[index].tensors.split { StripOptimizer.isState($0.name) }
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
    result.attributes.removeAll { StripOptimizer.isState($0.name) || $0.name == "training_config" }
    return CheckpointChange(result, left: left)
  }

  /// Whether the name is one that frameworks give to the state of training.
  static func isState(_ name: String) -> Bool {
    let lower = name.lowercased()
    let parts = lower.split { $0 == "/" || $0 == "." }.map(String.init)
    guard let first = parts.first, let last = parts.last else { return false }
    let beginnings: Set<String> = [
      "optimizer_weights", "optimizer", "optimizer_state", "optimizer_state_dict", "_optimizer",
      "optimizers", "optimizer_states", "lr_scheduler", "lr_schedulers", "save_counter",
    ]
    if beginnings.contains(first) || lower.contains(".optimizer_slot/") { return true }
    let counters: Set<String> = [
      "global_step", "beta1_power", "beta2_power", "beta_1_power", "beta_2_power", "loss_scale",
    ]
    if parts.count == 1 { return counters.contains(first) }
    let slots: Set<String> = [
      "adam", "adam_1", "adam_m", "adam_v", "lamb_m", "lamb_v", "adam_mean", "adam_variance",
      "momentum", "rmsprop", "rmsprop_1", "adagrad", "adafactor", "adafactor_v", "adafactor_vr",
      "adafactor_vc", "exponentialmovingaverage", "slot_v", "slot_vr", "slot_vc", "ftrl", "ftrl_1",
    ]
    // Mesh TensorFlow puts them behind the variable's own last part.
    let isMesh = ["_slot_v", "_slot_vr", "_slot_vc", "_slot_m"].contains { last.hasSuffix($0) }
    return slots.contains(last) || counters.contains(last) || isMesh
  }
}

extension Array {
  /// Those for which `belongs` holds, and the others, each in order.
  fileprivate func split(_ belongs: (Element) -> Bool) -> ([Element], [Element]) {
    (filter(belongs), filter { !belongs($0) })
  }
}
