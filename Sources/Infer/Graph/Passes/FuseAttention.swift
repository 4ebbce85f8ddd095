import Checkpoint

/// `AttentionContext(MaskedSoftmax(AttentionScores(query, key), mask), value)` becomes an
/// ``Attention``.
struct FuseAttention: Pass {
  var name: String { "fuse attention" }

  func callAsFunction(_ graph: Graph) throws(InferError) -> Graph {
    let fusable = graph.fusable
    var replacements: [Int: Graph.Replacement] = [:]
    for (index, node) in graph.nodes.enumerated() {
      guard node.op is AttentionContext, fusable.contains(node.operands[0]),
        let softmax = graph.node(node.operands[0], as: MaskedSoftmax.self),
        softmax.op.normalization == .softmax, fusable.contains(softmax.operands[0]),
        let scores = graph.node(softmax.operands[0], as: AttentionScores.self)
      else { continue }
      replacements[index] = .init(
        op: Attention(heads: scores.op.heads, scale: scores.op.scale),
        operands: scores.operands + [node.operands[1], softmax.operands[1]])
    }
    return try graph.rewritten(replacements)
  }
}
