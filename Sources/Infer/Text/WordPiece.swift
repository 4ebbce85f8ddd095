public import Checkpoint

/// Splits text into the pieces of a BERT vocabulary, id by id as the original libraries do.
public struct WordPiece: Tokenizer {
  /// Whose rules are followed; they differ in Unicode versions, special tokens and long words.
  public enum Mode: String, Sendable, CaseIterable {
    /// bert4keras 0.11.5, `Tokenizer`: no special tokens inside text, words of up to 200
    /// characters, final sigma.
    case bert4keras
    /// transformers 5, `BertTokenizer` (the `tokenizers` package 0.23).
    case transformers
    /// Google's rules in pure Python: transformers' `BertTokenizerLegacy`, the slow
    /// `BertTokenizer` before version 5.
    case transformersLegacy

    /// How the library reads `vocab.txt`.
    public var vocabularyRule: Vocabulary.Rule {
      switch self {
      case .bert4keras: .firstWords
      case .transformers: .trimmedLines
      case .transformersLegacy: .lines
      }
    }
  }

  public let vocabulary: Vocabulary
  public let mode: Mode
  /// Whether text is put into lower case and stripped of accents.
  public let lowercase: Bool
  public let special: SpecialTokens
  private let unknownID: Int32
  private let startID: Int32
  private let endID: Int32

  private let index: PieceIndex
  /// Tokens that stay whole inside text, and their ids.
  private let whole: [(scalars: [UInt32], id: Int32)]
  private let longestWord: Int
  private let splitter: WordSplitter

  static let specialTokens = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

  /// - Throws: ``TextError`` when `[UNK]`, `[CLS]` or `[SEP]` is not in the vocabulary.
  public init(
    vocabulary: Vocabulary, mode: Mode, lowercase: Bool
  ) throws(TextError) {
    func id(_ token: String) throws(TextError) -> Int32 {
      guard let id = vocabulary.id(of: token) else { throw .missingToken(token) }
      return id
    }
    self.vocabulary = vocabulary
    self.mode = mode
    self.lowercase = lowercase
    unknownID = try id("[UNK]")
    startID = try id("[CLS]")
    endID = try id("[SEP]")
    special = SpecialTokens(
      unknown: unknownID, padding: vocabulary.id(of: "[PAD]"), mask: vocabulary.id(of: "[MASK]"),
      start: startID, end: endID)
    index = PieceIndex(vocabulary)
    longestWord = mode == .bert4keras ? 200 : 100
    whole =
      mode == .bert4keras
      ? []
      : WordPiece.specialTokens.compactMap { token in
        vocabulary.id(of: token).map { (token.unicodeScalars.map(\.value), $0) }
      }
    splitter = WordSplitter(mode: mode, lowercase: lowercase, special: whole.map(\.scalars))
  }

  // MARK: - Tokenizer

  public var summary: String {
    "WordPiece as \(mode.rawValue) makes it, \(lowercase ? "lower case" : "cased")"
  }

  public var idCount: Int { vocabulary.idCount }
  public func token(of id: Int32) -> String? { vocabulary.token(of: id) }
  public func id(of token: String) -> Int32? { vocabulary.id(of: token) }

  /// transformers' BertTokenizer takes an empty second text for none.
  public var ignoresEmptyPair: Bool { mode == .transformers }

  /// `[CLS] text [SEP]` in segment 0, `pair [SEP]` in segment 1.
  public func template(isPair: Bool) -> EncodingTemplate {
    let first: [EncodingTemplate.Part] = [
      .special(startID, segment: 0), .text(0, segment: 0), .special(endID, segment: 0),
    ]
    return EncodingTemplate(
      isPair ? first + [.text(1, segment: 1), .special(endID, segment: 1)] : first)
  }

