/// Which positions a model lets each other see, besides padding.
public enum AttentionMaskKind: String, Sendable, CaseIterable {
  /// Every position sees every position.
  case bidirectional
  /// A position sees itself and what stands before it.
  case causal
  /// The first segment sees itself; the second sees the first and what stands before
  /// (arXiv 1905.03197).
  case unilm
}
