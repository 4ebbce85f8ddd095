import Checkpoint

/// A histogram as bars, as pixels and as JSON.
struct HistogramView {
  private let histogram: Histogram

  /// Counts all numbers of a tensor, with a bar of progress.
  init(_ tensor: Tensor, bins: Int, quiet: Bool) throws(CheckpointError) {
    let progress = Progress("counting", total: 2 * tensor.byteCount, quiet: quiet)
    histogram = try Histogram(tensor, bins: bins, progress: { progress.add($0) })
  }

  /// A line for each bar: where it begins, the bar, how many and what share; then what is left to say.
  func lines(_ terminal: Terminal) -> [String] {
    let numbers = histogram.statistics
    guard !histogram.counts.isEmpty else {
      return [
        numbers.count == 0
          ? "no numbers" : "none of \(Text.plural(numbers.count, "number")) is finite"
      ]
    }
    let labels = Ticks.labels(histogram.edges)
    let counts = histogram.counts.map { Text.grouped($0) }
    let shares = histogram.counts.map { count in
      let share = Double(count) / Double(numbers.finite) * 100
      return count > 0 && share < 0.05 ? "<0.1 %" : Text.decimal(share, 1) + " %"
    }
    func widest(_ texts: [String]) -> Int { texts.map { Text.width($0) }.max() ?? 0 }
    func right(_ text: String, _ width: Int) -> String {
      String(repeating: " ", count: max(0, width - Text.width(text))) + text
    }
    let sides = (widest(labels), widest(counts), widest(shares))
    let columns = terminal.columns ?? 80
    // What stands beside the bars, and what may be left out for them.
    let needed = sides.0 + sides.1 + 4
    let hasShares = columns - needed - sides.2 - 2 >= 8
    let room = max(1, columns - needed - (hasShares ? sides.2 + 2 : 0))
    let largest = max(1, histogram.counts.max() ?? 1)
    var lines = histogram.counts.indices.map { index in
      let bar = Sparkline.bar(Double(histogram.counts[index]) / Double(largest), columns: room)
      let pad = String(repeating: " ", count: max(0, room - Text.width(bar)))
      let share = hasShares ? "  " + terminal.dim(right(shares[index], sides.2)) : ""
      return right(labels[index], sides.0) + " ┤" + terminal.cyan(bar) + pad + "  "
        + right(counts[index], sides.1) + share
    }
    lines.append(right(labels[labels.count - 1], sides.0) + " ┘")
    return lines + Text.wrapped(summary(numbers), to: terminal.columns ?? 1000).map(terminal.dim)
  }

  /// What the bars do not tell.
  private func summary(_ numbers: Statistics) -> String {
    var parts = ["all \(Text.plural(numbers.finite, "finite number")) counted"]
    if let mean = numbers.mean, let deviation = numbers.standardDeviation {
      parts.append("mean \(Ticks.short(mean)), standard deviation \(Ticks.short(deviation))")
    }
    for (count, what) in [
      (numbers.zeros, "zero"), (numbers.nan, "NaN"), (numbers.positiveInfinite, "+inf"),
      (numbers.negativeInfinite, "-inf"),
    ] where count > 0 {
      parts.append("\(Text.grouped(count)) \(what)")
    }
    return parts.joined(separator: " · ")
  }

  var json: JSON {
    .object([
      .init("edges", .array(histogram.edges.map { .number($0) })),
      .init("counts", .array(histogram.counts.map { .number($0) })),
    ])
  }

  /// Bars on white, with a line under them, and one where zero is.
  func png() throws(CheckpointError) -> [UInt8] {
    let bins = max(1, histogram.counts.count)
    let bar = max(2, 800 / bins)
    let (width, height) = (bins * bar, 400)
    var canvas = Canvas(width: width, height: height, colour: Colour(255, 255, 255))
    let largest = max(1, histogram.counts.max() ?? 1)
    for (index, count) in histogram.counts.enumerated() where count > 0 {
      let top = max(1, Int((Double(count) / Double(largest) * Double(height - 12)).rounded()))
      canvas.fill(
        index * bar..<(index + 1) * bar - (bar > 3 ? 1 : 0), height - 2 - top..<height - 2,
        Colour(54, 100, 160))
    }
    canvas.fill(0..<width, height - 2..<height, Colour(90, 90, 90))
    if let first = histogram.edges.first, let last = histogram.edges.last, first < 0, last > 0 {
      // Halves, because the whole may be more than a number can say.
      let place = Int(-first / 2 / (last / 2 - first / 2) * Double(width))
      canvas.fill(place..<min(width, place + 1), 0..<height, Colour(160, 160, 160))
    }
    return try canvas.png()
  }
}

/// Numbers along an axis.
enum Ticks {
  /// All with as many decimals as tell neighbours apart, or as powers of ten.
  static func labels(_ edges: [Double]) -> [String] {
    guard edges.count > 1 else { return edges.map(short) }
    let step = edges[1] - edges[0]
    let largest = edges.map(\.magnitude).max() ?? 0
    var decimals = 0
    var scaled = step
    while scaled < 10, decimals < 9 { scaled *= 10; decimals += 1 }
    guard largest < 1e7, decimals < 9, step > 0 else { return edges.map(short) }
    return edges.map { Text.decimal($0, decimals) }
  }

  /// About four digits.
  static func short(_ value: Double) -> String {
    let size = value.magnitude
    let text = ArrayText(
      .floats([value], .double), shape: [], isSummary: false,
      precision: size >= 1e8 ? 3 : size >= 1000 ? 0 : size >= 1 ? 3 : 4
    ).text
    return text.hasSuffix(".") ? String(text.dropLast()) : text
  }
}
