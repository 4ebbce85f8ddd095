import Checkpoint

/// `vocab.json` and `merges.txt`.
struct BytePairFiles {
  let model: BytePairModel

  /// - Throws: ``CheckpointError`` or ``InferError`` when one is missing or damaged.
  init(vocabulary path: String) throws {
    let json: JSON
    do throws(CheckpointError) {
      json = try JSON(parsing: File.contents(of: path, limit: Vocabulary.largest))
    } catch {
      throw error.at(.file(path))
    }
    guard let members = json.members, !members.isEmpty else {
      throw CheckpointError(.damaged, .file(path), "is no vocabulary: expected tokens with ids")
    }
    var table = TokenTable()
    var tokens: [(token: String, id: Int32)] = []
    for member in members {
      guard let id = member.value.int.flatMap(Int32.init(exactly:)), id >= 0 else {
        throw CheckpointError(
          .damaged, .file(path), "gives \"\(member.key)\" the id \(member.value.compact)")
      }
      table.insert(member.key, id: id)
      tokens.append((member.key, id))
    }
    let merges = try BytePairFiles.merges(beside: path)
    model = try BytePairModel(
      table, tokens: tokens, merges: merges, unknown: nil, rules: BytePairModel.Rules(),
      from: path)
  }

  /// `merges.txt`, or `NAME.merges.txt` beside `NAME.vocab.json`.
  private static func merges(beside path: String) throws(CheckpointError) -> [(String, String)] {
    let folder = Paths.folder(of: path)
    let name = Paths.name(of: path)
    let own =
      name.hasSuffix("vocab.json") ? String(name.dropLast(10)) + "merges.txt" : "merges.txt"
    guard
      let file = [own, "merges.txt"].map({ Paths.join(folder, $0) }).first(where: Paths.isFile)
    else {
      throw CheckpointError(
        .cannotRead, .file(Paths.join(folder, own)), "does not exist; \(name) needs it")
    }
    let bytes = try File.contents(of: file, limit: Vocabulary.largest)
    guard let text = String(validating: bytes, as: UTF8.self) else {
      throw CheckpointError(.damaged, .file(file), "is not UTF-8")
    }
    var merges: [(String, String)] = []
    for (number, line) in text.unicodeScalars.split(
      separator: "\n", omittingEmptySubsequences: false
    ).enumerated() {
      let line = line.last == "\r" ? line.dropLast() : line
      guard !line.isEmpty, !line.starts(with: "#version".unicodeScalars) else { continue }
      guard let pair = pair(String(line)) else {
        throw CheckpointError(
          .damaged, .file(file), "line \(number + 1) is no merge: expected two tokens")
      }
      merges.append(pair)
    }
    return merges
  }

  /// Two tokens with a blank between them.
  static func pair(_ text: String) -> (String, String)? {
    let parts = text.unicodeScalars.split(separator: " ", omittingEmptySubsequences: false)
    return parts.count == 2 ? (String(parts[0]), String(parts[1])) : nil
  }
}

extension AddedTokens.Token {
  /// A token as tokenizer_config.json gives it: its text, or an object with that as `content` and with flags.
  ///
  /// - Parameter isSpecial: whether it is one, where nothing is said of that.
  init?(_ json: JSON, isSpecial: Bool) {
    guard let content = json.string ?? json["content"]?.string else { return nil }
    let isSaidSpecial = json["special"]?.bool ?? (json.string != nil && isSpecial)
    self.init(
      id: 0, content: content, isSpecial: isSaidSpecial || isSpecial,
      isNormalized: json["normalized"]?.bool ?? !isSaidSpecial,
      isSingleWord: json["single_word"]?.bool ?? false,
      stripsLeft: json["lstrip"]?.bool ?? false, stripsRight: json["rstrip"]?.bool ?? false)
  }
}

