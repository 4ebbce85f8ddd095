public import Checkpoint

/// Multiplies a factored token table out.
///
/// Algebra: (x · E₁) · E₂ = x · (E₁ E₂) for the rows that enter and, transposed, for the masked language
/// model's tied decoder. One rounding per weight. brightmart's first ALBERT is an ALBERT without a
/// projection then, and once it is untied a plain BERT, which every framework loads.
///
/// Preconditions: nothing stands between the two factors. In Google's ALBERT, in ELECTRA and in
/// RoFormer a norm does, so that their projection cannot go into the table. The product has no
/// inverse here: it would have to be factored again. Source: `embedding_lookup_factorized` in
/// albert_zh v0.2.3.
public struct FoldEmbedding: ModelTransform {
  public init() {}

  public var name: String { "fold-embedding" }
  public var summary: String { "two factors of a token table become one (albert_zh)" }
  public var contract: Correspondence.Contract { .rounding }
  public var precondition: String { "a factored token table without a norm between the factors" }

  public func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    var result = model
    let c = model.architecture.configuration
    try check(model.architecture)
    let factor = try model.weight("embeddings.factor.kernel")
    let matrix = try factor.tensor.doubles()
    try result.rewrite(["embeddings.token"]) {
      $0.multiplyingParts(
        [matrix], columns: c.hiddenSize, "multiplied by its factor", with: [factor])
    }
    result.weights.removeAll { $0.name == factor.name }
    result.architecture.configuration.factor = false
    result.architecture.configuration.embeddingSize = c.hiddenSize
    result = try result.relabelled(as: c.groups == nil ? "bert" : "albert")
    return ModelChange(
      result,
      Correspondence(
        contract: contract, renamed: ["embeddings.factor": "embeddings.token"],
        removed: ["embeddings.token"], rewritten: ["embeddings.token", factor.name]))
  }

  private func check(_ architecture: FamilyArchitecture) throws(CheckpointError) {
    let c = architecture.configuration
    guard !c.factor else { return }
    guard c.projection else {
      throw refusal("\(architecture.family) has one token table here; there is nothing to fold")
    }
    guard !architecture.structure.encoderDecoder else {
      throw refusal(
        "encoder and decoder have a projection each and share one token table, which cannot take both"
      )
    }
    throw refusal(
      "a norm stands between \(architecture.family)'s token table and its projection: segments and "
        + "positions are added and the sum is normalized at width \(c.embeddingSize), so the two are "
        + "no product")
  }
}
