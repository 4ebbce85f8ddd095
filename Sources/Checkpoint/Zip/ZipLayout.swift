/// Numbers of the zip format (PKWARE APPNOTE 6.3.9), shared by the reader and the writer.
enum ZipLayout {
  static let localSignature: UInt32 = 0x0403_4b50
  static let entrySignature: UInt32 = 0x0201_4b50
  static let endSignature: UInt32 = 0x0605_4b50
  static let end64Signature: UInt32 = 0x0606_4b50
  static let locator64Signature: UInt32 = 0x0706_4b50

  /// Bytes of each record without its names, extra fields and comments.
  static let localSize = 30
  static let entrySize = 46
  static let endSize = 22
  static let end64Size = 56
  static let locator64Size = 20

  /// The extra field that holds sizes and offsets of 64 bits.
  static let zip64Extra: UInt16 = 1
  /// An extra field of ours that only fills space, as Android's zipalign writes it.
  static let paddingExtra: UInt16 = 0xd935

  /// In place of a value that stands in the zip64 extra field.
  static let escape32: UInt32 = 0xffff_ffff
  static let escape16: UInt16 = 0xffff

  static let encryptedFlag: UInt16 = 1 << 0
  /// Sizes and CRC follow the data instead of standing in the local header.
  static let descriptorFlag: UInt16 = 1 << 3
  static let utf8Flag: UInt16 = 1 << 11
}

/// Little-endian fields of a record whose length was checked before.
struct ZipRecord {
  let bytes: ArraySlice<UInt8>

  init(_ bytes: ArraySlice<UInt8>) { self.bytes = bytes }

  private func number(at offset: Int, count: Int) -> UInt64 {
    var value: UInt64 = 0
    for index in (0..<count).reversed() {
      value = value << 8 | UInt64(bytes[bytes.startIndex + offset + index])
    }
    return value
  }

  func u16(_ offset: Int) -> UInt16 { UInt16(truncatingIfNeeded: number(at: offset, count: 2)) }
  func u32(_ offset: Int) -> UInt32 { UInt32(truncatingIfNeeded: number(at: offset, count: 4)) }
  func u64(_ offset: Int) -> UInt64 { number(at: offset, count: 8) }
}

extension [UInt8] {
  /// Adds an integer, least significant byte first.
  mutating func append<T: FixedWidthInteger>(little value: T) {
    for shift in stride(from: 0, to: T.bitWidth, by: 8) {
      append(UInt8(truncatingIfNeeded: value >> T(shift)))
    }
  }
}
