/// The file `checkpoint` beside TensorFlow's checkpoints: the latest one and all that are kept.
///
/// Source: `tensorflow/python/training/checkpoint_state.proto`, in protocol buffers' text format.
struct CheckpointState: Equatable {
  /// The prefix of the latest checkpoint: absolute, or from the file's folder.
  var latest: String
  var all: [String]

  static let fileName = "checkpoint"
  private static let latestKey = "model_checkpoint_path"
  private static let allKey = "all_model_checkpoint_paths"
  private static let largest = 16 << 20

  init(latest: String, all: [String]) {
    self.latest = latest
    self.all = all
  }

  static func recognises(_ head: [UInt8]) -> Bool {
    var text = head[...]
    while true {
      text = text.drop { [0x20, 0x09, 0x0a, 0x0d].contains($0) }
      guard text.first == UInt8(ascii: "#") else { break }
      text = text.drop { $0 != 0x0a }
    }
    return text.starts(with: Array(latestKey.utf8)) || text.starts(with: Array(allKey.utf8))
  }

  /// - Throws: ``CheckpointError`` when the text names no checkpoint.
  init(reading path: String) throws(CheckpointError) {
    let bytes = try File.contents(of: path, limit: CheckpointState.largest)
    do throws(CheckpointError) {
      try self.init(parsing: bytes)
    } catch {
      throw error.at(.file(path))
    }
  }

  init(parsing bytes: [UInt8]) throws(CheckpointError) {
    var latest: String?
    var all: [String] = []
    var scanner = TextProto(bytes)
    while let (key, text) = try scanner.next() {
      guard let text else { continue }
      if key == CheckpointState.latestKey { latest = text }
      if key == CheckpointState.allKey { all.append(text) }
    }
    guard let latest, !latest.isEmpty else {
      throw CheckpointError(.damaged, Place(), "has no \(CheckpointState.latestKey)")
    }
    self.init(latest: latest, all: all)
  }

  var bytes: [UInt8] {
    var text = "\(CheckpointState.latestKey): \(TextProto.quoted(latest))\n"
    for path in all { text += "\(CheckpointState.allKey): \(TextProto.quoted(path))\n" }
    return Array(text.utf8)
  }
}

/// The text format of protocol buffers, as far as flat messages of texts and numbers go.
///
/// Source: protobuf.dev, "Text Format Language Specification".
private struct TextProto {
  private let bytes: [UInt8]
  private var position = 0

  init(_ bytes: [UInt8]) { self.bytes = bytes }

  /// The next field, with its text if it is one.
  mutating func next() throws(CheckpointError) -> (key: String, text: String?)? {
    skipSpace()
    guard position < bytes.count else { return nil }
    let key = word()
    skipSpace()
    guard !key.isEmpty, take(":") else { throw fail("a field's name and a colon are expected") }
    skipSpace()
    var text: [UInt8]?
    // Texts in a row are one.
    while let quote = current, quote == UInt8(ascii: "\"") || quote == UInt8(ascii: "'") {
      text = (text ?? []) + (try quoted(quote))
      skipSpace()
    }
    guard let text else {
      guard !word().isEmpty else { throw fail("a value is expected") }
      return (key, nil)
    }
    guard let string = String(validating: text, as: UTF8.self) else {
      throw fail("the text of \(key) is not UTF-8")
    }
    return (key, string)
  }

  private var current: UInt8? { position < bytes.count ? bytes[position] : nil }

  private func fail(_ reason: String) -> CheckpointError {
    CheckpointError(.damaged, Place(offset: position), reason)
  }

  private mutating func take(_ character: Unicode.Scalar) -> Bool {
    guard current == UInt8(ascii: character) else { return false }
    position += 1
    return true
  }

  /// White space, comments, and what may part fields.
  private mutating func skipSpace() {
    while let byte = current {
      if byte == UInt8(ascii: "#") {
        while let byte = current, byte != 0x0a { position += 1 }
      } else if byte <= 0x20 || byte == UInt8(ascii: ",") || byte == UInt8(ascii: ";") {
        position += 1
      } else {
        return
      }
    }
  }

  /// A name or a number.
  private mutating func word() -> String {
    let start = position
    while let byte = current, byte > 0x20, !"\"':#,;{}<>[]".utf8.contains(byte) { position += 1 }
    return String(decoding: bytes[start..<position], as: UTF8.self)
  }

  private mutating func quoted(_ quote: UInt8) throws(CheckpointError) -> [UInt8] {
    position += 1
    var text: [UInt8] = []
    while let byte = current, byte != quote, byte != 0x0a {
      position += 1
      text.append(byte == UInt8(ascii: "\\") ? try escaped() : byte)
    }
    guard take(Unicode.Scalar(quote)) else { throw fail("a text does not end") }
    return text
  }

  private mutating func escaped() throws(CheckpointError) -> UInt8 {
    guard let byte = current else { throw fail("a text does not end") }
    position += 1
    switch byte {
    case UInt8(ascii: "n"): return 0x0a
    case UInt8(ascii: "r"): return 0x0d
    case UInt8(ascii: "t"): return 0x09
    case UInt8(ascii: "\\"), UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: "?"): return byte
    case UInt8(ascii: "x"), UInt8(ascii: "X"): return try number(radix: 16, longest: 2)
    case UInt8(ascii: "0")...UInt8(ascii: "7"):
      position -= 1
      return try number(radix: 8, longest: 3)
    default: throw fail("the escape \\\(Character(Unicode.Scalar(byte))) is unknown")
    }
  }

  private mutating func number(radix: Int, longest: Int) throws(CheckpointError) -> UInt8 {
    var digits = ""
    while digits.utf8.count < longest, let byte = current,
      Int(String(Unicode.Scalar(byte)), radix: radix) != nil
    {
      digits.unicodeScalars.append(Unicode.Scalar(byte))
      position += 1
    }
    guard let value = UInt8(digits, radix: radix) else { throw fail("an escape is no byte") }
    return value
  }

  /// A text in quotes, with everything but printable ASCII escaped, as TensorFlow writes it.
  static func quoted(_ text: String) -> String {
    var result = "\""
    for byte in text.utf8 {
      switch byte {
      case 0x0a: result += "\\n"
      case 0x0d: result += "\\r"
      case 0x09: result += "\\t"
      case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "'"):
        result += "\\" + String(Unicode.Scalar(byte))
      case 0x20..<0x7f: result += String(Unicode.Scalar(byte))
      default:
        let digits = String(byte, radix: 8)
        result += "\\" + String(repeating: "0", count: 3 - digits.count) + digits
      }
    }
    return result + "\""
  }
}
