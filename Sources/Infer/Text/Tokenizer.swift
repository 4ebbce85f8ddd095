/// Text as a vocabulary's ids, id by id as the original library makes them, and back.
///
/// Positions in a text are counted in code points (Unicode scalars), as Python counts them.
public protocol Tokenizer: Sendable {
  /// What it is, for people: `WordPiece as bert4keras makes it, lower case`.
  var summary: String { get }

  /// One more than the largest id.
  var idCount: Int { get }

  func token(of id: Int32) -> String?
  func id(of token: String) -> Int32?

  /// A token as a table for people shows it: as characters, where it is written as bytes that make some.
  func readable(_ id: Int32) -> String?

  /// Tokens that stand for no text of their own.
  var special: SpecialTokens { get }

  /// What is odd about it, for people.
  var warnings: [String] { get }

  /// The pieces of a text, without the special tokens around it.
  func pieces(_ text: String) -> [Piece]

  /// Only their ids, which is faster.
  func ids(_ text: String) -> [Int32]

  /// The special tokens of a text or a pair, and the segments of its parts.
  func template(isPair: Bool) -> EncodingTemplate

  /// Whether an empty second text is none.
  var ignoresEmptyPair: Bool { get }

  /// How many pieces of each text of a pair are kept where there is room for so many in all.
  func kept(_ first: Int, _ second: Int, room: Int) -> (first: Int, second: Int)

  /// The text of ids, as the library's `decode` writes it.
  ///
  /// - Parameter skippingSpecial: whether special tokens are left out, where the library leaves the choice;
  ///   bert4keras always leaves out what is written in brackets.
  func text(of ids: [Int32], skippingSpecial: Bool) -> String
}

/// A piece of a text.
public struct Piece: Sendable, Equatable {
  public var id: Int32
  /// How the library writes it, which for what is not in the vocabulary is the unknown token or the word.
  public var token: String
  /// The code points of the text that it stands for; empty where the library tells none.
  public var range: Range<Int>

  public init(id: Int32, token: String, range: Range<Int>) {
    self.id = id
    self.token = token
    self.range = range
  }
}

/// The ids of special tokens; `nil` where a vocabulary has none.
public struct SpecialTokens: Sendable, Equatable {
  public var unknown: Int32?
  public var padding: Int32?
  public var mask: Int32?
  /// What begins and ends an encoded text: `[CLS]` and `[SEP]`, `<s>` and `</s>`.
  public var start: Int32?
  public var end: Int32?

  public init(
    unknown: Int32? = nil, padding: Int32? = nil, mask: Int32? = nil, start: Int32? = nil,
    end: Int32? = nil
  ) {
    self.unknown = unknown
    self.padding = padding
    self.mask = mask
    self.start = start
    self.end = end
  }
}

/// What an encoded text is put together of, in order: `[CLS] text [SEP]`.
public struct EncodingTemplate: Sendable, Equatable {
  public enum Part: Sendable, Equatable {
    case special(Int32, segment: Int32)
    /// All pieces of the first text (0) or of its pair (1).
    case text(Int, segment: Int32)
  }

  public var parts: [Part]

  public init(_ parts: [Part]) { self.parts = parts }

  /// The number of special tokens.
  public var specialCount: Int {
    parts.count { if case .special = $0 { true } else { false } }
  }
}

/// A text, or a pair, as a model's inputs.
public struct Encoding: Sendable, Equatable {
  /// Where a token comes from: the text (0) or its pair (1), and which code points of it.
  public struct Source: Sendable, Equatable {
    public var text: Int
    public var range: Range<Int>

    public init(text: Int, range: Range<Int>) {
      self.text = text
      self.range = range
    }
  }

  public init() {}

  public var ids: [Int32] = []
  public var segments: [Int32] = []
  /// `nil` for special tokens that the template has put in.
  public var sources: [Source?] = []
  /// Whether pieces were left out because there was no room.
  public var isCut = false

  public var count: Int { ids.count }
}

extension Tokenizer {
  public var ignoresEmptyPair: Bool { false }
  public var warnings: [String] { [] }
  public func readable(_ id: Int32) -> String? { token(of: id) }
  public func ids(_ text: String) -> [Int32] { pieces(text).map(\.id) }

  /// The text of ids with every special token that the library's `decode` writes by itself.
  public func text(of ids: [Int32]) -> String { text(of: ids, skippingSpecial: false) }

  /// The model's inputs for a text or a pair.
  ///
  /// - Parameter maxLength: the most ids wanted; what is too long is cut by the library's own rule.
  /// - Throws: ``TextError`` when the special tokens alone are longer than `maxLength`.
  public func encoding(
    _ text: String, pair: String? = nil, maxLength: Int? = nil
  ) throws(TextError) -> Encoding {
    try encoding(text, pair: pair, maxLength: maxLength) { pieces($0) }
  }

  /// The same with pieces that are found in another way.
  func encoding(
    _ text: String, pair: String?, maxLength: Int?, pieces: (String) -> [Piece]
  ) throws(TextError) -> Encoding {
    let pair = ignoresEmptyPair && pair == "" ? nil : pair
    return try encoding(pieces(text), pair.map { pieces($0) }, maxLength: maxLength)
  }

  /// The same for pieces that are there already.
  public func encoding(
    _ first: [Piece], _ second: [Piece]?, maxLength: Int? = nil
  ) throws(TextError) -> Encoding {
    let template = template(isPair: second != nil)
    var texts = [first[...], (second ?? [])[...]]
    var encoding = Encoding()
    if let maxLength {
      let room = maxLength - template.specialCount
      guard room >= 0 else {
        throw .limitTooSmall(maxLength, least: template.specialCount)
      }
      if first.count + texts[1].count > room {
        let kept =
          second == nil ? (room, 0) : self.kept(first.count, texts[1].count, room: room)
        texts = [texts[0].prefix(kept.0), texts[1].prefix(kept.1)]
        encoding.isCut = true
      }
    }
    for part in template.parts {
      switch part {
      case .special(let id, let segment):
        encoding.ids.append(id)
        encoding.segments.append(segment)
        encoding.sources.append(nil)
      case .text(let number, let segment):
        for piece in texts[number] {
          encoding.ids.append(piece.id)
          encoding.segments.append(segment)
          encoding.sources.append(.init(text: number, range: piece.range))
        }
      }
    }
    return encoding
  }
}
