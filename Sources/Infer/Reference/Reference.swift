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
      let shape = graph[id].shape.map { $0.extent(batch: 0, length: 0) }
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
  ///   - inputs: arrays by the graph's input names; all are `[batch, length, …]`.
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
      let shape = graph[node.result].shape.map {
        $0.extent(batch: extents.batch, length: extents.length)
      }
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

  /// Checks that the inputs are all there, agree in batch and length, and index inside tables.
  public func checked(
    _ inputs: [String: NDArray<Float>]
  ) throws(InferError) -> (batch: Int, length: Int) {
    var batch: Int?
    var length: Int?
    for id in self.inputs {
      let value = self[id]
      guard let array = inputs[value.name] else {
        throw InferError(.input, value.name, "is missing")
      }
      guard array.shape.count == value.shape.count else {
        throw InferError(
          .input, value.name, "has shape \(array.shape); expected \(value.shape)")
      }
      for (extent, dimension) in zip(array.shape, value.shape) {
        let expected: Int
        switch dimension {
        case .fixed(let size): expected = size
        case .batch: expected = batch ?? extent; batch = expected
        case .length: expected = length ?? extent; length = expected
        }
        guard extent == expected else {
          throw InferError(
            .input, value.name, "has shape \(array.shape); expected \(dimension) = \(expected)")
        }
      }
    }
    let extents = (batch: batch ?? 1, length: length ?? 1)
    guard extents.batch > 0, extents.length > 0 else {
      throw InferError(.input, self.inputs.first.map { self[$0].name } ?? "", "is empty")
    }
    for node in nodes { try checkRange(node, inputs, length: extents.length) }
    return extents
  }

  /// Ids must lie in the table that they index; positions must not outnumber theirs.
  private func checkRange(
    _ node: Node, _ inputs: [String: NDArray<Float>], length: Int
  ) throws(InferError) {
    guard node.op is Gather || node.op is PositionRows, let table = node.operands.first,
      case .fixed(let rows) = self[table].shape[0]
    else { return }
    if node.op is PositionRows {
      guard length <= rows else {
        throw InferError(
          .input, "length", "\(length) positions, but \(self[table].name) has \(rows)",
          hint: "shorten the input to \(rows) tokens")
      }
    } else if let ids = inputs[self[node.operands[1]].name] {
      for (index, id) in ids.values.enumerated()
      where !(id >= 0 && id < Float(rows) && id == id.rounded()) {
        throw InferError(
          .input, self[node.operands[1]].name,
          "holds \(id) at row \(index / length), position \(index % length); "
            + "\(self[table].name) has ids 0 to \(rows - 1)")
      }
    }
  }
}
