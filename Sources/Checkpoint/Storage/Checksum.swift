import CChecksum

/// A checksum that a file states of some bytes.
public struct Checksum: Sendable, Equatable {
  public enum Kind: String, Sendable {
    /// The CRC of zip and PNG (polynomial 0x04c11db7).
    case crc32 = "CRC-32"
    /// Castagnoli's CRC (polynomial 0x1edc6f41), plain.
    case crc32c = "CRC-32C"
  }

  public var kind: Kind
  public var value: UInt32

  public init(_ kind: Kind, _ value: UInt32) {
    self.kind = kind
    self.value = value
  }

  /// LevelDB and TensorFlow store a CRC-32C rotated and moved, because a CRC over bytes that hold
  /// their own CRC is weak.
  static func masked(_ crc: UInt32) -> UInt32 { ((crc >> 15) | (crc << 17)) &+ 0xa282_ead8 }

  /// The inverse of ``masked(_:)``.
  static func unmasked(_ masked: UInt32) -> UInt32 {
    let rotated = masked &- 0xa282_ead8
    return (rotated >> 17) | (rotated << 15)
  }
}

/// A checksum that is being computed, fed in pieces.
struct ChecksumState {
  private let kind: Checksum.Kind
  private(set) var value: UInt32 = 0

  init(_ kind: Checksum.Kind) { self.kind = kind }

  /// - Throws: ``CheckpointError`` of kind `damaged` when `expected` is another value.
  func check(_ expected: Checksum?) throws(CheckpointError) {
    guard let expected, expected.value != value else { return }
    throw CheckpointError(
      .damaged, Place(), "the bytes do not match their checksum (\(kind.rawValue))")
  }

  mutating func update(_ bytes: [UInt8]) { unsafe update(bytes.span.bytes) }

  mutating func update(_ bytes: RawSpan) {
    let before = value
    // The pointer is used inside the closure only, for as many bytes as it has.
    value = unsafe bytes.withUnsafeBytes { bytes in
      switch kind {
      case .crc32: unsafe CRC32.extend(before, by: bytes)
      case .crc32c: unsafe ckpt_crc32c(before, bytes.baseAddress, bytes.count)
      }
    }
  }
}
