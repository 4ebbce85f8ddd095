import Checkpoint

/// The screen.
extension InfoReport {
  func print() {
    let screen = Screen()
    Terminal.print(screen.terminal.bold(Text.shortened(checkpoint.path, to: screen.width)))
    for line in headline(screen) { Terminal.print(line) }
    screen.section("model", modelRows)
    if let keras {
      keras.printLayers()
      screen.section(
        "parameters", keras.counts(optimizer: composition.parameters(.optimizer)) + [types])
    } else {
      printParts(screen)
    }
    screen.section("configuration", configurationRows, isList: true)
    if let model, !model.architecture.tops.isEmpty {
      screen.section("on top", model.architecture.tops.map { ($0.name, $0.meaning) })
    }
    screen.section("numbers", numberRows)
    printCarried(screen)
    printConcerns(screen)
  }

  // MARK: Headline

  /// What it is in one line, and whether there is something to read below.
  private func headline(_ screen: Screen) -> [String] {
    let parameters = composition.parameters(.trainable) + composition.parameters(.fixed)
    let bytes = checkpoint.byteCount
    let parts = [
      keras?.title ?? (model ?? understanding.outline)?.architecture.family ?? "no known family",
      Text.plural(parameters, "parameter"),
      Text.bytes(bytes) + " in " + Text.plural(checkpoint.tensors.count, "tensor"),
    ]
    let warned = health.concerns.count { $0.severity == .warning } + warnings.count
    let noted = health.concerns.count { $0.severity == .note }
    var verdict: [(text: String, styled: (String) -> String)] = []
    if understanding.failure != nil { verdict.append(("incomplete", screen.terminal.red)) }
    if warned > 0 { verdict.append((Text.plural(warned, "warning"), screen.terminal.yellow)) }
    if noted > 0 { verdict.append((Text.plural(noted, "note"), { $0 })) }
    if verdict.isEmpty, health.numbers != nil {
      verdict.append(("nothing odd found", screen.terminal.green))
    }
    let text = parts.joined(separator: ", ")
    let plain = ([text] + verdict.map(\.text)).joined(separator: ", ")
    let styled = verdict.map { $0.styled($0.text) }.joined(separator: ", ")
    if Text.width(plain) <= screen.width, !styled.isEmpty { return [text + ", " + styled] }
    return Text.wrapped(text, to: screen.width) + (styled.isEmpty ? [] : [styled])
  }

  // MARK: Model

  private var modelRows: [(String, String)] {
    var rows: [(String, String)] = []
    if let model {
      let family = model.architecture
      rows.append(("family", family.family + sharing(family)))
      if !family.options.isEmpty {
        rows.append(("options", family.options.joined(separator: "; ")))
      }
      let heads = family.heads.sorted().map(\.rawValue).joined(separator: ", ")
      rows.append(("heads", heads.isEmpty ? "none" : heads))
      rows.append(("dialect", model.dialect))
    } else if let keras {
      rows += keras.facts
    } else if let outline = understanding.outline {
      rows.append(("family", "\(outline.architecture.family); \(understanding.reason ?? "")"))
      rows.append(("dialect", outline.dialect))
    } else {
      rows.append(("family", "unknown: \(understanding.reason ?? "")"))
    }
    rows.append(
      ("format", checkpoint.format + (provenance.writer.map { ", written by \($0)" } ?? "")))
    for fact in provenance.facts.prefix(6) { rows.append((fact.key, fact.value)) }
    if let file = opening.configuration?.path { rows.append(("config file", file)) }
    if let text = vocabularyText { rows.append(("vocabulary", text)) }
    return rows
  }

  private var vocabularyText: String? {
    guard let vocabulary else { return opening.vocabulary }
    var text =
      "\(opening.vocabulary ?? "in the file"), \(Text.plural(vocabulary.count, "token"))"
    if let rows = tokenRows {
      text += rows == vocabulary.idCount ? ", a row each" : " for \(Text.grouped(rows)) rows"
    }
    let unused = vocabulary.unusedCount
    if unused > 0 { text += ", \(Text.grouped(unused)) of them unused" }
    return text
  }