extension TokenizerSource {
  /// transformers' names of special tokens, in the order in which those that a vocabulary lacks are numbered.
  private static let specialKeys = [
    "bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token",
  ]

  /// The tokens of `added_tokens_decoder`, in the order of their ids.
  var decoderTokens: [AddedTokens.Token] {
    let members = configuration["added_tokens_decoder"]?.members ?? []
    return members.compactMap { member in Int(member.key).map { ($0, member.value) } }
      .sorted { $0.0 < $1.0 }.compactMap { AddedTokens.Token($0.1, isSpecial: false) }
  }

  /// Special tokens that have no name of their own.
  var extraTokens: [AddedTokens.Token] {
    let lists = ["extra_special_tokens", "additional_special_tokens"].compactMap { key in
      configuration[key].map { $0.array ?? $0.members?.map(\.value) ?? [] }
    }
    return (lists.first { !$0.isEmpty } ?? []).compactMap {
      AddedTokens.Token($0, isSpecial: true)
    }
  }

  /// Special tokens with a name.
  ///
  /// - Parameter usual: what they are where the configuration says nothing.
  func namedTokens(_ usual: [(key: String, token: String?)]) -> [AddedTokens.Token] {
    TokenizerSource.specialKeys.compactMap { key in
      guard let usual = usual.first(where: { $0.key == key }) else { return nil }
      return (configuration[key] ?? usual.token.map { .string($0) }).flatMap {
        AddedTokens.Token($0, isSpecial: true)
      }
    }
  }
}

extension PipelineTokenizer {
  /// Makes tokens with a name of their own stay whole inside text; those that the vocabulary lacks get the next ids,
  /// whatever ids the configuration gives them.
  ///
  /// - Parameter usual: the keys of tokenizer_config.json with what they are where it says nothing.
  mutating func addSpecials(
    _ source: TokenizerSource, _ tokens: [AddedTokens.Token], usual: [(key: String, token: String?)]
  ) throws(InferError) {
    var all = tokens
    func index(_ token: AddedTokens.Token) -> Int? {
      all.firstIndex { $0.content.utf8.elementsEqual(token.content.utf8) }
    }
    func add(_ token: AddedTokens.Token) throws(InferError) {
      let place = index(token)
      var token = token
      if let id = place.map({ all[$0].id }) ?? model.vocabulary.id(of: token.content) {
        token.id = id
      } else {
        let next = max(model.vocabulary.count, (all.map { Int($0.id) }.max() ?? -1) + 1)
        guard let id = Int32(exactly: next) else {
          throw InferError(.input, source.path, "has no id left for the token \(token.content)")
        }
        token.id = id
      }
      if let place { all[place] = token } else { all.append(token) }
    }
    let named = source.namedTokens(usual)
    for token in source.decoderTokens {
      var token = token
      if named.contains(where: { $0.content.utf8.elementsEqual(token.content.utf8) }) {
        token.isSpecial = true
      }
      try add(token)
    }
    for token in named + source.extraTokens where index(token) == nil { try add(token) }
    added = AddedTokens(all, normalizer: normalizer)
    func id(_ key: String) -> Int32? {
      usual.first { $0.key == key }.flatMap { source.specialToken($0.key, or: $0.token) }
        .flatMap { self.id(of: $0) }
    }
    special = SpecialTokens(
      unknown: id("unk_token"), padding: id("pad_token"), mask: id("mask_token"),
      start: id("cls_token") ?? id("bos_token"), end: id("sep_token") ?? id("eos_token"))
  }

  /// - Throws: ``InferError`` when the vocabulary lacks a token that every text needs.
  func required(_ token: String) throws(InferError) -> Int32 {
    guard let id = id(of: token) else {
      throw InferError(
        .input, token, "is not in the vocabulary, and every text needs it",
        hint: "is it this model's vocabulary?")
    }
    return id
  }

