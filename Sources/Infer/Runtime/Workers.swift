import CKernels
import Checkpoint
import Glibc
import Synchronization

/// Threads that share the loops of one session.
///
/// The caller of ``parallel(_:grain:_:)`` is worker 0 and works too. The others wait for work for
/// some microseconds in a loop, because the next kernel comes soon, and then sleep. Ranges are
/// claimed one by one, so a worker that the system does not run holds up nobody.
public final class Workers {
  /// The number of workers, the caller included.
  public let count: Int
  private let shared: Shared
  private var threads: [pthread_t] = []
  /// The caller while it is inside `parallel`.
  private var caller: pthread_t?
  private var scratch: Buffer?
  private var scratchStride = 0

  /// The number of processors this process may use.
  public static var available: Int { Parallel.processors }

  /// Starts `count - 1` threads; fewer when the system refuses.
  public init(count: Int? = nil) {
    let wanted = max(1, min(count ?? Workers.available, 1024))
    // With more workers than processors a waiting loop would take time from a working one.
    shared = Shared(spins: wanted <= Workers.available ? 4_000 : 0)
    for index in 1..<max(wanted, 1) {
      let start = Unmanaged.passRetained(Start(shared: shared, worker: index))
      var thread = pthread_t()
      let status = pthread_create(&thread, nil, { Workers.main($0) }, start.toOpaque())
      guard status == 0 else {
        start.release()
        break
      }
      threads.append(thread)
    }
    self.count = threads.count + 1
  }

  deinit {
    shared.stop()
    for thread in threads { pthread_join(thread, nil) }
  }

  /// Calls `body` with ranges that together are `0..<count`, from several workers at once.
  ///
  /// - Parameters:
  ///   - count: how many items there are.
  ///   - grain: the fewest items worth a range of their own.
  ///   - body: gets a range and the number of the worker that runs it, below ``count``. It may call
  ///     `parallel` again, which then runs everything on the calling worker.
  public func parallel(
    _ count: Int, grain: Int = 1, _ body: (_ range: Range<Int>, _ worker: Int) -> Void
  ) {
    guard count > 0 else { return }
    if let caller {
      body(0..<count, worker(caller))
      return
    }
    // A few ranges per worker even out their speeds.
    let step = max(max(grain, 1), (count + 4 * self.count - 1) / (4 * self.count))
    guard self.count > 1, step < count else {
      body(0..<count, 0)
      return
    }
    caller = pthread_self()
    withoutActuallyEscaping(body) { body in
      shared.run(Job(count: count, step: step, body: body))
    }
    caller = nil
  }

  private func worker(_ caller: pthread_t) -> Int {
    let here = pthread_self()
    if pthread_equal(caller, here) != 0 { return 0 }
    return (threads.firstIndex { pthread_equal($0, here) != 0 } ?? -1) + 1
  }

  // MARK: Scratch memory

  /// Makes sure that each worker has `floats` floats of its own.
  func reserveScratch(_ floats: Int) throws(InferError) {
    guard floats > scratchStride else { return }
    scratch = nil
    let (total, overflow) = Buffer.aligned(floats).multipliedReportingOverflow(by: count)
    scratch = try Buffer(count: overflow ? Int.max : total, for: "scratch memory")
    scratchStride = Buffer.aligned(floats)
  }

  /// The scratch memory of a worker: as much as the running node's kernel asked for.
  func scratch(of worker: Int) -> UnsafeMutablePointer<Float> {
    guard let scratch else { preconditionFailure("a kernel that uses scratch memory asks for it") }
    return scratch.data + worker * scratchStride
  }

  private static func main(_ argument: UnsafeMutableRawPointer?) -> UnsafeMutableRawPointer? {
    guard let argument else { return nil }
    let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
    start.shared.work(as: start.worker)
    return nil
  }

  private final class Start {
    let shared: Shared
    let worker: Int
    init(shared: Shared, worker: Int) {
      self.shared = shared
      self.worker = worker
    }
  }
}

/// A loop that is being shared: ranges of `step` items, the last one shorter.
private struct Job {
  var count = 0
  var step = 1
  var body: (Range<Int>, Int) -> Void = { _, _ in }
  var ranges: Int { (count + step - 1) / step }
}

