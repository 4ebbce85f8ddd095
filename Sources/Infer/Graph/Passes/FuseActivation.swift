import Checkpoint

/// `Activate(Linear(x))` becomes a `Linear` with that activation; so do the other ops that may have
/// one.
struct FuseActivation: Pass {
  var name: String { "fuse activations" }

  func callAsFunction(_ graph: Graph) throws(InferError) -> Graph {
    let fusable = graph.fusable
    var replacements: [Int: Graph.Replacement] = [:]
    for (index, node) in graph.nodes.enumerated() {
      guard let activate = node.op as? Activate, fusable.contains(node.operands[0]),
        case .node(let producer) = graph[node.operands[0]].source,
        var fused = graph.nodes[producer].op as? any ActivatedOp, fused.activation == .linear
      else { continue }
      fused.activation = activate.activation
      replacements[index] = .init(op: fused, operands: graph.nodes[producer].operands)
    }
    return try graph.rewritten(replacements)
  }
}
