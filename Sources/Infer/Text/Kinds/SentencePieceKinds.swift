import Checkpoint

/// bert4keras' `SpTokenizer`, through the sentencepiece library.
public struct SentencePieceKind: TokenizerKind {
  public let name = "sentencepiece"

  public func fits(_ source: TokenizerSource, dialect: String?, family: String?) -> Bool {
    source.form == .sentencePiece
  }

  public func tokenizer(_ source: TokenizerSource) throws -> any Tokenizer {
    try source.refuse(.letterCase, .segmented, for: name)
    return try SentencePiece(contentsOf: source.path)
  }
}

extension SentencePieceModel {
  fileprivate func unigram(
    _ path: String, unknown: Int32, extra: [String] = []
  ) throws(InferError) -> UnigramModel {
    guard type == 1 else {
      throw InferError(
        .unsupported, path, "is no unigram model, which this kind of tokenizer needs",
        hint: "--tokenizer sentencepiece uses the sentencepiece library itself")
    }
    guard entries.indices.contains(Int(unknown)) else {
      throw InferError(.input, path, "has no piece \(unknown), the unknown one")
    }
    return UnigramModel(
      entries.map { ($0.token, Double($0.score)) } + extra.map { ($0, 0) }, unknown: unknown,
      byteFallback: false)
  }

  /// Control and user-defined pieces stay whole inside text.
  fileprivate var addedTokens: [AddedTokens.Token] {
    entries.enumerated().compactMap { id, entry in
      entry.type == 3 || entry.type == 4
        ? AddedTokens.Token(
          id: Int32(clamping: id), content: entry.token, isSpecial: entry.type == 3) : nil
    }
  }
}

/// transformers' `AlbertTokenizer`.
public struct ALBERTKind: TokenizerKind {
  public let name = "albert"

  public func fits(_ source: TokenizerSource, dialect: String?, family: String?) -> Bool {
    guard source.form == .sentencePiece, dialect != "bert4keras" else { return false }
    if let name = source.className { return name == "AlbertTokenizer" }
    if let family { return family == "albert" }
    let tokens = (try? SentencePieceModel(contentsOf: source.path))?.entries.map(\.token)
    return tokens.map { $0.contains("[CLS]") && $0.contains("[SEP]") } ?? false
  }

  public func tokenizer(_ source: TokenizerSource) throws -> any Tokenizer {
    try source.refuse(.segmented, for: name)
    let file = try SentencePieceModel(contentsOf: source.path)
    let model = try file.unigram(source.path, unknown: 1)
    var steps: [TextNormalizer] = ["``", "''"].map {
      .replace($0.unicodeScalars.map(\.value), [0x22])
    }
    if !(source.configuration["keep_accents"]?.bool ?? false) {
      steps += [.decomposed(compatible: true), .stripAccents]
    }
    if source.lowercases(usual: true) { steps.append(.lowercase) }
    if !file.charsmap.isEmpty {
      steps.append(.precompiled(try Charsmap(file.charsmap, from: source.path)))
    }
    let prefixes = source.configuration["add_prefix_space"]?.bool ?? true
    var tokenizer = PipelineTokenizer(
      "SentencePiece as transformers' AlbertTokenizer", model: model)
    tokenizer.normalizer = .sequence(steps)
    tokenizer.preTokenizer = .sequence([
      .whitespaceSplit,
      .metaspace(replacement: 0x2581, prepend: prefixes ? .always : .never, splits: true),
    ])
    tokenizer.decoder = .metaspace(replacement: "\u{2581}", removesFirst: prefixes)
    try tokenizer.addSpecials(
      source, file.addedTokens,
      usual: [
        ("unk_token", "<unk>"), ("pad_token", "<pad>"), ("cls_token", "[CLS]"),
        ("sep_token", "[SEP]"), ("mask_token", "[MASK]"), ("bos_token", "[CLS]"),
        ("eos_token", "[SEP]"),
      ])
    try tokenizer.frame(source, "cls_token", "[CLS]", "sep_token", "[SEP]", segment: 1)
    return tokenizer
  }
}

/// transformers' `T5Tokenizer`, also that of mT5.
public struct T5Kind: TokenizerKind {
  public let name = "t5"

  public func fits(_ source: TokenizerSource, dialect: String?, family: String?) -> Bool {
    guard source.form == .sentencePiece, dialect != "bert4keras" else { return false }
    if let name = source.className { return ["T5Tokenizer", "MT5Tokenizer"].contains(name) }
    if let family { return family.contains("t5") }
    let entries = (try? SentencePieceModel(contentsOf: source.path))?.entries ?? []
    return entries.count > 2 && entries[1].token == "</s>"
  }

  public func tokenizer(_ source: TokenizerSource) throws -> any Tokenizer {
    try source.refuse(.letterCase, .segmented, for: name)
    let file = try SentencePieceModel(contentsOf: source.path)
    let count = min(max(source.configuration["extra_ids"]?.int ?? 100, 0), 1000)
    // The last of them has the first id.
    let known = Set(file.entries.map(\.token))
    let extra = (0..<count).reversed().map { "<extra_id_\($0)>" }.filter { !known.contains($0) }
    let model = try file.unigram(source.path, unknown: 2, extra: extra)
    var tokenizer = PipelineTokenizer("SentencePiece as transformers' T5Tokenizer", model: model)
    if !file.charsmap.isEmpty {
      tokenizer.normalizer = .precompiled(try Charsmap(file.charsmap, from: source.path))
    }
    tokenizer.preTokenizer = .sequence([
      .whitespaceSplit, .metaspace(replacement: 0x2581, prepend: .always, splits: true),
    ])
    tokenizer.decoder = .metaspace(replacement: "\u{2581}", removesFirst: true)
    let added = (0..<count).reversed().compactMap { index -> AddedTokens.Token? in
      model.vocabulary.id(of: "<extra_id_\(index)>").map {
        AddedTokens.Token(id: $0, content: "<extra_id_\(index)>", isSpecial: true)
      }
    }
    try tokenizer.addSpecials(
      source, file.addedTokens + added,
      usual: [("unk_token", "<unk>"), ("pad_token", "<pad>"), ("eos_token", "</s>")])
    let end = try tokenizer.required(source.specialToken("eos_token", or: "</s>") ?? "</s>")
    tokenizer.single = EncodingTemplate([.text(0, segment: 0), .special(end, segment: 0)])
    tokenizer.pair = EncodingTemplate([
      .text(0, segment: 0), .special(end, segment: 0), .text(1, segment: 0),
      .special(end, segment: 0),
    ])
    tokenizer.special.end = end
    tokenizer.special.start = nil
    return tokenizer
  }
}
