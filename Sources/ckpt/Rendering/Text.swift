/// Numbers and names for people.
enum Text {
  /// Columns that `text` takes on a terminal; what ``Terminal`` styles takes none.
  ///
  /// A cluster that is drawn as one emoji (joined, with a skin tone, a flag) takes two; of any other
  /// the characters count one by one.
  static func width(_ text: String) -> Int {
    // Printable ASCII, as most names are.
    if text.utf8.allSatisfy({ (0x20..<0x7f).contains($0) }) { return text.utf8.count }
    return Terminal.unstyled(text).reduce(0) { $0 + width($1) }
  }

  static func width(_ character: Character) -> Int {
    let scalars = character.unicodeScalars
    guard let first = scalars.first else { return 0 }
    guard scalars.count > 1 else { return width(first) }
    // The selector of emoji style, tones of skin, joiners and flags make one picture.
    let isPicture = scalars.dropFirst().contains {
      $0.value == 0xfe0f || (0x1f3fb...0x1f3ff).contains($0.value)
        || (0x1f1e6...0x1f1ff).contains($0.value)
        || ($0.value == 0x200d && width(first) == 2)
    }
    return isPicture ? 2 : scalars.reduce(0) { $0 + width($1) }
  }

  private static func width(_ scalar: Unicode.Scalar) -> Int {
    let value = scalar.value
    if value < 0xa0 { return (0x20..<0x7f).contains(value) ? 1 : 0 }
    if value >= 0x1100, contains(WidthTables.two, value) { return 2 }
    return value >= 0x300 && contains(WidthTables.zero, value) ? 0 : 1
  }

  /// Whether one of the ranges, given as first and last in turn, holds `value`.
  private static func contains(_ ranges: [UInt32], _ value: UInt32) -> Bool {
    var (low, high) = (0, ranges.count / 2)
    while low < high {
      let middle = (low + high) / 2
      if ranges[2 * middle + 1] < value { low = middle + 1 } else { high = middle }
    }
    return 2 * low < ranges.count && ranges[2 * low] <= value
  }

  /// `text` in at most `columns`, its middle replaced by `…`, because names differ at both ends.
  static func shortened(_ text: String, to columns: Int) -> String {
    guard width(text) > columns else { return text }
    guard columns > 1 else { return columns == 1 ? "…" : "" }
    // The end tells more: what the tensor is of its layer.
    let end = columns / 2
    let head = prefix(Array(text), columns - 1 - end)
    let tail = prefix(text.reversed(), columns - 1 - width(head)).reversed()
    return head + "…" + String(tail)
  }

  /// `text` in at most `columns`, its end replaced by `…`, and its styles left out for it.
  static func cut(_ text: String, to columns: Int) -> String {
    guard width(text) > columns else { return text }
    return columns < 1 ? "" : prefix(Array(Terminal.unstyled(text)), columns - 1) + "…"
  }

  /// As many characters as fit into `columns`.
  private static func prefix(_ characters: [Character], _ columns: Int) -> String {
    var (result, used) = ("", 0)
    for character in characters {
      let more = width(character)
      guard used + more <= columns else { break }
      result.append(character)
      used += more
    }
    return result
  }

