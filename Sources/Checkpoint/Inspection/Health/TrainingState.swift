/// What frameworks keep beside weights for training: slots of optimizers, step counters, their groups.
public enum TrainingState {
  /// Whether the name is one that frameworks give to the state of training.
  ///
  /// Keras' `optimizer_weights/` and `optimizer/`, TensorFlow's slots (`kernel/adam_m`, `kernel/Adam_1`,
  /// `kernel_slot_vr`, `.OPTIMIZER_SLOT`), `global_step`, `save_counter` and the powers of Adam, PyTorch's
  /// `optimizer.state` and `optimizer_state_dict`, and an optimizer's own file: `state.0.exp_avg`.
  public static func includes(_ name: String) -> Bool {
    let lower = name.lowercased()
    let parts = lower.split { $0 == "/" || $0 == "." }.map(String.init)
    guard let first = parts.first, let last = parts.last else { return false }
    if beginnings.contains(first) || lower.contains(".optimizer_slot/") { return true }
    if parts.count == 1 { return counters.contains(first) }
    if parts.count == 3, first == "state", Int(parts[1]) != nil { return torch.contains(last) }
    // Mesh TensorFlow puts them behind the variable's own last part.
    let isMesh = ["_slot_v", "_slot_vr", "_slot_vc", "_slot_m"].contains { last.hasSuffix($0) }
    return slots.contains(last) || counters.contains(last) || isMesh
  }

  private static let beginnings: Set<String> = [
    "optimizer_weights", "optimizer", "optimizer_state", "optimizer_state_dict", "_optimizer",
    "optimizers", "optimizer_states", "lr_scheduler", "lr_schedulers", "save_counter",
  ]
  private static let counters: Set<String> = [
    "global_step", "beta1_power", "beta2_power", "beta_1_power", "beta_2_power", "loss_scale",
  ]
  /// What the classes of `torch.optim` keep for a parameter.
  private static let torch: Set<String> = [
    "step", "exp_avg", "exp_avg_sq", "max_exp_avg_sq", "exp_inf", "momentum_buffer", "square_avg",
    "grad_avg", "acc_delta", "sum", "prev", "step_size", "mu_product", "ax", "eta", "mu", "row_var",
    "col_var", "variance",
  ]
  private static let slots: Set<String> = [
    "adam", "adam_1", "adam_m", "adam_v", "lamb_m", "lamb_v", "adam_mean", "adam_variance",
    "momentum", "rmsprop", "rmsprop_1", "adagrad", "adafactor", "adafactor_v", "adafactor_vr",
    "adafactor_vc", "exponentialmovingaverage", "slot_v", "slot_vr", "slot_vc", "ftrl", "ftrl_1",
  ]
}
