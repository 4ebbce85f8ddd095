import Checkpoint

extension TokenizerSource {
  fileprivate func wordPiece(
    _ mode: WordPiece.Mode, usuallyLowercase: Bool, isWordLevel: Bool = false
  ) throws -> WordPiece {
    try WordPiece(
      vocabulary: Vocabulary(contentsOf: path, rule: mode.vocabularyRule), mode: mode,
      lowercase: lowercases(usual: usuallyLowercase), segmented: segmented,
      isWordLevel: isWordLevel)
  }
}

/// bert4keras' `Tokenizer`.
public struct Bert4kerasKind: TokenizerKind {
  public let name = "bert4keras"
  public let abstract = "WordPiece as bert4keras' Tokenizer makes it (vocab.txt)"

  public func fits(_ source: TokenizerSource, dialect: String?, family: String?) -> Bool {
    source.form == .lines && dialect == "bert4keras"
  }

  public func tokenizer(_ source: TokenizerSource) throws -> any Tokenizer {
    try source.wordPiece(.bert4keras, usuallyLowercase: true)
  }
}

/// transformers' `BertTokenizer`, also ELECTRA's and DistilBERT's.
public struct BERTKind: TokenizerKind {
  public let name = "bert"
  public let abstract = "WordPiece as transformers' BertTokenizer makes it (vocab.txt)"

  public func fits(_ source: TokenizerSource, dialect: String?, family: String?) -> Bool {
    source.form == .lines
  }

  public func tokenizer(_ source: TokenizerSource) throws -> any Tokenizer {
    try source.wordPiece(.transformers, usuallyLowercase: true)
  }
}

/// transformers' tokenizer in pure Python, Google's rules.
public struct LegacyBERTKind: TokenizerKind {
  public let name = "bert-legacy"
  public let abstract = "WordPiece by Google's rules, as transformers' BertTokenizerLegacy (vocab.txt)"

  public func fits(_ source: TokenizerSource, dialect: String?, family: String?) -> Bool {
    source.form == .lines && source.className == "BertTokenizerLegacy"
  }

  public func tokenizer(_ source: TokenizerSource) throws -> any Tokenizer {
    try source.wordPiece(.transformersLegacy, usuallyLowercase: true)
  }
}

/// RoFormer's vocabulary of Chinese words, as far as it needs no segmenter.
public struct RoFormerKind: TokenizerKind {
  public let name = "roformer"
  public let abstract = "a vocabulary of Chinese words; the text is not segmented by jieba (vocab.txt)"

  public func fits(_ source: TokenizerSource, dialect: String?, family: String?) -> Bool {
    guard source.form == .lines else { return false }
    return source.className.map { $0 == "RoFormerTokenizer" }
      ?? (family == "roformer" && dialect != "bert4keras")
  }

  public func tokenizer(_ source: TokenizerSource) throws -> any Tokenizer {
    try source.wordPiece(.transformers, usuallyLowercase: true, isWordLevel: true)
  }
}
