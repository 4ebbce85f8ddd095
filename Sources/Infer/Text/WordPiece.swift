public import Checkpoint

/// Splits text into the pieces of a BERT vocabulary, id by id as the original libraries do.
public struct WordPiece: Sendable {
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
  /// Ids of the special tokens.
  public let unknownID: Int32
  public let startID: Int32
  public let endID: Int32
  public let paddingID: Int32?
  public let maskID: Int32?

  private let index: PieceIndex
  /// Tokens that stay whole inside text, and their ids.
  private let special: [(scalars: [UInt32], id: Int32)]
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
    paddingID = vocabulary.id(of: "[PAD]")
    maskID = vocabulary.id(of: "[MASK]")
    index = PieceIndex(vocabulary)
    longestWord = mode == .bert4keras ? 200 : 100
    special =
      mode == .bert4keras
      ? []
      : WordPiece.specialTokens.compactMap { token in
        vocabulary.id(of: token).map { (token.unicodeScalars.map(\.value), $0) }
      }
    splitter = WordSplitter(mode: mode, lowercase: lowercase, special: special.map(\.scalars))
  }

  // MARK: - Public results

  /// The tokens of `text`, without `[CLS]` and `[SEP]`.
  ///
  /// A word that no pieces make is `[UNK]`, in bert4keras the word itself.
  public func tokens(_ text: String) -> [String] {
    pieces(text).map { piece in
      if let word = piece.unknownWord {
        return mode == .bert4keras ? String(scalars: word) : "[UNK]"
      }
      return vocabulary.token(of: piece.id) ?? "[UNK]"
    }
  }

  /// The ids of `text` without `[CLS]` and `[SEP]`.
  public func ids(_ text: String) -> [Int32] { pieces(text).map(\.id) }

  /// The model's inputs for a text or a pair: `[CLS] text [SEP]` or `[CLS] text [SEP] pair [SEP]`.
  ///
  /// - Parameter maxLength: the most ids wanted; what is too long is cut by the library's own rule.
  /// - Returns: Token ids and segment ids (0 up to the first `[SEP]`, then 1), of equal length.
  /// - Throws: ``TextError`` when the special tokens alone are longer than `maxLength`.
  public func encode(
    _ text: String, pair: String? = nil, maxLength: Int? = nil
  ) throws(TextError) -> (ids: [Int32], segments: [Int32]) {
    var first = ids(text)
    // transformers' BertTokenizer takes an empty second text for none.
    var second = mode == .transformers && pair == "" ? nil : pair.map { ids($0) }
    if let maxLength {
      let least = second == nil ? 2 : 3
      guard maxLength >= least else { throw .limitTooSmall(maxLength, least: least) }
      let room = maxLength - least
      if let length = second?.count {
        let kept = pairLengths(first.count, length, room: room)
        first = Array(first.prefix(kept.0))
        second = second.map { Array($0.prefix(kept.1)) }
      } else {
        first = Array(first.prefix(room))
      }
    }
    let head = [startID] + first + [endID]
    let tail = second.map { $0 + [endID] } ?? []
    return (
      head + tail,
      [Int32](repeating: 0, count: head.count) + [Int32](repeating: 1, count: tail.count)
    )
  }

  /// How many tokens of each text of a pair are kept when `room` is there for both.
  private func pairLengths(_ first: Int, _ second: Int, room: Int) -> (Int, Int) {
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

  private struct Piece {
    let id: Int32
    /// The word of which no pieces could be made.
    var unknownWord: ArraySlice<UInt32>?
  }

  private func pieces(_ text: String) -> [Piece] {
    let scalars = text.unicodeScalars.map(\.value)
    var pieces: [Piece] = []
    guard !special.isEmpty else {
      addPieces(of: scalars, to: &pieces)
      return pieces
    }
    var start = 0
    var position = 0
    while position < scalars.count {
      if let token = specialToken(at: position, in: scalars) {
        addPieces(of: Array(scalars[start..<position]), to: &pieces)
        pieces.append(Piece(id: token.id))
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
    for token in special where text[position...].starts(with: token.scalars) {
      return (token.id, token.scalars.count)
    }
    return nil
  }

  private func addPieces(of text: [UInt32], to pieces: inout [Piece]) {
    guard !text.isEmpty else { return }
    let words = splitter.words(of: text)
    for range in words.ranges { addPieces(ofWord: words.scalars[range], to: &pieces) }
  }

  private func addPieces(ofWord word: ArraySlice<UInt32>, to pieces: inout [Piece]) {
    let before = pieces.count
    var start = word.startIndex
    if word.count <= longestWord {
      while start < word.endIndex, let match = index.longestMatch(in: word, at: start) {
        pieces.append(Piece(id: match.id))
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
    pieces.append(Piece(id: id, unknownWord: word))
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
