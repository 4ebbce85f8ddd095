import Checkpoint

/// A tensor that is listed.
struct ListEntry {
  var tensor: Tensor
  var group: String
  var canonical: String?
  var statistics: Statistics?
  /// Why there are no statistics.
  var reason: String?
}

/// Tensors as a table, as a tree and as JSON.
struct Listing {
  let entries: [ListEntry]
  let showsCanonical: Bool
  let showsStatistics: Bool

  /// A column after the name.
  private enum Column: Hashable {
    case dtype, shape, size, canonical
    case statistics(StatisticsColumn)

    var header: String {
      switch self {
      case .dtype: "dtype"
      case .shape: "shape"
      case .size: "size"
      case .canonical: "canonical"
      case .statistics(let column): column.header
      }
    }

    var alignment: Table.Alignment {
      switch self {
      case .dtype, .canonical: .left
      case .shape, .size: .right
      case .statistics(let column): column.alignment
      }
    }

    func cell(_ entry: ListEntry) -> String {
      switch self {
      case .dtype: entry.tensor.dtype.rawValue
      case .shape: "\(entry.tensor.shape)"
      case .size: Text.bytes(entry.tensor.byteCount)
      case .canonical: entry.canonical ?? "-"
      case .statistics(let column): entry.statistics.map(column.cell) ?? "-"
      }
    }
  }

  /// What a name keeps of its length before a column is shown in place of the rest.
  private static let shortName = 24

  /// What stands for a name, or a part of one, so that an empty one is seen.
  private static func label(_ name: String) -> String { name.isEmpty ? "\"\"" : name }

  // MARK: Table

  func printTable() {
    let names = entries.map { Listing.label($0.tensor.name) }
    let columns = fitting(
      [.dtype, .shape, .size], beside: names.map(Text.width).max() ?? 0)
    var table = Table(
      [.left] + columns.map(\.alignment), header: ["name"] + columns.map(\.header),
      names: [0] + columns.indices.filter { columns[$0] == .canonical }.map { $0 + 1 })
    for (name, entry) in zip(names, entries) { table.add([name] + columns.map { $0.cell(entry) }) }
    table.print()
    printReasons()
  }

  /// `basics` and what was asked for beside them: all, or on a terminal those statistics, and then those
  /// basics, for which it has room.
  ///
  /// - Parameters:
  ///   - width: columns that the names take.
  ///   - other: columns that always stand beside them.
  private func fitting(_ basics: [Column], beside width: Int, and other: Int = 0) -> [Column] {
    let asked = basics + (showsCanonical ? [.canonical] : [])
    let all = asked + (showsStatistics ? StatisticsColumn.allCases.map { .statistics($0) } : [])
    guard showsStatistics, let columns = Terminal.output.columns else { return all }
    let ranked = StatisticsColumn.ranked(entries.compactMap(\.statistics))
      .map { $0.map { Column.statistics($0) } }
    let needed: [Column] = showsCanonical ? [.canonical, .shape] : [.shape]
    let rank =
      needed.map { [$0] } + ranked.prefix(4)
      + asked.filter { !needed.contains($0) }.map { [$0] } + ranked.dropFirst(4)
    var left = columns - other - min(Listing.shortName, width)
    var shown: Set<Column> = []
    for together in rank {
      let need = together.reduce(0) { $0 + least($1) }
      guard need <= left else { continue }
      left -= need
      shown.formUnion(together)
    }
    return all.filter(shown.contains)
  }

  /// What a column takes at least, with the gap before it.
  private func least(_ column: Column) -> Int {
    let cells = entries.map { Text.width(column.cell($0)) }
    let natural = max(Text.width(column.header), cells.max() ?? 0)
    return 2 + (column == .canonical ? min(Listing.shortName, natural) : natural)
  }

  private func printReasons() {
    for entry in entries {
      if let reason = entry.reason { print("\(entry.tensor.name)  no statistics: \(reason)") }
    }
  }

  func printSums() {
    let bytes = entries.reduce(0) { $0 + $1.tensor.byteCount }
    let elements = entries.reduce(0) { $0 + $1.tensor.shape.count }
    var lines = [
      "\(Text.plural(entries.count, "tensor")), \(Text.plural(elements, "element")), "
        + Text.bytes(bytes)
    ]
    if entries.contains(where: { $0.statistics?.isExact == false }) {
      lines.append(
        "quantiles and histograms from a sample of \(Text.grouped(Statistics.sampleSize)) "
          + "numbers per tensor; all else from every number")
    }
    if entries.contains(where: {
      $0.statistics != nil && [.c64, .c128].contains($0.tensor.dtype)
    }) {
      lines.append("a complex number counts as two")
    }
    let terminal = Terminal.output
    for line in lines.flatMap({ Text.wrapped($0, to: terminal.columns ?? .max) }) {
      print(terminal.dim(line))
    }
  }

  // MARK: Tree

