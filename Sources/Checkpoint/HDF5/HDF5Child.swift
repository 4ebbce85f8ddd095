import CHDF5Reader
import Glibc

/// A running child that reads an HDF5 file and sends records; ended when it goes out of scope.
struct HDF5Child: ~Copyable {
  private var child: ckpt_hdf5_child
  private let image: HDF5Image
  private let limits: Limits
  private var isFinished = false
  /// Bytes of the data record being received that have not come yet.
  private var left = 0

  /// What a child may use beyond what this process does.
  private struct Limits {
    /// Bytes.
    var memory: Int
    /// Seconds of processor time.
    var seconds: Int
    /// Bytes that it may send.
    var output: Int

    func image(_ slice: FileSlice) -> ckpt_hdf5_image {
      ckpt_hdf5_image(
        descriptor: slice.file.descriptor, offset: UInt64(slice.offset),
        length: UInt64(slice.length), memory: UInt64(memory), seconds: UInt64(seconds),
        output: UInt64(output))
    }
  }

  /// Starts a child that lists `image`.
  init(listing image: HDF5Image) throws(CheckpointError) {
    let length = image.slice.length
    let output = (16 << 20) + min(4 * min(length, 1 << 40), 1 << 30)
    limits = Limits(
      memory: (256 << 20) + 2 * output, seconds: min(1 + length / (4 << 20), 60), output: output)
    self.image = image
    child = ckpt_hdf5_child()
    let code = unsafe ckpt_hdf5_start_index(limits.image(image.slice), &child)
    try HDF5Child.check(code, image)
  }

  /// Starts a child that sends bytes `offset..<offset + count` of a dataset of `size` bytes.
  init(
    reading path: String, as dtype: Int32, size: Int, offset: Int, count: Int,
    of image: HDF5Image
  ) throws(CheckpointError) {
    limits = Limits(
      memory: (768 << 20) + min(2 * min(size, 1 << 40), 4 << 30),
      seconds: 5 + (size + image.slice.length) / (16 << 20), output: 2 * count + (1 << 20))
    self.image = image
    child = ckpt_hdf5_child()
    // The child's copy of the path is made by the fork, inside the call.
    let code = unsafe ckpt_hdf5_start_read(
      limits.image(image.slice), path, dtype, UInt64(offset), UInt64(count), &child)
    try HDF5Child.check(code, image)
  }

  deinit {
    if !isFinished {
      var child = child
      _ = unsafe ckpt_hdf5_finish(&child, 1)
    }
  }

  private static func check(_ code: Int32, _ image: HDF5Image) throws(CheckpointError) {
    guard code == 0 else {
      throw CheckpointError(
        .cannotRead, .file(image.path),
        "the process that reads HDF5 cannot be started: \(message(code))")
    }
  }

  /// All records, up to and without the one that ends them.
  mutating func answer() throws(CheckpointError) -> [UInt8] {
    var answer: [UInt8] = []
    var window = [UInt8](repeating: 0, count: 1 << 17)
    while true {
      let count = try receive(into: &window, at: 0, count: window.count)
      if count == 0 { break }
      guard answer.count + count <= limits.output + 4096 else { throw fail("says too much") }
      answer.append(contentsOf: window[..<count])
    }
    // A record has 5 bytes of head; an empty one ends a complete answer.
    guard answer.suffix(5) == [UInt8(CKPT_HDF5_END.rawValue), 0, 0, 0, 0] else {
      throw ending(after: answer)
    }
    answer.removeLast(5)
    finish()
    return answer
  }

  /// Fills `buffer` with the next bytes of the data records.
  mutating func fill(_ buffer: inout MutableRawSpan) throws(CheckpointError) {
    var filled = 0
    while filled < buffer.byteCount {
      if left == 0 {
        guard let length = try dataRecord() else { throw fail("sends too few bytes") }
        left = length
      }
      let count = min(left, buffer.byteCount - filled)
      try receive(count, into: &buffer, at: filled)
      left -= count
      filled += count
    }
  }

