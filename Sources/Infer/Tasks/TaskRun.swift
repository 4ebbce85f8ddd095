import Checkpoint

/// Answers texts in their order, in batches of similar length, in bounded memory.
///
/// Texts are taken in windows, prepared by all processors, sorted by length, answered, and handed on in
/// their own order. The first windows are small, so that the first answers come soon. What fails alone is
/// reported alone.
public struct TaskRun<Task: TextTask> {
  /// A text, or what keeps it from being one (a broken line).
  public typealias Given = Result<TaskInput, TaskFailure>

  public private(set) var task: Task
  /// Texts that are answered together, at most; `nil` where only ``TextTask/batchTokens`` counts.
  public let batch: Int?
  /// Texts that are held at a time; `nil` for windows that grow.
  public let window: Int?

  /// Of windows that grow: the first, the largest, and the bytes of text that fill one.
  private static var firstWindow: Int { 64 }
  private static var lastWindow: Int { 2048 }
  private static var windowBytes: Int { 4 << 20 }

  public init(_ task: Task, batch: Int? = nil, window: Int? = nil) {
    self.task = task
    self.batch = batch.map { max($0, 1) }
    self.window = window.map { max($0, 1) }
  }

  /// Takes texts until there are no more, and hands on each with its answer or what failed.
  ///
  /// - Parameter progress: told how many of the texts that were taken are answered, and how many those
  ///   are.
  public mutating func callAsFunction(
    _ next: () throws -> Given?,
    progress: (_ answered: Int, _ taken: Int) -> Void = { _, _ in },
    _ emit: (_ input: TaskInput, _ answer: Result<Task.Answer, TaskFailure>) throws -> Void
  ) throws {
    var size = window ?? Self.firstWindow
    while true {
      let given = try Self.take(size, next)
      guard !given.isEmpty else { return }
      for (one, answered) in zip(given, try answers(given, progress: progress)) {
        switch one {
        case .success(let input): try emit(input, answered.answer)
        case .failure(let failure):
          try emit(TaskInput(number: failure.number, text: ""), .failure(failure))
        }
      }
      if window == nil { size = min(2 * size, Self.lastWindow) }
    }
  }

  /// The next texts, as many as are held at a time.
  static func take(_ count: Int = lastWindow, _ next: () throws -> Given?) rethrows -> [Given] {
    var given: [Given] = []
    var bytes = 0
    while given.count < count, bytes < windowBytes, let one = try next() {
      if case .success(let input) = one {
        bytes += input.text.utf8.count + (input.pair?.utf8.count ?? 0)
      }
      given.append(one)
    }
    return given
  }

  /// A text as the task takes it, and what it answers; or what failed.
  struct Answered {
    var prepared: Result<Task.Prepared, TaskFailure>
    var answer: Result<Task.Answer, TaskFailure>
  }

  /// An answer to each text, in their order.
  mutating func answers(
    _ given: [Given], progress: (_ answered: Int, _ taken: Int) -> Void = { _, _ in }
  ) throws -> [Answered] {
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
    var start = 0
    while start < ready.count {
      // The longest one stands last, and all are padded to it.
      var end = start + 1
      while end < ready.count, end - start < batch ?? .max,
        task.mixesLengths || ready[end].2 == ready[start].2,
        (end + 1 - start) * ready[end].2 <= task.batchTokens
      {
        end += 1
      }
      let some = ready[start..<end]
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
      start = end
      progress(given.count - ready.count + end, given.count)
    }
    return zip(prepared, answers).map { Answered(prepared: $0, answer: $1) }
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
