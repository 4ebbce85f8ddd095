import Checkpoint

/// A difference as text and as JSON.
struct DiffReport {
  let difference: CheckpointDifference
  let words: DifferenceWords
  private let terminal = Terminal.output

  /// Rows that a table has unless all are asked for.
  private static let shown = 12

  init(_ difference: CheckpointDifference) {
    self.difference = difference
    words = DifferenceWords(difference)
  }

  func printVerdict() {
    let title = words.title + ":"
    let styled =
      difference.isEqual
      ? terminal.green(title)
      : [.rounded, .subset, .resized, .edited, .fineTuned].contains(difference.verdict)
        ? terminal.yellow(title) : terminal.red(title)
    for (index, line) in wrapped(words.sentence, after: Text.width(title) + 1).enumerated() {
      Terminal.print(index == 0 ? "\(styled) \(line)" : "  \(line)")
    }
  }

  func print(all: Bool, sort: Diff.Order?) {
    printSides()
    Terminal.print("")
    printVerdict()
    let evidence = words.evidence
    let width = evidence.map { Text.width($0.subject) }.max() ?? 0
    for (subject, text) in evidence {
      let lead = "  " + subject + String(repeating: " ", count: width - Text.width(subject)) + "  "
      for (index, line) in wrapped(text, after: Text.width(lead), lead: width + 4).enumerated() {
        Terminal.print(
          (index == 0 ? terminal.dim(lead) : String(repeating: " ", count: width + 4)) + line)
      }
    }
    printGuesses(all: all)
    printParts()
    printPairs(all: all, sort: sort)
    if all { printAlone() }
    for note in difference.notes {
      for (index, line) in wrapped(note, after: 6).enumerated() {
        Terminal.print(index == 0 ? "\(terminal.yellow("note:")) \(line)" : "  \(line)")
      }
    }
  }

  private func printSides() {
    for (letter, side) in [("A", difference.first), ("B", difference.second)] {
      Terminal.print("\(terminal.bold(letter))  \(terminal.bold(side.path))")
      let kind = [side.format, side.dialect, side.family].compactMap(\.self).joined(
        separator: " · ")
      let text =
        "\(kind) · \(Text.plural(side.tensors, "tensor")), "
        + "\(Text.plural(side.parameters, "parameter")) · "
        + "\(side.dtypes.map(\.rawValue).joined(separator: ", ")) \(Text.bytes(side.bytes))"
      for line in wrapped(text, after: 3, lead: 3) { Terminal.print("   " + terminal.dim(line)) }
    }
  }

  /// Breaks a text at spaces where the terminal is too narrow, and shortens names that fill a line, so that
  /// a figure fits beside them.
  private func wrapped(_ text: String, after used: Int, lead: Int = 2) -> [String] {
    guard let columns = terminal.columns, columns > used + 20 else { return [text] }
    var lines: [String] = []
    var (line, room) = ("", columns - used)
    // A number stays with its unit.
    let bound = text.replacing(" %", with: "\u{a0}%")
    for word in bound.split(separator: " ", omittingEmptySubsequences: false) {
      let word =
        Text.width(String(word)) > columns - lead
        ? Text.shortened(String(word), to: max(12, columns - lead - 10)) : String(word)
      let next = line.isEmpty ? word : line + " " + word
      if Text.width(next) > room, !line.isEmpty {
        lines.append(line)
        (line, room) = (word, columns - lead)
      } else {
        line = next
      }
    }
    return (lines + [line]).map { $0.replacing("\u{a0}", with: " ") }
  }

  // MARK: Tables

  /// Which tensors were guessed to belong together, and why.
  private func printGuesses(all: Bool) {
    let guesses = difference.pairs.filter { $0.ground == .content || $0.ground == .nearest }
    guard !guesses.isEmpty else { return }
    Terminal.print("\n\(terminal.bold("guessed")) by shape and content")
    var table = Table([.left, .left, .left], header: ["A", "B", "how"])
    for pair in all ? guesses[...] : guesses.prefix(Self.shown) {
      table.add(name(pair, isFirst: true), name(pair, isFirst: false), how(pair))
    }
    table.print(indent: "  ")
    printMore(guesses.count, all: all)
  }

