import Glibc

extension File {
  /// A file without a name, which goes with the value, for bytes that must be unpacked to be read.
  ///
  /// It lies in the folder that `TMPDIR` names, else in /var/tmp, which is on a disk more often
  /// than /tmp.
  ///
  /// - Parameters:
  ///   - path: what messages call it.
  ///   - payload: its bytes, which are copied in windows.
  static func temporary(
    _ path: String, of payload: any Payload
  ) throws(CheckpointError) -> File {
    let descriptor = unnamed()
    guard descriptor >= 0 else {
      throw CheckpointError(
        .cannotWrite, .file(path), "cannot be unpacked: no temporary file: \(message(errno))",
        hint: "set TMPDIR to a folder on a disk with room")
    }
    let output = OutputFile(path: path, target: path, descriptor: descriptor)
    do throws(CheckpointError) {
      try output.write(
        Tensor(name: "", dtype: .u8, shape: Shape([payload.byteCount]), payload: payload), at: 0)
    } catch {
      close(descriptor)
      throw error
    }
    return try File(path, descriptor: descriptor)
  }

  /// A descriptor of a new file that no folder lists, or -1 with `errno`.
  private static func unnamed() -> Int32 {
    let folder =
      unsafe getenv("TMPDIR").map { unsafe String(cString: $0) }
      ?? (Paths.isFolder("/var/tmp") ? "/var/tmp" : "/tmp")
    let template = Paths.join(folder, "ckpt-XXXXXX")
    var name = Array(template.utf8CString)
    // The array ends with a zero, and mkstemp changes its X only.
    let descriptor = unsafe mkstemp(&name)
    guard descriptor >= 0 else { return descriptor }
    _ = unsafe unlink(&name)
    _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
    return descriptor
  }
}
