import Checkpoint

extension WordPiece {
  /// The text of ids: by bert4keras' own rules of blanks, or transformers' (version 5, without clean-up).
  public func text(of ids: [Int32], skippingSpecial: Bool) -> String {
    let tokens = ids.compactMap { id -> String? in
      guard let token = vocabulary.token(of: id) else { return nil }
      let isSkipped =
        skippingSpecial && mode != .bert4keras && WordPiece.specialTokens.contains(token)
      return isSkipped ? nil : token
    }
    switch mode {
    case .bert4keras: return bert4kerasText(of: tokens)
    case .transformers: return TokenDecoder.wordPiece(prefix: "##", cleans: false)(tokens).joined()
    case .transformersLegacy:
      // `" ".join(tokens).replace(" ##", "").strip()`.
      let text = TokenDecoder.replacing(" ##", in: tokens.joined(separator: " "), with: "")
      return WordPiece.trimmed(text)
    }
  }

  /// bert4keras' `Tokenizer.decode`.
  private func bert4kerasText(of ids: [String]) -> String {
    let tokens = ids.filter { !WordPiece.isBracketed($0) }
    var text: [UInt32] = []
    for (index, token) in tokens.enumerated() {
      let scalars = token.unicodeScalars.map(\.value)
      if scalars.starts(with: [0x23, 0x23]) {
        text += scalars[2...]
      } else if scalars.count == 1, WordSplitter.isChinese(scalars[0]) {
        text += scalars
      } else if scalars.count == 1, splitter.isPunctuation(scalars[0]) {
        text += scalars + [0x20]
      } else if index > 0, let last = text.last, WordSplitter.isChinese(last) {
        text += scalars
      } else {
        text += [0x20] + scalars
      }
    }
    text = WordPiece.collapsingBlanks(text)
    text = WordPiece.joiningContractions(text)
    text = WordPiece.droppingBlanksAfterMarks(text)
    text = WordPiece.joiningDecimals(text)
    return WordPiece.trimmed(String(scalars: text))
  }

  /// Whether a token is written in brackets, `[CLS]`.
  static func isBracketed(_ token: String) -> Bool {
    token.unicodeScalars.first == "[" && token.unicodeScalars.last == "]"
  }

  /// Python's `str.strip`.
  private static func trimmed(_ text: String) -> String {
    let isText = { (scalar: Unicode.Scalar) in
      !UnicodeData.shared.classes(of: scalar.value).contains(.space)
    }
    let scalars = text.unicodeScalars
    guard let first = scalars.firstIndex(where: isText), let last = scalars.lastIndex(where: isText)
    else { return "" }
    return String(scalars[first...last])
  }

  /// `re.sub(' +', ' ', text)`.
  private static func collapsingBlanks(_ text: [UInt32]) -> [UInt32] {
    var result: [UInt32] = []
    for scalar in text where scalar != 0x20 || result.last != 0x20 { result.append(scalar) }
    return result
  }

  /// `re.sub('\' (re|m|s|t|ve|d|ll) ', '\'\\1 ', text)`.
  private static func joiningContractions(_ text: [UInt32]) -> [UInt32] {
    let endings = ["re", "m", "s", "t", "ve", "d", "ll"].map {
      [0x27, 0x20] + $0.unicodeScalars.map(\.value) + [0x20]
    }
    var result: [UInt32] = []
    var position = 0
    while position < text.count {
      if text[position] == 0x27,
        let ending = endings.first(where: { text[position...].starts(with: $0) })
      {
        result += [0x27] + ending[2...]
        position += ending.count
      } else {
        result.append(text[position])
        position += 1
      }
    }
    return result
  }

  /// Marks behind which bert4keras writes no blank: Chinese ones and `+-/={(<[`.
  private static let tightMarks: Set<UInt32> = {
    let ranges: [ClosedRange<UInt32>] = [
      0xff02...0xff0d, 0xff0f...0xff0f, 0xff1a...0xff1e, 0xff20...0xff20, 0xff3b...0xff40,
      0xff5b...0xff60, 0xff62...0xff64, 0x3000...0x3001, 0x3003...0x3003, 0x3008...0x3011,
      0x3014...0x301f, 0x3030...0x3030, 0x303e...0x303f, 0x2013...0x2014, 0x2018...0x2019,
      0x201b...0x201f, 0x2026...0x2027, 0xfe4f...0xfe4f, 0xfe51...0xfe51, 0xfe54...0xfe54,
      0xb7...0xb7, 0xff01...0xff01, 0xff1f...0xff1f, 0xff61...0xff61, 0x3002...0x3002,
    ]
    return Set(ranges.joined()).union("+-/={(<[".unicodeScalars.map(\.value))
  }()

  private static func droppingBlanksAfterMarks(_ text: [UInt32]) -> [UInt32] {
    var result: [UInt32] = []
    var position = 0
    while position < text.count {
      result.append(text[position])
      let dropsNext =
        tightMarks.contains(text[position]) && position + 1 < text.count
        && text[position + 1] == 0x20
      position += dropsNext ? 2 : 1
    }
    return result
  }

  /// `re.sub('(\d\.) (\d)', '\\1\\2', text)`.
  private static func joiningDecimals(_ text: [UInt32]) -> [UInt32] {
    let unicode = UnicodeData.shared
    func isDigit(_ index: Int) -> Bool { unicode.classes(of: text[index]).contains(.digit) }
    var result: [UInt32] = []
    var position = 0
    while position < text.count {
      if position + 3 < text.count, text[position + 1] == 0x2e, text[position + 2] == 0x20,
        isDigit(position), isDigit(position + 3)
      {
        result += [text[position], 0x2e, text[position + 3]]
        position += 4
      } else {
        result.append(text[position])
        position += 1
      }
    }
    return result
  }
}
