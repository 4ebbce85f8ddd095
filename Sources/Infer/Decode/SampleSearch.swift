/// Samples of what may follow a prompt, each drawn from its own stream of random numbers.
///
/// As transformers' `generate` with `do_sample` or bert4keras' `random_sample` define the distributions
/// (``Sampler``) and the end.
struct SampleSearch: Search {
  private struct Sample {
    var ids: [Int32] = []
    var score = 0.0
    var isFinished = false
    var random: SplitMix64
  }

  private let decoding: Decoding
  private let constraints: Constraints
  private let sampler: Sampler
  private let history: [Int32]
  private let begin: [Int32]
  private let room: Int
  private var samples: [Sample]
  /// The sample of each row.
  private var rows: [Int] = []

  /// - Parameter numbers: which of the request's samples; each has a stream of its own.
  init(_ decoding: Decoding, _ request: DecodingRequest, _ numbers: Range<Int>) {
    self.decoding = decoding
    constraints = Constraints(decoding)
    sampler = Sampler(decoding)
    history = request.history
    begin = request.prompt.targets
    room = min(request.room, decoding.maxNewTokens)
    samples = numbers.map {
      Sample(random: SplitMix64(seed: decoding.seed, stream: request.stream, UInt64($0)))
    }
  }

  var results: [Generated] {
    samples.map { Generated(ids: $0.ids, score: $0.score, isFinished: $0.isFinished) }
  }

  mutating func advance(_ logits: [ArraySlice<Float>]) -> [Continuation] {
    guard room > 0 else { return [] }
    let isFirst = rows.isEmpty
    if isFirst { rows = Array(samples.indices) }
    var continuations: [Continuation] = []
    var left: [Int] = []
    // One row at first, which all samples have, and one distribution.
    let shared = isFirst ? logits.first.map { distribution($0, after: []) } : nil
    let normalizers = logits.map { Logits.logarithmOfSum($0) }
    for (position, index) in rows.enumerated() {
      let row = isFirst ? 0 : position
      let distribution = shared ?? distribution(logits[row], after: samples[index].ids)
      guard let token = Sampler.draw(distribution, &samples[index].random) else { continue }
      samples[index].ids.append(token)
      let raw = logits[row][logits[row].startIndex + Int(token)]
      samples[index].score += Double(raw) - normalizers[row]
      samples[index].isFinished = isDone(samples[index].ids)
      guard !samples[index].isFinished, samples[index].ids.count < room else { continue }
      continuations.append(Continuation(parent: row, token: token))
      left.append(index)
    }
    rows = left
    return continuations
  }

  private func distribution(
    _ logits: ArraySlice<Float>, after ids: [Int32]
  ) -> [(id: Int32, probability: Double)] {
    var scores = Array(logits)
    constraints.apply(to: &scores, history: history + ids, new: ids.count)
    return sampler.distribution(scores[...])
  }

  private func isDone(_ ids: [Int32]) -> Bool {
    guard let last = ids.last, decoding.ends.contains(last) else { return false }
    guard decoding.rule == .bert4keras else { return true }
    let output = begin + ids
    return output.count >= decoding.minLength && decoding.hasEnded(output)
  }
}
