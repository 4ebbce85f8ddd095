/// keras-bert: Keras layers such as `Encoder-1-FeedForward`, with weights that have names of their own.
///
/// Source: keras-bert 0.89.0 (`bert.py`, `layers/embedding.py`, `loader.py`), keras-transformer 0.40.0
/// and 0.30.0 (`transformer.py`, `gelu.py`), keras-multi-head 0.29.0, keras-layer-normalization 0.16.0,
/// keras-position-wise-feed-forward 0.8.0. The first versions of bert4keras took the layers' names from
/// it; what tells them apart is the weights'.
public struct KerasBERT: Dialect {
  public init() {}

  public var name: String { "keras-bert" }
  public var aliases: [String] { ["keras_bert"] }
  public var summary: String { "keras-bert: Keras layers such as Encoder-1-FeedForward" }
  public var families: [String] { ["bert"] }
  public var format: String { "keras-h5" }
  public var fileName: String { "weights.h5" }

  public func recognise(_ checkpoint: Checkpoint, configuration: JSON?) -> String? {
    let layers = layers(checkpoint)
    guard layers.contains(where: { $0.name == "Embedding-Token" }) else { return nil }
    return KerasBERT.hasOwnAttention(layers) ? "bert" : nil
  }

  /// Whether the first layer of attention has keras-multi-head's weights, by which its users' files
  /// are known from bert4keras'.
  static func hasOwnAttention(_ layers: [Group]) -> Bool {
    let first = layers.first { $0.name.hasSuffix("-MultiHeadSelfAttention") && !$0.tensors.isEmpty }
    return first?.tensors.contains { tensor in
      ([tensor.name] + tensor.aliases).contains { $0.contains("-MultiHeadSelfAttention_Wq") }
    } ?? false
  }

  /// The layers of a file, or of a checkpoint of objects by the variables' own names.
  private func layers(_ checkpoint: Checkpoint) -> [Group] {
    Bert4kerasBundle(checkpoint.tensors, "bert", nil).map { $0.named($0.layers) }
      ?? checkpoint.kerasLayers
  }

  public func arranged(_ spelling: Spelling, for format: String) -> Spelling {
    format == TFCheckpoint().name ? Bert4kerasBundle.arranged(spelling, KerasBERT.table) : spelling
  }

  public func bind(
    _ checkpoint: Checkpoint, family: String
  ) throws(CheckpointError) -> Binding {
    let layers = layers(checkpoint)
    for layer in layers where !layer.tensors.isEmpty {
      if let what = KerasBERT.refused.first(where: { layer.name.hasSuffix($0.suffix) })?.what {
        throw CheckpointError(
          .unsupported, Place(member: layer.name), "ckpt cannot compute \(what) of keras-bert")
      }
    }
    var binding = try KerasBERT.table.bind(layers, family: family)
    for index in binding.weights.indices {
      binding.weights[index].sources = [binding.weights[index].tensor.storedName]
    }
    binding.left += Bert4kerasBundle(checkpoint.tensors, "bert", nil)?.left ?? []
    guard let graph = KerasGraph(checkpoint) else { return binding }
    for layer in layers {
      let config = graph.form(of: layer.name)?.config
      if layer.name.hasSuffix("SelfAttention"), let name = config?["activation"]?.string,
        name != "linear"
      {
        throw CheckpointError(
          .unsupported, Place(member: layer.name),
          "ckpt cannot compute attention with an activation (\(name)) of its projections")
      }
      if layer.name.hasSuffix("-FeedForward"), config.flatMap(KerasBERT.activation) == "gelu",
        binding.warnings.isEmpty
      {
        binding.warnings = [KerasBERT.doubt]
      }
    }
    return binding
  }

  /// Parts of keras-bert that no ``Structure`` describes.
  private static let refused = [
    (suffix: "-Adapter", what: "the adapters"),
    (suffix: "Embedding-Task", what: "the task embeddings"),
  ]

  // MARK: Names

  static let table = LayerTable(
    rows: [
      .init("Embedding-Token", [("embeddings.token", "embeddings:0")]),
      .init("Embedding-Segment", [("embeddings.segment", "embeddings:0")]),
      .init("Embedding-Position", [("embeddings.position", "embeddings:0")]),
      norm("Embedding-Norm", "embeddings.norm"),
      .init(
        "Encoder-{i+1}-MultiHeadSelfAttention",
        [
          [("query", "q"), ("key", "k"), ("value", "v"), ("output", "o")].flatMap { part, letter in
            own("layers.{i}.attention.\(part)", letter)
          }
        ]),
      norm("Encoder-{i+1}-MultiHeadSelfAttention-Norm", "layers.{i}.attention.norm"),
      .init(
        "Encoder-{i+1}-FeedForward",
        [
          [("inner", "1"), ("output", "2")].flatMap { part, number in
            own("layers.{i}.feed_forward.\(part)", number)
          }
        ]),
      norm("Encoder-{i+1}-FeedForward-Norm", "layers.{i}.feed_forward.norm"),
      dense("MLM-Dense", "mlm.transform"),
      norm("MLM-Norm", "mlm.norm"),
      .init("MLM-Sim", [("mlm.bias", "bias:0")]),
      dense("NSP-Dense", "pooler"),
      dense("NSP", "nsp"),
    ],
    namespace: ["Embedding-", "Encoder-", "MLM-", "NSP-"])

  private static func own(_ canonical: String, _ end: String) -> [LayerTable.Item] {
    [
      .init("\(canonical).kernel", "{layer}_W\(end):0", at: "W\(end)"),
      .init("\(canonical).bias", "{layer}_b\(end):0", at: "b\(end)"),
    ]
  }

  private static func dense(_ layer: String, _ canonical: String) -> LayerTable.Row {
    .init(
      layer,
      [("\(canonical).kernel", "kernel:0"), ("\(canonical).bias", "bias:0")])
  }

  private static func norm(_ layer: String, _ canonical: String) -> LayerTable.Row {
    .init(
      layer,
      [("\(canonical).gamma", "gamma:0"), ("\(canonical).beta", "beta:0")])
  }

  public func valueNames(_ architecture: FamilyArchitecture) -> [String: String] {
    var names = [
      "embeddings.token": "Embedding-Token", "embeddings.segment": "Embedding-Segment",
      "embeddings.norm": "Embedding-Norm", "pooler": "NSP-Dense", "nsp_probs": "NSP",
      "mlm.transform": "MLM-Dense", "mlm.norm": "MLM-Norm", "mlm_probs": "MLM-Sim",
    ]
    for depth in 0..<architecture.configuration.depth {
      for (value, layer) in [
        ("attention.output", "MultiHeadSelfAttention"),
        ("attention.norm", "MultiHeadSelfAttention-Norm"),
        ("feed_forward.output", "FeedForward"), ("feed_forward.norm", "FeedForward-Norm"),
      ] {
        names["layers.\(depth).\(value)"] = "Encoder-\(depth + 1)-\(layer)"
      }
    }
    for top in architecture.tops { names["head.\(top.name)"] = top.name }
    return names
  }

  public func bindTops(
    _ binding: inout Binding, of checkpoint: Checkpoint, configuration: JSON?,
    said: [(name: String, value: String)]
  ) throws(CheckpointError) {
    let base = KerasTops.Base(
      pooler: "NSP-Dense", first: ["Extract"], block: "Encoder-", activation: { activation($0) })
    try KerasTops(binding, of: checkpoint, configuration: configuration, base: base, said: said)
      .move(in: &binding)
  }
}