  private func sharing(_ family: FamilyArchitecture) -> String {
    let configuration = family.configuration
    guard let groups = configuration.groups else {
      if configuration.decoderLayers > 0, configuration.hasEncoder, configuration.hasDecoder {
        return ", \(Text.plural(configuration.layers, "encoder layer")) and "
          + Text.plural(configuration.decoderLayers, "decoder layer")
      }
      return ", \(Text.plural(configuration.layers, "layer"))"
    }
    return ", \(Text.plural(groups, "shared group")) of "
      + "\(Text.plural(configuration.innerGroups, "layer")), applied "
      + Text.plural(configuration.depth, "time")
  }

  // MARK: Parts

  /// Parts that a terminal gets; JSON has all.
  private static let shownParts = 14

  private func printParts(_ screen: Screen) {
    let all = max(1, composition.parts.reduce(0) { $0 + $1.parameters })
    var parts = composition.parts
    var rest: [Composition.Part] = []
    if parts.count > InfoReport.shownParts {
      let order = parts.indices.sorted { (parts[$1].parameters, $0) < (parts[$0].parameters, $1) }
      let shown = Set(order.prefix(InfoReport.shownParts - 1))
      rest = parts.indices.filter { !shown.contains($0) }.map { parts[$0] }
      parts = parts.indices.filter(shown.contains).map { parts[$0] }
    }
    var table = Table([.left, .right, .right, .right, .left], names: [0], optional: [1, 2, 4, 3])
    for part in parts {
      let blocks =
        part.blocks > 1
        ? "\(part.blocks) layers of \(Text.grouped(part.parametersPerBlock))" : ""
      let role =
        part.role == .trainable || part.role.rawValue == part.name ? "" : part.role.rawValue
      table.add(
        Text.shortened(part.name, to: 30), Text.grouped(part.parameters),
        InfoReport.share(Double(part.parameters) / Double(all)), Text.bytes(part.bytes),
        screen.terminal.dim([role, blocks].filter { !$0.isEmpty }.joined(separator: ", ")))
    }
    if !rest.isEmpty {
      let parameters = rest.reduce(0) { $0 + $1.parameters }
      table.add(
        "\(rest.count) smaller parts", Text.grouped(parameters),
        InfoReport.share(Double(parameters) / Double(all)),
        Text.bytes(rest.reduce(0) { $0 + $1.bytes }), "")
    }
    guard !parts.isEmpty else { return }
    Terminal.print("")
    Terminal.print(screen.terminal.bold("parameters"))
    table.print(indent: "  ")
    let roles = Composition.Role.allCases.filter { composition.parameters($0) > 0 }
      .map { "\(Text.grouped(composition.parameters($0))) \(InfoReport.name($0))" }
    screen.rows([("together", roles.joined(separator: ", ")), types])
  }

  private var types: (String, String) {
    let dtypes = composition.dtypes.prefix(6).map {
      "\($0.dtype.rawValue) \(Text.bytes($0.bytes))"
    }
    return ("types", dtypes.joined(separator: ", "))
  }

  private static func name(_ role: Composition.Role) -> String {
    switch role {
    case .trainable: "trainable"
    case .fixed: "fixed"
    case .optimizer: "of the optimizer"
    case .copy: "in tied copies"
    }
  }

  /// `0.1234` → `12 %`.
  static func share(_ share: Double) -> String {
    let percent = share * 100
    return percent == 0
      ? "0 %" : percent < 0.1 ? "< 0.1 %" : "\(Text.decimal(percent, percent < 10 ? 1 : 0)) %"
  }

  // MARK: Configuration

