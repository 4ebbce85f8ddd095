import CSystem
import Glibc
import Synchronization

/// A file opened for reading: a descriptor, its size and identity.
///
/// Reading goes by position and leaves no state behind, so one file serves many threads.
public final class File: Sendable {
  public let path: String
  /// Bytes.
  public let size: Int
  /// Tells two paths of one file from two files.
  public let identity: Identity
  public let descriptor: Int32

  public struct Identity: Sendable, Hashable {
    public let device: UInt
    public let inode: UInt
  }

  /// Opens a regular file.
  ///
  /// - Throws: ``CheckpointError`` of kind `cannotRead` with the system's reason.
  public convenience init(_ path: String) throws(CheckpointError) {
    try self.init(path, openedAt: path)
  }

  /// - Parameters:
  ///   - path: what the file is called in messages.
  ///   - place: where it is opened.
  init(_ path: String, openedAt place: String) throws(CheckpointError) {
    self.path = path
    descriptor = unsafe open(place, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
    guard descriptor >= 0 else { throw File.cannotRead(path, errno) }
    var status = stat()
    guard unsafe fstat(descriptor, &status) == 0 else {
      let code = errno
      close(descriptor)
      throw File.cannotRead(path, code)
    }
    guard status.st_mode & S_IFMT == S_IFREG else {
      close(descriptor)
      let kind = status.st_mode & S_IFMT == S_IFDIR ? "a folder" : "no regular file"
      throw CheckpointError(.cannotRead, .file(path), "is \(kind); expected a file")
    }
    size = Int(status.st_size)
    identity = Identity(device: UInt(status.st_dev), inode: UInt(status.st_ino))
  }

  deinit { close(descriptor) }

  /// Bytes that this process has read of all files, by which ``ReadAhead`` keeps its distance.
  static let bytesRead = Atomic<Int>(0)

  /// Fills `buffer` with the bytes at `offset`.
  ///
  /// - Throws: ``CheckpointError`` when the file ends before, or cannot be read.
  public func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    let wanted = buffer.byteCount
    // The pointer is used inside the closure only, for at most `wanted` bytes.
    let (done, code) = unsafe buffer.withUnsafeMutableBytes { pointer -> (Int, Int32) in
      var done = 0
      while done < wanted {
        let count = unsafe pread(
          descriptor, pointer.baseAddress?.advanced(by: done), wanted - done, off_t(offset + done))
        if count < 0 && errno == EINTR { continue }
        if count <= 0 { return (done, count < 0 ? errno : 0) }
        done += count
      }
      return (done, 0)
    }
    File.bytesRead.add(done, ordering: .relaxed)
    guard done == wanted else {
      throw CheckpointError(
        code == 0 ? .damaged : .cannotRead, Place(file: path, offset: offset + done),
        code == 0
          ? "the file ends \(wanted - done) bytes too early" : "cannot be read: \(message(code))")
    }
  }

  /// Lets the system fetch the pages at `offsets` all at once, where they would otherwise be waited
  /// for one by one.
  func prepare(_ offsets: some Sequence<Int>) {
    for offset in offsets.prefix(File.mostPrepared)
    where ckpt_is_cached(descriptor, Int64(offset)) == 0 {
      // The call only advises, so its failure means nothing.
      _ = posix_fadvise(descriptor, off_t(offset), off_t(File.prepared), POSIX_FADV_WILLNEED)
    }
  }

  private static let prepared = 16 << 10
  private static let mostPrepared = 10_000

  /// The `count` bytes at `offset`.
  public func bytes(at offset: Int, count: Int) throws(CheckpointError) -> [UInt8] {
    guard count >= 0, offset >= 0, offset <= size, count <= size - offset else {
      throw CheckpointError(
        .damaged, Place(file: path, offset: offset),
        "\(count) bytes are expected here, but the file has \(size)")
    }
    var bytes = [UInt8](repeating: 0, count: count)
    var span = bytes.mutableSpan
    var raw = unsafe span.mutableBytes
    try read(at: offset, into: &raw)
    return bytes
  }

