/// Source: `modeling_openai.py`, `modeling_gpt2.py` and their configurations of transformers 5.23.
extension HuggingFaceFamily {
  static func gpt(_ storage: HuggingFaceRows.Storage) -> HuggingFaceFamily {
    let rows = HuggingFaceRows(base: "transformer.", storage: storage)
    return HuggingFaceFamily(
      family: "gpt", modelTypes: ["openai-gpt"],
      signatures: ["transformer.tokens_embed.weight", "tokens_embed.weight"],
      rows: [
        rows.row("embeddings.token", "tokens_embed.weight"),
        rows.row("embeddings.position", "positions_embed.weight"), rows.decoder,
      ] + blocks(rows),
      ties: [languageModel], buffers: rows.constants(gptBuffers + ["position_ids"]),
      namespace: ["transformer.", "h.", "tokens_embed.", "positions_embed."],
      classes: [
        .init("OpenAIGPTLMHeadModel", [.lm]), .init("OpenAIGPTModel", isPrefixed: false),
      ],
      keys: gptKeys + [("afn", "hidden_act"), ("layer_norm_epsilon", "block_norm_eps")],
      defaults: plainDefaults(activation: "gelu_tanh", epsilon: "1e-05") + [
        ("mask", .string("causal"))
      ],
      constants: [])
  }

  static func gpt2(_ storage: HuggingFaceRows.Storage) -> HuggingFaceFamily {
    let rows = HuggingFaceRows(base: "transformer.", storage: storage)
    return HuggingFaceFamily(
      family: "gpt2", modelTypes: ["gpt2"],
      signatures: ["transformer.wte.weight", "wte.weight"],
      rows: [
        rows.row("embeddings.token", "wte.weight"),
        rows.row("embeddings.position", "wpe.weight"), rows.decoder,
      ] + blocks(rows) + rows.norm("final_norm", "ln_f"),
      ties: [languageModel], buffers: rows.constants(gptBuffers),
      namespace: ["transformer.", "h.", "wte.", "wpe.", "ln_f."],
      classes: [
        .init("GPT2LMHeadModel", [.lm]), .init("GPT2Model", isPrefixed: false),
        .init("GPT2ForTokenClassification", task: .tokens),
        .init("GPT2ForQuestionAnswering", task: .answer),
      ],
      keys: gptKeys + [
        ("n_inner", "intermediate_size"), ("activation_function", "hidden_act"),
        ("layer_norm_epsilon", "block_norm_eps"),
      ],
      defaults: plainDefaults(activation: "gelu_tanh", epsilon: "1e-05") + [
        ("mask", .string("causal"))
      ],
      // The class's own ids are those of OpenAI's vocabulary.
      constants: [("bos_token_id", .null), ("eos_token_id", .null)])
  }

  // MARK: Parts

  private static let gptKeys: [(theirs: String, ours: String)] = [
    ("n_embd", "hidden_size"), ("n_layer", "num_hidden_layers"), ("n_head", "num_attention_heads"),
    ("n_positions", "max_position_embeddings"),
  ]

  private static let gptBuffers = ["h.{i}.attn.bias", "h.{i}.attn.masked_bias"]

  static let languageModel = Tie(
    canonical: "embeddings.token", stored: "lm_head.weight", head: .lm, needs: \.tiesDecoder,
    isCopy: false)

  private static func blocks(_ rows: HuggingFaceRows) -> [FlatTable.Row] {
    let (block, stored) = ("layers.{i}", "h.{i}")
    return rows.convolution(
      ["query", "key", "value"].map { "\(block).attention.\($0)" }, "\(stored).attn.c_attn")
      + rows.convolution(["\(block).attention.output"], "\(stored).attn.c_proj")
      + rows.norm("\(block).attention.norm", "\(stored).ln_1")
      + rows.convolution(["\(block).feed_forward.inner"], "\(stored).mlp.c_fc")
      + rows.convolution(["\(block).feed_forward.output"], "\(stored).mlp.c_proj")
      + rows.norm("\(block).feed_forward.norm", "\(stored).ln_2")
  }
}
