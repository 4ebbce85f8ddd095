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
  func words(of text: AlignedText) -> Words {
    var words = Words(capacity: text.count)
    switch mode {
    case .bert4keras: splitAsBert4keras(normalized(text), into: &words)
    case .transformers: splitAsTransformers(text, into: &words)
    case .transformersLegacy: splitAsLegacy(text, into: &words)
    }
    words.endWord()
    return words
  }

  /// Text as it is when words between blanks are looked up.
  func prepared(_ text: AlignedText) -> AlignedText {
    guard mode == .transformers else { return normalized(text) }
    var text = text
    TextNormalizer.clean(&text, unicode)
    if lowercase {
      unicode.decompose(&text, .rust)
      TextNormalizer.removeMarks(&text, unicode)
      unicode.lower(&text, .rust)
    }
    return text
  }

  func blankSeparated(_ text: AlignedText) -> [Range<Int>] {
    let blank: CharacterClasses = mode == .transformers ? .rustSpace : .space
    return text.scalars.indices.split { unicode.classes(of: text.scalars[$0]).contains(blank) }
      .map { $0.startIndex..<$0.endIndex }
  }

  /// bert4keras' `lowercase_and_normalize`, where it lowers case.
  func normalized(_ text: AlignedText) -> AlignedText {
    guard lowercase else { return text }
    var text = text
    unicode.lower(&text, .python)
    strip(&text)
    return text
  }

  /// bert4keras: lower case, decomposition and marks first, then characters one by one.
  private func splitAsBert4keras(_ text: AlignedText, into words: inout Words) {
    for (index, scalar) in text.scalars.enumerated() {
      let span = text.spans[index]
      if scalar < 0x80 {
        switch scalar {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: words.append(scalar, span)
        case 0x20, 0x09, 0x0a, 0x0d: words.endWord()
        case 0x00...0x1f, 0x7f: continue
        default: words.appendWord(scalar, span)
        }
        continue
      }
      if WordSplitter.isChinese(scalar) {
        words.appendWord(scalar, span)
        continue
      }
      let classes = unicode.classes(of: scalar)
      if classes.contains(.punctuation) {
        words.appendWord(scalar, span)
      } else if classes.contains(.separator) {
        words.endWord()
      } else if scalar == 0xfffd || classes.contains(.control) {
        continue
      } else if classes.contains(.space) {
        words.endWord()
      } else {
        words.append(scalar, span)
      }
    }
  }

  /// Whether bert4keras' `rematch` leaves a character out.
  func isDropped(_ scalar: UInt32) -> Bool {
    scalar == 0 || scalar == 0xfffd || unicode.classes(of: scalar).contains(.control)
  }

  /// Google's rules: clean, compose, then lower case and marks word by word.
  private func splitAsLegacy(_ text: AlignedText, into words: inout Words) {
    var cleaned = AlignedText()
    cleaned.scalars.reserveCapacity(text.count)
    cleaned.spans.reserveCapacity(text.count)
    for (index, scalar) in text.scalars.enumerated() {
      let classes = unicode.classes(of: scalar)
      let span = text.spans[index]
      if isBlank(scalar, classes) {
        cleaned.append(0x20, span)
      } else if scalar == 0 || scalar == 0xfffd || classes.contains(.other) {
        continue
      } else if WordSplitter.isChinese(scalar) {
        cleaned.append(0x20, span)
        cleaned.append(scalar, span)
        cleaned.append(0x20, span)
      } else {
        cleaned.append(scalar, span)
      }
    }
    unicode.compose(&cleaned, .python)
    let spaces = { unicode.classes(of: cleaned.scalars[$0]).contains(.space) }
    for range in cleaned.scalars.indices.split(whereSeparator: spaces) {
      words.endWord()
      var word = cleaned[range.startIndex..<range.endIndex]
      if special.contains(word.scalars) {
        // One that only cleaning made: it is kept, and looked up as a word.
        for (scalar, span) in zip(word.scalars, word.spans) { words.append(scalar, span) }
        continue
      }
      if lowercase {
        unicode.lower(&word, .python)
        strip(&word)
      }
      for (scalar, span) in zip(word.scalars, word.spans) {
        if isPunctuation(scalar, unicode.classes(of: scalar)) {
          words.appendWord(scalar, span)
        } else {
          words.append(scalar, span)
        }
      }
    }
  }

  /// The `tokenizers` package: clean, strip, lower case; then split at blanks and punctuation.
  private func splitAsTransformers(_ text: AlignedText, into words: inout Words) {
    let text = prepared(text)
    // Blanks around ideographs are as good as words of their own, for no step makes or joins one.
    for (index, scalar) in text.scalars.enumerated() {
      let span = text.spans[index]
      if scalar < 0x80 {
        switch scalar {
        case 0x30...0x39, 0x41...0x5a, 0x61...0x7a: words.append(scalar, span)
        case 0x21...0x7e: words.appendWord(scalar, span)
        case 0x09...0x0d, 0x20: words.endWord()
        default: words.append(scalar, span)
        }
        continue
      }
      if TextNormalizer.isChinese(scalar) {
        words.appendWord(scalar, span)
        continue
      }
      let classes = unicode.classes(of: scalar)
      if classes.contains(.rustSpace) {
        words.endWord()
      } else if classes.contains(.rustPunctuation) {
        words.appendWord(scalar, span)
      } else {
        words.append(scalar, span)
      }
    }
  }

  /// Decomposed and without nonspacing marks, by Python's tables.
  private func strip(_ text: inout AlignedText) {
    guard text.scalars.contains(where: { $0 >= 0x80 }) else { return }
    unicode.decompose(&text, .python)
    text.compactMap { $0 >= 0x300 && unicode.classes(of: $0).contains(.mark) ? nil : $0 }
  }

  private func isBlank(_ scalar: UInt32, _ classes: CharacterClasses) -> Bool {
    switch scalar {
    case 0x20, 0x09, 0x0a, 0x0d: true
    default: classes.contains(.separator)
    }
  }

  func isPunctuation(_ scalar: UInt32) -> Bool {
    isPunctuation(scalar, unicode.classes(of: scalar))
  }

  /// Every ASCII character that is neither letter nor digit, and Unicode's punctuation.
  private func isPunctuation(_ scalar: UInt32, _ classes: CharacterClasses) -> Bool {
    switch scalar {
    case 33...47, 58...64, 91...96, 123...126: true
    default: classes.contains(.punctuation)
    }
  }

  /// The blocks of Chinese characters as Google's code lists them; Kana and Hangul are not there.
  static func isChinese(_ scalar: UInt32) -> Bool {
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
  var text = AlignedText()
  var ranges: [Range<Int>] = []
  private var start = 0

  init(capacity: Int) {
    text.scalars.reserveCapacity(capacity)
    text.spans.reserveCapacity(capacity)
    ranges.reserveCapacity(capacity)
  }

  mutating func append(_ scalar: UInt32, _ span: AlignedText.Span) { text.append(scalar, span) }

  mutating func endWord() {
    if start < text.count { ranges.append(start..<text.count) }
    start = text.count
  }

  mutating func appendWord(_ scalar: UInt32, _ span: AlignedText.Span) {
    endWord()
    append(scalar, span)
    endWord()
  }
}
