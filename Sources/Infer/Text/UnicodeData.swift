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

  /// For each 256 characters where their classes begin in `classes`.
  private var pages: [Int32] = []
  private var classes: [CharacterClasses] = []
  private var lower: [UInt32: [UInt32]] = [:]
  private var lowerRust: [UInt32: [UInt32]] = [:]
  private var decompositions: [UInt32: [UInt32]] = [:]
  private var decompositionsRust: [UInt32: [UInt32]] = [:]
  private var compatibility: [UInt32: [UInt32]] = [:]
  private var compositions: [UInt64: UInt32] = [:]
  private var combining: [UInt32: UInt8] = [:]
  private var notCombiningRust: Set<UInt32> = []

  private init() {
    addPages()
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
    for entry in UnicodeData.entries(UnicodeTables.compatibility) {
      compatibility[entry[0]] = Array(entry[1...])
    }
    for entry in UnicodeData.entries(UnicodeTables.combining) where entry.count == 3 {
      for offset in 0..<entry[2] { combining[entry[1] + offset] = UInt8(clamping: entry[0]) }
    }
    notCombiningRust = Set(UnicodeData.entries(UnicodeTables.notCombiningRust).map { $0[0] })
  }

  /// Runs of equal classes as pages; those of one class only are shared.
  private mutating func addPages() {
    var uniform: [UInt32: Int32] = [:]
    // Classes of the page that is being filled.
    var open: [CharacterClasses] = []
    for entry in UnicodeData.entries(UnicodeTables.classes) where entry.count == 2 {
      let value = CharacterClasses(rawValue: entry[1])
      var left = Int(entry[0])
      while left > 0 {
        if open.isEmpty, left >= 256 {
          let page = uniform[value.rawValue] ?? Int32(classes.count)
          if uniform.updateValue(page, forKey: value.rawValue) == nil {
            classes += repeatElement(value, count: 256)
          }
          pages += repeatElement(page, count: left / 256)
          left %= 256
        } else {
          let count = min(left, 256 - open.count)
          open += repeatElement(value, count: count)
          left -= count
          if open.count == 256 {
            pages.append(Int32(classes.count))
            classes += open
            open = []
          }
        }
      }
    }
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
    classes[Int(pages[Int(scalar >> 8)]) + Int(scalar & 0xff)]
  }

  /// The canonical combining class, 0 for most characters.
  private func combiningClass(_ scalar: UInt32, _ source: UnicodeSource) -> UInt8 {
    guard scalar >= 0x300, classes(of: scalar).contains(.combines) else { return 0 }
    if source == .rust, notCombiningRust.contains(scalar) { return 0 }
    return combining[scalar] ?? 0
  }

  // MARK: - Lower case

  /// Puts text into lower case: with the final sigma as in Python, character by character in Rust.
  func lower(_ text: inout AlignedText, _ source: UnicodeSource) {
    var changes: [AlignedText.Change]?
    for index in text.scalars.indices {
      let scalar = text.scalars[index]
      var mapped: [UInt32]?
      var single = scalar
      if scalar < 0x80 {
        if (0x41...0x5a).contains(scalar) { single = scalar + 0x20 }
      } else if scalar == 0x3a3, source == .python {
        single = isFinalSigma(text.scalars, index) ? 0x3c2 : 0x3c3
      } else if classes(of: scalar).contains(.lower) {
        mapped = (source == .rust ? lowerRust[scalar] : nil) ?? lower[scalar]
        if let only = mapped, only.count == 1 { (single, mapped) = (only[0], nil) }
      }
      if let mapped {
        // The one character that becomes several: from here on characters are listed.
        if changes == nil {
          changes = text.scalars[..<index].map { AlignedText.Change($0, 0) }
          changes?.reserveCapacity(text.scalars.count + 1)
        }
        for (part, value) in mapped.enumerated() {
          changes?.append(AlignedText.Change(value, part == 0 ? 0 : 1))
        }
      } else if changes != nil {
        changes?.append(AlignedText.Change(single, 0))
      } else if single != scalar {
        // Of what is still to be asked, a sigma looks back only at what case does not change.
        text.scalars[index] = single
      }
    }
    if let changes { text.transform(changes) }
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

  /// Normal forms D and KD: decomposition and canonical order.
  func decompose(
    _ text: inout AlignedText, _ source: UnicodeSource, compatible: Bool = false
  ) {
    guard let changes = decomposition(of: text.scalars, source, compatible) else { return }
    text.transform(changes)
  }

  /// What decomposition makes of text; `nil` where it changes nothing.
  private func decomposition(
    of text: [UInt32], _ source: UnicodeSource, _ compatible: Bool
  ) -> [AlignedText.Change]? {
    let first = text.firstIndex { scalar in
      scalar >= 0xa0
        && (UnicodeData.hangul.contains(scalar)
          || !classes(of: scalar).isDisjoint(with: [.decomposes, .combines])
          || compatible && compatibility[scalar] != nil)
    }
    guard let first else { return nil }
    var result: [AlignedText.Change] = []
    result.reserveCapacity(text.count + 8)
    for scalar in text[..<first] { result.append(AlignedText.Change(scalar, 0)) }
    var marks: [(combiningClass: UInt8, change: AlignedText.Change)] = []
    func flush() {
      guard !marks.isEmpty else { return }
      if marks.count > 1 {
        // Equal classes keep their order.
        marks = marks.enumerated().sorted {
          ($0.element.combiningClass, $0.offset) < ($1.element.combiningClass, $1.offset)
        }.map(\.element)
      }
      for mark in marks { result.append(mark.change) }
      marks.removeAll(keepingCapacity: true)
    }
    func add(_ scalar: UInt32, isFirst: Bool) {
      let change = AlignedText.Change(scalar, isFirst ? 0 : 1)
      let value = combiningClass(scalar, source)
      if value == 0 {
        flush()
        result.append(change)
      } else {
        marks.append((value, change))
      }
    }
    for scalar in text[first...] {
      if scalar < 0xa0 {
        flush()
        result.append(AlignedText.Change(scalar, 0))
      } else if UnicodeData.hangul.contains(scalar) {
        let index = scalar - 0xac00
        add(0x1100 + index / 588, isFirst: true)
        add(0x1161 + index % 588 / 28, isFirst: false)
        if index % 28 != 0 { add(0x11a7 + index % 28, isFirst: false) }
      } else if let parts = parts(of: scalar, source, compatible) {
        for (index, part) in parts.enumerated() { add(part, isFirst: index == 0) }
      } else {
        add(scalar, isFirst: true)
      }
    }
    flush()
    return result
  }

  private func parts(
    of scalar: UInt32, _ source: UnicodeSource, _ compatible: Bool
  ) -> [UInt32]? {
    if compatible, let parts = compatibility[scalar] { return parts }
    guard classes(of: scalar).contains(.decomposes) else { return nil }
    return (source == .rust ? decompositionsRust[scalar] : nil) ?? decompositions[scalar]
  }

  /// Normal forms C and KC.
  func compose(_ text: inout AlignedText, _ source: UnicodeSource, compatible: Bool = false) {
    let needed = text.scalars.contains {
      $0 >= 0x300 || compatible && $0 >= 0xa0 && compatibility[$0] != nil
    }
    guard needed else { return }
    let parts =
      decomposition(of: text.scalars, source, compatible)
      ?? text.scalars.map { AlignedText.Change($0, 0) }
    var result: [AlignedText.Change] = []
    result.reserveCapacity(parts.count)
    var starter: Int?
    // The class of the last mark that stayed after the starter; `nil` right after it.
    var last: UInt8?
    for part in parts {
      let value = combiningClass(part.scalar, source)
      if let position = starter, last.map({ $0 < value && $0 != 0 }) ?? true,
        let joined = join(result[position].scalar, part.scalar, source)
      {
        result[position].scalar = joined
        result[position].change += part.change - 1
        continue
      }
      result.append(part)
      if value == 0 {
        starter = result.count - 1
        last = nil
      } else {
        last = value
      }
    }
    text.transform(result)
  }

  /// The one character that two make.
  private func join(_ first: UInt32, _ second: UInt32, _ source: UnicodeSource) -> UInt32? {
    if (0x1100...0x1112).contains(first), (0x1161...0x1175).contains(second) {
      return 0xac00 + ((first - 0x1100) * 21 + second - 0x1161) * 28
    }
    if UnicodeData.hangul.contains(first), (first - 0xac00) % 28 == 0,
      (0x11a8...0x11c2).contains(second)
    {
      return first + second - 0x11a7
    }
    let joined = compositions[UInt64(first) << 32 | UInt64(second)]
    // What a library of an older Unicode does not decompose it does not compose.
    if source == .rust, let joined, let parts = decompositionsRust[joined], parts == [joined] {
      return nil
    }
    return joined
  }
}
