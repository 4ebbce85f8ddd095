/// The names of TensorFlow 1 checkpoints of Google's projects and those after them: BERT, ALBERT,
/// ELECTRA, T5, and what bert4keras' `save_weights_as_checkpoint` adds for other families.
///
/// Sources: bert4keras 0.11.5 (`variable_mapping` in `models.py`), google-research/bert, albert and
/// electra, brightmart/albert_zh, Huawei's NEZHA-TensorFlow, ZhuiyiTechnology/GAU-alpha, openai/gpt-2.
public struct Google: Dialect {
  /// Which of ELECTRA's two models is read, where it was said.
  private var part: Part?

  public init() {}

  public var name: String { "google" }
  public var aliases: [String] { ["tf1", "google-tf"] }
  public var summary: String {
    "TensorFlow checkpoints of Google's projects and bert4keras, such as bert/encoder/layer_0"
  }
  public var families: [String] {
    Google.named.map(\.family) + ["electra"]
  }
  public var format: String { TFCheckpoint().name }
  public var fileName: String { "bert_model.ckpt" }
  public var configurationName: String { "bert_config.json" }

  private static let named: [GoogleFamily] = [
    .bert, .albert, .albertZh, .nezha, .roformer, .roformerV2, .gauAlpha, .gpt, .gpt2, .gpt2ML,
    .t5, .mt5,
  ]

  /// How the family is named in a file with these names.
  func spelling(of family: String, names: [String]) throws(CheckpointError) -> GoogleFamily {
    if family == "electra" {
      let part = part ?? GoogleFamily.electraPart(names)
      return .electra(part, GoogleFamily.ELECTRAScopes(part, names))
    }
    guard let found = Google.named.first(where: { $0.family == family }) else {
      throw refusal(of: family)
    }
    return found
  }

  public func reading(part: String) -> (any Dialect)? {
    var copy = self
    copy.part = Part(rawValue: part)
    return copy.part == nil ? nil : copy
  }

  // MARK: Recognising

  public func recognise(
    _ checkpoint: Checkpoint, configuration: JSON?
  ) throws(CheckpointError) -> String? {
    let names = Set(checkpoint.tensors.map(\.name))
    func has(_ beginnings: String...) -> Bool {
      names.contains { name in beginnings.contains { name.hasPrefix($0) } }
    }
    if has("electra/encoder/layer_0/", "generator/encoder/layer_0/") { return "electra" }
    if has("GAU_alpha/encoder/layer_0/") { return "gau_alpha" }
    if has("newslm/layer00/") { return "gpt2_ml" }
    if has("gpt/transformer/layer_0/") {
      return has("gpt/output/LayerNorm/") ? "gpt2" : "gpt"
    }
    if has("model/h0/ln_1/") { return "gpt2" }
    if has("encoder/block_000/layer_000/", "decoder/block_000/layer_000/") {
      return names.contains { $0.hasSuffix("/rms_norm/scale") } ? "mt5" : "t5"
    }
    guard names.contains("bert/embeddings/word_embeddings") else { return nil }
    if has("bert/encoder/transformer/group_0/") { return "albert" }
    if has("bert/encoder/layer_shared/") { return "albert_zh" }
    guard has("bert/encoder/layer_0/") else { return nil }
    if names.contains("bert/embeddings/position_embeddings") { return "bert" }
    if !has("bert/embeddings/LayerNorm/") { return "roformer_v2" }
    if configuration?["use_relative_position"]?.bool == true { return "nezha" }
    if let stated = configuration?["model_type"]?.string, ["nezha", "roformer"].contains(stated) {
      return stated
    }
    throw CheckpointError(
      .notRecognised, .tensor("bert/embeddings/position_embeddings"),
      "is missing, as in NEZHA and RoFormer, which are named alike",
      hint: "say --family nezha or --family roformer")
  }

  // MARK: Binding

  public func bind(
    _ checkpoint: Checkpoint, family: String
  ) throws(CheckpointError) -> Binding {
    let names = checkpoint.tensors.map(\.name)
    let spelling = try spelling(of: family, names: names)
    if let part, family != "electra" {
      throw CheckpointError(
        .usage, Place(member: "--set part=\(part.rawValue)"), "\(family) has no such parts")
    }
    let others = family == "electra" ? try others(names) : (beginnings: [], reason: "")
    var own: [Tensor] = []
    var left: [Leftover] = []
    for tensor in checkpoint.tensors {
      if let reason = Google.training(tensor.name) {
        left.append(Leftover(tensor, reason))
      } else if others.beginnings.contains(where: { tensor.name.hasPrefix($0) }) {
        left.append(Leftover(tensor, others.reason))
      } else {
        own.append(tensor)
      }
    }
    var binding = try spelling.table.bind(own, family: family)
    binding.left += left
    return binding
  }

  /// Beginnings of the names of ELECTRA's model that is not read.
  private func others(
    _ names: [String]
  ) throws(CheckpointError) -> (beginnings: [String], reason: String) {
    let part = part ?? GoogleFamily.electraPart(names)
    let other = part.other.rawValue
    return (
      try part.foreign(in: names), "belongs to the \(other), which --set part=\(other) reads"
    )
  }

  /// Why a variable is no weight: what optimizers and sessions keep beside them.
  private static func training(_ name: String) -> String? {
    let slots = [
      "/adam_m", "/adam_v", "/lamb_m", "/lamb_v", "/Adam", "/Adam_1", "/Momentum", "_slot_v",
      "_slot_vr", "_slot_vc", "_slot_m",
    ]
    if slots.contains(where: name.hasSuffix) { return "optimizer state" }
    if name.hasSuffix("/ExponentialMovingAverage") { return "a moving average of a weight" }
    let counters = [
      "global_step", "beta1_power", "beta2_power", "loss_scale", "good_steps", "bad_steps",
    ]
    return counters.contains(name) ? "training state" : nil
  }

