import Checkpoint

/// Reads `tokenizer.json`, the file of the `tokenizers` package (version 1.0).
struct TokenizerJSON {
  private let path: String
  private let json: JSON

  init(contentsOf path: String) throws(CheckpointError) {
    self.path = path
    do throws(CheckpointError) {
      json = try JSON(parsing: File.contents(of: path, limit: Vocabulary.largest))
    } catch {
      throw error.at(.file(path))
    }
  }

  /// - Throws: ``InferError`` that names what is missing or not supported.
  func tokenizer() throws(InferError) -> PipelineTokenizer {
    guard let model = json["model"], model.members != nil else { throw fail("has no \"model\"") }
    let normalizer = try present("normalizer").map(normalizer)
    var tokenizer = PipelineTokenizer("tokenizer.json", model: try pieceModel(model))
    tokenizer.name = "tokenizer.json with \(tokenizer.model.name)"
    tokenizer.normalizer = normalizer
    tokenizer.preTokenizer = try present("pre_tokenizer").map(preTokenizer)
    tokenizer.decoder = try present("decoder").map(decoder)
    tokenizer.added = AddedTokens(try addedTokens(tokenizer.model), normalizer: normalizer)
    if let processor = present("post_processor") { try process(processor, &tokenizer) }
    tokenizer.findSpecials()
    return tokenizer
  }

  private func present(_ key: String) -> JSON? {
    json[key].flatMap { $0 == .null ? nil : $0 }
  }

  private func fail(_ reason: String) -> InferError {
    InferError(.input, path, reason, hint: "is it a tokenizer.json of the tokenizers package?")
  }

  private func unsupported(_ what: String, _ part: JSON) -> InferError {
    InferError(
      .unsupported, path,
      "has a \(what) that is not supported: \(part["type"]?.string ?? String(part.compact.prefix(60)))",
      hint: "vocab.txt, spiece.model, or vocab.json with merges.txt beside the model may be read instead")
  }

  private func scalars(_ text: String) -> [UInt32] { text.unicodeScalars.map(\.value) }

  private func list(_ part: JSON, _ key: String) throws(InferError) -> [JSON] {
    guard let list = part[key]?.array else { throw fail("lacks \"\(key)\" in \"\(part["type"]?.string ?? "")\"") }
    return list
  }

  // MARK: - Model

  private func table(
    _ part: JSON
  ) throws(InferError) -> (table: TokenTable, tokens: [(token: String, id: Int32)]) {
    guard let members = part["vocab"]?.members else { throw fail("has a model without \"vocab\"") }
    var table = TokenTable()
    var tokens: [(token: String, id: Int32)] = []
    tokens.reserveCapacity(members.count)
    for member in members {
      guard let id = member.value.int.flatMap(Int32.init(exactly:)), id >= 0 else {
        throw fail("gives \"\(member.key)\" the id \(member.value.compact)")
      }
      table.insert(member.key, id: id)
      tokens.append((member.key, id))
    }
    return (table, tokens)
  }

