/// RoBERTa (arXiv 1907.11692) as fairseq and transformers have it: positions are counted behind the
/// padding token's id, and padding has that id's position.
///
/// What bert4keras and the Chinese world call RoBERTa is a plain BERT.
public struct RoBERTa: Family {
  public init() {}

  public var name: String { "roberta" }
  public var aliases: [String] { ["xlm-roberta"] }
  public var summary: String {
    "RoBERTa of fairseq and transformers: positions behind the padding id"
  }
  public var possibleHeads: [Head] { [.pooler, .mlm] }
  public var structure: Structure {
    var structure = Structure()
    structure.position = .absoluteAfterPadding
    return structure
  }
}
