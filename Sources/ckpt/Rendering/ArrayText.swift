import Glibc

/// Arrays as NumPy prints them: `numpy.array2string` of NumPy 2.4 with its usual options.
///
/// Of more than ``threshold`` elements the first and last three of each axis are shown. One set of
/// digits is chosen for all that is shown: as few as tell each number from its neighbours, at most
/// `precision` behind the point; powers of ten where the sizes are too far apart. Types that NumPy does
/// not have (bfloat16, smaller floats, blocks) are printed as the same numbers in float32.
struct ArrayText {
  static let threshold = 1000
  static let edge = 3

  private let words: [String]
  private let shape: [Int]
  private let shown: [Int]
  private let width: Int
  private let isSummary: Bool

  /// - Parameters:
  ///   - numbers: what ``Numbers/of(_:edge:)`` gives of a tensor of that shape.
  ///   - width: columns of a line.
  init(
    _ numbers: Numbers, shape: [Int], isSummary: Bool, precision: Int = 8, width: Int = 75
  ) {
    self.shape = shape
    self.width = width
    self.isSummary = isSummary
    let edge = ArrayText.edge
    shown = shape.map { isSummary && $0 > 2 * edge ? 2 * edge : $0 }
    words = ArrayText.words(numbers, precision: precision, isScalar: shape.isEmpty)
  }

  private static func words(_ numbers: Numbers, precision: Int, isScalar: Bool) -> [String] {
    func aligned(_ texts: [String]) -> [String] {
      let width = texts.map(\.count).max() ?? 0
      return texts.map { String(repeating: " ", count: width - $0.count) + $0 }
    }
    switch numbers {
    case .integers(let values): return aligned(values.map { "\($0)" })
    case .unsigned(let values): return aligned(values.map { "\($0)" })
    case .bools(let values):
      return values.map { $0 ? isScalar ? "True" : " True" : "False" }
    case .floats(let values, let kind):
      let format = FloatFormat(values, kind, precision: precision)
      return values.map(format.text)
    case .complex(let real, let imaginary, let kind):
      let format = FloatFormat(real, kind, precision: precision)
      let other = FloatFormat(imaginary, kind, precision: precision, hasPlus: true)
      return zip(real, imaginary).map { pair in
        // The unit stands right behind the digits, before blanks that align them.
        let text = other.text(pair.1)
        let digits = text.count - text.reversed().prefix { $0 == " " }.count
        return format.text(pair.0) + text.prefix(digits) + "j" + text.dropFirst(digits)
      }
    }
  }

  /// The lines, without the last one's end.
  var text: String {
    guard !shape.contains(0) else { return "[]" }
    var next = 0
    return text(axis: 0, next: &next, indent: " ", width: width)
  }

  private func text(axis: Int, next: inout Int, indent: String, width: Int) -> String {
    guard axis < shape.count else {
      defer { next += 1 }
      return words[next]
    }
    let isCut = isSummary && shape[axis] > 2 * ArrayText.edge
    let isRow = axis == shape.count - 1
    var text = ""
    var line = indent
    for index in 0..<shown[axis] {
      if isCut, index == ArrayText.edge {
        if isRow {
          extend(&text, &line, "...", indent, width)
          line += " "
        } else {
          text += indent + "..." + String(repeating: "\n", count: shape.count - 1 - axis)
        }
      }
      let part = self.text(axis: axis + 1, next: &next, indent: indent + " ", width: width - 1)
      let isLast = index == shown[axis] - 1
      if isRow {
        extend(&text, &line, part, indent, width)
        line += isLast ? "" : " "
      } else {
        text +=
          indent + part + (isLast ? "" : String(repeating: "\n", count: shape.count - 1 - axis))
      }
    }
    if isRow { text += line }
    return "[" + text.dropFirst(indent.count) + "]"
  }

  private func extend(
    _ text: inout String, _ line: inout String, _ word: String, _ indent: String, _ width: Int
  ) {
    if line.count + word.count > width - 1, line.count > indent.count {
      while line.hasSuffix(" ") { line.removeLast() }
      text += line + "\n"
      line = indent
    }
    line += word
  }
}

/// One way to write all floating-point numbers of an array.
private struct FloatFormat {
  private let kind: Numbers.Precision
  private let hasPlus: Bool
  private var isScientific = false
  /// Digits behind the point: at most, and of powers of ten always.
  private var precision: Int
  /// Columns before and behind the point, with the sign and the blanks that align.
  private var left = 0
  private var right = 0
  /// Digits of the exponent.
  private var exponent = 0

  init(_ values: [Double], _ kind: Numbers.Precision, precision: Int, hasPlus: Bool = false) {
    self.kind = kind
    self.hasPlus = hasPlus
    self.precision = precision
    let finite = values.filter(\.isFinite)
    let magnitudes = finite.map(\.magnitude).filter { $0 != 0 }
    if let largest = magnitudes.max(), let least = magnitudes.min() {
      var limit = 1.0
      for _ in 0..<min(8, kind.digits) { limit *= 10 }
      isScientific =
        largest >= limit || least < kind.rounded(0.0001) || kind.rounded(largest / least) > 1000
    }
    if isScientific {
      let parts = finite.map { Decimal($0, kind).scientific(precision) }
      self.precision = parts.map(\.fraction.count).max() ?? 0
      exponent = parts.map(\.exponent.count).max() ?? 2
      left = finite.map { sign($0).count + 1 }.max() ?? 0
      right = exponent + 2 + self.precision
    } else {
      let parts = finite.map { ($0, Decimal($0, kind).positional(precision)) }
      left = parts.map { sign($0.0).count + $0.1.whole.count }.max() ?? 0
      right = parts.map(\.1.fraction.count).max() ?? 0
    }
    if finite.count < values.count {
      let infinity = 3 + (hasPlus || values.contains(-Double.infinity) ? 1 : 0)
      left = max(left, 3 - right - 1, infinity - right - 1)
    }
  }

