import Checkpoint

extension FamilyArchitecture {
  /// The stored block of a weight and the rest of the weight's name, dot and all: `layers.3` and
  /// `.attention.query.kernel`; `nil` for what stands in no block.
  func block(of weight: String, among blocks: Set<String>) -> (block: String, part: String)? {
    // `layers.3`, `groups.0.1` and `encoder.layers.3` are the first two or three parts of a name.
    for end in weight.indices.filter({ weight[$0] == "." }).prefix(3).dropFirst()
    where blocks.contains(String(weight[..<end])) {
      return (String(weight[..<end]), String(weight[end...]))
    }
    return nil
  }
}

extension Model {
  /// Gives each stored block's weights another block's names; those that map to nothing go.
  ///
  /// - Parameter blocks: new names by old ones.
  mutating func renameBlocks(_ blocks: [String: String]) {
    let architecture = architecture
    let stored = Set(architecture.storedBlocks)
    weights = weights.compactMap { weight in
      guard let (block, part) = architecture.block(of: weight.name, among: stored) else {
        return weight
      }
      return blocks[block].map { $0 == block ? weight : weight.renamed($0 + part) }
    }
  }
}
