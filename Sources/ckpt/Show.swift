import ArgumentParser
import Checkpoint

/// `ckpt show`: the numbers of one tensor.
struct Show: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "Print the numbers of a tensor, their histogram, or a heat map.",
    discussion: """
      TENSOR is a stored name, an alias or a canonical name (ckpt ls --canonical), or a pattern that \
      one of them matches. By its canonical name a weight is shown as ckpt orients it, whatever the \
      format: kernels are (in, out).

      Numbers are printed as NumPy prints them, of more than 1,000 the first and last three of each \
      axis. Only what is shown is read.
      """)

  @Argument(help: "The checkpoint.", completion: .model) var model: String
  @Argument(help: "The tensor; not needed where there is one only.", completion: .tensors)
  var tensor: String?
  @Option(
    parsing: .unconditional, help: "Only these elements, as NumPy slices: 0:4,:8 or -1,... or ::2.")
  var slice: String?
  @Option(help: "Digits behind the point, at most.") var precision = 8
  @Flag(help: "Print all elements, however many.") var full = false
  @Flag(help: "Show how many numbers lie where: a histogram of all of them.") var hist = false
  @Option(help: "Bars of the histogram.") var bins = 20
  @Flag(help: "Show the matrix as a heat map.") var heat = false
  @Option(help: "What a cell of the heat map shows of its elements: largest (magnitude) or mean.")
  var pool = HeatMap.Pooling.largest
  @Option(
    name: [.short, .customLong("output")],
    help: ArgumentHelp(
      "Write the heat map, or with --hist the histogram, as a PNG image.", valueName: "file"),
    completion: .file(extensions: ["png"]))
  var outputFile: String?
  @Flag(help: "Replace an existing image.") var overwrite = false
  @OptionGroup var options: ModelOptions
  @OptionGroup var output: OutputFlags

  func validate() throws {
    guard (0...100).contains(precision) else {
      throw ValidationError("--precision must be 0 to 100.")
    }
    guard (1...1000).contains(bins) else { throw ValidationError("--bins must be 1 to 1000.") }
    guard !(hist && heat) else {
      throw ValidationError("Give either --hist or --heat.")
    }
  }

  func run() throws {
    let slicing = try slice.map { text throws(CheckpointError) in try Slicing(text) } ?? .all
    let opening = try Opening(model, options: options.reading())
    let found = try TensorSearch(opening).one(tensor)
    let selection = try place(found) { () throws(CheckpointError) in
      try slicing.selection(of: found.tensor.shape)
    }
    let image = try outputFile.map { path in
      let output = Output(overwrite: overwrite, inputs: opening.inputs)
      return (output, try output.file(path))
    }
    if output.json {
      print(try json(opening, found, selection).pretty)
    } else {
      if !output.quiet { print(title(found, selection)) }
      try render(found, selection)
    }
    if let (output, file) = image {
      try file.write(try picture(found, selection), at: 0)
      try output.commit(durable: false)
      if !self.output.quiet, !self.output.json { print("wrote \(file.target)") }
    }
  }

  private func place<T>(
    _ found: TensorSearch.Found, _ body: () throws(CheckpointError) -> T
  ) throws(CheckpointError) -> T {
    do throws(CheckpointError) { return try body() } catch {
      throw error.at(.tensor(found.tensor.name))
    }
  }

  // MARK: Text

  /// The name, and beside it, or below it where there is no room, what is to be said.
  private func title(_ found: TensorSearch.Found, _ selection: Selection) -> String {
    let terminal = Terminal.output
    let tensor = found.tensor
    var parts = ["\(tensor.dtype.rawValue) \(tensor.shape)"]
    if !selection.isWhole { parts.append("[\(slice ?? "")] → \(selection.shape)") }
    parts.append(Text.bytes(tensor.byteCount))
    let others = found.others.map { Text.printable($0) }
    let line = (parts + others).joined(separator: " · ")
    let name = Text.printable(found.name)
    guard let columns = terminal.columns, Text.width(name) + 2 + Text.width(line) > columns else {
      return terminal.bold(name) + "  " + terminal.dim(line)
    }
    let detail = Text.wrapped(parts.joined(separator: " · "), to: columns - 2)
    return
      ([terminal.bold(Text.shortened(name, to: columns))]
      + (detail + others.map { Text.shortened($0, to: columns - 2) })
      .map { "  " + terminal.dim($0) }).joined(separator: "\n")
  }

  private func render(_ found: TensorSearch.Found, _ selection: Selection) throws {
    if hist {
      let histogram = try HistogramView(
        found.tensor.selecting(selection), bins: bins, quiet: output.quiet)
      for line in histogram.lines(.output) { print(line) }
    } else if heat {
      let map = try HeatMap(
        found.tensor.selecting(selection), size: HeatMap.size(on: .output), pooling: pool,
        quiet: output.quiet)
      for line in map.lines(.output) { Terminal.printRaw(line) }
    } else if outputFile == nil {
      let shape = selection.shape
      let isSummary = shape.count > ArrayText.threshold && !full
      let numbers = try Numbers.of(
        found.tensor.selecting(selection, isSmall: isSummary),
        edge: isSummary ? ArrayText.edge : nil)
      print(
        ArrayText(
          numbers, shape: shape.extents, isSummary: isSummary, precision: precision,
          width: Terminal.output.columns ?? 75
        ).text)
    }
  }

  private func picture(
    _ found: TensorSearch.Found, _ selection: Selection
  ) throws(CheckpointError) -> [UInt8] {
    let tensor = try found.tensor.selecting(selection)
    if hist { return try HistogramView(tensor, bins: bins, quiet: output.quiet).png() }
    return try HeatMap(tensor, size: HeatMap.imageSize, pooling: pool, quiet: output.quiet).png()
  }

  // MARK: JSON

  /// Elements up to which JSON has the values without `--full`.
  private static let most = 1_000_000

  private func json(
    _ opening: Opening, _ found: TensorSearch.Found, _ selection: Selection
  ) throws -> JSON {
    let tensor = found.tensor
    let selected = try tensor.selecting(selection)
    let shape = selection.shape
    var json = JSON.object([
      .init("path", .string(opening.checkpoint.path)),
      .init("name", .string(found.stored ?? tensor.name)),
      .init("canonical", found.canonical.map { .string($0) } ?? .null),
      .init("dtype", .string(tensor.dtype.rawValue)),
      .init("shape", .array(tensor.shape.extents.map { .number($0) })),
      .init("bytes", .number(tensor.byteCount)),
      .init("storage", .string(tensor.payload.storage)),
      .init("slice", slice.map { .string($0) } ?? .null),
      .init("selected_shape", .array(shape.extents.map { .number($0) })),
    ])
    json.set("statistics", try Statistics(selected).json)
    if hist { json.set("histogram", try HistogramView(selected, bins: bins, quiet: true).json) }
    if full || shape.count <= Show.most {
      let values = try Numbers.of(selected, edge: nil).json
      json.set("values", nested(values, shape.extents[...]))
    } else {
      json.set("values", .null)
    }
    if let outputFile { json.set("image", .string(outputFile)) }
    return json
  }

  private func nested(_ values: [JSON], _ extents: ArraySlice<Int>) -> JSON {
    var next = 0
    func part(_ extents: ArraySlice<Int>) -> JSON {
      guard let first = extents.first else {
        defer { next += 1 }
        return values[next]
      }
      return .array((0..<first).map { _ in part(extents.dropFirst()) })
    }
    return part(extents)
  }
}

