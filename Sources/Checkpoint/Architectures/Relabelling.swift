extension Model {
  /// The same weights as another family that computes the same function with them.
  ///
  /// BERT with factorized embeddings and an untied ALBERT are one function; their sequence heads
  /// have two names.
  ///
  /// - Throws: ``CheckpointError`` when the families do not compute the same.
  public func relabelled(as name: String) throws(CheckpointError) -> Model {
    let family = try ArchitectureRegistry.named(name)
    guard family.name != architecture.family else { return self }
    let heads: [Head: Head] =
      switch (architecture.family, family.name) {
      case ("bert", "albert"): [.nsp: .sop]
      case ("albert", "bert") where architecture.configuration.groups == nil: [.sop: .nsp]
      case ("albert", "bert"):
        throw CheckpointError(
          .unsupported, Place(), "BERT has its own weights in every layer; these are shared",
          hint: "use --apply untie")
      default:
        throw CheckpointError(
          .unsupported, Place(),
          "\(architecture.family) and \(family.name) do not compute the same function")
      }
    var result = self
    result.architecture.family = family.name
    result.architecture.heads = Set(architecture.heads.map { heads[$0] ?? $0 })
    result.weights = weights.map { weight in
      for (old, new) in heads where weight.name.hasPrefix(old.rawValue + ".") {
        return weight.renamed(new.rawValue + weight.name.dropFirst(old.rawValue.count))
      }
      return weight
    }
    return try result.checked()
  }
}
