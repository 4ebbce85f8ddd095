/// The first Chinese ALBERT (brightmart/albert_zh before Google's release): one shared layer, the
/// token table multiplied by a matrix before anything is added, no norm between the two.
///
/// Source: `bert.py` of albert_zh v0.2.3 (`word_embeddings_2`, `layer_shared`).
public struct BrightmartALBERT: Family {
  public init() {}

  public var name: String { "albert_zh" }
  public var aliases: [String] { ["brightmart_albert"] }
  public var summary: String {
    "brightmart's first ALBERT: a factored token table, one shared layer"
  }
  public var possibleHeads: [Head] { [.pooler, .nsp, .mlm] }
  public var stated: [String] { ["num_attention_heads", "num_hidden_layers"] }
  public var structure: Structure { Structure() }

  public func inferred(from shapes: [String: Shape], heads: Int?) -> [String: Int] {
    ALBERT().inferred(from: shapes, heads: heads)
  }

  public func settled(_ name: String, _ configuration: Configuration) -> String {
    ALBERT().settled(name, configuration)
  }

  public func check(_ configuration: Configuration) throws(CheckpointError) {
    try Transformer.check(configuration, structure)
  }
}