  private var configurationRows: [(String, String)] {
    guard let model else { return [] }
    let origins: [(name: String, holds: (Model.Origin) -> Bool)] = [
      ("stated", { if case .file = $0 { true } else { false } }),
      ("by --set", { $0 == .flag }), ("from shapes", { $0 == .shapes }),
      ("assumed", { $0 == .assumed }),
    ]
    return origins.compactMap { origin in
      let values = model.settings.filter {
        origin.holds($0.origin)
          && ($0.origin != .assumed || model.architecture.depends(on: $0.key))
      }.map { setting in
        let value =
          ConfigurationKey.named(setting.key)?.get(model.architecture.configuration)
          ?? setting.value
        return "\(setting.key)=\(InfoReport.text(value))"
      }
      return values.isEmpty ? nil : (origin.name, values.joined(separator: " "))
    }
  }

  /// A value as `--set` takes it.
  private static func text(_ value: JSON) -> String {
    value.array?.map { $0.string ?? $0.compact }.joined(separator: ",") ?? value.string
      ?? value.compact
  }

  // MARK: Numbers

  private var numberRows: [(String, String)] {
    var rows: [(String, String)] = []
    if let numbers = health.numbers, numbers.count > 0 {
      var parts =
        numbers.largestTensor.map {
          ["largest \(InfoReport.short(numbers.largest)) in \(InfoReport.short($0))"]
        }
        ?? []
      let zeros = Double(numbers.zeros) / Double(max(1, numbers.count))
      parts.append("zeros \(InfoReport.share(zeros))")
      if numbers.nan > 0 { parts.append("NaN \(Text.grouped(numbers.nan))") }
      if numbers.infinite > 0 { parts.append("infinite \(Text.grouped(numbers.infinite))") }
      rows.append(("values", parts.joined(separator: ", ")))
      if numbers.wide > 0 {
        func share(_ share: Double) -> String {
          let text = InfoReport.share(share)
          return numbers.isExact || text.hasPrefix("<") || share == 0 ? text : "about \(text)"
        }
        rows.append(
          (
            "as float16",
            (numbers.overflowing == 0
              ? "none becomes infinite"
              : "\(Text.grouped(numbers.overflowing)) \(numbers.overflowing == 1 ? "becomes" : "become") infinite")
              + ", \(share(numbers.vanishing)) zero, "
              + "\(share(numbers.subnormal)) less exact"
          ))
      }
    }
    // Where most tensors have a second spelling, no weights are shared.
    let aliases = health.ties.filter { $0.kind == .alias }
    let isSpelling = aliases.count > InfoReport.shownTies
    if isSpelling {
      rows.append(("names", "\(Text.grouped(aliases.count)) tensors have a second name"))
    }
    let ties = health.ties.filter { $0.kind != .alias || !isSpelling }
    for tie in ties.prefix(InfoReport.shownTies) {
      let others = tie.names.dropFirst().prefix(3).map(InfoReport.short).joined(separator: ", ")
      let more = tie.names.count > 4 ? ", …" : ""
      let word =
        switch tie.kind {
        case .alias: "is also"
        case .storage: "shares its bytes with"
        case .copy: "is stored again as"
        }
      rows.append(("tied", "\(InfoReport.short(tie.names[0])) \(word) \(others)\(more)"))
    }
    if ties.count > InfoReport.shownTies {
      rows.append(("", "and \(ties.count - InfoReport.shownTies) more"))
    }
    return rows
  }

  /// Ties that a terminal gets; JSON has all.
  private static let shownTies = 4

  /// A name of any length in a sentence.
  private static func short(_ name: String) -> String {
    Text.shortened(Text.printable(name), to: 100)
  }

  /// `3.14`, `12.5`, `1.0e-07`.
  private static func short(_ value: Double) -> String {
    value >= 0.01 && value < 100_000 ? Text.decimal(value, value < 10 ? 3 : 1) : Text.small(value)
  }

  // MARK: What people should know

