public import ArgumentParser
import Checkpoint
public import Infer

/// `ckpt sample`: what a denoiser or a score network has learned, as samples.
struct Sample: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "Draw samples from a denoising autoencoder or a score network.",
    discussion: """
      Annealed Langevin dynamics (Song and Ermon, arXiv 1907.05600): at each level of noise, --steps times, \
      x ← x + α/2 · score + √α · z, with α = step size · σ² / σ_last². A denoiser r has the score \
      (r(x) − x) / σ²; with --score the network's output is the score. An input of one number a row takes \
      the level. At the end the last level's noise is taken away.

      The same seed gives the same samples, each whatever the number of others.
      """)

  @Argument(help: "The model: a Keras graph.", completion: .model) var model: String
  @Option(help: "Standard deviations of the noise, the largest first: 1,0.6,0.35,0.2,0.1,0.05.")
  var sigma: NumberList
  @Option(help: "Steps at each level.") var steps = 100
  @Option(
    help: """
      ε, the step size at the last level; 0.2 of its variance unless given. At other levels it grows with \
      the variance.
      """)
  var stepSize: Double?
  @Option(help: "How many samples.") var count = 64
  @Option(help: "Seed of all that is random.") var seed: UInt64 = 0
  @Option(
    name: [.customShort("o"), .customLong("output")],
    help: ArgumentHelp(
      "Where the samples go: images as .png, arrays as .npz or .safetensors.", valueName: "file"),
    completion: .file(extensions: ["png", "npz", "safetensors"]))
  var outputFile: String
  @Flag(help: "The network gives the score itself, not the denoised input.") var score = false
  @Flag(
    inversion: .prefixedNo, help: "Take the noise of the last level away at the end.")
  var denoise = true
  @Option(help: "The input that takes the noise level.") var noiseInput: String?
  @Option(help: "How the level is told: sigma, log (of sigma), variance, or index (0, 1, …).")
  var sigmaForm = NetworkScore.Form.sigma
  @Option(parsing: .unconditional, help: "The values of black and white, such as -1,1.")
  var range = NumberList([0, 1])
  @Option(
    help: """
      Where samples begin: normal (the middle of the range, with noise of the first level) or uniform \
      (over the range).
      """)
  var `init` = Start.normal
  @Option(help: "Height and width of samples that are vectors: 28x28.") var image: String?
  @Option(help: "Images beside each other; about as many as below each other.") var columns: Int?
  @Flag(help: "Show how samples come about: a row for the beginning, each level, and the end.")
  var chain = false
  @Option(
    help: """
      Take what is random from arrays: x where samples begin, noise (levels, steps, samples, …) what each \
      step adds.
      """,
    completion: .file(extensions: ["npz", "safetensors"]))
  var noise: String?
  @Option(
    help: "Also write x, noise and trace, the samples behind every step (steps, samples, …).",
    completion: .file(extensions: ["npz", "safetensors"]))
  var trace: String?
  @Option(help: "Samples that go through the network together.") var batch = 64
  @Option(help: "Threads.") var threads: Int?
  @Flag(help: "Replace an existing output.") var overwrite = false
  @OptionGroup var options: ModelOptions
  @OptionGroup var output: OutputFlags

  enum Start: String, ExpressibleByArgument, CaseIterable { case normal, uniform }

  func validate() throws {
    guard !sigma.values.isEmpty, sigma.values.allSatisfy({ $0 > 0 && $0.isFinite }) else {
      throw ValidationError("--sigma takes positive numbers, such as 1,0.5,0.1.")
    }
    guard zip(sigma.values, sigma.values.dropFirst()).allSatisfy({ $0 >= $1 }) else {
      throw ValidationError("--sigma goes from the most noise to the least.")
    }
    guard range.values.count == 2, range.values[0] < range.values[1] else {
      throw ValidationError("--range takes two numbers, such as -1,1.")
    }
    guard stepSize.map({ $0 > 0 && $0.isFinite }) ?? true else {
      throw ValidationError("--step-size must be positive.")
    }
    guard steps > 0, count > 0, batch > 0, columns ?? 1 > 0, threads ?? 1 > 0 else {
      throw ValidationError("--steps, --count, --batch, --columns and --threads must be positive.")
    }
    guard steps < 1 << 20, count <= 1 << 20 else {
      throw ValidationError("--steps and --count are at most a million.")
    }
  }

  private var isPicture: Bool { Paths.suffix(of: outputFile).lowercased() == "png" }

  func run() throws {
    let opening = try Opening(model, options: options.reading())
    guard case .keras(let graph) = try opening.meaning() else {
      throw CheckpointError(
        .unsupported, .file(model), "is a model of text; samples are drawn from Keras graphs")
    }
    let network = try NetworkScore(
      graph, score ? .score : .denoiser, noiseInput: noiseInput, form: sigmaForm, threads: threads)
    let dynamics = try LangevinDynamics(
      sigmas: sigma.values, steps: steps, stepSize: stepSize, denoises: denoise)
    let layout = try isPicture ? layout(network.sampleShape) : nil
    var inputs = opening.inputs
    if let noise, let identity = Paths.identity(noise) { inputs.insert(identity) }
    // Before the work, not after it.
    for file in [outputFile, trace].compactMap(\.self) {
      try Output(overwrite: overwrite, inputs: inputs).check(file)
    }
    var run = SampleRun(
      dynamics, network, try randomness(network.sampleShape, dynamics), batch: batch,
      keepsTrace: trace != nil, keepsLevels: chain)
    let progress = Progress(
      "sampling", total: dynamics.evaluations * run.batches, quiet: output.quiet)
    try run.run { progress.add(1) }
    if let layout {
      let picture = Output(overwrite: overwrite, inputs: inputs)
      try picture.file(outputFile).write(try grid(run, layout).png(), at: 0)
      try picture.commit(durable: false)
    } else {
      try Arrays.write(
        [("samples", run.samples)] + (chain ? [("chain", run.levels)] : []), to: outputFile,
        inputs: inputs, overwrite: overwrite)
    }
    if let trace {
      try Arrays.write(run.arrays, to: trace, inputs: inputs, overwrite: overwrite)
    }
    report(run, dynamics, network)
  }

  /// Where samples begin and what is added to them.
  private func randomness(
    _ shape: [Int], _ dynamics: LangevinDynamics
  ) throws -> SampleRun.Randomness {
    guard let noise else {
      let (low, high) = (range.values[0], range.values[1])
      let start: SampleRun.Randomness.Start =
        `init` == .uniform
        ? .uniform(low, high) : .normal((low + high) / 2, dynamics.levels[0].sigma)
      return .seeded(seed, start, count: count, shape)
    }
    let arrays = try Arrays.read(noise)
    func array(_ name: String, _ leading: [Int?]) throws -> NDArray<Float> {
      guard let array = arrays[name] else {
        throw CheckpointError(
          .mismatch, Place(file: noise, tensor: name), "is missing",
          hint: "arrays: \(arrays.keys.sorted().joined(separator: ", "))")
      }
      let expected = leading + shape
      guard array.shape.count == expected.count,
        zip(array.shape, expected).allSatisfy({ $1 == nil || $0 == $1 })
      else {
        throw CheckpointError(
          .mismatch, Place(file: noise, tensor: name),
          "has shape \(Shape(array.shape)); expected \(KerasShape(expected))")
      }
      return array
    }
    let x = try array("x", [nil])
    guard let rows = x.shape.first, rows > 0 else {
      throw CheckpointError(.mismatch, Place(file: noise, tensor: "x"), "has no rows")
    }
    return .given(x, try array("noise", [dynamics.levels.count, steps, rows]))
  }

  // MARK: Images

  private func layout(_ shape: [Int]) throws -> ImageGrid.Layout {
    var stated: [Int]?
    if let image {
      let parts = image.lowercased().split(separator: "x").map { Int($0) }
      guard parts.count == 2, let height = parts[0], let width = parts[1] else {
        throw CheckpointError(
          .usage, Place(member: "--image \(image)"), "is no size, such as 28x28")
      }
      stated = [height, width]
    }
    return try ImageGrid.Layout(shape, stated: stated)
  }

  private func grid(_ run: SampleRun, _ layout: ImageGrid.Layout) -> ImageGrid {
    let width = run.network.sampleShape.reduce(1, *)
    let source = chain ? run.levels : run.samples
    let count = width == 0 ? 0 : source.values.count / width
    let usual = Int(Double(count).squareRoot().rounded(.up))
    return ImageGrid(
      layout: layout, columns: chain ? run.count : min(count, columns ?? usual),
      range: range.values[0]...range.values[1],
      images: (0..<count).map { source.values[($0 * width)..<(($0 + 1) * width)] })
  }

  // MARK: What is told

  private func report(
    _ run: SampleRun, _ dynamics: LangevinDynamics, _ network: NetworkScore
  ) {
    let (low, high) = (run.samples.values.min() ?? 0, run.samples.values.max() ?? 0)
    if output.json {
      print(
        JSON.object([
          .init("outputs", .string(outputFile)), .init("trace", trace.map { .string($0) } ?? .null),
          .init("count", .number(run.count)),
          .init("shape", .array(network.sampleShape.map { .number($0) })),
          .init("sigmas", .array(dynamics.levels.map { .number($0.sigma) })),
          .init("steps", .number(dynamics.steps)), .init("step_size", .number(dynamics.stepSize)),
          .init("score", .bool(score)), .init("denoised", .bool(dynamics.denoises)),
          .init("noise_input", network.noiseInput.map { .string($0) } ?? .null),
          .init("seed", noise == nil ? .literal(String(seed)) : .null),
          .init("evaluations", .number(dynamics.evaluations)),
          .init("min", .number(Double(low))), .init("max", .number(Double(high))),
        ]).pretty)
      return
    }
    guard !output.quiet else { return }
    let level =
      network.noiseInput.map { "the level goes to \($0)" } ?? "the model is told no noise level"
    print(
      "\(Text.plural(run.count, "sample")) of \(Shape(network.sampleShape)), "
        + "\(Text.plural(dynamics.levels.count, "level")) of \(Text.plural(dynamics.steps, "step")), "
        + "step size \(Text.small(dynamics.stepSize)); \(level)")
    print("values from \(Text.small(Double(low))) to \(Text.small(Double(high)))")
    print("wrote \(outputFile)" + (trace.map { " and \($0)" } ?? ""))
  }
}

extension NetworkScore.Form: ExpressibleByArgument {}

/// Numbers with commas between.
struct NumberList: ExpressibleByArgument {
  var values: [Double]

  init(_ values: [Double]) { self.values = values }

  init?(argument: String) {
    let parts = argument.split(separator: ",", omittingEmptySubsequences: false)
    let numbers = parts.compactMap { Double($0.filter { $0 != " " }) }
    guard numbers.count == parts.count else { return nil }
    values = numbers
  }

  var defaultValueDescription: String { values.map { Text.small($0) }.joined(separator: ",") }
}