/// What the threads of one pool see.
///
/// `ticket` holds the job's number, its number of ranges and the next range, so that one
/// compare-and-exchange claims a range of exactly that job: whoever claims one has the job's
/// closure alive until it counts the range as done.
private final class Shared {
  private let ticket = Atomic<UInt64>(0)
  private let done = Atomic<Int>(0)
  private let sleepers = Atomic<Int>(0)
  private let stopping = Atomic<Bool>(false)
  private let job: UnsafeMutablePointer<Job>
  private let mutex: UnsafeMutablePointer<pthread_mutex_t>
  private let condition: UnsafeMutablePointer<pthread_cond_t>
  private let spins: Int

  private static let bits: UInt64 = 16
  private static let field: UInt64 = (1 << bits) - 1

  init(spins: Int) {
    self.spins = spins
    job = .allocate(capacity: 1)
    job.initialize(to: Job())
    mutex = .allocate(capacity: 1)
    mutex.initialize(to: pthread_mutex_t())
    condition = .allocate(capacity: 1)
    condition.initialize(to: pthread_cond_t())
    pthread_mutex_init(mutex, nil)
    pthread_cond_init(condition, nil)
  }

  deinit {
    pthread_cond_destroy(condition)
    pthread_mutex_destroy(mutex)
    condition.deallocate()
    mutex.deallocate()
    job.deinitialize(count: 1)
    job.deallocate()
  }

  /// Runs a job with the caller as worker 0, and returns when all of it is done.
  func run(_ next: Job) {
    job.pointee = next
    done.store(0, ordering: .relaxed)
    let number = (ticket.load(ordering: .relaxed) >> (2 * Shared.bits)) &+ 1
    let ranges = UInt64(next.ranges)
    ticket.store(
      number << (2 * Shared.bits) | ranges << Shared.bits, ordering: .sequentiallyConsistent)
    if sleepers.load(ordering: .sequentiallyConsistent) > 0 { wake() }
    while let index = claim() { perform(index, as: 0) }
    var waited = 0
    while done.load(ordering: .acquiring) < next.ranges {
      waited += 1
      if waited < 1_000 { ckpt_pause() } else { sched_yield() }
    }
    job.pointee.body = { _, _ in }
  }

  /// A thread's life: claim ranges, wait for more, end when told to.
  func work(as worker: Int) {
    while !stopping.load(ordering: .acquiring) {
      if let index = claim() {
        perform(index, as: worker)
      } else {
        wait()
      }
    }
  }

  func stop() {
    stopping.store(true, ordering: .sequentiallyConsistent)
    wake()
  }

  private func perform(_ index: Int, as worker: Int) {
    let start = index * job.pointee.step
    let range = start..<min(start + job.pointee.step, job.pointee.count)
    job.pointee.body(range, worker)
    done.add(1, ordering: .releasing)
  }

  /// The next range of the current job, if any is left.
  private func claim() -> Int? {
    var current = ticket.load(ordering: .sequentiallyConsistent)
    while true {
      let next = current & Shared.field
      guard next < (current >> Shared.bits) & Shared.field else { return nil }
      let (exchanged, original) = ticket.weakCompareExchange(
        expected: current, desired: current + 1, ordering: .acquiringAndReleasing)
      if exchanged { return Int(next) }
      current = original
    }
  }

  private var hasWork: Bool {
    let current = ticket.load(ordering: .sequentiallyConsistent)
    return current & Shared.field < (current >> Shared.bits) & Shared.field
      || stopping.load(ordering: .sequentiallyConsistent)
  }

  private func wait() {
    for _ in 0..<spins {
      if hasWork { return }
      ckpt_pause()
    }
    pthread_mutex_lock(mutex)
    sleepers.add(1, ordering: .sequentiallyConsistent)
    while !hasWork { pthread_cond_wait(condition, mutex) }
    sleepers.subtract(1, ordering: .sequentiallyConsistent)
    pthread_mutex_unlock(mutex)
  }

  private func wake() {
    pthread_mutex_lock(mutex)
    pthread_cond_broadcast(condition)
    pthread_mutex_unlock(mutex)
  }
}
