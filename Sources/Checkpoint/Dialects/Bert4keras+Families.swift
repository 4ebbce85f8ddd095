/// Which family a file's layers are, and what each of its layers holds.
extension Bert4keras {
  /// The layer by which a model is known; what stands before it is the user's prefix.
  static let tokens = "Embedding-Token"

  /// What a user has put before every layer's name (`prefix=` of bert4keras).
  static func prefix(of layers: [String]) -> String {
    let found = layers.filter { $0.hasSuffix(tokens) }.map { $0.dropLast(tokens.count) }
    return found.min { $0.count < $1.count }.map(String.init) ?? ""
  }

  /// The layers with their plain names; what lacks the prefix is none of the model's.
  static func plain(_ layers: [Group], prefix: String) -> [Group] {
    guard !prefix.isEmpty else { return layers }
    return layers.map { group in
      guard group.name.hasPrefix(prefix) else { return group }
      var layer = group
      layer.name = String(group.name.dropFirst(prefix.count))
      return layer
    }
  }

  /// A family told by layers' names, as far as they tell it.
  struct Recognised {
    var family: String
    /// Families with the same names, which a configuration may mean.
    var alike: [String] = []
    /// What people should know when nothing else has decided.
    var remark: String?
  }

  /// - Parameter calls: how often a whole model says that its first block is applied.
  static func recognise(
    _ layers: [Group], _ configuration: JSON?, calls: Int?
  ) -> Recognised? {
    let names = Set(layers.filter { !$0.tensors.isEmpty }.map(\.name))
    // keras-bert has the same layers and other weights.
    guard names.contains(tokens), !KerasBERT.hasOwnAttention(layers) else { return nil }
    func has(_ name: String) -> Bool { names.contains(name) }
    if has("Encoder-Transformer-0-FeedForward") || has("Decoder-Transformer-0-FeedForward") {
      return Recognised(family: "t5", alike: ["mt5"])
    }
    if layers.first(where: { $0.name == tokens })?.tensors.count == 2 {
      return Recognised(family: "albert_zh")
    }
    if has("Transformer-MultiHeadSelfAttention") { return Recognised(family: "albert") }
    if has("Transformer-0-GatedAttentionUnit") { return Recognised(family: "gau_alpha") }
    guard let first = firstBlock(layers) else { return nil }
    if has("\(first)-FeedForward-Norm-0") { return Recognised(family: "gpt2_ml") }
    if has("Output-Norm") { return Recognised(family: "gpt2") }
    if has("Discriminator-Dense") { return Recognised(family: "electra") }
    guard has("\(first)-MultiHeadSelfAttention-Norm") else {
      return Recognised(family: "roformer_v2")
    }
    let attention = layers.first { $0.name.hasSuffix("-MultiHeadSelfAttention") }
    let hasTable = attention?.tensors.contains { $0.name.contains("relative_embeddings") } ?? false
    if has("Embedding-Relative-Position") || hasTable { return Recognised(family: "nezha") }
    guard has("Embedding-Position") else { return Recognised(family: "roformer") }
    guard has("Embedding-Norm") else { return Recognised(family: "gpt") }
    // One block under a number, applied several times: ALBERT before 0.5.8.
    if isShared(layers, configuration, calls: calls) { return Recognised(family: "albert") }
    let remark =
      has("Embedding-Mapping")
      ? "embedding_size is not hidden_size, as in bert4keras' factorized BERT, an untied ALBERT and "
        + "ELECTRA's encoder, which compute the same; bert is assumed: --family decides"
      : nil
    return Recognised(
      family: configuration?["num_hidden_groups"] == nil ? "bert" : "albert",
      alike: ["bert", "albert", "electra", "distilbert"], remark: remark)
  }

  /// The first block's name: counted from 0, and before 0.5.7 from 1, under two names.
  private static func firstBlock(_ layers: [Group]) -> String? {
    ["Transformer-0", "Transformer-1", "Encoder-1"].first { block in
      layers.contains { $0.name == "\(block)-MultiHeadSelfAttention" }
    }
  }

  /// Whether there is one block although the model has several layers.
  static func isShared(_ layers: [Group], _ configuration: JSON?, calls: Int?) -> Bool {
    blocks(layers) == 1 && calls ?? configuration?["num_hidden_layers"]?.int ?? 1 > 1
  }

