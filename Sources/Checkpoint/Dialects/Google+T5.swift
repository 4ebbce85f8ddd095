/// T5 1.0, T5 1.1 and mT5: names of Mesh TensorFlow's transformers, and what that code computes.
/// Source: bert4keras' mapping, and the names that transformers' converter reads.
extension GoogleFamily {
  static let t5 = mesh("t5", norm: "layer_norm", final: "final_layer_norm", bert4keras: "t5.1.0")
  static let mt5 = mesh("mt5", norm: "rms_norm", final: "rms_norm", bert4keras: "mt5.1.1")

  private static func mesh(
    _ family: String, norm: String, final: String, bert4keras: String
  ) -> GoogleFamily {
    func half(_ half: String, feedForward: Int) -> [Row] {
      part(half, 0, "attention", "SelfAttention", norm) + [
        row(
          "\(half).relative_position",
          "\(half)/block_000/layer_000/SelfAttention/relative_attention_bias", transposed: true),
        row(
          "\(half).layers.{i}.feed_forward.inner.kernel",
          dense(half, feedForward, "wi")),
        row(
          "\(half).layers.{i}.feed_forward.output.kernel",
          dense(half, feedForward, "wo")),
        row(
          "\(half).layers.{i}.feed_forward.norm.gamma",
          "\(layer(half, feedForward))/\(norm)/scale"),
        row("\(half).final_norm.gamma", "\(half)/\(final)/scale"),
      ]
    }
    func gated(_ half: String, feedForward: Int) -> [Row] {
      [("inner", "wi_0"), ("gate", "wi_1")].map {
        row("\(half).layers.{i}.feed_forward.\($0).kernel", dense(half, feedForward, $1))
      }
    }
    return GoogleFamily(
      family: family,
      rows: [row("embeddings.token", "shared/embedding")]
        + half("encoder", feedForward: 1)
        + part("decoder", 1, "cross_attention", "EncDecAttention", norm)
        + half("decoder", feedForward: 2) + [row("lm.kernel", "decoder/logits/kernel")],
      gatedRows: gated("encoder", feedForward: 1) + gated("decoder", feedForward: 2),
      buffers: [
        (
          "decoder/block_000/layer_001/EncDecAttention/relative_attention_bias",
          "nothing reads it: cross-attention has no position bias"
        )
      ],
      namespace: ["shared/", "encoder/", "decoder/"], gelu: .geluTanh, plainActivation: .relu,
      epsilons: ["1e-06", "1e-06", "1e-06"], lacksSegments: true, bert4keras: bert4keras)
  }

  private static func layer(_ half: String, _ index: Int) -> String {
    "\(half)/block_{i:3}/layer_00\(index)"
  }

  private static func dense(_ half: String, _ index: Int, _ name: String) -> String {
    "\(layer(half, index))/DenseReluDense/\(name)/kernel"
  }

  private static func part(
    _ half: String, _ index: Int, _ canonical: String, _ module: String, _ norm: String
  ) -> [Row] {
    [("query", "q"), ("key", "k"), ("value", "v"), ("output", "o")].map {
      row(
        "\(half).layers.{i}.\(canonical).\($0).kernel", "\(layer(half, index))/\(module)/\($1)")
    } + [
      row("\(half).layers.{i}.\(canonical).norm.gamma", "\(layer(half, index))/\(norm)/scale")
    ]
  }
}
