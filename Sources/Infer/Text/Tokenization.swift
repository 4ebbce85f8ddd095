public import Checkpoint

/// Text as a model's ids: the tokenizer that goes with a dialect, and batches within its limits.
public struct Tokenization: Sendable {
  public let wordPiece: WordPiece
  /// What is odd about the vocabulary.
  public let warnings: [String]
  private let positions: Int

  /// - Parameters:
  ///   - vocabularyPath: the vocabulary file.
  ///   - model: its dialect decides the tokenizer's mode, its tables the limits.
  /// - Throws: ``InferError`` when the vocabulary is larger than the token table.
  public init(vocabularyPath: String, model: Model, lowercase: Bool) throws {
    let mode: WordPiece.Mode = model.dialect == "bert4keras" ? .bert4keras : .transformers
    let vocabulary = try Vocabulary(contentsOf: vocabularyPath, rule: mode.vocabularyRule)
    let rows = model.architecture.configuration.vocabularySize
    guard vocabulary.idCount <= rows else {
      throw InferError(
        .input, vocabularyPath, "has \(vocabulary.idCount) tokens; the model has \(rows)",
        hint: "give the vocabulary that the weights were trained with: --vocab FILE")
    }
    var warnings = vocabulary.warnings
    if vocabulary.idCount < rows {
      warnings.append(
        "the vocabulary has \(vocabulary.idCount) tokens, the model \(rows); ids beyond are shown "
          + "as [id]")
    }
    self.warnings = warnings
    wordPiece = try WordPiece(vocabulary: vocabulary, mode: mode, lowercase: lowercase)
    positions = model.architecture.configuration.positions
  }

  /// Ids with [CLS] and [SEP], one row per text.
  ///
  /// - Parameter special: a token whose spelling in the text stands for it; bert4keras' own
  ///   tokenizer takes `[MASK]` for ordinary characters.
  /// - Throws: ``InferError`` naming the first text that is longer than the position table.
  public func rows(
    _ texts: [String], keeping special: Int32? = nil
  ) throws -> [(tokens: [Int32], segments: [Int32])] {
    let spelling = special.flatMap { wordPiece.vocabulary.token(of: $0) }
    return try texts.enumerated().map { number, text in
      let ids: [Int32]
      if let special, let spelling {
        let parts = text.split(separator: spelling, omittingEmptySubsequences: false)
          .map { wordPiece.ids(String($0)) }
        ids = [wordPiece.startID] + Array(parts.joined(separator: [special])) + [wordPiece.endID]
      } else {
        ids = try wordPiece.encode(text).ids
      }
      guard ids.count <= positions else {
        throw InferError(
          .input, "text \(number + 1)",
          "has \(ids.count) tokens; the model has \(positions) positions",
          hint: "shorten it to \(positions) tokens, [CLS] and [SEP] included")
      }
      return (ids, [Int32](repeating: 0, count: ids.count))
    }
  }
}
