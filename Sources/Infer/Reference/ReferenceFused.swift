// Fused ops are defined by the ops that they stand for, one after the other.

extension AddNorm {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let sum = Add().reference(Array(operands[..<2]), shape: operands[0].shape)
    return LayerNorm(epsilon: epsilon).reference([sum] + operands[2...], shape: shape)
  }
}

extension Attention {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (query, key, value, mask) = (operands[0], operands[1], operands[2], operands[3])
    let square = [shape[0], heads, query.shape[1], key.shape[1]]
    let scores = AttentionScores(heads: heads, scale: scale)
      .reference([query, key], shape: square)
    let weights = MaskedSoftmax().reference([scores, mask], shape: square)
    return AttentionContext().reference([weights, value], shape: shape)
  }
}