  /// Up to `count` bytes from the start, for telling formats apart.
  public func head(_ count: Int) throws(CheckpointError) -> [UInt8] {
    try bytes(at: 0, count: min(count, size))
  }

  /// The whole content of a side file.
  ///
  /// - Throws: ``CheckpointError`` when it is longer than `limit` bytes.
  public static func contents(
    of path: String, limit: Int = 256 << 20
  ) throws(CheckpointError) -> [UInt8] {
    let file = try File(path)
    guard file.size <= limit else {
      throw CheckpointError(
        .damaged, .file(path), "has \(file.size) bytes; at most \(limit) are expected")
    }
    return try file.bytes(at: 0, count: file.size)
  }

  private static func cannotRead(_ path: String, _ code: Int32) -> CheckpointError {
    CheckpointError(.cannotRead, .file(path), "cannot be read: \(message(code))")
  }
}

/// The system's text for an error number.
func message(_ code: Int32) -> String {
  // strerror returns a valid C string for every number.
  unsafe String(cString: strerror(code))
}

/// A run of bytes in a file, checked to lie inside it.
public struct FileSlice: Sendable {
  public let file: File
  /// Bytes from the start of the file.
  public let offset: Int
  /// Bytes.
  public let length: Int

  /// - Throws: ``CheckpointError`` of kind `damaged` when the slice leaves the file.
  public init(_ file: File, offset: Int, length: Int) throws(CheckpointError) {
    guard offset >= 0, length >= 0, offset <= file.size, length <= file.size - offset else {
      throw CheckpointError(
        .damaged, Place(file: file.path, offset: offset),
        "\(length) bytes are expected here, but the file has \(file.size)")
    }
    self.file = file
    self.offset = offset
    self.length = length
  }
}

extension FileSlice {
  /// Shows some bytes of the slice where the system keeps them, without copying.
  ///
  /// - Throws: ``CheckpointError`` when the file has become shorter. One that is cut while it is read ends
  ///   the process by SIGBUS, which the command catches.
  func mapped(
    _ range: Range<Int>, _ body: (RawSpan) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    guard !range.isEmpty else { return }
    let (first, last) = (offset + range.lowerBound, offset + range.upperBound)
    var status = stat()
    guard unsafe fstat(file.descriptor, &status) == 0, Int(status.st_size) >= last else {
      throw CheckpointError(
        .damaged, Place(file: file.path, offset: first), "the file was cut while it was read")
    }
    let start = first / FileSlice.page * FileSlice.page
    // Pages are mapped when they are touched, several at once: faults of threads do not wait for each
    // other, as mapping all pages beforehand does.
    let mapping = unsafe mmap(
      nil, last - start, PROT_READ, MAP_SHARED, file.descriptor, off_t(start))
    guard let mapping = unsafe mapping, unsafe mapping != MAP_FAILED else {
      let bytes = try file.bytes(at: first, count: range.count)
      return try body(unsafe bytes.span.bytes)
    }
    defer { unsafe munmap(mapping, last - start) }
    File.bytesRead.add(range.count, ordering: .relaxed)
    // The mapping holds these bytes until it is taken back, after the call.
    let bytes = unsafe UnsafeRawBufferPointer(start: mapping + (first - start), count: range.count)
    try body(unsafe RawSpan(_unsafeBytes: bytes))
  }

  /// Bytes of a page at most; every smaller page fits it.
  private static let page = 64 << 10
}

/// Canonical bytes that lie in a file as they are.
public struct SlicePayload: Payload {
  private let source: FileSlice
  public let storage: String
  public let checksum: Checksum?

  public init(
    _ slice: FileSlice, storage: String = "contiguous", checksum: Checksum? = nil
  ) {
    source = slice
    self.storage = storage
    self.checksum = checksum
  }

  public var byteCount: Int { source.length }
  public var slice: FileSlice? { source }

  public func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
    try source.file.read(at: source.offset + offset, into: &buffer)
  }
}
