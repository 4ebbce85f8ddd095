import Glibc

/// Two models' answers to the same texts, compared as what was decided.
///
/// Where the two decide differently by less than rounding can explain, it is a tie.
public struct AnswerVerification<Task: TextTask> {
  /// What was found, text by text.
  public private(set) var result = AnswerComparison()
  private var first: TaskRun<Task>
  private var second: TaskRun<Task>
  private let options: AnswerTolerance

  /// - Parameter batch: texts that are answered together, at most.
  public init(
    _ first: Task, _ second: Task, batch: Int? = nil, options: AnswerTolerance = AnswerTolerance()
  ) {
    self.first = TaskRun(first, batch: batch)
    self.second = TaskRun(second, batch: batch)
    self.options = options
  }

  /// Asks both for as many texts as there are.
  ///
  /// - Parameter progress: told how many of the texts that were taken are answered by both.
  public mutating func callAsFunction(
    _ next: () throws -> TaskRun<Task>.Given?,
    progress: (_ answered: Int, _ taken: Int) -> Void = { _, _ in }
  ) throws {
    while true {
      let given = try TaskRun<Task>.take(256, next)
      guard !given.isEmpty else { return }
      let a = try first.answers(given) { done, taken in progress(done, 2 * taken) }
      let b = try second.answers(given) { done, taken in progress(taken + done, 2 * taken) }
      for (one, answers) in zip(given, zip(a, b)) { compare(one, answers.0, answers.1) }
    }
  }

  private mutating func compare(
    _ given: TaskRun<Task>.Given, _ a: TaskRun<Task>.Answered, _ b: TaskRun<Task>.Answered
  ) {
    result.texts += 1
    switch given {
    case .failure(let failure):
      result.failures.append(failure)
    case .success(let input):
      compare(input, a.prepared, b.prepared)
      switch (a.answer, b.answer) {
      case (.failure(let failure), .failure): result.failures.append(failure)
      case (.failure(let failure), .success), (.success, .failure(let failure)):
        let isFirst = (try? a.answer.get()) == nil
        let (mine, other) = (
          isFirst ? failure.reason : "an answer", isFirst ? "an answer" : failure.reason
        )
        result.add(
          AnswerComparison.Text(
            number: input.number, text: input.text,
            differences: [.init(subject: "answer", first: mine, second: other)]), isTie: false)
      case (.success(let a), .success(let b)): compare(input, a, b)
      }
    }
  }

  /// Looks for the first text that the two make other ids of: the likeliest cause of other answers.
  private mutating func compare(
    _ input: TaskInput, _ a: Result<Task.Prepared, TaskFailure>,
    _ b: Result<Task.Prepared, TaskFailure>
  ) {
    guard result.tokenizedDifferently == nil else { return }
    let (a, b) = ((try? a.get()).map(first.task.ids), (try? b.get()).map(second.task.ids))
    guard a != b else { return }
    let (mine, others) = ((a ?? []).flatMap(\.self), (b ?? []).flatMap(\.self))
    let token = zip(mine, others).prefix { $0 == $1 }.count
    result.tokenizedDifferently = (number: input.number, token: token)
  }

  private mutating func compare(_ input: TaskInput, _ a: Task.Answer, _ b: Task.Answer) {
    let numbers = result.compare(a.numbers, b.numbers, options)
    let (mine, others) = (a.decisions, b.decisions)
    var differences: [AnswerComparison.Difference] = []
    for index in 0..<max(mine.count, others.count) {
      let one = index < mine.count ? mine[index] : nil
      let other = index < others.count ? others[index] : nil
      for margin in [one?.margin, other?.margin].compactMap(\.self) {
        result.smallestMargin = min(result.smallestMargin ?? margin, margin)
      }
      if let one, let other, one.subject == other.subject, one.value == other.value { continue }
      differences.append(
        .init(
          subject: one?.subject ?? other?.subject ?? "", first: one?.value, second: other?.value,
          firstMargin: one?.margin, secondMargin: other?.margin))
    }
    if let numbers { differences.append(numbers) }
    guard !differences.isEmpty else {
      result.equal += 1
      return
    }
    result.add(
      AnswerComparison.Text(number: input.number, text: input.text, differences: differences),
      isTie: differences.allSatisfy { $0.isTie(within: options.margin) })
  }
}

/// What passes as equal.
public struct AnswerTolerance: Sendable {
  /// Decisions whose best other choice is nearer than this in either model are ties.
  ///
  /// In units of log-probability: Float32 moves logits of some tens by some 1e-4.
  public var margin = 1e-3
  /// Of numbers: relative to the answer's largest, and absolute; either passes.
  public var relative = 1e-5
  public var absolute = 1e-5

  public init() {}
}

/// How the answers of two models compare.
public struct AnswerComparison: Sendable {
  public var texts = 0
  public var equal = 0
  /// Texts whose decisions differ by less than rounding can explain.
  public var ties: [Text] = []
  public var tieCount = 0
  /// Texts that differ, the first ones.
  public var different: [Text] = []
  public var differentCount = 0
  /// Texts that neither answers.
  public var failures: [TaskFailure] = []
  /// Of all decisions in both models.
  public var smallestMargin: Double?
  /// The first text of which the two make different ids, and the first such token.
  public var tokenizedDifferently: (number: Int, token: Int)?
  /// Of numbers: the largest difference, relative to the answer's largest number, and the smallest cosine.
  public var largestDifference: Double?
  public var largestRelative: Double?
  public var smallestCosine: Double?

  /// Texts that are kept of each kind.
  public static let kept = 100

  /// Whether no answer differs, and there were some.
  public var passed: Bool { differentCount == 0 && equal + tieCount > 0 }

  /// A text whose answers differ.
  public struct Text: Sendable, Equatable {
    public var number: Int
    public var text: String
    public var differences: [Difference]
  }

  /// What is decided differently; `nil` where one model decides nothing.
  public struct Difference: Sendable, Equatable {
    public var subject: String
    public var first: String?
    public var second: String?
    public var firstMargin: Double?
    public var secondMargin: Double?

    /// Whether either model was undecided.
    func isTie(within margin: Double) -> Bool {
      guard first != nil, second != nil else { return false }
      return [firstMargin, secondMargin].contains { $0.map { $0 <= margin } ?? false }
    }
  }

  mutating func add(_ text: Text, isTie: Bool) {
    if isTie {
      tieCount += 1
      if ties.count < Self.kept { ties.append(text) }
    } else {
      differentCount += 1
      if different.count < Self.kept { different.append(text) }
    }
  }

  /// Takes numbers into account.
  ///
  /// - Returns: how they differ beyond what passes.
  mutating func compare(
    _ a: [Float], _ b: [Float], _ tolerance: AnswerTolerance
  ) -> Difference? {
    guard !a.isEmpty || !b.isEmpty else { return nil }
    guard a.count == b.count else {
      return Difference(subject: "numbers", first: "\(a.count)", second: "\(b.count)")
    }
    let comparison = Comparison(
      "numbers", NDArray(shape: [a.count], values: a), NDArray(shape: [b.count], values: b))
    largestDifference = max(largestDifference ?? 0, comparison.largest)
    largestRelative = max(largestRelative ?? 0, comparison.relative)
    if a.count > 1 { smallestCosine = min(smallestCosine ?? 1, comparison.cosine) }
    guard
      !(comparison.largest <= tolerance.absolute || comparison.relative <= tolerance.relative)
    else { return nil }
    let index = comparison.index.first ?? 0
    return Difference(
      subject: a.count == 1 ? "number" : "number \(index)", first: "\(a[index])",
      second: "\(b[index])")
  }
}
