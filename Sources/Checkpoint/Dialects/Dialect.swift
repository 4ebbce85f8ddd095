/// How one framework spells a family: names, order, layouts, and what it leaves unsaid.
///
/// A dialect is tables with inverses: the same rows bind stored tensors to canonical weights and
/// spell canonical weights for the framework. A new dialect is one file and one line in
/// ``DialectRegistry``.
public protocol Dialect: Sendable {
  /// The name on the command line.
  var name: String { get }
  var aliases: [String] { get }
  /// One line for people.
  var summary: String { get }
  /// The families that it spells, by name.
  var families: [String] { get }
  /// The name of the format that its users expect.
  var format: String { get }
  /// The weights' customary file name in a folder.
  var fileName: String { get }
  /// Whether ckpt writes the dialect; one that it only reads refuses ``spell(_:)``.
  var writes: Bool { get }

  /// The configuration's customary file name in a folder.
  var configurationName: String { get }

  /// The family that the names (and the configuration) show, or `nil`.
  ///
  /// - Throws: ``CheckpointError`` of kind `notRecognised`, when they are the dialect's and those of
  ///   several families.
  func recognise(_ checkpoint: Checkpoint, configuration: JSON?) throws(CheckpointError) -> String?

  /// The dialect as it reads one of several models in a file, which `--set part=NAME` chooses; `nil`
  /// when it knows none of that name.
  func reading(part: String) -> (any Dialect)?

  /// Binds stored tensors to canonical weights, in canonical layout.
  ///
  /// - Throws: ``CheckpointError`` when a tensor has a name of the family but no place in it.
  func bind(_ checkpoint: Checkpoint, family: String) throws(CheckpointError) -> Binding

  /// Recognises layers that a user or a task has put on top, and moves them from what is carried to
  /// ``Binding/tops`` and its weights.
  ///
  /// - Parameter said: what `--set head.NAME=VALUE` says of layers, by name.
  /// - Throws: ``CheckpointError`` when what is said does not fit the file.
  func bindTops(
    _ binding: inout Binding, of checkpoint: Checkpoint, configuration: JSON?,
    said: [(name: String, value: String)]
  ) throws(CheckpointError)

  /// A configuration file in ckpt's keys, where the framework's own mean something else.
  func translated(_ configuration: JSON, family: String) -> JSON

  /// Weights that the framework computes and does not store.
  func made(_ configuration: Configuration, family: String) -> [Weight]

  /// What the framework computes where a file leaves it open, by configuration key.
  func defaults(_ binding: Binding, family: String, configuration: JSON?) -> [(String, JSON)]

  /// The same with what the file of weights and the user say besides, and with remarks.
  ///
  /// - Throws: ``CheckpointError`` when what is said is impossible.
  func assumptions(
    _ binding: Binding, of checkpoint: Checkpoint, family: String, configuration: JSON?, said: Said
  ) throws(CheckpointError) -> Assumptions

  /// Names that `--set` takes for this dialect alone, and what they mean.
  var settings: [(name: String, summary: String)] { get }

  /// What a file of weights says of its own model; it outweighs a configuration file.
  func stated(in checkpoint: Checkpoint) -> [(String, JSON)]

  /// The configuration as the framework computes it: where it fixes a value, that value.
  func computed(_ architecture: FamilyArchitecture) -> Configuration

  /// What the framework computes of an architecture: its configuration, and layers on top as it has
  /// them.
  func held(_ architecture: FamilyArchitecture) -> FamilyArchitecture

  /// What the framework's name of an activation means.
  func activation(_ name: String) -> Activation?

  /// Remarks on a configuration whose keys the framework treats unexpectedly.
  func remarks(on configuration: JSON) -> [String]

  /// Spells a model for the framework.
  ///
  /// - Throws: ``CheckpointError`` of kind `unsupported`, when the framework has no place for it.
  func spell(_ model: Model) throws(CheckpointError) -> Spelling

  /// The spelling with the vocabulary in it, where the framework keeps both in one file.
  ///
  /// - Throws: ``CheckpointError`` of kind `mismatch`, when the vocabulary is not the model's.
  func joined(
    _ spelling: Spelling, _ vocabulary: () throws(CheckpointError) -> Vocabulary?
  ) throws(CheckpointError) -> Spelling

