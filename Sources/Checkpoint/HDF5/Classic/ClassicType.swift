import CHDF5Reader

/// A datatype message of one of the forms that Keras and h5py write: section IV.A.2.d.
enum ClassicType {
  case element(Element)
  /// Text of fixed length.
  case text(size: Int, utf8: Bool, padding: Attribute.TextType.Padding)
  /// Text in the global heap.
  case variableText(utf8: Bool, padding: Attribute.TextType.Padding)

  struct Element {
    /// One of `ckpt_hdf5_dtype`.
    let code: UInt8
    let isBigEndian: Bool
    let size: Int

    init(_ code: ckpt_hdf5_dtype, size: Int, isBigEndian: Bool) {
      self.code = UInt8(truncatingIfNeeded: code.rawValue)
      self.size = size
      self.isBigEndian = isBigEndian
    }
  }

  /// Bytes that an element takes.
  var size: Int {
    switch self {
    case .element(let element): element.size
    case .text(let size, _, _): size
    case .variableText: 16
    }
  }

  init(_ bytes: inout ClassicBytes) throws(NotClassic) {
    let first = try bytes.u8()
    let version = first >> 4
    let bits = UInt32(try bytes.u8()) | UInt32(try bytes.u8()) << 8 | UInt32(try bytes.u8()) << 16
    let size = Int(try bytes.u32())
    try require((1...3).contains(version) && size > 0)
    switch first & 15 {
    case 0: self = .element(try ClassicType.integer(&bytes, bits, size))
    case 1: self = .element(try ClassicType.float(&bytes, bits, size))
    case 3:
      try require(bits >> 8 == 0)
      self = .text(
        size: size, utf8: try ClassicType.isUTF8(bits >> 4),
        padding: try ClassicType.padding(bits & 15))
    case 5:
      try require(bits <= 255 && size == 2)
      try bytes.skip(Int(bits))  // a tag
      self = .element(Element(CKPT_HDF5_OPAQUE2, size: 2, isBigEndian: false))
    case 6: self = .element(try ClassicType.complex(&bytes, bits, size, version))
    case 8: self = .element(try ClassicType.bool(&bytes, bits, size, version))
    case 9:
      // Text, of bytes as h5py and libhdf5 describe it.
      try require(bits & 15 == 1 && bits >> 12 == 0 && size == 16)
      try require(ClassicType.bytesOfText.contains(Array(try bytes.take(12))))
      self = .variableText(
        utf8: try ClassicType.isUTF8(bits >> 8 & 15),
        padding: try ClassicType.padding(bits >> 4 & 15))
    default: throw NotClassic()
    }
  }

  /// An unsigned byte, the base of text of varying length, in the three versions.
  private static let bytesOfText: [[UInt8]] = [0x10, 0x20, 0x30].map {
    [$0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0]
  }

  private static func isUTF8(_ code: UInt32) throws(NotClassic) -> Bool {
    try require(code <= 1)
    return code == 1
  }

  private static func padding(
    _ code: UInt32
  ) throws(NotClassic) -> Attribute.TextType.Padding {
    switch code {
    case 0: .nullTerminated
    case 1: .nullPadded
    case 2: .spacePadded
    default: throw NotClassic()
    }
  }

  /// Whole bits in whole bytes.
  private static func integer(
    _ bytes: inout ClassicBytes, _ bits: UInt32, _ size: Int
  ) throws(NotClassic) -> Element {
    // Bit 0 is the order, bit 3 the sign; the others pad.
    try require(bits & ~9 == 0)
    try require(try bytes.u16() == 0)
    try require(Int(try bytes.u16()) == 8 * size)
    let isSigned = bits & 8 != 0
    let code: ckpt_hdf5_dtype
    switch (size, isSigned) {
    case (8, true): code = CKPT_HDF5_I64
    case (4, true): code = CKPT_HDF5_I32
    case (2, true): code = CKPT_HDF5_I16
    case (1, true): code = CKPT_HDF5_I8
    case (8, false): code = CKPT_HDF5_U64
    case (4, false): code = CKPT_HDF5_U32
    case (2, false): code = CKPT_HDF5_U16
    case (1, false): code = CKPT_HDF5_U8
    default: throw NotClassic()
    }
    let isBigEndian = bits & 1 == 1
    try require(size > 1 || !isBigEndian)
    return Element(code, size: size, isBigEndian: isBigEndian)
  }

