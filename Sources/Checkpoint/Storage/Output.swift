import CSystem
import Glibc
import Synchronization

/// Files that appear together or not at all.
///
/// Each file is written under its own name in a staging folder beside its target, where it can be
/// opened and proven; ``commit(durable:)`` then renames the files in the order in which they were
/// added, so an index or a configuration that is added last is complete when it can be seen.
/// Without a commit everything vanishes. A staging folder is locked while its writer lives, so one
/// that a killed run left behind is recognised and removed by the next run.
public final class Output {
  /// A folder of files to come, inside the folder that they are for.
  private struct Staging {
    let path: String
    let descriptor: Int32
  }

  private struct Pending {
    let temporary: String
    let target: String
    let descriptor: Int32
  }

  private var stagings: [String: Staging] = [:]
  private var pending: [Pending] = []
  private var superseded: [String] = []
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

  deinit {
    discard()
    for folder in createdFolders.reversed() {
      _ = unsafe rmdir(folder)
      Interruption.remove(folder)
    }
  }

  /// Makes `path` a folder, if it is none yet.
  public func makeFolder(_ path: String) throws(CheckpointError) {
    var missing: [String] = []
    var current = path
    while !Paths.exists(current) {
      missing.append(current)
      current = Paths.folder(of: current)
    }
    guard Paths.isFolder(current) else {
      throw CheckpointError(.usage, .file(current), "exists and is no folder")
    }
    for folder in missing.reversed() {
      guard unsafe mkdir(folder, 0o777) == 0 else { throw Output.cannotWrite(folder, errno) }
      createdFolders.append(folder)
      Interruption.add(folder)
    }
  }

  /// Starts a file; its content goes to the returned temporary.
  ///
  /// - Throws: ``CheckpointError`` when the target is an input or exists, or cannot be written.
  public func file(_ target: String) throws(CheckpointError) -> OutputFile {
    try check(target)
    let temporary = Paths.join(try staging(for: target), Paths.name(of: target))
    let descriptor = unsafe open(temporary, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o666)
    guard descriptor >= 0 else {
      if errno == EEXIST {
        throw CheckpointError(.usage, .file(target), "would be written twice")
      }
      throw Output.cannotWrite(target, errno)
    }
    pending.append(Pending(temporary: temporary, target: target, descriptor: descriptor))
    return OutputFile(path: temporary, target: target, descriptor: descriptor)
  }

  /// Where the file for `target` can be opened before the commit.
  public func staged(_ target: String) -> String {
    pending.first { $0.target == target }?.temporary ?? target
  }

  /// Whether a file for `target` was started.
  public func writes(_ target: String) -> Bool { pending.contains { $0.target == target } }

  /// Notes a file that would be taken for the result, so that the commit removes it.
  ///
  /// - Throws: ``CheckpointError`` when it is an input, or exists and may not be replaced.
  public func supersede(_ path: String) throws(CheckpointError) {
    guard Paths.exists(path) else { return }
    try check(path)
    superseded.append(path)
  }

