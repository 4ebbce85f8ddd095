public import Checkpoint

/// A transform of a Keras graph: of its layers and their weights.
public protocol KerasTransform: Transform {
  /// The transformed model and how it relates to `model`. Its network's configuration is in step.
  ///
  /// - Throws: ``CheckpointError`` of kind `unsupported` when a precondition does not hold, `usage`
  ///   when the arguments are wrong.
  func apply(
    to model: KerasModel, _ arguments: TransformArguments
  ) throws(CheckpointError) -> KerasChange
}

/// A Keras model and how it came from another.
public struct KerasChange: Sendable {
  /// Weights that were computed are not rounded yet (``Weight/rounded()``).
  public var model: KerasModel
  /// Of values by the names that the graph gives them: the layers'.
  public var correspondence: Correspondence
  /// What was measured on the way.
  public var findings: [Finding]
  /// What people should know of the result.
  public var remarks: [String]

  public init(
    _ model: KerasModel, _ correspondence: Correspondence = Correspondence(),
    findings: [Finding] = [], remarks: [String] = []
  ) {
    self.model = model
    self.correspondence = correspondence
    self.findings = findings
    self.remarks = remarks
  }
}

extension TransformRegistry {
  /// Applies the steps that need a Keras graph, one after the other.
  ///
  /// - Throws: ``CheckpointError`` of kind `usage` when a step is for something else.
  public static func apply(
    _ steps: [TransformStep], to model: KerasModel
  ) throws(CheckpointError) -> KerasChange {
    var whole = KerasChange(model)
    for step in steps {
      guard let transform = step.transform as? any KerasTransform else {
        throw CheckpointError(
          .usage, Place(member: "--apply \(step.transform.name)"),
          step.transform is any CheckpointTransform
            ? "works on tensors as they are stored, so it comes before steps on the model"
            : "works on models of known families; this one is read by its graph of layers")
      }
      let change = try transform.apply(to: whole.model, step.arguments)
      whole.model = change.model
      whole.correspondence = whole.correspondence.followed(by: change.correspondence)
      whole.findings += change.findings
      whole.remarks += change.remarks
    }
    return whole
  }
}
