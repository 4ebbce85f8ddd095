import CZip

/// Unpacks a gzip stream through zlib, in windows.
@safe struct Gunzip: ~Copyable, TarStream {
  private let source: FileSlice
  private let stream: UnsafeMutablePointer<z_stream>
  private var input = [UInt8](repeating: 0, count: 1 << 16)
  private var inputStart = 0
  private var inputEnd = 0
  /// Packed bytes that were read.
  private var taken = 0
  private(set) var position = 0
  private var isAtEnd = false
  private let limit: Int

  /// - Parameter limit: bytes that it may unpack to.
  init(_ source: FileSlice, limit: Int = .max) throws(CheckpointError) {
    self.source = source
    self.limit = limit
    // zlib keeps a pointer to the structure, so it may not move.
    unsafe stream = .allocate(capacity: 1)
    unsafe stream.initialize(to: z_stream())
    guard unsafe ckpt_gunzip_start(stream) == Z_OK else {
      throw CheckpointError(.cannotRead, .file(source.file.path), "zlib has no memory")
    }
  }

  deinit {
    unsafe inflateEnd(stream)
    unsafe stream.deallocate()
  }

  /// Unpacks into `output`; returns how many bytes it got, fewer than asked for only at the end.
  private mutating func unpack(_ output: inout [UInt8]) throws(CheckpointError) -> Int {
    var done = 0
    while done < output.count, !isAtEnd {
      if inputStart == inputEnd {
        let count = min(input.count, source.length - taken)
        guard count > 0 else { throw damaged("ends early") }
        input.replaceSubrange(
          0..<count, with: try source.file.bytes(at: source.offset + taken, count: count))
        (inputStart, inputEnd) = (0, count)
        taken += count
      }
      let (available, room) = (inputEnd - inputStart, output.count - done)
      // Both pointers are used inside the closures only, for what is available and what has room.
      let (status, used, made) = unsafe input.withUnsafeMutableBufferPointer { from in
        unsafe output.withUnsafeMutableBufferPointer { to in
          unsafe stream.pointee.next_in = from.baseAddress?.advanced(by: inputStart)
          unsafe stream.pointee.avail_in = UInt32(available)
          unsafe stream.pointee.next_out = to.baseAddress?.advanced(by: done)
          unsafe stream.pointee.avail_out = UInt32(room)
          let status = unsafe inflate(stream, Z_NO_FLUSH)
          return unsafe (
            status, available - Int(stream.pointee.avail_in), room - Int(stream.pointee.avail_out)
          )
        }
      }
      inputStart += used
      done += made
      position += made
      if status == Z_STREAM_END {
        isAtEnd = true
      } else if status != Z_OK {
        throw damaged("is broken")
      }
      guard position <= limit else {
        throw damaged("unpacks to more than \(limit) bytes, which no weights do")
      }
    }
    return done
  }

  private func damaged(_ reason: String) -> CheckpointError {
    CheckpointError(
      .damaged, Place(file: source.file.path, offset: source.offset + taken),
      "the gzip stream \(reason)")
  }

  mutating func next(_ count: Int) throws(CheckpointError) -> [UInt8]? {
    var bytes = [UInt8](repeating: 0, count: count)
    let got = try unpack(&bytes)
    bytes.removeLast(count - got)
    return got == 0 && count > 0 ? nil : bytes
  }

  mutating func skip(_ count: Int) throws(CheckpointError) {
    try each(count) { (_) throws(CheckpointError) in }
  }

  /// The next bytes, in a temporary file that has no name and goes with its last user.
  mutating func take(_ count: Int) throws(CheckpointError) -> FileSlice {
    let file = try TemporaryFile(for: source.file.path)
    try each(count) { (bytes) throws(CheckpointError) in try file.append(bytes) }
    return try FileSlice(file.reopened(), offset: 0, length: count)
  }

  /// Passes the next bytes on in windows.
  private mutating func each(
    _ count: Int, _ body: ([UInt8]) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    var left = count
    while left > 0 {
      guard let bytes = try next(min(left, 1 << 20)), bytes.count == min(left, 1 << 20) else {
        throw damaged("ends inside a member")
      }
      try body(bytes)
      left -= bytes.count
    }
  }
}
