/// How the TensorFlow checkpoints of one family are named, and what the code that reads these names
/// computes.
struct GoogleFamily: Sendable {
  /// ckpt's name of the family.
  let family: String
  /// In the order of a model; where two rows spell a weight the first is written.
  let rows: [FlatTable.Row]
  /// Rows for a gated feed-forward, which take the place of others when they are written.
  var gatedRows: [FlatTable.Row] = []
  var buffers: [(Template, String)] = []
  /// Beginnings of names that belong to the family.
  let namespace: [String]
  /// What "gelu" means in that code.
  let gelu: Activation
  /// The activation where no configuration names one.
  var activation: Activation { plainActivation ?? gelu }
  var plainActivation: Activation?
  /// Of the embeddings' norm, the blocks' and the MLM head's.
  let epsilons: [String]
  var mask = AttentionMaskKind.bidirectional
  /// Whether the family has no segments, whatever a configuration copied from BERT says.
  var lacksSegments = false
  /// What bert4keras calls it, or `nil` where it cannot load it.
  let bert4keras: String?

  /// Every name, for reading.
  var table: FlatTable {
    FlatTable(rows: rows + gatedRows, buffers: buffers, namespace: namespace)
  }

  /// The names that a model with this configuration has.
  func table(_ configuration: Configuration) -> FlatTable {
    FlatTable(
      rows: (configuration.gates.isEmpty ? [] : gatedRows) + rows, buffers: buffers,
      namespace: namespace)
  }
}

// MARK: - BERT and what is named after it

extension GoogleFamily {
  typealias Row = FlatTable.Row

  /// `modeling.py` of google-research/bert and, for the projection, bert4keras' mapping.
  static let bert = GoogleFamily(
    family: "bert",
    rows: embeddings("bert") + [position("bert")] + projection
      + blocks("layers.{i}", "bert/encoder/layer_{i}") + heads("nsp"),
    namespace: ["bert/", "cls/predictions/", "cls/seq_relationship/"], gelu: .geluTanh,
    epsilons: contrib, bert4keras: "bert")

  /// `modeling.py` of google-research/albert; an untied model has as many groups as layers.
  static let albert = GoogleFamily(
    family: "albert",
    rows: embeddings("bert") + [position("bert")] + projection
      + group("groups.{g}.{j}", "{g}", "{j}") + group("layers.{i}", "{i}", "0") + heads("sop"),
    namespace: bert.namespace, gelu: .geluTanh, epsilons: contrib, bert4keras: "albert")

  /// brightmart/albert_zh before it took Google's code.
  static let albertZh = GoogleFamily(
    family: "albert_zh",
    rows: embeddings("bert") + [
      position("bert"), row("embeddings.factor.kernel", "bert/embeddings/word_embeddings_2"),
    ]
      + blocks("groups.0.0", "bert/encoder/layer_shared")
      + blocks("layers.0", "bert/encoder/layer_shared") + heads("nsp"),
    namespace: bert.namespace, gelu: .geluTanh, epsilons: contrib, bert4keras: nil)

  /// Huawei's NEZHA-TensorFlow: BERT without a table of positions.
  static let nezha = GoogleFamily(
    family: "nezha",
    rows: embeddings("bert") + projection + blocks("layers.{i}", "bert/encoder/layer_{i}")
      + heads("nsp"),
    namespace: bert.namespace, gelu: .geluTanh, epsilons: contrib, bert4keras: "nezha")

  /// Only bert4keras has written these.
  static let roformer = GoogleFamily(
    family: "roformer", rows: nezha.rows, namespace: bert.namespace, gelu: .geluErf,
    epsilons: ["1e-07", "1e-07", "1e-12"], bert4keras: "roformer")

  static let roformerV2 = GoogleFamily(
    family: "roformer_v2", rows: nezha.rows, namespace: bert.namespace, gelu: .geluErf,
    epsilons: keras, bert4keras: "roformer_v2")

  /// `models.py` of ZhuiyiTechnology/GAU-alpha.
  static let gauAlpha = GoogleFamily(
    family: "gau_alpha",
    rows: embeddings("bert") + projection
      + [
        ("inner.kernel", "i_dense/kernel"), ("output.kernel", "o_dense/kernel"),
        ("query.gamma", "q_scaleoffset/gamma"), ("key.gamma", "k_scaleoffset/gamma"),
      ].map { row("layers.{i}.attention.\($0)", "GAU_alpha/encoder/layer_{i}/gau/\($1)") },
    namespace: ["bert/", "GAU_alpha/"], gelu: .geluErf, plainActivation: .silu, epsilons: keras,
    bert4keras: nil)

