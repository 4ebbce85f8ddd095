/// BERT and the families that are built like it. Source: `modeling_*.py` and `configuration_*.py`
/// of transformers 5.23 for bert, electra, roformer, roberta.
extension HuggingFaceFamily {
  static func bert(_ storage: HuggingFaceRows.Storage) -> HuggingFaceFamily {
    let rows = HuggingFaceRows(base: "bert.", storage: storage)
    return HuggingFaceFamily(
      family: "bert", modelTypes: ["bert"],
      signatures: ["bert.", ""].map { $0 + "encoder.layer.0.attention.self.query.weight" },
      rows: embeddings(rows) + blocks(rows) + rows.dense("pooler", "pooler.dense")
        + rows.outsideDense("nsp", "cls.seq_relationship") + masked(rows),
      ties: maskedTies, buffers: rows.constants(embeddingBuffers),
      namespace: ["bert.", "cls.", "embeddings.", "encoder.", "pooler."],
      classes: [
        .init("BertModel", [.pooler], isPrefixed: false),
        .init("BertForPreTraining", [.pooler, .nsp, .mlm]),
        .init("BertForMaskedLM", [.mlm], isCausal: false),
        .init("BertLMHeadModel", [.mlm], isCausal: true),
        .init("BertForNextSentencePrediction", [.pooler, .nsp]),
        .init("BertForSequenceClassification", [.pooler], task: .pooled),
        .init("BertForTokenClassification", task: .tokens),
        .init("BertForQuestionAnswering", task: .answer),
        .init("BertForMultipleChoice", [.pooler], task: .pooled),
      ],
      keys: plainKeys, defaults: plainDefaults(), takesDecoderFlag: true)
  }

  static func electra(_ storage: HuggingFaceRows.Storage) -> HuggingFaceFamily {
    let rows = HuggingFaceRows(base: "electra.", storage: storage)
    let prefix = "generator_predictions."
    return HuggingFaceFamily(
      family: "electra", modelTypes: ["electra"],
      signatures: [
        "electra.encoder.layer.0.attention.self.query.weight", "embeddings_project.weight",
      ],
      rows: embeddings(rows) + rows.dense("embeddings.projection", "embeddings_project")
        + blocks(rows) + rows.outsideDense("mlm.transform", "\(prefix)dense")
        + rows.outsideNorm("mlm.norm", "\(prefix)LayerNorm")
        + [rows.outside("mlm.bias", "generator_lm_head.bias")]
        + rows.outsideDense("discriminator.transform", "discriminator_predictions.dense")
        + rows.outsideDense(
          "discriminator.prediction", "discriminator_predictions.dense_prediction"),
      ties: [
        Tie(canonical: "embeddings.token", stored: "generator_lm_head.weight", head: .mlm)
      ],
      buffers: rows.constants(embeddingBuffers),
      namespace: [
        "electra.", "generator_", "discriminator_", "embeddings.", "embeddings_project.",
        "encoder.",
      ],
      classes: [
        .init("ElectraModel", isPrefixed: false),
        .init("ElectraForPreTraining", [.discriminator]),
        .init("ElectraForMaskedLM", [.mlm], isCausal: false),
        .init("ElectraForCausalLM", [.mlm], isCausal: true),
        .init("ElectraForSequenceClassification", task: .head(.activated(.geluErf))),
        .init("ElectraForTokenClassification", task: .tokens),
        .init("ElectraForQuestionAnswering", task: .answer),
        .init(
          "ElectraForMultipleChoice",
          task: .sequence("sequence_summary.summary", .activated(.geluErf), then: "classifier")),
      ],
      keys: [("embedding_size", "embedding_size")] + plainKeys,
      // The generator's head has erf gelu, whatever hidden_act says.
      defaults: plainDefaults(heads: 4) + [("head_act", .string("gelu_erf"))],
      takesDecoderFlag: true)
  }

  static func roformer(_ storage: HuggingFaceRows.Storage) -> HuggingFaceFamily {
    let rows = HuggingFaceRows(base: "roformer.", storage: storage)
    return HuggingFaceFamily(
      family: "roformer", modelTypes: ["roformer"],
      signatures: [
        "roformer.encoder.layer.0.attention.self.query.weight", "encoder.embed_positions.weight",
      ],
      rows: embeddings(rows, positions: false)
        + rows.dense("embeddings.projection", "embeddings_project") + blocks(rows) + masked(rows),
      ties: maskedTies,
      buffers: rows.constants(embeddingBuffers + [HuggingFace.sinusoids]),
      namespace: [
        "roformer.", "cls.", "embeddings.", "embeddings_project.", "encoder.", "pooler.",
      ],
      classes: [
        .init("RoFormerModel", isPrefixed: false),
        .init("RoFormerForMaskedLM", [.mlm], isCausal: false),
        .init("RoFormerForCausalLM", [.mlm], isCausal: true),
        .init("RoFormerForSequenceClassification", task: .head(.configured)),
        .init("RoFormerForTokenClassification", task: .tokens),
        .init("RoFormerForQuestionAnswering", task: .answer),
      ],
      keys: [("embedding_size", "embedding_size"), ("rotary_value", "rotary_value")] + plainKeys,
      defaults: plainDefaults() + [("max_position_embeddings", .number(1536))],
      takesDecoderFlag: true)
  }

