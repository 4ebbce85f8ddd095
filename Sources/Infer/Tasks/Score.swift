import Checkpoint

/// How likely a model finds a text: the log-probability of each token, and perplexity.
///
/// A causal model judges a text from its second token on, or a pair's second text after the first; an encoder
/// with a decoder, or a BERT under the UniLM mask, judges a pair's second text given the first. A masked
/// language model gives pseudo-log-likelihoods: each token is masked in turn (arXiv 1910.14659).
public struct Score: TextTask {
  public struct Answer: TaskAnswer, Equatable {
    public var tokens: [Token]

    /// Σ log p over the tokens that were judged.
    public var logLikelihood: Double { judged.reduce(0, +) }

    /// exp of the negative mean; `nil` where nothing was judged.
    public var perplexity: Double? {
      judged.isEmpty ? nil : Double.exp(-logLikelihood / Double(judged.count))
    }

    private var judged: [Double] { tokens.compactMap(\.logLikelihood) }

    /// The token that the model would have put at each place.
    public var decisions: [Decision] {
      tokens.enumerated().compactMap { index, token in
        token.best.map {
          Decision("likeliest token \(index + 1)", "\($0.id)", margin: $0.margin)
        }
      }
    }
  }

  public struct Token: Sendable, Equatable {
    public var id: Int32
    public var token: String
    /// `nil` for a token that nothing stands before.
    public var logLikelihood: Double?
    /// The likeliest token there, and how far the next one is behind in log-probability.
    public var best: Best?
  }

  public struct Best: Sendable, Equatable {
    public var id: Int32
    public var margin: Double?
  }

  /// A text that is judged by what stands before, or a text whose tokens are masked in turn.
  public enum Prepared: Sendable {
    case forced(ForcedTarget)
    case masked(Encoding)
  }

  public let prepare: @Sendable (TaskInput) throws -> Prepared
  private let model: RunnableModel
  private let prompting: Prompting
  private let paired: Prompting?
  private let threads: Int?
  private var forcing: TeacherForcing?
  private var masking: Session?
  private static let logits = "mlm_logits"

  /// - Parameters:
  ///   - prompting: how a text becomes a target.
  ///   - paired: the same under the UniLM mask, for pairs that a masked language model is given.
  /// - Throws: ``InferError`` when the model predicts no tokens.
  public init(
    _ model: RunnableModel, _ prompting: Prompting, paired: Prompting? = nil, threads: Int? = nil
  ) throws {
    self.model = model
    self.prompting = prompting
    self.paired = paired
    self.threads = threads
    guard model.outputNames.contains(Score.logits) || model.outputNames.contains("lm_logits") else {
      throw InferError(
        .unsupported, "score", "the model has no head that predicts tokens (LM or MLM)")
    }
    guard prompting.kind == .masked else {
      let forcing = try TeacherForcing(model, threads: threads)
      self.forcing = forcing
      let form = forcing.form
      prepare = { try Score.prepared(prompting.target($0.text, $0.pair), form) }
      return
    }
    guard prompting.tokenization.tokenizer.special.mask != nil else {
      throw InferError(.input, "[MASK]", "is not in the vocabulary")
    }
    let form = try StepForm(Score.paired(model))
    prepare = { input in
      guard let paired, input.pair != nil else {
        return .masked(try prompting.tokenization.encoding(input.text, pair: input.pair))
      }
      return try Score.prepared(paired.target(input.text, input.pair), form)
    }
  }

  private static func paired(_ model: RunnableModel) throws -> RunnableModel {
    var configuration = model.architecture.configuration
    configuration.mask = .unilm
    return try model.varied(configuration)
  }

  private static func prepared(
    _ row: ForcedTarget, _ form: StepForm
  ) throws(InferError) -> Prepared {
    try form.check(row)
    return .forced(row)
  }

  public func length(_ prepared: Prepared) -> Int {
    switch prepared {
    case .forced(let row): row.prompt.tokens.count + row.target.count
    case .masked(let encoding): encoding.count
    }
  }

  public mutating func answers(_ batch: [Prepared]) throws -> [Answer] {
    var answers = [Answer](repeating: Answer(tokens: []), count: batch.count)
    var rows: [ForcedTarget] = []
    var places: [Int] = []
    for (index, prepared) in batch.enumerated() {
      switch prepared {
      case .forced(let row):
        // What a text begins with is a token of it that nothing judges.
        if prompting.kind == .causal, row.isWhole, prompting.start == nil {
          answers[index].tokens = row.prompt.tokens.map { token($0, nil, nil) }
        }
        rows.append(row)
        places.append(index)
      case .masked(let encoding): answers[index] = try masked(encoding)
      }
    }
    if !rows.isEmpty {
      let forcing = try forcing ?? TeacherForcing(Score.paired(model), threads: threads)
      self.forcing = forcing
      try forcing(rows) { row, position, logits in
        answers[places[row]].tokens.append(judged(rows[row].target[position], logits))
      }
    }
    return answers
  }

  /// Every token of a text masked in turn, some at a time.
  private mutating func masked(_ encoding: Encoding) throws -> Answer {
    let session =
      try masking ?? model.session(returning: [Score.logits], threads: threads)
    masking = session
    let special = prompting.tokenization.tokenizer.special
    guard let mask = special.mask else { return Answer(tokens: []) }
    let positions = encoding.ids.indices.filter { encoding.sources[$0] != nil }
    let width = model.architecture.configuration.vocabularySize
    let some = max(1, (1 << 24) / max(1, encoding.count * width))
    var answer = Answer(tokens: [])
    for start in stride(from: 0, to: positions.count, by: some) {
      let part = positions[start..<min(start + some, positions.count)]
      let rows = part.map { position in
        var row = encoding
        row.ids[position] = mask
        return row
      }
      let inputs = TextInputs(rows, padding: special.padding)
      guard let logits = try session.run(inputs.arrays)[Score.logits] else { break }
      for (row, position) in part.enumerated() {
        answer.tokens.append(judged(encoding.ids[position], logits.vector(row, position)))
      }
    }
    return answer
  }

  private func judged(_ id: Int32, _ logits: ArraySlice<Float>) -> Token {
    token(
      id, Logits.logarithm(of: id, logits),
      Logits.best(logits).map { Best(id: Int32($0.index), margin: $0.margin) })
  }

  private func token(_ id: Int32, _ logLikelihood: Double?, _ best: Best?) -> Token {
    Token(
      id: id, token: prompting.tokenization.token(id), logLikelihood: logLikelihood, best: best)
  }
}

extension Logits {
  /// log p of a token.
  static func logarithm(of id: Int32, _ logits: ArraySlice<Float>) -> Double? {
    let index = logits.startIndex + Int(id)
    guard logits.indices.contains(index) else { return nil }
    return Double(logits[index]) - logarithmOfSum(logits)
  }
}
