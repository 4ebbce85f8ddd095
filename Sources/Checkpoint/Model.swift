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

  /// The weights that each stored tensor holds, in the architecture's order.
  public var canonicalNames: [String: [String]] { weights.namesBySource }

  /// The weight of a name that the architecture has.
  ///
  /// - Throws: ``CheckpointError`` of kind `mismatch` where it is missing.
  public func weight(_ name: String) throws(CheckpointError) -> Weight {
    if let weight = self[name] { return weight }
    throw CheckpointError(.mismatch, .tensor(name), "is missing")
  }
}