/// Finds a tensor by what a user calls it.
struct TensorSearch {
  struct Found {
    var tensor: Tensor
    /// The name in the file, where there is one.
    var stored: String?
    var canonical: String?
    /// What it was found by.
    var name: String
    /// Its other names.
    var others: [String]
  }

  private let opening: Opening
  private let stored: [Tensor]
  /// The weights, where a family is known.
  private let weights: [Weight]

  init(_ opening: Opening) {
    self.opening = opening
    stored = opening.checkpoint.tensors
    weights = (try? opening.meaning().weights) ?? []
  }

  /// Every name by which ``one(_:)`` finds a tensor: as stored, then canonical ones.
  var names: [String] { stored.flatMap { [$0.name] + $0.aliases } + weights.map(\.name) }

  /// The tensor of a name, or of a pattern that one tensor matches.
  ///
  /// - Throws: ``CheckpointError`` of kind `usage` that lists what matches, or what is spelled alike.
  func one(_ name: String?) throws(CheckpointError) -> Found {
    guard let name else {
      if stored.count == 1 { return found(stored[0]) }
      throw CheckpointError(
        .usage, .file(opening.checkpoint.path),
        "has \(Text.plural(stored.count, "tensor")); name one",
        hint: list(stored.map(\.name)))
    }
    if let tensor = stored.first(where: { $0.name == name || $0.aliases.contains(name) }) {
      return found(tensor)
    }
    if let weight = weights.first(where: { $0.name == name }) { return found(weight) }
    let pattern = Glob(name)
    let tensors = stored.filter { ([$0.name] + $0.aliases).contains(where: pattern.matches) }
    if tensors.count == 1 { return found(tensors[0]) }
    let canonical = weights.filter { pattern.matches($0.name) }
    if tensors.isEmpty, canonical.count == 1 { return found(canonical[0]) }
    let matches = tensors.map(\.name) + canonical.map(\.name)
    guard matches.isEmpty else {
      throw CheckpointError(
        .usage, Place(member: "\"\(name)\""), "matches \(matches.count) tensors; name one",
        hint: list(matches))
    }
    if let entry = opening.checkpoint.unreadable.first(where: { $0.name == name }) {
      throw CheckpointError(.unsupported, .tensor(name), entry.reason)
    }
    let nearest = Nearest.names(to: name, among: names)
    throw CheckpointError(
      .usage, .file(opening.checkpoint.path), "has no tensor \"\(name)\"",
      hint: nearest.isEmpty
        ? "ckpt ls lists them"
        : nearest.count == 1
          ? "did you mean \(nearest[0])?"
          : "did you mean one of these?\n    \(list(nearest, "    "))")
  }

