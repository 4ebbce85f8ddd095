/// Aligned columns that fit the terminal; wide (Chinese) characters count twice.
///
/// On a terminal no line is longer than it is wide. Where columns are too wide together, names are
/// shortened in their middle, then columns that are declared ``optional`` are left out, the last one
/// first; text of the column ``wrapping`` goes on below itself. Elsewhere everything is shown in full.
struct Table {
  enum Alignment { case left, right }

  private let alignments: [Alignment]
  private let header: [String]?
  private let names: [Int]
  private let optional: [Int]
  private let wrapping: Int?
  private var rows: [[String]] = []

  /// - Parameters:
  ///   - names: columns of names, which may be shortened: the first one, where there is a header.
  ///   - optional: columns that may be left out, the most important one first.
  ///   - wrapping: the column of sentences; the last one is best.
  init(
    _ alignments: [Alignment], header: [String]? = nil, names: [Int]? = nil, optional: [Int] = [],
    wrapping: Int? = nil
  ) {
    self.alignments = alignments
    self.header = header
    self.names = names ?? (header == nil ? [] : [0])
    self.optional = optional
    self.wrapping = wrapping
  }

  mutating func add(_ cells: String...) { add(cells) }

  /// Adds a row; names come from files and are made harmless, other cells may be styled.
  mutating func add(_ cells: [String]) {
    rows.append(
      cells.enumerated().map { column, cell in
        names.contains(column) ? Text.printable(cell) : Terminal.printable(cell)
      })
  }

  private static let gap = 2
  /// What a name is shortened to before a column is left out for it, and when there is none left.
  private static let shortName = 24
  private static let leastName = 8
  private static let leastSentence = 16

  /// The lines, the header dimmed.
  ///
  /// - Parameter columns: what they must fit into; `nil` for any length.
  func lines(_ terminal: Terminal, columns: Int?) -> [String] {
    let all = (header.map { [$0] } ?? []) + rows
    var widths = alignments.indices.map { column in
      all.map { $0.count > column ? Text.width($0[column]) : 0 }.max() ?? 0
    }
    var shown = Array(alignments.indices)
    if let columns { fit(&widths, &shown, columns) }
    return all.enumerated().flatMap { index, row in
      var lines = lines(row, widths, shown)
      if let columns { lines = lines.map { Text.cut($0, to: columns) } }
      return index == 0 && header != nil ? lines.map(terminal.dim) : lines
    }
  }

  /// Makes columns narrower, and takes some away, until their sum is at most `columns`.
  private func fit(_ widths: inout [Int], _ shown: inout [Int], _ columns: Int) {
    let natural = widths
    var optional = optional
    while true {
      widths = natural
      var excess =
        shown.reduce(0) { $0 + widths[$1] } + Table.gap * (shown.count - 1) - columns
      guard excess > 0 else { return }
      if let wrapping, shown.contains(wrapping) {
        let given = min(excess, max(0, widths[wrapping] - Table.leastSentence))
        widths[wrapping] -= given
        excess -= given
      }
      let least = optional.isEmpty ? Table.leastName : Table.shortName
      // The widest gives first, so that all end equally wide.
      while excess > 0,
        let widest = shown.filter({ names.contains($0) && widths[$0] > least })
          .max(by: { widths[$0] < widths[$1] })
      {
        widths[widest] -= 1
        excess -= 1
      }
      guard excess > 0, let last = optional.popLast() else { return }
      shown.removeAll { $0 == last }
    }
  }

  /// A row, of several lines where sentences wrap.
  private func lines(_ row: [String], _ widths: [Int], _ shown: [Int]) -> [String] {
    var cells = shown.map { column in
      guard column < row.count else { return [""] }
      if names.contains(column) { return [Text.shortened(row[column], to: widths[column])] }
      return column == wrapping ? Text.wrapped(row[column], to: widths[column]) : [row[column]]
    }
    let height = cells.map(\.count).max() ?? 1
    for index in cells.indices {
      cells[index] += [String](repeating: "", count: height - cells[index].count)
    }
    return (0..<height).map { number in
      var line = ""
      for (place, column) in shown.enumerated() {
        let cell = cells[place][number]
        let pad = String(repeating: " ", count: max(0, widths[column] - Text.width(cell)))
        line += place > 0 ? String(repeating: " ", count: Table.gap) : ""
        line += alignments[column] == .left ? cell + pad : pad + cell
      }
      while line.hasSuffix(" ") { line.removeLast() }
      return line
    }
  }

  func print(_ terminal: Terminal = .output, indent: String = "") {
    let columns = terminal.columns.map { max(1, $0 - indent.count) }
    for line in lines(terminal, columns: columns) { Terminal.print(indent + line) }
  }
}
