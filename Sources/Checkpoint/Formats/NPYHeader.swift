/// The header of an `.npy` array: element type, order and shape.
///
/// Source: NumPy's format description, `numpy/lib/format.py`. The header is a Python dictionary; a
/// small strict parser reads the three keys and evaluates nothing.
struct NPYHeader {
  /// How the stored element type relates to ours.
  enum Element: Equatable {
    case number(DType, bigEndian: Bool)
    /// Pickled Python objects, or records of several fields.
    case refused(String)
    /// Sound, but of a kind that no tensor here can hold.
    case unreadable(String)
  }

  var element: Element
  var fortranOrder: Bool
  var shape: Shape
  /// Bytes before the data.
  var length: Int

  static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)
  /// Bytes of the dictionary that are read at most; NumPy itself stops at 10,000.
  static let largest = 1 << 20
  /// Axes at most; NumPy 2 allows 64.
  static let largestRank = 64
  /// Bytes within which nearly every header ends.
  static let usual = 128

  /// Reads a header.
  ///
  /// - Parameters:
  ///   - size: bytes of the whole array.
  ///   - head: gives the first `count` bytes of it.
  /// - Throws: ``CheckpointError`` with the byte in the member where the rules are broken.
  init(size: Int, head: (Int) throws(CheckpointError) -> [UInt8]) throws(CheckpointError) {
    var bytes = try head(min(size, NPYHeader.usual))
    guard bytes.count >= 10, bytes.starts(with: NPYHeader.magic) else {
      throw CheckpointError(
        .damaged, Place(offset: 0), "is no NumPy array: it does not start with \\x93NUMPY")
    }
    let start: Int
    let count: Int
    switch (bytes[6], bytes[7]) {
    case (1, 0):
      start = 10
      count = Int(ZipRecord(bytes[...]).u16(8))
    case (2, 0), (3, 0):
      guard bytes.count >= 12 else {
        throw CheckpointError(.damaged, Place(offset: 8), "the NumPy array ends in its header")
      }
      start = 12
      count = Int(ZipRecord(bytes[...]).u32(8))
    default:
      throw CheckpointError(
        .unsupported, Place(offset: 6),
        "is of NumPy format version \(bytes[6]).\(bytes[7]); 1.0, 2.0 and 3.0 are known")
    }
    guard count <= NPYHeader.largest, count <= size - start else {
      throw CheckpointError(
        .damaged, Place(offset: 8), "states a header of \(count) bytes in an array of \(size)")
    }
    length = start + count
    if bytes.count < length { bytes = try head(length) }
    var parser = NPYDictionary(bytes: bytes, position: start, end: length)
    let dictionary = try parser.parse()
    element = dictionary.element
    fortranOrder = dictionary.fortranOrder
    do throws(CheckpointError) {
      shape = try Shape(checking: dictionary.shape)
    } catch {
      throw error.at(Place(offset: start))
    }
    guard case .number(let dtype, _) = element else { return }
    guard shape.count * dtype.size == size - length else {
      throw CheckpointError(
        .damaged, Place(offset: length),
        "\(dtype.rawValue) \(shape) needs \(shape.count * dtype.size) bytes, "
          + "but \(size - length) follow the header")
    }
  }

  /// A tensor over the stored bytes that the header describes.
  func tensor(
    _ name: String, _ dtype: DType, bigEndian: Bool, stored: any Payload
  ) throws(CheckpointError) -> Tensor {
    Tensor(
      name: name, dtype: dtype, shape: shape,
      payload: try NPYHeader.payload(
        dtype, shape, fortranOrder: fortranOrder, bigEndian: bigEndian, stored: stored))
  }

  /// Stored bytes, put into canonical order when they are not.
  static func payload(
    _ dtype: DType, _ shape: Shape, fortranOrder: Bool, bigEndian: Bool, stored: any Payload
  ) throws(CheckpointError) -> any Payload {
    // The order matters only where two axes have more than one element each.
    let reorder = fortranOrder && shape.extents.count { $0 != 1 } > 1
    guard reorder || bigEndian else { return stored }
    return try StridedPayload(
      stored: stored, shape: shape, strides: reorder ? shape.fortranStrides : shape.strides,
      size: dtype.size, swapped: bigEndian ? dtype.numberSize : 1)
  }

  /// The header of little-endian data in C order, padded so that the data starts at 64 bytes.
  static func bytes(dtype: DType, shape: Shape) throws(CheckpointError) -> [UInt8] {
    guard let code = codes.first(where: { $0.value == dtype })?.key else {
      throw CheckpointError(
        .unsupported, Place(), "NumPy has no \(dtype.rawValue)", hint: "use --dtype f32")
    }
    let text =
      "{'descr': '\(dtype.size == 1 ? "|" : "<")\(code)', 'fortran_order': False, "
      + "'shape': \(shape), }"
    let length = (10 + text.utf8.count + 1 + 63) / 64 * 64
    guard length - 10 <= 0xffff else {
      throw CheckpointError(.unsupported, Place(), "the shape is too long for a NumPy header")
    }
    var bytes = magic + [1, 0]
    bytes.append(little: UInt16(length - 10))
    bytes += Array(text.utf8)
    bytes += [UInt8](repeating: UInt8(ascii: " "), count: length - bytes.count - 1)
    return bytes + [UInt8(ascii: "\n")]
  }

  /// NumPy's codes of the element types; bfloat16 and smaller floats have none.
  static let codes: [String: DType] = [
    "f8": .f64, "f4": .f32, "f2": .f16, "i8": .i64, "i4": .i32, "i2": .i16, "i1": .i8,
    "u8": .u64, "u4": .u32, "u2": .u16, "u1": .u8, "b1": .bool,
    "c8": .c64, "c16": .c128,
  ]

  /// What `descr` means: an order (`<`, `>`, `=`, `|` or none) and a code.
  static func element(_ descr: String) -> Element {
    let order = descr.first.flatMap { "<>=|".contains($0) ? $0 : nil }
    let code = order == nil ? descr : String(descr.dropFirst())
    if let dtype = codes[code] { return .number(dtype, bigEndian: order == ">" && dtype.size > 1) }
    switch code.first {
    case "O": return .refused("holds pickled Python objects, which are never loaded")
    case "c": return .unreadable("holds complex numbers of another width (\(descr))")
    case "U", "S", "a": return .unreadable("holds text (\(descr))")
    case "M", "m": return .unreadable("holds dates (\(descr))")
    case "V": return .unreadable("holds raw bytes (\(descr)) whose element type is not stated")
    case "f": return .unreadable("holds floating-point numbers of another width (\(descr))")
    default: return .unreadable("is of the unknown element type \"\(descr)\"")
    }
  }
}

