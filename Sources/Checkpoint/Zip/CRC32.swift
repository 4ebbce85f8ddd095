import CZip

/// The CRC-32 of zip (polynomial 0x04c11db7), which zlib computes.
enum CRC32 {
  /// The checksum of what `crc` is of (0: nothing) followed by `bytes`.
  static func extend(_ crc: UInt32, by bytes: UnsafeRawBufferPointer) -> UInt32 {
    unsafe ckpt_crc32(crc, bytes.baseAddress, bytes.count)
  }
}
