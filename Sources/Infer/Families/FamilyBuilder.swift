public import Checkpoint

/// Describes what a family computes, once: every use of a model goes by the graph that it makes.
public protocol FamilyBuilder: Sendable {
  /// The family's name in `ArchitectureRegistry`.
  var family: String { get }

  /// The graph of an architecture, with every output that its heads allow.
  func graph(_ architecture: FamilyArchitecture) throws(InferError) -> Graph

  /// The graph of a step in generation: tokens that continue those whose keys and values the graph's
  /// states hold, and the logits of what follows them.
  ///
  /// It is a decoder's where there is one; the encoder's keys and values are states.
  func stepGraph(_ architecture: FamilyArchitecture) throws(InferError) -> Graph
}

/// The list of builders.
public enum FamilyRegistry {
  public static let all: [any FamilyBuilder] = ArchitectureRegistry.all.map {
    TransformerBuilder(family: $0.name)
  }

  /// The graph of an architecture.
  public static func graph(_ architecture: FamilyArchitecture) throws(InferError) -> Graph {
    try builder(architecture).graph(architecture)
  }

  /// The graph of a step in generation.
  public static func stepGraph(_ architecture: FamilyArchitecture) throws(InferError) -> Graph {
    try builder(architecture).stepGraph(architecture)
  }

  private static func builder(
    _ architecture: FamilyArchitecture
  ) throws(InferError) -> any FamilyBuilder {
    guard let builder = all.first(where: { $0.family == architecture.family }) else {
      throw InferError(.unsupported, architecture.family, "the engine has no builder for it")
    }
    return builder
  }
}
