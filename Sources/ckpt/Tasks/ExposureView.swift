import Checkpoint
import Infer

/// Exposure bias as a table, as JSON and as a plot.
struct ExposureView {
  private let summary: ExposureSummary

  init(_ summary: ExposureSummary) { self.summary = summary }

  // MARK: Text

  /// A row for each position, then what all of them come to.
  func lines(_ terminal: Terminal) -> [String] {
    guard summary.count > 0 else { return ["no pairs"] }
    var table = Table(
      [.left, .right, .right, .right, .right, .right, .right],
      header: ["position", "targets", "forced", "free", "forced log p", "free log p", "part here"],
      names: [], optional: [1, 4, 5])
    func cells(_ name: String, _ position: ExposureSummary.Position) -> [String] {
      [
        name, Text.grouped(position.count), percent(position.forcedAccuracy),
        percent(position.freeAccuracy), mean(position.forcedMean), mean(position.freeMean),
        Text.grouped(position.parting),
      ]
    }
    for (index, position) in summary.positions.enumerated() {
      table.add(cells("\(index + 1)", position))
    }
    table.add(cells("all", summary.total))
    let rest =
      "free runs of \(Text.plural(summary.count, "pair")): \(Text.grouped(summary.exact)) equal the "
      + "target · BLEU-4 \(Text.decimal(100 * summary.bleu, 2)) · ROUGE-L "
      + Text.decimal(100 * summary.rougeL, 2)
    return table.lines(terminal, columns: terminal.columns) + [rest]
  }

  private func percent(_ share: Double) -> String { Text.decimal(100 * share, 1) + " %" }
  private func mean(_ value: Double?) -> String { value.map { Text.decimal($0, 3) } ?? "–" }

  // MARK: JSON

  var json: [JSON.Member] {
    func members(_ position: ExposureSummary.Position) -> [JSON.Member] {
      [
        .init("targets", .number(position.count)),
        .init("forced_accuracy", .number(position.forcedAccuracy)),
        .init("free_accuracy", .number(position.freeAccuracy)),
        .init("forced_log_likelihood", position.forcedMean.map { .number($0) } ?? .null),
        .init("free_log_likelihood", position.freeMean.map { .number($0) } ?? .null),
        .init("runs", .number(position.freeCount)),
        .init("parting", .number(position.parting)),
      ]
    }
    return [
      .init("pairs", .number(summary.count)), .init("exact", .number(summary.exact)),
      .init("bleu", .number(summary.bleu)), .init("rouge_l", .number(summary.rougeL)),
      .init("total", .object(members(summary.total))),
      .init("positions", .array(summary.positions.map { .object(members($0)) })),
    ]
  }

  // MARK: Plot

  private static let forced = Colour(54, 100, 160)
  private static let free = Colour(214, 110, 40)
  private static let axis = Colour(90, 90, 90)
  private static let grid = Colour(225, 225, 225)

  /// Two panels on white: accuracy from 0 to 1, and below it mean log-likelihood from the least to 0; blue after
  /// the right words, orange after the model's own.
  func png() throws(CheckpointError) -> [UInt8] {
    let positions = summary.positions
    let step = max(1, min(60, 800 / max(1, positions.count)))
    let (left, width) = (12, max(1, positions.count - 1) * step)
    let (panel, gap) = (240, 24)
    var canvas = Canvas(
      width: left + width + 12, height: 2 * panel + 3 * gap, colour: Colour(255, 255, 255))
    let likelihoods = positions.flatMap { [$0.forcedMean, $0.freeMean] }.compactMap(\.self)
      .filter(\.isFinite)
    let least = min(likelihoods.min() ?? -1, -1e-9)
    let curves: [(top: Int, colour: Colour, heights: [Double?])] = [
      (gap, Self.free, positions.map { $0.count > 0 ? $0.freeAccuracy : nil }),
      (gap, Self.forced, positions.map { $0.count > 0 ? $0.forcedAccuracy : nil }),
      (2 * gap + panel, Self.free, positions.map { $0.freeMean.map { 1 - $0 / least } }),
      (2 * gap + panel, Self.forced, positions.map { $0.forcedMean.map { 1 - $0 / least } }),
    ]
    for top in [gap, 2 * gap + panel] {
      for quarter in 0...4 {
        let row = top + quarter * panel / 4
        canvas.fill(left..<(left + width), row..<(row + 1), quarter == 4 ? Self.axis : Self.grid)
      }
      canvas.fill(left..<(left + 1), top..<(top + panel), Self.axis)
    }
    for curve in curves {
      var last: (column: Int, row: Int)?
      for (index, height) in curve.heights.enumerated() {
        guard let height, height.isFinite else {
          last = nil
          continue
        }
        let share = min(1, max(0, height))
        let place = (
          column: left + index * step, row: curve.top + Int((1 - share) * Double(panel))
        )
        canvas.line(from: last ?? place, to: place, thick: 2, curve.colour)
        canvas.fill(
          (place.column - 2)..<(place.column + 4), (place.row - 2)..<(place.row + 4), curve.colour)
        last = place
      }
    }
    return try canvas.png()
  }
}

extension Canvas {
  /// A line between two places, both within the canvas and `thick` away from its end.
  mutating func line(
    from a: (column: Int, row: Int), to b: (column: Int, row: Int), thick: Int, _ colour: Colour
  ) {
    let steps = max(1, abs(b.column - a.column), abs(b.row - a.row))
    for step in 0...steps {
      let share = Double(step) / Double(steps)
      let column = a.column + Int((share * Double(b.column - a.column)).rounded())
      let row = a.row + Int((share * Double(b.row - a.row)).rounded())
      fill(column..<(column + thick), row..<(row + thick), colour)
    }
  }
}