  private func list(_ names: [String], _ indent: String = "  ") -> String {
    let most = 20
    return names.prefix(most).joined(separator: "\n" + indent)
      + (names.count > most ? "\n\(indent)… and \(names.count - most) more" : "")
  }

  private func found(_ tensor: Tensor) -> Found {
    let canonical = weights.first { $0.sources.contains(tensor.name) }?.name
    return Found(
      tensor: tensor, stored: tensor.name, canonical: canonical, name: tensor.name,
      others: tensor.aliases + (canonical.map { [$0] } ?? []))
  }

  private func found(_ weight: Weight) -> Found {
    Found(
      tensor: weight.tensor.renamed(weight.name),
      stored: weight.sources.count == 1 ? weight.sources[0] : nil, canonical: weight.name,
      name: weight.name, others: weight.sources)
  }
}

/// Names that are spelled alike.
enum Nearest {
  /// At most three, the nearest first: those that hold `name`, then those that a third of its
  /// characters would turn into it.
  static func names(to name: String, among names: [String]) -> [String] {
    let wanted = Array(name.lowercased())
    var scored: [(name: String, score: Int)] = []
    for other in Set(names) {
      let lower = other.lowercased()
      if lower.contains(name.lowercased()) {
        scored.append((other, 0))
        continue
      }
      let characters = Array(lower)
      guard abs(characters.count - wanted.count) <= wanted.count / 3 + 1 else { continue }
      let distance = distance(wanted, characters)
      if distance <= wanted.count / 3 + 1 { scored.append((other, distance)) }
    }
    return scored.sorted { ($0.score, $0.name.count, $0.name) < ($1.score, $1.name.count, $1.name) }
      .prefix(3).map(\.name)
  }

  /// Insertions, removals and exchanges from one to the other.
  private static func distance(_ a: [Character], _ b: [Character]) -> Int {
    var row = Array(0...b.count)
    for (i, character) in a.enumerated() {
      var diagonal = row[0]
      row[0] = i + 1
      for j in b.indices {
        let next = min(row[j] + 1, row[j + 1] + 1, diagonal + (b[j] == character ? 0 : 1))
        diagonal = row[j + 1]
        row[j + 1] = next
      }
    }
    return row[b.count]
  }
}
