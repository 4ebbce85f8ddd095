public import Checkpoint

/// What can be run, tapped, judged and compared: a graph with its weights.
public protocol Runnable: Sendable {
  var graph: Graph { get }

  /// The stored tensor of a graph's weight.
  func weight(_ name: String) throws -> Tensor
}

extension Runnable {
  /// The names of all outputs.
  public var outputNames: [String] { graph.outputs.map(\.name) }

  /// Prepares the graph for running.
  ///
  /// - Parameters:
  ///   - names: outputs and inner values that runs return.
  ///   - other: a session of the same weights, which are then in memory once.
  public func session(
    returning names: [String], threads: Int? = nil, sharing other: Session? = nil
  ) throws -> Session {
    try Session(graph, outputs: names, threads: threads, sharing: other) { try weight($0) }
  }

  /// Runs the plain reference in a precision.
  public func reference<Scalar: ReferenceScalar>(
    _: Scalar.Type, _ inputs: [String: NDArray<Float>], returning names: [String]
  ) throws -> [String: NDArray<Scalar>] {
    try Reference<Scalar>(graph) { name in
      let tensor = try weight(name)
      return NDArray(
        shape: tensor.shape.extents, values: Elements.decode(try tensor.bytes(), as: tensor.dtype))
    }.run(inputs, returning: names)
  }
}
