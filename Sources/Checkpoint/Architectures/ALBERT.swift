/// ALBERT (arXiv 1909.11942): factorized embeddings, layers shared in groups.
///
/// An untied one (bert4keras' `albert_unshared`; transformers with as many groups as layers) has
/// the weights `layers.{i}` and `Configuration.groups == nil`.
public struct ALBERT: Family {
  public init() {}

  public var name: String { "albert" }
  public var aliases: [String] { ["albert_unshared"] }
  public var summary: String { "ALBERT: factorized embeddings, layers shared in groups or untied" }
  public var possibleHeads: [Head] { [.pooler, .sop, .mlm] }
  public var structure: Structure { Structure() }
  public var stated: [String] { ["num_attention_heads", "num_hidden_layers"] }

  public func inferred(from shapes: [String: Shape], heads: Int?) -> [String: Int] {
    var values = Transformer.inferred(from: shapes, structure, heads: heads)
    guard Transformer.count("layers.", in: shapes) == nil else { return values }
    let groups = Transformer.count("groups.", in: shapes)
    values["num_hidden_groups"] = groups
    values["inner_group_num"] = groups.flatMap { groups in
      (0..<groups).compactMap { Transformer.count("groups.\($0).", in: shapes) }.max()
    }
    return values
  }

  public func settled(_ name: String, _ configuration: Configuration) -> String {
    guard configuration.groups == nil, name.hasPrefix("groups.") else { return name }
    let parts = name.split(separator: ".", maxSplits: 3)
    return parts.count == 4 ? "layers.\(parts[1]).\(parts[3])" : name
  }

  public func check(_ configuration: Configuration) throws(CheckpointError) {
    try Transformer.check(configuration, structure)
    if let groups = configuration.groups, groups > configuration.layers {
      throw CheckpointError(
        .mismatch, Place(),
        "num_hidden_groups is \(groups), more than num_hidden_layers, \(configuration.layers)")
    }
  }
}
