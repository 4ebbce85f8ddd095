/// From a checkpoint and a configuration to a model.
public struct ModelReader: Sendable {
  /// What the user says instead of what would be found.
  public struct Options: Sendable {
    public var format: String?
    public var dialect: String?
    public var family: String?
    public var configurationPath: String?
    public var vocabularyPath: String?
    /// `--set KEY=VALUE`, in order.
    public var settings: [(key: String, value: String)] = []

    /// What Lambda layers of a Keras graph compute, by name: `--lambda NAME=FUNCTION`.
    public var lambdas: [String: String] = [:]

    /// `--set part=NAME` chooses one of several models in a file.
    static let partKey = "part"
    var part: String? { settings.last { $0.key == Options.partKey }?.value }
    /// One of several models in a file that will be left of it; its configuration is preferred.
    public var remainingPart: String?

    public init() {}
  }

  private let options: Options

  public init(_ options: Options = Options()) { self.options = options }

  /// Reads what the checkpoint's tensors mean.
  ///
  /// - Throws: ``CheckpointError`` when no dialect knows the names, or when configuration and
  ///   weights contradict each other.
  public func model(
    of checkpoint: Checkpoint, configuration: (path: String, json: JSON)?
  ) throws(CheckpointError) -> Model {
    let draft = try draft(of: checkpoint, configuration: configuration)
    do throws(CheckpointError) {
      return try draft.checked()
    } catch {
      throw error.at(.file(checkpoint.path))
    }
  }

  /// The same before it is checked that all weights are there and none is left over.
  ///
  /// - Throws: ``CheckpointError`` as ``model(of:configuration:)``, but for what ``Model/misfits()`` tells.
  public func draft(
    of checkpoint: Checkpoint, configuration: (path: String, json: JSON)?
  ) throws(CheckpointError) -> Model {
    do throws(CheckpointError) {
      var (dialect, family) = try recognise(checkpoint, configuration?.json)
      if let part = options.part {
        guard let chosen = dialect.reading(part: part) else {
          throw CheckpointError(
            .usage, Place(member: "--set \(Options.partKey)=\(part)"),
            "\(dialect.name) knows no such part of a file")
        }
        dialect = chosen
      }
      return try draft(checkpoint, configuration, dialect, family)
    } catch {
      throw error.at(.file(checkpoint.path))
    }
  }

  /// The weights by their names alone, where the configuration cannot be known: of the architecture only the
  /// family's name counts.
  ///
  /// `nil` where no dialect knows the names.
  public func outline(
    of checkpoint: Checkpoint, configuration: (path: String, json: JSON)?
  ) -> Model? {
    guard let (dialect, family) = try? recognise(checkpoint, configuration?.json),
      let binding = try? dialect.bind(checkpoint, family: family.name)
    else { return nil }
    let architecture = FamilyArchitecture(
      family: family.name, configuration: Configuration(), heads: [], tops: binding.tops)
    return Model(
      architecture: architecture, weights: binding.weights, carried: binding.carried,
      left: binding.left, redundant: binding.redundant, configuration: configuration?.json,
      dialect: dialect.name, warnings: checkpoint.warnings + binding.warnings)
  }

  private func recognise(
    _ checkpoint: Checkpoint, _ configuration: JSON?
  ) throws(CheckpointError) -> (any Dialect, any Family) {
    var dialects = DialectRegistry.all
    if let name = options.dialect { dialects = [try DialectRegistry.named(name)] }
    var stated: (any Family)?
    if let name = options.family { stated = try ArchitectureRegistry.named(name) }
    for dialect in dialects {
      let found: String?
      do throws(CheckpointError) {
        found = try dialect.recognise(checkpoint, configuration: configuration)
      } catch {
        guard let stated else { throw error }
        return (dialect, stated)
      }
      guard let found else { continue }
      if let stated { return (dialect, stated) }
      return (dialect, try ArchitectureRegistry.named(found))
    }
    if let stated, dialects.count == 1 { return (dialects[0], stated) }
    // A configuration of another model hides whose the names are.
    if var json = configuration, let type = json["model_type"]?.string {
      json.set("model_type", .null)
      for dialect in dialects {
        guard let found = try? dialect.recognise(checkpoint, configuration: json) else { continue }
        throw CheckpointError(
          .notRecognised, Place(),
          "its tensors are named as \(dialect.name) names a \(found), and the configuration says "
            + "model_type is \"\(type)\"",
          hint: "correct the configuration, or say --dialect \(dialect.name) --family \(found)")
      }
    }
    throw CheckpointError(
      .notRecognised, Place(),
      "its tensors are named as in no dialect that ckpt knows",
      hint: "known dialects: \(DialectRegistry.all.map(\.name).joined(separator: ", ")); "
        + "--dialect and --family choose; convert without --to keeps names as they are")
  }