  static func blocks(_ layers: [Group]) -> Int {
    layers.count { $0.name.hasSuffix("-MultiHeadSelfAttention") && !$0.tensors.isEmpty }
  }

  /// The family that a configuration names, among those that names leave open.
  static func stated(_ configuration: JSON?, among families: [String]) -> String? {
    for key in ["model", "model_type"] {
      guard let name = configuration?[key]?.string else { continue }
      // What bert4keras calls RoBERTa is its BERT.
      let family = name == "roberta" ? "bert" : (try? ArchitectureRegistry.named(name))?.name
      if let family, families.contains(family) { return family }
    }
    return nil
  }

  // MARK: Tables

  /// - Parameter layers: of the file, where one is read. A single block of ALBERT is shared, whatever
  ///   its name, and blocks may be counted from 1.
  static func table(_ family: String, for layers: [Group] = []) -> LayerTable {
    let isALBERT = family.hasPrefix("albert")
    let number = firstBlock(layers) == "Transformer-1" ? "{i+1}" : "{i}"
    let shared = "groups.0.0"
    let numbered =
      blocks(layers) == 1 && isALBERT
      ? ["Transformer-0", "Transformer-1", "Encoder-1"].flatMap { blocks($0, shared) }
      : ["Transformer-\(number)", "Encoder-{i+1}"].flatMap {
        blocks($0, "layers.{i}", hasTables: family == "nezha")
      }
    let halves = ["Encoder", "Decoder"].flatMap { half -> [LayerTable.Row] in
      let base = half.lowercased()
      return blocks("\(half)-Transformer-{i}", "\(base).layers.{i}") + [
        table("\(half)-Embedding-Relative-Position", "\(base).relative_position"),
        dense("\(half)-Embedding-Mapping", "\(base).embeddings.projection"),
        norm("\(half)-Output-Norm", "\(base).final_norm"),
      ]
    }
    let token = LayerTable.Item("embeddings.token", "embeddings:0")
    return LayerTable(
      rows: [
        .init(tokens, [[token], [token, .init("embeddings.factor.kernel", "project_kernel:0")]]),
        table("Embedding-Segment", "embeddings.segment"),
        table("Embedding-Position", "embeddings.position"),
        table("Embedding-Relative-Position", "embeddings.relative_position"),
        norm("Embedding-Norm", "embeddings.norm"),
        dense("Embedding-Mapping", "embeddings.projection"),
        norm("Output-Norm", "final_norm"),
        dense("Pooler-Dense", "pooler"),
        dense("NSP-Proba", family == "albert" ? "sop" : "nsp"),
        dense("MLM-Dense", "mlm.transform"),
        norm("MLM-Norm", "mlm.norm"),
        .init("MLM-Bias", [[.init("mlm.bias", "beta:0")]]),
        .init("MLM-Proba", [[.init("mlm.bias", "bias:0")]]),
        dense("Output-Mapping", "mlm.projection"),
        dense("Discriminator-Dense", "discriminator.transform"),
        dense("Discriminator-Prediction", "discriminator.prediction"),
        dense("Decoder-Output-Mapping", "lm.projection"),
        dense("Decoder-Output-LM", "lm"),
      ] + halves + blocks("Transformer", shared) + numbered,
      namespace: [
        "Embedding-", "Transformer-", "Pooler", "NSP-", "MLM-", "Encoder-", "Decoder-", "Output-",
        "LM-", "Discriminator-",
      ])
  }

  /// - Parameter hasTables: whether each layer may hold the table of distances (NEZHA to 0.5.8).
  private static func blocks(
    _ layer: String, _ block: String, hasTables: Bool = false
  ) -> [LayerTable.Row] {
    let table = [LayerTable.Item("embeddings.relative_position", "relative_embeddings:0")]
    return ["Self", "Cross"].flatMap { kind -> [LayerTable.Row] in
      let name = "\(layer)-MultiHead\(kind)Attention"
      let base = "\(block).\(kind == "Self" ? "attention" : "cross_attention")"
      return [
        .init(name, attention(base), older: hasTables ? [attention(base)[0] + table] : []),
        norm("\(name)-Norm", "\(base).norm"),
      ]
    } + [
      .init("\(layer)-FeedForward", feedForward("\(block).feed_forward")),
      norm("\(layer)-FeedForward-Norm", "\(block).feed_forward.norm"),
      // GPT2_ML's two norms around the feed-forward.
      norm("\(layer)-FeedForward-Norm-0", "\(block).attention.norm"),
      norm("\(layer)-FeedForward-Norm-1", "\(block).feed_forward.norm"),
      .init("\(layer)-GatedAttentionUnit", gatedUnit("\(block).attention")),
      norm("\(layer)-GatedAttentionUnit-Norm", "\(block).attention.norm"),
    ]
  }

