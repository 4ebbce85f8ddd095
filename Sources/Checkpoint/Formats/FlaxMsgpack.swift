/// Flax's `to_bytes`: nested dictionaries of arrays in MessagePack, read only.
///
/// Sources: `flax/serialization.py`; the MessagePack specification. A tensor's name is the path of
/// its keys, joined with slashes. An array is an extension of type 1 that holds, in MessagePack
/// again, its shape, the name of its type and its bytes; one of over 1 GB is a dictionary of pieces.
public struct FlaxMsgpack: Format {
  public init() {}

  public var name: String { "flax" }
  public var aliases: [String] { ["msgpack"] }
  public var summary: String { "Flax's msgpack (flax.serialization.to_bytes)" }
  public var suffixes: [String] { ["msgpack"] }
  public var customaryNames: [String] { ["flax_model.msgpack"] }
  public var writes: Bool { false }

  /// Items that are looked at before a file is taken for this format.
  private static let looked = 64

  /// A dictionary with text for its first key, and then items that follow each other rightly as far
  /// as the first bytes reach.
  public func recognises(_ probe: Probe) -> Bool {
    var reader = ByteReader(probe.head)
    guard case .map(let count)? = try? Msgpack.item(&reader), count > 0,
      case .text(let length)? = try? Msgpack.item(&reader), length > 0, length <= reader.left,
      let key = try? reader.text(length), !key.unicodeScalars.contains(where: { $0.value < 32 })
    else { return false }
    // How many items each open container still has; of a map keys and values.
    var open = [2 * count - 1]
    for _ in 0..<FlaxMsgpack.looked {
      while open.last == 0 { open.removeLast() }
      guard !open.isEmpty else { return probe.head.count < 4096 && reader.left == 0 }
      open[open.count - 1] -= 1
      // A first byte that begins no item is a no; an end is where the first bytes end.
      guard reader.left > 0 else { return true }
      guard let first = try? reader.peek(1).first, first != Msgpack.unused else { return false }
      guard let item = try? Msgpack.item(&reader) else { return true }
      switch item {
      case .map(let count): open.append(2 * count)
      case .array(let count): open.append(count)
      case .text(let length), .bytes(let length), .extended(_, let length):
        guard length <= reader.left else { return true }
        guard (try? reader.skip(length)) != nil else { return false }
      default: break
      }
    }
    return true
  }

  public func read(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
    do throws(CheckpointError) {
      var reader = FlaxReader(
        file: probe.file,
        cursor: ByteReader(try FileSlice(probe.file, offset: 0, length: probe.file.size)))
      try reader.readAll()
      return Checkpoint(
        path: probe.path, format: name, groups: [Group(name: "", tensors: reader.tensors)],
        attributes: reader.attributes, unreadable: reader.unreadable, warnings: reader.warnings)
    } catch {
      throw error.at(.file(probe.path))
    }
  }
}

/// MessagePack, item by item.
enum Msgpack {
  enum Item {
    case null
    case bool(Bool)
    case integer(Int)
    /// One beyond `Int`.
    case large(UInt64)
    case float(Float)
    case double(Double)
    /// As many bytes of text follow.
    case text(Int)
    case bytes(Int)
    case array(Int)
    /// As many pairs of items follow.
    case map(Int)
    /// As many bytes follow, of an application's own type.
    case extended(UInt8, Int)
  }

  /// The one first byte that the format does not use.
  static let unused: UInt8 = 0xc1

  /// The next item's head: a scalar, or how much follows.
  ///
  /// - Throws: ``CheckpointError`` at the end, or where items are stated for which no bytes are left.
  static func item(_ reader: inout ByteReader) throws(CheckpointError) -> Item {
    reader.order = .big
    let at = reader.position
    let first = try reader.u8()
    let item: Item
    switch first {
    case 0x00...0x7f: item = .integer(Int(first))
    case 0x80...0x8f: item = .map(Int(first & 15))
    case 0x90...0x9f: item = .array(Int(first & 15))
    case 0xa0...0xbf: item = .text(Int(first & 31))
    case 0xc0: item = .null
    case 0xc2, 0xc3: item = .bool(first == 0xc3)
    case 0xc4, 0xc5, 0xc6: item = .bytes(Int(try reader.number(1 << Int(first - 0xc4))))
    case 0xc7, 0xc8, 0xc9:
      let count = Int(try reader.number(1 << Int(first - 0xc7)))
      item = .extended(try reader.u8(), count)
    case 0xca: item = .float(Float(bitPattern: try reader.u32()))
    case 0xcb: item = .double(Double(bitPattern: try reader.u64()))
    case 0xcc...0xcf:
      let value = try reader.number(1 << Int(first - 0xcc))
      item = Int(exactly: value).map { .integer($0) } ?? .large(value)
    case 0xd0: item = .integer(Int(Int8(truncatingIfNeeded: try reader.number(1))))
    case 0xd1: item = .integer(Int(Int16(truncatingIfNeeded: try reader.number(2))))
    case 0xd2: item = .integer(Int(Int32(truncatingIfNeeded: try reader.number(4))))
    case 0xd3: item = .integer(Int(truncatingIfNeeded: try reader.number(8)))
    case 0xd4...0xd8: item = .extended(try reader.u8(), 1 << Int(first - 0xd4))
    case 0xd9, 0xda, 0xdb: item = .text(Int(try reader.number(1 << Int(first - 0xd9))))
    case 0xdc, 0xdd: item = .array(Int(try reader.number(2 << Int(first - 0xdc))))
    case 0xde, 0xdf: item = .map(Int(try reader.number(2 << Int(first - 0xde))))
    case 0xe0...0xff: item = .integer(Int(Int8(bitPattern: first)))
    default: throw reader.fail("no item of MessagePack begins with \(first)", at: at)
    }
    return item
  }
}
