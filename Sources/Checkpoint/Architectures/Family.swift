/// A family of models: the weights that a configuration implies, and back.
///
/// A new family is one file here, a builder in `Infer/Families`, and its spelling in the dialects.
public protocol Family: Sendable {
  /// The name on the command line and in ``FamilyArchitecture``.
  var name: String { get }
  /// Other names that configurations and the command line use.
  var aliases: [String] { get }
  /// One line for people.
  var summary: String { get }
  /// The heads that the family may carry.
  var possibleHeads: [Head] { get }

  /// Every weight that the architecture must have, in order of use.
  func weights(_ architecture: FamilyArchitecture) -> [WeightSpec]

  /// The configuration values that canonical names and shapes tell, by key.
  ///
  /// - Parameters:
  ///   - shapes: canonical shapes by canonical name, as far as they were found.
  ///   - heads: the number of attention heads, when known; sizes of heads follow from it.
  func inferred(from shapes: [String: Shape], heads: Int?) -> [String: Int]

  /// The configuration keys that must be known and cannot be told from shapes.
  var stated: [String] { get }

  /// Canonical names once the configuration is known: where a framework spells an untied model
  /// as one group per layer, the names become `layers.{i}`.
  func settled(_ name: String, _ configuration: Configuration) -> String

  /// Checks what single values cannot tell.
  func check(_ configuration: Configuration) throws(CheckpointError)
}

extension Family {
  public var aliases: [String] { [] }
  public func settled(_ name: String, _ configuration: Configuration) -> String { name }
}

/// The list of families.
public enum ArchitectureRegistry {
  public static let all: [any Family] = [BERT(), ALBERT()]

  /// The family of that name.
  public static func named(_ name: String) throws(CheckpointError) -> any Family {
    let wanted = name.lowercased()
    if let family = all.first(where: { $0.name == wanted || $0.aliases.contains(wanted) }) {
      return family
    }
    throw CheckpointError(
      .usage, Place(), "there is no family \"\(name)\"",
      hint: "known families: \(all.map(\.name).joined(separator: ", "))")
  }
}
