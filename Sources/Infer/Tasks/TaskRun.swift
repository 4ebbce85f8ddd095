import Checkpoint

/// Answers texts in their order, in batches of similar length, in bounded memory.
///
/// Texts are taken in windows of some batches, prepared by all processors, sorted by length, answered,
/// and handed on in their own order. What fails alone is reported alone.
public struct TaskRun<Task: TextTask> {
  /// A text, or what keeps it from being one (a broken line).
  public typealias Given = Result<TaskInput, TaskFailure>

  public private(set) var task: Task
  /// Texts that are answered together, at most.
  public let batch: Int
  /// Texts that are held at a time.
  public let window: Int

  public init(_ task: Task, batch: Int, window: Int? = nil) {
    self.task = task
    self.batch = max(batch, 1)
    self.window = max(window ?? batch * 32, 1)
  }

  /// Takes texts until there are no more, and hands on each with its answer or what failed.
  public mutating func callAsFunction(
    _ next: () throws -> Given?,
    _ emit: (_ input: TaskInput, _ answer: Result<Task.Answer, TaskFailure>) throws -> Void
  ) throws {
    while true {
      var given: [Given] = []
      while given.count < window, let one = try next() { given.append(one) }
      guard !given.isEmpty else { return }
      for (one, answer) in zip(given, try answers(given)) {
        switch one {
        case .success(let input): try emit(input, answer)
        case .failure(let failure):
          try emit(TaskInput(number: failure.number, text: ""), .failure(failure))
        }
      }
    }
  }

  private mutating func answers(
    _ given: [Given]
  ) throws -> [Result<Task.Answer, TaskFailure>] {
    let prepare = task.prepare
    let prepared = try Parallel.map(given.count, with: {}) {
      index, _ throws(CheckpointError) -> Result<Task.Prepared, TaskFailure> in
      given[index].flatMap { input in
        do {
          return .success(try prepare(input))
        } catch {
          return .failure(TaskFailure(number: input.number, error))
        }
      }
    }
    var answers: [Result<Task.Answer, TaskFailure>] = prepared.map { one in
      one.flatMap { _ in .failure(TaskFailure(number: 0, reason: "was not answered")) }
    }
    let ready = prepared.indices.compactMap { index in
      (try? prepared[index].get()).map { (index, $0, task.length($0)) }
    }.sorted { ($0.2, $0.0) < ($1.2, $1.0) }
    for start in stride(from: 0, to: ready.count, by: batch) {
      let some = ready[start..<min(start + batch, ready.count)]
      do {
        let results = try task.answers(some.map(\.1))
        for (one, answer) in zip(some, results) { answers[one.0] = .success(answer) }
      } catch {
        // Each alone, so that one text's fault is its own.
        for one in some {
          do {
            let results = some.count == 1 ? [] : try task.answers([one.1])
            guard let answer = results.first else { throw error }
            answers[one.0] = .success(answer)
          } catch {
            answers[one.0] = .failure(
              TaskFailure(number: (try? given[one.0].get().number) ?? 0, error))
          }
        }
      }
    }
    return answers
  }
}

/// Why a text has no answer.
public struct TaskFailure: Error, Sendable, Equatable {
  /// Its line or argument, from 1.
  public var number: Int
  public var reason: String

  public init(number: Int, reason: String) {
    self.number = number
    self.reason = reason
  }

  public init(number: Int, _ error: any Error) {
    self.init(number: number, reason: "\(error)")
  }
}
