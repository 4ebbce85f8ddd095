import ArgumentParser
import Checkpoint
import Infer

/// `ckpt verify`: whether two models compute the same.
struct Verify: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run two models on the same inputs and compare every value.",
    discussion: """
      Without --inputs or text, seeded probes of several lengths with padding and both segments are \
      used. Differences are relative to a value's largest element. With --task both answer the same \
      texts, each by its own vocabulary, and what they decide is compared. Exit code 1 when they differ.
      """)

  @Argument(help: "The first model.", completion: .model) var a: String
  @Argument(help: "The second model.", completion: .model) var b: String
  @Option(
    help: "Arrays to run both on (.npz or .safetensors).",
    completion: .file(extensions: ["npz", "safetensors"]))
  var inputs: String?
  @Option(help: "Compare the answers of this task.") var task: TaskName?
  @Option(help: "A text to run both on; may be given several times.") var text: [String] = []
  @OptionGroup var reading: TaskReading
  @Option(
    help:
      "With --task: decisions whose next best is nearer than this, in log-probability, are ties.")
  var margin = 1e-3
  @Option(help: "Absolute difference that passes.") var atol: Double?
  @Option(help: "Difference relative to a value's largest element that passes (default 1e-5).")
  var rtol: Double?
  @Flag(help: "Show every value.") var perLayer = false
  @Option(help: "Let the Float64 reference judge every value: f64.") var reference: Judge?
  @Option(help: "Threads.") var threads: Int?
  @OptionGroup var tasks: TaskOptions
  @OptionGroup var options: ModelOptions
  @OptionGroup var optionsB: SecondModelOptions
  @OptionGroup var output: OutputFlags

  enum Judge: String, ExpressibleByArgument { case f64 }

  func validate() throws {
    guard [atol, rtol, margin].allSatisfy({ $0.map { $0 >= 0 } ?? true }) else {
      throw ValidationError("--atol, --rtol and --margin must not be negative.")
    }
    guard inputs == nil || (task == nil && !hasText) else {
      throw ValidationError("Give either --inputs, or text.")
    }
    guard task == nil || (!perLayer && reference == nil) else {
      throw ValidationError("--per-layer and --reference compare values, --task answers.")
    }
  }

  /// Whether texts were given in some way.
  private var hasText: Bool { !text.isEmpty || reading.textFile != nil || reading.pairs != nil }

  func run() throws {
    let first = try Opening(a, options: options.reading())
    let second = try Opening(b, options: optionsB.reading())
    if let task { return try compareAnswers(task.face, first, second) }
    let verification: Verification
    if hasText {
      verification = try compareText(first, second)
    } else {
      verification = try compare(first.meaning(), second.meaning())
    }
    let report = VerificationReport(verification)
    if output.json {
      print(report.json(values: true).pretty)
    } else if !output.quiet || !verification.passed {
      report.print(perLayer: perLayer)
    }
    if !verification.passed { throw ExitCode(1) }
  }

  private var how: VerificationOptions {
    var how = VerificationOptions()
    how.absolute = atol
    how.relative = rtol
    how.judge = reference == .f64 ? .always : .whenInDoubt
    how.threads = threads
    return how
  }

  private func compareText(_ first: Opening, _ second: Opening) throws -> Verification {
    var notes: [String] = []
    let (source, result, probes) = try tokenized(first, second, &notes)
    var verification = try Verification(source, result, inputs: probes, options: how)
    verification.notes += notes
    return verification
  }

  private func compare(_ first: Meaning, _ second: Meaning) throws -> Verification {
    let given = try inputs.map { try Arrays.read($0) }
    let (mask, seed) = (tasks.text.mask, tasks.decoding.seed)
    switch (first, second) {
    case (.family(let first), .family(let second)):
      let names = given.map { Array($0.keys) } ?? []
      let source = try RunnableModel(first, mask: mask, inputs: names)
      let result = try RunnableModel(second, mask: mask, inputs: names)
      let configuration = source.architecture.configuration
      let probes =
        try given.map {
          try TextInputs(named: $0, padding: configuration.padding, for: source.graph)
        }
        ?? Probes.text(
          for: configuration.common(with: result.architecture.configuration),
          of: source.architecture.family, seed: seed)
      return try Verification(source, result, inputs: probes, options: how)
    case (.keras(let first), .keras(let second)):
      return try Verification(first, second, inputs: given, seed: seed, options: how)
    case (.family(let family), .keras(let keras)):
      return try Verification(
        family, keras, isReversed: false, mask: mask, inputs: given, seed: seed, options: how)
    case (.keras(let keras), .family(let family)):
      return try Verification(
        family, keras, isReversed: true, mask: mask, inputs: given, seed: seed, options: how)
    }
  }
}
