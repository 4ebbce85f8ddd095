/// A JSON value that keeps the order of keys and the spelling of numbers.
///
/// Foundation's decoder keeps the first of two equal keys silently and loses the order, which a
/// safetensors header and a Keras configuration cannot afford. Grammar: RFC 8259, plus the `NaN`
/// and `Infinity` that Python writes.
public indirect enum JSON: Sendable, Equatable {
  case object([Member])
  case array([JSON])
  case string(String)
  /// The literal as written.
  case literal(String)
  case bool(Bool)
  case null

  public struct Member: Sendable, Equatable {
    public var key: String
    public var value: JSON

    public init(_ key: String, _ value: JSON) {
      self.key = key
      self.value = value
    }
  }

  public static func number(_ value: Int) -> JSON { .literal(String(value)) }

  /// A number; values that JSON cannot write become `null`.
  public static func number(_ value: Double) -> JSON {
    guard value.isFinite else { return .null }
    return .literal("\(value)")
  }

  public subscript(key: String) -> JSON? {
    guard case .object(let members) = self else { return nil }
    return members.first { $0.key == key }?.value
  }

  public var members: [Member]? {
    if case .object(let members) = self { members } else { nil }
  }

  public var array: [JSON]? {
    if case .array(let values) = self { values } else { nil }
  }

  public var string: String? {
    if case .string(let value) = self { value } else { nil }
  }

  public var bool: Bool? {
    if case .bool(let value) = self { value } else { nil }
  }

  /// An integer, also when it is written `12.0`.
  public var int: Int? {
    guard case .literal(let text) = self else { return nil }
    return Int(text) ?? Double(text).flatMap { Int(exactly: $0) }
  }

  public var double: Double? {
    guard case .literal(let text) = self else { return nil }
    return Double(text)
  }

  /// Replaces a member of an object, or adds it at the end.
  public mutating func set(_ key: String, _ value: JSON) {
    guard case .object(var members) = self else { return }
    if let index = members.firstIndex(where: { $0.key == key }) {
      members[index].value = value
    } else {
      members.append(Member(key, value))
    }
    self = .object(members)
  }

  /// Takes a member of an object out, where it is there.
  public mutating func remove(_ key: String) {
    guard case .object(let members) = self else { return }
    self = .object(members.filter { $0.key != key })
  }
}

// MARK: - Parsing

extension JSON {
  /// Parses one document; duplicate keys and trailing bytes are errors.
  ///
  /// - Throws: ``CheckpointError`` of kind `damaged` with the byte offset.
  public init(parsing bytes: [UInt8]) throws(CheckpointError) {
    var parser = Parser(bytes: bytes)
    self = try parser.document()
  }

  private struct Parser {
    let bytes: [UInt8]
    var position = 0

    init(bytes: [UInt8]) { self.bytes = bytes }

    static let deepest = 200

    func fail(_ reason: String) -> CheckpointError {
      CheckpointError(.damaged, Place(offset: position), "not valid JSON: \(reason)")
    }

    var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    mutating func skipSpace() {
      while let byte = current, byte == 0x20 || byte == 0x0a || byte == 0x0d || byte == 0x09 {
        position += 1
      }
    }

    mutating func document() throws(CheckpointError) -> JSON {
      if bytes.starts(with: [0xef, 0xbb, 0xbf]) { position = 3 }  // a byte-order mark
      let value = try value(depth: 0)
      skipSpace()
      guard current == nil else { throw fail("something follows the document") }
      return value
    }

    mutating func expect(_ byte: UInt8) throws(CheckpointError) {
      guard current == byte else {
        throw fail("expected '\(Character(UnicodeScalar(byte)))'")
      }
      position += 1
    }

    mutating func value(depth: Int) throws(CheckpointError) -> JSON {
      guard depth < Parser.deepest else { throw fail("nested more than \(Parser.deepest) deep") }
      skipSpace()
      switch current {
      case UInt8(ascii: "{"): return try object(depth: depth)
      case UInt8(ascii: "["): return try array(depth: depth)
      case UInt8(ascii: "\""): return .string(try string())
      case nil: throw fail("the document ends early")
      default: return try word()
      }
    }

    mutating func object(depth: Int) throws(CheckpointError) -> JSON {
      try expect(UInt8(ascii: "{"))
      var members: [Member] = []
      var seen: Set<String> = []
      skipSpace()
      if current == UInt8(ascii: "}") {
        position += 1
        return .object(members)
      }
      while true {
        skipSpace()
        let key = try string()
        guard seen.insert(key).inserted else { throw fail("the key \"\(key)\" stands twice") }
        skipSpace()
        try expect(UInt8(ascii: ":"))
        members.append(Member(key, try value(depth: depth + 1)))
        skipSpace()
        if current == UInt8(ascii: ",") {
          position += 1
          continue
        }
        try expect(UInt8(ascii: "}"))
        return .object(members)
      }
    }

    mutating func array(depth: Int) throws(CheckpointError) -> JSON {
      try expect(UInt8(ascii: "["))
      var values: [JSON] = []
      skipSpace()
      if current == UInt8(ascii: "]") {
        position += 1
        return .array(values)
      }
      while true {
        values.append(try value(depth: depth + 1))
        skipSpace()
        if current == UInt8(ascii: ",") {
          position += 1
          continue
        }
        try expect(UInt8(ascii: "]"))
        return .array(values)
      }
    }

