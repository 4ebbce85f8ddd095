/// Whose tables of Unicode are meant.
enum UnicodeSource: Sendable {
  /// Python 3.11's `unicodedata` and `str`, Unicode 14.
  case python
  /// The tables compiled into the `tokenizers` package.
  case rust
}

/// The tables of ``UnicodeTables`` in memory, decoded once.
///
/// Swift's own tables are of another version of Unicode, and tokens would change with the toolchain.
struct UnicodeData: Sendable {
  static let shared = UnicodeData()

  private var starts: [UInt32] = []
  private var classes: [CharacterClasses] = []
  private var lower: [UInt32: [UInt32]] = [:]
  private var lowerRust: [UInt32: [UInt32]] = [:]
  private var decompositions: [UInt32: [UInt32]] = [:]
  private var decompositionsRust: [UInt32: [UInt32]] = [:]
  private var compositions: [UInt64: UInt32] = [:]
  private var combining: [UInt32: UInt8] = [:]
  private var notCombiningRust: Set<UInt32> = []

  private init() {
    var position: UInt32 = 0
    for entry in UnicodeData.entries(UnicodeTables.classes) where entry.count == 2 {
      starts.append(position)
      classes.append(CharacterClasses(rawValue: entry[1]))
      position += entry[0]
    }
    for entry in UnicodeData.entries(UnicodeTables.lower) {
      lower[entry[0]] = Array(entry[1...])
    }
    for entry in UnicodeData.entries(UnicodeTables.lowerRust) {
      lowerRust[entry[0]] = Array(entry[1...])
    }
    let notComposed = Set(UnicodeData.entries(UnicodeTables.notComposed).map { $0[0] })
    var steps: [UInt32: [UInt32]] = [:]
    for entry in UnicodeData.entries(UnicodeTables.decompositions) {
      steps[entry[0]] = Array(entry[1...])
      if entry.count == 3, !notComposed.contains(entry[0]) {
        compositions[UInt64(entry[1]) << 32 | UInt64(entry[2])] = entry[0]
      }
    }
    for (scalar, step) in steps {
      // Only the first character of a decomposition decomposes again.
      var full = step
      while let first = full.first, let next = steps[first] { full = next + full.dropFirst() }
      decompositions[scalar] = full
    }
    for entry in UnicodeData.entries(UnicodeTables.decompositionsRust) {
      decompositionsRust[entry[0]] = Array(entry[1...])
    }
    for entry in UnicodeData.entries(UnicodeTables.combining) where entry.count == 3 {
      for offset in 0..<entry[2] { combining[entry[1] + offset] = UInt8(clamping: entry[0]) }
    }
    notCombiningRust = Set(UnicodeData.entries(UnicodeTables.notCombiningRust).map { $0[0] })
  }

