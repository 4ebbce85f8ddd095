/// How transformers spells one family: its names, its classes, the keys of its config.json.
struct HuggingFaceFamily: Sendable {
  /// ckpt's name of the family.
  let family: String
  /// `model_type` in config.json; the first is written, all are read.
  let modelTypes: [String]
  /// Names of which the family's files have one, where no configuration says what it is.
  let signatures: [String]
  /// Names that it has and others too, which tell it only where its model type is stated.
  var sharedSignatures: [String] = []
  let rows: [FlatTable.Row]
  /// Names of the same weights where the feed-forward is gated.
  var gatedRows: [FlatTable.Row] = []
  /// Tensors that a class ties to others: written as further names, read as copies.
  var ties: [Tie] = []
  var buffers: [(Template, String)] = []
  /// Beginnings of names that belong to the family.
  let namespace: [String]
  /// In the order in which they are preferred.
  let classes: [HuggingFaceClass]
  /// The keys of config.json beside ckpt's, in the order in which they are written.
  let keys: [(theirs: String, ours: String)]
  /// What the class assumes where config.json says nothing, by ckpt's keys.
  let defaults: [(String, JSON)]
  /// What config.json says besides, unless the source's own configuration does.
  var constants: [(String, JSON)] = [("pad_token_id", .number(0))]
  /// Whether `is_decoder` makes attention causal.
  var takesDecoderFlag = false

  /// A second name of a canonical weight.
  struct Tie: Sendable {
    let canonical: String
    let stored: String
    /// What stands before it where the base model has its prefix.
    var base = ""
    /// The head with which it is there.
    var head: Head?
    /// What else it needs.
    var needs: @Sendable (Configuration) -> Bool = { _ in true }
    /// Whether the name is only ever a copy.
    var isCopy = true

    /// Whether a class has the name.
    func isThere(_ type: HuggingFaceClass, _ configuration: Configuration) -> Bool {
      needs(configuration) && head.map(type.heads.contains) ?? true
    }

    /// The name in a class.
    func name(in type: HuggingFaceClass) -> String { (type.isPrefixed ? base : "") + stored }

    var spellings: [Template] {
      (base.isEmpty ? [stored] : [base + stored, stored]).map { Template($0) }
    }
  }

  /// Every name, for reading.
  var table: FlatTable { table(rows + gatedRows) }

  /// The names that a model with this configuration has.
  func table(_ configuration: Configuration, tops: [FlatTable.Row]) -> FlatTable {
    table((configuration.gates.isEmpty ? [] : gatedRows) + rows + tops)
  }

  private func table(_ rows: [FlatTable.Row]) -> FlatTable {
    FlatTable(
      rows: rows
        + ties.filter(\.isCopy).map {
          FlatTable.Row([Template($0.canonical)], $0.spellings, copy: true)
        }, buffers: buffers, namespace: namespace)
  }

  /// Those whose names others have too stand before them.
  static func all(_ storage: HuggingFaceRows.Storage) -> [HuggingFaceFamily] {
    storage == .torch ? torch : tensorFlow
  }

  private static let torch = make(.torch)
  private static let tensorFlow = make(.tensorFlow)

  private static func make(_ storage: HuggingFaceRows.Storage) -> [HuggingFaceFamily] {
    [
      bert(storage), albert(storage), electra(storage), roformer(storage), roberta(storage),
      distilbert(storage), gpt(storage), gpt2(storage), mt5(storage), t5(storage),
    ] + (storage == .torch ? [umt5(storage)] : [])
  }
}

/// A class of transformers: which heads and layers on top it has.
struct HuggingFaceClass: Sendable {
  let name: String
  var heads: Set<Head> = []
  var task: HuggingFaceTask?
  /// Whether the base model's names have its prefix.
  var isPrefixed = true
  /// For classes of which one is meant for causal attention, and another is not.
  var isCausal: Bool?
  /// For encoder-decoder families: whether there is a decoder.
  var hasDecoder: Bool?

  init(
    _ name: String, _ heads: Set<Head> = [], task: HuggingFaceTask? = nil, isPrefixed: Bool = true,
    isCausal: Bool? = nil, hasDecoder: Bool? = nil
  ) {
    self.name = name
    self.heads = heads
    self.task = task
    self.isPrefixed = isPrefixed
    self.isCausal = isCausal
    self.hasDecoder = hasDecoder
  }

  /// The first layer on top, for people.
  var layer: String { task?.layers.first?.name ?? name }

  /// Whether `architectures` of a configuration name it, or its like of another model type or
  /// library (`XLMRobertaFor…`, `TFBertFor…`).
  func isNamed(in architectures: [String]) -> Bool {
    func kind(_ name: String) -> Substring {
      name.firstRange(of: "For").map { name[$0.lowerBound...] } ?? name[...]
    }
    // A base model's name has no such part: `UMT5Model`, `T5Model`.
    return architectures.contains {
      kind($0) == kind(name) || $0.hasSuffix(name) || name.hasSuffix($0)
    }
  }
}
