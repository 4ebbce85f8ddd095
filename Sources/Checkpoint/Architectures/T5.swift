/// T5 (arXiv 1910.10683), version 1.0 (relu, tied) and 1.1 (gated, a decoder table of its own):
/// encoder and decoder, or one of the two.
public struct T5: Family {
  public init() {}

  public var name: String { "t5" }
  public var aliases: [String] {
    ["t5.1.0", "t5.1.1", "t5_encoder", "t5_decoder"]
  }
  public var summary: String { "T5 1.0 and 1.1: encoder, decoder, or both" }
  public var possibleHeads: [Head] { [.lm] }
  /// The table of distances tells the heads.
  public var stated: [String] { [] }
  public var structure: Structure {
    var structure = Structure()
    structure.position = .buckets
    structure.placement = .before
    structure.norm = .scale
    structure.embeddingNorm = false
    structure.biases = false
    structure.scalesScores = false
    structure.encoderDecoder = true
    return structure
  }

  public func heads(_ names: Set<String>, _ configuration: Configuration) -> Set<Head> {
    let hasTable = configuration.tiesDecoder || names.contains("lm.kernel")
    let hasWidth = !configuration.projection || names.contains("lm.projection.kernel")
    return configuration.hasDecoder && hasTable && hasWidth ? [.lm] : []
  }

  public func check(_ configuration: Configuration) throws(CheckpointError) {
    try Transformer.check(configuration, structure)
    try checkUnshared(configuration)
    guard configuration.hasEncoder || configuration.hasDecoder else {
      throw CheckpointError(.mismatch, Place(), "has neither an encoder nor a decoder")
    }
    guard configuration.mask == .bidirectional else {
      throw CheckpointError(
        .mismatch, Place(member: "mask"),
        "is \(configuration.mask.rawValue); a T5's encoder sees everything and its decoder what came "
          + "before, and there is no other choice")
    }
    // Half of an encoder's buckets are for each direction, and half of a direction's for one
    // distance each; logarithms of the others need distances beyond.
    let (least, exact) = (
      configuration.hasEncoder ? 4 : 2, configuration.buckets / (configuration.hasDecoder ? 2 : 4)
    )
    guard configuration.buckets >= least, configuration.bucketDistance > exact else {
      throw CheckpointError(
        .mismatch, Place(member: "relative_attention_max_distance"),
        "is \(configuration.bucketDistance); \(configuration.buckets) buckets of distances need "
          + (configuration.buckets < least ? "at least \(least) rows" : "more than \(exact)"),
        hint: "correct it in the configuration or with --set relative_attention_max_distance=N")
    }
  }
}

/// UMT5 (arXiv 2304.09151): an mT5 whose layers have a table of distances each.
public struct UMT5: Family {
  public init() {}

  public var name: String { "umt5" }
  public var summary: String { "UMT5: mT5 with a table of distances in each layer" }
  public var possibleHeads: [Head] { T5().possibleHeads }
  public var stated: [String] { [] }
  public var structure: Structure {
    var structure = T5().structure
    structure.sharesDistances = false
    return structure
  }

  public func heads(_ names: Set<String>, _ configuration: Configuration) -> Set<Head> {
    T5().heads(names, configuration)
  }

  public func check(_ configuration: Configuration) throws(CheckpointError) {
    try T5().check(configuration)
    guard !configuration.crossPositionBias else {
      throw CheckpointError(
        .mismatch, Place(member: "cross_position_bias"),
        "is true; a UMT5's cross-attention has no table of distances")
    }
  }
}

/// mT5 (arXiv 2010.11934): a T5 1.1 under names of its own.
public struct MT5: Family {
  public init() {}

  public var name: String { "mt5" }
  public var aliases: [String] { ["mt5.1.1"] }
  public var summary: String { "mT5: T5 1.1 for many languages" }
  public var possibleHeads: [Head] { T5().possibleHeads }
  public var stated: [String] { [] }
  public var structure: Structure { T5().structure }

  public func heads(_ names: Set<String>, _ configuration: Configuration) -> Set<Head> {
    T5().heads(names, configuration)
  }

  public func check(_ configuration: Configuration) throws(CheckpointError) {
    try T5().check(configuration)
  }
}