  private func sign(_ value: Double) -> String {
    value.sign == .minus ? "-" : hasPlus ? "+" : ""
  }

  func text(_ value: Double) -> String {
    guard value.isFinite else {
      let text = value.isNaN ? (hasPlus ? "+" : "") + "nan" : sign(value) + "inf"
      return String(repeating: " ", count: max(0, left + right + 1 - text.count)) + text
    }
    let decimal = Decimal(value, kind)
    var (head, tail) = (sign(value), "")
    if isScientific {
      // As many digits as all get; where they are more than tell it from its neighbours, its own.
      let parts = decimal.scientific(precision, isExact: true)
      head += parts.whole
      tail = parts.fraction + String(repeating: "0", count: precision - parts.fraction.count) + "e"
      tail += parts.isSmall ? "-" : "+"
      tail += String(repeating: "0", count: exponent - parts.exponent.count) + parts.exponent
    } else {
      let parts = decimal.positional(precision)
      head += parts.whole
      tail = parts.fraction + String(repeating: " ", count: max(0, right - parts.fraction.count))
    }
    return String(repeating: " ", count: max(0, left - head.count)) + head + "." + tail
  }
}

/// A number's magnitude in decimal digits: the shortest ones of its type, or, where fewer are asked for,
/// the number itself rounded to them.
private struct Decimal {
  private let value: Double
  /// Digits without zeros around them, and the power of ten of the first one.
  private var digits: [UInt8]
  private var power: Int

  init(_ value: Double, _ kind: Numbers.Precision) {
    self.value = value.magnitude
    let shortest = Decimal.parsed(kind.shortest(value.magnitude))
    (digits, power) = (shortest.digits, shortest.power)
    // Swift writes all digits of a large half-precision number.
    if kind == .half, value.isFinite, digits.count > 2 {
      for count in 1..<digits.count {
        let fewer = Decimal.parsed(printed("%.*e", count - 1))
        guard Numbers.Precision.half.rounded(fewer.value) == self.value else { continue }
        (digits, power) = (fewer.digits, fewer.power)
        return
      }
    }
  }

  /// `1.25e-05` and `0.0125` as digits and a power.
  private static func parsed(_ text: String) -> (digits: [UInt8], power: Int, value: Double) {
    let value = Double(text) ?? 0
    let halves = text.split(separator: "e")
    var digits: [UInt8] = []
    var power = (halves.count > 1 ? Int(halves[1]) ?? 0 : 0) - 1
    var isFraction = false
    for character in halves[0].utf8 {
      if character == UInt8(ascii: ".") {
        isFraction = true
        continue
      }
      if !isFraction { power += 1 }
      digits.append(character)
    }
    let zeros = digits.prefix { $0 == UInt8(ascii: "0") }.count
    guard zeros < digits.count else { return ([], 0, value) }
    digits.removeFirst(zeros)
    while digits.last == UInt8(ascii: "0") { digits.removeLast() }
    return (digits, power - zeros, value)
  }

  /// The number itself, rounded by the C library, which does so exactly.
  private func printed(_ format: String, _ precision: Int) -> String {
    var buffer = [CChar](repeating: 0, count: 400 + precision)
    let count = withVaList([Int32(precision), value]) { arguments in
      vsnprintf(&buffer, buffer.count, format, arguments)
    }
    return String(
      decoding: buffer.prefix(max(0, Int(count))).map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  /// With at most `precision` digits behind the point, and no zeros at the end.
  func positional(_ precision: Int) -> (whole: String, fraction: String) {
    var (digits, power) = (digits, power)
    if digits.count - 1 - power > precision {
      let rounded = Decimal.parsed(printed("%.*f", precision))
      (digits, power) = (rounded.digits, rounded.power)
    }
    guard !digits.isEmpty else { return ("0", "") }
    let zero = UInt8(ascii: "0")
    if power < 0 {
      return ("0", text([UInt8](repeating: zero, count: -power - 1) + digits))
    }
    let whole = digits.prefix(power + 1)
    return (
      text(whole + [UInt8](repeating: zero, count: power + 1 - whole.count)),
      text(digits.dropFirst(power + 1))
    )
  }

  /// One digit before the point, at most `precision` behind it.
  func scientific(_ precision: Int, isExact: Bool = false) -> (
    whole: String, fraction: String, exponent: String, isSmall: Bool
  ) {
    var (digits, power) = (digits, power)
    if digits.count > precision + 1 || isExact {
      let rounded = Decimal.parsed(printed("%.*e", precision))
      (digits, power) = (rounded.digits, rounded.power)
    }
    guard let first = digits.first else { return ("0", "", "00", false) }
    let exponent = "\(power.magnitude)"
    return (
      text([first]), text(digits.dropFirst()), exponent.count < 2 ? "0" + exponent : exponent,
      power < 0
    )
  }

  private func text(_ digits: some Sequence<UInt8>) -> String {
    String(decoding: Array(digits), as: UTF8.self)
  }
}
