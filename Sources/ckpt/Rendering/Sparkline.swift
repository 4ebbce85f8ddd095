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

extension Sparkline {
  private static let eighths = Array(" ▏▎▍▌▋▊▉")

  /// A bar from the left, in steps of an eighth of a column; something is at least one step.
  static func bar(_ share: Double, columns: Int) -> String {
    guard share > 0 else { return "" }
    let steps = max(1, min(columns * 8, Int((share * Double(columns * 8)).rounded())))
    let rest = steps % 8
    return String(repeating: "█", count: steps / 8) + (rest > 0 ? String(eighths[rest]) : "")
  }
}