  static func roberta(_ storage: HuggingFaceRows.Storage) -> HuggingFaceFamily {
    let rows = HuggingFaceRows(base: "roberta.", storage: storage)
    return HuggingFaceFamily(
      family: "roberta", modelTypes: ["roberta", "xlm-roberta", "camembert"],
      signatures: ["roberta.encoder.layer.0.attention.self.query.weight"],
      rows: embeddings(rows) + blocks(rows) + rows.dense("pooler", "pooler.dense")
        + rows.outsideDense("mlm.transform", "lm_head.dense")
        + rows.outsideNorm("mlm.norm", "lm_head.layer_norm")
        + [rows.outside("mlm.bias", "lm_head.bias")],
      ties: [
        Tie(canonical: "embeddings.token", stored: "lm_head.decoder.weight", head: .mlm),
        Tie(canonical: "mlm.bias", stored: "lm_head.decoder.bias", head: .mlm),
      ],
      buffers: rows.constants(embeddingBuffers),
      namespace: ["roberta.", "lm_head.", "embeddings.", "encoder.", "pooler."],
      classes: [
        .init("RobertaModel", [.pooler], isPrefixed: false),
        .init("RobertaForMaskedLM", [.mlm], isCausal: false),
        .init("RobertaForCausalLM", [.mlm], isCausal: true),
        .init("RobertaForSequenceClassification", task: .head(.activated(.tanh))),
        .init("RobertaForTokenClassification", task: .tokens),
        .init("RobertaForQuestionAnswering", task: .answer),
        .init("RobertaForMultipleChoice", [.pooler], task: .pooled),
      ],
      keys: plainKeys + [("pad_token_id", "pad_token_id")],
      // The head has erf gelu, whatever hidden_act says.
      defaults: plainDefaults() + [
        ("head_act", .string("gelu_erf")), ("pad_token_id", .number(1)),
      ],
      constants: [("bos_token_id", .number(0)), ("eos_token_id", .number(2))],
      takesDecoderFlag: true)
  }

  // MARK: Parts

  static let embeddingBuffers = ["embeddings.position_ids", "embeddings.token_type_ids"]

  static func embeddings(_ rows: HuggingFaceRows, positions: Bool = true) -> [FlatTable.Row] {
    [("token", "word"), ("segment", "token_type"), ("position", "position")]
      .filter { positions || $0.0 != "position" }
      .map { rows.row("embeddings.\($0)", "embeddings.\($1)_embeddings.weight") }
      + rows.norm("embeddings.norm", "embeddings.LayerNorm")
  }

  private static func blocks(_ rows: HuggingFaceRows) -> [FlatTable.Row] {
    let (block, stored) = ("layers.{i}", "encoder.layer.{i}")
    return ["query", "key", "value"].flatMap {
      rows.dense("\(block).attention.\($0)", "\(stored).attention.self.\($0)")
    } + rows.dense("\(block).attention.output", "\(stored).attention.output.dense")
      + rows.norm("\(block).attention.norm", "\(stored).attention.output.LayerNorm")
      + rows.dense("\(block).feed_forward.inner", "\(stored).intermediate.dense")
      + rows.dense("\(block).feed_forward.output", "\(stored).output.dense")
      + rows.norm("\(block).feed_forward.norm", "\(stored).output.LayerNorm")
  }

  private static func masked(_ rows: HuggingFaceRows) -> [FlatTable.Row] {
    let stored = "cls.predictions"
    return rows.outsideDense("mlm.transform", "\(stored).transform.dense")
      + rows.outsideNorm("mlm.norm", "\(stored).transform.LayerNorm")
      + [rows.outside("mlm.bias", "\(stored).bias")]
  }

  private static let maskedTies = [
    Tie(canonical: "embeddings.token", stored: "cls.predictions.decoder.weight", head: .mlm),
    Tie(canonical: "mlm.bias", stored: "cls.predictions.decoder.bias", head: .mlm),
  ]

  /// The keys that BERT's configuration and those built like it have.
  static let plainKeys: [(theirs: String, ours: String)] =
    [
      "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "hidden_act",
      "max_position_embeddings", "type_vocab_size",
    ].map { ($0, $0) } + [("layer_norm_eps", "block_norm_eps")]

  static func plainDefaults(
    heads: Int = 12, activation: String = "gelu_erf", epsilon: String = "1e-12"
  ) -> [(String, JSON)] {
    [("hidden_act", .string(activation)), ("num_attention_heads", .number(heads))]
      + ConfigurationKey.epsilons.map { ($0, .literal(epsilon)) }
  }
}
