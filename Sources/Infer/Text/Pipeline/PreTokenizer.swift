/// Text with the parts into which it has been split; characters outside of them are gone.
struct SplitText {
  var text: AlignedText
  var ranges: [Range<Int>]

  init(_ text: AlignedText) {
    self.text = text
    ranges = text.count > 0 ? [0..<text.count] : []
  }
}

/// How text is split before pieces are made, as the `tokenizers` package does it.
indirect enum PreTokenizer: Sendable {
  case sequence([PreTokenizer])
  /// Blanks are gone, punctuation stands alone.
  case bert
  /// `\w+|[^\w\s]+`.
  case whitespace
  case whitespaceSplit
  /// Each character of punctuation stands alone.
  case punctuation
  /// Numbers stand alone, or each digit does.
  case digits(single: Bool)
  case metaspace(replacement: UInt32, prepend: Prepend, splits: Bool)
  case byteLevel(prefixSpace: Bool, splits: Bool)

  enum Prepend: String, Sendable {
    case always, first, never
  }

  func callAsFunction(_ split: inout SplitText) {
    let unicode = UnicodeData.shared
    switch self {
    case .sequence(let steps): for step in steps { step(&split) }
    case .bert:
      divide(&split) { scalar in
        let classes = unicode.classes(of: scalar)
        return classes.contains(.rustSpace)
          ? .gone : classes.contains(.rustPunctuation) ? .alone : .with(0)
      }
    case .whitespace:
      divide(&split) { scalar in
        let classes = unicode.classes(of: scalar)
        return classes.contains(.wordCharacter)
          ? .with(0) : classes.contains(.rustSpace) ? .gone : .with(1)
      }
    case .whitespaceSplit:
      divide(&split) { unicode.classes(of: $0).contains(.rustSpace) ? .gone : .with(0) }
    case .punctuation:
      divide(&split) { unicode.classes(of: $0).contains(.rustPunctuation) ? .alone : .with(0) }
    case .digits(let single):
      divide(&split) {
        unicode.classes(of: $0).contains(.number) ? (single ? .alone : .with(1)) : .with(0)
      }
    case .metaspace(let replacement, let prepend, let splits):
      metaspace(&split, replacement, prepend, splits)
    case .byteLevel(let prefixSpace, let splits): byteLevel(&split, prefixSpace, splits)
    }
  }

  // MARK: - Character by character

  private enum Place: Equatable {
    case gone
    /// A part of its own.
    case alone
    /// With its neighbours of the same number.
    case with(Int)
  }

  private func divide(_ split: inout SplitText, _ place: (UInt32) -> Place) {
    var ranges: [Range<Int>] = []
    ranges.reserveCapacity(split.ranges.count)
    for range in split.ranges {
      var start = range.lowerBound
      var current: Place?
      for index in range {
        let next = place(split.text.scalars[index])
        if let last = current, last != next || next == .alone {
          if last != .gone { ranges.append(start..<index) }
          start = index
        }
        current = next
      }
      if let last = current, last != .gone { ranges.append(start..<range.upperBound) }
    }
    split.ranges = ranges
  }

  // MARK: - Metaspace

  /// Blanks become the replacement, which begins a part.
  private func metaspace(
    _ split: inout SplitText, _ replacement: UInt32, _ prepend: Prepend, _ splits: Bool
  ) {
    var text = AlignedText()
    text.scalars.reserveCapacity(split.text.count + split.ranges.count)
    text.spans.reserveCapacity(split.text.count + split.ranges.count)
    var ranges: [Range<Int>] = []
    ranges.reserveCapacity(split.ranges.count)
    for range in split.ranges where !range.isEmpty {
      let first = split.text.scalars[range.lowerBound]
      let isFirst = split.text.spans[range.lowerBound].start == 0
      var start = text.count
      if first != 0x20, first != replacement, prepend == .always || prepend == .first && isFirst {
        text.append(replacement, split.text.spans[range.lowerBound])
      }
      for index in range {
        var scalar = split.text.scalars[index]
        if scalar == 0x20 { scalar = replacement }
        if splits, scalar == replacement, text.count > start {
          ranges.append(start..<text.count)
          start = text.count
        }
        text.append(scalar, split.text.spans[index])
      }
      ranges.append(start..<text.count)
    }
    split.text = text
    split.ranges = ranges
  }

  // MARK: - Bytes

  /// Characters become their bytes in UTF-8, each written as one visible character.
  private func byteLevel(_ split: inout SplitText, _ prefixSpace: Bool, _ splits: Bool) {
    var text = AlignedText()
    text.scalars.reserveCapacity(split.text.count * 2)
    text.spans.reserveCapacity(split.text.count * 2)
    var ranges: [Range<Int>] = []
    for range in split.ranges where !range.isEmpty {
      var part = split.text
      var bounds = range
      if prefixSpace, part.scalars[range.lowerBound] != 0x20 {
        part = part[range]
        part.prepend([0x20])
        bounds = 0..<part.count
      }
      var position = bounds.lowerBound
      while position < bounds.upperBound {
        let end =
          splits
          ? ByteLevel.wordEnd(part.scalars, position, bounds.upperBound) : bounds.upperBound
        let start = text.count
        for index in position..<end {
          ByteLevel.forBytes(of: part.scalars[index]) {
            text.append(ByteLevel.characters[Int($0)], part.spans[index])
          }
        }
        ranges.append(start..<text.count)
        position = end
      }
    }
    split.text = text
    split.ranges = ranges
  }
}

