public import ArgumentParser
public import Checkpoint

extension Grid.Pooling: ExpressibleByArgument {}

/// A matrix in colours: blue below zero, white at zero, red above; from dark to light where all numbers
/// have one sign.
struct HeatMap {
  typealias Pooling = Grid.Pooling

  private let grid: Grid
  private let pooling: Pooling
  private let scale: Scale
  private let shape: Shape

  /// Pixels of an image at most.
  static let imageSize = (width: 2048, height: 2048)
  /// Pixels that a small matrix is enlarged to, at least.
  private static let enlarged = 512

  /// Cells that a terminal shows at once, below a title and above a legend.
  static func size(on terminal: Terminal) -> (width: Int, height: Int) {
    let lines = max(8, (terminal.rows ?? 46) - 6)
    return (max(8, (terminal.columns ?? 80) - 8), terminal.colored ? 2 * lines : lines)
  }

  init(
    _ tensor: Tensor, size: (width: Int, height: Int), pooling: Pooling, quiet: Bool
  ) throws(CheckpointError) {
    let progress = Progress("drawing", total: tensor.byteCount, quiet: quiet)
    grid = try Grid(
      tensor, width: size.width, height: size.height, pooling: pooling,
      progress: { progress.add($0) })
    self.pooling = pooling
    scale = Scale(grid.cells.compactMap(\.self).filter(\.isFinite))
    shape = tensor.shape
  }

  /// What colour a number has.
  private struct Scale {
    let low: Double
    let high: Double
    /// Whether zero is the middle.
    let isDiverging: Bool
    /// Extremes of the cells, which may lie beyond where colours end.
    let least: Double
    let largest: Double

    init(_ values: [Double]) {
      least = values.min() ?? 0
      largest = values.max() ?? 0
      isDiverging = least < 0 && largest > 0 || least == largest
      let magnitudes = values.map(\.magnitude).sorted()
      var limit = magnitudes.last ?? 0
      // Few that are far out would leave all others white.
      if magnitudes.count >= 100 {
        let most = magnitudes[magnitudes.count * 99 / 100]
        if most > 0, limit > 2 * most { limit = most }
      }
      if isDiverging {
        (low, high) = (-limit, limit)
      } else {
        (low, high) = (max(least, -limit), min(largest, limit))
      }
    }

    private static let diverging = [
      Colour(5, 48, 97), Colour(33, 102, 172), Colour(103, 169, 207), Colour(209, 229, 240),
      Colour(247, 247, 247), Colour(253, 219, 199), Colour(239, 138, 98), Colour(178, 24, 43),
      Colour(103, 0, 31),
    ]
    private static let rising = [
      Colour(68, 1, 84), Colour(59, 82, 139), Colour(33, 145, 140), Colour(94, 201, 98),
      Colour(253, 231, 37),
    ]
    static let broken = Colour(255, 0, 255)

    /// From 0 to 1 between the ends.
    func share(_ value: Double) -> Double {
      // Halves, because the whole may be more than a number can say.
      high > low ? (value / 2 - low / 2) / (high / 2 - low / 2) : 0.5
    }

    func colour(_ value: Double) -> Colour {
      value.isNaN
        ? Scale.broken
        : Colour(share(value), along: isDiverging ? Scale.diverging : Scale.rising)
    }

    /// A character that is the darker the farther from zero, or from the lower end.
    func shade(_ value: Double) -> String {
      guard !value.isNaN else { return "!" }
      let strength = isDiverging ? abs(2 * share(value) - 1) : share(value)
      return [" ", "░", "▒", "▓", "█"][Int(min(4, max(0, strength * 5)))]
    }
  }

  // MARK: Terminal

