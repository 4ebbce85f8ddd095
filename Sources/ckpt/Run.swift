import ArgumentParser
import Checkpoint
import Infer

/// `ckpt run`: what a model answers, to arrays or to text.
struct Run: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a model on arrays, or on text with --task.",
    discussion: """
      Arrays (--inputs) are named as bert4keras (Input-Token, Input-Segment; Encoder-Input-Token, \
      Decoder-Input-Token) or transformers (input_ids, token_type_ids, attention_mask, \
      decoder_input_ids) name them; --outputs gets every output that the weights allow, and every \
      value that --tap asks for.

      Text comes from the arguments, or a line each from standard input.
      """)

  @Argument(help: "The model.", completion: .model) var model: String
  @Argument(help: "Texts for --task.") var texts: [String] = []
  @Option(
    help: "Arrays to run on (.npz or .safetensors).",
    completion: .file(extensions: ["npz", "safetensors"]))
  var inputs: String?
  @Option(
    name: [.customLong("outputs"), .customShort("o")],
    help: "Where the outputs go (.npz or .safetensors; exposure: a plot, .png).",
    completion: .file(extensions: ["npz", "safetensors", "png"]))
  var outputs: String?
  @Option(
    help: "Also return inner values that match: layers.*.norm, Transformer-0-FeedForward.",
    completion: .values)
  var tap: [String] = []
  @Option(help: "What to do with text.") var task: TaskName?
  @Option(help: "Compute by the plain reference: f32 or f64.") var reference: Precision?
  @Option(help: "Threads.") var threads: Int?
  @Flag(help: "Replace an existing output.") var overwrite = false
  @OptionGroup var reading: TaskReading
  @OptionGroup var tasks: TaskOptions
  @OptionGroup var options: ModelOptions
  @OptionGroup var output: OutputFlags

  enum Precision: String, ExpressibleByArgument { case f32, f64 }

  func validate() throws {
    guard (inputs == nil) != (task == nil) else {
      throw ValidationError("Give either --inputs FILE or --task TASK with text.")
    }
    guard task != nil || texts.isEmpty else {
      throw ValidationError("Text needs --task; arrays come from --inputs.")
    }
    guard threads.map({ $0 > 0 }) ?? true else {
      throw ValidationError("--threads must be positive.")
    }
    guard inputs != nil || (tap.isEmpty && reference == nil) else {
      throw ValidationError("--tap and --reference are for --inputs.")
    }
    guard let task = task?.face, outputs != nil, !task.writes(tasks) else { return }
    throw ValidationError("--task \(task.name) writes no file; its answers go to standard output.")
  }

  func run() throws {
    let opening = try Opening(model, options: options.reading())
    if let inputs {
      switch try opening.meaning() {
      case .family(let model): try run(model, on: inputs, opening)
      case .keras(let model): try run(model, on: inputs, opening)
      }
    } else if let task {
      if let outputs {
        // Now, not behind a million texts.
        try Output(overwrite: overwrite, inputs: opening.inputs).check(outputs)
      }
      let context = try TaskContext(
        opening, tasks, threads: threads, outputs: outputs.map { ($0, overwrite) })
      try answer(task.face, context)
    }
  }

  private func run(_ model: Model, on inputs: String, _ opening: Opening) throws {
    let given = try Arrays.read(inputs)
    let runnable = try RunnableModel(model, mask: tasks.text.mask, inputs: given.keys)
    let arrays = try TextInputs(
      named: given, padding: runnable.architecture.configuration.padding, for: runnable.graph
    ).arrays
    let taps = try runnable.taps(tap)
    let results = try compute(runnable, arrays, runnable.outputNames + taps.map(\.value))
    try finish(results, runnable.outputNames, taps.map { ($0.value, $0.name) }, inputs, opening)
  }

  private func run(_ model: KerasModel, on inputs: String, _ opening: Opening) throws {
    let arrays = try RunnableKeras.inputs(named: Arrays.read(inputs), for: model.network)
    let runnable = try RunnableKeras(model, inputs: arrays.mapValues(\.shape))
    // What an unknown layer feeds cannot be told; what was asked for by name may come before it.
    if let obstacle = runnable.obstacle, tap.isEmpty { throw obstacle }
    let taps = try runnable.taps(tap)
    let results = try compute(runnable, arrays, runnable.outputNames + taps)
    try finish(results, runnable.outputNames, taps.map { ($0, $0) }, inputs, opening)
  }

  private func compute(
    _ runnable: some Runnable, _ inputs: [String: NDArray<Float>], _ names: [String]
  ) throws -> [String: NDArray<Float>] {
    switch reference {
    case .f64:
      try runnable.reference(Double.self, inputs, returning: names)
        .mapValues { $0.converted(to: Float.self) }
    case .f32: try runnable.reference(Float.self, inputs, returning: names)
    case nil: try runnable.session(returning: names, threads: threads).run(inputs)
    }
  }

  /// Writes and tells what was computed: the outputs, then what was tapped.
  private func finish(
    _ results: [String: NDArray<Float>], _ outputNames: [String],
    _ taps: [(value: String, name: String)], _ inputs: String, _ opening: Opening
  ) throws {
    var ordered: [(name: String, array: NDArray<Float>)] = []
    for name in outputNames { results[name].map { ordered.append((name, $0)) } }
    for tap in taps where !ordered.contains(where: { $0.name == tap.name }) {
      results[tap.value].map { ordered.append((tap.name, $0)) }
    }
    if let outputs {
      var files = opening.inputs
      if let identity = Paths.identity(inputs) { files.insert(identity) }
      try Arrays.write(ordered, to: outputs, inputs: files, overwrite: overwrite)
    }
    render(ordered)
  }

  private func render(_ results: [(name: String, array: NDArray<Float>)]) {
    if output.json {
      print(
        JSON.object([
          .init("outputs", outputs.map { .string($0) } ?? .null),
          .init(
            "values",
            .array(
              results.map { result in
                .object([
                  .init("name", .string(result.name)),
                  .init("shape", .array(result.array.shape.map { .number($0) })),
                ])
              })),
        ]).pretty)
      return
    }
    guard !output.quiet else { return }
    var table = Table([.left, .left, .right, .right], header: ["value", "shape", "min", "max"])
    for (name, array) in results {
      table.add(
        name, "\(Shape(array.shape))", Text.small(Double(array.values.min() ?? 0)),
        Text.small(Double(array.values.max() ?? 0)))
    }
    table.print()
    if let outputs { print("wrote \(outputs)") }
  }
}
