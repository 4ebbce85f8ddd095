/// A name with numbered places: `layers.{i}.attention.query.kernel`; `Encoder-{i+1}` counts from 1.
struct Template: Sendable, ExpressibleByStringLiteral {
  private enum Part: Sendable {
    case text([UInt8])
    case number(String, offset: Int)
  }

  let text: String
  private let parts: [Part]

  init(_ text: String) {
    self.text = text
    var parts: [Part] = []
    var rest = text[...]
    while let open = rest.firstIndex(of: "{"), let close = rest[open...].firstIndex(of: "}") {
      if open > rest.startIndex { parts.append(.text(Array(rest[..<open].utf8))) }
      let place = rest[rest.index(after: open)..<close].split(separator: "+")
      parts.append(
        .number(
          place.first.map(String.init) ?? "",
          offset: place.count > 1 ? Int(place[1]) ?? 0 : 0))
      rest = rest[rest.index(after: close)...]
    }
    if !rest.isEmpty { parts.append(.text(Array(rest.utf8))) }
    self.parts = parts
  }

  init(stringLiteral text: String) { self.init(text) }

  /// The numbers at the places, when `name` has this form.
  func match(_ name: String) -> [String: Int]? {
    var rest = Array(name.utf8)[...]
    var numbers: [String: Int] = [:]
    for part in parts {
      switch part {
      case .text(let bytes):
        guard rest.starts(with: bytes) else { return nil }
        rest = rest.dropFirst(bytes.count)
      case .number(let key, let offset):
        let digits = rest.prefix { (0x30...0x39).contains($0) }
        guard !digits.isEmpty, digits.count < 7, digits.count == 1 || digits.first != 0x30,
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
      case .number(let key, let offset): String((numbers[key] ?? 0) + offset)
      }
    }.joined()
  }
}
