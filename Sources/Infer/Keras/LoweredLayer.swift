import Checkpoint

/// How a layer of Keras is computed: its lowering to ops.
///
/// The second description of every class, beside ``KerasLayer`` in Checkpoint. A graph of Keras is made
/// for concrete extents of its inputs, so every dimension is `.fixed`.
protocol LoweredLayer: KerasLayer {
  /// The values that one application returns, the main one first.
  ///
  /// - Throws: ``InferError``, or `CheckpointError`, where what comes in does not fit.
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue]
}

/// A value of a Keras graph and the mask that travels with it.
struct KerasValue: Sendable {
  var id: Graph.ID
  /// Which positions count: `[batch, time]`, 1 for those that do; `nil` for all.
  var mask: Graph.ID?

  init(_ id: Graph.ID, mask: Graph.ID? = nil) {
    self.id = id
    self.mask = mask
  }
}
