/// BERT's encoder (arXiv 1810.04805): every layer has its own weights.
///
/// With `embedding_size` other than `hidden_size` it is bert4keras' factorized form, which is also
/// what an untied ALBERT looks like there.
public struct BERT: Family {
  public init() {}

  public var name: String { "bert" }
  public var summary: String { "BERT: post-LayerNorm encoder, own weights in every layer" }
  public var possibleHeads: [Head] { [.pooler, .nsp, .mlm] }
  public var stated: [String] { ["num_attention_heads"] }

  public func weights(_ architecture: FamilyArchitecture) -> [WeightSpec] {
    let configuration = architecture.configuration
    return Encoder.embeddings(configuration)
      + configuration.blocks.flatMap { Encoder.block($0, configuration) }
      + Encoder.heads(architecture.heads, configuration)
  }

  public func inferred(from shapes: [String: Shape], heads: Int?) -> [String: Int] {
    let layers = Encoder.count("layers.", in: shapes)
    var values = Encoder.inferred(
      from: shapes, firstBlock: layers == nil ? nil : "layers.0", heads: heads)
    values["num_hidden_layers"] = layers
    return values
  }

  public func check(_ configuration: Configuration) throws(CheckpointError) {
    try Encoder.check(configuration)
    guard configuration.groups == nil, configuration.innerGroups == 1 else {
      throw CheckpointError(
        .mismatch, Place(), "BERT's layers are not in groups", hint: "use --family albert")
    }
  }
}
