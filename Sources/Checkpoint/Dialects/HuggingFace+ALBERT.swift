/// Source: `modeling_albert.py` and `configuration_albert.py` of transformers 5.23.
extension HuggingFaceFamily {
  static func albert(_ storage: HuggingFaceRows.Storage) -> HuggingFaceFamily {
    let rows = HuggingFaceRows(base: "albert.", storage: storage)
    let group = "encoder.albert_layer_groups.{g}.albert_layers."
    return HuggingFaceFamily(
      family: "albert", modelTypes: ["albert"],
      signatures: ["albert.", ""].map {
        $0 + "encoder.albert_layer_groups.0.albert_layers.0.ffn.weight"
      },
      rows: embeddings(rows)
        + rows.dense("embeddings.projection", "encoder.embedding_hidden_mapping_in")
        + block(rows, "groups.{g}.{j}", "\(group){j}")
        // A group that holds one layer's own weights is written from `layers.{g}`.
        + block(rows, "layers.{g}", "\(group)0")
        + rows.dense("pooler", "pooler")
        + rows.outsideDense("sop", "sop_classifier.classifier")
        + rows.outsideDense("mlm.transform", "predictions.dense")
        + rows.outsideNorm("mlm.norm", "predictions.LayerNorm")
        + [rows.outside("mlm.bias", "predictions.bias")],
      ties: [
        Tie(canonical: "embeddings.token", stored: "predictions.decoder.weight", head: .mlm),
        Tie(canonical: "mlm.bias", stored: "predictions.decoder.bias", head: .mlm),
      ],
      buffers: rows.constants(embeddingBuffers),
      namespace: [
        "albert.", "predictions.", "sop_classifier.", "embeddings.", "encoder.", "pooler.",
      ],
      classes: [
        .init("AlbertModel", [.pooler], isPrefixed: false),
        .init("AlbertForPreTraining", [.pooler, .sop, .mlm]),
        .init("AlbertForMaskedLM", [.mlm]),
        .init("AlbertForSequenceClassification", [.pooler], task: .pooled),
        .init("AlbertForTokenClassification", task: .tokens),
        .init("AlbertForQuestionAnswering", task: .answer),
        .init("AlbertForMultipleChoice", [.pooler], task: .pooled),
      ],
      keys: ["embedding_size", "num_hidden_groups", "inner_group_num"].map { ($0, $0) }
        + plainKeys,
      defaults: plainDefaults(heads: 64, activation: "gelu_tanh") + [
        ("num_hidden_layers", .number(12))
      ])
  }

  private static func block(
    _ rows: HuggingFaceRows, _ canonical: String, _ stored: String
  ) -> [FlatTable.Row] {
    ["query", "key", "value"].flatMap {
      rows.dense("\(canonical).attention.\($0)", "\(stored).attention.\($0)")
    } + rows.dense("\(canonical).attention.output", "\(stored).attention.dense")
      + rows.norm("\(canonical).attention.norm", "\(stored).attention.LayerNorm")
      + rows.dense("\(canonical).feed_forward.inner", "\(stored).ffn")
      + rows.dense("\(canonical).feed_forward.output", "\(stored).ffn_output")
      + rows.norm("\(canonical).feed_forward.norm", "\(stored).full_layer_layer_norm")
  }
}