  /// The pieces of a text; a word that no pieces make is `[UNK]`, in bert4keras the word itself.
  public func pieces(_ text: String) -> [Piece] {
    found(text).map { piece in
      let token =
        piece.unknownWord.map { mode == .bert4keras ? String(scalars: $0) : "[UNK]" }
        ?? vocabulary.token(of: piece.id) ?? "[UNK]"
      return Piece(id: piece.id, token: token, range: 0..<0)
    }
  }

  public func text(of ids: [Int32]) -> String {
    ids.compactMap { vocabulary.token(of: $0) }.joined(separator: " ")
  }

  public func kept(_ first: Int, _ second: Int, room: Int) -> (first: Int, second: Int) {
    let excess = first + second - room
    guard excess > 0 else { return (first, second) }
    // Every library takes from the longer one until both are equal, then from both in turn.
    let fromLonger = min(abs(first - second), excess)
    let rest = excess - fromLonger
    switch mode {
    case .bert4keras:
      // Of equal ones the first loses a token first.
      return first >= second
        ? (first - fromLonger - (rest + 1) / 2, second - rest / 2)
        : (first - (rest + 1) / 2, second - fromLonger - rest / 2)
    case .transformers:
      // The shorter one keeps the smaller half.
      if rest == 0 {
        return first > second ? (first - fromLonger, second) : (first, second - fromLonger)
      }
      return first > second
        ? (room - room / 2, room / 2) : (room / 2, room - room / 2)
    case .transformersLegacy:
      return first > second
        ? (first - fromLonger - rest / 2, second - (rest - rest / 2))
        : (first - rest / 2, second - fromLonger - (rest - rest / 2))
    }
  }

  // MARK: - Pieces

  private struct Found {
    let id: Int32
    /// The word of which no pieces could be made.
    var unknownWord: ArraySlice<UInt32>?
  }

  private func found(_ text: String) -> [Found] {
    let scalars = text.unicodeScalars.map(\.value)
    var pieces: [Found] = []
    guard !whole.isEmpty else {
      addPieces(of: scalars, to: &pieces)
      return pieces
    }
    var start = 0
    var position = 0
    while position < scalars.count {
      if let token = specialToken(at: position, in: scalars) {
        addPieces(of: Array(scalars[start..<position]), to: &pieces)
        pieces.append(Found(id: token.id))
        position += token.length
        start = position
      } else {
        position += 1
      }
    }
    addPieces(of: start == 0 ? scalars : Array(scalars[start...]), to: &pieces)
    return pieces
  }

  private func specialToken(
    at position: Int, in text: [UInt32]
  ) -> (id: Int32, length: Int)? {
    guard text[position] == 0x5b else { return nil }  // all begin with "["
    for token in whole where text[position...].starts(with: token.scalars) {
      return (token.id, token.scalars.count)
    }
    return nil
  }

  private func addPieces(of text: [UInt32], to pieces: inout [Found]) {
    guard !text.isEmpty else { return }
    let words = splitter.words(of: text)
    for range in words.ranges { addPieces(ofWord: words.scalars[range], to: &pieces) }
  }

  private func addPieces(ofWord word: ArraySlice<UInt32>, to pieces: inout [Found]) {
    let before = pieces.count
    var start = word.startIndex
    if word.count <= longestWord {
      while start < word.endIndex, let match = index.longestMatch(in: word, at: start) {
        pieces.append(Found(id: match.id))
        start = match.end
      }
      if start == word.endIndex { return }
    }
    pieces.removeLast(pieces.count - before)
    var id = unknownID
    // bert4keras looks the word up as a token, which a word beyond the limit may be.
    if mode == .bert4keras, word.count > longestWord,
      let whole = vocabulary.id(of: String(scalars: word))
    {
      id = whole
    }
    pieces.append(Found(id: id, unknownWord: word))
  }
}

extension String {
  /// Text of code points that came out of text.
  init(scalars: some Sequence<UInt32>) {
    var view = String.UnicodeScalarView()
    for value in scalars { view.append(Unicode.Scalar(value) ?? "\u{fffd}") }
    self.init(view)
  }
}
