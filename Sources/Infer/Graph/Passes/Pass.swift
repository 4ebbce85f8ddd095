/// A rewrite of a graph: the same answers, computed by fewer or cheaper nodes.
///
/// A pass must keep the value of every output, under its name. It is checked by running the
/// reference on the graph before and after.
public protocol Pass: Sendable {
  /// What the pass does, in a word or two, for people.
  var name: String { get }

  /// - Throws: ``InferError`` when the graph contradicts itself.
  func callAsFunction(_ graph: Graph) throws(InferError) -> Graph
}

/// The passes of a session, in their order.
public enum PassList {
  public static let all: [any Pass] = [FuseActivation(), FuseAddNorm(), FuseAttention()]
}

extension Graph {
  /// The graph whose outputs are exactly the values of these names, without what they do not need.
  ///
  /// - Parameter names: names of outputs or of inner values; twice the same counts once.
  /// - Throws: ``InferError`` when there is no such value.
  public func answering(_ names: [String]) throws(InferError) -> Graph {
    var wanted: [Output] = []
    var seen: Set<String> = []
    for name in names where seen.insert(name).inserted {
      guard let id = value(named: name) else {
        throw InferError(.graph, name, "the graph has no such value")
      }
      wanted.append(Output(name: name, value: id))
    }
    return try rewritten(answering: wanted, [:])
  }

  /// A node that takes another's place.
  struct Replacement {
    let op: any Op
    /// Values of the old graph, computed before the replaced node.
    let operands: [ID]
  }

  /// The same graph with some nodes replaced, and without what its outputs do not need any more.
  ///
  /// - Parameter replacements: by the index of the node whose result the replacement computes.
  func rewritten(_ replacements: [Int: Replacement]) throws(InferError) -> Graph {
    try rewritten(answering: outputs, replacements)
  }

  private func rewritten(
    answering wanted: [Output], _ replacements: [Int: Replacement]
  ) throws(InferError) -> Graph {
    var needed = Set(wanted.map(\.value))
    for (index, node) in nodes.enumerated().reversed() where needed.contains(node.result) {
      needed.formUnion(replacements[index]?.operands ?? node.operands)
    }
    var result = Graph()
    var map: [ID: ID] = [:]
    for id in ids where needed.contains(id) {
      let value = self[id]
      switch value.source {
      case .input:
        map[id] = result.input(value.name, value.shape)
      case .weight:
        map[id] = try result.weight(value.name, value.shape.map { $0.extent(Extents()) })
      case .state:
        map[id] = try result.state(value.name, value.shape)
      case .node(let index):
        let operands = replacements[index]?.operands ?? nodes[index].operands
        map[id] = try result.apply(
          replacements[index]?.op ?? nodes[index].op, operands.compactMap { map[$0] },
          named: value.name)
      }
    }
    for output in wanted {
      if let id = map[output.value] { result.output(output.name, id) }
    }
    return result
  }

  /// The node that computes a value, when it is of this op.
  func node<O: Op>(_ id: ID, as _: O.Type) -> (op: O, operands: [ID])? {
    guard case .node(let index) = self[id].source, let op = nodes[index].op as? O else {
      return nil
    }
    return (op, nodes[index].operands)
  }

  /// Values that only one node reads and that are no output: they may vanish inside that node.
  var fusable: Set<ID> {
    var uses: [ID: Int] = [:]
    for node in nodes { for operand in node.operands { uses[operand, default: 0] += 1 } }
    for output in outputs { uses[output.value, default: 0] += 2 }
    return Set(uses.filter { $0.value == 1 }.map(\.key))
  }
}