  private func draft(
    _ checkpoint: Checkpoint, _ file: (path: String, json: JSON)?, _ dialect: any Dialect,
    _ family: any Family
  ) throws(CheckpointError) -> Model {
    guard dialect.families.contains(family.name) else {
      throw CheckpointError(
        .unsupported, Place(), "the dialect \(dialect.name) does not spell \(family.name)")
    }
    var binding = try dialect.bind(checkpoint, family: family.name)
    binding.family = family.name
    try dialect.bindTops(
      &binding, of: checkpoint, configuration: file?.json,
      said: options.settings.filter { $0.key.hasPrefix(ModelReader.headPrefix) }
        .map { (String($0.key.dropFirst(ModelReader.headPrefix.count)), $0.value) })
    var settings = SettingList()
    let own = Set(dialect.settings.map(\.name))
    let assumed = try dialect.assumptions(
      binding, of: checkpoint, family: family.name, configuration: file?.json,
      said: Said(
        family: options.family,
        settings: Dictionary(options.settings.filter { own.contains($0.key) }) { $1 }))
    for (key, value) in assumed.values { settings.set(key, value, .assumed) }
    if let file {
      let translated = dialect.translated(file.json, family: family.name)
      try read((file.path, translated), dialect, into: &settings)
    }
    var warnings = checkpoint.warnings + assumed.remarks
    try read(dialect.stated(in: checkpoint), of: checkpoint.path, dialect, &settings, &warnings)
    for (key, text) in options.settings
    where !key.hasPrefix(ModelReader.headPrefix) && key != Options.partKey && !own.contains(key) {
      try set(key, text, dialect, &settings)
    }

    // Shapes first tell everything but the sizes of heads, then those too.
    let shapes = binding.shapes
    try settings.add(inferred(family, shapes, settings, heads: nil))
    for key in family.stated where settings[key] == nil {
      throw CheckpointError(
        .mismatch, Place(), "\(key) cannot be told from the weights",
        hint: "give --config FILE or --set \(key)=N")
    }
    let heads = settings["num_attention_heads"]?.value.int
    try settings.add(inferred(family, shapes, settings, heads: heads))

    var configuration = try settings.configuration()
    family.settle(&configuration, shapes)
    // As many groups as layers share nothing; of a single layer the file's names tell.
    if configuration.groups == configuration.layers, configuration.layers > 1,
      configuration.innerGroups == 1
    {
      configuration.groups = nil
    }
    try ModelReader.checkGates(configuration, shapes, settings)
    binding.weights += dialect.made(configuration, family: family.name)
      .filter { shapes[$0.name] == nil }
    try family.check(configuration)
    let architecture = FamilyArchitecture(
      family: family.name, configuration: configuration,
      heads: family.heads(Set(binding.weights.map(\.name)), configuration), tops: binding.tops)
    if let file { warnings += dialect.remarks(on: file.json) }
    warnings += binding.warnings.filter { !warnings.contains($0) }
    warnings += try ModelReader.doubts(of: binding, settings["transition_multiplier"])
    var model = Model(
      architecture: architecture,
      weights: binding.weights.map { $0.renamed(family.settled($0.name, configuration)) },
      carried: binding.carried, left: binding.left, redundant: binding.redundant,
      settings: settings.list, configuration: file?.json, dialect: dialect.name,
      warnings: warnings)
    model.flags = binding.flags
    return model
  }

