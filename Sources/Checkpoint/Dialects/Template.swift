/// A name with numbered places: `layers.{i}.attention.query.kernel`.
///
/// `Encoder-{i+1}` counts from 1; `block_{i:3}` has at least three digits.
struct Template: Sendable, ExpressibleByStringLiteral {
  private enum Part: Sendable {
    case text([UInt8])
    case number(String, offset: Int, digits: Int)
  }

  let text: String
  private let parts: [Part]

  init(_ text: String) {
    self.text = text
    var parts: [Part] = []
    var rest = text[...]
    while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
      if open > rest.startIndex { parts.append(.text(Array(rest[..<open].utf8))) }
      let place = rest[rest.index(after: open)..<close].split(separator: ":").map(String.init)
      let key = place[0].split(separator: "+").map(String.init)
      parts.append(
        .number(
          key[0], offset: key.count > 1 ? Int(key[1]) ?? 0 : 0,
          digits: place.count > 1 ? Int(place[1]) ?? 1 : 1))
      rest = rest[rest.index(after: close)...]
    }
    if !rest.isEmpty { parts.append(.text(Array(rest.utf8))) }
    self.parts = parts
  }

  init(stringLiteral text: String) { self.init(text) }

  /// The numbers at the places, when `name` has this form.
  func match(_ name: String) -> [String: Int]? { match(Array(name.utf8)) }

  /// The same for a name in bytes, for those who try many forms.
  func match(_ name: [UInt8]) -> [String: Int]? {
    var rest = name[...]
    var numbers: [String: Int] = [:]
    for part in parts {
      switch part {
      case .text(let bytes):
        guard rest.starts(with: bytes) else { return nil }
        rest = rest.dropFirst(bytes.count)
      case .number(let key, let offset, let least):
        let digits = rest.prefix { (0x30...0x39).contains($0) }
        guard digits.count >= least, digits.count < 7,
          digits.count == least || digits.first != 0x30,
          let number = Int(String(decoding: digits, as: UTF8.self)), number >= offset
        else { return nil }
        numbers[key] = number - offset
        rest = rest.dropFirst(digits.count)
      }
    }
    return rest.isEmpty ? numbers : nil
  }

  /// The name with these numbers.
  func filled(_ numbers: [String: Int]) -> String {
    parts.map { part in
      switch part {
      case .text(let bytes): String(decoding: bytes, as: UTF8.self)
      case .number(let key, let offset, let least):
        Template.padded((numbers[key] ?? 0) + offset, to: least)
      }
    }.joined()
  }

  private static func padded(_ number: Int, to least: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, least - digits.count)) + digits
  }
}
