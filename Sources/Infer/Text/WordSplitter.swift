/// Splits text into the words of which pieces are then made, by the rules of each library.
struct WordSplitter: Sendable {
  let mode: WordPiece.Mode
  let lowercase: Bool
  /// Tokens that stay whole when they make up a word.
  let special: [[UInt32]]
  private let unicode = UnicodeData.shared

  init(mode: WordPiece.Mode, lowercase: Bool, special: [[UInt32]]) {
    self.mode = mode
    self.lowercase = lowercase
    self.special = special
  }

  /// The words of `text`, normalized, in order.
  func words(of text: [UInt32]) -> Words {
    var words = Words()
    switch mode {
    case .bert4keras: splitAsBert4keras(text, into: &words)
    case .transformers: splitAsTransformers(text, into: &words)
    case .transformersLegacy: splitAsLegacy(text, into: &words)
    }
    words.endWord()
    return words
  }

  /// bert4keras: lower case, decomposition and marks first, then characters one by one.
  private func splitAsBert4keras(_ text: [UInt32], into words: inout Words) {
    for scalar in lowercase ? stripped(unicode.lowered(text, .python)) : text {
      let classes = unicode.classes(of: scalar)
      if isPunctuation(scalar, classes) || isChinese(scalar) {
        words.appendWord(scalar)
      } else if isBlank(scalar, classes) {
        words.endWord()
      } else if scalar == 0 || scalar == 0xfffd || classes.contains(.control) {
        continue
      } else if classes.contains(.space) {
        words.endWord()
      } else {
        words.append(scalar)
      }
    }
  }

  /// Google's rules: clean, compose, then lower case and marks word by word.
  private func splitAsLegacy(_ text: [UInt32], into words: inout Words) {
    var cleaned: [UInt32] = []
    cleaned.reserveCapacity(text.count)
    for scalar in text {
      let classes = unicode.classes(of: scalar)
      if isBlank(scalar, classes) {
        cleaned.append(0x20)
      } else if scalar == 0 || scalar == 0xfffd || classes.contains(.other) {
        continue
      } else if isChinese(scalar) {
        WordSplitter.append(spaced: scalar, to: &cleaned)
      } else {
        cleaned.append(scalar)
      }
    }
    let composed = unicode.composed(cleaned)
    for word in composed.split(whereSeparator: { unicode.classes(of: $0).contains(.space) }) {
      words.endWord()
      if special.contains(where: { word.elementsEqual($0) }) {
        // One that only cleaning made: it is kept, and looked up as a word.
        for scalar in word { words.append(scalar) }
        continue
      }
      for scalar in lowercase ? stripped(unicode.lowered(Array(word), .python)) : Array(word) {
        if isPunctuation(scalar, unicode.classes(of: scalar)) {
          words.appendWord(scalar)
        } else {
          words.append(scalar)
        }
      }
    }
  }

  /// The `tokenizers` package: clean, strip, lower case; then split at blanks and punctuation.
  private func splitAsTransformers(_ text: [UInt32], into words: inout Words) {
    var cleaned: [UInt32] = []
    cleaned.reserveCapacity(text.count)
    for scalar in text {
      let classes = unicode.classes(of: scalar)
      if classes.contains(.rustRemoved) { continue }
      if classes.contains(.rustBlank) {
        cleaned.append(0x20)
      } else if isChinese(scalar), !(0x2b820..<0x2b920).contains(scalar) {
        // The package's list of ideographs lacks those 256.
        WordSplitter.append(spaced: scalar, to: &cleaned)
      } else {
        cleaned.append(scalar)
      }
    }
    if lowercase {
      cleaned = unicode.decomposed(cleaned, .rust).filter {
        !unicode.classes(of: $0).contains(.rustMark)
      }
      cleaned = unicode.lowered(cleaned, .rust)
    }
    for scalar in cleaned {
      let classes = unicode.classes(of: scalar)
      if classes.contains(.rustSpace) {
        words.endWord()
      } else if classes.contains(.rustPunctuation) {
        words.appendWord(scalar)
      } else {
        words.append(scalar)
      }
    }
  }

  private static func append(spaced scalar: UInt32, to text: inout [UInt32]) {
    text.append(0x20)
    text.append(scalar)
    text.append(0x20)
  }

  /// Decomposed and without nonspacing marks, by Python's tables.
  private func stripped(_ text: [UInt32]) -> [UInt32] {
    guard text.contains(where: { $0 >= 0x80 }) else { return text }
    return unicode.decomposed(text, .python).filter {
      $0 < 0x80 || !unicode.classes(of: $0).contains(.mark)
    }
  }

  private func isBlank(_ scalar: UInt32, _ classes: CharacterClasses) -> Bool {
    switch scalar {
    case 0x20, 0x09, 0x0a, 0x0d: true
    default: classes.contains(.separator)
    }
  }

  /// Every ASCII character that is neither letter nor digit, and Unicode's punctuation.
  private func isPunctuation(_ scalar: UInt32, _ classes: CharacterClasses) -> Bool {
    switch scalar {
    case 33...47, 58...64, 91...96, 123...126: true
    default: classes.contains(.punctuation)
    }
  }

  /// The blocks of Chinese characters as Google's code lists them; Kana and Hangul are not there.
  private func isChinese(_ scalar: UInt32) -> Bool {
    switch scalar {
    case 0x4e00...0x9fff, 0x3400...0x4dbf, 0x20000...0x2a6df, 0x2a700...0x2b73f,
      0x2b740...0x2b81f, 0x2b820...0x2ceaf, 0xf900...0xfaff, 0x2f800...0x2fa1f:
      true
    default: false
    }
  }
}

/// Words gathered one character at a time.
struct Words {
  var scalars: [UInt32] = []
  var ranges: [Range<Int>] = []
  private var start = 0

  mutating func append(_ scalar: UInt32) { scalars.append(scalar) }

  mutating func endWord() {
    if start < scalars.count { ranges.append(start..<scalars.count) }
    start = scalars.count
  }

  mutating func appendWord(_ scalar: UInt32) {
    endWord()
    append(scalar)
    endWord()
  }
}
