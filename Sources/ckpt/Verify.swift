import ArgumentParser
import Checkpoint
import Infer

/// `ckpt verify`: whether two models compute the same.
struct Verify: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run two models on the same inputs and compare every value.",
    discussion: """
      Without --inputs, seeded probes of several lengths with padding and both segments are used. \
      Differences are relative to a value's largest element. Exit code 1 when they differ.
      """)

  @Argument(help: "The first model.") var a: String
  @Argument(help: "The second model.") var b: String
  @Option(help: "Arrays to run both on (.npz or .safetensors).") var inputs: String?
  @Option(help: "Attention mask: bidirectional, causal or unilm.") var mask: AttentionMaskKind?
  @Option(help: "Absolute difference that passes.") var atol: Double?
  @Option(help: "Difference relative to a value's largest element that passes (default 1e-5).")
  var rtol: Double?
  @Flag(help: "Show every value.") var perLayer = false
  @Option(help: "Let the Float64 reference judge every value: f64.") var reference: Judge?
  @Option(help: "Seed of the probes.") var seed: UInt64 = 1
  @Option(help: "Threads.") var threads: Int?
  @OptionGroup var options: ModelOptions
  @OptionGroup var optionsB: SecondModelOptions
  @OptionGroup var output: OutputFlags

  enum Judge: String, ExpressibleByArgument { case f64 }

  func validate() throws {
    guard [atol, rtol].allSatisfy({ $0.map { $0 >= 0 } ?? true }) else {
      throw ValidationError("--atol and --rtol must not be negative.")
    }
  }

  func run() throws {
    let first = try Opening(a, options: options.reading()).model()
    let second = try Opening(b, options: optionsB.reading()).model()
    let given = try inputs.map { try Arrays.read($0) }
    let names = given.map { Array($0.keys) } ?? []
    let source = try RunnableModel(first, mask: mask, inputs: names)
    let result = try RunnableModel(second, mask: mask, inputs: names)
    let configuration = source.architecture.configuration
    let text: TextInputs
    if let given {
      text = try TextInputs(named: given, padding: configuration.padding, for: source.graph)
    } else {
      text = Probes.text(
        for: configuration.common(with: result.architecture.configuration),
        of: source.architecture.family, seed: seed)
    }
    var how = VerificationOptions()
    how.absolute = atol
    how.relative = rtol
    how.judge = reference == .f64 ? .always : .whenInDoubt
    how.threads = threads
    let verification = try Verification(
      source, result, inputs: text,
      options: how)
    let report = VerificationReport(verification)
    if output.json {
      print(report.json(values: true).pretty)
    } else if !output.quiet || !verification.passed {
      report.print(perLayer: perLayer)
    }
    if !verification.passed { throw ExitCode(1) }
  }
}

/// Arrays in files.
enum Arrays {
  /// All tensors of an .npz or .safetensors file.
  static func read(_ path: String) throws -> [String: NDArray<Float>] {
    let probe = try Probe(path)
    let checkpoint = try FormatRegistry.recognise(probe).read(probe)
    if let entry = checkpoint.unreadable.first {
      throw CheckpointError(
        .unsupported, Place(file: path, tensor: entry.name), entry.reason)
    }
    var arrays: [String: NDArray<Float>] = [:]
    for tensor in checkpoint.tensors {
      arrays[tensor.name] = NDArray(shape: tensor.shape.extents, values: try tensor.floats())
    }
    return arrays
  }

  /// Writes arrays in order, in the format of the path's suffix (npz without one).
  static func write(
    _ arrays: [(name: String, array: NDArray<Float>)], to path: String, inputs: Set<File.Identity>,
    overwrite: Bool
  ) throws {
    let tensors = arrays.map {
      Tensor(name: $0.name, shape: Shape($0.array.shape), values: $0.array.values)
    }
    let format = try FormatRegistry.suffixed(path) ?? FormatRegistry.named("npz")
    let output = Output(overwrite: overwrite, inputs: inputs)
    try format.write(
      Checkpoint(groups: [Group(name: "", tensors: tensors)]), to: path, in: output,
      options: WriteOptions())
    try output.commit(durable: false)
  }
}
