import ArgumentParser
import Checkpoint
import Infer

/// `ckpt bench`: how fast a model runs here.
struct Bench: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(abstract: "Measure how fast a model runs.")

  @Argument(help: "The model.") var model: String
  @Option(help: "Rows per run.") var batch = 1
  @Option(help: "Tokens per row (default 128, or as many as the model has positions).")
  var length: Int?
  @Option(help: "Threads; all processors by default.") var threads: Int?
  @Option(help: "Seconds to measure.") var seconds = 3.0
  @OptionGroup var options: ModelOptions
  @OptionGroup var output: OutputFlags

  func validate() throws {
    guard batch > 0, length.map({ $0 > 0 }) ?? true, seconds > 0, threads.map({ $0 > 0 }) ?? true
    else {
      throw ValidationError("--batch, --length, --threads and --seconds must be positive.")
    }
  }

  func run() throws {
    let runnable = try RunnableModel(Opening(model, options: options.reading()).model())
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
    let clock = ContinuousClock()
    let first = try clock.measure { _ = try session.run(inputs.arrays) }
    var times: [Double] = []
    let start = clock.now
    repeat {
      times.append(try clock.measure { _ = try session.run(inputs.arrays) } / .seconds(1))
    } while clock.now - start < .seconds(seconds) || times.count < 3
    times.sort()
    let median = times[times.count / 2]
    report(first / .seconds(1), median, times, session.threads, length)
  }

  private func report(
    _ first: Double, _ median: Double, _ times: [Double], _ threads: Int, _ length: Int
  ) {
    let tokens = Double(batch * length) / median
    if output.json {
      print(
        JSON.object([
          .init("batch", .number(batch)), .init("length", .number(length)),
          .init("threads", .number(threads)), .init("runs", .number(times.count)),
          .init("first_seconds", .number(first)), .init("median_seconds", .number(median)),
          .init("min_seconds", .number(times[0])),
          .init("max_seconds", .number(times[times.count - 1])),
          .init("tokens_per_second", .number(tokens)),
        ]).pretty)
      return
    }
    func milliseconds(_ seconds: Double) -> String { "\(Text.decimal(seconds * 1000, 2)) ms" }
    print(
      "\(batch)×\(length) tokens, \(Text.plural(threads, "thread")): median "
        + "\(milliseconds(median)) of \(times.count) runs (\(milliseconds(times[0])) to "
        + "\(milliseconds(times[times.count - 1])), first \(milliseconds(first))), "
        + "\(Text.grouped(Int(tokens))) tokens/s")
  }
}
