import ArgumentParser
import Checkpoint
import Infer
import Transforms

/// `ckpt convert`: another format, dialect, precision or model, proven.
struct Convert: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "Convert and transform a checkpoint, and prove the result.",
    discussion: """
      OUT is a file when its suffix is known, else a folder in the dialect's customary form. \
      Without --to and --apply names stay as they are.
      """)

  @Argument(help: "The checkpoint to read.", completion: .model) var source: String
  @Argument(help: "The file or folder to write.", completion: .file()) var target: String
  @Option(
    name: .customLong("to"),
    help: """
      Spell the result in this dialect (ckpt dialects); torchcrf: only a CRF's parameters; keras: a graph \
      of layers as Keras saves it whole.
      """,
    completion: .dialects)
  var dialect: String?
  @Option(help: "Write the same function as another family's model.", completion: .families)
  var toFamily: String?
  @Option(help: "Write this format instead of the one of OUT's suffix.", completion: .formats)
  var format: String?
  @Option(
    name: .customLong("from-format"), help: "Read as this format.",
    completion: .formats) var fromFormat: String?
  @Option(
    name: [.customLong("dialect"), .customLong("from-dialect")],
    help: "Read names as this dialect's.", completion: .dialects)
  var fromDialect: String?
  @Option(help: "Read as this family.", completion: .families) var family: String?
  @Option(help: "The configuration file of the source.", completion: .file()) var config: String?
  @Option(help: "The vocabulary file of the source.", completion: .file()) var vocab: String?
  @Option(name: .customLong("set"), help: ModelOptions.settingsHelp, completion: .settings)
  var settings: [String] = []
  @Option(help: "What a Lambda layer computes: NAME=FUNCTION.") var lambda: [String] = []
  @Option(
    help: """
      Convert float and quantized tensors to f64, f32, f16 or bf16; q8_0 quantizes the float \
      matrices that fill its blocks.
      """,
    completion: .list(["f64", "f32", "f16", "bf16", "q8_0"]))
  var dtype: String?
  @Option(
    help: "Apply a transform: NAME[=VALUE][:key=value]… (ckpt transforms).",
    completion: .transforms)
  var apply: [String] = []
  /// Its words stand before the others already (``Recipe/expanded(_:)``).
  @Option(
    help: "A YAML file of these flags; what stands here wins, and steps are added.",
    completion: .file(extensions: ["yaml", "yml"]))
  var recipe: [String] = []
  @Option(help: "Bytes per file, such as 2GB or 500MB.") var maxShardSize: String?
  @Option(help: "Pack tensors: gzip, or gzip:1 (fast) to gzip:9 (small); HDF5 only.")
  var compress: String?
  @Option(help: "Let tensors go that match this glob.", completion: .tensors)
  var allowDrop: [String] = []
  @Flag(help: "Print the plan and write nothing.") var dryRun = false
  @Flag(help: "Skip the proof.") var noVerify = false
  @Option(help: "Absolute difference that the proof accepts.") var atol: Double?
  @Option(help: "Difference relative to a value's largest element that the proof accepts.")
  var rtol: Double?
  @Flag(help: "Replace an existing output.") var overwrite = false
  @Flag(help: "Wait until the disk has the bytes.") var durable = false
  @OptionGroup var output: OutputFlags

  func validate() throws {
    guard [atol, rtol].allSatisfy({ $0.map { $0 >= 0 } ?? true }) else {
      throw ValidationError("--atol and --rtol must not be negative.")
    }
  }

  func run() throws {
    let request = try request()
    guard dialect?.lowercased() != CRFExport.name else { return try exportCRF(request) }
    let conversion = try Conversion(request)
    if dryRun {
      try conversion.checkTargets()
      render(conversion, Conversion.Outcome(path: conversion.destination.weights))
      return
    }
    let ahead = ReadAhead(conversion.opening.checkpoint.files)
    defer { ahead.stop() }
    let outcome = try conversion.run()
    render(conversion, outcome)
    if !outcome.isWritten { throw ExitCode(1) }
  }

  private func request() throws -> Conversion.Request {
    var request = Conversion.Request(source: source, target: target)
    request.reading.format = fromFormat
    request.reading.dialect = fromDialect
    request.reading.family = family
    request.reading.configurationPath = config
    request.reading.vocabularyPath = vocab
    request.reading.settings = try ModelOptions.pairs(settings, flag: "--set")
    request.reading.lambdas = Dictionary(
      try ModelOptions.pairs(lambda, flag: "--lambda").map { ($0.key, $0.value) }
    ) { $1 }
    request.dialect = dialect?.lowercased()
    request.family = toFamily
    request.format = format
    request.dtype = try dtype.map { name in
      guard let dtype = DType(rawValue: name), dtype.isFloat || dtype == .q8_0 else {
        throw CheckpointError(
          .usage, Place(member: "--dtype \(name)"), "expected f64, f32, f16, bf16 or q8_0")
      }
      return dtype
    }
    request.steps = try apply.map { try TransformStep(parsing: $0) }
    request.maxShardSize = try maxShardSize.map(Self.bytes)
    request.compression = try compress.map { try Compression(parsing: $0) }
    request.allowedDrops = allowDrop
    request.overwrite = overwrite
    request.durable = durable
    request.verify = !noVerify
    request.tolerances.absolute = atol
    request.tolerances.relative = rtol
    return request
  }

  /// `2GB` → 2,000,000,000, as transformers counts; `2GiB` → 2³¹.
  private static func bytes(_ text: String) throws -> Int {
    let units = [
      ("KIB", 1 << 10), ("MIB", 1 << 20), ("GIB", 1 << 30), ("KB", 1000), ("MB", 1_000_000),
      ("GB", 1_000_000_000), ("B", 1), ("", 1),
    ]
    let upper = text.uppercased()
    for (unit, factor) in units where upper.hasSuffix(unit) {
      if let number = Double(upper.dropLast(unit.count)), number > 0,
        number * Double(factor) < 1e18
      {
        return max(1, Int(number * Double(factor)))
      }
    }
    throw CheckpointError(
      .usage, Place(member: "--max-shard-size \(text)"), "expected bytes, such as 2GB or 500MB")
  }
}

