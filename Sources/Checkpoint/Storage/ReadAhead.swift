import CSystem
import Glibc
import Synchronization

/// Brings files into the system's cache from threads of its own, a little ahead of whoever reads them
/// from end to end.
///
/// Reading a cold file, waiting for the disk and writing take turns in one thread; with this they
/// overlap. What is in the cache is only asked for, not read, so a warm file costs nothing. It is not
/// for the time in which a file is listed: few small reads would wait behind many large ones.
public final class ReadAhead: Sendable {
  private let pieces: [(file: File, offset: Int)]
  private let threads = Mutex<[pthread_t]>([])
  private let isStopped = Atomic<Bool>(false)
  private let next = Atomic<Int>(0)
  /// Bytes that this process had read before.
  private let start = File.bytesRead.load(ordering: .relaxed)

  /// Bytes that the threads may be ahead of what was read.
  private static let distance = 64 << 20
  private static let piece = 2 << 20
  /// Several, so that the disk always has something to do.
  private static let threadCount = 4

  /// Starts; what cannot be opened is left to others to tell of.
  public init(_ paths: [String]) {
    let files = paths.compactMap { try? File($0) }.filter { $0.size > ReadAhead.piece }
    pieces = files.flatMap { file in
      stride(from: 0, to: file.size, by: ReadAhead.piece).map { (file, $0) }
    }
    guard !pieces.isEmpty else { return }
    // The threads are joined before this object goes, so an unretained reference is enough.
    let context = unsafe Unmanaged.passUnretained(self).toOpaque()
    for _ in 0..<ReadAhead.threadCount {
      var started = pthread_t()
      let code = unsafe pthread_create(
        &started, nil,
        { context in
          guard let context = unsafe context else { return nil }
          unsafe Unmanaged<ReadAhead>.fromOpaque(context).takeUnretainedValue().run()
          return nil
        }, context)
      if code == 0 { threads.withLock { $0.append(started) } }
    }
  }

  deinit { stop() }

  /// Stops at once and waits for the threads.
  public func stop() {
    isStopped.store(true, ordering: .relaxed)
    let started = threads.withLock { threads in
      defer { threads = [] }
      return threads
    }
    for thread in started { pthread_join(thread, nil) }
  }

  private func run() {
    var memory: [UInt8] = []
    while true {
      let index = next.add(1, ordering: .relaxed).oldValue
      guard index < pieces.count else { return }
      if isStopped.load(ordering: .relaxed) { return }
      let (file, offset) = pieces[index]
      let count = min(ReadAhead.piece, file.size - offset)
      // Small parts of a cold file are in the cache, because they were listed.
      let isCached = stride(from: 0, to: count, by: ReadAhead.piece / 4).allSatisfy {
        ckpt_is_cached(file.descriptor, Int64(offset + $0)) != 0
      }
      if isCached { continue }
      while index * ReadAhead.piece - (File.bytesRead.load(ordering: .relaxed) - start)
        > ReadAhead.distance
      {
        if isStopped.load(ordering: .relaxed) { return }
        usleep(200)
      }
      if isStopped.load(ordering: .relaxed) { return }
      if memory.isEmpty { memory = [UInt8](repeating: 0, count: ReadAhead.piece) }
      // The memory has as many bytes as are asked for; what cannot be read is told by others.
      _ = unsafe pread(file.descriptor, &memory, count, off_t(offset))
    }
  }
}