  /// The floats of IEEE 754, and bfloat16.
  private static func float(
    _ bytes: inout ClassicBytes, _ bits: UInt32, _ size: Int
  ) throws(NotClassic) -> Element {
    try require(try bytes.u16() == 0)
    try require(Int(try bytes.u16()) == 8 * size)
    let exponentStart = try bytes.u8()
    let exponentBits = try bytes.u8()
    try require(try bytes.u8() == 0)
    let mantissaBits = try bytes.u8()
    let bias = try bytes.u32()
    let code: ckpt_hdf5_dtype
    switch (size, exponentBits) {
    case (8, 11): code = CKPT_HDF5_F64
    case (4, 8): code = CKPT_HDF5_F32
    case (2, 5): code = CKPT_HDF5_F16
    case (2, 8): code = CKPT_HDF5_BF16
    default: throw NotClassic()
    }
    let mantissa = UInt8(8 * size) - 1 - exponentBits
    try require(mantissaBits == mantissa && exponentStart == mantissa)
    try require(bias == 1 << (UInt32(exponentBits) - 1) - 1)
    // Bit 0 is the order, bits 4–5 say that the mantissa's first bit is implied; bits 8–15 are the
    // place of the sign.
    try require(bits & ~1 == 0x20 | UInt32(8 * size - 1) << 8)
    return Element(code, size: size, isBigEndian: bits & 1 == 1)
  }

  /// The compound of two floats, `r` and `i`, as h5py writes complex numbers in version 1.
  private static func complex(
    _ bytes: inout ClassicBytes, _ bits: UInt32, _ size: Int, _ version: UInt8
  ) throws(NotClassic) -> Element {
    try require(version == 1 && bits == 2 && (size == 8 || size == 16))
    var isBigEndian: [Bool] = []
    for (name, offset) in [("r", 0), ("i", size / 2)] {
      try require(try bytes.take(8).elementsEqual(Array(name.utf8) + [0, 0, 0, 0, 0, 0, 0]))
      try require(Int(try bytes.u32()) == offset)
      try require(try bytes.take(28).allSatisfy { $0 == 0 })  // no axes
      let code = size == 8 ? CKPT_HDF5_F32 : CKPT_HDF5_F64
      guard case .element(let part) = try ClassicType(&bytes), UInt32(part.code) == code.rawValue
      else { throw NotClassic() }
      isBigEndian.append(part.isBigEndian)
    }
    try require(isBigEndian[0] == isBigEndian[1])
    return Element(
      size == 8 ? CKPT_HDF5_C64 : CKPT_HDF5_C128, size: size, isBigEndian: isBigEndian[0])
  }

  /// The enumeration FALSE = 0, TRUE = 1 over a signed byte.
  private static func bool(
    _ bytes: inout ClassicBytes, _ bits: UInt32, _ size: Int, _ version: UInt8
  ) throws(NotClassic) -> Element {
    try require(bits == 2 && size == 1)
    try require(try bytes.take(12).elementsEqual([version << 4, 8, 0, 0, 1, 0, 0, 0, 0, 0, 8, 0]))
    // Names are filled up to 8 bytes before version 3.
    let names = version < 3 ? "FALSE\0\0\0TRUE\0\0\0\0" : "FALSE\0TRUE\0"
    try require(try bytes.take(names.utf8.count).elementsEqual(names.utf8))
    try require(try bytes.take(2).elementsEqual([0, 1]))
    return Element(CKPT_HDF5_BOOL, size: 1, isBigEndian: false)
  }
}