    mutating func word() throws(CheckpointError) -> JSON {
      let start = position
      while let byte = current,
        byte == UInt8(ascii: "-") || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".")
          || (0x30...0x39).contains(byte) || (0x41...0x5a).contains(byte)
          || (0x61...0x7a).contains(byte)
      {
        position += 1
      }
      let text = String(decoding: bytes[start..<position], as: UTF8.self)
      switch text {
      case "true": return .bool(true)
      case "false": return .bool(false)
      case "null": return .null
      case "NaN", "Infinity", "-Infinity": return .literal(text)
      default:
        guard let first = text.utf8.first,
          first == UInt8(ascii: "-") || (0x30...0x39).contains(first),
          !text.utf8.contains(where: { $0 == UInt8(ascii: "x") || $0 == UInt8(ascii: "p") }),
          Double(text) != nil
        else {
          position = start
          throw fail(text.isEmpty ? "a value is expected" : "\"\(text)\" is no value")
        }
        return .literal(text)
      }
    }

    mutating func string() throws(CheckpointError) -> String {
      try expect(UInt8(ascii: "\""))
      var result: [UInt8] = []
      while true {
        guard let byte = current else { throw fail("a string does not end") }
        position += 1
        switch byte {
        case UInt8(ascii: "\""):
          guard let text = String(validating: result, as: UTF8.self) else {
            throw fail("a string is not UTF-8")
          }
          return text
        case UInt8(ascii: "\\"): try escape(into: &result)
        case 0..<0x20: throw fail("a control character stands in a string")
        default: result.append(byte)
        }
      }
    }

    mutating func escape(into result: inout [UInt8]) throws(CheckpointError) {
      guard let byte = current else { throw fail("a string does not end") }
      position += 1
      switch byte {
      case UInt8(ascii: "n"): result.append(0x0a)
      case UInt8(ascii: "t"): result.append(0x09)
      case UInt8(ascii: "r"): result.append(0x0d)
      case UInt8(ascii: "b"): result.append(0x08)
      case UInt8(ascii: "f"): result.append(0x0c)
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): result.append(byte)
      case UInt8(ascii: "u"):
        var code = UInt32(try unit())
        if (0xd800..<0xdc00).contains(code), current == UInt8(ascii: "\\"),
          position + 1 < bytes.count, bytes[position + 1] == UInt8(ascii: "u")
        {
          position += 2
          let low = UInt32(try unit())
          guard (0xdc00..<0xe000).contains(low) else { throw fail("a lone surrogate") }
          code = 0x10000 + (code - 0xd800) << 10 + (low - 0xdc00)
        }
        guard let scalar = UnicodeScalar(code) else { throw fail("a lone surrogate") }
        result.append(contentsOf: String(Character(scalar)).utf8)
      default: throw fail("an unknown escape")
      }
    }

    mutating func unit() throws(CheckpointError) -> UInt16 {
      guard position + 4 <= bytes.count,
        let value = UInt16(
          String(decoding: bytes[position..<(position + 4)], as: UTF8.self), radix: 16)
      else { throw fail("\\u needs four hexadecimal digits") }
      position += 4
      return value
    }
  }
}

// MARK: - Writing

extension JSON {
  /// The document on one line.
  public var compact: String {
    var text = ""
    write(into: &text, indent: nil, level: 0)
    return text
  }

  /// The document with two spaces of indentation, short arrays of scalars on one line.
  public var pretty: String {
    var text = ""
    write(into: &text, indent: 2, level: 0)
    return text
  }

  private var isScalar: Bool {
    switch self {
    case .object, .array: false
    default: true
    }
  }

  private func write(into text: inout String, indent: Int?, level: Int) {
    func newline(_ level: Int) {
      guard let indent else { return }
      text += "\n" + String(repeating: " ", count: indent * level)
    }
    switch self {
    case .null: text += "null"
    case .bool(let value): text += value ? "true" : "false"
    case .literal(let literal): text += literal
    case .string(let value): JSON.quote(value, into: &text)
    case .array(let values):
      let oneLine = indent == nil || values.allSatisfy(\.isScalar)
      text += "["
      for (index, value) in values.enumerated() {
        if index > 0 { text += oneLine && indent != nil ? ", " : "," }
        if !oneLine { newline(level + 1) }
        value.write(into: &text, indent: indent, level: level + 1)
      }
      if !oneLine { newline(level) }
      text += "]"
    case .object(let members):
      text += "{"
      for (index, member) in members.enumerated() {
        if index > 0 { text += "," }
        newline(level + 1)
        JSON.quote(member.key, into: &text)
        text += indent == nil ? ":" : ": "
        member.value.write(into: &text, indent: indent, level: level + 1)
      }
      if !members.isEmpty { newline(level) }
      text += "}"
    }
  }

  private static func quote(_ value: String, into text: inout String) {
    text += "\""
    for scalar in value.unicodeScalars {
      switch scalar {
      case "\"": text += "\\\""
      case "\\": text += "\\\\"
      case "\n": text += "\\n"
      case "\r": text += "\\r"
      case "\t": text += "\\t"
      case _ where scalar.value < 0x20:
        let digits = String(scalar.value, radix: 16)
        text += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
      default: text.unicodeScalars.append(scalar)
      }
    }
    text += "\""
  }
}
