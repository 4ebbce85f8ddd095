import Checkpoint

/// Statistics as JSON and as cells of a table.
extension Statistics {
  /// Parts that a stored histogram has.
  static let histogramBins = 32
  private static let sparklineBins = 12

  /// Every value; `null` for what no finite number has.
  var json: JSON {
    func number(_ value: Double?) -> JSON { value.map { .number($0) } ?? .null }
    return .object([
      .init("count", .number(count)), .init("finite", .number(finite)),
      .init("nan", .number(nan)), .init("positive_infinite", .number(positiveInfinite)),
      .init("negative_infinite", .number(negativeInfinite)), .init("zeros", .number(zeros)),
      .init("negative_zeros", .number(negativeZeros)), .init("subnormals", .number(subnormals)),
      .init("min", number(minimum)), .init("max", number(maximum)), .init("mean", number(mean)),
      .init("std", number(standardDeviation)), .init("norm", number(norm)),
      .init("p1", number(quantile(0.01))), .init("median", number(median)),
      .init("p99", number(quantile(0.99))), .init("sample", .number(sampleCount)),
      .init("exact_quantiles", .bool(isExact)), .init("histogram", histogramJSON),
    ])
  }

  private var histogramJSON: JSON {
    guard let minimum, let maximum else { return .null }
    let bins = histogram(bins: Statistics.histogramBins, from: minimum, to: maximum)
    return .object([
      .init("bins", .array(bins.map { .number($0) })), .init("from", .number(minimum)),
      .init("to", .number(maximum)),
    ])
  }

  /// From the minimum to the maximum.
  fileprivate var sparkline: String {
    guard let minimum, let maximum else { return "" }
    return Sparkline.text(
      histogram(bins: Statistics.sparklineBins, from: minimum, to: maximum))
  }
}

/// A column of statistics.
enum StatisticsColumn: String, CaseIterable {
  // In the order in which they stand.
  case mean, std, min, max, norm, p1, median, p99, zeros, nan, inf, subnormal, histogram

  var header: String { self == .norm ? "L2" : rawValue }
  var alignment: Table.Alignment { self == .histogram ? .left : .right }

  /// The columns, the most important first, of which a terminal shows as many as there is room for; some
  /// say little without one another.
  ///
  /// What is odd and found comes before everything, and what is not found comes last.
  static func ranked(_ all: [Statistics]) -> [[StatisticsColumn]] {
    let odd: [(column: StatisticsColumn, isFound: Bool)] = [
      (.nan, all.contains { $0.nan > 0 }), (.inf, all.contains { $0.infinite > 0 }),
      (.subnormal, all.contains { $0.subnormals > 0 }),
    ]
    return odd.filter(\.isFound).map { [$0.column] }
      + [[.std], [.histogram], [.min, .max], [.mean], [.norm], [.median], [.zeros], [.p1, .p99]]
      + odd.filter { !$0.isFound }.map { [$0.column] }
  }

  /// What an estimate begins with.
  private static let about = "~"

  func cell(_ statistics: Statistics) -> String {
    switch self {
    case .mean: Self.text(statistics.mean)
    case .std: Self.text(statistics.standardDeviation)
    case .min: Self.text(statistics.minimum)
    case .max: Self.text(statistics.maximum)
    case .norm: Self.text(statistics.norm)
    case .p1: estimate(statistics, 0.01)
    case .median: estimate(statistics, 0.5)
    case .p99: estimate(statistics, 0.99)
    case .zeros: Text.grouped(statistics.zeros)
    case .nan: Text.grouped(statistics.nan)
    case .inf: Text.grouped(statistics.infinite)
    case .subnormal: Text.grouped(statistics.subnormals)
    case .histogram: statistics.sparkline
    }
  }

  private func estimate(_ statistics: Statistics, _ share: Double) -> String {
    let text = Self.text(statistics.quantile(share))
    return statistics.isExact ? text : Self.about + text
  }

  private static func text(_ value: Double?) -> String { value.map(Figure.text) ?? "-" }

  /// By what `ls --sort` orders; the largest comes first.
  func key(_ statistics: Statistics) -> Double? {
    switch self {
    case .mean: statistics.mean
    case .std: statistics.standardDeviation
    case .min: statistics.minimum
    case .max: statistics.maximum
    case .norm: statistics.norm
    case .p1: statistics.quantile(0.01)
    case .median: statistics.median
    case .p99: statistics.quantile(0.99)
    case .zeros: Double(statistics.zeros)
    case .nan: Double(statistics.nan)
    case .inf: Double(statistics.infinite)
    case .subnormal: Double(statistics.subnormals)
    case .histogram: nil
    }
  }
}
