import Checkpoint

/// What an answer is decoded from.
public struct DecodingRequest: Sendable, Equatable {
  public var prompt: Prompt
  /// The tokens that count as said before: what is continued, not what is answered.
  public var history: [Int32]
  /// The most new tokens of this one; no more than ``Decoding/maxNewTokens`` count.
  public var room: Int
  /// Its stream of random numbers: the text's number, whatever texts run beside it.
  public var stream: UInt64

  public init(_ prompt: Prompt, history: [Int32], room: Int = .max, stream: UInt64 = 0) {
    self.prompt = prompt
    self.history = history
    self.room = room
    self.stream = stream
  }
}

/// A search for the answers to one prompt, of which the logits of its rows are told step by step.
///
/// It begins with one row, the prompt's.
protocol Search: Sendable {
  /// Takes the logits of its rows and tells which rows go on by which token; none when it is done.
  mutating func advance(_ logits: [ArraySlice<Float>]) -> [Continuation]
}

/// A row that goes on.
struct Continuation: Sendable, Equatable {
  /// The row among the search's own.
  var parent: Int
  var token: Int32
}

/// Decodes many prompts at once.
///
/// Each prompt's answers depend on nothing but the prompt and its ``DecodingRequest/stream``.
public struct Decoder: Sendable {
  public let decoding: Decoding

  public init(_ decoding: Decoding) { self.decoding = decoding }

  /// The answers to each request: the returned beams, the best first, or the samples.
  public func callAsFunction(
    _ requests: [DecodingRequest], on model: any StepModel
  ) throws -> [[Generated]] {
    let prompts = requests.map(\.prompt)
    guard decoding.samples == 0 else { return try samples(requests, on: model) }
    switch (decoding.rule, decoding.beams) {
    case (.bert4keras, _):
      return try Decoder.run(
        requests.map { Bert4kerasBeamSearch(decoding, $0) }, from: prompts, on: model
      ).map { $0.result.map { [$0] } ?? [] }
    case (.transformers, 1):
      return try Decoder.run(
        requests.map { GreedySearch(decoding, $0) }, from: prompts, on: model
      ).map { [$0.result] }
    case (.transformers, _):
      return try Decoder.run(
        requests.map { BeamSearch(decoding, $0) }, from: prompts, on: model
      ).map(\.results)
    }
  }

  /// The samples of each request, some hundred rows at a time: many need no more memory than few.
  private func samples(
    _ requests: [DecodingRequest], on model: any StepModel
  ) throws -> [[Generated]] {
    var results = requests.map { _ in [Generated]() }
    let step = max(1, Decoder.sampleRows / max(requests.count, 1))
    for first in stride(from: 0, to: decoding.samples, by: step) {
      let numbers = first..<min(first + step, decoding.samples)
      let done = try Decoder.run(
        requests.map { SampleSearch(decoding, $0, numbers) }, from: requests.map(\.prompt),
        on: model)
      for (index, search) in done.enumerated() { results[index] += search.results }
    }
    return results
  }

  /// Rows of samples that run side by side.
  private static let sampleRows = 256

  /// Runs searches side by side until all are done; the rows of all are advanced together.
  static func run<S: Search>(
    _ searches: [S], from prompts: [Prompt], on model: any StepModel
  ) throws -> [S] {
    guard !searches.isEmpty else { return [] }
    var searches = searches
    // Each search's rows are a range of all rows.
    var running = searches.indices.map { (search: $0, rows: $0..<($0 + 1)) }
    var logits = try model.start(prompts)
    while true {
      let steps = try advance(searches, running, logits)
      var parents: [Int] = []
      var tokens: [Int32] = []
      var next: [(search: Int, rows: Range<Int>)] = []
      for ((index, rows), (search, continuations)) in zip(running, steps) {
        searches[index] = search
        guard !continuations.isEmpty else { continue }
        next.append((index, parents.count..<(parents.count + continuations.count)))
        for continuation in continuations {
          parents.append(rows.lowerBound + continuation.parent)
          tokens.append(continuation.token)
        }
      }
      guard !parents.isEmpty else { return searches }
      running = next
      logits = try model.advance(parents, tokens)
    }
  }

  /// A step of every search that goes on; on several threads where there is enough to do.
  private static func advance<S: Search>(
    _ searches: [S], _ running: [(search: Int, rows: Range<Int>)], _ logits: NDArray<Float>
  ) throws -> [(search: S, continuations: [Continuation])] {
    let isMuch = logits.values.count > 1 << 16
    return try Parallel.map(running.count, threads: isMuch ? nil : 1, with: {}) { index, _ in
      var search = searches[running[index].search]
      let continuations = search.advance(running[index].rows.map { logits.vector($0) })
      return (search, continuations)
    }
  }
}