// MARK: - Rendering

extension Convert {
  private func render(_ conversion: Conversion, _ outcome: Conversion.Outcome) {
    let proof = outcome.proof
    if output.json {
      print(json(conversion, outcome).pretty)
      return
    }
    if output.quiet {
      if let proof, !proof.passed { renderProof(conversion, proof) }
      return
    }
    let terminal = Terminal.output
    if dryRun { renderPlan(conversion) }
    renderDrops(conversion.drops)
    FindingsReport(conversion.findings).print()
    for remark in conversion.remarks { print("\(terminal.yellow("note:")) \(remark)") }
    if let spelling = conversion.spelling {
      print("loads as: \(spelling.loadsAs)")
      print(
        "missing keys: \(list(spelling.missing)); unexpected keys: \(list(unexpected(conversion)))")
    }
    let verb =
      dryRun ? "would write" : outcome.isWritten ? "wrote" : "did not write"
    print(
      "\(verb) \(terminal.bold(outcome.path)) "
        + "(\(conversion.destination.format.name), "
        + "\(Text.plural(conversion.rows.count, "tensor")), \(Text.bytes(bytes(conversion))))")
    if let proof { renderProof(conversion, proof) }
  }

  /// One line for each reason; long lists are cut.
  private func renderDrops(_ drops: [Conversion.Drop]) {
    var reasons: [String] = []
    for drop in drops where !reasons.contains(drop.reason) { reasons.append(drop.reason) }
    for reason in reasons {
      let names = drops.filter { $0.reason == reason }.map(\.name)
      let more = names.count > 4 ? ", … (\(names.count) in all)" : ""
      print(
        "\(Terminal.output.yellow("dropped")) \(names.prefix(4).joined(separator: ", "))\(more): "
          + reason)
    }
  }

