import ArgumentParser
import Checkpoint

/// `ckpt report`: a page about a checkpoint.
struct Report: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "Write a page about a checkpoint: one HTML file that works offline.",
    discussion: """
      The page holds what the model is, its drawing, plots over the layers, heat maps of the attention \
      heads, and a table of all tensors with their statistics. It loads nothing from anywhere.
      """)

  @Argument(help: "The checkpoint.") var model: String
  @Option(
    name: [.customShort("o"), .customLong("output")], help: "The page to write, such as report.html.")
  var page: String
  @Flag(
    inversion: .prefixedNo,
    help: """
      Analyse each head (singular values, similarity to others); otherwise that is done where it takes \
      seconds rather than minutes.
      """)
  var attention: Bool?
  @Flag(help: "Replace a page that exists.") var overwrite = false
  @OptionGroup var options: ModelOptions
  @OptionGroup var output: OutputFlags

  func run() throws {
    let opening = try Opening(model, options: options.reading())
    let file = Output(overwrite: overwrite, inputs: opening.inputs)
    try file.check(page)
    let overview = try ReportOverview(opening, options: options)
    let tensors = try ReportTensors(opening.checkpoint, overview.model, quiet: output.quiet)
    let heads = try heads(overview.model)
    var data = JSON.object([
      .init("version", .string(Main.configuration.version)),
      .init("model", overview.json), .init("shares", .array(ReportTensors.shares.map { .number($0) })),
      .init("tensors", try tensors.json()),
    ])
    if let heads { data.set("attention", AttentionReport(heads).json.rounded(digits: 4)) }
    let html = ReportPage.html(title: Paths.name(of: opening.checkpoint.path), data: data)
    try file.file(page).write(html, at: 0)
    try file.commit(durable: false)
    render(
      .object([
        .init("path", .string(page)), .init("bytes", .number(html.count)),
        .init("tensors", .number(tensors.rows.count)),
        .init("parameters", .number(tensors.parameters)),
        .init("attention", .bool(heads != nil)),
        .init("warnings", .array(overview.warnings.map { .string($0) })),
      ]), tensors: tensors.rows.count, bytes: html.count)
  }

  /// Multiplications up to which heads are analysed without being asked: some seconds.
  private static let affordable = 3e10

  private func heads(_ model: Model?) throws -> AttentionAnalysis? {
    guard attention != false, let model else {
      guard attention == true else { return nil }
      throw CheckpointError(
        .unsupported, Place(member: "--attention"), "the names are of no family that ckpt knows")
    }
    guard attention == true || AttentionAnalysis.cost(model).map({ $0 < Report.affordable }) ?? false
    else { return nil }
    let progress = Progress(
      "heads", total: model.architecture.storedAttentions.count, quiet: output.quiet)
    return try AttentionAnalysis(model) { progress.add(1) }
  }

  private func render(_ json: JSON, tensors: Int, bytes: Int) {
    if output.json {
      print(json.pretty)
    } else if !output.quiet {
      print("wrote \(page) (\(Text.plural(tensors, "tensor")), \(Text.bytes(bytes)))")
    }
  }
}