  mutating func frame(
    _ source: TokenizerSource, _ startKey: String, _ start: String, _ endKey: String,
    _ end: String, doubled: Bool = false, segment: Int32
  ) throws(InferError) {
    frame(
      start: try required(source.specialToken(startKey, or: start) ?? start),
      end: try required(source.specialToken(endKey, or: end) ?? end), doubled: doubled,
      segment: segment)
  }
}

/// transformers' `GPT2Tokenizer`.
public struct GPT2Kind: TokenizerKind {
  public let name = "gpt2"

  public func fits(_ source: TokenizerSource, dialect: String?, family: String?) -> Bool {
    source.form == .bytePairs
  }

  public func tokenizer(_ source: TokenizerSource) throws -> any Tokenizer {
    try source.refuse(.letterCase, .segmented, for: name)
    let model = try BytePairFiles(vocabulary: source.path).model
    var tokenizer = PipelineTokenizer("byte-level BPE as transformers' GPT2Tokenizer", model: model)
    tokenizer.preTokenizer = .byteLevel(
      prefixSpace: source.configuration["add_prefix_space"]?.bool ?? false, splits: true)
    tokenizer.decoder = .byteLevel
    let end = "<|endoftext|>"
    try tokenizer.addSpecials(
      source, [],
      usual: [("unk_token", end), ("bos_token", end), ("eos_token", end), ("pad_token", nil)])
    // Without one of its own no text is framed.
    if source.configuration["add_bos_token"]?.bool ?? false, let start = tokenizer.special.start {
      tokenizer.single = EncodingTemplate([.special(start, segment: 0), .text(0, segment: 0)])
      tokenizer.pair = EncodingTemplate([
        .special(start, segment: 0), .text(0, segment: 0), .special(start, segment: 1),
        .text(1, segment: 1),
      ])
    } else {
      tokenizer.pair = EncodingTemplate([.text(0, segment: 0), .text(1, segment: 1)])
    }
    return tokenizer
  }
}

/// transformers' `RobertaTokenizer`.
public struct RoBERTaKind: TokenizerKind {
  public let name = "roberta"

  public func fits(_ source: TokenizerSource, dialect: String?, family: String?) -> Bool {
    guard source.form == .bytePairs else { return false }
    if let name = source.className { return name == "RobertaTokenizer" }
    return family == "roberta"
  }

  public func tokenizer(_ source: TokenizerSource) throws -> any Tokenizer {
    try source.refuse(.letterCase, .segmented, for: name)
    let model = try BytePairFiles(vocabulary: source.path).model
    let prefixes = source.configuration["add_prefix_space"]?.bool ?? false
    var tokenizer = PipelineTokenizer(
      "byte-level BPE as transformers' RobertaTokenizer", model: model)
    tokenizer.preTokenizer = .byteLevel(prefixSpace: prefixes, splits: true)
    tokenizer.decoder = .byteLevel
    try tokenizer.addSpecials(
      source, [],
      usual: [
        ("bos_token", "<s>"), ("eos_token", "</s>"), ("sep_token", "</s>"), ("cls_token", "<s>"),
        ("unk_token", "<unk>"), ("pad_token", "<pad>"), ("mask_token", "<mask>"),
      ])
    try tokenizer.frame(
      source, "cls_token", "<s>", "sep_token", "</s>", doubled: true, segment: 0)
    if source.configuration["trim_offsets"]?.bool ?? true { tokenizer.trimming = [prefixes] }
    return tokenizer
  }
}

/// The `tokenizers` package's own file.
public struct TokenizerJSONKind: TokenizerKind {
  public let name = "tokenizer-json"

  public func fits(_ source: TokenizerSource, dialect: String?, family: String?) -> Bool {
    source.form == .tokenizerJSON
  }

  public func tokenizer(_ source: TokenizerSource) throws -> any Tokenizer {
    try source.refuse(.letterCase, .segmented, for: name)
    return try TokenizerJSON(contentsOf: source.path).tokenizer()
  }
}
