/// `LayerNorm(Add(x, residual), gamma, beta)` becomes an ``AddNorm``.
struct FuseAddNorm: Pass {
  var name: String { "fuse sums and norms" }

  func callAsFunction(_ graph: Graph) throws(InferError) -> Graph {
    let fusable = graph.fusable
    var replacements: [Int: Graph.Replacement] = [:]
    for (index, node) in graph.nodes.enumerated() {
      guard let norm = node.op as? LayerNorm, node.operands.count == 3,
        fusable.contains(node.operands[0]),
        let add = graph.node(node.operands[0], as: Add.self)
      else { continue }
      replacements[index] = .init(
        op: AddNorm(epsilon: norm.epsilon), operands: add.operands + node.operands[1...])
    }
    return try graph.rewritten(replacements)
  }
}
