import ArgumentParser
import Checkpoint

/// `ckpt ls`: the tensors of a checkpoint.
struct List: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    commandName: "ls", abstract: "List the tensors of a checkpoint.",
    discussion: """
      Globs match whole names, the file's and, with --canonical, those that ckpt gives to a known model: \
      ckpt ls model.h5 --canonical 'layers.*.attention.*'

      --stats reads every number once. Counts, extremes and moments are exact and of the finite numbers; \
      quantiles (marked ~) and histograms, which go from the minimum to the maximum, are estimated from \
      a sample where a tensor has more than \(Statistics.sampleSize) numbers. A terminal shows the columns that fit.
      """)

  @Argument(help: "The checkpoint.", completion: .model) var model: String
  @Argument(help: "Only names that match: * ? [a-z].", completion: .tensors)
  var globs: [String] = []
  @Flag(help: "Show names as a tree, with the sums of each branch.") var tree = false
  @Option(
    help: """
      Order: file, name or size; with --stats, largest first, also mean, std, min, max, norm, p1, median, \
      p99, zeros, nan, inf or subnormal.
      """)
  var sort = ListOrder.file
  @Flag(help: "Show canonical names beside the file's.") var canonical = false
  @Flag(help: "Look at every number once: extremes, moments, quantiles, counts, a histogram.")
  var stats = false
  @OptionGroup var options: ModelOptions
  @OptionGroup var output: OutputFlags

  func validate() throws {
    if case .statistics(let column) = sort, !stats {
      throw ValidationError("--sort \(column.rawValue) needs --stats")
    }
  }

  func run() throws {
    let opening = try Opening(model, options: options.reading())
    let checkpoint = opening.checkpoint
    var entries = try entries(opening)
    let failure = stats ? measure(&entries) : nil
    sort.apply(to: &entries)
    let listing = Listing(entries: entries, showsCanonical: canonical, showsStatistics: stats)
    if output.json {
      print(json(checkpoint, listing).pretty)
    } else {
      if !entries.isEmpty { tree ? listing.printTree() : listing.printTable() }
      if entries.isEmpty, !globs.isEmpty { print("no tensor matches") }
      for entry in checkpoint.unreadable { print("\(entry.name)  \(entry.reason)") }
      if !output.quiet {
        listing.printSums()
        for warning in checkpoint.warnings { Terminal.printError("warning: \(warning)") }
      }
    }
    if let failure {
      if !output.json { Terminal.printError("\(Terminal.error.red("error:")) \(failure)") }
      throw ExitCode(2)
    }
  }

  private func entries(_ opening: Opening) throws -> [ListEntry] {
    let canonicalNames = try canonical ? opening.meaning().canonicalNames : [:]
    let patterns = globs.map { Glob($0) }
    return opening.checkpoint.groups.flatMap { group in
      group.tensors.map { tensor in
        let name = ([tensor.name] + tensor.aliases).lazy.compactMap { canonicalNames[$0]?.last }
          .first
        return ListEntry(tensor: tensor, group: group.name, canonical: name)
      }
    }.filter { entry in
      let names = [entry.tensor.name] + entry.tensor.aliases + [entry.canonical].compactMap(\.self)
      return patterns.isEmpty
        || patterns.contains { pattern in names.contains(where: pattern.matches) }
    }
  }

  /// Gives every entry its statistics, or the reason why it has none.
  ///
  /// - Returns: the first error that is the file's fault; what ckpt cannot decode is none.
  private func measure(_ entries: inout [ListEntry]) -> CheckpointError? {
    let tensors = entries.map(\.tensor)
    let progress = Progress(
      "reading", total: tensors.reduce(0) { $0 + $1.byteCount }, quiet: output.quiet)
    let results = Statistics.each(of: tensors) { progress.add($0) }
    var failure: CheckpointError?
    for (index, result) in results.enumerated() {
      switch result {
      case .success(let statistics): entries[index].statistics = statistics
      case .failure(let error):
        entries[index].reason = error.reason
        if error.kind != .unsupported, failure == nil { failure = error }
      }
    }
    return failure
  }

  private func json(_ checkpoint: Checkpoint, _ listing: Listing) -> JSON {
    var members: [JSON.Member] = [
      .init("path", .string(checkpoint.path)),
      .init("format", .string(checkpoint.format)),
      .init("tensors", listing.json),
    ]
    if tree { members.append(.init("tree", listing.treeJSON)) }
    return .object(
      members + [
        .init(
          "unreadable",
          .array(
            checkpoint.unreadable.map {
              .object([.init("name", .string($0.name)), .init("reason", .string($0.reason))])
            })),
        .init("warnings", .array(checkpoint.warnings.map { .string($0) })),
      ])
  }
}

/// In which order tensors are listed.
enum ListOrder: ExpressibleByArgument {
  case file, name, size
  /// Largest first; what has no such number comes last.
  case statistics(StatisticsColumn)

  init?(argument: String) {
    switch argument {
    case "file": self = .file
    case "name": self = .name
    case "size": self = .size
    default:
      guard let column = StatisticsColumn(rawValue: argument), column != .histogram else {
        return nil
      }
      self = .statistics(column)
    }
  }

  var defaultValueDescription: String { "file" }

  static var allValueStrings: [String] {
    ["file", "name", "size"]
      + StatisticsColumn.allCases.filter { $0 != .histogram }.map(\.rawValue)
  }

  static var defaultCompletionKind: CompletionKind { .list(allValueStrings) }

  func apply(to entries: inout [ListEntry]) {
    switch self {
    case .file: break
    case .name: entries.sort { Natural.less($0.tensor.name, $1.tensor.name) }
    case .size:
      entries.sort {
        ($1.tensor.byteCount, $0.tensor.name) < ($0.tensor.byteCount, $1.tensor.name)
      }
    case .statistics(let column):
      let keys = entries.map { $0.statistics.flatMap(column.key) ?? -.infinity }
      let order = entries.indices.sorted { (keys[$1], $0) < (keys[$0], $1) }
      entries = order.map { entries[$0] }
    }
  }
}
