import ArgumentParser
import Checkpoint

/// `ckpt ls`: the tensors of a checkpoint.
struct List: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls", abstract: "List the tensors of a checkpoint.")

  @Argument(help: "The checkpoint.") var model: String
  @Argument(help: "Only names that match: * ? [a-z].") var globs: [String] = []
  @Flag(help: "Show names as a tree.") var tree = false
  @Option(help: "Order: name, size or file.") var sort = Order.file
  @Flag(help: "Show canonical names beside the file's.") var canonical = false
  @Flag(help: "Look at every number once: extremes, moments, quantiles, counts, a histogram.")
  var stats = false
  @OptionGroup var options: ModelOptions
  @OptionGroup var output: OutputFlags

  enum Order: String, ExpressibleByArgument, CaseIterable { case name, size, file }

  struct Entry {
    var tensor: Tensor
    var group: String
    var canonical: String?
  }

  func run() throws {
    let opening = try Opening(model, options: options.reading())
    var entries = try entries(opening)
    switch sort {
    case .file: break
    case .name: entries.sort { Natural.less($0.tensor.name, $1.tensor.name) }
    case .size:
      entries.sort {
        ($1.tensor.byteCount, $0.tensor.name) < ($0.tensor.byteCount, $1.tensor.name)
      }
    }
    if stats {
      for (entry, numbers) in zip(entries, try Statistics.of(entries.map(\.tensor))) {
        print(
          entry.tensor.name, numbers.mean ?? 0, numbers.standardDeviation ?? 0, numbers.median ?? 0,
          Sparkline.text(
            numbers.histogram(bins: 16, from: numbers.minimum ?? 0, to: numbers.maximum ?? 0)))
      }
      return
    }
    if output.json {
      print(json(opening.checkpoint, entries).pretty)
    } else if tree {
      printTree(entries)
    } else {
      printTable(entries, opening.checkpoint)
    }
  }

  private func entries(_ opening: Opening) throws -> [Entry] {
    var canonicalNames: [String: String] = [:]
    if canonical {
      for weight in try opening.model().weights {
        for source in weight.sources { canonicalNames[source] = weight.name }
      }
    }
    let patterns = globs.map { Glob($0) }
    return opening.checkpoint.groups.flatMap { group in
      group.tensors.map {
        Entry(tensor: $0, group: group.name, canonical: canonicalNames[$0.name])
      }
    }.filter { entry in
      let names = [entry.tensor.name] + entry.tensor.aliases + [entry.canonical].compactMap(\.self)
      return patterns.isEmpty
        || patterns.contains { pattern in names.contains(where: pattern.matches) }
    }
  }

  private func printTable(_ entries: [Entry], _ checkpoint: Checkpoint) {
    var table = Table(
      canonical ? [.left, .left, .right, .right, .left] : [.left, .left, .right, .right],
      header: ["name", "dtype", "shape", "size"] + (canonical ? ["canonical"] : []))
    for entry in entries {
      let tensor = entry.tensor
      let shape = "\(tensor.shape)"
      let size = Text.bytes(tensor.byteCount)
      if canonical {
        table.add(tensor.name, tensor.dtype.rawValue, shape, size, entry.canonical ?? "-")
      } else {
        table.add(tensor.name, tensor.dtype.rawValue, shape, size)
      }
    }
    if !entries.isEmpty { table.print() }
    if entries.isEmpty, !globs.isEmpty { print("no tensor matches") }
    for entry in checkpoint.unreadable { print("\(entry.name)  \(entry.reason)") }
    guard !output.quiet else { return }
    let bytes = entries.reduce(0) { $0 + $1.tensor.byteCount }
    let elements = entries.reduce(0) { $0 + $1.tensor.shape.count }
    print(
      Terminal.output.dim(
        "\(Text.plural(entries.count, "tensor")), \(Text.plural(elements, "element")), "
          + Text.bytes(bytes)))
    for warning in checkpoint.warnings { Terminal.printError("warning: \(warning)") }
  }

  private func printTree(_ entries: [Entry]) {
    var root = Node()
    for entry in entries {
      let separator: Character = entry.tensor.name.contains("/") ? "/" : "."
      root.insert(entry.tensor.name.split(separator: separator).map(String.init)[...], entry.tensor)
    }
    root.print(indent: "")
  }

  /// A part of a name, with what stands below it in the file's order.
  private struct Node {
    var children: [(name: String, node: Node)] = []
    var tensor: Tensor?

    mutating func insert(_ path: ArraySlice<String>, _ tensor: Tensor) {
      guard let first = path.first else {
        self.tensor = tensor
        return
      }
      if let index = children.firstIndex(where: { $0.name == first }) {
        children[index].node.insert(path.dropFirst(), tensor)
      } else {
        var node = Node()
        node.insert(path.dropFirst(), tensor)
        children.append((first, node))
      }
    }

    func print(indent: String) {
      for (index, child) in children.enumerated() {
        let last = index == children.count - 1
        let detail = child.node.tensor.map { "  \($0.dtype.rawValue) \($0.shape)" } ?? ""
        Terminal.print(
          indent + (last ? "└─ " : "├─ ") + child.name + Terminal.output.dim(detail))
        child.node.print(indent: indent + (last ? "   " : "│  "))
      }
    }
  }

  private func json(_ checkpoint: Checkpoint, _ entries: [Entry]) -> JSON {
    .object([
      .init("path", .string(checkpoint.path)),
      .init("format", .string(checkpoint.format)),
      .init(
        "tensors",
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
            if canonical {
              members.append(.init("canonical", entry.canonical.map { .string($0) } ?? .null))
            }
            return .object(members)
          })),
      .init(
        "unreadable",
        .array(
          checkpoint.unreadable.map {
            .object([.init("name", .string($0.name)), .init("reason", .string($0.reason))])
          })),
      .init("warnings", .array(checkpoint.warnings.map { .string($0) })),
    ])
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
