/// transformers: dotted names, Linear weights as `[out, in]`, a config.json.
///
/// Source: `modeling_bert.py` and `modeling_albert.py` of transformers (names, classes, defaults).
public struct HuggingFace: Dialect {
  public init() {}

  public var name: String { "huggingface" }
  public var aliases: [String] { ["hf", "transformers", "pytorch"] }
  public var summary: String {
    "transformers: names such as bert.encoder.layer.0.output.dense.weight"
  }
  public var families: [String] { ["bert", "albert"] }
  public var format: String { "safetensors" }
  public var fileName: String { "model.safetensors" }

  public func recognise(_ checkpoint: Checkpoint, configuration: JSON?) -> String? {
    let stated = configuration?["model_type"]?.string
    if let stated, !families.contains(stated) { return nil }
    let names = checkpoint.tensors.map(\.name)
    if names.contains(where: { $0.contains("encoder.albert_layer_groups.0.") }) { return "albert" }
    // RoBERTa's and others' own prefixes mean other position ids.
    let query = "encoder.layer.0.attention.self.query.weight"
    if names.contains("bert.\(query)") || names.contains(query) { return "bert" }
    return nil
  }

  public func bind(
    _ checkpoint: Checkpoint, family: String
  ) throws(CheckpointError) -> Binding {
    try table(family).bind(checkpoint.tensors, family: family)
  }

  // MARK: Tables

  private func table(_ family: String) -> FlatTable {
    family == "albert" ? albert : bert
  }

  private var bert: FlatTable {
    let block = "encoder.layer.{i}"
    let rows =
      embeddings("bert.")
      + ["query", "key", "value"].flatMap {
        dense("layers.{i}.attention.\($0)", "\(block).attention.self.\($0)", base: "bert.")
      } + dense("layers.{i}.attention.output", "\(block).attention.output.dense", base: "bert.")
      + norm("layers.{i}.attention.norm", "\(block).attention.output.LayerNorm", base: "bert.")
      + dense("layers.{i}.feed_forward.inner", "\(block).intermediate.dense", base: "bert.")
      + dense("layers.{i}.feed_forward.output", "\(block).output.dense", base: "bert.")
      + norm("layers.{i}.feed_forward.norm", "\(block).output.LayerNorm", base: "bert.")
      + dense("pooler", "pooler.dense", base: "bert.")
      + dense("nsp", "cls.seq_relationship")
      + masked("cls.predictions", transform: "cls.predictions.transform.")
    return FlatTable(
      rows: rows, buffers: buffers("bert."),
      namespace: ["bert.", "cls.", "embeddings.", "encoder.", "pooler."])
  }

  private var albert: FlatTable {
    let stored = "encoder.albert_layer_groups.{g}.albert_layers.{j}"
    // A group that holds one layer's own weights is written from `layers.{g}`.
    let untied = block("layers.{g}", stored.replacing("{j}", with: "0"))
    let rows =
      embeddings("albert.")
      + dense("embeddings.projection", "encoder.embedding_hidden_mapping_in", base: "albert.")
      + block("groups.{g}.{j}", stored) + untied
      + dense("pooler", "pooler", base: "albert.")
      + dense("sop", "sop_classifier.classifier")
      + masked("predictions", transform: "predictions.")
    return FlatTable(
      rows: rows, buffers: buffers("albert."),
      namespace: [
        "albert.", "predictions.", "sop_classifier.", "embeddings.", "encoder.", "pooler.",
      ])
  }

  private func block(_ canonical: String, _ stored: String) -> [FlatTable.Row] {
    ["query", "key", "value"].flatMap {
      dense("\(canonical).attention.\($0)", "\(stored).attention.\($0)", base: "albert.")
    } + dense("\(canonical).attention.output", "\(stored).attention.dense", base: "albert.")
      + norm("\(canonical).attention.norm", "\(stored).attention.LayerNorm", base: "albert.")
      + dense("\(canonical).feed_forward.inner", "\(stored).ffn", base: "albert.")
      + dense("\(canonical).feed_forward.output", "\(stored).ffn_output", base: "albert.")
      + norm(
        "\(canonical).feed_forward.norm", "\(stored).full_layer_layer_norm", base: "albert.")
  }

