public import Checkpoint

/// Converts float weights to another type: `cast=f16`, rounded to nearest even.
///
/// Unlike `--dtype`, which rounds what is written, it rounds at its place: steps after it compute from
/// rounded weights. (What was computed before, and loses nothing to the type, is rounded at the end.) With both, `--dtype` comes last. Tensors of unknown meaning are converted too, and
/// blocks that ckpt can decode (GGUF). A finite value beyond the type's range is an error on writing,
/// before anything is at the target; `overflow=inf` lets it become infinite, `overflow=clip` takes the
/// largest finite value instead. Infinities and NaN stay what they are. Exact where the type holds every
/// value of the weights' own types, else lossy, even where all values could be held.
public struct Cast: ModelTransform {
  public init() {}

  public var name: String { "cast" }
  public var summary: String { "weights in another float type; exact where it is wider" }
  public var contract: Correspondence.Contract { .lossy }
  public var value: TransformValue { .required("f64|f32|bf16|f16") }
  public var options: [TransformOption] {
    [
      TransformOption(
        "overflow", "error|inf|clip",
        "what becomes of finite values beyond the type's range; an error unless given")
    ]
  }

  public func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    var change = ModelChange(model)
    (change.model.weights, change.correspondence) = try cast(model.weights, arguments)
    change.model.carried = try Cast.converted(model.carried, arguments)
    return change
  }

  private func cast(
    _ weights: [Weight], _ arguments: TransformArguments
  ) throws(CheckpointError) -> ([Weight], Correspondence) {
    var weights = weights
    var correspondence = Correspondence()
    let target = try Cast.target(arguments)
    let overflow = try Cast.overflow(arguments)
    var later: Set<String> = []
    for index in weights.indices {
      var weight = weights[index]
      // What was computed is rounded here, to no more than it would have been.
      let own = weight.rounding ?? weight.tensor.dtype
      if !target.holds(own) {
        correspondence.contract = .lossy
      } else if weight.rounding != nil, target != .f64 {
        correspondence.contract = max(correspondence.contract, .rounding)
      }
      guard target != own || weight.rounding != nil else { continue }
      if weight.rounding != nil, target != .f64, target.holds(own), overflow == .error {
        // One rounding in place of another, so that the judge still sees what was computed.
        weight.rounding = target
        if target != own { weight.operation += ", cast \(target.rawValue)" }
        weights[index] = weight
        later.insert(weight.name)
        continue
      }
      weight = weight.renamed(weight.name, operation: "cast \(target.rawValue)")
      weight.tensor = try Cast.converted(weight.tensor, arguments)
      weight.rounding = nil
      weights[index] = weight
    }
    correspondence.claims = [.cast(target, overflow, later: later)]
    return (weights, correspondence)
  }

  private static func target(_ arguments: TransformArguments) throws(CheckpointError) -> DType {
    let targets: [DType] = [.f64, .f32, .bf16, .f16]
    guard let target = targets.first(where: { $0.rawValue == arguments.value }) else {
      throw arguments.wrong("is none of \(targets.map(\.rawValue).joined(separator: ", "))")
    }
    return target
  }

  private static func overflow(
    _ arguments: TransformArguments
  ) throws(CheckpointError) -> Overflow {
    try arguments.choice("overflow", Overflow.self) ?? .error
  }

  /// Tensors as they are stored, of whatever meaning, in another type; what is no float stays.
  public static func converted(
    _ groups: [Group], _ arguments: TransformArguments
  ) throws(CheckpointError) -> [Group] {
    try groups.map { group throws(CheckpointError) in
      var group = group
      group.tensors = try group.tensors.map { tensor throws(CheckpointError) in
        try converted(tensor, arguments)
      }
      return group
    }
  }

  private static func converted(
    _ tensor: Tensor, _ arguments: TransformArguments
  ) throws(CheckpointError) -> Tensor {
    let target = try target(arguments)
    let overflow = try overflow(arguments)
    guard !tensor.dtype.isQuantized || tensor.isCastable else {
      throw CheckpointError(
        .unsupported, .tensor(tensor.name), "ckpt cannot decode blocks of \(tensor.dtype.rawValue)",
        hint: "to go on without it: --allow-drop '\(tensor.name)'")
    }
    return tensor.canBecome(target) ? tensor.cast(to: target, overflow: overflow) : tensor
  }

  /// Whether a step keeps every value of tensors as they are stored.
  public static func isExact(
    _ tensors: [Tensor], _ arguments: TransformArguments
  ) throws(CheckpointError) -> Bool {
    let target = try target(arguments)
    return tensors.allSatisfy { !$0.canBecome(target) || target.holds($0.dtype) }
  }
}

extension Cast: KerasTransform {
  public func apply(
    to model: KerasModel, _ arguments: TransformArguments
  ) throws(CheckpointError) -> KerasChange {
    var change = KerasChange(model)
    (change.model.weights, change.correspondence) = try cast(model.weights, arguments)
    change.model.carried = try Cast.converted(model.carried, arguments)
    return change
  }
}
