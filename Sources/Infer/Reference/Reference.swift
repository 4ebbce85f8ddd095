/// The judge: runs a graph node by node with plain loops, in Float32 or Float64.
///
/// It shares nothing with the kernels but the graph. Nothing is planned; a weight is read where it is
/// first used and forgotten after its last use, as every value is that nobody asks for.
public struct Reference<Scalar: ReferenceScalar> {
  private let graph: Graph
  private let weights: (_ name: String) throws -> NDArray<Scalar>

  /// - Parameter weights: returns a weight by name, in C order.
  public init(_ graph: Graph, weights: @escaping (_ name: String) throws -> NDArray<Scalar>) {
    self.graph = graph
    self.weights = weights
  }

  /// Runs the graph.
  ///
  /// - Parameters:
  ///   - inputs: arrays by the graph's input names; their shapes are those of the graph.
  ///   - names: values or outputs to return.
  /// - Throws: ``InferError``, or what reading a weight throws.
  public func run(
    _ inputs: [String: NDArray<Float>], returning names: [String]
  ) throws -> [String: NDArray<Scalar>] {
    let extents = try graph.checked(inputs)
    let isWeight = Set(graph.weights)
    var values: [Graph.ID: NDArray<Scalar>] = [:]
    for id in graph.inputs {
      values[id] = inputs[graph[id].name]?.converted(to: Scalar.self)
    }
    // The judge keeps nothing between runs: what states hold is given.
    for id in graph.states {
      let (name, shape) = (graph[id].name, graph[id].shape.map { $0.extent(extents) })
      guard let array = inputs[name], array.shape == shape else {
        throw InferError(.input, name, "is a state; expected an array \(shape)")
      }
      values[id] = array.converted(to: Scalar.self)
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
      for operand in node.operands where isWeight.contains(operand) && values[operand] == nil {
        values[operand] = try weight(operand)
      }
      let operands = node.operands.compactMap { values[$0] }
      let shape = graph[node.result].shape.map { $0.extent(extents) }
      try graph.checkComputed(node, operands)
      values[node.result] = node.op.reference(operands, shape: shape)
      for operand in node.operands where lastUse[operand] == index && !keep.contains(operand) {
        values[operand] = nil
      }
    }
    var results: [String: NDArray<Scalar>] = [:]
    for (name, id) in wanted { results[name] = values[id] }
    return results
  }

  private func weight(_ id: Graph.ID) throws -> NDArray<Scalar> {
    let array = try weights(graph[id].name)
    let shape = graph[id].shape.map { $0.extent(Extents()) }
    guard array.shape == shape else {
      throw InferError(.graph, graph[id].name, "has shape \(array.shape), not \(shape)")
    }
    return array
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
