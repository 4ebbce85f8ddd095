/// LayerNorm's epsilons.
public enum Epsilons {
  /// Whether two epsilons are so small that the difference does not count: both at most 1e-7, where
  /// the effect on a normalized value stays below a few float32 roundings.
  public static func alike(_ a: Double, _ b: Double) -> Bool { a == b || max(a, b) <= 1e-7 }

  /// What a framework that computes with other epsilons means for a model.
  ///
  /// - Throws: ``CheckpointError`` of kind `unsupported` when the difference counts.
  static func remarks(
    _ own: Configuration, _ framework: Configuration, _ heads: Set<Head>, _ name: String
  ) throws(CheckpointError) -> [String] {
    let differing = [
      ("embedding_norm_eps", own.embeddingNormEpsilon, framework.embeddingNormEpsilon),
      ("block_norm_eps", own.blockNormEpsilon, framework.blockNormEpsilon),
      ("head_norm_eps", own.headNormEpsilon, framework.headNormEpsilon),
    ].filter { key, a, b in a != b && (key != "head_norm_eps" || heads.contains(.mlm)) }
    let unlike = differing.filter { !alike($0.1, $0.2) }
    if let (key, a, b) = unlike.first {
      throw CheckpointError(
        .unsupported, Place(member: key),
        "\(name) computes with \(b); the source computes with \(a)",
        hint: "to accept another function: "
          + unlike.map { "--set \($0.0)=\($0.2)" }.joined(separator: " "))
    }
    return differing.map { key, a, b in "\(name) computes \(key) \(b); the source \(a)" }
  }
}
