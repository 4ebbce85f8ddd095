import CHDF5
import CHDF5Reader

extension HDF5 {
  /// Runs `body` as the only user of libhdf5 in this process, with its messages switched off.
  @discardableResult
  static func locked<T>(
    _ body: () throws(CheckpointError) -> T
  ) throws(CheckpointError) -> T {
    ckpt_hdf5_lock()
    defer { ckpt_hdf5_unlock() }
    silence()
    return try body()
  }

  static func locked(_ body: () -> Void) {
    ckpt_hdf5_lock()
    defer { ckpt_hdf5_unlock() }
    silence()
    body()
  }

  /// An error stack that is left behind makes libhdf5 complain when the process ends.
  static func clearErrors() { H5Eclear2(hid_t(H5E_DEFAULT)) }

  /// Switches libhdf5's messages off, which it keeps per thread; so before every use.
  static func silence() { H5Eset_auto2(hid_t(H5E_DEFAULT), nil, nil) }
}

/// An identifier of libhdf5 that is closed when it goes out of scope, which is under the lock.
struct HDF5Handle: ~Copyable {
  let id: hid_t
  private let close: (hid_t) -> herr_t

  init(
    _ id: hid_t, _ close: @escaping (hid_t) -> herr_t, _ what: String, _ file: OutputFile,
    _ path: String = ""
  ) throws(CheckpointError) {
    self.id = try check(id, what, file, path)
    self.close = close
  }

  deinit { _ = close(id) }
}

/// Turns a negative result into an error with libhdf5's own words.
@discardableResult
func check<Code: SignedInteger>(
  _ code: Code, _ what: String, _ file: OutputFile, _ path: String = ""
) throws(CheckpointError) -> Code {
  guard code < 0 else { return code }
  var text = [CChar](repeating: 0, count: 1024)
  // The call writes a terminated text of at most `text.count` bytes.
  let reason = unsafe String(cString: ckpt_hdf5_error(&text, text.count))
  throw CheckpointError(
    .cannotWrite, Place(file: file.target, member: path.isEmpty ? nil : path), "\(what): \(reason)")
}
