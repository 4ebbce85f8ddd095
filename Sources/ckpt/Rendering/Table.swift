/// Aligned columns; wide (Chinese) characters count twice.
struct Table {
  enum Alignment { case left, right }

  private let alignments: [Alignment]
  private var header: [String]?
  private var rows: [[String]] = []

  init(_ alignments: [Alignment], header: [String]? = nil) {
    self.alignments = alignments
    self.header = header
  }

  mutating func add(_ cells: String...) { rows.append(cells) }
  mutating func add(_ cells: [String]) { rows.append(cells) }

  /// The lines, the header dimmed.
  func lines(_ terminal: Terminal) -> [String] {
    let all = (header.map { [$0] } ?? []) + rows
    let widths = alignments.indices.map { column in
      all.map { $0.count > column ? Text.width($0[column]) : 0 }.max() ?? 0
    }
    return all.enumerated().map { index, row in
      var line = ""
      for column in alignments.indices where column < row.count {
        let pad = String(repeating: " ", count: max(0, widths[column] - Text.width(row[column])))
        line += column > 0 ? "  " : ""
        line += alignments[column] == .left ? row[column] + pad : pad + row[column]
      }
      while line.hasSuffix(" ") { line.removeLast() }
      return index == 0 && header != nil ? terminal.dim(line) : line
    }
  }

  func print(_ terminal: Terminal = .output, indent: String = "") {
    for line in lines(terminal) { Swift.print(indent + line) }
  }
}

/// Numbers and names for people.
enum Text {
  /// Columns that `text` takes on a terminal.
  static func width(_ text: String) -> Int {
    text.unicodeScalars.reduce(0) { width, scalar in
      switch scalar.value {
      case 0..<0x20, 0x7f..<0xa0, 0x300..<0x370, 0x200b...0x200f, 0xfe00...0xfe0f: width
      case 0x1100...0x115f, 0x2e80...0x303e, 0x3041...0xa4cf, 0xac00...0xd7a3, 0xf900...0xfaff,
        0xfe30...0xfe6f, 0xff00...0xff60, 0xffe0...0xffe6, 0x1f300...0x1f64f, 0x1f900...0x1f9ff,
        0x20000...0x3fffd:
        width + 2
      default: width + 1
      }
    }
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
