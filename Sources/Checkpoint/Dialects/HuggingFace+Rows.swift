/// Rows of transformers' tables: how its modules are called in a state dict or in a `tf_model.h5`.
struct HuggingFaceRows: Sendable {
  /// What stands before the base model's names in classes with heads, such as `bert.`.
  let base: String
  let storage: Storage

  /// How kernels lie.
  enum Storage: Sendable {
    /// PyTorch: Linear weights are `[out, in]`.
    case torch
    /// TensorFlow: kernels are `[in, out]`, biases of convolutions `[1, out]`.
    case tensorFlow
  }

  private var kernel: FlatTable.Layout { storage == .torch ? .transposed : .plain }

  /// A tensor of the base model, which alone is saved without its prefix; both spellings are read.
  func row(
    _ canonical: String, _ stored: String, _ layout: FlatTable.Layout = .plain, older: [String] = []
  ) -> FlatTable.Row {
    FlatTable.Row(
      [Template(canonical)], ([stored] + older).flatMap { [base + $0, $0] }.map { Template($0) },
      layout)
  }

  /// A tensor that stands beside the base model.
  func outside(
    _ canonical: String, _ stored: String, _ layout: FlatTable.Layout = .plain, older: [String] = []
  ) -> FlatTable.Row {
    FlatTable.Row([Template(canonical)], ([stored] + older).map { Template($0) }, layout)
  }

  func dense(_ canonical: String, _ stored: String) -> [FlatTable.Row] {
    [
      row("\(canonical).kernel", "\(stored).weight", kernel),
      row("\(canonical).bias", "\(stored).bias"),
    ]
  }

  func outsideDense(_ canonical: String, _ stored: String) -> [FlatTable.Row] {
    [
      outside("\(canonical).kernel", "\(stored).weight", kernel),
      outside("\(canonical).bias", "\(stored).bias"),
    ]
  }

  /// A kernel without bias.
  func projection(_ canonical: String, _ stored: String) -> FlatTable.Row {
    row("\(canonical).kernel", "\(stored).weight", kernel)
  }

  /// Dense layers side by side in what transformers calls Conv1D: `[in, out]` in both libraries.
  func convolution(_ canonical: [String], _ stored: String) -> [FlatTable.Row] {
    func side(_ part: String, _ end: String, _ layout: FlatTable.Layout) -> FlatTable.Row {
      FlatTable.Row(
        canonical.map { Template("\($0).\(part)") },
        [Template("\(base)\(stored).\(end)"), Template("\(stored).\(end)")], layout)
    }
    return [
      side("kernel", "weight", .plain),
      side("bias", "bias", storage == .torch ? .plain : .squeezed),
    ]
  }

  /// The first years' files say gamma and beta.
  func norm(_ canonical: String, _ stored: String) -> [FlatTable.Row] {
    [
      row("\(canonical).gamma", "\(stored).weight", older: ["\(stored).gamma"]),
      row("\(canonical).beta", "\(stored).bias", older: ["\(stored).beta"]),
    ]
  }

  func outsideNorm(_ canonical: String, _ stored: String) -> [FlatTable.Row] {
    [
      outside("\(canonical).gamma", "\(stored).weight", older: ["\(stored).gamma"]),
      outside("\(canonical).beta", "\(stored).bias", older: ["\(stored).beta"]),
    ]
  }

  /// The language model's own decoder.
  var decoder: FlatTable.Row { outside("lm.kernel", "lm_head.weight", kernel) }

  /// What stands in files and is made anew on loading.
  func constants(_ names: [String]) -> [(Template, String)] {
    names.flatMap { [base + $0, $0] }.map {
      (Template($0), "a buffer of constants, made anew on loading")
    }
  }
}