/// A parser of the one dictionary that stands in an `.npy` header.
struct NPYDictionary {
  let bytes: [UInt8]
  var position: Int
  let end: Int

  struct Content {
    var element: NPYHeader.Element
    var fortranOrder: Bool
    var shape: [Int]
  }

  mutating func parse() throws(CheckpointError) -> Content {
    var element: NPYHeader.Element?
    var fortranOrder: Bool?
    var shape: [Int]?
    try expect("{")
    while !skip("}") {
      let at = position
      let key = try string()
      try expect(":")
      switch key {
      case "descr" where element == nil: element = try descr()
      case "fortran_order" where fortranOrder == nil: fortranOrder = try bool()
      case "shape" where shape == nil: shape = try tuple()
      default: throw fail("the key '\(key)' is unknown or stands twice", at: at)
      }
      if case .refused = element { break }  // what follows a record's description is not read
      if skip("}") { break }
      try expect(",")
    }
    if case .refused? = element {
      return Content(element: element ?? .unreadable(""), fortranOrder: false, shape: [])
    }
    skipSpace()
    guard position == end else { throw fail("something follows the dictionary") }
    guard let element, let fortranOrder, let shape else {
      throw fail("the keys descr, fortran_order and shape are expected")
    }
    return Content(element: element, fortranOrder: fortranOrder, shape: shape)
  }

  private func fail(_ reason: String, at offset: Int? = nil) -> CheckpointError {
    CheckpointError(.damaged, Place(offset: offset ?? position), "NumPy header: \(reason)")
  }

  private var current: UInt8? { position < end ? bytes[position] : nil }

  private mutating func skipSpace() {
    while let byte = current, byte == 0x20 || (0x09...0x0d).contains(byte) { position += 1 }
  }

  /// Steps over `character` and white space before it, if it stands there.
  private mutating func skip(_ character: Unicode.Scalar) -> Bool {
    skipSpace()
    guard let byte = current, UInt32(byte) == character.value else { return false }
    position += 1
    return true
  }

  private mutating func expect(_ character: Unicode.Scalar) throws(CheckpointError) {
    guard skip(character) else { throw fail("'\(character)' is expected") }
  }

  private mutating func string() throws(CheckpointError) -> String {
    skipSpace()
    guard let quote = current, quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
      throw fail("a string is expected")
    }
    position += 1
    let start = position
    while let byte = current, byte != quote {
      guard (0x20..<0x7f).contains(byte), byte != UInt8(ascii: "\\"), position - start < 64 else {
        throw fail("a short plain string is expected")
      }
      position += 1
    }
    guard current == quote else { throw fail("a string does not end") }
    position += 1
    return String(decoding: bytes[start..<(position - 1)], as: UTF8.self)
  }

  private mutating func descr() throws(CheckpointError) -> NPYHeader.Element {
    skipSpace()
    if current == UInt8(ascii: "[") || current == UInt8(ascii: "(") {
      return .refused("holds records of several fields (a structured array)")
    }
    return NPYHeader.element(try string())
  }

  private mutating func bool() throws(CheckpointError) -> Bool {
    skipSpace()
    for (word, value) in [("True", true), ("False", false)]
    where bytes[position..<end].starts(with: word.utf8) {
      position += word.utf8.count
      return value
    }
    throw fail("True or False is expected")
  }

  private mutating func tuple() throws(CheckpointError) -> [Int] {
    var values: [Int] = []
    try expect("(")
    while !skip(")") {
      skipSpace()
      let start = position
      while let byte = current, (0x30...0x39).contains(byte), position - start < 20 {
        position += 1
      }
      guard let value = Int(String(decoding: bytes[start..<position], as: UTF8.self)),
        values.count < NPYHeader.largestRank
      else { throw fail("a shape of at most \(NPYHeader.largestRank) extents is expected") }
      values.append(value)
      _ = skip("L")  // Python 2 wrote long integers so
      if skip(")") {
        guard values.count != 1 else { throw fail("a tuple is expected") }
        break
      }
      try expect(",")
    }
    return values
  }
}
