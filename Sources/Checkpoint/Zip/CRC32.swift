import CZip

/// The CRC-32 of zip (polynomial 0xedb88320), fed in pieces.
struct CRC32 {
  private(set) var value: UInt32 = 0

  mutating func update(_ bytes: [UInt8]) { unsafe update(bytes.span.bytes) }

  mutating func update(_ bytes: RawSpan) {
    let before = value
    // The pointer is used inside the closure only, for as many bytes as it has.
    value = unsafe bytes.withUnsafeBytes { unsafe ckpt_crc32(before, $0.baseAddress, $0.count) }
  }
}
