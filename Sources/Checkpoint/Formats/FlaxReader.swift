/// Walks over the dictionaries of a Flax file and collects arrays and other values.
struct FlaxReader {
  let file: File
  var cursor: ByteReader
  private(set) var tensors: [Tensor] = []
  private(set) var attributes: [Attribute] = []
  private(set) var unreadable: [Unreadable] = []
  private(set) var warnings: [String] = []
  private var names: Set<String> = []

  /// Containers inside containers.
  private static let deepest = 128
  private static let chunkedKey = "__msgpack_chunked_array__"
  /// Bytes of a text or of raw bytes that is kept as an attribute.
  private static let longestText = 1 << 20

  init(file: File, cursor: ByteReader) {
    self.file = file
    self.cursor = cursor
  }

  mutating func readAll() throws(CheckpointError) {
    try readValue([])
    guard cursor.left == 0 else {
      throw cursor.fail("\(cursor.left) bytes follow the end")
    }
  }

  private func fail(_ path: [String], _ reason: String, at offset: Int) -> CheckpointError {
    CheckpointError(
      .damaged, Place(tensor: path.joined(separator: "/"), offset: offset), reason)
  }

  /// A name for what is at `path`, which nothing else may have.
  private mutating func name(_ path: [String]) throws(CheckpointError) -> String {
    let name = path.joined(separator: "/")
    guard names.insert(name).inserted else {
      throw fail(path, "is the name of two values", at: cursor.position)
    }
    return name
  }

  private mutating func readValue(_ path: [String]) throws(CheckpointError) {
    guard path.count <= FlaxReader.deepest else {
      throw fail(path, "is nested too deeply", at: cursor.position)
    }
    let at = cursor.position
    switch try Msgpack.item(&cursor) {
    case .map(let count): try readMap(count, path)
    case .array(let count):
      try checkCount(count, path, at)
      for index in 0..<count { try readValue(path + [String(index)]) }
    case .extended(let type, let length):
      try cursor.need(length, for: "an extension")
      try readExtension(type, length, path)
    case .null:
      warnings.append("\(try name(path)) is None; it is left out")
    case .bool(let value): try add(path, .bool, [value ? 1 : 0])
    case .integer(let value): try add(path, .i64, Elements.store([value]))
    case .large(let value): try add(path, .u64, Elements.store([value]))
    case .float(let value): try add(path, .f32, Elements.store([value]))
    case .double(let value): try add(path, .f64, Elements.store([value]))
    case .text(let length):
      try cursor.need(length, for: "a text")
      guard length <= FlaxReader.longestText else {
        unreadable.append(Unreadable(name: try name(path), reason: "is text of over 1 MB"))
        return try cursor.skip(length)
      }
      attributes.append(Attribute(try name(path), text: try cursor.text(length)))
    case .bytes(let length):
      try cursor.need(length, for: "bytes")
      guard length <= FlaxReader.longestText else {
        unreadable.append(Unreadable(name: try name(path), reason: "is raw bytes of over 1 MB"))
        return try cursor.skip(length)
      }
      attributes.append(
        Attribute(try name(path), .numbers(.u8, shape: [length], bytes: try cursor.bytes(length))))
    }
  }

  private mutating func add(
    _ path: [String], _ dtype: DType, _ bytes: [UInt8]
  ) throws(CheckpointError) {
    attributes.append(Attribute(try name(path), .numbers(dtype, shape: [], bytes: bytes)))
  }

  /// Each item has a byte at least.
  private func checkCount(
    _ count: Int, _ path: [String], _ at: Int
  ) throws(CheckpointError) {
    guard count <= cursor.left else {
      throw fail(path, "\(count) items are stated, but \(cursor.left) bytes are left", at: at)
    }
  }

