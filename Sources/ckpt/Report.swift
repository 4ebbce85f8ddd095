import ArgumentParser
import Checkpoint

/// `ckpt report`: a page about a checkpoint, or about how two differ.
struct Report: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a page about a checkpoint, or about how two differ: one HTML file.",
    discussion: """
      The page holds what info tells, a drawing of the model, where the bytes are, every weight over the \
      layers, heat maps of the attention heads, and a table of all tensors with their statistics. With two \
      checkpoints it shows what diff finds. It works offline: nothing is loaded from anywhere.
      """)

  @Argument(help: "The checkpoint.") var model: String
  @Argument(help: "Another one, to be compared with it.") var second: String?
  @Option(
    name: [.customShort("o"), .customLong("output")],
    help: ArgumentHelp("The page to write, such as report.html.", valueName: "page"))
  var page: String
  @Flag(
    inversion: .prefixedNo,
    help: """
      Analyse each head (singular values, similarity to others); without either that is done where it \
      takes seconds rather than minutes.
      """)
  var attention: Bool?
  @Flag(help: "With two: look for partners of what is left by shape and content, as diff does.")
  var guess = false
  @Flag(help: "Replace a page that exists.") var overwrite = false
  @OptionGroup var options: ModelOptions
  @OptionGroup var optionsB: SecondModelOptions
  @OptionGroup var output: OutputFlags

  func validate() throws {
    guard second != nil || !guess else { throw ValidationError("--guess takes two checkpoints.") }
    guard second == nil || attention != true else {
      throw ValidationError("--attention takes one checkpoint.")
    }
  }

  func run() throws {
    let opening = try Opening(model, options: options.reading())
    let other = try second.map { try Opening($0, options: optionsB.reading()) }
    let file = Output(
      overwrite: overwrite, inputs: opening.inputs.union(other?.inputs ?? []))
    // Before the work, not after it.
    try file.check(page)
    let first = try ReportSide(opening, family: options.family, quiet: output.quiet)
    var data = JSON.object([
      .init("version", .string(Main.configuration.version)),
      .init("shares", .array(ReportTensors.shares.map { .number($0) })),
    ])
    var title = first.name
    var heads: AttentionAnalysis?
    var sides = [first]
    if let other {
      let second = try ReportSide(other, family: optionsB.familyB, quiet: output.quiet)
      let change = try ReportChange(first, second, guess: guess, quiet: output.quiet)
      let names =
        first.name == second.name ? [first.longName, second.longName] : [first.name, second.name]
      data.set("model", first.json(name: names[0]))
      data.set("other", second.json(name: names[1]))
      data.set("change", change.json)
      data.set("tensors", try change.tensors())
      title = names.joined(separator: " → ")
      sides.append(second)
    } else {
      data.set("model", first.json(name: first.name))
      data.set("tensors", .array(try first.tensors.rows.map(ReportTensors.json)))
      heads = try analysis(of: first)
      if let heads { data.set("attention", AttentionReport(heads).json.rounded(digits: 4)) }
    }
    let html = ReportPage.html(title: title, data: data)
    try file.file(page).write(html, at: 0)
    try file.commit(durable: false)
    render(sides, bytes: html.count, hasHeads: heads != nil)
    for side in sides {
      guard let error = side.info.understanding.failure, let failure = Failure(error) else {
        continue
      }
      // The page is written; the error is a part of it.
      failure.report(json: false)
      throw ExitCode(failure.code)
    }
  }

  /// Multiplications up to which heads are analysed without being asked: ten seconds of two processors.
  private static let affordable = 5e10

  private func analysis(of side: ReportSide) throws -> AttentionAnalysis? {
    guard attention != false else { return nil }
    if attention == true {
      return try analysis(of: side.info.understanding.analysable())
    }
    guard side.info.understanding.failure == nil, let model = side.info.model,
      let cost = AttentionAnalysis.cost(model), cost < Report.affordable
    else { return nil }
    return try analysis(of: model)
  }

  private func analysis(of model: Model) throws -> AttentionAnalysis {
    let count = model.architecture.storedAttentions.count
    let progress = Progress("analysing heads", total: count, quiet: output.quiet)
    return try AttentionAnalysis(model) { progress.add(1) }
  }

  private func render(_ sides: [ReportSide], bytes: Int, hasHeads: Bool) {
    let tensors = sides.map(\.tensors.rows.count)
    if output.json {
      print(
        JSON.object([
          .init("page", .string(page)), .init("bytes", .number(bytes)),
          .init("tensors", .array(tensors.map { .number($0) })),
          .init("attention", .bool(hasHeads)),
          .init(
            "concerns", .array(sides.map { .number($0.info.health.concerns.count) })),
          .init("warnings", .array(sides.flatMap(\.info.allWarnings).map { .string($0) })),
        ]).pretty)
    } else if !output.quiet {
      let counts = tensors.map { Text.plural($0, "tensor") }.joined(separator: " and ")
      print("wrote \(page) (\(counts), \(Text.bytes(bytes)))")
    }
  }
}