  private static func attention(_ base: String) -> [[LayerTable.Item]] {
    let mixing = ["pre_softmax", "post_softmax"]
    let further: [[LayerTable.Item]] = [
      [],
      mixing.map { .init("\(base).\($0).kernel", "\($0)/\($0)_weight:0") },
      mixing.flatMap {
        [
          .init("\(base).\($0).kernel", "\($0)/\($0)_weight:0"),
          .init("\(base).\($0).bias", "\($0)/\($0)_bias:0"),
        ]
      },
    ]
    return further.flatMap { further in
      [true, false].map { hasBias in
        [("query", "q"), ("key", "k"), ("value", "v"), ("output", "o")].enumerated().flatMap {
          inner($0, "\(base).\($1.0)", at: "\($1.1)_dense", hasBias)
        } + further
      }
    }
  }

  private static func feedForward(_ base: String) -> [[LayerTable.Item]] {
    (0...3).flatMap { gates in
      let parts = ["inner"] + Configuration.gateNames(gates) + ["output"]
      return [true, false].map { hasBias in
        parts.enumerated().flatMap {
          inner($0, "\(base).\($1)", at: $0 > gates ? "o_dense" : "i\($0)_dense", hasBias)
        }
      }
    }
  }

  private static func gatedUnit(_ base: String) -> [[LayerTable.Item]] {
    [true, false].map { hasBias in
      let scales = ["query", "key"].enumerated().flatMap { index, part in
        let (name, attribute) = (counted("scale_offset", index), "\(part.prefix(1))_scaleoffset")
        return (hasBias ? ["beta", "gamma"] : ["gamma"]).map {
          LayerTable.Item("\(base).\(part).\($0)", "\(name)/\($0):0", at: "\(attribute)/\($0)")
        }
      }
      return inner(0, "\(base).inner", at: "i_dense", hasBias) + scales
        + inner(1, "\(base).output", at: "o_dense", hasBias)
    }
  }

  /// An inner Dense layer, counted inside its layer as Keras 2.15 does.
  private static func inner(
    _ index: Int, _ canonical: String, at attribute: String, _ hasBias: Bool
  ) -> [LayerTable.Item] {
    let name = counted("dense", index)
    return (hasBias ? ["kernel", "bias"] : ["kernel"]).map {
      LayerTable.Item("\(canonical).\($0)", "\(name)/\($0):0", at: "\(attribute)/\($0)")
    }
  }

  private static func counted(_ name: String, _ index: Int) -> String {
    index == 0 ? name : "\(name)_\(index)"
  }

  private static func dense(_ layer: String, _ canonical: String) -> LayerTable.Row {
    let kernel = LayerTable.Item("\(canonical).kernel", "kernel:0")
    return .init(layer, [[kernel, .init("\(canonical).bias", "bias:0")], [kernel]])
  }

  private static func table(_ layer: String, _ canonical: String) -> LayerTable.Row {
    .init(layer, [[.init(canonical, "embeddings:0")]])
  }

  /// A norm, conditional or not: its own weights, then the Dense layers that shift them.
  private static func norm(
    _ layer: String, _ canonical: String
  ) -> LayerTable.Row {
    let both = [["beta", "gamma"], ["gamma"]]
    let own = both.map { $0.map { LayerTable.Item("\(canonical).\($0)", "\($0):0") } }
    func conditional(_ hidden: [(weight: String, attribute: String)]) -> [[LayerTable.Item]] {
      zip(own, both).map { own, parts in
        let dense = hidden + parts.map { (weight: "condition_\($0)", attribute: "\($0)_dense") }
        return own
          + dense.enumerated().flatMap {
            inner($0, "\(canonical).\($1.weight)", at: $1.attribute, false)
          }
      }
    }
    let hidden = [(weight: "condition", attribute: "hidden_dense")]
    return .init(layer, own + conditional([]) + conditional(hidden))
  }
}
