import Checkpoint

/// Why two models differ: which known mistakes explain it, or that none does.
///
/// Weights are explained first, by comparing what the result holds with everything that the source
/// holds; then configuration values, by running the result with the source's. A cause is named only
/// when it was tried and made the two agree.
public struct Diagnosis: Sendable, Equatable {
  /// A known mistake.
  public enum Kind: String, Sendable, CaseIterable {
    /// A norm's gamma and beta stand in each other's place.
    case swappedNorm = "gamma-beta-swapped"
    /// Matrices are turned round.
    case transposed = "transposed"
    /// Pairs of columns are halves (`x… y…`) where they should alternate (`x y x y`), or the reverse.
    case halfSplit = "half-split"
    case interleaved = "interleaved"
    /// Blocks hold the weights of other blocks, all as many places away.
    case shiftedBlocks = "shifted-blocks"
    /// A weight holds what the source has under another name.
    case moved = "moved"
    /// A weight is the source's times a number (a CRF's learning-rate multiplier, a folded scale).
    case scaled = "scaled"
    /// A configuration value.
    case configuration = "configuration"
  }

  public struct Cause: Sendable, Equatable {
    public var kind: Kind
    /// A configuration key, or names of weights with `*` for the layers.
    public var subject: String
    /// What was found, as a sentence.
    public var explanation: String
    /// What would mend it.
    public var hint: String?
  }

  public var causes: [Cause]
  /// Weights that differ in no known way.
  public var unexplained: [String]
  /// Whether the causes together make the two models agree.
  public var isComplete: Bool
}

extension Diagnosis {
  /// Looks for what explains the difference of two models.
  ///
  /// - Parameters:
  ///   - differing: the places of weights that differ.
  ///   - agree: whether the source and a variation of the result compute the same in Float64.
  init(
    _ source: RunnableModel, _ result: RunnableModel, differing: [String],
    agree: (RunnableModel) throws -> Bool
  ) throws {
    let weights = try WeightDiagnosis(source, result, differing)
    causes = weights.causes
    unexplained = weights.unexplained
    let mended = try result.varied(weights: weights.mended)
    let keys = Diagnosis.differingKeys(source, result)
    if keys.isEmpty {
      isComplete = try unexplained.isEmpty && !causes.isEmpty && agree(mended)
      return
    }
    // All values at once tell whether configuration explains anything; then as few as suffice.
    func agrees(_ keys: [ConfigurationKey]) throws -> Bool {
      // What the weights have no place for, another size above all, cannot be run.
      guard let variation = try? mended.varied(Diagnosis.taking(keys, of: source, into: result))
      else { return false }
      return (try? agree(variation)) ?? false
    }
    guard unexplained.isEmpty, try agrees(keys) else {
      isComplete = false
      return
    }
    var needed = keys
    for key in keys where needed.count > 1 {
      let fewer = needed.filter { $0.name != key.name }
      if try agrees(fewer) { needed = fewer }
    }
    if try needed.count > 1 || !agrees([]) {
      causes += needed.map { Diagnosis.cause($0, source, result) }
    }
    isComplete = !causes.isEmpty
  }

  /// Keys that the two state differently, those that change what is computed inside first.
  private static func differingKeys(
    _ source: RunnableModel, _ result: RunnableModel
  ) -> [ConfigurationKey] {
    let (a, b) = (source.architecture.configuration, result.architecture.configuration)
    let sharing: Set<String> = ["num_hidden_layers", "num_hidden_groups", "inner_group_num"]
    return ConfigurationKey.all.filter { key in
      let (x, y) = (key.get(a), key.get(b))
      return x != y && !(x.double != nil && x.double == y.double) && !sharing.contains(key.name)
    }
  }

  private static func taking(
    _ keys: [ConfigurationKey], of source: RunnableModel, into result: RunnableModel
  ) -> Configuration {
    var configuration = result.architecture.configuration
    for key in keys {
      _ = key.set(&configuration, key.get(source.architecture.configuration))
    }
    return configuration
  }

  private static func cause(
    _ key: ConfigurationKey, _ source: RunnableModel, _ result: RunnableModel
  ) -> Cause {
    func said(_ model: RunnableModel) -> (value: String, origin: String) {
      let value = key.get(model.architecture.configuration)
      let origin =
        switch model.origins[key.name] {
        case .assumed: " (assumed)"
        case .flag: " (--set)"
        case .file, .shapes: " (its configuration)"
        case nil: ""
        }
      return (value.string ?? value.compact, origin)
    }
    let (first, second) = (said(source), said(result))
    return Cause(
      kind: .configuration, subject: key.name,
      explanation: "\(key.name) is \(first.value)\(first.origin) in the first and "
        + "\(second.value)\(second.origin) in the second; with the same they agree",
      hint: "--set-b \(key.name)=\(first.value) or --set \(key.name)=\(second.value)")
  }
}
