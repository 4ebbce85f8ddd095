import Checkpoint

/// What batch normalizations do, as text and as JSON.
struct BatchNormReport {
  private let analysis: BatchNormAnalysis

  init(_ analysis: BatchNormAnalysis) { self.analysis = analysis }

  func print() {
    var table = Table(
      [.left, .right, .right, .right, .right, .right, .left, .right, .right, .right],
      header: [
        "batch normalization", "channels", "scale: least", "median", "largest", "|shift| up to",
        "after", "‖W‖", "‖W·diag s‖", "ratio",
      ])
    for part in analysis.parts {
      let norms = part.before.map { [$0.norm, $0.scaledNorm, $0.ratio] } ?? [nil, nil, nil]
      table.add(
        [
          part.name, "\(part.channels)", Text.small(part.scale.least),
          Text.small(part.scale.median),
          Text.small(part.scale.largest),
          Text.small(max(part.shift.least.magnitude, part.shift.largest.magnitude)),
          part.before?.name ?? "-",
        ] + norms.map { $0.map { Text.small($0) } ?? "-" })
    }
    Terminal.print("")
    table.print()
    Terminal.print("")
    for line in lines { wrapped(line) }
  }

  private func wrapped(_ text: String) {
    for line in Text.wrapped(text, to: Terminal.output.columns ?? .max) { Terminal.print(line) }
  }

  private var lines: [String] {
    var lines: [String] = []
    for part in analysis.parts {
      func tell(_ channels: [Int], _ what: String) {
        guard !channels.isEmpty else { return }
        let shown = channels.prefix(8).map(String.init).joined(separator: ", ")
        lines.append(
          "\(part.name): \(channels.count) of \(part.channels) channels \(what): \(shown)"
            + (channels.count > 8 ? ", …" : ""))
      }
      tell(part.dead, "are dead (their scale is at most a thousandth of the median)")
      tell(part.exploding, "explode (their scale is at least a hundred times the median)")
      tell(part.broken, "have a scale or shift that is no finite number")
    }
    let ratios = analysis.parts.compactMap { $0.before?.ratio }
    if let least = ratios.min(), let largest = ratios.max() {
      lines.append(
        "gradients of \(ratios.count) layers are bounded by ‖W·diag s‖ instead of ‖W‖: "
          + "\(Text.small(least)) to \(Text.small(largest)) times as much")
    }
    lines.append(
      "scale s = γ/√(variance + ε), shift β − mean·s; ‖W‖ is the spectral norm, for convolutions of the "
        + "matrix [k·c, filters] that maps a window")
    return lines
  }

  var json: JSON {
    func spread(_ spread: BatchNormAnalysis.Spread) -> JSON {
      .object([
        .init("min", .number(spread.least)), .init("median", .number(spread.median)),
        .init("max", .number(spread.largest)),
      ])
    }
    func list(_ channels: [Int]) -> JSON { .array(channels.map { .number($0) }) }
    func number(_ value: Double?) -> JSON { value.map { .number($0) } ?? .null }
    return .array(
      analysis.parts.map { part in
        .object([
          .init("name", .string(part.name)), .init("channels", .number(part.channels)),
          .init("epsilon", .number(part.epsilon)), .init("scale", spread(part.scale)),
          .init("shift", spread(part.shift)), .init("dead", list(part.dead)),
          .init("exploding", list(part.exploding)), .init("not_finite", list(part.broken)),
          .init(
            "before",
            part.before.map {
              .object([
                .init("name", .string($0.name)), .init("class", .string($0.className)),
                .init("spectral_norm", number($0.norm)),
                .init("spectral_norm_scaled", number($0.scaledNorm)),
                .init("ratio", number($0.ratio)),
              ])
            } ?? .null),
        ])
      })
  }
}
