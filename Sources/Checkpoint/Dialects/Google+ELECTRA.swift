/// ELECTRA's pre-training keeps two models in one checkpoint. Source: `pretrain/` and `model/` of
/// google-research/electra.
extension Google {
  /// Which of ELECTRA's two models is meant.
  public enum Part: String, Sendable, CaseIterable {
    case discriminator, generator

    public var other: Part { self == .discriminator ? .generator : .discriminator }

    /// Beginnings of the names of variables that only the other model has.
    ///
    /// - Throws: ``CheckpointError`` of kind `mismatch` when the file does not hold this one.
    public func foreign(in names: [String]) throws(CheckpointError) -> [String] {
      func need(_ beginning: String, _ member: String) throws(CheckpointError) {
        guard !names.contains(where: { $0.hasPrefix(beginning) }) else { return }
        throw CheckpointError(
          .mismatch, Place(member: member), "is missing: the file has no \(rawValue)",
          hint: "say --set part=\(other.rawValue)")
      }
      let head = "\(other.rawValue)_predictions/"
      guard self == .generator else {
        try need("electra/encoder/", "electra/encoder")
        return [head, "generator/"]
      }
      try need("generator", "generator")
      let scopes = GoogleFamily.ELECTRAScopes(self, names)
      return [head]
        + [
          (scopes.embeddings, "embeddings"), (scopes.projection, "embeddings_project"),
          (scopes.encoder, "encoder"),
        ].filter { $0.0 == "generator" }.map { "electra/\($0.1)/" }
    }
  }
}

extension GoogleFamily {
  /// The scope of each part of the two models: the generator's own, where the file has it, or the
  /// one that both share.
  struct ELECTRAScopes {
    var embeddings = "electra"
    var projection = "electra"
    var encoder = "electra"

    /// As a file of these names has it.
    init(_ part: Google.Part, _ names: [String]) {
      guard part == .generator else { return }
      func scope(_ component: String) -> String {
        names.contains { $0.hasPrefix("generator/\(component)/") } ? "generator" : "electra"
      }
      embeddings = scope("embeddings")
      projection = scope("embeddings_project")
      encoder = scope("encoder")
    }

    /// As ckpt writes it: the embeddings are common.
    init(written part: Google.Part) {
      guard part == .generator else { return }
      projection = "generator"
      encoder = "generator"
    }
  }

  static func electra(_ part: Google.Part, _ scopes: ELECTRAScopes) -> GoogleFamily {
    let head =
      part == .discriminator
      ? dense("discriminator.transform", "discriminator_predictions/dense")
        + dense("discriminator.prediction", "discriminator_predictions/dense_1")
      : dense("mlm.transform", "generator_predictions/dense")
        + norm("mlm.norm", "generator_predictions/LayerNorm")
        + [row("mlm.bias", "generator_predictions/output_bias")]
    return GoogleFamily(
      family: "electra",
      rows: embeddings(scopes.embeddings) + [position(scopes.embeddings)]
        + dense("embeddings.projection", "\(scopes.projection)/embeddings_project")
        + blocks("layers.{i}", "\(scopes.encoder)/encoder/layer_{i}") + head,
      namespace: [
        "electra/", "generator/", "discriminator_predictions/", "generator_predictions/",
      ],
      gelu: .geluErf, epsilons: contrib, bert4keras: part == .discriminator ? "electra" : nil)
  }

  /// The part that a file's names show when nobody says which.
  static func electraPart(_ names: [String]) -> Google.Part {
    func has(_ scope: String) -> Bool { names.contains { $0.hasPrefix(scope + "/") } }
    guard has("electra/encoder") else { return .generator }
    // One encoder with one head: whose head it is.
    return has("generator_predictions") && !has("discriminator_predictions")
      && !has("generator/encoder") ? .generator : .discriminator
  }
}