  /// Ends the child, which must have sent everything.
  mutating func end() throws(CheckpointError) {
    while left == 0, let length = try dataRecord() { left = length }
    guard left == 0 else { throw fail("sends too many bytes") }
    finish()
  }

  /// The length of the next data record; `nil` when the child says that it was the last.
  private mutating func dataRecord() throws(CheckpointError) -> Int? {
    let head = try bytes(5)
    var reader = HDF5Reader(head)
    let tag = UInt32(try reader.byte())
    let length = Int(try reader.u32())
    switch tag {
    case CKPT_HDF5_DATA.rawValue: return length
    case CKPT_HDF5_FAILURE.rawValue:
      throw ending(after: head + (try bytes(min(length, 4096))))
    case CKPT_HDF5_END.rawValue: return nil
    default: throw fail("sends an unknown record")
    }
  }

  /// Exactly `count` bytes.
  private mutating func bytes(_ count: Int) throws(CheckpointError) -> [UInt8] {
    var bytes = [UInt8](repeating: 0, count: count)
    var done = 0
    while done < count {
      let more = try receive(into: &bytes, at: done, count: count - done)
      if more == 0 { throw ending(after: []) }
      done += more
    }
    return bytes
  }

  private mutating func receive(
    into bytes: inout [UInt8], at offset: Int, count: Int
  ) throws(CheckpointError) -> Int {
    // The pointer covers `count` bytes from `offset` on, which the callers keep inside the array.
    let received = unsafe bytes.withUnsafeMutableBytes { pointer in
      unsafe ckpt_hdf5_receive(
        &child, pointer.baseAddress?.advanced(by: offset), count, patience)
    }
    return try checked(received)
  }

  private mutating func receive(
    _ count: Int, into buffer: inout MutableRawSpan, at offset: Int
  ) throws(CheckpointError) {
    var done = 0
    while done < count {
      // The pointer covers what is left of the `count` bytes, which lie inside the buffer.
      let received = unsafe buffer.withUnsafeMutableBytes { pointer in
        unsafe ckpt_hdf5_receive(
          &child, pointer.baseAddress?.advanced(by: offset + done), count - done, patience)
      }
      let more = try checked(received)
      if more == 0 { throw ending(after: []) }
      done += more
    }
  }

  /// Milliseconds for which a child may be silent: it may wait for a slow disk or a busy machine.
  private var patience: Int32 { Int32(clamping: 30_000 + 4_000 * limits.seconds) }

  private mutating func checked(_ received: Int) throws(CheckpointError) -> Int {
    if received == -2 { throw fail("hangs on this file") }
    if received < 0 { throw fail("cannot be heard: \(message(errno))") }
    return received
  }

  private mutating func finish() {
    guard !isFinished else { return }
    isFinished = true
    _ = unsafe ckpt_hdf5_finish(&child, 1)
  }

  private func fail(_ reason: String) -> CheckpointError {
    CheckpointError(
      .damaged, .file(image.path), "libhdf5 \(reason)", hint: "the file is probably damaged")
  }

  /// Why the pipe ended before the answer was complete.
  private mutating func ending(after answer: [UInt8]) -> CheckpointError {
    if let text = HDF5Reader.failure(in: answer) {
      return CheckpointError(.damaged, .file(image.path), text)
    }
    isFinished = true
    let status = unsafe ckpt_hdf5_finish(&child, 0)
    switch status & 0x7f {
    case 0: return fail("ends early on this file (status \(status >> 8 & 0xff))")
    case SIGXCPU: return fail("ran out of time on this file (\(limits.seconds) s)")
    case SIGKILL: return fail("was killed while it read this file; was the memory used up?")
    case let signal: return fail("crashed on this file (signal \(signal))")
    }
  }
}
