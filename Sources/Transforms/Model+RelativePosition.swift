import Checkpoint

extension Model {
  /// Multiplies the tables of distances of T5 by a matrix for each attention that uses them.
  ///
  /// Where attentions of one table have different matrices, each gets a table of its own and the model
  /// becomes a UMT5.
  ///
  /// - Parameters:
  ///   - matrices: `[heads before, heads after]` in C order, by attention.
  ///   - heads: the number of heads after it.
  /// - Returns: the names of the tables that have other values now.
  mutating func mixDistances(
    _ matrices: [String: [Double]], heads: Int, _ step: String, for transform: any Transform
  ) throws(CheckpointError) -> Set<String> {
    let (c, structure) = (architecture.configuration, architecture.structure)
    guard structure.position == .buckets else { return [] }
    let own = architecture.storedAttentions.filter { !$0.hasSuffix(".cross_attention") }
    let stacks = ["encoder.", "decoder."].map { prefix in
      (
        table: "\(prefix)relative_position",
        users: architecture.storedAttentions.filter { attention in
          attention.hasPrefix(prefix) && (own.contains(attention) || c.crossPositionBias)
        }
      )
    }.filter { !$0.users.isEmpty }
    if structure.sharesDistances,
      let uneven = stacks.first(where: { Set($0.users.map { matrices[$0] }).count > 1 })
    {
      guard !c.crossPositionBias else {
        throw transform.refusal(
          "its attentions share it, and each would need another; only layers without a bias in "
            + "cross-attention can have tables of their own (UMT5)", at: uneven.table,
          hint: "to leave the bias out of cross-attention, another function: "
            + "--set cross_position_bias=false")
      }
      for (table, users) in stacks {
        let shared = try weight(table)
        weights.removeAll { $0.name == table }
        weights += users.map { shared.renamed("\($0).relative_position", operation: "copied") }
      }
      architecture.family = "umt5"
    }
    let isShared = architecture.structure.sharesDistances
    var changed: Set<String> = []
    for (table, users) in stacks {
      for user in isShared ? Array(users.prefix(1)) : users {
        let name = isShared ? table : "\(user).relative_position"
        let matrix = matrices[user] ?? []
        try rewrite([name]) { $0.multiplyingParts([matrix], columns: heads, step) }
        changed.insert(name)
      }
    }
    return changed
  }
}