  private mutating func readMap(_ count: Int, _ path: [String]) throws(CheckpointError) {
    try checkCount(2 * count, path, cursor.position)
    var keys: Set<String> = []
    for index in 0..<count {
      let at = cursor.position
      let key = try readKey(path)
      guard keys.insert(key).inserted else {
        throw fail(path + [key], "is a key twice", at: at)
      }
      if key == FlaxReader.chunkedKey {
        guard index == 0 else { throw fail(path, "has pieces and other values", at: at) }
        return try readChunked(count, path)
      }
      try readValue(path + [key])
    }
  }

  private mutating func readKey(_ path: [String]) throws(CheckpointError) -> String {
    let at = cursor.position
    switch try Msgpack.item(&cursor) {
    case .text(let length):
      try cursor.need(length, for: "a key")
      return try cursor.text(length)
    case .integer(let value): return String(value)
    default: throw fail(path, "a key is neither text nor a whole number", at: at)
    }
  }

  // MARK: Arrays

  /// A stored array: its type, shape, and where its bytes are.
  private struct Stored {
    var dtype: DType
    var shape: Shape
    var slice: FileSlice
  }

  private mutating func readExtension(
    _ type: UInt8, _ length: Int, _ path: [String]
  ) throws(CheckpointError) {
    let end = cursor.position + length
    switch type {
    case 1, 3:
      let name = try name(path)
      if let stored = try readArray(end: end, path) {
        tensors.append(
          Tensor(
            name: name, dtype: stored.dtype, shape: stored.shape,
            payload: SlicePayload(stored.slice)))
      }
    case 2:
      var bytes: [UInt8] = []
      let at = cursor.position
      guard case .array(2) = try Msgpack.item(&cursor) else {
        throw fail(path, "a complex number has two parts", at: at)
      }
      for _ in 0..<2 {
        guard case .double(let part) = try Msgpack.item(&cursor) else {
          throw fail(path, "a complex number has two parts", at: at)
        }
        bytes += Elements.store([part])
      }
      try add(path, .c128, bytes)
    default:
      unreadable.append(
        Unreadable(name: try name(path), reason: "is an extension of type \(type), not Flax's"))
      try cursor.skip(length)
    }
    guard cursor.position == end else {
      throw fail(path, "an extension is not as long as it says", at: cursor.position)
    }
  }

  /// `(shape, name of the type, bytes)`; `nil` for a type that ckpt cannot hold, which is listed.
  private mutating func readArray(
    end: Int, _ path: [String]
  ) throws(CheckpointError) -> Stored? {
    let at = cursor.position
    guard case .array(3) = try Msgpack.item(&cursor),
      case .array(let rank) = try Msgpack.item(&cursor), rank <= 64
    else { throw fail(path, "an array is a shape, a type and bytes", at: at) }
    var extents: [Int] = []
    for _ in 0..<rank { extents.append(try readInteger(path)) }
    let shape: Shape
    do throws(CheckpointError) {
      shape = try Shape(checking: extents)
    } catch {
      throw fail(path, error.reason, at: at)
    }
    guard case .text(let length) = try Msgpack.item(&cursor), length <= 64 else {
      throw fail(path, "the name of an array's type is expected", at: cursor.position)
    }
    let type = try cursor.text(length)
    let bytesAt = cursor.position
    let byteCount: Int
    switch try Msgpack.item(&cursor) {
    case .bytes(let count), .text(let count): byteCount = count
    default: throw fail(path, "an array's bytes are expected", at: bytesAt)
    }
    let start = cursor.position
    guard byteCount <= end - start else {
      throw fail(path, "an array of \(byteCount) bytes is longer than its extension", at: bytesAt)
    }
    try cursor.skip(byteCount)
    guard let dtype = FlaxReader.types[type] else {
      unreadable.append(
        Unreadable(
          name: path.joined(separator: "/"), reason: "elements of type \(type) are not supported"))
      return nil
    }
    guard byteCount == dtype.byteCount(of: shape.count) else {
      throw fail(
        path,
        "has \(byteCount) bytes; \(dtype.rawValue) \(shape) needs "
          + "\(dtype.byteCount(of: shape.count))", at: start)
    }
    return Stored(
      dtype: dtype, shape: shape, slice: try FileSlice(file, offset: start, length: byteCount))
  }

