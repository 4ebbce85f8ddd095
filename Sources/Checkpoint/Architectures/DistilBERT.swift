/// DistilBERT (arXiv 1910.01108): a BERT without segments and pooler.
public struct DistilBERT: Family {
  public init() {}

  public var name: String { "distilbert" }
  public var summary: String { "DistilBERT: a BERT without segments and pooler" }
  public var possibleHeads: [Head] { [.mlm] }
  public var structure: Structure { Structure() }
}
