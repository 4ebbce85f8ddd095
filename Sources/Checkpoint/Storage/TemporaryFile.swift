import Glibc

/// A file without a name, which vanishes with its last user.
final class TemporaryFile {
  private let descriptor: Int32
  private let path: String
  private var position = 0

  /// - Parameter path: the file whose content it holds, for messages.
  init(for path: String) throws(CheckpointError) {
    self.path = path
    let folder = unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    var template = Array("\(folder)/ckpt-XXXXXX".utf8CString)
    // mkstemp writes the name over the six last characters of the terminated template.
    descriptor = unsafe template.withUnsafeMutableBufferPointer {
      unsafe $0.baseAddress.map { unsafe mkstemp($0) } ?? -1
    }
    guard descriptor >= 0 else {
      throw CheckpointError(
        .cannotRead, .file(path), "no temporary file can be made in \(folder): \(message(errno))",
        hint: "set TMPDIR to a folder with room")
    }
    unsafe template.withUnsafeBufferPointer { name in
      _ = unsafe name.baseAddress.map { unsafe unlink($0) }
    }
  }

  deinit { close(descriptor) }

  /// Adds bytes at the end.
  func append(_ bytes: [UInt8]) throws(CheckpointError) {
    var done = 0
    while done < bytes.count {
      // The pointer is used inside the closure only, for the bytes that remain.
      let count = unsafe bytes.withUnsafeBytes {
        unsafe pwrite(
          descriptor, $0.baseAddress?.advanced(by: done), bytes.count - done, off_t(position))
      }
      if count < 0 && errno == EINTR { continue }
      guard count > 0 else {
        throw CheckpointError(
          .cannotRead, .file(path), "what is kept in between finds no room: \(message(errno))",
          hint: "set TMPDIR to a folder with room for them")
      }
      done += count
      position += count
    }
  }

  /// The content, opened for reading on its own.
  func reopened() throws(CheckpointError) -> File {
    try File(path, openedAt: "/proc/self/fd/\(descriptor)")
  }
}