  private func embeddings(_ base: String) -> [FlatTable.Row] {
    [("token", "word"), ("segment", "token_type"), ("position", "position")].map {
      row("embeddings.\($0)", "embeddings.\($1)_embeddings.weight", base: base)
    } + norm("embeddings.norm", "embeddings.LayerNorm", base: base)
  }

  private func masked(_ stored: String, transform: String) -> [FlatTable.Row] {
    dense("mlm.transform", "\(transform)dense") + norm("mlm.norm", "\(transform)LayerNorm") + [
      row("mlm.bias", "\(stored).bias"),
      FlatTable.Row("embeddings.token", [Template("\(stored).decoder.weight")], copy: true),
      FlatTable.Row("mlm.bias", [Template("\(stored).decoder.bias")], copy: true),
    ]
  }

  private func buffers(_ base: String) -> [(Template, String)] {
    ["position_ids", "token_type_ids"].flatMap { name in
      [base, ""].map {
        (Template("\($0)embeddings.\(name)"), "a buffer of constants, made anew on loading")
      }
    }
  }

  /// The base model alone is saved without its prefix; both spellings are read.
  private func row(
    _ canonical: String, _ stored: String, base: String? = nil, transposed: Bool = false,
    older: String? = nil
  ) -> FlatTable.Row {
    let names = base.map { [$0 + stored, stored] } ?? [stored]
    let old = older.map { older in base.map { [$0 + older, older] } ?? [older] } ?? []
    return FlatTable.Row(
      Template(canonical), (names + old).map { Template($0) }, transposed: transposed)
  }

  private func dense(
    _ canonical: String, _ stored: String, base: String? = nil
  ) -> [FlatTable.Row] {
    [
      row("\(canonical).kernel", "\(stored).weight", base: base, transposed: true),
      row("\(canonical).bias", "\(stored).bias", base: base),
    ]
  }

  private func norm(
    _ canonical: String, _ stored: String, base: String? = nil
  ) -> [FlatTable.Row] {
    [
      row("\(canonical).gamma", "\(stored).weight", base: base, older: "\(stored).gamma"),
      row("\(canonical).beta", "\(stored).bias", base: base, older: "\(stored).beta"),
    ]
  }
}

// MARK: - Meaning

extension HuggingFace {
  public func defaults(
    _ binding: Binding, family: String, configuration: JSON?
  ) -> [(String, JSON)] {
    var values: [(String, JSON)] = [
      ("hidden_act", .string(family == "albert" ? "gelu_tanh" : "gelu_erf")),
      ("pooler_activation", .string("tanh")),
      (
        "mask",
        .string(configuration?["is_decoder"]?.bool == true ? "causal" : "bidirectional")
      ),
      ("padding", .string("attention-mask")),
      ("head_output", .string("logits")),
    ]
    values += ConfigurationKey.epsilons.map { ($0, .literal("1e-12")) }
    // A config.json leaves out what equals the class's default.
    if configuration?["model_type"]?.string != nil {
      values.append(("num_attention_heads", .number(family == "albert" ? 64 : 12)))
      if family == "albert" { values.append(("num_hidden_layers", .number(12))) }
    }
    return values
  }

  public func activation(_ name: String) -> Activation? {
    switch name {
    case "gelu", "gelu_python": .geluErf
    case "gelu_new", "gelu_pytorch_tanh", "gelu_fast", "gelu_accurate", "gelu_python_tanh":
      .geluTanh
    case "quick_gelu": .geluQuick
    case "swish": .silu
    case "relu2": .squaredRelu
    default: Activation(rawValue: name)
    }
  }

  private func spelled(_ activation: Activation) -> String? {
    switch activation {
    case .geluErf: "gelu"
    case .geluTanh: "gelu_new"
    case .geluQuick: "quick_gelu"
    case .squaredRelu: "relu2"
    case .linear, .relu, .relu6, .tanh, .sigmoid, .silu, .mish: activation.rawValue
    default: nil
    }
  }
}

// MARK: - Writing