  /// What shapes tell; a table that is shared tells nothing of the segments.
  private func inferred(
    _ family: any Family, _ shapes: [String: Shape], _ settings: SettingList, heads: Int?
  ) -> [String: Int] {
    var values = family.inferred(from: shapes, heads: heads)
    if settings["shared_segment_embeddings"]?.value.bool == true { values["type_vocab_size"] = nil }
    return values
  }

  /// `--set head.NAME=PLACE` speaks of a layer on top.
  static let headPrefix = "head."

  /// A gated feed-forward has as many factors as activations.
  private static func checkGates(
    _ configuration: Configuration, _ shapes: [String: Shape], _ settings: SettingList
  ) throws(CheckpointError) {
    let factors = Configuration.gateCount(in: shapes.keys)
    guard factors != configuration.gates.count else { return }
    let said = settings["hidden_act"]?.value.compact ?? configuration.activation.rawValue
    throw CheckpointError(
      .mismatch, Place(member: "hidden_act"),
      "is \(said); the weights' feed-forward has \(factors + 1) factors",
      hint: "give one activation for each, such as --set hidden_act=gelu_tanh,linear")
  }

  /// The keys of a configuration file that ckpt knows; others belong to training.
  private func read(
    _ file: (path: String, json: JSON), _ dialect: any Dialect, into settings: inout SettingList
  ) throws(CheckpointError) {
    guard let members = file.json.members else {
      throw CheckpointError(.mismatch, .file(file.path), "is no JSON object")
    }
    for member in members where member.value != .null {
      let origin = Model.Origin.file(file.path)
      if ModelReader.epsilonKeys.contains(member.key) {
        for name in ConfigurationKey.epsilons {
          guard let key = ConfigurationKey.named(name) else { continue }
          let value = try ModelReader.value(member.value, of: key, dialect, .file(file.path))
          settings.set(name, value, origin)
        }
      } else if let usual = ConfigurationKey.unsupported[member.key] {
        guard usual.contains(member.value) else {
          throw CheckpointError(
            .unsupported, .file(file.path),
            "\(member.key) is \(member.value.compact), which ckpt cannot compute yet")
        }
      } else if let key = ConfigurationKey.named(member.key) {
        let value = try ModelReader.value(member.value, of: key, dialect, .file(file.path))
        settings.set(key.name, value, origin)
      }
    }
  }

  /// What the file of weights says of itself, unless `--set` says otherwise.
  private func read(
    _ stated: [(String, JSON)], of path: String, _ dialect: any Dialect,
    _ settings: inout SettingList, _ warnings: inout [String]
  ) throws(CheckpointError) {
    let given = Set(
      options.settings.flatMap {
        $0.key == "layer_norm_eps"
          ? ConfigurationKey.epsilons : [ConfigurationKey.named($0.key)?.name ?? $0.key]
      })
    for (name, raw) in stated where !given.contains(name) {
      guard let key = ConfigurationKey.named(name) else { continue }
      let value = try ModelReader.value(raw, of: key, dialect, Place(file: path, member: name))
      if let other = settings[name], case .file(let file) = other.origin,
        !ModelReader.same(other.value, value)
      {
        guard options.configurationPath == nil else {
          throw CheckpointError(
            .mismatch, .file(file),
            "says \(name) is \(other.value.compact); the weights' file says "
              + value.compact,
            hint: "--set \(name)=VALUE decides")
        }
        warnings.append(
          "\(Paths.name(of: file)) says \(name) is \(other.value.compact), the weights' "
            + "file says \(value.compact), which is used")
      }
      settings.set(name, value, .file(path))
    }
  }

  /// Equality by value: `1e-12` and `1.0e-12` are the same number.
  private static func same(_ a: JSON, _ b: JSON) -> Bool {
    if let x = a.double, let y = b.double { return x == y }
    return a == b
  }

