/// RoFormer (arXiv 2104.09864): a BERT whose queries and keys are rotated by their positions.
public struct RoFormer: Family {
  public init() {}

  public var name: String { "roformer" }
  public var summary: String { "RoFormer: rotary positions" }
  public var possibleHeads: [Head] { [.pooler, .nsp, .mlm] }
  public var structure: Structure {
    var structure = Structure()
    structure.position = .rotary
    return structure
  }
}

/// RoFormerV2 (kexue.fm/archives/8998): no biases, norms that only scale and have no weights.
public struct RoFormerV2: Family {
  public init() {}

  public var name: String { "roformer_v2" }
  public var aliases: [String] { ["roformerv2", "roformer-v2"] }
  public var summary: String { "RoFormerV2: rotary positions, no biases, norms without weights" }
  public var possibleHeads: [Head] { [.mlm] }
  public var structure: Structure {
    var structure = RoFormer().structure
    structure.norm = .plain
    structure.biases = false
    structure.maskedHead = .projection
    return structure
  }
}

/// GAU-α (kexue.fm/archives/9052): RoFormerV2 with gated attention units instead of blocks.
public struct GAUAlpha: Family {
  public init() {}

  public var name: String { "gau_alpha" }
  public var aliases: [String] { ["gau-alpha", "gau"] }
  public var summary: String { "GAU-alpha: gated attention units, rotary positions" }
  public var possibleHeads: [Head] { [.mlm] }
  public var stated: [String] { [] }
  public var structure: Structure {
    var structure = RoFormerV2().structure
    structure.gatedUnit = true
    return structure
  }
}
