import Checkpoint
import Infer

/// `ckpt bench --generate`: how fast a model continues texts, always by the likeliest token.
extension Bench {
  func measureGeneration(_ runnable: RunnableModel, tokens: Int) throws {
    let steps = try Steps.model(for: runnable, cached: !noCache, threads: threads)
    let hasEncoder = runnable.graph.inputs.contains {
      runnable.graph[$0].name == Input.decoderTokens
    }
    // Where there is an encoder, the prompt takes no room from the targets.
    let room = steps.limit.map { hasEncoder ? $0 : $0 - tokens } ?? .max
    let length = length ?? max(1, min(64, room))
    guard hasEncoder || length <= room else {
      throw CheckpointError(
        .usage, Place(member: "--length \(length) --generate \(tokens)"),
        "the model has \(room + tokens) positions")
    }
    var random = SplitMix64(seed: 1)
    let prompts = (0..<batch).map { _ in
      let ids = (0..<length).map { _ in
        Int32.random(in: 1...Int32(max(steps.vocabularySize - 1, 1)), using: &random)
      }
      return Prompt(
        tokens: ids, segments: .init(repeating: 0, count: length), targets: hasEncoder ? [0] : [],
        targetSegment: runnable.architecture.configuration.mask == .unilm ? 1 : 0)
    }
    let clock = ContinuousClock()
    var (whole, first, each): ([Double], [Double], [Double]) = ([], [], [])
    let start = clock.now
    repeat {
      let begin = clock.now
      var logits = try steps.start(prompts)
      first.append((clock.now - begin) / .seconds(1))
      for _ in 1..<tokens {
        let before = clock.now
        logits = try steps.advance(Array(0..<batch), Self.likeliest(logits))
        each.append((clock.now - before) / .seconds(1))
      }
      whole.append((clock.now - begin) / .seconds(1))
    } while clock.now - start < .seconds(seconds)
    report(
      Generated(
        first: first.sorted(), each: each.sorted(), whole: whole.sorted(), length: length,
        tokens: tokens, isCached: steps is CachedSteps))
  }

  /// The largest of each row of logits.
  private static func likeliest(_ logits: NDArray<Float>) -> [Int32] {
    let width = logits.shape[1]
    return (0..<logits.shape[0]).map { row in
      logits.values.withUnsafeBufferPointer { values in
        var best = row * width
        for index in (row * width)..<((row + 1) * width) where values[index] > values[best] {
          best = index
        }
        return Int32(best - row * width)
      }
    }
  }

  /// What was measured, in seconds; lists are sorted.
  private struct Generated {
    var first: [Double]
    var each: [Double]
    var whole: [Double]
    var length: Int
    var tokens: Int
    var isCached: Bool

    static func median(_ values: [Double]) -> Double { values[values.count / 2] }
  }

  private func report(_ measured: Generated) {
    let threads = threads ?? Workers.available
    let (first, each) = (Generated.median(measured.first), Generated.median(measured.each))
    let whole = Generated.median(measured.whole)
    let rate = Double(batch * measured.tokens) / whole
    if output.json {
      print(
        JSON.object([
          .init("batch", .number(batch)), .init("length", .number(measured.length)),
          .init("generated", .number(measured.tokens)), .init("cached", .bool(measured.isCached)),
          .init("threads", .number(threads)), .init("runs", .number(measured.whole.count)),
          .init("first_token_seconds", .number(first)),
          .init("median_token_seconds", .number(each)),
          .init("median_seconds", .number(whole)), .init("min_seconds", .number(measured.whole[0])),
          .init("tokens_per_second", .number(rate)),
        ]).pretty)
      return
    }
    print(
      "\(batch)×\(measured.tokens) tokens behind \(measured.length), "
        + "\(measured.isCached ? "cached" : "uncached"), \(Text.plural(threads, "thread")): "
        + "the first in \(milliseconds(first)), then \(milliseconds(each)) each "
        + "(median of \(Text.plural(measured.whole.count, "run"))), "
        + "\(Text.decimal(rate, 1)) tokens/s")
  }
}
