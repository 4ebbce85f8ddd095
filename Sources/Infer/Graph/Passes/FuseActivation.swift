import Checkpoint

/// `Activate(Linear(x))` becomes a `Linear` with that activation.
struct FuseActivation: Pass {
  var name: String { "fuse activations" }

  func callAsFunction(_ graph: Graph) throws(InferError) -> Graph {
    let fusable = graph.fusable
    var replacements: [Int: Graph.Replacement] = [:]
    for (index, node) in graph.nodes.enumerated() {
      guard let activate = node.op as? Activate, fusable.contains(node.operands[0]),
        let linear = graph.node(node.operands[0], as: Linear.self),
        linear.op.activation == .linear
      else { continue }
      let fused = Linear(
        transposedKernel: linear.op.transposedKernel, activation: activate.activation)
      replacements[index] = .init(op: fused, operands: linear.operands)
    }
    return try graph.rewritten(replacements)
  }
}
