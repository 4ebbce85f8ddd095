/// The judge: runs a graph node by node with plain loops, in Float32 or Float64.
///
/// It shares nothing with the kernels but the graph. Nothing is planned or reused; every value that
/// is asked for is kept.
public struct Reference<Scalar: ReferenceScalar>: Sendable {
  private let graph: Graph
  private let weights: [Graph.ID: NDArray<Scalar>]

  /// - Parameter weights: returns a weight by name, in C order.
  public init(
    _ graph: Graph, weights: (_ name: String) throws -> NDArray<Scalar>
  ) throws {
    self.graph = graph
    var loaded: [Graph.ID: NDArray<Scalar>] = [:]
    for id in graph.weights {
      let array = try weights(graph[id].name)
      let shape = graph[id].shape.map { $0.extent(Extents()) }
      guard array.shape == shape else {
        throw InferError(.graph, graph[id].name, "has shape \(array.shape), not \(shape)")
      }
      loaded[id] = array
    }
    self.weights = loaded
  }

  /// Runs the graph.
  ///
  /// - Parameters:
  ///   - inputs: arrays by the graph's input names; their shapes are those of the graph.
  ///   - names: values or outputs to return.
  public func run(
    _ inputs: [String: NDArray<Float>], returning names: [String]
  ) throws(InferError) -> [String: NDArray<Scalar>] {
    let extents = try graph.checked(inputs)
    var values: [Graph.ID: NDArray<Scalar>] = weights
    for id in graph.inputs {
      values[id] = inputs[graph[id].name]?.converted(to: Scalar.self)
    }
    var wanted: [(name: String, id: Graph.ID)] = []
    for name in names {
      guard let id = graph.value(named: name) else {
        throw InferError(.graph, name, "the graph has no such value")
      }
      wanted.append((name, id))
    }
    let keep = Set(wanted.map(\.id))
    let lastUse = graph.lastUses
    for (index, node) in graph.nodes.enumerated() {
      let operands = node.operands.compactMap { values[$0] }
      let shape = graph[node.result].shape.map { $0.extent(extents) }
      try graph.checkComputed(node, operands)
      values[node.result] = node.op.reference(operands, shape: shape)
      for operand in node.operands
      where lastUse[operand] == index && !keep.contains(operand) && weights[operand] == nil {
        values[operand] = nil
      }
    }
    var results: [String: NDArray<Scalar>] = [:]
    for (name, id) in wanted { results[name] = values[id] }
    return results
  }
}

extension Graph {
  /// For each value the index of the last node that uses it.
  public var lastUses: [ID: Int] {
    var uses: [ID: Int] = [:]
    for (index, node) in nodes.enumerated() {
      for operand in node.operands { uses[operand] = index }
    }
    return uses
  }
}
