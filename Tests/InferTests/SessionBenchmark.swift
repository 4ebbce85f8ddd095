import Checkpoint
import Glibc
import Infer
import Testing

/// Times the engine on a random encoder of BERT-base's size, for `Benchmarks/engine.sh`.
///
/// Runs only when `CKPT_BENCH` holds the sizes (`1x16,1x128`); `CKPT_BENCH_THREADS` and
/// `CKPT_BENCH_ROUNDS` are optional. Prints what `engine_peers.py` prints: name, batch, length,
/// threads, median and minimum of the wall time, and median of the processor time, in milliseconds.
@Suite(.enabled(if: getenv("CKPT_BENCH") != nil)) struct SessionBenchmark {
  @Test func `an encoder of BERT-base's size`() throws {
    let threads = number("CKPT_BENCH_THREADS") ?? Workers.available
    let trial = try Trial.encoder(
      EncoderSize(
        vocabulary: 1000, positions: 512, layers: 12, hidden: 768, heads: 12, inner: 3072))
    let session = try trial.session(["last_hidden_state"], threads: threads)
    for size in text("CKPT_BENCH").split(separator: ",") {
      let parts = size.split(separator: "x").compactMap { Int($0) }
      guard parts.count == 2 else { continue }
      var inputs = encoderInputs(batch: parts[0], length: parts[1], vocabulary: 1000, seed: 1)
      inputs["mask"] = NDArray(
        shape: parts, values: .init(repeating: 1, count: parts[0] * parts[1]))
      for _ in 0..<3 { _ = try session.run(inputs) }
      var wall: [Double] = []
      var processor: [Double] = []
      for _ in 0..<(number("CKPT_BENCH_ROUNDS") ?? 15) {
        let start = (time(CLOCK_MONOTONIC), time(CLOCK_PROCESS_CPUTIME_ID))
        _ = try session.run(inputs)
        wall.append(time(CLOCK_MONOTONIC) - start.0)
        processor.append(time(CLOCK_PROCESS_CPUTIME_ID) - start.1)
      }
      let fields = [median(wall), wall.min() ?? 0, median(processor)]
      print("ckpt", parts[0], parts[1], threads, fields.map { "\($0)" }.joined(separator: " "))
    }
  }

  private func text(_ name: String) -> String {
    getenv(name).map { String(cString: $0) } ?? ""
  }

  private func number(_ name: String) -> Int? { Int(text(name)) }

  private func median(_ values: [Double]) -> Double {
    values.isEmpty ? 0 : values.sorted()[values.count / 2]
  }

  /// Milliseconds.
  private func time(_ clock: clockid_t) -> Double {
    var now = timespec()
    clock_gettime(clock, &now)
    return Double(now.tv_sec) * 1e3 + Double(now.tv_nsec) * 1e-6
  }
}
