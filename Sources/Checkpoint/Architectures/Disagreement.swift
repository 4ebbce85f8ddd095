/// Something that two models say differently of themselves.
public struct Disagreement: Sendable, Equatable {
  /// A configuration key, `heads`, or the name of a carried tensor.
  public var subject: String
  public var source: String
  public var result: String

  public init(subject: String, source: String, result: String) {
    self.subject = subject
    self.source = source
    self.result = result
  }
}

extension Disagreement {
  /// Every value that two architectures state differently and that is not explained by what a framework can
  /// hold.
  ///
  /// A framework fixes some values for all its models (bert4keras its epsilons, each its rule of
  /// padding). A difference that only says so is no disagreement, as long as epsilons stay within
  /// ``Epsilons/alike(_:_:)``.
  ///
  /// - Parameters:
  ///   - dialects: the names of the dialects that the two were read from.
  ///   - vocabulary: whether the number of tokens is compared.
  /// - Throws: ``CheckpointError`` of kind `usage` where there is no such dialect.
  public static func between(
    _ expected: FamilyArchitecture, _ there: FamilyArchitecture,
    dialects: (source: String, result: String), vocabulary: Bool = true
  ) throws(CheckpointError) -> [Disagreement] {
    let (a, b) = (expected.configuration, there.configuration)
    // What each framework makes of the other's configuration, with its own way of sharing layers.
    let held = try DialectRegistry.named(dialects.result).computed(expected.sharing(like: there))
    let holding = try DialectRegistry.named(dialects.source).computed(there.sharing(like: expected))
    let sameFramework =
      dialects.source == dialects.result && (a.groups == nil) == (b.groups == nil)
    var found: [Disagreement] = []
    if a.depth != b.depth {
      found.append(
        Disagreement(subject: "applied layers", source: "\(a.depth)", result: "\(b.depth)"))
    }
    for key in ConfigurationKey.all where isCompared(key.name, expected, there, vocabulary) {
      let (x, y) = (key.get(a), key.get(b))
      let same = x == y || (x.double != nil && x.double == y.double)
      let explained =
        !sameFramework && (key.get(held) == y || key.get(holding) == x)
        && (!key.name.hasSuffix("_eps") || Epsilons.alike(x.double ?? 0, y.double ?? 0))
      if !same && !explained {
        found.append(
          Disagreement(
            subject: key.name, source: x.string ?? x.compact, result: y.string ?? y.compact))
      }
    }
    // A sequence head is called nsp in BERT and sop in ALBERT.
    func heads(_ architecture: FamilyArchitecture) -> [String] {
      architecture.heads.sorted().map { $0 == .sop ? "nsp" : $0.rawValue }
    }
    let (mine, theirs) = (
      heads(expected) + expected.tops.map(\.meaning), heads(there) + there.tops.map(\.meaning)
    )
    if Set(mine) != Set(theirs) {
      found.append(
        Disagreement(
          subject: "heads", source: mine.isEmpty ? "none" : mine.joined(separator: ", "),
          result: theirs.isEmpty ? "none" : theirs.joined(separator: ", ")))
    }
    return found
  }

  private static func isCompared(
    _ key: String, _ a: FamilyArchitecture, _ b: FamilyArchitecture, _ vocabulary: Bool
  ) -> Bool {
    switch key {
    // How layers are shared is no part of the function; their number is compared as depth.
    case "num_hidden_layers", "num_hidden_groups", "inner_group_num": false
    // Names are no part of it either, and neither is what became of it on the way.
    case "prefix", ConfigurationKey.originalVocabulary: false
    case "vocab_size": vocabulary
    default: a.depends(on: key) && b.depends(on: key)
    }
  }
}

extension FamilyArchitecture {
  /// The same architecture with its layers shared as another's are.
  fileprivate func sharing(like other: FamilyArchitecture) -> FamilyArchitecture {
    var copy = self
    copy.configuration.groups = other.configuration.groups
    copy.configuration.innerGroups = other.configuration.innerGroups
    copy.configuration.layers = other.configuration.layers
    return copy
  }
}