  private func printMore(_ count: Int, all: Bool) {
    if !all, count > Self.shown {
      Terminal.print(
        terminal.dim("  … and \(Text.grouped(count - Self.shown)) more (--all lists every tensor)"))
    }
  }

  /// The stored name, with the piece that is meant.
  private func name(_ pair: CheckpointDifference.Pair, isFirst: Bool) -> String {
    let name = isFirst ? pair.first.name : pair.second.name
    guard let piece = pair.layout.piece, piece.isOfFirst == isFirst else { return name }
    let part = "\(piece.start):\(piece.start + piece.length)"
    let axes = String(repeating: ":, ", count: piece.axis)
    return piece.count == 1
      ? "\(name)[\(axes)\(part)]" : "\(name)[\(axes)\(part), every \(piece.step)]"
  }

  private func how(_ pair: CheckpointDifference.Pair) -> String {
    var words: [String] = []
    switch pair.state {
    case .identical: words.append("equal")
    case .equal:
      words.append(
        pair.first.dtype == pair.second.dtype ? "equal but for the sign of zeros" : "equal in value"
      )
    case .rounded: words.append("rounded to \(pair.difference?.rounded?.rawValue ?? "")")
    case .close, .changed:
      words.append("nearest, cosine \(self.words.cosine(pair.difference?.cosine ?? 0))")
    case .otherShape: words.append("other shape")
    }
    if pair.layout.isTransposed { words.append("transposed") }
    if pair.layout.isReshaped {
      let isWide = terminal.columns.map { $0 >= 120 } ?? true
      words.append(isWide ? "reshaped \(pair.first.shape) → \(pair.second.shape)" : "reshaped")
    }
    if let piece = pair.layout.piece {
      words.append(piece.count > 1 ? "interleaved with others" : "put together with others")
    }
    return words.joined(separator: ", ")
  }

  /// The changes by part, where there is something to tell apart.
  private func printParts() {
    let parts = difference.parts
    guard parts.count > 1, [.fineTuned, .different, .unrelated].contains(difference.verdict),
      parts.contains(where: { $0.changed > 0 }), parts.count <= 200
    else { return }
    let top = parts.map(\.relative).filter(\.isFinite).max() ?? 0
    var table = Table(
      [.left, .right, .right, .right, .left, .right],
      header: ["part", "changed", "cosine", "‖Δ‖/‖A‖", "", "max |Δ|"])
    for part in parts {
      table.add(
        part.name, "\(Text.grouped(part.changed)) of \(Text.grouped(part.tensors))",
        words.cosine(part.cosine), words.share(part.relative), bar(part.relative, of: top),
        Text.small(part.largest))
    }
    Terminal.print("")
    table.print(indent: "  ")
  }

  /// A bar of at most twelve blocks.
  private func bar(_ value: Double, of top: Double) -> String {
    guard top > 0, value.isFinite, value > 0 else { return "" }
    return Sparkline.bar(value / top, columns: 12)
  }

  private func printPairs(all: Bool, sort: Diff.Order?) {
    var pairs = difference.pairs.filter {
      all || ![.identical, .equal].contains($0.state) && $0.difference != nil
    }
    guard !pairs.isEmpty, all || difference.verdict != .rounded else { return }
    let count = pairs.count
    switch sort ?? (all || count <= Self.shown ? .file : .change) {
    case .file: break
    case .name: pairs.sort { Natural.less($0.name, $1.name) }
    case .change:
      pairs = pairs.enumerated().sorted {
        let (x, y) = (Self.change($0.element), Self.change($1.element))
        return x == y ? $0.offset < $1.offset : x > y
      }.map(\.element)
    }
    if !all { pairs = Array(pairs.prefix(Self.shown)) }
    Terminal.print("")
    if !all, count > Self.shown {
      Terminal.print(
        "  \(terminal.bold(sort == nil ? "changed most" : "changed"))"
          + terminal.dim(
            ", \(Self.shown) of \(Text.grouped(count)) tensors (--all lists every one)"))
    }
    table(pairs, all: all).print(indent: "  ")
  }

