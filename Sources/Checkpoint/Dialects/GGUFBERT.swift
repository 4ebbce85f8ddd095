/// The names of llama.cpp's BERT in GGUF, with the sizes and the vocabulary among the metadata.
///
/// Sources: `conversion/bert.py`, `src/models/bert.cpp` and `src/llama-vocab.cpp` of llama.cpp, gguf-py.
public struct GGUFBERT: Dialect {
  public init() {}

  public var name: String { "gguf-bert" }
  public var aliases: [String] { ["gguf", "llama.cpp"] }
  public var summary: String { "llama.cpp's BERT: blk.0.attn_q.weight, sizes in the metadata" }
  public var families: [String] { ["bert"] }
  public var format: String { GGUF().name }
  public var fileName: String { "model.gguf" }

  static let architectureKey = "general.architecture"
  static let architecture = "bert"

  public func recognise(_ checkpoint: Checkpoint, configuration: JSON?) -> String? {
    let names = Set(checkpoint.tensors.map(\.name))
    guard names.isSuperset(of: ["token_embd.weight", "token_embd_norm.weight"]),
      names.contains("blk.0.attn_output_norm.weight"),
      [GGUFBERT.architecture, nil].contains(checkpoint.text(GGUFBERT.architectureKey))
    else { return nil }
    return "bert"
  }

  public func bind(
    _ checkpoint: Checkpoint, family: String
  ) throws(CheckpointError) -> Binding {
    try GGUFBERT.table.bind(checkpoint.tensors, family: family)
  }

  static let table = FlatTable(
    rows: [
      row("embeddings.token", "token_embd.weight"),
      row("embeddings.segment", "token_types.weight"),
      row("embeddings.position", "position_embd.weight"),
    ] + norm("embeddings.norm", "token_embd_norm")
      + [
        ("attention.query", "attn_q"), ("attention.key", "attn_k"), ("attention.value", "attn_v"),
        ("attention.output", "attn_output"), ("feed_forward.inner", "ffn_up"),
        ("feed_forward.output", "ffn_down"),
      ].flatMap { dense(["layers.{i}.\($0)"], "blk.{i}.\($1)") }
      + dense(["query", "key", "value"].map { "layers.{i}.attention.\($0)" }, "blk.{i}.attn_qkv")
      + norm("layers.{i}.attention.norm", "blk.{i}.attn_output_norm")
      + norm("layers.{i}.feed_forward.norm", "blk.{i}.layer_output_norm"),
    buffers: [], namespace: ["token_", "position_embd.", "blk."])

  private static func row(_ canonical: String, _ stored: String) -> FlatTable.Row {
    .init(Template(canonical), [Template(stored)])
  }

  private static func dense(_ canonical: [String], _ stored: String) -> [FlatTable.Row] {
    [
      .init(
        canonical.map { Template("\($0).kernel") }, [Template("\(stored).weight")], .transposed),
      .init(canonical.map { Template("\($0).bias") }, [Template("\(stored).bias")]),
    ]
  }

  private static func norm(_ canonical: String, _ stored: String) -> [FlatTable.Row] {
    [row("\(canonical).gamma", "\(stored).weight"), row("\(canonical).beta", "\(stored).bias")]
  }

  // MARK: What llama.cpp computes

  /// The activation is fixed, whatever a configuration beside the file says.
  public func translated(_ configuration: JSON, family: String) -> JSON {
    .object(
      (configuration.members ?? []).filter { !["hidden_act", "activation"].contains($0.key) })
  }

  public func defaults(
    _ binding: Binding, family: String, configuration: JSON?
  ) -> [(String, JSON)] {
    [
      ("hidden_act", "gelu_tanh"), ("pooler_activation", "tanh"), ("mask", "bidirectional"),
      ("padding", "attention-mask"), ("head_output", "logits"),
    ].map { ($0.0, JSON.string($0.1)) }
      + ConfigurationKey.epsilons.map { ($0, JSON.literal("1e-12")) }
  }

  public func stated(in checkpoint: Checkpoint) -> [(String, JSON)] {
    func value(_ key: String) -> JSON? {
      guard
        case .numbers(let dtype, let shape, let bytes)? = checkpoint.attributes.first(where: {
          $0.name == "\(GGUFBERT.architecture).\(key)"
        })?.value, shape.isEmpty
      else { return nil }
      switch dtype {
      case .bool: return .bool(bytes.first == 1)
      // Shortest digits: 1e-12, not the 9.999999960041972e-13 that it is stored as.
      case .f32: return Elements.load(bytes, Float.self).first.map { .literal("\($0)") }
      default:
        let numbers: [Double] = Elements.decode(bytes, as: dtype)
        return numbers.first.flatMap { Int(exactly: $0) }.map { .number($0) }
      }
    }
    var values = GGUFBERT.sizes.compactMap { key, name in value(key).map { (name, $0) } }
    if let epsilon = value(GGUFBERT.epsilon) {
      values += ConfigurationKey.epsilons.map { ($0, epsilon) }
    }
    if let isCausal = value(GGUFBERT.causal)?.bool {
      values.append(("mask", .string(isCausal ? "causal" : "bidirectional")))
    }
    return values
  }

  static let sizes = [
    ("context_length", "max_position_embeddings"), ("embedding_length", "hidden_size"),
    ("block_count", "num_hidden_layers"), ("feed_forward_length", "intermediate_size"),
    ("attention.head_count", "num_attention_heads"),
  ]
  static let epsilon = "attention.layer_norm_epsilon"
  static let causal = "attention.causal"

  public func computed(_ architecture: FamilyArchitecture) -> Configuration {
    var c = architecture.configuration
    c.activation = .geluTanh
    c.padding = .attentionMask
    c.headOutput = .logits
    let epsilon = Double("\(Float(c.blockNormEpsilon))") ?? c.blockNormEpsilon
    (c.embeddingNormEpsilon, c.blockNormEpsilon, c.headNormEpsilon) = (epsilon, epsilon, epsilon)
    return c
  }

  public func activation(_ name: String) -> Activation? { Activation(rawValue: name) }
}
