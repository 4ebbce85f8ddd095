import Checkpoint

/// Exposure bias made visible: a sequence-to-sequence model judged with the right words before each token, as
/// it was trained, and with its own, as it is used (kexue.fm/archives/7259).
public struct Exposure: TextTask {
  /// One pair, position by position of its target.
  public struct Answer: TaskAnswer, Equatable {
    /// The right tokens, the end among them.
    public var gold: [Int32]
    /// The likeliest token at each position after the right ones.
    public var forced: [Int32]
    public var forcedLogLikelihoods: [Double]
    /// The greedy run on its own: as long as it is.
    public var free: [Int32]
    /// log p of the right token after the run's own tokens; as long as the run or the target.
    public var freeLogLikelihoods: [Double]
    /// Tokens that end a sequence, which no measure counts.
    public var ends: Set<Int32>
    public var margin: Double?

    /// The first position at which the free run leaves the target; `nil` where it never does.
    public var partsAt: Int? {
      zip(gold, free).enumerated().first { $0.element.0 != $0.element.1 }?.offset
        ?? (gold.count == free.count ? nil : min(gold.count, free.count))
    }

    var reference: [Int32] { gold.withoutEnd(ends) }
    var candidate: [Int32] { free.withoutEnd(ends) }

    /// ROUGE-L of the free run, over token ids without the end.
    public var rougeL: Double { OverlapMeasures.rougeL(candidate, reference) }

    public var decisions: [Decision] {
      [Decision("free run", free.map(String.init).joined(separator: " "), margin: margin)]
    }
  }

  /// What is judged, and what is run free.
  public struct Prepared: Sendable {
    var row: ForcedTarget
    var request: DecodingRequest
  }

  public let prepare: @Sendable (TaskInput) throws -> Prepared
  private let forcing: TeacherForcing
  private let steps: any StepModel
  private let decoding: Decoding

  /// - Throws: ``InferError`` when the model does not answer a source by a target.
  public init(
    _ model: RunnableModel, _ prompting: Prompting, _ decoding: Decoding, cached: Bool = true,
    threads: Int? = nil
  ) throws {
    let forcing = try TeacherForcing(model, threads: threads)
    let steps = try Steps.model(for: model, cached: cached, threads: threads)
    let (form, limit) = (forcing.form, steps.limit)
    self.forcing = forcing
    self.steps = steps
    self.decoding = decoding
    prepare = { input in
      guard let pair = input.pair else {
        throw InferError(
          .input, "text", "has no target", hint: "give source and target: --pairs FILE")
      }
      let row = try prompting.target(input.text, pair)
      try form.check(row)
      var request = try prompting.request(input.text, number: input.number, limit: limit)
      // A target that no end finishes, as of a text that is continued, says nothing of what follows it.
      if !(row.target.last.map { prompting.ends.contains($0) } ?? false) {
        request.room = min(request.room, row.target.count)
      }
      return Prepared(row: row, request: request)
    }
  }

  public func length(_ prepared: Prepared) -> Int {
    prepared.row.prompt.tokens.count + prepared.row.target.count
  }

  public func answers(_ batch: [Prepared]) throws -> [Answer] {
    try Exposure.answers(batch, forcing, steps, decoding)
  }

  static func answers(
    _ batch: [Prepared], _ forcing: TeacherForcing, _ steps: any StepModel, _ decoding: Decoding
  ) throws -> [Answer] {
    let rows = batch.map(\.row)
    var answers = rows.map {
      Answer(
        gold: $0.target, forced: [], forcedLogLikelihoods: [], free: [], freeLogLikelihoods: [],
        ends: decoding.ends)
    }
    try forcing(rows) { row, position, logits in
      answers[row].forced.append(Int32(Logits.best(logits)?.index ?? 0))
      answers[row].forcedLogLikelihoods.append(
        Logits.logarithm(of: rows[row].target[position], logits) ?? -.infinity)
    }
    let runs = try Decoder.run(
      batch.map { prepared in
        // A run that may not become as long as its target would be wrong by that alone.
        var decoding = decoding
        decoding.maxNewTokens = max(decoding.maxNewTokens, prepared.row.target.count)
        return FreeRun(decoding, prepared.request, gold: prepared.row.target)
      },
      from: rows.map(\.prompt), on: steps)
    for (index, run) in runs.enumerated() {
      answers[index].free = run.greedy.result.ids
      answers[index].freeLogLikelihoods = run.logLikelihoods
      answers[index].margin = run.greedy.result.margin
    }
    return answers
  }
}

/// A greedy run that also tells how likely the right token was at each step.
private struct FreeRun: Search {
  private(set) var greedy: GreedySearch
  private(set) var logLikelihoods: [Double] = []
  private let gold: [Int32]

  init(_ decoding: Decoding, _ request: DecodingRequest, gold: [Int32]) {
    greedy = GreedySearch(decoding, request)
    self.gold = gold
  }

  mutating func advance(_ logits: [ArraySlice<Float>]) -> [Continuation] {
    let position = greedy.result.ids.count
    if position < gold.count, let row = logits.first {
      logLikelihoods.append(Logits.logarithm(of: gold[position], row) ?? -.infinity)
    }
    return greedy.advance(logits)
  }
}
