import ArgumentParser
import Checkpoint
import Infer

/// `ckpt run`: what a model answers.
struct Run: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "Run a model on arrays.",
    discussion: """
      Inputs are named as bert4keras (Input-Token, Input-Segment) or transformers (input_ids, \
      token_type_ids, attention_mask) name them. Outputs get every output that the weights allow, \
      and every value that --tap asks for.
      """)

  @Argument(help: "The model.") var model: String
  @Option(help: "Arrays to run on (.npz or .safetensors).") var inputs: String
  @Option(help: "Where the outputs go (.npz or .safetensors).") var outputs: String?
  @Option(help: "Also return inner values that match: layers.*.norm, Transformer-0-FeedForward.")
  var tap: [String] = []
  @Option(help: "Attention mask: bidirectional, causal or unilm.") var mask: AttentionMaskKind?
  @Option(help: "Compute by the plain reference: f32 or f64.") var reference: Precision?
  @Option(help: "Threads.") var threads: Int?
  @Flag(help: "Replace an existing output.") var overwrite = false
  @OptionGroup var options: ModelOptions
  @OptionGroup var output: OutputFlags

  enum Precision: String, ExpressibleByArgument { case f32, f64 }

  func run() throws {
    let opening = try Opening(model, options: options.reading())
    let runnable = try RunnableModel(opening.model(), mask: mask)
    let arrays = try TextInputs(
      named: Arrays.read(inputs), padding: runnable.architecture.configuration.padding)
    let taps = try runnable.taps(tap)
    let names = runnable.outputNames + taps.map(\.value)
    let results = try compute(runnable, arrays, names)
    var ordered: [(name: String, array: NDArray<Float>)] = []
    for name in runnable.outputNames { results[name].map { ordered.append((name, $0)) } }
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

  private func compute(
    _ runnable: RunnableModel, _ inputs: TextInputs, _ names: [String]
  ) throws -> [String: NDArray<Float>] {
    switch reference {
    case .f64:
      try runnable.reference(Double.self, inputs.arrays, returning: names)
        .mapValues { $0.converted(to: Float.self) }
    case .f32: try runnable.reference(Float.self, inputs.arrays, returning: names)
    case nil: try runnable.session(returning: names, threads: threads).run(inputs.arrays)
    }
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
