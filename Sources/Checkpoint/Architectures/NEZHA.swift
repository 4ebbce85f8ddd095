/// NEZHA (arXiv 1909.00204): a BERT whose positions are distances, in keys and values.
///
/// The table of distances is a fixed sinusoid, clipped at 64, that bert4keras stores.
public struct NEZHA: Family {
  public init() {}

  public var name: String { "nezha" }
  public var summary: String { "NEZHA: relative positions on keys and values" }
  public var possibleHeads: [Head] { [.pooler, .nsp, .mlm] }
  public var structure: Structure {
    var structure = Structure()
    structure.position = .relative
    return structure
  }
}
