/// What is done to text before it is split, as the `tokenizers` package does it.
indirect enum TextNormalizer: Sendable {
  case sequence([TextNormalizer])
  /// `BertNormalizer`.
  case bert(clean: Bool, spacesChinese: Bool, stripsAccents: Bool, lowercase: Bool)
  /// Normal forms C, D, KC and KD.
  case composed(compatible: Bool)
  case decomposed(compatible: Bool)
  case lowercase
  /// Removes every combining mark.
  case stripAccents
  /// Removes white space at the ends.
  case strip(left: Bool, right: Bool)
  case replace([UInt32], [UInt32])
  /// Several blanks in a row become one text; the pattern ` {2,}`.
  case replaceBlanks([UInt32])
  case prepend([UInt32])
  /// sentencepiece's compiled replacements.
  case precompiled(Charsmap)
  /// sentencepiece's blanks and control characters.
  case nmt

  func callAsFunction(_ text: inout AlignedText) {
    let unicode = UnicodeData.shared
    switch self {
    case .sequence(let steps): for step in steps { step(&text) }
    case .bert(let clean, let spacesChinese, let stripsAccents, let lowercase):
      if clean { TextNormalizer.clean(&text, unicode) }
      if spacesChinese { TextNormalizer.spaceChinese(&text) }
      if stripsAccents {
        unicode.decompose(&text, .rust)
        TextNormalizer.removeMarks(&text, unicode)
      }
      if lowercase { unicode.lower(&text, .rust) }
    case .composed(let compatible): unicode.compose(&text, .rust, compatible: compatible)
    case .decomposed(let compatible): unicode.decompose(&text, .rust, compatible: compatible)
    case .lowercase: unicode.lower(&text, .rust)
    case .stripAccents:
      text.compactMap {
        $0 >= 0x300 && unicode.classes(of: $0).contains(.strips) ? nil : $0
      }
    case .strip(let left, let right):
      let isText = { !unicode.classes(of: $0).contains(.rustSpace) }
      let first = left ? text.scalars.firstIndex(where: isText) ?? text.count : 0
      let last = right ? text.scalars.lastIndex(where: isText) ?? -1 : text.count - 1
      text = text[first..<max(first, last + 1)]
    case .replace(let pattern, let content): text.replace(pattern, with: content)
    case .replaceBlanks(let content): TextNormalizer.replaceBlanks(&text, content)
    case .prepend(let content): text.prepend(content)
    case .precompiled(let map): map(&text, unicode)
    case .nmt: TextNormalizer.replaceControls(&text)
    }
  }

  /// Removes control and format characters, makes every blank a space.
  static func clean(_ text: inout AlignedText, _ unicode: UnicodeData) {
    let isClean = { (scalar: UInt32) in
      (0x20...0x7e).contains(scalar)
        || unicode.classes(of: scalar).isDisjoint(with: [.rustRemoved, .rustBlank])
    }
    guard !text.scalars.allSatisfy(isClean) else { return }
    text.compactMap { scalar in
      let classes = unicode.classes(of: scalar)
      return classes.contains(.rustRemoved) ? nil : classes.contains(.rustBlank) ? 0x20 : scalar
    }
  }

  /// Removes nonspacing marks.
  static func removeMarks(_ text: inout AlignedText, _ unicode: UnicodeData) {
    let isMark = { $0 >= 0x300 && unicode.classes(of: $0).contains(.rustMark) }
    guard text.scalars.contains(where: isMark) else { return }
    text.compactMap { isMark($0) ? nil : $0 }
  }

  private static func spaceChinese(_ text: inout AlignedText) {
    guard text.scalars.contains(where: isChinese) else { return }
    var result = AlignedText()
    for (index, scalar) in text.scalars.enumerated() {
      let span = text.spans[index]
      if isChinese(scalar) {
        result.append(0x20, span)
        result.append(scalar, span)
        result.append(0x20, span)
      } else {
        result.append(scalar, span)
      }
    }
    text = result
  }

  /// Google's blocks of ideographs but for 256 that the package's list lacks.
  static func isChinese(_ scalar: UInt32) -> Bool {
    scalar >= 0x3400 && !(0x2b820..<0x2b920).contains(scalar) && WordSplitter.isChinese(scalar)
  }

  private static func replaceBlanks(_ text: inout AlignedText, _ content: [UInt32]) {
    var result = AlignedText()
    var position = 0
    while position < text.count {
      var end = position
      while end < text.count, text.scalars[end] == 0x20 { end += 1 }
      if end - position >= 2 {
        for scalar in content { result.append(scalar, text.spans[end - 1]) }
        position = end
      } else {
        result.append(text.scalars[position], text.spans[position])
        position += 1
      }
    }
    text = result
  }

  private static func replaceControls(_ text: inout AlignedText) {
    text.compactMap { scalar in
      switch scalar {
      case 0x01...0x08, 0x0b, 0x0e...0x1f, 0x7f, 0x8f, 0x9f: nil
      case 0x09, 0x0a, 0x0c, 0x0d, 0x1680, 0x200b...0x200f, 0x2028, 0x2029, 0x2581, 0xfeff, 0xfffd:
        0x20
      default: scalar
      }
    }
  }
}