  private func renderProof(_ conversion: Conversion, _ proof: Conversion.Proof) {
    let terminal = Terminal.output
    if let tensor = proof.wrongTensor {
      print("\(terminal.red("failed:")) \(tensor) does not read back as planned")
      return
    }
    print("read back: \(Text.plural(proof.tensors, "tensor")) as planned, bit for bit")
    if let reason = proof.notRun { print("not run: \(reason)") }
    if let verification = proof.verification {
      VerificationReport(verification).print(perLayer: false)
    }
    if proof.isKept {
      print("the transforms alone give the same function in Float64; the rest is the target's way")
    }
    if let broken = proof.broken {
      print(
        "\(terminal.red("failed:")) \(broken.step) is not what it promises: \(broken.reason)")
    }
  }

  private func renderPlan(_ conversion: Conversion) {
    var table = Table(
      [.left, .left, .left, .right, .right, .left],
      header: ["target", "source", "dtype", "shape", "bytes", "operation"])
    for row in conversion.rows {
      table.add(
        row.target, row.sources.isEmpty ? "-" : row.sources.joined(separator: " + "),
        row.dtype.rawValue, "\(row.shape)", Text.bytes(row.dtype.byteCount(of: row.shape.count)),
        row.operation)
    }
    table.print()
    let proof = conversion.provingBytes.map { ", \(Text.bytes($0)) for the proof" } ?? ""
    print("peak memory: about \(Text.bytes(conversion.writingBytes)) to write" + proof)
  }

  private func list(_ names: [String]) -> String {
    names.isEmpty ? "none" : names.joined(separator: ", ")
  }

  /// Keys that were dropped are not in the file, so nothing unexpected is left of them.
  private func unexpected(_ conversion: Conversion) -> [String] {
    let written = Set(conversion.rows.map(\.target))
    return (conversion.spelling?.unexpected ?? []).filter { written.contains($0) }
  }

  private func bytes(_ conversion: Conversion) -> Int {
    conversion.rows.reduce(0) { $0 + $1.dtype.byteCount(of: $1.shape.count) }
  }

  private func json(_ conversion: Conversion, _ outcome: Conversion.Outcome) -> JSON {
    let proof = outcome.proof
    var json = JSON.object([
      .init("source", .string(conversion.opening.checkpoint.path)),
      .init("target", .string(outcome.path)),
      .init("format", .string(conversion.destination.format.name)),
      .init("dry_run", .bool(dryRun)),
      .init("written", .bool(!dryRun && outcome.isWritten)),
      .init("bytes", .number(bytes(conversion))),
      .init(
        "tensors",
        .array(
          conversion.rows.map { row in
            .object([
              .init("target", .string(row.target)),
              .init("sources", .array(row.sources.map { .string($0) })),
              .init("operation", .string(row.operation)),
              .init("dtype", .string(row.dtype.rawValue)),
              .init("shape", .array(row.shape.extents.map { .number($0) })),
              .init("bytes", .number(row.dtype.byteCount(of: row.shape.count))),
            ])
          })),
      .init(
        "dropped",
        .array(
          conversion.drops.map {
            .object([
              .init("name", .string($0.name)), .init("reason", .string($0.reason)),
              .init("loses", .bool($0.loses)),
            ])
          })),
      .init("findings", FindingsReport(conversion.findings).json),
      .init("notes", .array(conversion.remarks.map { .string($0) })),
      .init("writing_memory", .number(conversion.writingBytes)),
      .init("proving_memory", conversion.provingBytes.map { .number($0) } ?? .null),
    ])
    if let spelling = conversion.spelling {
      json.set("loads_as", .string(spelling.loadsAs))
      json.set("missing_keys", .array(spelling.missing.map { .string($0) }))
      json.set("unexpected_keys", .array(unexpected(conversion).map { .string($0) }))
    }
    if let proof {
      json.set("read_back", .number(proof.tensors))
      json.set("verified", .bool(proof.passed))
      json.set("wrong_tensor", proof.wrongTensor.map { .string($0) } ?? .null)
      json.set("broken_promise", proof.broken.map { .string("\($0.step): \($0.reason)") } ?? .null)
      json.set("not_run", proof.notRun.map { .string($0) } ?? .null)
      json.set(
        "verification",
        proof.verification.map { VerificationReport($0).json(values: true) } ?? .null)
    }
    return json
  }
}
