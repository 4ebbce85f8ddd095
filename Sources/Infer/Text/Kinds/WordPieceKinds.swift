import Checkpoint

extension TokenizerSource {
  fileprivate func wordPiece(
    _ mode: WordPiece.Mode, usuallyLowercase: Bool, isWordLevel: Bool = false
  ) throws -> WordPiece {
    let vocabulary = try Vocabulary(contentsOf: path, rule: mode.vocabularyRule)
    do throws(TextError) {
      return try WordPiece(
        vocabulary: vocabulary, mode: mode, lowercase: lowercases(usual: usuallyLowercase),
        segmented: segmented, isWordLevel: isWordLevel)
    } catch {
      throw InferError(.input, path, error.description)
    }
  }
}

/// bert4keras' `Tokenizer`.
public struct Bert4kerasKind: TokenizerKind {
  public let name = "bert4keras"

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

  public func fits(_ source: TokenizerSource, dialect: String?, family: String?) -> Bool {
    source.form == .lines
  }

  public func tokenizer(_ source: TokenizerSource) throws -> any Tokenizer {
    source.isUsualBERT
      ? try source.wordPiece(.transformers, usuallyLowercase: true)
      : try source.configuredBERT()
  }
}

/// What tokenizer_config.json may say of a `BertTokenizer`.
extension TokenizerSource {
  private static let usual: [(key: String, token: String?)] = [
    ("unk_token", "[UNK]"), ("sep_token", "[SEP]"), ("pad_token", "[PAD]"),
    ("cls_token", "[CLS]"), ("mask_token", "[MASK]"),
  ]

  private var stripsAccents: Bool {
    lowercase ?? configuration["strip_accents"]?.bool ?? lowercases(usual: true)
  }

  private var spacesChinese: Bool { configuration["tokenize_chinese_chars"]?.bool ?? true }

  /// Whether the rules and tokens are those of Google's models.
  fileprivate var isUsualBERT: Bool {
    let tokens = decoderTokens + namedTokens(TokenizerSource.usual) + extraTokens
    return stripsAccents == lowercases(usual: true) && spacesChinese
      && tokens.allSatisfy { token in
        WordPiece.specialTokens.contains(token.content)
          && token == AddedTokens.Token(id: 0, content: token.content, isSpecial: true)
      }
      && TokenizerSource.usual.allSatisfy { specialToken($0.key, or: $0.token) == $0.token }
  }

  /// Any other.
  fileprivate func configuredBERT() throws -> PipelineTokenizer {
    try refuse(.segmented, for: "bert with this tokenizer_config.json")
    let vocabulary = try Vocabulary(
      contentsOf: path, rule: WordPiece.Mode.transformers.vocabularyRule)
    var table = TokenTable()
    var trie = TokenTrie()
    for token in vocabulary.tokens {
      guard let id = vocabulary.id(of: token) else { continue }
      table.insert(token, id: id)
      trie.insert(token.unicodeScalars.lazy.map(\.value), id: id)
    }
    let name = specialToken("unk_token", or: "[UNK]") ?? "[UNK]"
    guard let unknown = table.id(of: name) else {
      throw InferError(.input, path, TextError.missingToken(name).description)
    }
    let lowers = lowercases(usual: true)
    var tokenizer = PipelineTokenizer(
      "WordPiece as transformers makes it, \(lowers ? "lower case" : "cased"), as tokenizer_config.json says",
      model: WordPieceModel(table, trie: trie, unknown: unknown, prefix: "##", longest: 100))
    tokenizer.normalizer = .bert(
      clean: true, spacesChinese: spacesChinese, stripsAccents: stripsAccents, lowercase: lowers)
    tokenizer.preTokenizer = .bert
    tokenizer.decoder = .wordPiece(prefix: "##", cleans: true)
    try tokenizer.addSpecials(self, [], usual: TokenizerSource.usual)
    try tokenizer.frame(self, "cls_token", "[CLS]", "sep_token", "[SEP]", segment: 1)
    tokenizer.warnings = vocabulary.warnings
    return tokenizer
  }
}

/// transformers' tokenizer in pure Python, Google's rules.
public struct LegacyBERTKind: TokenizerKind {
  public let name = "bert-legacy"

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

  public func fits(_ source: TokenizerSource, dialect: String?, family: String?) -> Bool {
    guard source.form == .lines else { return false }
    return source.className.map { $0 == "RoFormerTokenizer" }
      ?? (family == "roformer" && dialect != "bert4keras")
  }

  public func tokenizer(_ source: TokenizerSource) throws -> any Tokenizer {
    try source.wordPiece(.transformers, usuallyLowercase: true, isWordLevel: true)
  }
}