  /// The epsilon of `tf.contrib.layers.layer_norm`.
  static let contrib = ["1e-12", "1e-12", "1e-12"]
  /// Keras' epsilon, which bert4keras takes where it states none.
  static let keras = ["1e-07", "1e-07", "1e-07"]

  // MARK: Parts

  static func row(_ canonical: String, _ stored: String, transposed: Bool = false) -> Row {
    Row(Template(canonical), [Template(stored)], transposed: transposed)
  }

  static func dense(_ canonical: String, _ stored: String) -> [Row] {
    ["kernel", "bias"].map { row("\(canonical).\($0)", "\(stored)/\($0)") }
  }

  static func norm(_ canonical: String, _ stored: String) -> [Row] {
    ["gamma", "beta"].map { row("\(canonical).\($0)", "\(stored)/\($0)") }
  }

  static func embeddings(_ base: String) -> [Row] {
    [
      row("embeddings.token", "\(base)/embeddings/word_embeddings"),
      row("embeddings.segment", "\(base)/embeddings/token_type_embeddings"),
    ] + norm("embeddings.norm", "\(base)/embeddings/LayerNorm")
  }

  static func position(_ base: String) -> Row {
    row("embeddings.position", "\(base)/embeddings/position_embeddings")
  }

  private static let projection = dense(
    "embeddings.projection", "bert/encoder/embedding_hidden_mapping_in")

  static func blocks(
    _ block: String, _ layer: String, attentionNorm: String = "attention/output/LayerNorm",
    norm last: String = "output/LayerNorm"
  ) -> [Row] {
    ["query", "key", "value"].flatMap {
      dense("\(block).attention.\($0)", "\(layer)/attention/self/\($0)")
    } + dense("\(block).attention.output", "\(layer)/attention/output/dense")
      + norm("\(block).attention.norm", "\(layer)/\(attentionNorm)")
      + dense("\(block).feed_forward.inner", "\(layer)/intermediate/dense")
      + dense("\(block).feed_forward.output", "\(layer)/output/dense")
      + norm("\(block).feed_forward.norm", "\(layer)/\(last)")
  }

  private static func group(_ block: String, _ group: String, _ inner: String) -> [Row] {
    let layer = "bert/encoder/transformer/group_\(group)/inner_group_\(inner)"
    return ["query", "key", "value"].flatMap {
      dense("\(block).attention.\($0)", "\(layer)/attention_1/self/\($0)")
    } + dense("\(block).attention.output", "\(layer)/attention_1/output/dense")
      + norm("\(block).attention.norm", "\(layer)/LayerNorm")
      + dense("\(block).feed_forward.inner", "\(layer)/ffn_1/intermediate/dense")
      + dense("\(block).feed_forward.output", "\(layer)/ffn_1/intermediate/output/dense")
      + norm("\(block).feed_forward.norm", "\(layer)/LayerNorm_1")
  }

  private static func heads(_ sequence: String) -> [Row] {
    dense("pooler", "bert/pooler/dense") + [
      row("\(sequence).kernel", "cls/seq_relationship/output_weights", transposed: true),
      row("\(sequence).bias", "cls/seq_relationship/output_bias"),
    ] + dense("mlm.transform", "cls/predictions/transform/dense")
      + norm("mlm.norm", "cls/predictions/transform/LayerNorm")
      + [row("mlm.bias", "cls/predictions/output_bias")]
      + [
        row("head.classifier.kernel", "output_weights", transposed: true),
        row("head.classifier.bias", "output_bias"),
        row("head.qa_outputs.kernel", "cls/squad/output_weights", transposed: true),
        row("head.qa_outputs.bias", "cls/squad/output_bias"),
      ]
  }

  /// Layers on top, of `run_classifier.py` and `run_squad.py`.
  static let tops: [(name: String, kind: TopLayer.Kind, input: TopLayer.Input)] = [
    ("classifier", .dense(.activated(.linear)), .pooler), ("qa_outputs", .span, .sequence),
  ]
}