  private static func change(_ pair: CheckpointDifference.Pair) -> Double {
    pair.difference?.relativeNorm ?? .infinity
  }

  /// Columns of the table, and how willingly each goes where there is no room for all: the highest goes first.
  private struct Column {
    var title: String
    var alignment = Table.Alignment.right
    var rank: Int
    var isName = false
    var text: (CheckpointDifference.Pair) -> String
  }

  private func table(_ pairs: [CheckpointDifference.Pair], all: Bool) -> Table {
    let words = words
    let numbers = { (pair: CheckpointDifference.Pair, text: (TensorDifference) -> String) in
      pair.difference.map { $0.unmeasured == nil ? text($0) : "" } ?? ""
    }
    var columns = [
      Column(title: "tensor", alignment: .left, rank: 0, isName: true) { $0.name },
      Column(title: "shape", alignment: .left, rank: 6) { "\($0.shape)" },
      Column(title: "max |Δ|", rank: 1) { pair in
        pair.difference == nil ? "other shape" : numbers(pair) { Text.small($0.largest) }
      },
      Column(title: "‖Δ‖/‖A‖", rank: 2) { numbers($0) { words.share($0.relativeNorm) } },
      Column(title: "cosine", rank: 3) { numbers($0) { words.cosine($0.cosine) } },
      Column(title: "differ", rank: 4) { numbers($0) { Self.share($0.differing, of: $0.count) } },
      Column(title: "beyond", rank: 5) { numbers($0) { Self.share($0.beyond, of: $0.count) } },
      Column(title: "max ulp", rank: 8) { numbers($0) { $0.ulp.map(Self.units) ?? "" } },
      Column(title: "largest", alignment: .left, rank: 7) { pair in words.place(pair) },
    ]
    if difference.tolerance.isExact { columns.removeAll { $0.title == "beyond" } }
    if all {
      columns.insert(
        Column(title: "", alignment: .left, rank: 1) {
          $0.state == .otherShape ? "shape" : $0.state.rawValue
        }, at: 1)
      if difference.pairs.contains(where: { !$0.sameName || $0.first.canonical != nil }) {
        columns.append(
          Column(title: "in A", alignment: .left, rank: 9, isName: true) { $0.first.name })
        columns.append(
          Column(title: "in B", alignment: .left, rank: 10, isName: true) { $0.second.name })
      }
    }
    let optional = columns.indices.filter { columns[$0].rank > 1 }
      .sorted { columns[$0].rank < columns[$1].rank }
    var table = Table(
      columns.map(\.alignment), header: columns.map(\.title),
      names: columns.indices.filter { columns[$0].isName }, optional: optional)
    for pair in pairs { table.add(columns.map { $0.text(pair) }) }
    return table
  }

  /// `12` of few, `3.1 %` of many.
  private static func share(_ count: Int, of all: Int) -> String {
    if count == 0 { return "0" }
    if count == all { return "all" }
    guard all >= 1000 else { return "\(count) of \(all)" }
    let percent = Double(count) / Double(all) * 100
    return percent < 0.1 ? Text.grouped(count) : "\(Text.decimal(min(percent, 99.9), 1)) %"
  }

  private static func units(_ ulp: UInt64) -> String {
    ulp < 100_000 ? Text.grouped(Int(ulp)) : Text.small(Double(ulp))
  }

  private func printAlone() {
    let sides = [
      ("only in A", difference.onlyInFirst), ("only in B", difference.onlyInSecond),
      ("in A, told elsewhere", difference.redundantInFirst),
      ("in B, told elsewhere", difference.redundantInSecond),
    ]
    for (title, entries) in sides where !entries.isEmpty {
      Terminal.print("\n  \(terminal.bold(title))")
      var table = Table([.left, .left, .left, .left])
      for entry in entries {
        table.add(
          entry.name, entry.dtype.rawValue, "\(entry.shape)",
          entry.reason ?? entry.copyOf.map { "equals \($0), which has a partner" } ?? "")
      }
      table.print(indent: "    ")
    }
  }
}

// MARK: JSON
