import CSystem
import Glibc
import Synchronization

/// Files that appear together or not at all.
///
/// Each file is written to a temporary beside its target; ``commit(durable:)`` renames them in the
/// order in which they were added, so an index or a configuration that is added last is complete
/// when it can be seen. Without a commit the temporaries vanish. A temporary is locked while its
/// writer lives, so one that a killed run left behind is recognised and removed by the next run.
public final class Output {
  private struct Pending {
    let temporary: String
    let target: String
    let descriptor: Int32
  }

  private var pending: [Pending] = []
  private var createdFolders: [String] = []
  private let overwrite: Bool
  private let inputs: Set<File.Identity>

  /// - Parameters:
  ///   - overwrite: whether targets that exist may be replaced.
  ///   - inputs: files that are being read and may never be replaced.
  public init(overwrite: Bool, inputs: Set<File.Identity>) {
    self.overwrite = overwrite
    self.inputs = inputs
  }

  deinit { rollBack() }

  /// Makes `path` a folder, if it is none yet.
  public func makeFolder(_ path: String) throws(CheckpointError) {
    var missing: [String] = []
    var current = path
    while !current.isEmpty, !Paths.exists(current) {
      missing.append(current)
      current = Paths.folder(of: current)
    }
    for folder in missing.reversed() {
      guard unsafe mkdir(folder, 0o777) == 0 else { throw Output.cannotWrite(folder, errno) }
      createdFolders.append(folder)
    }
    guard Paths.isFolder(path) else {
      throw CheckpointError(.usage, .file(path), "exists and is no folder")
    }
  }

  /// Starts a file; its content goes to the returned temporary.
  ///
  /// - Throws: ``CheckpointError`` when the target is an input or exists, or cannot be written.
  public func file(_ target: String) throws(CheckpointError) -> OutputFile {
    try check(target)
    let folder = Paths.folder(of: target)
    Output.removeLeftovers(in: folder)
    let temporary = Paths.join(
      folder, ".ckpt-\(getpid())-\(Output.serial.add(1, ordering: .relaxed).newValue).tmp")
    let descriptor = unsafe open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else { throw Output.cannotWrite(target, errno) }
    _ = flock(descriptor, LOCK_EX | LOCK_NB)
    Interruption.add(temporary)
    pending.append(Pending(temporary: temporary, target: target, descriptor: descriptor))
    return OutputFile(path: temporary, target: target, descriptor: descriptor)
  }

  /// Renames every file to its target.
  ///
  /// - Parameter durable: whether to wait until the disk has the bytes.
  public func commit(durable: Bool) throws(CheckpointError) {
    for file in pending {
      try check(file.target)
      if durable, fsync(file.descriptor) != 0 { throw Output.cannotWrite(file.target, errno) }
    }
    while let file = pending.first {
      guard unsafe rename(file.temporary, file.target) == 0 else {
        throw Output.cannotWrite(file.target, errno)
      }
      close(file.descriptor)
      Interruption.remove(file.temporary)
      pending.removeFirst()
    }
    createdFolders = []
  }

  private func check(_ target: String) throws(CheckpointError) {
    guard let identity = Paths.identity(target) else { return }
    if inputs.contains(identity) {
      throw CheckpointError(
        .usage, .file(target), "is an input; an input is never overwritten",
        hint: "choose another output")
    }
    if Paths.isFolder(target) {
      throw CheckpointError(.usage, .file(target), "is a folder where a file is to be written")
    }
    if !overwrite {
      throw CheckpointError(
        .usage, .file(target), "exists", hint: "use --overwrite to replace it")
    }
  }

  private func rollBack() {
    for file in pending {
      _ = unsafe unlink(file.temporary)
      close(file.descriptor)
      Interruption.remove(file.temporary)
    }
    for folder in createdFolders.reversed() { _ = unsafe rmdir(folder) }
  }

  /// Removes temporaries whose writer is gone: their lock is free.
  private static func removeLeftovers(in folder: String) {
    for name in Paths.list(folder) where name.hasPrefix(".ckpt-") && name.hasSuffix(".tmp") {
      let path = Paths.join(folder, name)
      let descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
      guard descriptor >= 0 else { continue }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { _ = unsafe unlink(path) }
      close(descriptor)
    }
  }

  static func cannotWrite(_ path: String, _ code: Int32) -> CheckpointError {
    CheckpointError(.cannotWrite, .file(path), "cannot be written: \(message(code))")
  }

  private static let serial = Atomic<Int>(0)
}

/// A file being written, by position or at its end.
public struct OutputFile {
  /// The temporary's path, for libraries that write by path.
  public let path: String
  /// The path that the file will have.
  public let target: String
  let descriptor: Int32

  /// Writes `bytes` at `offset`.
  public func write(_ bytes: [UInt8], at offset: Int) throws(CheckpointError) {
    var done = 0
    while done < bytes.count {
      // The pointer is used inside the closure only, for the bytes that remain.
      let count = unsafe bytes.withUnsafeBytes { pointer in
        unsafe pwrite(
          descriptor, pointer.baseAddress?.advanced(by: done), bytes.count - done,
          off_t(offset + done))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw Output.cannotWrite(target, errno) }
      done += count
    }
  }

  /// Writes a tensor's canonical bytes at `offset`, through the kernel where they lie in a file.
  public func write(_ tensor: Tensor, at offset: Int) throws(CheckpointError) {
    let payload = tensor.payload
    do throws(CheckpointError) {
      guard payload.byteCount == tensor.byteCount else {
        throw CheckpointError(
          .damaged, Place(),
          "holds \(payload.byteCount) bytes where \(tensor.dtype.rawValue) \(tensor.shape) "
            + "needs \(tensor.byteCount)")
      }
      if let slice = payload.slice {
        try copy(slice, to: offset)
      } else {
        try write(tensor.bytes(), at: offset)
      }
    } catch {
      throw error.at(.tensor(tensor.name))
    }
  }

  /// Copies a slice without passing it through user memory, where the file systems can.
  private func copy(_ slice: FileSlice, to offset: Int) throws(CheckpointError) {
    var from = Int64(slice.offset)
    var to = Int64(offset)
    var left = slice.length
    while left > 0 {
      let count = unsafe ckpt_copy_file_range(
        slice.file.descriptor, &from, descriptor, &to, left)
      if count > 0 {
        left -= count
      } else if count == 0 {
        throw CheckpointError(
          .damaged, Place(file: slice.file.path, offset: Int(from)),
          "the file ends \(left) bytes too early")
      } else if errno == ENOSPC || errno == EDQUOT || errno == EFBIG {
        throw Output.cannotWrite(target, errno)
      } else if errno != EINTR {
        break  // another file system, or a kernel without the call: copy through a window
      }
    }
    let window = 4 << 20
    while left > 0 {
      let bytes = try slice.file.bytes(at: Int(from), count: min(window, left))
      try write(bytes, at: Int(to))
      from += Int64(bytes.count)
      to += Int64(bytes.count)
      left -= bytes.count
    }
  }
}

/// Temporaries that must go when the process is interrupted.
public enum Interruption {
  private static let temporaries = Mutex<Set<String>>([])

  static func add(_ path: String) { temporaries.withLock { _ = $0.insert(path) } }
  static func remove(_ path: String) { temporaries.withLock { _ = $0.remove(path) } }

  /// Removes what is half-written; called by the command when it is told to stop.
  public static func removeTemporaries() {
    temporaries.withLock { paths in
      for path in paths { _ = unsafe unlink(path) }
    }
  }
}
