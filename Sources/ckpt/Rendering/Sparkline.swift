/// A row of bars, one character each: `▁▂▅█▅▂▁`.
enum Sparkline {
  private static let bars = Array("▁▂▃▄▅▆▇█")

  /// The largest count is the highest bar; nothing is a space, and something at least the lowest bar.
  static func text(_ counts: [Int]) -> String {
    let largest = counts.max() ?? 0
    return String(
      counts.map { count in
        count == 0 ? " " : bars[min(bars.count - 1, count * bars.count / max(largest, 1))]
      })
  }
}