  private mutating func readInteger(_ path: [String]) throws(CheckpointError) -> Int {
    let at = cursor.position
    guard case .integer(let value) = try Msgpack.item(&cursor) else {
      throw fail(path, "a whole number is expected", at: at)
    }
    return value
  }

  /// An array in pieces: after the key's value there are its shape and its flat pieces, both as
  /// dictionaries from "0" on.
  private mutating func readChunked(_ count: Int, _ path: [String]) throws(CheckpointError) {
    let at = cursor.position
    guard count == 3, case .bool(true) = try Msgpack.item(&cursor) else {
      throw fail(path, "an array in pieces has a shape and pieces", at: at)
    }
    var extents: [Int]?
    var parts: [Stored]?
    let name = try name(path)
    var isHeld = true
    for _ in 0..<2 {
      let keyAt = cursor.position
      let key = try readKey(path)
      guard case .map(let items) = try Msgpack.item(&cursor) else {
        throw fail(path, "an array in pieces has a shape and pieces", at: keyAt)
      }
      try checkCount(2 * items, path, keyAt)
      var (numbers, arrays): ([Int], [Stored]) = ([], [])
      for index in 0..<items {
        guard try readKey(path) == String(index) else {
          throw fail(path, "pieces are not in their order", at: cursor.position)
        }
        if key == "shape" {
          numbers.append(try readInteger(path))
        } else {
          guard case .extended(1, let length) = try Msgpack.item(&cursor) else {
            throw fail(path, "a piece is no array", at: cursor.position)
          }
          try cursor.need(length, for: "a piece")
          let end = cursor.position + length
          if let stored = try readArray(end: end, path) {
            arrays.append(stored)
          } else {
            isHeld = false
          }
          guard cursor.position == end else {
            throw fail(path, "an extension is not as long as it says", at: cursor.position)
          }
        }
      }
      if key == "shape" { extents = numbers } else { parts = arrays }
      guard ["shape", "chunks"].contains(key) else {
        throw fail(path, "an array in pieces has no \(key)", at: keyAt)
      }
    }
    guard isHeld else {
      // Each piece was listed; the array is one entry.
      let reason = unreadable.last?.reason ?? ""
      unreadable.removeAll { $0.name == name }
      unreadable.append(Unreadable(name: name, reason: reason))
      return
    }
    guard let extents, let parts, let dtype = parts.first?.dtype,
      parts.allSatisfy({ $0.dtype == dtype && $0.shape.rank == 1 })
    else { throw fail(path, "its pieces do not fit together", at: at) }
    let shape: Shape
    do throws(CheckpointError) {
      shape = try Shape(checking: extents)
    } catch {
      throw fail(path, error.reason, at: at)
    }
    let payload = JoinedPayload(parts.map(\.slice))
    guard payload.byteCount == dtype.byteCount(of: shape.count) else {
      throw fail(
        path,
        "its pieces have \(payload.byteCount) bytes; \(dtype.rawValue) \(shape) needs "
          + "\(dtype.byteCount(of: shape.count))", at: at)
    }
    tensors.append(Tensor(name: name, dtype: dtype, shape: shape, payload: payload))
  }

  /// NumPy's and ml_dtypes' names of the types.
  private static let types: [String: DType] = [
    "float64": .f64, "float32": .f32, "float16": .f16, "bfloat16": .bf16, "int64": .i64,
    "int32": .i32, "int16": .i16, "int8": .i8, "uint64": .u64, "uint32": .u32, "uint16": .u16,
    "uint8": .u8, "bool": .bool, "complex64": .c64, "complex128": .c128,
    "float8_e4m3fn": .f8_e4m3, "float8_e5m2": .f8_e5m2, "float8_e4m3fnuz": .f8_e4m3fnuz,
    "float8_e5m2fnuz": .f8_e5m2fnuz, "float8_e8m0fnu": .f8_e8m0,
  ]
}
