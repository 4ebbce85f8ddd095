import Checkpoint

/// What the heads look at, as text and as JSON.
struct AttentionReport {
  private let analysis: AttentionAnalysis

  init(_ analysis: AttentionAnalysis) { self.analysis = analysis }

  func print() {
    let talks = analysis.parts.contains { $0.talking != nil }
    var table = Table(
      [.left, .right, .left, .left] + (talks ? [.right, .right] : []),
      header: ["attention", "key size", "effective rank of each head", "most alike"]
        + (talks ? ["before softmax", "after"] : []))
    for part in analysis.parts {
      let alike = part.closest.map {
        "\($0.first), \($0.second): \(Text.decimal($0.similarity, 3))"
      }
      let talking =
        part.talking.map { [$0.before, $0.after] }?
        .map { $0 == 0 ? "identity" : "identity ± \(Text.small($0))" } ?? []
      table.add(
        [
          part.name, "\(part.keySize)",
          part.heads.map { "\($0.effectiveRank)" }.joined(separator: " "), alike ?? "-",
        ] + (talks ? talking.isEmpty ? ["-", "-"] : talking : []))
    }
    Terminal.print("")
    table.print()
    Terminal.print("")
    for line in Text.wrapped(conclusion, to: Terminal.output.columns ?? .max) {
      Terminal.print(line)
    }
  }

  /// What the ranks say of the key size.
  private var conclusion: String {
    let ranks = analysis.parts.flatMap { part in part.heads.map(\.effectiveRank) }
    let sizes = analysis.parts.map(\.keySize)
    guard let largest = ranks.max(), let size = sizes.max() else { return "there is no attention" }
    let mean = Double(ranks.reduce(0, +)) / Double(max(ranks.count, 1))
    let spread =
      "99 % of the energy of W_q·W_kᵀ is in \(ranks.min() ?? 0) to \(largest) of \(size) dimensions, "
      + "\(Text.decimal(mean, 1)) on average"
    if 4 * largest <= 3 * size {
      return "\(spread); narrow-key-size=\(max(largest, 1)) keeps as much of every head"
    }
    return mean >= 0.9 * Double(size)
      ? "\(spread): heads use what they have, and widen-key-size gives them more" : spread
  }

  var json: JSON {
    .array(
      analysis.parts.map { part in
        .object([
          .init("name", .string(part.name)), .init("key_size", .number(part.keySize)),
          .init(
            "heads",
            .array(
              part.heads.map {
                .object([
                  .init("effective_rank", .number($0.effectiveRank)),
                  .init("singular_values", .array($0.singularValues.map { .number($0) })),
                ])
              })),
          .init("similarity", .array(part.similarity.map { .array($0.map { .number($0) }) })),
          .init(
            "talking_heads",
            part.talking.map {
              .object([
                .init("pre_softmax_from_identity", .number($0.before)),
                .init("post_softmax_from_identity", .number($0.after)),
              ])
            } ?? .null),
        ])
      })
  }
}

/// How far layers are from the weights that `tie` would let them share, as text and as JSON.
struct LayersReport {
  private let spread: LayerSpread

  init(_ spread: LayerSpread) { self.spread = spread }

  func print() {
    var table = Table(
      [.left, .right, .left, .right],
      header: ["layer", "distance from the mean", "farthest weight", "its distance"])
    for layer in spread.layers {
      table.add(
        layer.name, Text.small(layer.distance),
        layer.farthest.map { String($0.name.dropFirst(layer.name.count + 1)) } ?? "-",
        layer.farthest.map { Text.small($0.distance) } ?? "-")
    }
    Terminal.print("")
    table.print()
  }

  var json: JSON {
    .array(
      spread.layers.map { layer in
        .object([
          .init("name", .string(layer.name)),
          .init("distance_from_mean", .number(layer.distance)),
          .init("largest_difference", .number(layer.largestDifference)),
          .init(
            "farthest_weight",
            layer.farthest.map {
              .object([
                .init("name", .string($0.name)), .init("distance_from_mean", .number($0.distance)),
              ])
            } ?? .null),
        ])
      })
  }
}