extension HuggingFace {
  public func spell(_ model: Model) throws(CheckpointError) -> Spelling {
    let architecture = model.architecture
    let configuration = architecture.configuration
    try check(architecture)
    let fit = classes(architecture)
    let table = table(architecture.family)
    var tensors: [Tensor] = []
    var rows: [Spelling.Row] = []
    func add(_ tensor: Tensor, _ sources: [String], _ operation: String) {
      tensors.append(tensor)
      rows.append(
        Spelling.Row(
          target: tensor.name, sources: sources, operation: operation, dtype: tensor.dtype,
          shape: tensor.shape))
    }
    let written = try table.spell(
      model.weights + identityProjection(architecture, model), alternative: fit.prefixed ? 0 : 1,
      framework: "transformers' \(architecture.family)")
    for var row in written {
      if row.canonical == ["embeddings.token"], architecture.heads.contains(.mlm) {
        row.tensor.aliases = [fit.decoder + ".weight"]
      } else if row.canonical == ["mlm.bias"] {
        row.tensor.aliases = [fit.decoder + ".bias"]
      }
      add(row.tensor, row.sources, row.operation)
    }
    for group in model.carried {
      for tensor in group.tensors { add(tensor, [tensor.name], "carried") }
    }
    let carried = model.carried.flatMap(\.tensors).map(\.name)
    return Spelling(
      checkpoint: Checkpoint(
        format: format, groups: [Group(name: "", tensors: tensors)],
        attributes: [Attribute("format", text: "pt")]),
      configuration: try json(configuration, architecture, model, fit.name),
      rows: rows, loadsAs: "\(fit.name).from_pretrained(folder)", missing: fit.missing,
      unexpected: fit.unexpected + carried, remarks: try remarks(architecture))
  }

  /// What a class of transformers holds, compared with what there is.
  private struct Fit {
    var name: String
    var prefixed: Bool
    var decoder: String
    var missing: [String] = []
    var unexpected: [String] = []
  }

  private func classes(_ architecture: FamilyArchitecture) -> Fit {
    let heads = architecture.heads
    let isALBERT = architecture.family == "albert"
    let base = isALBERT ? "Albert" : "Bert"
    let pooler = isALBERT ? "albert.pooler" : "bert.pooler.dense"
    var fit = Fit(
      name: "\(base)Model", prefixed: true,
      decoder: isALBERT ? "predictions.decoder" : "cls.predictions.decoder")
    func pair(_ name: String) -> [String] { ["\(name).weight", "\(name).bias"] }
    let hasSequence = !heads.isDisjoint(with: [.nsp, .sop])
    switch (heads.contains(.mlm), hasSequence) {
    case (true, true): fit.name = "\(base)ForPreTraining"
    case (true, false):
      fit.name =
        architecture.configuration.mask == .causal && !isALBERT
        ? "BertLMHeadModel" : "\(base)ForMaskedLM"
      if heads.contains(.pooler) { fit.unexpected = pair(pooler) }
    case (false, true):
      fit.name = isALBERT ? "AlbertForPreTraining" : "BertForNextSentencePrediction"
      if isALBERT {
        fit.missing = [
          "predictions.bias", "predictions.LayerNorm.weight", "predictions.LayerNorm.bias",
          "predictions.dense.weight", "predictions.dense.bias",
        ]
      }
    case (false, false):
      fit.prefixed = false
      if !heads.contains(.pooler) { fit.missing = pair(isALBERT ? "pooler" : "pooler.dense") }
    }
    if hasSequence, !heads.contains(.pooler) { fit.missing += pair(pooler) }
    return fit
  }

  private func check(_ architecture: FamilyArchitecture) throws(CheckpointError) {
    let c = architecture.configuration
    let isALBERT = architecture.family == "albert"
    if c.projection, !isALBERT {
      throw CheckpointError(
        .unsupported, .tensor("embeddings.projection"),
        "BertModel has no projection from embedding_size \(c.embeddingSize) to hidden_size "
          + "\(c.hiddenSize)",
        hint: "use --to-family albert: AlbertFor… with one group per layer computes the same")
    }
    if c.keySize * c.heads != c.hiddenSize || c.headSize * c.heads != c.hiddenSize {
      throw CheckpointError(
        .unsupported, .tensor("layers.0.attention"),
        "transformers needs hidden_size = heads × size; here \(c.heads) heads have key size "
          + "\(c.keySize) and value size \(c.headSize), and hidden_size is \(c.hiddenSize)")
    }
    if c.poolerActivation != .tanh, architecture.heads.contains(.pooler) {
      throw CheckpointError(
        .unsupported, .tensor("pooler"),
        "transformers' pooler has tanh, not \(c.poolerActivation.rawValue)")
    }
  }

