/// ELECTRA (arXiv 2003.10555): a BERT with factorized embeddings; as discriminator it tells replaced
/// tokens, as generator it is a masked language model.
public struct ELECTRA: Family {
  public init() {}

  public var name: String { "electra" }
  public var summary: String { "ELECTRA: discriminator or generator" }
  public var possibleHeads: [Head] { [.mlm, .discriminator] }
  public var structure: Structure { Structure() }
}