  /// Renames every file to its target, then removes what they supersede.
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
      pending.removeFirst()
    }
    for path in superseded { _ = unsafe unlink(path) }
    superseded = []
    if durable {
      // The renames themselves are entries of the folders.
      for folder in stagings.keys { Output.synchronize(folder) }
    }
    discard()
    for folder in createdFolders { Interruption.remove(folder) }
    createdFolders = []
  }

  /// Whether a file for `target` may be written.
  ///
  /// - Throws: ``CheckpointError`` when the target is an input, exists, or is no regular file.
  public func check(_ target: String) throws(CheckpointError) {
    guard let identity = Paths.identity(target) else {
      if Paths.isLink(target), !overwrite {
        throw CheckpointError(
          .usage, .file(target), "is a link that leads nowhere",
          hint: "use --overwrite to replace it")
      }
      return
    }
    if inputs.contains(identity) {
      throw CheckpointError(
        .usage, .file(target), "is an input; an input is never overwritten",
        hint: "choose another output; a file OUT.h5 gets its configuration as OUT.config.json")
    }
    if Paths.isFolder(target) {
      throw CheckpointError(.usage, .file(target), "is a folder where a file is to be written")
    }
    guard Paths.isFile(target) else {
      throw CheckpointError(.usage, .file(target), "is no regular file")
    }
    if !overwrite {
      throw CheckpointError(
        .usage, .file(target), "exists", hint: "use --overwrite to replace it")
    }
  }

  /// The staging folder in the target's folder, made and locked when first asked for.
  private func staging(for target: String) throws(CheckpointError) -> String {
    let folder = Paths.folder(of: target)
    if let staging = stagings[folder] { return staging.path }
    Output.removeLeftovers(in: folder)
    let serial = Output.serial.add(1, ordering: .relaxed).newValue
    let path = Paths.join(folder, ".ckpt-\(getpid())-\(serial).tmp")
    guard unsafe mkdir(path, 0o777) == 0 else { throw Output.cannotWrite(target, errno) }
    let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    if descriptor >= 0 { _ = flock(descriptor, LOCK_EX | LOCK_NB) }
    Interruption.add(path)
    stagings[folder] = Staging(path: path, descriptor: descriptor)
    return path
  }

  /// Removes the staging folders and what is left in them.
  private func discard() {
    for file in pending { close(file.descriptor) }
    pending = []
    for staging in stagings.values {
      Output.remove(staging.path)
      if staging.descriptor >= 0 { close(staging.descriptor) }
      Interruption.remove(staging.path)
    }
    stagings = [:]
  }

  /// Removes staging folders whose writer is gone: their lock is free.
  private static func removeLeftovers(in folder: String) {
    for name in Paths.list(folder) where name.hasPrefix(".ckpt-") && name.hasSuffix(".tmp") {
      let path = Paths.join(folder, name)
      let descriptor = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW)
      guard descriptor >= 0 else { continue }
      if flock(descriptor, LOCK_EX | LOCK_NB) == 0 { remove(path) }
      close(descriptor)
    }
  }

  /// Removes a staging folder; there are only files in it.
  fileprivate static func remove(_ staging: String) {
    for name in Paths.list(staging) { _ = unsafe unlink(Paths.join(staging, name)) }
    _ = unsafe rmdir(staging)
  }

  private static func synchronize(_ folder: String) {
    let descriptor = unsafe open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
    guard descriptor >= 0 else { return }
    _ = fsync(descriptor)
    close(descriptor)
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
  /// Where position 0 is: not at the file's start in a ``section(at:)``.
  let base: Int
  private let window = Window()

  init(path: String, target: String, descriptor: Int32) {
    self.init(path: path, target: target, descriptor: descriptor, base: 0)
  }

  private init(path: String, target: String, descriptor: Int32, base: Int) {
    self.path = path
    self.target = target
    self.descriptor = descriptor
    self.base = base
  }

  /// The file from a position on, as a file of its own: what is written to it ends the file.
  func section(at offset: Int) -> OutputFile {
    OutputFile(path: path, target: target, descriptor: descriptor, base: base + offset)
  }

  /// Writes `bytes` at `offset`.
  public func write(_ bytes: [UInt8], at offset: Int) throws(CheckpointError) {
    try unsafe write(bytes.span.bytes, at: offset)
  }

  private func write(_ bytes: RawSpan, at offset: Int) throws(CheckpointError) {
    var done = 0
    while done < bytes.byteCount {
      // The pointer is used inside the closure only, for the bytes that remain.
      let count = unsafe bytes.withUnsafeBytes { pointer in
        unsafe pwrite(
          descriptor, pointer.baseAddress?.advanced(by: done), bytes.byteCount - done,
          off_t(base + offset + done))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else { throw Output.cannotWrite(target, errno) }
      done += count
    }
  }

  /// Writes a tensor's canonical bytes at `offset`, in windows where they can be read in parts.
  public func write(_ tensor: Tensor, at offset: Int) throws(CheckpointError) {
    try write(tensor, at: offset) { _ in }
  }

  /// Writes a tensor likewise, and shows its bytes to `observe` in order.
  func write(
    _ tensor: Tensor, at offset: Int, observe: (RawSpan) -> Void
  ) throws(CheckpointError) {
    var position = offset
    try tensor.readWindows(through: window) { (bytes) throws(CheckpointError) in
      try write(bytes, at: position)
      observe(bytes)
      position += bytes.byteCount
    }
  }

  /// Writes a tensor's canonical bytes at `offset`; returns their checksum.
  func write(
    _ tensor: Tensor, at offset: Int, summing kind: Checksum.Kind
  ) throws(CheckpointError) -> Checksum {
    var position = offset
    var state = ChecksumState(kind)
    try tensor.readWindows(through: window) { (bytes) throws(CheckpointError) in
      state.update(bytes)
      try write(bytes, at: position)
      position += bytes.byteCount
    }
    return Checksum(kind, state.value)
  }

  /// Tells the file system how long the file will be, which makes writing half as long again faster
  /// and a full disk known before anything is written.
  public func reserve(_ size: Int) throws(CheckpointError) {
    guard size > 0, ckpt_fallocate(descriptor, Int64(base), Int64(size)) != 0 else {
      return
    }
    guard ![ENOSPC, EDQUOT, EFBIG].contains(errno) else { throw Output.cannotWrite(target, errno) }
    // Other file systems take the bytes as they come.
  }

  /// Ends the file at a size; room that nothing was written to reads as zeros.
  func setSize(_ size: Int) throws(CheckpointError) {
    guard ftruncate(descriptor, off_t(base + size)) == 0 else {
      throw Output.cannotWrite(target, errno)
    }
  }

  /// The checksum of what was written to the first `count` bytes.
  func checksum(_ kind: Checksum.Kind, count: Int) throws(CheckpointError) -> Checksum {
    var state = ChecksumState(kind)
    var bytes = [UInt8](repeating: 0, count: min(count, 1 << 20))
    var done = 0
    while done < count {
      let wanted = min(bytes.count, count - done)
      // The pointer is used inside the closure only, for as many bytes as the array has.
      let read = unsafe bytes.withUnsafeMutableBytes {
        unsafe pread(descriptor, $0.baseAddress, wanted, off_t(base + done))
      }
      if read < 0 && errno == EINTR { continue }
      guard read > 0 else { throw Output.cannotWrite(target, read == 0 ? EIO : errno) }
      if read == bytes.count { state.update(bytes) } else { state.update(Array(bytes[..<read])) }
      done += read
    }
    return Checksum(kind, state.value)
  }
}

/// Folders that must go when the process is interrupted: staging ones with what is in them, others
/// when they are empty.
public enum Interruption {
  private static let stagings = Mutex<Set<String>>([])

  static func add(_ path: String) { stagings.withLock { _ = $0.insert(path) } }
  static func remove(_ path: String) { stagings.withLock { _ = $0.remove(path) } }

  /// Removes what is half-written; called by the command when it is told to stop.
  public static func removeTemporaries() {
    stagings.withLock { paths in
      // The deepest first; a folder that is not a staging one goes only if it is empty.
      for path in paths.sorted(by: { $0.utf8.count > $1.utf8.count }) {
        if Paths.name(of: path).hasPrefix(".ckpt-") {
          Output.remove(path)
        } else {
          _ = unsafe rmdir(path)
        }
      }
    }
  }
}