/// GPT-2's spelling of bytes as visible characters, and its pattern of words.
enum ByteLevel {
  /// The character of each byte.
  static let characters: [UInt32] = {
    var next: UInt32 = 256
    return (0..<256).map { byte in
      switch byte {
      case 0x21...0x7e, 0xa1...0xac, 0xae...0xff: return UInt32(byte)
      default:
        next += 1
        return next - 1
      }
    }
  }()

  /// The byte of each character.
  static let bytes: [UInt32: UInt8] = characters.enumerated().reduce(into: [:]) {
    $0[$1.element] = UInt8(truncatingIfNeeded: $1.offset)
  }

  @inline(__always)
  static func forBytes(of scalar: UInt32, _ body: (UInt8) -> Void) {
    switch scalar {
    case 0..<0x80: body(UInt8(truncatingIfNeeded: scalar))
    case 0x80..<0x800:
      body(UInt8(truncatingIfNeeded: 0xc0 | scalar >> 6))
      body(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3f))
    case 0x800..<0x10000:
      body(UInt8(truncatingIfNeeded: 0xe0 | scalar >> 12))
      body(UInt8(truncatingIfNeeded: 0x80 | scalar >> 6 & 0x3f))
      body(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3f))
    default:
      body(UInt8(truncatingIfNeeded: 0xf0 | scalar >> 18))
      body(UInt8(truncatingIfNeeded: 0x80 | scalar >> 12 & 0x3f))
      body(UInt8(truncatingIfNeeded: 0x80 | scalar >> 6 & 0x3f))
      body(UInt8(truncatingIfNeeded: 0x80 | scalar & 0x3f))
    }
  }

  private enum Kind {
    case letter, number, space, other
  }

  private static func kind(_ scalar: UInt32) -> Kind {
    switch scalar {
    case 0x41...0x5a, 0x61...0x7a, 0x4e00...0x9fa5: return .letter
    case 0x20: return .space
    default:
      let classes = UnicodeData.shared.classes(of: scalar)
      return classes.contains(.letter)
        ? .letter
        : classes.contains(.number) ? .number : classes.contains(.regexSpace) ? .space : .other
    }
  }

  /// The end of the word at `start`:
  /// `'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+`.
  static func wordEnd(_ text: [UInt32], _ start: Int, _ limit: Int) -> Int {
    let scalar = text[start]
    if scalar == 0x27, start + 1 < limit {
      switch text[start + 1] {
      case 0x73, 0x74, 0x6d, 0x64: return start + 2  // s t m d
      case 0x72, 0x76:  // re ve
        if start + 2 < limit, text[start + 2] == 0x65 { return start + 3 }
      case 0x6c: if start + 2 < limit, text[start + 2] == 0x6c { return start + 3 }
      default: break
      }
    }
    var first = start
    var kind = kind(scalar)
    if scalar == 0x20, start + 1 < limit {
      let next = self.kind(text[start + 1])
      if next != .space { (first, kind) = (start + 1, next) }
    }
    var end = first + 1
    while end < limit, self.kind(text[end]) == kind { end += 1 }
    // Of several blanks before a word the last one is left for it.
    if kind == .space, end < limit, end - start > 1 { end -= 1 }
    return end
  }
}
