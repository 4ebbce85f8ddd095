public import Checkpoint

/// Text as a model's ids: the tokenizer that goes with a dialect, within the model's limits.
public struct Tokenization: Sendable {
  public let tokenizer: any Tokenizer
  /// What is odd about the vocabulary.
  public private(set) var warnings: [String]
  /// The most tokens that a text may have; `nil` for any number.
  public let limit: Int?
  /// What becomes of a text that is longer.
  public let long: LongText

  /// What to do with a text that is longer than the limit.
  public enum LongText: String, Sendable, CaseIterable {
    /// The text has no answer.
    case error
    /// What is too much is cut off, as the tokenizer's library does it.
    case truncate
    /// Positions beyond the table are made of two of its rows (kexue.fm/archives/7947).
    case hierarchical
  }

  /// - Parameters:
  ///   - source: the vocabulary file and what is said of it.
  ///   - model: its dialect and family decide the kind of tokenizer, its tables the limits.
  ///   - kind: the kind of tokenizer, by its name; `nil` for the one that goes with the model.
  ///   - maxLength: the most tokens wanted, special ones included.
  /// - Throws: ``InferError`` when the vocabulary is larger than the token table.
  public init(
    _ source: TokenizerSource, model: Model, kind: String? = nil, maxLength: Int? = nil,
    long: LongText = .error
  ) throws {
    var configuration = model.architecture.configuration
    Tokenization.extend(&configuration, long)
    try self.init(
      Tokenization.tokenizer(
        source, kind, dialect: model.dialect, family: model.architecture.family),
      source, rows: configuration.vocabularySize,
      reach: configuration.positions > 0 ? configuration.reach : nil, maxLength, long)
    warnings += Tokenization.oddities(of: tokenizer.special, for: model)
  }

  /// The same for a graph of Keras, whose file tells no tokenizer: bert4keras' `Tokenizer` where nobody says
  /// another.
  public init(
    _ source: TokenizerSource, model: KerasTextModel, kind: String? = nil, maxLength: Int? = nil,
    long: LongText = .error
  ) throws {
    guard long != .hierarchical else {
      throw InferError(
        .unsupported, "--long hierarchical",
        "extends tables of positions, which a graph keeps as they are")
    }
    try self.init(
      Tokenization.tokenizer(source, kind, dialect: Bert4keras().name, family: nil), source,
      rows: model.vocabularySize, reach: model.length, maxLength, long)
    warnings += Tokenization.padding(of: tokenizer.special)
  }

  private static func tokenizer(
    _ source: TokenizerSource, _ kind: String?, dialect: String, family: String?
  ) throws -> any Tokenizer {
    try kind.map { name throws(CheckpointError) in try TokenizerKindRegistry.named(name) }?
      .tokenizer(source)
      ?? TokenizerKindRegistry.kind(source, dialect: dialect, family: family).tokenizer(source)
  }

  /// - Parameters:
  ///   - rows: of the token table, where that is known.
  ///   - reach: the most positions of a text, where there is such a limit.
  private init(
    _ tokenizer: any Tokenizer, _ source: TokenizerSource, rows: Int?, reach: Int?,
    _ maxLength: Int?, _ long: LongText
  ) throws(InferError) {
    self.tokenizer = tokenizer
    self.long = long
    var warnings = tokenizer.warnings
    if let rows {
      guard tokenizer.idCount <= rows else {
        throw InferError(
          .input, source.path, "has \(tokenizer.idCount) tokens; the model has \(rows)",
          hint: "give the vocabulary that the weights were trained with: --vocab FILE")
      }
      if tokenizer.idCount < rows {
        warnings.append(
          "the vocabulary has \(tokenizer.idCount) tokens, the model \(rows); ids beyond are shown "
            + "as [id]")
      }
    }
    self.warnings = warnings
    // Attention's cost grows with the square of a text: one that long was hardly meant.
    limit = [maxLength ?? Tokenization.unasked, reach].compactMap(\.self).min()
  }

  /// The most tokens of a text where nobody said how many and no table of positions does.
  private static let unasked = 4096

  /// Gives a model with a table of positions the longer ones, where ``LongText/hierarchical`` says so.
  public func extendPositions(of configuration: inout Configuration) {
    Tokenization.extend(&configuration, long)
  }

  private static func extend(_ configuration: inout Configuration, _ long: LongText) {
    guard long == .hierarchical, configuration.positions > 0,
      configuration.hierarchicalPosition == nil
    else { return }
    configuration.hierarchicalPosition = 0.4
  }

  /// A text or a pair with its special tokens, within the limit.
  ///
  /// - Parameter special: a token whose spelling in the text stands for it; bert4keras' own tokenizer
  ///   takes `[MASK]` for ordinary characters.
  /// - Throws: ``InferError`` when it is too long and shall not be cut.
  public func encoding(
    _ text: String, pair: String? = nil, keeping special: Int32? = nil
  ) throws -> Encoding {
    let whole = try tokenizer.encoding(
      text, pair: pair, maxLength: long == .truncate ? limit : nil
    ) { pieces($0, keeping: special) }
    if let limit, whole.count > limit {
      throw InferError(
        .input, "text", "has \(whole.count) tokens; the limit is \(limit)",
        hint: "shorten it, or --long truncate cuts it, or --long hierarchical extends positions"
          + (limit == Tokenization.unasked ? "; --max-length allows more" : ""))
    }
    return whole
  }

  /// The pieces of a text in which a token may be spelled.
  private func pieces(_ text: String, keeping special: Int32?) -> [Piece] {
    // What finds the token by itself also knows what becomes of the blanks around it.
    guard let special, let spelling = tokenizer.token(of: special), text.contains(spelling),
      tokenizer.ids(spelling) != [special]
    else { return tokenizer.pieces(text) }
    var pieces: [Piece] = []
    var offset = 0
    let length = spelling.unicodeScalars.count
    for (index, part) in text.split(separator: spelling, omittingEmptySubsequences: false)
      .enumerated()
    {
      if index > 0 {
        pieces.append(Piece(id: special, token: spelling, range: offset..<(offset + length)))
        offset += length
      }
      pieces += tokenizer.pieces(String(part)).map { piece in
        Piece(
          id: piece.id, token: piece.token,
          range: (piece.range.lowerBound + offset)..<(piece.range.upperBound + offset))
      }
      offset += part.unicodeScalars.count
    }
    return pieces
  }

  /// A token as people read it; `[id]` where the vocabulary has none.
  public func token(_ id: Int32) -> String { tokenizer.token(of: id) ?? "[\(id)]" }

  /// The same for tables (``Tokenizer/readable(_:)``).
  public func readable(_ id: Int32) -> String { tokenizer.readable(id) ?? "[\(id)]" }
}

extension TextInputs {
  /// Encoded texts as rows, padded to the longest.
  public init(_ encodings: [Encoding], padding: Int32? = nil, length: Int? = nil) {
    self.init(
      rows: encodings.map { ($0.ids, $0.segments) }, padding: padding ?? 0, length: length)
  }
}