  public func bindTops(
    _ binding: inout Binding, of checkpoint: Checkpoint, configuration: JSON?,
    said: [(name: String, value: String)]
  ) throws(CheckpointError) {
    try refuse(said)
    for top in GoogleFamily.tops {
      guard
        let kernel = binding.weights.first(where: { $0.name == "head.\(top.name).kernel" })?.tensor,
        kernel.shape.rank == 2
      else { continue }
      binding.tops.append(
        TopLayer(
          top.name, top.kind, on: top.input, inputSize: kernel.shape[0],
          outputSize: kernel.shape[1]))
    }
  }

  // MARK: What the code computes

  public func translated(_ configuration: JSON, family: String) -> JSON {
    guard var members = configuration.members else { return configuration }
    // "gelu" alone does not say which; the family's own is assumed then.
    let known = Google.gelu(configuration)
    members = members.compactMap { member in
      guard ["hidden_act", "activation"].contains(member.key) else { return member }
      let names = member.value.array ?? [member.value]
      guard names.contains(.string("gelu")) else { return member }
      guard let known else { return nil }
      let told = names.map { $0 == .string("gelu") ? .string(known.rawValue) : $0 }
      return JSON.Member(member.key, told.count == 1 ? told[0] : .array(told))
    }
    var json = JSON.object(members)
    let lacksSegments = (try? spelling(of: family, names: []))?.lacksSegments ?? false
    if lacksSegments { json.set("type_vocab_size", .number(0)) }
    return json
  }

  /// The key by which ckpt says what "gelu" means in a bert_config.json; all who read such files
  /// ignore it.
  static let geluKey = "gelu"

  private static func gelu(_ configuration: JSON) -> Activation? {
    switch configuration[geluKey]?.string {
    case "erf": .geluErf
    case "tanh": .geluTanh
    default: nil
    }
  }

  public func defaults(
    _ binding: Binding, family: String, configuration: JSON?
  ) -> [(String, JSON)] {
    guard let spelling = try? spelling(of: family, names: []) else { return [] }
    let isGated = Configuration.gateCount(in: binding.weights.map(\.name)) > 0
    let isOpenAI = binding.weights.contains { weight in
      weight.sources.contains { $0.hasPrefix(GoogleFamily.openAIBase) }
    }
    let gelu = isOpenAI ? .geluTanh : spelling.gelu
    let says = configuration?["hidden_act"]
    let plain = says == .string("gelu") ? gelu : spelling.plainActivation ?? gelu
    var values: [(String, JSON)] = [
      (
        "hidden_act",
        isGated
          ? .array([.string(gelu.rawValue), .string("linear")]) : .string(plain.rawValue)
      ),
      ("pooler_activation", .string("tanh")), ("mask", .string(spelling.mask.rawValue)),
      ("padding", .string("attention-mask")), ("head_output", .string("logits")),
    ]
    values += zip(ConfigurationKey.epsilons, spelling.epsilons).map { ($0, .literal($1)) }
    switch family {
    case "albert", "albert_zh": values.append(("inner_group_num", .number(1)))
    case "gau_alpha": values.append(("normalization", .string("softmax_plus")))
    case "t5", "mt5":
      let isTied = !binding.weights.contains { $0.name == "lm.kernel" }
      values += [("cross_position_bias", .bool(false)), ("scale_decoder_outputs", .bool(isTied))]
    default: break
    }
    return values
  }

  public func activation(_ name: String) -> Activation? {
    switch name {
    case "gelu_new", "gelu_approximate": .geluTanh
    case "swish": .silu
    default: Activation(rawValue: name)
    }
  }

  public func remarks(on configuration: JSON) -> [String] {
    guard let layers = configuration["num_hidden_layers"]?.int,
      let groups = configuration["num_hidden_groups"]?.int
    else { return [] }
    return Google.stray(layers: layers, groups: groups).map {
      [
        "Google's own code computes layer \($0.layer) with group \($0.theirs) for want of digits; "
          + "ckpt, as transformers, with group \($0.ours)"
      ]
    } ?? []
  }

  /// The first layer for which google-research/albert, in floating point, comes to another group.
  static func stray(layers: Int, groups: Int) -> (layer: Int, theirs: Int, ours: Int)? {
    guard layers > 0, groups > 0, layers <= Transformer.deepest else { return nil }
    var c = Configuration()
    (c.layers, c.groups) = (layers, groups)
    for layer in 0..<layers {
      let theirs = Int(Double(layer) / Double(layers) * Double(groups))
      if c.block(at: layer) != "groups.\(theirs).0" {
        let ours = Int(Double(layer) / (Double(layers) / Double(groups)))
        return (layer, theirs, ours)
      }
    }
    return nil
  }

  public func made(_ configuration: Configuration, family: String) -> [Weight] {
    guard family == "nezha" else { return [] }
    let c = configuration
    let name = NEZHA.distances
    return [
      Weight(
        name,
        Tensor(
          name: name, shape: [2 * c.relativePositions + 1, c.keySize],
          values: NEZHA.sinusoids(rows: 2 * c.relativePositions + 1, width: c.keySize).map {
            Float($0)
          }), sources: [], operation: "made: sinusoids")
    ]
  }
}