  /// The vocabulary that a file of weights holds, where the framework keeps both in one.
  func vocabulary(in checkpoint: Checkpoint) -> Vocabulary?

  /// The spelling as the framework keeps it in a format, where that has names of its own.
  func arranged(_ spelling: Spelling, for format: String) -> Spelling

  /// The framework's own names of values, by canonical name.
  func valueNames(_ architecture: FamilyArchitecture) -> [String: String]
}

extension Dialect {
  public var aliases: [String] { [] }
  public var writes: Bool { true }
  public func held(_ architecture: FamilyArchitecture) -> FamilyArchitecture {
    var copy = architecture
    copy.configuration = computed(architecture)
    return copy
  }
  public var configurationName: String { "config.json" }
  public func reading(part: String) -> (any Dialect)? { nil }
  public func made(_ configuration: Configuration, family: String) -> [Weight] { [] }
  public func joined(
    _ spelling: Spelling, _ vocabulary: () throws(CheckpointError) -> Vocabulary?
  ) throws(CheckpointError) -> Spelling { spelling }
  public func vocabulary(in checkpoint: Checkpoint) -> Vocabulary? { nil }
  public func bindTops(
    _ binding: inout Binding, of checkpoint: Checkpoint, configuration: JSON?,
    said: [(name: String, value: String)]
  ) throws(CheckpointError) {
    try refuse(said)
  }
  /// Refuses what is said of heads, where the framework's own names tell them.
  func refuse(_ said: [(name: String, value: String)]) throws(CheckpointError) {
    guard let first = said.first else { return }
    throw CheckpointError(
      .usage, Place(member: "--set head.\(first.name)"), "\(name) names its heads itself")
  }
  public func translated(_ configuration: JSON, family: String) -> JSON { configuration }
  public var settings: [(name: String, summary: String)] { [] }
  public func assumptions(
    _ binding: Binding, of checkpoint: Checkpoint, family: String, configuration: JSON?, said: Said
  ) throws(CheckpointError) -> Assumptions {
    Assumptions(values: defaults(binding, family: family, configuration: configuration))
  }
  public func stated(in checkpoint: Checkpoint) -> [(String, JSON)] { [] }
  public func remarks(on configuration: JSON) -> [String] { [] }
  public func arranged(_ spelling: Spelling, for format: String) -> Spelling { spelling }
  public func valueNames(_ architecture: FamilyArchitecture) -> [String: String] { [:] }
}

/// What a user says that is no configuration key.
public struct Said: Sendable {
  /// `--family`.
  public var family: String?
  /// `--set NAME=VALUE` of a dialect's own names.
  public var settings: [String: String] = [:]
}

/// What a dialect assumes where a file leaves it open, and what people should know of it.
public struct Assumptions: Sendable {
  public var values: [(String, JSON)]
  public var remarks: [String] = []

  public init(values: [(String, JSON)]) { self.values = values }
}

extension Dialect {
  /// That it has no names for a family, and which dialects have.
  func refusal(of family: String) -> CheckpointError {
    let others = DialectRegistry.all.filter { $0.families.contains(family) && $0.writes }
      .map { "--to \($0.name)" }
    return CheckpointError(
      .unsupported, Place(), "\(name) does not spell \(family)",
      hint: others.isEmpty ? nil : "those that do: \(others.joined(separator: ", "))")
  }
}

/// The list of dialects.
public enum DialectRegistry {
  public static let all: [any Dialect] = [
    KerasBERT(), Bert4keras(), HuggingFace(), Google(), GGUFBERT(), HuggingFaceTF(),
  ]

  /// The next step where no framework's own does: a copy needs no names but those that there are.
  public static let asStored = "without --to, names stay as they are and nothing is lost"

  /// The next step for a transformed model, which has to be spelled: the dialects that can.
  public static func holding(_ model: Model) -> String {
    let names = all.filter { dialect in
      dialect.writes && (try? dialect.spell(model)) != nil
    }.map { "--to \($0.name)" }
    return names.isEmpty
      ? "no framework that ckpt writes for holds such a \(model.architecture.family)"
      : "what holds it: \(names.joined(separator: ", "))"
  }