  /// Groups of unknown meaning that a terminal gets.
  private static let shownGroups = 6

  private func printCarried(_ screen: Screen) {
    guard let model, !carried.isEmpty else { return }
    Terminal.print("")
    Terminal.print(screen.terminal.bold("carried (no known meaning)"))
    for group in carried.prefix(InfoReport.shownGroups) {
      let shown = group.tensors.prefix(8).map { "\($0.name) \($0.shape)" }.joined(separator: ", ")
      screen.paragraph(
        shown + (group.tensors.count > 8 ? ", and \(group.tensors.count - 8) more" : ""))
      if let flag = model.flags[group.name] { screen.paragraph("to say what it is: \(flag)") }
    }
    if carried.count > InfoReport.shownGroups {
      screen.paragraph("and \(carried.count - InfoReport.shownGroups) more layers")
    }
  }

  private func printConcerns(_ screen: Screen) {
    if let hint = understanding.unknown?.hint {
      Terminal.print("")
      for line in Text.wrapped(hint, to: screen.width) { Terminal.print(line) }
    }
    let concerns = health.concerns
    guard !concerns.isEmpty || !warnings.isEmpty else { return }
    Terminal.print("")
    for concern in concerns {
      let isWarning = concern.severity == .warning
      screen.remark(isWarning ? "warning:" : "note:", isWarning: isWarning, concern.sentence)
    }
    for warning in warnings { screen.remark("warning:", isWarning: true, warning) }
  }
}

/// Sections of rows that fit the terminal.
private struct Screen {
  let terminal = Terminal.output
  /// Columns; without a terminal lines have any length.
  let width = Terminal.output.columns ?? Int.max
  /// Longer lines are hard to read.
  private var textWidth: Int { terminal.columns == nil ? Int.max : min(width, 120) }
  private static let label = 12
  private static let listWidth = 110
  private static let leastValue = 24

  /// - Parameter isList: whether it is broken into lines without a terminal too.
  func section(_ title: String, _ content: [(String, String)], isList: Bool = false) {
    guard !content.isEmpty else { return }
    print("")
    print(terminal.bold(title))
    rows(content, to: isList ? min(textWidth, Screen.listWidth) : textWidth)
  }

  func rows(_ content: [(String, String)]) { rows(content, to: textWidth) }

  private func rows(_ content: [(String, String)], to width: Int) {
    let longest = content.map { Text.width($0.0) }.max() ?? 0
    let label = max(Screen.label, min(24, longest))
    // On a narrow terminal values go below their labels.
    let isBelow = width < label + 4 + Screen.leastValue
    let indent = String(repeating: " ", count: isBelow ? 4 : label + 4)
    for (name, value) in content where !value.isEmpty {
      if isBelow, !name.isEmpty { print("  " + terminal.dim(Text.cut(name, to: width - 2))) }
      let pad = String(repeating: " ", count: max(2, label + 2 - Text.width(name)))
      // A number stays with its unit.
      let bound = Text.printable(value).replacing(" %", with: "\u{a0}%")
      for (index, wrapped) in Text.wrapped(bound, to: width - indent.count).enumerated() {
        let line = wrapped.replacing("\u{a0}", with: " ")
        print((index == 0 && !isBelow ? "  " + terminal.dim(name) + pad : indent) + line)
      }
    }
  }

  func paragraph(_ text: String) {
    for line in Text.wrapped(Text.printable(text), to: textWidth - 2) { print("  " + line) }
  }

  func remark(_ label: String, isWarning: Bool, _ text: String) {
    let colored = isWarning ? terminal.yellow(label) : terminal.dim(label)
    let indent = String(repeating: " ", count: label.count + 1)
    let lines = Text.wrapped(Text.printable(text), to: textWidth - indent.count)
    for (index, line) in lines.enumerated() {
      print((index == 0 ? colored + " " : indent) + line)
    }
  }
}
