/// Tokens that are found in text before anything else is done to it.
struct AddedTokens: Sendable {
  struct Token: Sendable, Equatable {
    var id: Int32
    var content: String
    /// Whether decoding may leave it out.
    var isSpecial = false
    /// Whether it is looked for in the text as it is, or in the normalized text.
    var isNormalized = false
    /// Whether it counts only between what is no part of a word.
    var isSingleWord = false
    /// Whether it takes the white space before and behind it.
    var stripsLeft = false
    var stripsRight = false
  }

  private(set) var tokens: [Token] = []
  private var byID: [Int32: Int] = [:]
  private var raw = TokenTrie()
  private var normalized = TokenTrie()
  private var hasRaw = false
  private var hasNormalized = false

  init() {}

  init(_ tokens: [Token], normalizer: TextNormalizer?) {
    for token in tokens where !token.content.isEmpty {
      // The last of equal ids counts.
      byID[token.id] = self.tokens.count
      self.tokens.append(token)
    }
    for token in self.tokens {
      let scalars = token.content.unicodeScalars.map(\.value)
      if token.isNormalized {
        var text = AlignedText(scalars)
        normalizer?(&text)
        guard text.count > 0 else { continue }
        normalized.insert(text.scalars, id: token.id)
        hasNormalized = true
      } else {
        raw.insert(scalars, id: token.id)
        hasRaw = true
      }
    }
  }

  func token(of id: Int32) -> Token? { byID[id].map { tokens[$0] } }
  func id(of content: String) -> Int32? {
    tokens.last { $0.content.utf8.elementsEqual(content.utf8) }?.id
  }

  var isEmpty: Bool { tokens.isEmpty }

  /// Splits text at the tokens in it: parts without an id are the text between them.
  ///
  /// - Parameter isNormalized: which of the tokens are looked for.
  func split(
    _ text: [UInt32], isNormalized: Bool, _ body: (Range<Int>, Int32?) -> Void
  ) {
    guard isNormalized ? hasNormalized : hasRaw else { return body(0..<text.count, nil) }
    let trie = isNormalized ? normalized : raw
    let unicode = UnicodeData.shared
    let isWord = { (index: Int) in unicode.classes(of: text[index]).contains(.wordCharacter) }
    let isSpace = { (index: Int) in unicode.classes(of: text[index]).contains(.rustSpace) }
    var done = 0
    var position = 0
    while position < text.count {
      guard let match = trie.longestMatch(in: text, position..<text.count),
        let token = token(of: match.id)
      else {
        position += 1
        continue
      }
      var (start, end) = (position, match.end)
      position = end
      if token.isSingleWord, start > 0 && isWord(start - 1) || end < text.count && isWord(end) {
        continue
      }
      if token.stripsLeft { while start > done, isSpace(start - 1) { start -= 1 } }
      if token.stripsRight { while end < text.count, isSpace(end) { end += 1 } }
      if done < start { body(done..<start, nil) }
      // A token before may have taken blanks up to here already.
      body(max(start, done)..<end, match.id)
      done = end
    }
    if done < text.count { body(done..<text.count, nil) }
  }
}