  func lines(_ terminal: Terminal) -> [String] {
    let room = HeatMap.size(on: terminal)
    // A small matrix is enlarged; without colour a cell is as high as two are wide.
    let factor = max(1, min(4, room.width / grid.width, room.height / grid.height))
    let across = terminal.colored ? factor : max(1, min(factor * 2, room.width / grid.width))
    let (width, height) = (grid.width * across, grid.height * factor)
    let perLine = terminal.colored ? 2 : 1
    let gutter = String(grid.rows - 1).count
    var lines: [String] = []
    for top in stride(from: 0, to: height, by: perLine) {
      let cell = top / factor
      let row = (cell * grid.rows + grid.height - 1) / grid.height
      // A number where its row begins, and not on every line.
      let isLabelled = top % (4 * perLine) == 0 && top % factor == 0
      let label = isLabelled ? "\(row)" : ""
      let pad = String(repeating: " ", count: gutter - label.count)
      var line = ""
      var style = ""
      for column in 0..<width {
        let (upper, lower) = (
          self.cell(top / factor, column / across), self.cell((top + 1) / factor, column / across)
        )
        guard terminal.colored else {
          line += upper.map(scale.shade) ?? " "
          continue
        }
        var wanted = "\u{1b}[0"
        if let upper { wanted += ";38;" + scale.colour(upper).parameters(on: terminal) }
        let hasLower = top + 1 < height ? lower : nil
        if let hasLower { wanted += ";48;" + scale.colour(hasLower).parameters(on: terminal) }
        wanted += "m"
        if wanted != style { line += wanted }
        style = wanted
        line += upper == nil ? " " : "▀"
      }
      lines.append(
        terminal.dim(pad + label) + " " + line + (terminal.colored ? "\u{1b}[0m" : ""))
    }
    lines.append(
      terminal.dim(String(repeating: " ", count: gutter + 1) + ruler(width: width, across)))
    return lines + legend(terminal)
  }

  private func cell(_ row: Int, _ column: Int) -> Double? {
    row < grid.height ? grid.cells[row * grid.width + column] : nil
  }

  /// Column numbers, where there is room for them.
  private func ruler(width: Int, _ across: Int) -> String {
    var text = ""
    for place in stride(from: 0, to: width, by: across) {
      let column = (place / across * grid.columns + grid.width - 1) / grid.width
      let label = "\(column)"
      guard place == 0 || text.count + 6 <= place, place + label.count <= width else { continue }
      text += String(repeating: " ", count: place - text.count) + label
    }
    return text
  }

  private func legend(_ terminal: Terminal) -> [String] {
    let (low, high) = (Ticks.short(scale.low), Ticks.short(scale.high))
    let steps = min(24, max(4, (terminal.columns ?? 80) - low.count - high.count - 2))
    var bar = ""
    for step in 0..<steps {
      let share = (Double(step) + 0.5) / Double(steps)
      let value = scale.low * (1 - share) + scale.high * share
      bar +=
        terminal.colored
        ? "\u{1b}[48;\(scale.colour(value).parameters(on: terminal))m " : scale.shade(value)
    }
    if terminal.colored { bar += "\u{1b}[0m" }
    var remarks = [meaning]
    if scale.least < scale.low || scale.largest > scale.high {
      remarks.append(
        "colours end before the extremes, "
          + "\(Ticks.short(scale.least)) and \(Ticks.short(scale.largest))")
    }
    if grid.cells.contains(where: { $0?.isNaN ?? false }) {
      remarks.append("\(terminal.colored ? "magenta" : "!"): not finite")
    }
    return ["\(low) \(bar) \(high)"]
      + Text.wrapped(remarks.joined(separator: " · "), to: terminal.columns ?? 1000)
      .map(terminal.dim)
  }

  /// What a cell is.
  private var meaning: String {
    var parts: [String] = []
    if shape.rank != 2 { parts.append("\(shape) as \(grid.rows) × \(grid.columns)") }
    if grid.width == grid.columns, grid.height == grid.rows {
      parts.append("a cell for each element")
    } else {
      let (down, over) = (
        Text.decimal(Double(grid.rows) / Double(grid.height), 1),
        Text.decimal(Double(grid.columns) / Double(grid.width), 1)
      )
      let what = pooling == .mean ? "their mean" : "the one of largest magnitude"
      parts.append("a cell for \(whole(down)) × \(whole(over)) elements: \(what)")
    }
    return parts.joined(separator: ", ")
  }

  private func whole(_ text: String) -> String {
    text.hasSuffix(".0") ? String(text.dropLast(2)) : text
  }

  // MARK: Image

  func png() throws(CheckpointError) -> [UInt8] {
    let factor = max(1, HeatMap.enlarged / max(grid.width, grid.height))
    var canvas = Canvas(
      width: grid.width * factor, height: grid.height * factor, colour: Colour(255, 255, 255))
    for row in 0..<grid.height {
      for column in 0..<grid.width {
        guard let value = cell(row, column) else { continue }
        canvas.fill(
          column * factor..<(column + 1) * factor, row * factor..<(row + 1) * factor,
          scale.colour(value))
      }
    }
    return try canvas.png()
  }
}
