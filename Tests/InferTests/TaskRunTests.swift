import Checkpoint
import TestSupport
import Testing

@testable import Infer

/// Batches, order, faults and comparison, with a task that tells how it was asked.
@Suite struct TaskRunTests {
  /// Answers a text by its length; `!` cannot be prepared, `?` not answered.
  private final class Log {
    var batches: [[Int]] = []
  }

  private struct Lengths: TextTask {
    struct Answer: TaskAnswer {
      var value: String
      var margin: Double?
      var numbers: [Float] = []
      var decisions: [Decision] { [Decision("length", value, margin: margin)] }
    }
    struct Refusal: Error, CustomStringConvertible { var description: String }

    let log = Log()
    var batchTokens = 20
    var shift = 0
    var margin: Double?
    var numbers: [Float] = []
    let prepare: @Sendable (TaskInput) throws -> String = { input in
      if input.text == "!" { throw Refusal(description: "cannot be prepared") }
      return input.text
    }

    func length(_ prepared: String) -> Int { prepared.count }

    func answers(_ batch: [String]) throws -> [Answer] {
      log.batches.append(batch.map(\.count))
      if batch.contains("?") { throw Refusal(description: "cannot be answered") }
      return batch.map {
        // Only every third text is long enough to be answered differently.
        Answer(
          value: "\($0.count + ($0.count % 3 == 0 ? shift : 0))", margin: margin, numbers: numbers)
      }
    }
  }

  private func answers(
    _ texts: [String], _ task: Lengths, batch: Int? = nil, window: Int? = nil
  ) throws -> [String] {
    var run = TaskRun(task, batch: batch, window: window)
    var rest = texts.enumerated().map { TaskInput(number: $0 + 1, text: $1) }[...]
    var found: [String] = []
    try run({ rest.popFirst().map { .success($0) } }) { input, answer in
      switch answer {
      case .success(let answer): found.append(answer.value)
      case .failure(let failure):
        #expect(failure.number == input.number)
        found.append(failure.reason)
      }
    }
    return found
  }

  private func text(_ count: Int) -> String { String(repeating: "x", count: count) }

  @Test func `answers come in order, batches hold similar lengths and at most so many tokens`()
    throws
  {
    var random = SeededGenerator(seed: 5)
    let lengths = (0..<500).map { _ in Int.random(in: 0...9, using: &random) } + [33, 21]
    let task = Lengths()
    #expect(try answers(lengths.map(text), task) == lengths.map { "\($0)" })
    #expect(task.log.batches.joined().count == lengths.count)
    for batch in task.log.batches {
      #expect(batch.count == 1 || batch.count * (batch.max() ?? 0) <= 20)
      #expect(batch == batch.sorted())
    }
    // What fits together stands together: far fewer runs than texts.
    #expect(task.log.batches.count < 170)
  }

  @Test func `a batch has at most the texts that were asked for`() throws {
    let task = Lengths()
    _ = try answers((0..<20).map { _ in text(1) }, task, batch: 3)
    #expect(task.log.batches.map(\.count).max() == 3)
  }

  @Test func `one text's fault is its own`() throws {
    let found = try answers(["a", "?", "!", "bb", ""], Lengths())
    #expect(found == ["1", "cannot be answered", "cannot be prepared", "2", "0"])
  }

  @Test func `progress ends where the texts end`() throws {
    var run = TaskRun(Lengths(), window: 4)
    var rest = ["a", "!", "b", "?", "c"].enumerated().map { TaskInput(number: $0, text: $1) }[...]
    var last: [Int: Int] = [:]
    try run(
      { rest.popFirst().map { .success($0) } }, progress: { last[$1] = max(last[$1] ?? 0, $0) }
    ) { _, _ in }
    #expect(last == [4: 4, 1: 1])
  }

  private func compared(_ a: Lengths, _ b: Lengths, _ texts: [String]) throws -> AnswerComparison {
    var verification = AnswerVerification(a, b)
    var rest = texts.enumerated().map { TaskInput(number: $0 + 1, text: $1) }[...]
    try verification({ rest.popFirst().map { .success($0) } })
    return verification.result
  }

  @Test func `equal answers pass, and what neither answers is named`() throws {
    let result = try compared(Lengths(margin: 0.5), Lengths(margin: 0.25), ["a", "!", "bb"])
    #expect(result.passed && result.equal == 2 && result.differentCount == 0)
    #expect(result.failures.map(\.number) == [2])
    #expect(result.smallestMargin == 0.25)
  }

  @Test func `a difference within the margin is a tie, beyond it a difference`() throws {
    let texts = ["a", "bbb", "cc", "dddddd"]
    let tie = try compared(
      Lengths(margin: 5e-4), Lengths(shift: 1, margin: 0.2), texts)
    #expect(tie.passed && tie.tieCount == 2 && tie.equal == 2)
    #expect(tie.ties.first?.differences.first?.second == "4")
    let different = try compared(
      Lengths(margin: 0.1), Lengths(shift: 1, margin: 0.2), texts)
    #expect(!different.passed && different.differentCount == 2)
    #expect(different.different.first?.number == 2)
    // Without a margin nothing says that a model was undecided.
    #expect(try compared(Lengths(), Lengths(shift: 1), texts).differentCount == 2)
  }

  @Test func `numbers are compared with a tolerance`() throws {
    let near = try compared(
      Lengths(numbers: [1, -100]), Lengths(numbers: [1, -100.0005]), ["a"])
    #expect(near.passed)
    let relative = try #require(near.largestRelative)
    #expect(relative > 4e-6 && relative < 6e-6)
    let far = try compared(Lengths(numbers: [1, 2]), Lengths(numbers: [1, 2.001]), ["a"])
    #expect(!far.passed && far.different.first?.differences.first?.subject == "number 1")
    for others: [Float] in [[.nan], []] {
      #expect(
        try compared(Lengths(numbers: [1]), Lengths(numbers: others), ["a"]).differentCount == 1)
    }
  }

  @Test func `no text is no proof`() throws {
    for texts in [[], ["!"]] {
      #expect(try compared(Lengths(), Lengths(), texts).passed == false)
    }
  }

  @Test(arguments: [1, 2, 5, 40, 100])
  func `the largest are those of a full sort`(_ count: Int) {
    var random = SeededGenerator(seed: 7)
    var values = (0..<100).map { _ in Float(Int.random(in: 0...30, using: &random)) }
    values[17] = .nan
    values[40] = .infinity
    values[41] = -.infinity
    let order = values.indices.filter { !values[$0].isNaN }
      .sorted { values[$0] != values[$1] ? values[$0] > values[$1] : $0 < $1 }
    #expect(values[...].largest(count) == Array(order.prefix(count)))
    #expect(values[20...].largest(1) == [40])
    #expect([Float.nan, .nan][...].largest(1).isEmpty)
    let few = [Float](repeating: -.infinity, count: 64)
    #expect(few[...].largest(2) == [0, 1])
  }
}