  /// ALBERT's class always has the projection; where sizes are equal the identity is stated.
  private func identityProjection(
    _ architecture: FamilyArchitecture, _ model: Model
  ) -> [Weight] {
    let c = architecture.configuration
    guard architecture.family == "albert", !c.projection else { return [] }
    let width = c.hiddenSize
    let dtype = model.weights.first?.tensor.dtype ?? .f32
    let identity = (0..<(width * width)).map { Float($0 / width == $0 % width ? 1 : 0) }
    func constant(_ name: String, _ shape: Shape, _ values: [Float]) -> Weight {
      Weight(
        name, Tensor(name: name, shape: shape, values: values).cast(to: dtype), sources: [],
        operation: "made: identity")
    }
    return [
      constant("embeddings.projection.kernel", [width, width], identity),
      constant("embeddings.projection.bias", [width], [Float](repeating: 0, count: width)),
    ]
  }

  private func json(
    _ c: Configuration, _ architecture: FamilyArchitecture, _ model: Model, _ className: String
  ) throws(CheckpointError) -> JSON {
    guard let activation = spelled(c.activation) else {
      throw CheckpointError(
        .unsupported, Place(),
        "transformers does not know the activation \(c.activation.rawValue)")
    }
    let dtype = model.weights.first?.tensor.dtype ?? .f32
    let names: [DType: String] = [.f16: "float16", .bf16: "bfloat16", .f64: "float64"]
    var json = JSON.object([])
    json.set("architectures", .array([.string(className)]))
    json.set("model_type", .string(architecture.family))
    // What the source's configuration says of training and labels goes along.
    for member in model.configuration?.members ?? []
    where HuggingFace.travelling.contains(member.key) {
      json.set(member.key, member.value)
    }
    json.set("vocab_size", .number(c.vocabularySize))
    if architecture.family == "albert" {
      json.set("embedding_size", .number(c.embeddingSize))
      json.set("num_hidden_groups", .number(c.groups ?? c.layers))
      json.set("inner_group_num", .number(c.innerGroups))
    }
    json.set("hidden_size", .number(c.hiddenSize))
    json.set("num_hidden_layers", .number(c.layers))
    json.set("num_attention_heads", .number(c.heads))
    json.set("intermediate_size", .number(c.intermediateSize))
    json.set("hidden_act", .string(activation))
    json.set("max_position_embeddings", .number(c.positions))
    json.set("type_vocab_size", .number(c.segments))
    json.set("layer_norm_eps", .number(c.blockNormEpsilon))
    json.set("pad_token_id", .number(0))
    if c.mask == .causal, architecture.family == "bert" { json.set("is_decoder", .bool(true)) }
    json.set("dtype", .string(names[dtype] ?? "float32"))
    return json
  }

  private static let travelling: Set<String> = [
    "attention_probs_dropout_prob", "hidden_dropout_prob", "classifier_dropout_prob",
    "classifier_dropout", "initializer_range", "id2label", "label2id", "bos_token_id",
    "eos_token_id",
  ]

  public func computed(_ architecture: FamilyArchitecture) -> Configuration {
    var configuration = architecture.configuration
    configuration.embeddingNormEpsilon = configuration.blockNormEpsilon
    configuration.headNormEpsilon = configuration.blockNormEpsilon
    configuration.padding = .attentionMask
    configuration.headOutput = .logits
    return configuration
  }

  private func remarks(_ architecture: FamilyArchitecture) throws(CheckpointError) -> [String] {
    let c = architecture.configuration
    var remarks = try Epsilons.remarks(
      c, computed(architecture), architecture.heads, "transformers (one layer_norm_eps)")
    if c.mask == .causal, architecture.family == "albert" {
      remarks.append("transformers' ALBERT has no causal mask; give it as a 4-D mask")
    }
    if c.mask == .unilm { remarks.append("transformers has no UniLM mask; give it as a 4-D mask") }
    if c.padding == .tokenZero {
      remarks.append("pass attention_mask: transformers does not take token id 0 for padding")
    }
    return remarks
  }
}