  /// A part of a name, with what stands below it in the file's order.
  private struct Node {
    var name: String
    var separator = "/"
    var children: [Node] = []
    var places: [String: Int] = [:]
    var entry: ListEntry?
    var tensors = 0
    var elements = 0
    var bytes = 0

    mutating func insert(_ path: ArraySlice<String>, _ entry: ListEntry) {
      tensors += 1
      elements += entry.tensor.shape.count
      bytes += entry.tensor.byteCount
      guard let first = path.first else {
        self.entry = entry
        return
      }
      // Names that differ in their separators, and tensors of one name, do not hide one another.
      let key = separator + first
      var index = places[key] ?? children.count
      if index < children.count, path.count == 1, children[index].entry != nil {
        index = children.count
      }
      if index == children.count {
        places[key] = index
        children.append(Node(name: first, separator: separator))
      }
      children[index].insert(path.dropFirst(), entry)
    }

    /// Branches that only hold another branch are one with it.
    var joined: Node {
      var node = self
      while node.entry == nil, node.children.count == 1, node.children[0].entry == nil {
        let name = node.name + separator + node.children[0].name
        node = node.children[0]
        node.name = name
      }
      node.children = node.children.map(\.joined)
      return node
    }

    var json: JSON {
      var members: [JSON.Member] = [
        .init("name", .string(name)), .init("tensors", .number(tensors)),
        .init("elements", .number(elements)), .init("bytes", .number(bytes)),
      ]
      if let entry { members.append(.init("tensor", .string(entry.tensor.name))) }
      if !children.isEmpty { members.append(.init("children", .array(children.map(\.json)))) }
      return .object(members)
    }
  }

  private var root: Node {
    var root = Node(name: "")
    for entry in entries {
      root.separator = entry.tensor.name.contains("/") ? "/" : "."
      let separator = Character(root.separator)
      let path = entry.tensor.name.split(separator: separator, omittingEmptySubsequences: false)
      root.insert(path.map(String.init)[...], entry)
    }
    root.children = root.children.map(\.joined)
    return root
  }

  func printTree() {
    var rows: [(name: String, node: Node)] = []
    Listing.collect(root, Terminal.output.columns == nil ? nil : "", "", &rows)
    let sums = rows.map { [Text.grouped($0.node.elements), Text.bytes($0.node.bytes)] }
    let header = ["elements", "size"]
    let columns = fitting(
      [.dtype, .shape], beside: rows.map { Text.width($0.name) }.max() ?? 0,
      and: header.indices.reduce(0) { width, index in
        width + 2 + max(header[index].count, sums.map { $0[index].count }.max() ?? 0)
      })
    var table = Table(
      [.left, .right, .right] + columns.map(\.alignment),
      header: ["name"] + header + columns.map(\.header),
      names: [0] + columns.indices.filter { columns[$0] == .canonical }.map { $0 + 3 })
    for (row, sums) in zip(rows, sums) {
      table.add(
        [row.name] + sums + columns.map { column in row.node.entry.map(column.cell) ?? "" })
    }
    table.print()
    printReasons()
  }

  /// - Parameter lines: what stands before the names of a branch where lines can be drawn; elsewhere
  ///   names are indented.
  private static func collect(
    _ node: Node, _ lines: String?, _ indent: String, _ rows: inout [(name: String, node: Node)]
  ) {
    for (index, child) in node.children.enumerated() {
      let isLast = index == node.children.count - 1
      let front = lines.map { $0 + (isLast ? "└─ " : "├─ ") } ?? indent
      rows.append((front + label(child.name), child))
      collect(child, lines.map { $0 + (isLast ? "   " : "│  ") }, indent + "  ", &rows)
    }
  }

  var treeJSON: JSON { .array(root.children.map(\.json)) }

  // MARK: JSON

  var json: JSON {
    .array(
      entries.map { entry in
        var members: [JSON.Member] = [
          .init("name", .string(entry.tensor.name)),
          .init("dtype", .string(entry.tensor.dtype.rawValue)),
          .init("shape", .array(entry.tensor.shape.extents.map { .number($0) })),
          .init("bytes", .number(entry.tensor.byteCount)),
          .init("group", .string(entry.group)),
          .init("aliases", .array(entry.tensor.aliases.map { .string($0) })),
          .init("storage", storage(entry.tensor)),
        ]
        if showsCanonical {
          members.append(.init("canonical", entry.canonical.map { .string($0) } ?? .null))
        }
        if showsStatistics {
          members.append(.init("stats", entry.statistics?.json ?? .null))
          if let reason = entry.reason { members.append(.init("no_stats", .string(reason))) }
        }
        return .object(members)
      })
  }

  private func storage(_ tensor: Tensor) -> JSON {
    var members: [JSON.Member] = [
      .init("layout", .string(tensor.payload.storage)),
      .init("filters", .array(tensor.payload.filters.map { .string($0) })),
    ]
    if let slice = tensor.payload.slice {
      members.append(.init("file", .string(slice.file.path)))
      members.append(.init("offset", .number(slice.offset)))
    }
    return .object(members)
  }
}
