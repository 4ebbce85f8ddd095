/// A family of models: the weights that a configuration implies, and back.
///
/// A new family of transformers is one file with a name and a ``Structure``, and its spelling in the
/// dialects; everything else follows.
public protocol Family: Sendable {
  /// The name on the command line and in ``FamilyArchitecture``.
  var name: String { get }
  /// Other names that configurations and the command line use.
  var aliases: [String] { get }
  /// One line for people.
  var summary: String { get }
  /// The heads that the family may carry.
  var possibleHeads: [Head] { get }
  /// How its blocks are put together.
  var structure: Structure { get }

  /// Every weight that the architecture must have, in order of use.
  func weights(_ architecture: FamilyArchitecture) -> [WeightSpec]

  /// The configuration values that canonical names and shapes tell, by key.
  ///
  /// - Parameters:
  ///   - shapes: canonical shapes by canonical name, as far as they were found.
  ///   - heads: the number of attention heads, when known; sizes of heads follow from it.
  func inferred(from shapes: [String: Shape], heads: Int?) -> [String: Int]

  /// Completes a configuration by what the presence of weights tells and no key states.
  func settle(_ configuration: inout Configuration, _ shapes: [String: Shape])

  /// The configuration keys that must be known and cannot be told from shapes.
  var stated: [String] { get }

  /// The heads that weights of these names make.
  func heads(_ names: Set<String>, _ configuration: Configuration) -> Set<Head>

  /// Canonical names once the configuration is known: where a framework spells an untied model
  /// as one group per layer, the names become `layers.{i}`.
  func settled(_ name: String, _ configuration: Configuration) -> String

  /// Checks what single values cannot tell.
  func check(_ configuration: Configuration) throws(CheckpointError)
}

extension Family {
  public var aliases: [String] { [] }
  public var stated: [String] { ["num_attention_heads"] }
  public func settled(_ name: String, _ configuration: Configuration) -> String { name }

  public func weights(_ architecture: FamilyArchitecture) -> [WeightSpec] {
    Transformer(structure: structure, configuration: architecture.configuration)
      .weights(architecture)
  }

  public func inferred(from shapes: [String: Shape], heads: Int?) -> [String: Int] {
    Transformer.inferred(from: shapes, structure, heads: heads)
  }

  public func settle(_ configuration: inout Configuration, _ shapes: [String: Shape]) {
    Transformer.settle(&configuration, shapes, structure)
  }

  /// Those with weights of their own, and a language model that needs none.
  public func heads(_ names: Set<String>, _ configuration: Configuration) -> Set<Head> {
    let present = Set(names.map { $0.prefix { $0 != "." } })
    var heads = Set(possibleHeads.filter { present.contains($0.rawValue[...]) })
    if structure.languageModel { heads.insert(.lm) }
    // Where the token table is all that a masked language model needs.
    if structure.maskedHead == .projection, possibleHeads.contains(.mlm), !configuration.projection
    {
      heads.insert(.mlm)
    }
    return heads
  }

  public func check(_ configuration: Configuration) throws(CheckpointError) {
    try Transformer.check(configuration, structure)
    try checkUnshared(configuration)
  }

  /// Checks that every layer has its own weights.
  func checkUnshared(_ configuration: Configuration) throws(CheckpointError) {
    guard configuration.groups == nil, configuration.innerGroups == 1 else {
      throw CheckpointError(
        .mismatch, Place(), "\(name)'s layers are not in groups", hint: "use --family albert")
    }
  }
}

/// The list of families.
public enum ArchitectureRegistry {
  public static let all: [any Family] = [
    BERT(), ALBERT(), BrightmartALBERT(), RoBERTa(), DistilBERT(), ELECTRA(), NEZHA(), RoFormer(),
    RoFormerV2(), GAUAlpha(), GPT(), GPT2(), GPT2ML(), T5(), MT5(), UMT5(),
  ]

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
