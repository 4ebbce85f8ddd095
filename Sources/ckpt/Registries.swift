import ArgumentParser
import Checkpoint
import Infer

/// `ckpt formats`: the list of formats.
struct Formats: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(abstract: "List the file formats.")
  @OptionGroup var output: OutputFlags

  func run() {
    Catalogue(
      key: "formats",
      rows: FormatRegistry.all.map {
        .init(
          name: $0.name, aliases: $0.aliases, summary: $0.summary,
          more: [
            ("suffixes", .array($0.suffixes.map { .string($0) })), ("writes", .bool($0.writes)),
          ])
      }
    ).print(output)
  }
}

/// `ckpt dialects`: the list of dialects.
struct Dialects: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "List the dialects: how frameworks name weights.")
  @OptionGroup var output: OutputFlags

  func run() {
    Catalogue(
      key: "dialects",
      rows: DialectRegistry.all.map {
        .init(
          name: $0.name, aliases: $0.aliases, summary: $0.summary,
          more: [
            ("families", .array(families(of: $0))), ("format", .string($0.format)),
            ("writes", .bool($0.writes)),
          ])
      }
    ).print(output)
  }

  /// In the order of the families' own list.
  private func families(of dialect: any Dialect) -> [JSON] {
    ArchitectureRegistry.all.map(\.name).filter(dialect.families.contains).map { .string($0) }
  }
}

/// `ckpt families`: the list of model families.
struct Families: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(abstract: "List the model families.")
  @OptionGroup var output: OutputFlags

  func run() {
    Catalogue(
      key: "families",
      rows: ArchitectureRegistry.all.map { family in
        .init(
          name: family.name, aliases: family.aliases, summary: family.summary,
          more: [
            ("heads", .array(family.possibleHeads.map { .string($0.rawValue) })),
            ("runs", .bool(FamilyRegistry.all.contains { $0.family == family.name })),
          ])
      }
    ).print(output)
  }
}

/// A registry as a table or as JSON.
private struct Catalogue {
  struct Row {
    var name: String
    var aliases: [String]
    var summary: String
    var more: [(String, JSON)]
  }

  var key: String
  var rows: [Row]

  func print(_ output: OutputFlags) {
    if output.json {
      let json = rows.map { row in
        JSON.object(
          [
            .init("name", .string(row.name)),
            .init("aliases", .array(row.aliases.map { .string($0) })),
            .init("summary", .string(row.summary)),
          ] + row.more.map { .init($0.0, $0.1) })
      }
      Terminal.print(JSON.object([.init(key, .array(json))]).pretty)
      return
    }
    var table = Table([.left, .left], wrapping: 1)
    for row in rows {
      let more = row.more.compactMap { name, value -> String? in
        switch value {
        case .string(let text): return text.isEmpty ? nil : "\(name): \(text)"
        case .array(let values):
          let texts = values.compactMap(\.string).joined(separator: ", ")
          return values.isEmpty ? nil : "\(name): \(texts)"
        case .bool(false) where name == "writes": return "read only"
        default: return nil
        }
      }
      table.add(row.name, ([row.summary] + more).joined(separator: " · "))
    }
    table.print()
  }
}