  private func set(
    _ name: String, _ text: String, _ dialect: any Dialect, _ settings: inout SettingList
  ) throws(CheckpointError) {
    let place = Place(member: "--set \(name)=\(text)")
    let isNumber = Double(text) != nil
    let raw = isNumber ? JSON.literal(text) : JSON.string(text)
    if name == "layer_norm_eps" {
      for key in ConfigurationKey.epsilons.compactMap(ConfigurationKey.named) {
        settings.set(key.name, try ModelReader.value(raw, of: key, dialect, place), .flag)
      }
      return
    }
    guard let key = ConfigurationKey.named(name) else {
      throw CheckpointError(
        .usage, place, "there is no key \"\(name)\"",
        hint: "keys: layer_norm_eps, "
          + (ConfigurationKey.all.map(\.name) + dialect.settings.map(\.name))
          .joined(separator: ", "))
    }
    settings.set(key.name, try ModelReader.value(raw, of: key, dialect, place), .flag)
  }

  /// Keys whose values are activations.
  private static let activations: Set<String> = [
    "hidden_act", "head_act", "pooler_activation", "layer_norm_cond_hidden_act",
  ]
  /// The frameworks' spellings of one epsilon for all norms.
  private static let epsilonKeys: Set<String> = ["layer_norm_eps", "layer_norm_epsilon"]

  /// A value as the key takes it: activations by the dialect's spelling, the rest as it is.
  private static func value(
    _ value: JSON, of key: ConfigurationKey, _ dialect: any Dialect, _ place: Place
  ) throws(CheckpointError) -> JSON {
    var value = value
    if ModelReader.activations.contains(key.name) {
      let names =
        value.array ?? value.string?.split(separator: ",").map { .string(String($0)) } ?? []
      var list: [JSON] = []
      for name in names {
        guard let activation = name.string.flatMap(dialect.activation) else {
          throw CheckpointError(
            .unsupported, place, "the activation \(name.compact) is unknown",
            hint: "known: \(Activation.allCases.map(\.rawValue).joined(separator: ", "))")
        }
        list.append(.string(activation.rawValue))
      }
      if !list.isEmpty { value = list.count == 1 ? list[0] : .array(list) }
    }
    var probe = Configuration()
    guard key.set(&probe, value) else {
      throw CheckpointError(
        .mismatch, place, "\(key.name) (\(key.summary)) cannot be \(value.compact)")
    }
    return value
  }
}

/// Configuration values with their origins; what contradicts is an error that names both sides.
private struct SettingList {
  private(set) var list: [Model.Setting] = []

  subscript(key: String) -> Model.Setting? { list.first { $0.key == key } }

  mutating func set(_ key: String, _ value: JSON, _ origin: Model.Origin) {
    let setting = Model.Setting(key: key, value: value, origin: origin)
    if let index = list.firstIndex(where: { $0.key == key }) {
      list[index] = setting
    } else {
      list.append(setting)
    }
  }

  /// Adds what shapes tell; what was stated before must agree.
  mutating func add(_ inferred: [String: Int]) throws(CheckpointError) {
    for key in inferred.keys.sorted() {
      guard let value = inferred[key] else { continue }
      guard let stated = self[key], stated.origin != .assumed else {
        set(key, .number(value), .shapes)
        continue
      }
      guard stated.value.int == value else {
        let (place, side): (Place, String) =
          switch stated.origin {
          case .file(let path): (.file(path), "the configuration")
          default: (Place(member: "--set \(key)"), "--set")
          }
        throw CheckpointError(
          .mismatch, place,
          "\(side) says \(key) = \(stated.value.compact), the weights say \(value)",
          hint: "if the weights are right, use --set \(key)=\(value)")
      }
    }
  }

  func configuration() throws(CheckpointError) -> Configuration {
    var configuration = Configuration()
    for setting in list {
      _ = ConfigurationKey.named(setting.key)?.set(&configuration, setting.value)
    }
    return configuration
  }
}
