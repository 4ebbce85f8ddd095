/// T5, mT5 and UMT5. Source: `modeling_t5.py`, `modeling_mt5.py`, `modeling_umt5.py` and their
/// configurations of transformers 5.23, which ties and scales by these rules:
///
/// - T5 divides the decoder's states by √d_model unless config.json says `tie_word_embeddings: false`
///   (or `scale_decoder_outputs` outright); mT5 never does. UMT5 always does: its configuration says
///   `tie_word_embeddings: true` whatever the file says.
/// - An `lm_head.weight` in the file that differs from `shared.weight` is the decoder, whatever the
///   configuration says.
extension HuggingFaceFamily {
  static func t5(_ storage: HuggingFaceRows.Storage) -> HuggingFaceFamily {
    encoderDecoder("t5", "T5", storage)
  }

  static func mt5(_ storage: HuggingFaceRows.Storage) -> HuggingFaceFamily {
    encoderDecoder("mt5", "MT5", storage)
  }

  /// Its names are a T5's, and each layer has a table of distances.
  static func umt5(_ storage: HuggingFaceRows.Storage) -> HuggingFaceFamily {
    encoderDecoder("umt5", "UMT5", storage, sharesDistances: false)
  }

  private static func encoderDecoder(
    _ name: String, _ prefix: String, _ storage: HuggingFaceRows.Storage,
    sharesDistances: Bool = true
  ) -> HuggingFaceFamily {
    // Only the token classifier keeps its encoder under a name.
    let rows = HuggingFaceRows(base: "transformer.", storage: storage)
    func signatures(_ end: String) -> [String] {
      ["", "transformer."].flatMap { base in
        ["encoder", "decoder"].map { "\(base)\($0).block.\(end).weight" }
      }
    }
    let queries = signatures("0.layer.0.SelfAttention.q")
    return HuggingFaceFamily(
      family: name, modelTypes: [name],
      signatures: sharesDistances
        ? queries : signatures("1.layer.0.SelfAttention.relative_attention_bias"),
      sharedSignatures: sharesDistances ? [] : queries,
      rows: [rows.row("embeddings.token", "shared.weight"), rows.decoder]
        + ["encoder", "decoder"].map { half in
          sharesDistances
            ? rows.row("\(half).relative_position", "\(half).block.0.\(table)")
            : rows.row(
              "\(half).layers.{i}.attention.relative_position", "\(half).block.{i}.\(table)")
        }
        + half(rows, "encoder", feedForward: 1) + half(rows, "decoder", feedForward: 2)
        + part(rows, "decoder", 1, "cross_attention", "EncDecAttention"),
      gatedRows: [
        "encoder.layers.{i}": "encoder.block.{i}.layer.1",
        "decoder.layers.{i}": "decoder.block.{i}.layer.2",
      ]
      .map {
        rows.projection("\($0).feed_forward.inner", "\($1).DenseReluDense.wi_0")
      },
      ties: [
        Tie(
          canonical: "embeddings.token", stored: "encoder.embed_tokens.weight", base: rows.base,
          needs: \.hasEncoder),
        Tie(
          canonical: "embeddings.token", stored: "decoder.embed_tokens.weight", base: rows.base,
          needs: \.hasDecoder),
        languageModel,
      ],
      buffers: [
        (
          Template("decoder.block.0.layer.1.EncDecAttention.relative_attention_bias.weight"),
          "transformers ignores it: cross-attention has no position bias"
        )
      ],
      namespace: ["transformer.", "encoder.", "decoder.", "shared."],
      classes: [
        .init("\(prefix)ForConditionalGeneration", [.lm], isPrefixed: false, hasDecoder: true),
        .init("\(prefix)Model", isPrefixed: false, hasDecoder: true),
        .init("\(prefix)EncoderModel", isPrefixed: false, hasDecoder: false),
        .init("\(prefix)ForTokenClassification", task: .tokens, hasDecoder: false),
        .init(
          "\(prefix)ForQuestionAnswering", task: .answer, isPrefixed: false, hasDecoder: true),
      ],
      keys: [
        ("d_model", "hidden_size"), ("d_kv", "attention_key_size"), ("d_ff", "intermediate_size"),
        ("num_layers", "num_hidden_layers"), ("num_decoder_layers", "num_decoder_layers"),
        ("num_heads", "num_attention_heads"),
        ("relative_attention_num_buckets", "relative_attention_num_buckets"),
        ("relative_attention_max_distance", "relative_attention_max_distance"),
        ("layer_norm_epsilon", "block_norm_eps"), ("tie_word_embeddings", "tie_word_embeddings"),
      ],
      defaults: ConfigurationKey.epsilons.map { ($0, .literal("1e-06")) },
      constants: [
        ("pad_token_id", .number(0)), ("eos_token_id", .number(1)),
        ("decoder_start_token_id", .number(0)),
      ])
  }

  // MARK: Parts

  private static let table = "layer.0.SelfAttention.relative_attention_bias.weight"

  private static func half(
    _ rows: HuggingFaceRows, _ half: String, feedForward index: Int
  ) -> [FlatTable.Row] {
    let (block, stored) = ("\(half).layers.{i}", "\(half).block.{i}.layer.\(index)")
    let dense = "\(stored).DenseReluDense"
    return part(rows, half, 0, "attention", "SelfAttention") + [
      rows.projection("\(block).feed_forward.inner", "\(dense).wi"),
      rows.projection("\(block).feed_forward.gate", "\(dense).wi_1"),
      rows.projection("\(block).feed_forward.output", "\(dense).wo"),
      rows.row("\(block).feed_forward.norm.gamma", "\(stored).layer_norm.weight"),
      rows.row("\(half).final_norm.gamma", "\(half).final_layer_norm.weight"),
    ]
  }

  private static func part(
    _ rows: HuggingFaceRows, _ half: String, _ index: Int, _ canonical: String, _ module: String
  ) -> [FlatTable.Row] {
    let (block, stored) = ("\(half).layers.{i}.\(canonical)", "\(half).block.{i}.layer.\(index)")
    return [("query", "q"), ("key", "k"), ("value", "v"), ("output", "o")].map {
      rows.projection("\(block).\($0)", "\(stored).\(module).\($1)")
    } + [rows.row("\(block).norm.gamma", "\(stored).layer_norm.weight")]
  }
}
