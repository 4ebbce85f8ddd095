public import Checkpoint

/// The list of transforms.
public enum TransformRegistry {
  public static let all: [any Transform] = [
    // Layers and heads.
    Untie(), Tie(), DropLayers(), WidenFeedForward(), WidenKeySize(), NarrowKeySize(),
    TalkingHeads(),
    FlattenTalkingHeads(), PruneHeads(),
    // Embeddings.
    FoldEmbedding(), KeepTokens(), CompoundTokens(), ExtendPositions(),
    // Numbers and housekeeping.
    FoldDecoderScale(), FoldDecoderScale(inverse: true), Cast(), SplitELECTRA(), StripOptimizer(),
    Rename(),
    // Graphs of Keras.
    FoldBatchNorm(),
  ]

  /// The transform of that name.
  public static func named(_ name: String) throws(CheckpointError) -> any Transform {
    if let transform = all.first(where: { $0.name == name }) { return transform }
    throw CheckpointError(
      .usage, Place(), "there is no transform \"\(name)\"",
      hint: "known transforms: \(all.map(\.name).joined(separator: ", "))")
  }

  /// Applies the steps that need a model, one after the other.
  ///
  /// - Throws: ``CheckpointError`` of kind `usage` when a step on stored tensors follows one of them.
  public static func apply(
    _ steps: [TransformStep], to model: Model
  ) throws(CheckpointError) -> ModelChange {
    apply(try stages(steps, from: model), to: model)
  }

  /// Stages as one change.
  public static func apply(_ stages: [TransformStage], to model: Model) -> ModelChange {
    var whole = ModelChange(model)
    for stage in stages {
      whole.model = stage.change.model
      whole.correspondence = whole.correspondence.followed(by: stage.change.correspondence)
      whole.findings += stage.change.findings
      whole.remarks += stage.change.remarks
    }
    return whole
  }

  /// What each of the steps that need a model makes of the one before.
  ///
  /// - Throws: as ``apply(_:to:)-(_,Model)``.
  public static func stages(
    _ steps: [TransformStep], from model: Model
  ) throws(CheckpointError) -> [TransformStage] {
    var stages: [TransformStage] = []
    var current = model
    for step in steps {
      guard let transform = step.transform as? any ModelTransform else {
        throw CheckpointError(
          .usage, Place(member: "--apply \(step.transform.name)"),
          step.transform is any KerasTransform
            ? "works on a graph of layers; this model is read as a \(model.architecture.family)"
            : "works on tensors as they are stored, so it comes before steps on the model",
          hint: step.transform is any KerasTransform
            ? "a file that holds its graph is read by it with --dialect keras" : nil)
      }
      var change = try transform.apply(to: current, step.arguments)
      change.model = try change.model.checked()
      stages.append(TransformStage(step: step, source: current, change: change))
      current = change.model
    }
    return stages
  }

  /// Applies the steps on stored tensors that come first.
  ///
  /// - Returns: what they made of the checkpoint, and the steps that remain.
  public static func apply(
    _ steps: [TransformStep], to checkpoint: Checkpoint
  ) throws(CheckpointError) -> (CheckpointChange, rest: [TransformStep]) {
    var change = CheckpointChange(checkpoint)
    var rest = steps[...]
    while let step = rest.first, let transform = step.transform as? any CheckpointTransform {
      change = change.followed(by: try transform.apply(to: change.checkpoint, step.arguments))
      rest.removeFirst()
    }
    return (change, Array(rest))
  }
}