  /// The dialect of that name.
  public static func named(_ name: String) throws(CheckpointError) -> any Dialect {
    let wanted = name.lowercased()
    if let dialect = all.first(where: { $0.name == wanted || $0.aliases.contains(wanted) }) {
      return dialect
    }
    throw CheckpointError(
      .usage, Place(), "there is no dialect \"\(name)\"",
      hint: "known dialects: \(all.map(\.name).joined(separator: ", "))")
  }
}

/// Stored tensors bound to canonical weights.
public struct Binding: Sendable {
  /// The family that was bound, once the reader knows.
  public var family = ""
  /// Canonical weights, in canonical layout.
  public var weights: [Weight] = []
  /// Layers on top whose place is known; their weights are among ``weights``.
  public var tops: [TopLayer] = []
  /// Tensors of no known meaning, such as a user's own layer; they travel under their names.
  ///
  /// An empty group holds the place of one in ``tops``, where a framework goes by order.
  public var carried: [Group] = []
  /// Tensors that do not travel to another form, and why (optimizer state).
  public var left: [Leftover] = []
  /// Copies and buffers whose content is told elsewhere.
  public var redundant: [Leftover] = []
  /// What was taken for granted.
  public var warnings: [String] = []
  /// The flag that would tell the place of a layer that is carried, by the layer's name.
  public var flags: [String: String] = [:]

  public init() {}

  public var shapes: [String: Shape] {
    Dictionary(weights.map { ($0.name, $0.tensor.shape) }) { first, _ in first }
  }
}

/// A canonical weight and where it came from.
public struct Weight: Sendable {
  /// The canonical name.
  public var name: String
  /// Named as stored, or as made; in canonical layout.
  public var tensor: Tensor
  /// The stored tensors that it is made of; empty for a stated constant.
  public var sources: [String]
  /// What was done, for people: empty for a plain copy.
  public var operation: String
  /// The type to which a tensor that was computed in Float64 is rounded when it is written; `nil` for
  /// one that is as it was stored.
  public var rounding: DType?

  public init(_ name: String, _ tensor: Tensor, sources: [String], operation: String = "") {
    self.name = name
    self.tensor = tensor
    self.sources = sources
    self.operation = operation
  }

  /// The same weight under another canonical name, after another step.
  public func renamed(_ name: String, operation step: String = "") -> Weight {
    var copy = self
    copy.name = name
    copy.operation = [operation, step].filter { !$0.isEmpty }.joined(separator: ", ")
    return copy
  }

  /// The weight as it is written: what was computed is rounded, once.
  public func rounded() -> Weight {
    guard let rounding else { return self }
    var copy = self
    copy.tensor = tensor.cast(to: rounding)
    copy.rounding = nil
    return copy
  }
}

/// A tensor that does not go on, and why.
public struct Leftover: Sendable {
  public var tensor: Tensor
  public var reason: String

  public init(_ tensor: Tensor, _ reason: String) {
    self.tensor = tensor
    self.reason = reason
  }
}

/// A model as a framework wants it: tensors, configuration, and how they will load.
public struct Spelling: Sendable {
  public var checkpoint: Checkpoint
  /// The content of the configuration file.
  public var configuration: JSON
  /// One row per written tensor.
  public var rows: [Row]
  /// The class or call that loads it.
  public var loadsAs: String
  /// Keys that the class expects and the file lacks.
  public var missing: [String]
  /// Keys that the file has and the class does not expect.
  public var unexpected: [String]
  /// Where the framework will compute something else than the source said.
  public var remarks: [String]

  /// How far what it will compute may be from the source: a weight that the framework makes itself is
  /// the same up to rounding.
  public var contract = Correspondence.Contract.exact

  /// A written tensor and its sources.
  public struct Row: Sendable {
    public var target: String
    /// The canonical weights that it holds; none for what is made or carried.
    public var canonical: [String]
    public var sources: [String]
    public var operation: String
    public var dtype: DType
    public var shape: Shape

    public init(
      target: String, canonical: [String] = [], sources: [String], operation: String,
      dtype: DType, shape: Shape
    ) {
      self.target = target
      self.canonical = canonical
      self.sources = sources
      self.operation = operation
      self.dtype = dtype
      self.shape = shape
    }
  }
}
