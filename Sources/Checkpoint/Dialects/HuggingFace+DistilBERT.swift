/// Source: `modeling_distilbert.py` and `configuration_distilbert.py` of transformers 5.23.
extension HuggingFaceFamily {
  static func distilbert(_ storage: HuggingFaceRows.Storage) -> HuggingFaceFamily {
    let rows = HuggingFaceRows(base: "distilbert.", storage: storage)
    let (block, stored) = ("layers.{i}", "transformer.layer.{i}")
    let attention = [("query", "q"), ("key", "k"), ("value", "v"), ("output", "out")]
    let classifier = HuggingFaceTask.sequence(
      "pre_classifier", .activated(.relu), then: "classifier")
    return HuggingFaceFamily(
      family: "distilbert", modelTypes: ["distilbert"],
      signatures: ["distilbert.", ""].map { $0 + "transformer.layer.0.attention.q_lin.weight" },
      rows: [
        rows.row("embeddings.token", "embeddings.word_embeddings.weight"),
        rows.row("embeddings.position", "embeddings.position_embeddings.weight"),
      ] + rows.norm("embeddings.norm", "embeddings.LayerNorm")
        + attention.flatMap {
          rows.dense("\(block).attention.\($0)", "\(stored).attention.\($1)_lin")
        }
        + rows.norm("\(block).attention.norm", "\(stored).sa_layer_norm")
        + rows.dense("\(block).feed_forward.inner", "\(stored).ffn.lin1")
        + rows.dense("\(block).feed_forward.output", "\(stored).ffn.lin2")
        + rows.norm("\(block).feed_forward.norm", "\(stored).output_layer_norm")
        + rows.outsideDense("mlm.transform", "vocab_transform")
        + rows.outsideNorm("mlm.norm", "vocab_layer_norm")
        + [rows.outside("mlm.bias", "vocab_projector.bias")],
      ties: [
        Tie(canonical: "embeddings.token", stored: "vocab_projector.weight", head: .mlm)
      ],
      buffers: rows.constants(embeddingBuffers),
      namespace: ["distilbert.", "vocab_", "embeddings.", "transformer."],
      classes: [
        .init("DistilBertModel", isPrefixed: false),
        .init("DistilBertForMaskedLM", [.mlm]),
        .init("DistilBertForSequenceClassification", task: classifier),
        .init("DistilBertForTokenClassification", task: .tokens),
        .init("DistilBertForQuestionAnswering", task: .answer),
        .init("DistilBertForMultipleChoice", task: classifier),
      ],
      keys: [
        ("dim", "hidden_size"), ("n_layers", "num_hidden_layers"),
        ("n_heads", "num_attention_heads"), ("hidden_dim", "intermediate_size"),
        ("activation", "hidden_act"), ("max_position_embeddings", "max_position_embeddings"),
      ],
      defaults: plainDefaults(),
      constants: [("sinusoidal_pos_embds", .bool(false)), ("pad_token_id", .number(0))])
  }
}
