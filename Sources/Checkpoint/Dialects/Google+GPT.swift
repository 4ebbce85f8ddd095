/// GPT, GPT-2 and GPT2-ML.
extension GoogleFamily {
  /// Only bert4keras reads and writes these.
  static let gpt = GoogleFamily(
    family: "gpt",
    rows: embeddings("gpt") + [position("gpt")]
      + blocks("layers.{i}", "gpt/transformer/layer_{i}"),
    namespace: ["gpt/"], gelu: .geluErf, epsilons: contrib, mask: .causal, bert4keras: "gpt")

  /// bert4keras' names, which are written, and OpenAI's of `model.py` of openai/gpt-2, whose kernels
  /// lie as convolutions do, query, key and value in one.
  static let gpt2 = GoogleFamily(
    family: "gpt2",
    rows: embeddings("gpt") + [position("gpt")]
      + blocks(
        "layers.{i}", "gpt/transformer/layer_{i}", attentionNorm: "attention/input/LayerNorm",
        norm: "input/LayerNorm")
      + norm("final_norm", "gpt/output/LayerNorm") + openAI,
    namespace: ["gpt/", openAIBase], gelu: .geluErf, epsilons: ["1e-05", "1e-05", "1e-05"],
    mask: .causal, lacksSegments: true, bert4keras: "gpt2")

  static let openAIBase = "model/"

  private static let openAI: [Row] =
    [row("embeddings.token", "model/wte"), row("embeddings.position", "model/wpe")]
    + openAINorm("layers.{i}.attention.norm", "model/h{i}/ln_1")
    + openAIDense(["query", "key", "value"].map { "attention.\($0)" }, "attn/c_attn")
    + openAIDense(["attention.output"], "attn/c_proj")
    + openAINorm("layers.{i}.feed_forward.norm", "model/h{i}/ln_2")
    + openAIDense(["feed_forward.inner"], "mlp/c_fc")
    + openAIDense(["feed_forward.output"], "mlp/c_proj")
    + openAINorm("final_norm", "model/ln_f")

  private static func openAIDense(_ parts: [String], _ stored: String) -> [Row] {
    func names(_ end: String) -> [Template] { parts.map { Template("layers.{i}.\($0).\(end)") } }
    return [
      Row(names("kernel"), [Template("model/h{i}/\(stored)/w")], .squeezed),
      Row(names("bias"), [Template("model/h{i}/\(stored)/b")]),
    ]
  }

  private static func openAINorm(_ canonical: String, _ stored: String) -> [Row] {
    [row("\(canonical).gamma", "\(stored)/g"), row("\(canonical).beta", "\(stored)/b")]
  }

  /// `train/modeling.py` of imcaspar/gpt2-ml, after Grover.
  static let gpt2ML = GoogleFamily(
    family: "gpt2_ml",
    rows: [
      row("embeddings.token", "newslm/embeddings/word_embed"),
      row("embeddings.position", "newslm/embeddings/pos_embed"),
    ] + norm("embeddings.norm", "newslm/embeddings/LayerNorm_embed_norm")
      + [
        ("attention.query", "query_layer"), ("attention.key", "key_layer"),
        ("attention.value", "value_layer"), ("attention.output", "context_projection_layer"),
        ("feed_forward.inner", "intermediate"), ("feed_forward.output", "output"),
      ].flatMap { dense("layers.{i}.\($0)", "newslm/layer{i:2}/\($1)") }
      + norm("layers.{i}.attention.norm", "newslm/layer{i:2}/LayerNorm_mlp_ln0")
      + norm("layers.{i}.feed_forward.norm", "newslm/layer{i:2}/LayerNorm_mlp_ln1"),
    namespace: ["newslm/"], gelu: .geluTanh, epsilons: ["1e-05", "1e-05", "1e-05"], mask: .causal,
    lacksSegments: true, bert4keras: "gpt2_ml")
}