  private func pieceModel(_ part: JSON) throws(InferError) -> any PieceModel {
    // Old files do not name the type.
    let type =
      part["type"]?.string
      ?? (part["merges"] != nil
        ? "BPE"
        : part["unk_id"] != nil
          ? "Unigram" : part["max_input_chars_per_word"] != nil ? "WordPiece" : "WordLevel")
    switch type {
    case "WordPiece":
      let (table, tokens) = try table(part)
      let name = part["unk_token"]?.string ?? "[UNK]"
      guard let unknown = table.id(of: name) else { throw fail("lacks the token \(name)") }
      var trie = TokenTrie()
      for token in tokens { trie.insert(token.token.unicodeScalars.lazy.map(\.value), id: token.id) }
      return WordPieceModel(
        table, trie: trie, unknown: unknown,
        prefix: part["continuing_subword_prefix"]?.string ?? "##",
        longest: part["max_input_chars_per_word"]?.int ?? 100)
    case "WordLevel":
      let (table, _) = try table(part)
      return WordLevelModel(
        vocabulary: table, unknown: table.id(of: part["unk_token"]?.string ?? "<unk>"))
    case "BPE": return try bytePairModel(part)
    case "Unigram":
      var entries: [(token: String, score: Double)] = []
      for entry in try list(part, "vocab") {
        guard let pair = entry.array, pair.count == 2, let token = pair[0].string,
          let score = pair[1].double
        else { throw fail("has a vocabulary entry \(String(entry.compact.prefix(60)))") }
        entries.append((token, score))
      }
      let unknown = part["unk_id"]?.int
      guard unknown.map(entries.indices.contains) ?? true else {
        throw fail("has an unk_id beyond its vocabulary")
      }
      return UnigramModel(
        entries, unknown: unknown.map { Int32(clamping: $0) },
        byteFallback: part["byte_fallback"]?.bool ?? false)
    default: throw unsupported("model", part)
    }
  }

  private func bytePairModel(_ part: JSON) throws(InferError) -> any PieceModel {
    let (table, tokens) = try table(part)
    if let dropout = part["dropout"]?.double, dropout > 0 {
      throw InferError(.unsupported, path, "drops merges at random, which is for training")
    }
    var merges: [(String, String)] = []
    for merge in try list(part, "merges") {
      if let pair = merge.array, pair.count == 2, let a = pair[0].string, let b = pair[1].string {
        merges.append((a, b))
      } else if let pair = merge.string.flatMap(BytePairFiles.pair) {
        merges.append(pair)
      } else {
        throw fail("has a merge \(String(merge.compact.prefix(60)))")
      }
    }
    var unknown: Int32?
    if let name = part["unk_token"]?.string {
      unknown = table.id(of: name)
      guard unknown != nil else { throw fail("lacks the token \(name)") }
    }
    let rules = BytePairModel.Rules(
      prefix: part["continuing_subword_prefix"]?.string ?? "",
      suffix: part["end_of_word_suffix"]?.string ?? "",
      fusesUnknown: part["fuse_unk"]?.bool ?? false,
      byteFallback: part["byte_fallback"]?.bool ?? false,
      ignoresMerges: part["ignore_merges"]?.bool ?? false)
    return try BytePairModel(
      table, tokens: tokens, merges: merges, unknown: unknown, rules: rules, from: path)
  }

  private func addedTokens(_ model: any PieceModel) throws(InferError) -> [AddedTokens.Token] {
    var tokens: [AddedTokens.Token] = []
    var next = Int32(clamping: model.vocabulary.count)
    for entry in json["added_tokens"]?.array ?? [] {
      guard let content = entry["content"]?.string else { throw fail("has an added token without text") }
      // The package goes by the vocabulary, and numbers what it lacks.
      var id = model.vocabulary.id(of: content) ?? tokens.first { $0.content == content }?.id
      if id == nil {
        id = next
        next += 1
      }
      tokens.append(
        AddedTokens.Token(
          id: id ?? 0, content: content, isSpecial: entry["special"]?.bool ?? false,
          isNormalized: entry["normalized"]?.bool ?? false,
          isSingleWord: entry["single_word"]?.bool ?? false,
          stripsLeft: entry["lstrip"]?.bool ?? false, stripsRight: entry["rstrip"]?.bool ?? false))
    }
    return tokens
  }

  // MARK: - Steps

