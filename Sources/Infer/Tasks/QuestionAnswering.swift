import Glibc

/// The answer to a question as a part of its context, chosen as transformers' pipeline did.
///
/// Softmax over the context's tokens gives each a probability to be the start and the end; an answer's
/// score is their product, its end is not before its start, and it has at most so many tokens.
/// Source: transformers 4, `QuestionAnsweringPipeline`.
public struct QuestionAnswering: TextTask {
  /// A question's answers, the best first.
  public struct Answer: TaskAnswer, Equatable {
    public var spans: [Span]

    public var decisions: [Decision] {
      guard let first = spans.first else { return [Decision("answer", "")] }
      let margin = spans.dropFirst().first.map {
        Double.log(first.score) - Double.log($0.score)
      }
      return [Decision("answer", first.text, margin: margin)]
    }
  }

  /// A part of the context.
  public struct Span: Sendable, Equatable {
    public var text: String
    /// Code points of the context; empty where the context answers nothing.
    public var range: Range<Int>
    public var score: Double
  }

  /// How answers are chosen.
  public struct Options: Sendable {
    /// How many are returned.
    public var count = 1
    /// Tokens of an answer at most.
    public var longest = 15
    /// Whether there may be no answer, which the first token stands for.
    public var maybeImpossible = false
    /// Tokens that two windows of a long context share.
    public var stride = 128

    public init() {}
  }

  /// A question with its context, or with the windows of a long one.
  public struct Prepared: Sendable {
    let windows: [Encoding]
    let context: [Unicode.Scalar]
  }

  public let prepare: @Sendable (TaskInput) throws -> Prepared
  private let session: Session
  private let tokenization: Tokenization
  private let options: Options
  private static let logits = ["start_logits", "end_logits"]

  /// - Throws: ``InferError`` when the model has no head for it.
  public init(
    _ model: RunnableModel, _ tokenization: Tokenization, options: Options, threads: Int? = nil
  ) throws {
    guard QuestionAnswering.logits.allSatisfy(model.outputNames.contains) else {
      throw InferError(
        .unsupported, "qa", "the model has no head for the start and end of an answer")
    }
    self.tokenization = tokenization
    self.options = options
    session = try model.session(returning: QuestionAnswering.logits, threads: threads)
    prepare = { input in
      guard let context = input.pair else {
        throw InferError(.input, "text", "is a question without a context")
      }
      return Prepared(
        windows: try QuestionAnswering.windows(
          input.text, context, tokenization, stride: options.stride),
        context: Array(context.unicodeScalars))
    }
  }

  /// The question with its context; where that is too long and may be cut, with windows of it.
  private static func windows(
    _ question: String, _ context: String, _ tokenization: Tokenization, stride: Int
  ) throws -> [Encoding] {
    guard tokenization.long == .truncate, let limit = tokenization.limit else {
      return [try tokenization.encoding(question, pair: context)]
    }
    let tokenizer = tokenization.tokenizer
    let (first, second) = (tokenizer.pieces(question), tokenizer.pieces(context))
    let room = limit - tokenizer.template(isPair: true).specialCount - first.count
    guard room > 0 else {
      throw InferError(
        .input, "text", "the question alone has \(first.count) tokens; the limit is \(limit)")
    }
    var windows: [Encoding] = []
    var start = 0
    let step = room - min(stride, room / 2)
    while true {
      let end = min(start + room, second.count)
      windows.append(try tokenizer.encoding(first, Array(second[start..<end])))
      guard end < second.count else { return windows }
      start += step
    }
  }

  public func length(_ prepared: Prepared) -> Int {
    prepared.windows.reduce(0) { $0 + $1.count }
  }

  public func ids(_ prepared: Prepared) -> [[Int32]] { prepared.windows.map(\.ids) }

  public func answers(_ batch: [Prepared]) throws -> [Answer] {
    let all = batch.flatMap(\.windows)
    var found: [(best: [Span], null: Double)] = []
    // A long context has windows for several runs.
    let longest = max(all.map(\.count).max() ?? 1, 1)
    let rows = max(1, batchTokens / longest)
    let contexts = batch.flatMap { one in one.windows.map { _ in one.context } }
    for start in Swift.stride(from: 0, to: all.count, by: rows) {
      let some = all[start..<min(start + rows, all.count)]
      let inputs = TextInputs(Array(some), padding: tokenization.tokenizer.special.padding)
      let results = try session.run(inputs.arrays)
      guard let starts = results[QuestionAnswering.logits[0]],
        let ends = results[QuestionAnswering.logits[1]]
      else { return [] }
      for (row, window) in some.enumerated() {
        found.append(
          spans(window, contexts[start + row], starts.vector(row), ends.vector(row)))
      }
    }
    var rest = found[...]
    return batch.map { one in
      let mine = rest.prefix(one.windows.count)
      rest = rest.dropFirst(one.windows.count)
      var spans = mine.flatMap(\.best)
      if options.maybeImpossible {
        spans.append(Span(text: "", range: 0..<0, score: mine.map(\.null).min() ?? 0))
      }
      spans.sort { ($1.score, $0.range.lowerBound) < ($0.score, $1.range.lowerBound) }
      // Windows overlap: the same part of the context counts once.
      var seen: Set<Range<Int>> = []
      let different = spans.filter { seen.insert($0.range).inserted }
      return Answer(spans: Array(different.prefix(max(options.count, 2))))
    }
  }

  /// The best answers of one window, and the score of there being none.
  private func spans(
    _ window: Encoding, _ context: [Unicode.Scalar], _ starts: ArraySlice<Float>,
    _ ends: ArraySlice<Float>
  ) -> (best: [Span], null: Double) {
    let places = window.sources.indices.filter { window.sources[$0]?.text == 1 }
    let among = (options.maybeImpossible ? [0] : []) + places
    func probabilities(_ logits: ArraySlice<Float>) -> [Double] {
      let logits = Array(logits)
      let total = Logits.logarithmOfSum(among.map { logits[$0] }[...])
      return logits.map { Double.exp(Double($0) - total) }
    }
    let (start, end) = (probabilities(starts), probabilities(ends))
    guard let first = places.first, let last = places.last else {
      return ([], start[0] * end[0])
    }
    var best: [(score: Double, first: Int, last: Int)] = []
    let count = max(options.count, 2)
    for i in places {
      for j in i...min(last, i + options.longest - 1) {
        let score = start[i] * end[j]
        guard best.count < count || score > best[count - 1].score else { continue }
        let place = best.firstIndex { $0.score < score } ?? best.count
        best.insert((score, i, j), at: place)
        if best.count > count { best.removeLast() }
      }
    }
    return (
      best.map { found in
        let range = words(window, found.first, found.last, within: first...last)
        return Span(
          text: String(String.UnicodeScalarView(context[range])), range: range, score: found.score)
      }, start[0] * end[0]
    )
  }

  /// The code points of some tokens, whole words.
  private func words(
    _ window: Encoding, _ first: Int, _ last: Int, within tokens: ClosedRange<Int>
  ) -> Range<Int> {
    func continues(_ place: Int) -> Bool {
      tokenization.token(window.ids[place]).hasPrefix("##")
    }
    var (first, last) = (first, last)
    while first > tokens.lowerBound, continues(first) { first -= 1 }
    while last < tokens.upperBound, continues(last + 1) { last += 1 }
    let start = window.sources[first]?.range.lowerBound ?? 0
    let end = window.sources[last]?.range.upperBound ?? start
    return start..<max(start, end)
  }
}
