import Glibc

/// Floats at an address that is a multiple of 64 bytes, freed with the object; not initialized.
final class Buffer {
  let data: UnsafeMutablePointer<Float>
  let count: Int

  /// Bytes of a cache line and of the widest vector.
  static let alignment = 64
  /// `count` rounded up so that what follows is aligned too.
  static func aligned(_ count: Int) -> Int { (count + 15) & ~15 }

  /// - Throws: ``InferError`` when there is not that much memory.
  init(count: Int, for purpose: String) throws(InferError) {
    let (bytes, overflow) = max(count, 1).multipliedReportingOverflow(
      by: MemoryLayout<Float>.stride)
    var address: UnsafeMutableRawPointer?
    guard !overflow, posix_memalign(&address, Buffer.alignment, bytes) == 0, let address else {
      throw InferError(
        .unsupported, purpose, "needs \(count) floats of memory, and there is not as much",
        hint: "use a smaller batch or length")
    }
    data = address.bindMemory(to: Float.self, capacity: max(count, 1))
    self.count = count
  }

  deinit { free(data) }
}