  private func normalizer(_ part: JSON) throws(InferError) -> TextNormalizer {
    switch part["type"]?.string {
    case "Sequence":
      var steps: [TextNormalizer] = []
      for step in try list(part, "normalizers") { steps.append(try normalizer(step)) }
      return .sequence(steps)
    case "BertNormalizer":
      let lowercase = part["lowercase"]?.bool ?? true
      return .bert(
        clean: part["clean_text"]?.bool ?? true,
        spacesChinese: part["handle_chinese_chars"]?.bool ?? true,
        stripsAccents: part["strip_accents"]?.bool ?? lowercase, lowercase: lowercase)
    case "NFC": return .composed(compatible: false)
    case "NFKC": return .composed(compatible: true)
    case "NFD": return .decomposed(compatible: false)
    case "NFKD": return .decomposed(compatible: true)
    case "Lowercase": return .lowercase
    case "StripAccents": return .stripAccents
    case "Nmt": return .nmt
    case "Strip":
      return .strip(
        left: part["strip_left"]?.bool ?? true, right: part["strip_right"]?.bool ?? true)
    case "Prepend": return .prepend(scalars(part["prepend"]?.string ?? ""))
    case "Replace":
      let content = scalars(part["content"]?.string ?? "")
      if let pattern = part["pattern"]?["String"]?.string {
        return .replace(scalars(pattern), content)
      }
      guard part["pattern"]?["Regex"]?.string == " {2,}" else {
        throw InferError(
          .unsupported, path,
          "replaces by a regular expression, of which only \" {2,}\" is supported: "
            + (part["pattern"]?.compact ?? ""))
      }
      return .replaceBlanks(content)
    case "Precompiled":
      guard let bytes = part["precompiled_charsmap"]?.string.map(Base64.decoded) else {
        throw fail("has a damaged \"precompiled_charsmap\"")
      }
      return .precompiled(try Charsmap(bytes, from: path))
    default: throw unsupported("normalizer", part)
    }
  }

  private func preTokenizer(_ part: JSON) throws(InferError) -> PreTokenizer {
    switch part["type"]?.string {
    case "Sequence":
      var steps: [PreTokenizer] = []
      for step in try list(part, "pretokenizers") { steps.append(try preTokenizer(step)) }
      return .sequence(steps)
    case "BertPreTokenizer": return .bert
    case "Whitespace": return .whitespace
    case "WhitespaceSplit": return .whitespaceSplit
    case "Punctuation":
      guard part["behavior"]?.string ?? "Isolated" == "Isolated" else {
        throw unsupported("pre-tokenizer", part)
      }
      return .punctuation
    case "Digits": return .digits(single: part["individual_digits"]?.bool ?? false)
    case "Metaspace":
      return .metaspace(
        replacement: part["replacement"]?.string?.unicodeScalars.first?.value ?? 0x2581,
        prepend: prepend(part), splits: part["split"]?.bool ?? true)
    case "ByteLevel":
      return .byteLevel(
        prefixSpace: part["add_prefix_space"]?.bool ?? true,
        splits: part["use_regex"]?.bool ?? true)
    default: throw unsupported("pre-tokenizer", part)
    }
  }

  private func prepend(_ part: JSON) -> PreTokenizer.Prepend {
    if part["add_prefix_space"]?.bool == false { return .never }
    return part["prepend_scheme"]?.string.flatMap(PreTokenizer.Prepend.init) ?? .always
  }

  private func decoder(_ part: JSON) throws(InferError) -> TokenDecoder {
    switch part["type"]?.string {
    case "Sequence":
      var steps: [TokenDecoder] = []
      for step in try list(part, "decoders") { steps.append(try decoder(step)) }
      return .sequence(steps)
    case "WordPiece":
      return .wordPiece(
        prefix: part["prefix"]?.string ?? "##", cleans: part["cleanup"]?.bool ?? true)
    case "ByteLevel": return .byteLevel
    case "Metaspace":
      return .metaspace(
        replacement: part["replacement"]?.string?.unicodeScalars.first ?? "\u{2581}",
        removesFirst: prepend(part) != .never)
    case "BPEDecoder": return .bytePair(suffix: part["suffix"]?.string ?? "</w>")
    case "ByteFallback": return .byteFallback
    case "Fuse": return .fuse
    case "Strip":
      guard let content = part["content"]?.string?.unicodeScalars.first else {
        throw fail("has a decoder that strips nothing")
      }
      return .strip(content, start: part["start"]?.int ?? 0, stop: part["stop"]?.int ?? 0)
    case "Replace":
      guard let pattern = part["pattern"]?["String"]?.string else {
        throw unsupported("decoder", part)
      }
      return .replace(pattern, part["content"]?.string ?? "")
    default: throw unsupported("decoder", part)
    }
  }

