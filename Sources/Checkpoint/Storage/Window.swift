import Glibc

/// Memory through which bytes pass on their way from one file to another, used again and again.
///
/// Copying through a window that stays in the processor's cache is as fast as the kernel's own
/// copying (`copy_file_range`) of pieces that are not aligned to pages, and shows the bytes to a
/// checksum on the way.
@safe public final class Window {
  private var memory: UnsafeMutableRawBufferPointer

  /// Bytes at once of what lies in a file as it is.
  static let copied = 1 << 20
  /// Bytes at once of what is gathered, converted or unpacked.
  static let gathered = 4 << 20

  public init() { unsafe memory = UnsafeMutableRawBufferPointer(start: nil, count: 0) }

  deinit { unsafe memory.deallocate() }

  /// Whether two spans of the same length hold the same bytes.
  static func equal(_ a: RawSpan, _ b: RawSpan) -> Bool {
    // Both pointers are used inside the closures only, for as many bytes as both have.
    let order = unsafe a.withUnsafeBytes { x in
      unsafe b.withUnsafeBytes { y in
        guard let x = x.baseAddress, let y = y.baseAddress else { return Int32(0) }
        return unsafe memcmp(x, y, min(a.byteCount, b.byteCount))
      }
    }
    return a.byteCount == b.byteCount && order == 0
  }

  /// Reads a part of `payload` and shows it to `body`.
  func read(
    _ payload: any Payload, at offset: Int, count: Int,
    _ body: (RawSpan) throws(CheckpointError) -> Void
  ) throws(CheckpointError) {
    if unsafe memory.count < count {
      unsafe memory.deallocate()
      unsafe memory = .allocate(byteCount: count, alignment: 4096)
    }
    // The span covers the first `count` bytes of the memory, which this object owns; the payload
    // fills them before they are read.
    let part = unsafe UnsafeMutableRawBufferPointer(rebasing: memory[..<count])
    var span = unsafe MutableRawSpan(_unsafeBytes: part)
    try payload.read(at: offset, into: &span)
    try body(span.bytes)
  }
}
