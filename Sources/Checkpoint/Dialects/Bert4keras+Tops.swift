/// Layers on top of bert4keras models: bert4keras' own, and Keras' Dense.
///
/// Source: `layers.py` of bert4keras 0.11.5 for ConditionalRandomField, MaximumEntropyMarkovModel,
/// GlobalPointer and EfficientGlobalPointer.
extension Bert4keras {
  var topsBase: KerasTops.Base {
    KerasTops.Base(
      pooler: "Pooler-Dense", first: ["Pooler", "CLS-token"], block: "Transformer-",
      activation: { activation($0) })
  }

  public func bindTops(
    _ binding: inout Binding, of checkpoint: Checkpoint, configuration: JSON?,
    said: [(name: String, value: String)]
  ) throws(CheckpointError) {
    try KerasTops(binding, of: checkpoint, configuration: configuration, base: topsBase, said: said)
      .move(in: &binding)
  }
}
