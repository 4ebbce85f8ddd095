/// A model: what its tensors mean, the canonical weights, and what travels with them.
///
/// This is what transforms map and what the engine runs.
public struct Model: Sendable {
  public var architecture: FamilyArchitecture
  /// Canonical weights in the architecture's order, each exactly once.
  public var weights: [Weight]
  /// Tensors of no known meaning, in their groups; an empty group holds the place of a layer in
  /// ``FamilyArchitecture/tops``.
  public var carried: [Group]
  /// Tensors that another form has no place for.
  public var left: [Leftover]
  /// Stored tensors whose content is told elsewhere.
  public var redundant: [Leftover]
  /// Every configuration value and where it was found.
  public var settings: [Setting]
  /// The configuration file's content, when there was one.
  public var configuration: JSON?
  /// The vocabulary, where a transform needs it; whoever applies one reads it for that.
  public var vocabulary: Vocabulary?
  /// The dialect that it was read from.
  public var dialect: String
  /// What people should know.
  public var warnings: [String]
  /// The flag that would tell the place of a layer that is carried, by the layer's name.
  public var flags: [String: String] = [:]

  public init(
    architecture: FamilyArchitecture, weights: [Weight], carried: [Group] = [],
    left: [Leftover] = [], redundant: [Leftover] = [], settings: [Setting] = [],
    configuration: JSON? = nil, dialect: String, warnings: [String] = []
  ) {
    self.architecture = architecture
    self.weights = weights
    self.carried = carried
    self.left = left
    self.redundant = redundant
    self.settings = settings
    self.configuration = configuration
    self.dialect = dialect
    self.warnings = warnings
  }

  /// A configuration value and where it comes from.
  public struct Setting: Sendable, Equatable {
    public var key: String
    public var value: JSON
    public var origin: Origin
  }

  public enum Origin: Sendable, Equatable {
    /// Read from a configuration file.
    case file(String)
    /// Told by the tensors' shapes.
    case shapes
    /// Given by `--set`.
    case flag
    /// Left open by the file; the dialect's way is used.
    case assumed
  }

  /// The weight of that canonical name.
  public subscript(name: String) -> Weight? {
    weights.first { $0.name == name }
  }

  /// The weight of a name that the architecture has.
  ///
  /// - Throws: ``CheckpointError`` of kind `mismatch` where it is missing.
  public func weight(_ name: String) throws(CheckpointError) -> Weight {
    if let weight = self[name] { return weight }
    throw CheckpointError(.mismatch, .tensor(name), "is missing")
  }

  /// Checks that the weights are exactly those that the architecture needs.
  ///
  /// - Throws: ``CheckpointError`` of kind `mismatch` naming the first that is missing, left over
  ///   or of another shape, and how many more there are.
  public func checked() throws(CheckpointError) -> Model {
    let family = try ArchitectureRegistry.named(architecture.family)
    let specs = family.weights(architecture)
    var found: [String: Weight] = [:]
    for weight in weights {
      guard found.updateValue(weight, forKey: weight.name) == nil else {
        throw CheckpointError(
          .mismatch, .tensor(weight.tensor.name), "\(weight.name) stands twice in the file")
      }
    }
    let missing = specs.filter { found[$0.name] == nil }
    if let first = missing.first {
      throw CheckpointError(
        .mismatch, .tensor(first.name),
        "is missing: \(family.name) needs it with shape \(first.shape)"
          + (missing.count > 1 ? ", and \(missing.count - 1) more are missing" : ""))
    }
    var ordered: [Weight] = []
    for spec in specs {
      guard let weight = found.removeValue(forKey: spec.name) else { continue }
      guard weight.tensor.isCastable else {
        throw CheckpointError(
          .mismatch, .tensor(weight.tensor.name),
          "\(spec.name) holds \(weight.tensor.dtype.rawValue); weights are floating-point numbers")
      }
      guard weight.tensor.shape == spec.shape else {
        throw CheckpointError(
          .mismatch, .tensor(weight.tensor.name),
          "\(spec.name) has shape \(weight.tensor.shape); the configuration needs \(spec.shape)")
      }
      ordered.append(weight)
    }
    if let extra = weights.first(where: { found[$0.name] != nil }) {
      throw CheckpointError(
        .mismatch, .tensor(extra.tensor.name),
        "\(extra.name) has no place in \(family.name) with this configuration")
    }
    var copy = self
    copy.weights = ordered
    return copy
  }
}
