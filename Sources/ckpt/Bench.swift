import ArgumentParser
import Checkpoint
import Glibc
import Infer

/// `ckpt bench`: how fast a model runs here.
struct Bench: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(abstract: "Measure how fast a model runs.")

  @Argument(help: "The model.", completion: .model) var model: String
  @Option(help: "Rows per run.") var batch = 1
  @Option(
    help: """
      Tokens per row (default 128, or as many as the model has positions); of a Keras graph, extents that it \
      leaves open.
      """)
  var length: Int?
  @Option(help: "Threads; all processors by default.") var threads: Int?
  @Option(help: "Seconds to measure.") var seconds = 3.0
  @Option(help: "Measure generation: so many tokens behind a prompt of --length.")
  var generate: Int?
  @Flag(
    name: .customLong("no-cache"),
    help: "Generation: run the whole sequence again for each token, without a key/value cache.")
  var noCache = false
  @Option(help: "Attention mask: bidirectional, causal or unilm.") var mask: AttentionMaskKind?
  @Flag(help: "Only the best paths of the model's CRF or MEMM, over random scores.")
  var viterbi = false
  @OptionGroup var options: ModelOptions
  @OptionGroup var output: OutputFlags

  func validate() throws {
    guard batch > 0, length.map({ $0 > 0 }) ?? true, seconds > 0, threads.map({ $0 > 0 }) ?? true,
      generate.map({ $0 > 1 }) ?? true
    else {
      throw ValidationError(
        "--batch, --length, --threads and --seconds must be positive, --generate at least 2.")
    }
    guard !noCache || generate != nil else {
      throw ValidationError("--no-cache is for --generate.")
    }
  }

  func run() throws {
    let family: Model
    switch try Opening(model, options: options.reading()).meaning() {
    case .family(let model): family = model
    case .keras(let graph): return try measure(graph)
    }
    let runnable = try RunnableModel(family, mask: mask)
    if let generate { return try measureGeneration(runnable, tokens: generate) }
    if viterbi { return try decode(runnable) }
    let configuration = runnable.architecture.configuration
    let length = length ?? min(128, configuration.positions)
    guard length <= configuration.positions else {
      throw CheckpointError(
        .usage, Place(member: "--length \(length)"),
        "the model has \(configuration.positions) positions")
    }
    var random = SplitMix64(seed: 1)
    let rows = (0..<batch).map { _ in
      (
        tokens: (0..<length).map { _ in
          Int32.random(in: 1...Int32(max(configuration.vocabularySize - 1, 1)), using: &random)
        },
        segments: [Int32](repeating: 0, count: length)
      )
    }
    let inputs = TextInputs(rows: rows)
    let session = try runnable.session(returning: ["last_hidden_state"], threads: threads)
    report(
      try measured(threads: session.threads, length: length) {
        _ = try session.run(inputs.arrays)
      })
  }

  /// Best paths of a batch, each of whole length.
  private func decode(_ runnable: RunnableModel) throws {
    let layer = try Tag.layer(of: runnable)
    let chain: LinearChain
    switch try Tag.kind(of: layer, runnable, .viterbi) {
    case .crf(let crf): chain = crf
    case .memm(let markov, _):
      chain = LinearChain(transitions: markov.transitions, labels: markov.labels)
    case .softmax:
      throw CheckpointError(.unsupported, .file(model), "has no CRF or MEMM on top")
    }
    let length = length ?? 128
    var random = SplitMix64(seed: 1)
    let scores = NDArray<Float>(
      shape: [batch, length, chain.labels],
      values: (0..<(batch * length * chain.labels)).map { _ in
        Float.random(in: -3...3, using: &random)
      })
    let lengths = [Int](repeating: length, count: batch)
    report(
      try measured(threads: threads ?? Parallel.processors, length: length) {
        _ = try chain.best(scores, lengths: lengths, threads: threads)
      }, labels: chain.labels)
  }

  func measured(
    threads: Int, length: Int, _ body: () throws -> Void
  ) throws -> Measured {
    let clock = ContinuousClock()
    let first = try clock.measure(body)
    var times: [Double] = []
    var processorTimes: [Double] = []
    let start = clock.now
    repeat {
      let before = Self.processorTime()
      times.append(try clock.measure(body) / .seconds(1))
      processorTimes.append(Self.processorTime() - before)
    } while clock.now - start < .seconds(seconds) || times.count < 3
    return Measured(
      first: first / .seconds(1), times: times.sorted(), processorTimes: processorTimes.sorted(),
      threads: threads, length: length)
  }

  /// What was measured, in seconds; lists are sorted.
  struct Measured {
    var first: Double
    var times: [Double]
    var processorTimes: [Double]
    var threads: Int
    var length: Int
    var median: Double { times[times.count / 2] }

    var members: [JSON.Member] {
      [
        .init("threads", .number(threads)), .init("runs", .number(times.count)),
        .init("first_seconds", .number(first)), .init("median_seconds", .number(median)),
        .init("min_seconds", .number(times[0])),
        .init("max_seconds", .number(times[times.count - 1])),
        .init("median_processor_seconds", .number(processorTimes[times.count / 2])),
      ]
    }
  }

  /// Seconds of processor time that the process has used, all threads together.
  private static func processorTime() -> Double {
    var time = timespec()
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time)
    return Double(time.tv_sec) + Double(time.tv_nsec) / 1e9
  }

  func milliseconds(_ seconds: Double) -> String { "\(Text.decimal(seconds * 1000, 2)) ms" }

  private func report(_ measured: Measured, labels: Int? = nil) {
    let (times, median) = (measured.times, measured.median)
    let tokens = Double(batch * measured.length) / median
    if output.json {
      print(
        JSON.object(
          [
            .init("batch", .number(batch)), .init("length", .number(measured.length)),
          ] + measured.members + [
            .init("tokens_per_second", .number(tokens))
          ] + (labels.map { [.init("labels", .number($0))] } ?? [])
        ).pretty)
      return
    }
    print(
      "\(batch)×\(measured.length) tokens, \(labels.map { "\($0) labels, " } ?? "")\(Text.plural(measured.threads, "thread")): median "
        + "\(milliseconds(median)) of \(times.count) runs (\(milliseconds(times[0])) to "
        + "\(milliseconds(times[times.count - 1])), first \(milliseconds(measured.first))), "
        + "\(Text.grouped(Int(tokens))) tokens/s")
  }
}