  // MARK: - What stands around

  private func process(_ part: JSON, _ tokenizer: inout PipelineTokenizer) throws(InferError) {
    switch part["type"]?.string {
    case "Sequence":
      for step in try list(part, "processors") { try process(step, &tokenizer) }
    case "ByteLevel":
      if part["trim_offsets"]?.bool ?? true {
        tokenizer.trimming.append(part["add_prefix_space"]?.bool ?? true)
      }
    case "TemplateProcessing":
      tokenizer.single = try template(try list(part, "single"), part)
      tokenizer.pair = try template(try list(part, "pair"), part)
    case "BertProcessing", "RobertaProcessing":
      func id(_ key: String) throws(InferError) -> Int32 {
        guard let id = part[key]?.array?.last?.int else { throw fail("lacks \"\(key)\"") }
        return Int32(clamping: id)
      }
      let isRoberta = part["type"]?.string == "RobertaProcessing"
      tokenizer.frame(
        start: try id("cls"), end: try id("sep"), doubled: isRoberta, segment: isRoberta ? 0 : 1)
      if isRoberta, part["trim_offsets"]?.bool ?? true {
        tokenizer.trimming.append(part["add_prefix_space"]?.bool ?? true)
      }
    default: throw unsupported("post-processor", part)
    }
  }

  private func template(_ pieces: [JSON], _ part: JSON) throws(InferError) -> EncodingTemplate {
    var parts: [EncodingTemplate.Part] = []
    for piece in pieces {
      if let text = piece["Sequence"] {
        parts.append(
          .text(
            text["id"]?.string == "B" ? 1 : 0, segment: Int32(clamping: text["type_id"]?.int ?? 0)))
      } else if let token = piece["SpecialToken"], let name = token["id"]?.string,
        let ids = part["special_tokens"]?[name]?["ids"]?.array
      {
        for id in ids.compactMap(\.int) {
          parts.append(
            .special(Int32(clamping: id), segment: Int32(clamping: token["type_id"]?.int ?? 0)))
        }
      } else {
        throw fail("has a template part \(String(piece.compact.prefix(60)))")
      }
    }
    return EncodingTemplate(parts)
  }
}

extension PipelineTokenizer {
  /// `start text end`, and a pair behind it, with another `end` between them where it is doubled.
  mutating func frame(start: Int32, end: Int32, doubled: Bool, segment: Int32) {
    let first: [EncodingTemplate.Part] = [
      .special(start, segment: 0), .text(0, segment: 0), .special(end, segment: 0),
    ]
    single = EncodingTemplate(first)
    pair = EncodingTemplate(
      first + (doubled ? [.special(end, segment: segment)] : [])
        + [.text(1, segment: segment), .special(end, segment: segment)])
  }

  /// Finds the special tokens by their customary names and by the template.
  mutating func findSpecials() {
    func first(_ names: [String]) -> Int32? { names.compactMap { id(of: $0) }.first }
    let around = single.parts.compactMap { part -> Int32? in
      if case .special(let id, _) = part { id } else { nil }
    }
    var isFirst = false
    if case .special = single.parts.first { isFirst = true }
    var isLast = false
    if case .special = single.parts.last { isLast = true }
    special = SpecialTokens(
      unknown: model.unknown, padding: first(["[PAD]", "<pad>"]),
      mask: first(["[MASK]", "<mask>"]),
      start: isFirst ? around.first : first(["[CLS]", "<s>", "<|endoftext|>"]),
      end: isLast ? around.last : first(["[SEP]", "</s>", "<|endoftext|>"]))
  }
}
