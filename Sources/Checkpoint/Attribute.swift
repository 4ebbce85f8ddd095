/// A named value kept beside tensors, exactly as the file types it.
///
/// HDF5 has the richest attributes, so the type follows it; text formats hold the JSON form
/// (``json``), from which the same attribute is made again.
public struct Attribute: Sendable, Equatable {
  public var name: String
  public var value: Value

  public enum Value: Sendable, Equatable {
    /// Text; `shape` is empty for a scalar.
    case text([String], shape: [Int], type: TextType)
    /// Canonical bytes (little-endian, C order).
    case numbers(DType, shape: [Int], bytes: [UInt8])
  }

  /// How HDF5 stores text.
  public struct TextType: Sendable, Equatable {
    /// Bytes a string takes, or `nil` for variable length.
    public var size: Int?
    public var utf8: Bool
    /// What fills a fixed-length string.
    public var padding: Padding

    public enum Padding: String, Sendable {
      case nullTerminated, nullPadded, spacePadded
    }

    public init(size: Int? = nil, utf8: Bool = true, padding: Padding = .nullTerminated) {
      self.size = size
      self.utf8 = utf8
      self.padding = padding
    }
  }

  public init(_ name: String, _ value: Value) {
    self.name = name
    self.value = value
  }

  /// A scalar text of variable length, UTF-8.
  public init(_ name: String, text: String) {
    self.init(name, .text([text], shape: [], type: TextType()))
  }

  /// The text of a scalar (or single-element) text attribute.
  public var text: String? {
    guard case .text(let values, _, _) = value, values.count == 1 else { return nil }
    return values[0]
  }

  /// All texts of a text attribute, empty for numbers.
  public var texts: [String] {
    guard case .text(let values, _, _) = value else { return [] }
    return values
  }
}

extension Attribute {
  /// A JSON form that loses nothing.
  public var json: JSON {
    switch value {
    case .text(let values, let shape, let type):
      var members: [JSON.Member] = [
        .init("name", .string(name)), .init("type", .string("text")),
        .init("shape", .array(shape.map { .number($0) })),
        .init("values", .array(values.map { .string($0) })),
        .init("utf8", .bool(type.utf8)), .init("padding", .string(type.padding.rawValue)),
      ]
      if let size = type.size { members.append(.init("size", .number(size))) }
      return .object(members)
    case .numbers(let dtype, let shape, let bytes):
      return .object([
        .init("name", .string(name)), .init("type", .string(dtype.rawValue)),
        .init("shape", .array(shape.map { .number($0) })),
        .init("hex", .string(Hex.encode(bytes))),
      ])
    }
  }

  /// The attribute that `json` describes, or `nil` where it describes none.
  public init?(json: JSON) {
    guard let name = json["name"]?.string, let type = json["type"]?.string,
      let shape = json["shape"]?.array?.compactMap(\.int)
    else { return nil }
    let count = Shape(shape).count
    if type == "text" {
      guard let values = json["values"]?.array?.compactMap(\.string), values.count == count,
        let padding = json["padding"]?.string.flatMap(TextType.Padding.init(rawValue:)),
        let utf8 = json["utf8"]?.bool
      else { return nil }
      self.init(
        name,
        .text(
          values, shape: shape,
          type: TextType(size: json["size"]?.int, utf8: utf8, padding: padding)))
    } else {
      guard let dtype = DType(rawValue: type), let bytes = json["hex"]?.string.flatMap(Hex.decode),
        bytes.count == dtype.byteCount(of: count)
      else { return nil }
      self.init(name, .numbers(dtype, shape: shape, bytes: bytes))
    }
  }
}

/// Bytes as lower-case hexadecimal digits.
enum Hex {
  static func encode(_ bytes: [UInt8]) -> String {
    String(decoding: bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self)
  }

  static func decode(_ text: String) -> [UInt8]? {
    let values = text.utf8.map { digits.firstIndex(of: $0) }
    guard values.count % 2 == 0 else { return nil }
    var bytes: [UInt8] = []
    for index in stride(from: 0, to: values.count, by: 2) {
      guard let high = values[index], let low = values[index + 1] else { return nil }
      bytes.append(UInt8(high << 4 | low))
    }
    return bytes
  }

  private static let digits = Array("0123456789abcdef".utf8)
}