  /// Hexadecimal numbers between any of `:=.`, in entries between white space.
  private static func entries(_ text: String) -> [[UInt32]] {
    var entries: [[UInt32]] = []
    var entry: [UInt32] = []
    var number: UInt32?
    for byte in text.utf8 {
      switch byte {
      case UInt8(ascii: "0")...UInt8(ascii: "9"):
        number = (number ?? 0) << 4 | UInt32(byte - UInt8(ascii: "0"))
      case UInt8(ascii: "a")...UInt8(ascii: "f"):
        number = (number ?? 0) << 4 | UInt32(byte - UInt8(ascii: "a") + 10)
      default:
        if let value = number { entry.append(value) }
        number = nil
        if byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\n"), !entry.isEmpty {
          entries.append(entry)
          entry = []
        }
      }
    }
    if let value = number { entry.append(value) }
    if !entry.isEmpty { entries.append(entry) }
    return entries
  }

  /// The classes of a character.
  func classes(of scalar: UInt32) -> CharacterClasses {
    var low = 0
    var high = starts.count
    while high - low > 1 {
      let middle = (low + high) / 2
      if starts[middle] <= scalar { low = middle } else { high = middle }
    }
    return classes[low]
  }

  /// The canonical combining class, 0 for most characters.
  private func combiningClass(_ scalar: UInt32, _ source: UnicodeSource) -> UInt8 {
    guard scalar >= 0x300, classes(of: scalar).contains(.combines) else { return 0 }
    if source == .rust, notCombiningRust.contains(scalar) { return 0 }
    return combining[scalar] ?? 0
  }

  // MARK: - Lower case

  /// Text in lower case: with the final sigma as in Python, character by character in Rust.
  func lowered(_ text: [UInt32], _ source: UnicodeSource) -> [UInt32] {
    var result: [UInt32] = []
    result.reserveCapacity(text.count)
    for (index, scalar) in text.enumerated() {
      if scalar < 0x80 {
        result.append((0x41...0x5a).contains(scalar) ? scalar + 0x20 : scalar)
      } else if scalar == 0x3a3, source == .python, isFinalSigma(text, index) {
        result.append(0x3c2)
      } else if !classes(of: scalar).contains(.lower) {
        result.append(scalar)
      } else if source == .rust, let mapped = lowerRust[scalar] {
        result += mapped
      } else if let mapped = lower[scalar] {
        result += mapped
      } else {
        result.append(scalar)
      }
    }
    return result
  }

  /// Whether a letter stands before, and none after, over characters that case ignores.
  private func isFinalSigma(_ text: [UInt32], _ index: Int) -> Bool {
    func seesLetter(_ positions: some Sequence<Int>) -> Bool {
      for position in positions {
        let classes = classes(of: text[position])
        if !classes.contains(.ignorable) { return classes.contains(.cased) }
      }
      return false
    }
    return seesLetter((0..<index).reversed()) && !seesLetter((index + 1)..<text.count)
  }

  // MARK: - Normal forms

  private static let hangul: ClosedRange<UInt32> = 0xac00...0xd7a3

  /// Normal form D: canonical decomposition and order.
  func decomposed(_ text: [UInt32], _ source: UnicodeSource) -> [UInt32] {
    var result: [UInt32] = []
    result.reserveCapacity(text.count)
    var marks: [(combiningClass: UInt8, scalar: UInt32)] = []
    func flush() {
      guard !marks.isEmpty else { return }
      // Equal classes keep their order.
      for (_, mark) in marks.enumerated().sorted(by: {
        ($0.element.combiningClass, $0.offset) < ($1.element.combiningClass, $1.offset)
      }) {
        result.append(mark.scalar)
      }
      marks.removeAll(keepingCapacity: true)
    }
    func add(_ scalar: UInt32) {
      let value = combiningClass(scalar, source)
      if value == 0 {
        flush()
        result.append(scalar)
      } else {
        marks.append((value, scalar))
      }
    }
    for scalar in text {
      if scalar < 0xc0 {
        flush()
        result.append(scalar)
      } else if UnicodeData.hangul.contains(scalar) {
        let index = scalar - 0xac00
        add(0x1100 + index / 588)
        add(0x1161 + index % 588 / 28)
        if index % 28 != 0 { add(0x11a7 + index % 28) }
      } else if classes(of: scalar).contains(.decomposes) {
        let parts =
          (source == .rust ? decompositionsRust[scalar] : nil) ?? decompositions[scalar]
          ?? [scalar]
        for part in parts { add(part) }
      } else {
        add(scalar)
      }
    }
    flush()
    return result
  }

  /// Normal form C, by Python's tables.
  func composed(_ text: [UInt32]) -> [UInt32] {
    guard text.contains(where: { $0 >= 0x300 }) else { return text }
    var result: [UInt32] = []
    result.reserveCapacity(text.count)
    var starter: Int?
    // The class of the last mark that stayed after the starter; `nil` right after it.
    var last: UInt8?
    for scalar in decomposed(text, .python) {
      let value = combiningClass(scalar, .python)
      if let position = starter, last.map({ $0 < value && $0 != 0 }) ?? true,
        let joined = join(result[position], scalar)
      {
        result[position] = joined
        continue
      }
      result.append(scalar)
      if value == 0 {
        starter = result.count - 1
        last = nil
      } else {
        last = value
      }
    }
    return result
  }

  /// The one character that two make.
  private func join(_ first: UInt32, _ second: UInt32) -> UInt32? {
    if (0x1100...0x1112).contains(first), (0x1161...0x1175).contains(second) {
      return 0xac00 + ((first - 0x1100) * 21 + second - 0x1161) * 28
    }
    if UnicodeData.hangul.contains(first), (first - 0xac00) % 28 == 0,
      (0x11a8...0x11c2).contains(second)
    {
      return first + second - 0x11a7
    }
    return compositions[UInt64(first) << 32 | UInt64(second)]
  }
}
