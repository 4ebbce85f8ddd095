/// transformers: dotted names, Linear weights as `[out, in]`, a config.json.
///
/// What differs between families is in ``HuggingFaceFamily``; source of all: transformers 5.23.
public struct HuggingFace: Dialect {
  public init() { self.init(storage: .torch) }

  init(storage: HuggingFaceRows.Storage) { self.storage = storage }

  let storage: HuggingFaceRows.Storage
  var all: [HuggingFaceFamily] { HuggingFaceFamily.all(storage) }

  public var name: String { "huggingface" }
  public var aliases: [String] { ["hf", "transformers", "pytorch"] }
  public var summary: String {
    "transformers: names such as bert.encoder.layer.0.output.dense.weight"
  }
  public var families: [String] { all.map(\.family) }
  public var format: String { "safetensors" }
  public var fileName: String { "model.safetensors" }

  func spelling(of family: String) throws(CheckpointError) -> HuggingFaceFamily {
    if let found = all.first(where: { $0.family == family }) { return found }
    throw HuggingFaceLimits.foreign(family)
  }

  // MARK: Reading

  public func recognise(_ checkpoint: Checkpoint, configuration: JSON?) -> String? {
    let names = Set(checkpoint.tensors.map(\.name))
    let stated = configuration?["model_type"]?.string
    let fitting = all.filter { family in
      guard let stated else { return family.signatures.contains(where: names.contains) }
      return family.modelTypes.contains(stated)
        && (family.signatures + family.sharedSignatures + bare(family))
          .contains(where: names.contains)
    }
    // An ELECTRA's names are a BERT's and more; T5 is the better known of those that share names.
    return fitting.last?.family
  }

  /// The base model's own name of the first query kernel.
  private func bare(_ family: HuggingFaceFamily) -> [String] {
    family.table.name(of: "layers.0.attention.query.kernel", alternative: 1).map { [$0] } ?? []
  }

  public func bind(
    _ checkpoint: Checkpoint, family: String
  ) throws(CheckpointError) -> Binding {
    var binding = try spelling(of: family).table.bind(checkpoint.tensors, family: family)
    if family == "roformer" { binding.warnings += try checkedSinusoids(binding) }
    return binding
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

  // MARK: Meaning

  public func defaults(
    _ binding: Binding, family: String, configuration: JSON?
  ) -> [(String, JSON)] {
    let isDecoder = configuration?["is_decoder"]?.bool == true && !family.hasSuffix("t5")
    var values: [(String, JSON)] = [
      ("pooler_activation", .string("tanh")),
      ("mask", .string(isDecoder ? "causal" : "bidirectional")),
      ("padding", .string("attention-mask")),
      ("head_output", .string("logits")),
    ]
    let own = all.first { $0.family == family }?.defaults ?? []
    // A config.json leaves out what equals the class's default; without one, sizes are unknown.
    let isStated = configuration?["model_type"]?.string != nil
    let sizes: Set<String> = ["num_attention_heads", "num_hidden_layers"]
    values += own.filter { isStated || !sizes.contains($0.0) }
    if family.hasSuffix("t5") {
      let names = binding.weights.map(\.name)
      let isGated = Configuration.gateCount(in: names) > 0
      values.append(
        ("hidden_act", isGated ? .string("gelu_tanh,linear") : .string("relu")))
      values.append(
        (
          "scale_decoder_outputs",
          .bool(family == "umt5" || family == "t5" && !names.contains("lm.kernel"))
        ))
    }
    return values
  }

  public func remarks(on configuration: JSON) -> [String] {
    let isUnscaled =
      configuration["model_type"]?.string == "umt5"
      && configuration["tie_word_embeddings"]?.bool == false
    return isUnscaled
      ? [
        "config.json says tie_word_embeddings: false; transformers 5 scales a UMT5's states all the "
          + "same, 4 did not: --set scale_decoder_outputs=false computes as 4 did"
      ] : []
  }

  public func computed(_ architecture: FamilyArchitecture) -> Configuration {
    var c = architecture.configuration
    if architecture.family == "distilbert" { c.blockNormEpsilon = 1e-12 }
    c.embeddingNormEpsilon = c.blockNormEpsilon
    c.headNormEpsilon = c.blockNormEpsilon
    c.padding = .attentionMask
    c.headOutput = .logits
    return c
  }

  public func held(_ architecture: FamilyArchitecture) -> FamilyArchitecture {
    var copy = architecture
    copy.configuration = computed(architecture)
    for index in copy.tops.indices where copy.tops[index].kind == .dense(.softmax) {
      copy.tops[index].kind = .dense(.activated(.linear))
    }
    return copy
  }
}