  /// `text` in lines of at most `columns`, broken at blanks, and inside of words that are longer and
  /// between wide characters.
  static func wrapped(_ text: String, to columns: Int) -> [String] {
    guard width(text) > columns, columns > 0 else { return [text] }
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ", omittingEmptySubsequences: false) {
      var word = String(word)
      if !line.isEmpty {
        if width(line) + 1 + width(word) <= columns {
          line += " " + word
          continue
        }
        lines.append(line)
      }
      while width(word) > columns {
        let part = prefix(Array(word), columns)
        guard !part.isEmpty else { break }
        lines.append(part)
        word.removeFirst(part.count)
      }
      line = word
    }
    return line.isEmpty ? lines : lines + [line]
  }

  /// A name as it can be shown: what would move the cursor, change colours or turn the direction of
  /// writing is spelled as JSON spells it, `\u001b`.
  static func printable(_ text: String) -> String { escaped(text) { $0.value >= 0x20 } }

  /// The same for text that has lines.
  static func printableLines(_ text: String) -> String {
    escaped(text) { $0.value >= 0x20 || $0 == "\n" }
  }

  private static func escaped(
    _ text: String, _ isPlain: (Unicode.Scalar) -> Bool
  ) -> String {
    func isHarmless(_ scalar: Unicode.Scalar) -> Bool {
      switch scalar.value {
      case 0x7f..<0xa0, 0x61c, 0x200e, 0x200f, 0x2028...0x202e, 0x2066...0x2069: false
      default: isPlain(scalar)
      }
    }
    guard !text.unicodeScalars.allSatisfy(isHarmless) else { return text }
    var result = String.UnicodeScalarView()
    for scalar in text.unicodeScalars {
      if isHarmless(scalar) {
        result.append(scalar)
      } else if scalar == "\n" || scalar == "\t" {
        result.append(contentsOf: (scalar == "\n" ? "\\n" : "\\t").unicodeScalars)
      } else {
        let digits = String(scalar.value, radix: 16)
        result.append(
          contentsOf: ("\\u" + String(repeating: "0", count: 4 - digits.count) + digits)
            .unicodeScalars)
      }
    }
    return String(result)
  }

  /// `1234567` → `1,234,567`.
  static func grouped(_ number: Int) -> String {
    let digits = Array(String(number.magnitude))
    var text = number < 0 ? "-" : ""
    for (index, digit) in digits.enumerated() {
      if index > 0, (digits.count - index) % 3 == 0 { text += "," }
      text.append(digit)
    }
    return text
  }

  /// `1536` → `1.5 KB`; bytes are counted in powers of 1,000, as disks are.
  static func bytes(_ count: Int) -> String {
    guard count >= 1000 else { return "\(count) B" }
    var value = Double(count)
    var unit = ""
    for next in ["KB", "MB", "GB", "TB"] where value >= 999.5 || unit.isEmpty {
      value /= 1000
      unit = next
    }
    return "\(decimal(value, value < 10 ? 2 : value < 100 ? 1 : 0)) \(unit)"
  }

  /// `0.000012345` → `1.2e-05`; 0 stays `0`.
  static func small(_ value: Double) -> String {
    guard value.isFinite else { return value.isNaN ? "nan" : value < 0 ? "-inf" : "inf" }
    guard value != 0 else { return "0" }
    var exponent = 0
    var mantissa = abs(value)
    while mantissa >= 9.95 { mantissa /= 10; exponent += 1 }
    while mantissa < 0.995 { mantissa *= 10; exponent -= 1 }
    let power = exponent.magnitude < 10 ? "0\(exponent.magnitude)" : "\(exponent.magnitude)"
    return (value < 0 ? "-" : "") + decimal(mantissa, 1) + "e" + (exponent < 0 ? "-" : "+") + power
  }

  /// A number with a fixed count of decimals.
  static func decimal(_ value: Double, _ decimals: Int) -> String {
    guard value.isFinite, abs(value) < 1e15 else { return "\(value)" }
    var scale = 1.0
    for _ in 0..<decimals { scale *= 10 }
    let rounded = Int((abs(value) * scale).rounded())
    var digits = String(rounded)
    while digits.count <= decimals { digits = "0" + digits }
    let split = digits.index(digits.endIndex, offsetBy: -decimals)
    let sign = value < 0 && rounded > 0 ? "-" : ""
    return sign + digits[..<split] + (decimals > 0 ? "." + digits[split...] : "")
  }

  static func plural(_ count: Int, _ one: String, _ many: String? = nil) -> String {
    "\(grouped(count)) \(count == 1 ? one : many ?? one + "s")"
  }
}
