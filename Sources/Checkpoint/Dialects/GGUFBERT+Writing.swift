extension GGUFBERT {
  public func spell(_ model: Model) throws(CheckpointError) -> Spelling {
    let architecture = model.architecture
    try check(architecture)
    try checkBlocks(model)
    var spelled = SpelledTensors()
    for row in try GGUFBERT.table.spell(model.weights, framework: "llama.cpp's BERT") {
      // ggml adds and normalizes in single precision only.
      let isWide =
        row.tensor.shape.rank < 2 || row.tensor.dtype == .f64
        || ["token_types.weight", "position_embd.weight"].contains(row.tensor.name)
      let tensor = isWide ? row.tensor.cast(to: .f32) : row.tensor
      let steps = tensor.dtype == row.tensor.dtype ? [] : ["cast f32"]
      spelled.add(
        tensor, from: row.sources,
        ([row.operation] + steps).filter { !$0.isEmpty }.joined(separator: ", "))
    }
    spelled.carry(model.carried)
    return Spelling(
      checkpoint: Checkpoint(
        format: format, groups: spelled.groups,
        attributes: metadata(architecture.configuration, spelled.tensors)),
      configuration: json(architecture.configuration), rows: spelled.rows,
      loadsAs: "llama-embedding --model file --pooling cls|mean|none", missing: [],
      unexpected: spelled.carried, remarks: try remarks(architecture))
  }

  // MARK: Limits

  private func check(_ architecture: FamilyArchitecture) throws(CheckpointError) {
    let c = architecture.configuration
    func refuse(_ place: Place, _ reason: String, hint: String? = nil) -> CheckpointError {
      CheckpointError(.unsupported, place, reason, hint: hint)
    }
    guard families.contains(architecture.family) else {
      throw refuse(
        Place(member: architecture.family), "\(name) spells no \(architecture.family), only BERT",
        hint: architecture.family == "albert" && c.embeddingSize == c.hiddenSize
          ? "use --apply untie --to-family bert" : nil)
    }
    if c.projection || c.embeddingSize != c.hiddenSize {
      throw refuse(
        .tensor("embeddings.projection"),
        "llama.cpp's BERT has embeddings of hidden_size (\(c.hiddenSize)), not of \(c.embeddingSize)"
      )
    }
    guard c.keySize == c.headSize, c.heads * c.headSize == c.hiddenSize else {
      throw refuse(
        Place(member: "attention_key_size"),
        "llama.cpp's BERT has heads of hidden_size / heads; these have keys of \(c.keySize) and "
          + "values of \(c.headSize)")
    }
    let unlike: [(Bool, String)] = [
      (c.positions == 0, "has no table of positions"),
      (c.hierarchicalPosition != nil, "decomposes positions"),
      (c.givenPositions, "takes positions as an input"),
      (c.sharesSegments, "takes segments from the token table"),
      (c.residualScores, "adds each layer's scores to the next one's"),
      (c.normalization != .softmax, "weighs by \(c.normalization.rawValue)"),
      (c.mask == .unilm, "sees as UniLM does"), (!c.gates.isEmpty, "has a gated feed-forward"),
    ]
    if let (_, what) = unlike.first(where: \.0) {
      throw refuse(
        Place(), "the source \(what), which llama.cpp's BERT does not",
        hint: c.hierarchicalPosition != nil ? "use --apply extend-positions=N" : nil)
    }
    if let odd = [c.activation].first(where: { $0 != .geluTanh }) {
      throw refuse(
        Place(member: "hidden_act"),
        "llama.cpp computes gelu_tanh; the source computes \(odd.rawValue)",
        hint: odd == .geluErf ? "to accept another function: --set hidden_act=gelu_tanh" : nil)
    }
    let parts =
      architecture.heads.sorted().map(\.rawValue)
      + architecture.tops.map { "head.\($0.name)" }
    if let first = parts.first {
      throw CheckpointError(
        .wouldDrop, .tensor("\(first).*"), "would be lost: llama.cpp's BERT is the encoder only",
        hint: "to go on without: "
          + parts.map { "--allow-drop '\($0).*'" }.joined(separator: " "))
    }
  }

  /// ggml's blocks run along a kernel's inputs, ckpt's along its outputs.
  private func checkBlocks(_ model: Model) throws(CheckpointError) {
    for weight in model.weights
    where weight.tensor.dtype.isQuantized && weight.name.hasSuffix(".kernel") {
      throw CheckpointError(
        .unsupported, .tensor(weight.name),
        "is in blocks of \(weight.tensor.dtype.rawValue), which lie across llama.cpp's",
        hint: "write f32 or f16, and quantize the result with llama-quantize")
    }
  }

  private func remarks(_ architecture: FamilyArchitecture) throws(CheckpointError) -> [String] {
    let c = architecture.configuration
    var remarks = try Epsilons.remarks(c, computed(architecture), [], "llama.cpp (one epsilon)")
    if c.segments > 1 {
      remarks.append("llama.cpp takes row 0 of the segment table for every token")
    }
    remarks.append("no pooling is stated; llama.cpp takes it from --pooling")
    return remarks
  }

  // MARK: Metadata

  private func metadata(_ c: Configuration, _ tensors: [Tensor]) -> [Attribute] {
    func key(_ name: String) -> String { "\(GGUFBERT.architecture).\(name)" }
    let sizes = GGUFBERT.sizes.compactMap { name, ours -> Attribute? in
      ConfigurationKey.named(ours)?.get(c).int.map { .number(key(name), $0) }
    }
    let matrices = tensors.first { $0.name == "blk.0.attn_q.weight" }?.dtype
    let fileType = [DType.f16: 1, .q8_0: 7, .bf16: 32][matrices ?? .f32] ?? 0
    return [
      Attribute(GGUFBERT.architectureKey, text: GGUFBERT.architecture),
      Attribute("general.type", text: "model"), Attribute("general.name", text: "BERT"),
    ] + sizes + [
      Attribute(
        key(GGUFBERT.epsilon),
        .numbers(.f32, shape: [], bytes: Elements.store([Float(c.blockNormEpsilon)]))),
      Attribute(
        key(GGUFBERT.causal), .numbers(.bool, shape: [], bytes: [c.mask == .causal ? 1 : 0])),
      .number("general.file_type", fileType), .number("general.quantization_version", 2),
      .number("tokenizer.ggml.token_type_count", c.segments),
    ]
  }

  private func json(_ c: Configuration) -> JSON {
    var json = JSON.object([])
    json.set("model_type", .string("bert"))
    for name in [
      "vocab_size", "hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size",
      "max_position_embeddings", "type_vocab_size", "hidden_act",
    ] {
      if let key = ConfigurationKey.named(name) { json.set(name, key.get(c)) }
    }
    return json
  }

  // MARK: Vocabulary

  /// llama.cpp's types of tokens.
  private enum TokenType: Int32 {
    case normal = 1
    case control = 3
    case unused = 5
  }

  /// The special tokens of BERT, and the keys of their ids; llama.cpp begins a text with `bos` or, in
  /// older versions, `cls`.
  private static let special: [(token: String, keys: [String])] = [
    ("[CLS]", ["bos", "cls"]), ("[SEP]", ["eos", "seperator"]), ("[UNK]", ["unknown"]),
    ("[PAD]", ["padding"]), ("[MASK]", ["mask"]),
  ]

  public func joined(
    _ spelling: Spelling, _ vocabulary: () throws(CheckpointError) -> Vocabulary?
  ) throws(CheckpointError) -> Spelling {
    var result = spelling
    guard let vocabulary = try vocabulary() else {
      result.remarks.append(
        "there is no vocabulary, without which llama.cpp loads no model: give --vocab vocab.txt")
      return result
    }
    let table = spelling.checkpoint.tensors.first { $0.name == "token_embd.weight" }
    let rows = table?.shape.extents.first ?? 0
    guard vocabulary.tokens.count <= rows else {
      throw CheckpointError(
        .mismatch, Place(member: "vocab.txt"),
        "has \(vocabulary.tokens.count) tokens; the token table has \(rows) rows",
        hint: "give the model's own with --vocab")
    }
    let control = Set(GGUFBERT.special.map(\.token))
    var texts: [String] = []
    var types: [TokenType] = []
    for token in vocabulary.tokens {
      let isControl = control.contains(token)
      texts.append(isControl ? token : GGUFBERT.phantom(token))
      types.append(isControl ? .control : .normal)
    }
    for row in texts.count..<rows {
      texts.append(GGUFBERT.phantom("[PAD\(row)]"))
      types.append(.unused)
    }
    var checkpoint = result.checkpoint
    func text(_ key: String, _ value: String) {
      checkpoint.set(Attribute("tokenizer.ggml.\(key)", text: value))
    }
    text("model", "bert")
    text("pre", "default")
    checkpoint.set(
      Attribute(
        "tokenizer.ggml.tokens",
        .text(texts, shape: [texts.count], type: Attribute.TextType())))
    checkpoint.set(
      Attribute(
        "tokenizer.ggml.token_type",
        .numbers(.i32, shape: [types.count], bytes: Elements.store(types.map(\.rawValue)))))
    for (token, keys) in GGUFBERT.special {
      guard let id = vocabulary.id(of: token) else {
        result.remarks.append("the vocabulary has no \(token), for which llama.cpp takes an id")
        continue
      }
      for key in keys { checkpoint.set(.number("tokenizer.ggml.\(key)_token_id", Int(id))) }
    }
    result.checkpoint = checkpoint
    return result
  }

  public func vocabulary(in checkpoint: Checkpoint) -> Vocabulary? {
    func attribute(_ key: String) -> Attribute? {
      checkpoint.attributes.first { $0.name == "tokenizer.ggml.\(key)" }
    }
    guard attribute("model")?.text == "bert", let texts = attribute("tokens")?.texts,
      case .numbers(.i32, [texts.count], let bytes)? = attribute("token_type")?.value
    else { return nil }
    let types = Elements.load(bytes, Int32.self)
    // What fills the table up is no token.
    let count = (types.lastIndex { $0 != TokenType.unused.rawValue } ?? -1) + 1
    return Vocabulary(
      tokens: (0..<count).map { index in
        types[index] == TokenType.control.rawValue
          ? texts[index] : GGUFBERT.wordPiece(texts[index])
      })
  }

  /// The inverse of ``phantom(_:)``.
  private static func wordPiece(_ text: String) -> String {
    let scalars = text.unicodeScalars
    return scalars.first == "\u{2581}" ? String(scalars.dropFirst()) : "##" + text
  }

  /// WordPiece as llama.cpp stores it: a word's beginning is marked, not its continuation.
  private static func phantom(_ token: String) -> String {
    let scalars = token.unicodeScalars
    return scalars.starts(with: "##".unicodeScalars)
      ? String(scalars.dropFirst(2)) : "\u{2581}" + token
  }
}

extension Attribute {
  /// A scalar of 32 bits, as GGUF keeps counts and ids.
  fileprivate static func number(_ name: String, _ value: Int) -> Attribute {
    Attribute(
      name, .numbers(.u32, shape: [], bytes: Elements.store([UInt32(clamping: value)])))
  }
}
