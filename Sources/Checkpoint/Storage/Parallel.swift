import CSystem
import Glibc
import Synchronization

/// Items that are worked on by several threads.
public enum Parallel {
  /// The number of processors that this process may use.
  public static var processors: Int { Int(ckpt_available_processors()) }

  /// What `body` makes of each index below `count`, called from several threads at once.
  ///
  /// - Parameters:
  ///   - threads: how many; as many as there are processors unless given.
  ///   - tools: makes what each thread works with, such as a ``Window``.
  /// - Throws: of the errors that calls throw, the one of the lowest index; no index is begun after
  ///   an error.
  public static func map<Tools, Result: Sendable>(
    _ count: Int, threads: Int? = nil, with tools: @Sendable () -> Tools,
    _ body: @Sendable (_ index: Int, _ tools: Tools) throws(CheckpointError) -> Result
  ) throws(CheckpointError) -> [Result] {
    let number = max(1, min(threads ?? processors, count))
    guard number > 1 else {
      let tools = tools()
      return try (0..<count).map { index throws(CheckpointError) in try body(index, tools) }
    }
    let found = withoutActuallyEscaping(tools) { tools in
      withoutActuallyEscaping(body) { body in
        let job = Job<Result>(count: count)
        let work: @Sendable () -> Void = {
          let tools = tools()
          job.work { index throws(CheckpointError) in try body(index, tools) }
        }
        run(work, threads: number)
        return job.found.withLock { $0 }
      }
    }
    if let failure = found.failure { throw failure.error }
    return found.results.compactMap(\.self)
  }

  /// Runs `work` once on each of several threads, of which the caller is one, and waits for all.
  private static func run(_ work: @escaping @Sendable () -> Void, threads: Int) {
    let shared = Work(work)
    var started: [pthread_t] = []
    for _ in 1..<threads {
      var thread = pthread_t()
      // The object outlives the threads, which are joined below.
      let context = unsafe Unmanaged.passUnretained(shared).toOpaque()
      let code = unsafe pthread_create(
        &thread, nil,
        { context in
          guard let context = unsafe context else { return nil }
          unsafe Unmanaged<Work>.fromOpaque(context).takeUnretainedValue().run()
          return nil
        }, context)
      if code == 0 { started.append(thread) }
    }
    work()
    for thread in started { pthread_join(thread, nil) }
  }

  private final class Work: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }

  private final class Job<Result: Sendable>: Sendable {
    let found: Mutex<(results: [Result?], failure: (index: Int, error: CheckpointError)?)>
    private let count: Int
    private let next = Atomic<Int>(0)

    init(count: Int) {
      self.count = count
      found = Mutex(([Result?](repeating: nil, count: count), nil))
    }

    /// Claims indices until there are no more.
    func work(_ body: (Int) throws(CheckpointError) -> Result) {
      while true {
        let index = next.add(1, ordering: .relaxed).oldValue
        guard index < count else { return }
        do throws(CheckpointError) {
          let result = try body(index)
          found.withLock { $0.results[index] = result }
        } catch {
          next.store(count, ordering: .relaxed)
          found.withLock { found in
            if index < found.failure?.index ?? Int.max { found.failure = (index, error) }
          }
        }
      }
    }
  }
}
