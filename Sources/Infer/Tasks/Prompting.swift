public import Checkpoint

/// What a model generates from: which prompt a text becomes, and what begins and ends an answer.
///
/// As bert4keras' examples and transformers' `generate` do it:
/// - an encoder with a decoder reads the text; its decoder begins with the start token;
/// - under the UniLM mask the text, `[CLS] … [SEP]`, is segment 0 and the answer segment 1;
/// - a causal model goes on where the text stops, without the `[SEP]` that an encoded text would end with.
public struct Prompting: Sendable {
  public enum Kind: String, Sendable {
    case encoderDecoder = "encoder-decoder"
    case unilm
    case causal
    /// A model that sees both sides: it generates nothing, but fills masks.
    case masked
  }

  public let kind: Kind
  /// What a decoder begins with, or what stands before a causal model's text.
  public let start: Int32?
  /// What ends an answer.
  public let ends: Set<Int32>
  public let tokenization: Tokenization
  private let keepsFirst: Bool

  /// - Parameters:
  ///   - configurations: files that may tell start and end, the first one that does wins:
  ///     `generation_config.json`, then `config.json`.
  ///   - start: a token, by its spelling or its id, instead of what they tell.
  ///   - ends: the same for ends.
  /// - Throws: ``InferError`` when a token is none of the vocabulary.
  public init(
    _ model: RunnableModel, _ tokenization: Tokenization, configurations: [JSON] = [],
    start: String? = nil, ends: [String] = []
  ) throws(InferError) {
    let architecture = model.architecture
    self.tokenization = tokenization
    let kind: Kind =
      if architecture.structure.encoderDecoder {
        .encoderDecoder
      } else {
        switch architecture.configuration.mask {
        case .bidirectional: .masked
        case .causal: .causal
        case .unilm: .unilm
        }
      }
    self.kind = kind
    // GPT2_ML's prompts have no special tokens, though its vocabulary is BERT's.
    keepsFirst = architecture.family != GPT2ML().name
    let special = tokenization.tokenizer.special
    func told(_ key: String) -> [Int32]? {
      for configuration in configurations {
        guard let value = configuration[key] else { continue }
        let ids = (value.array ?? [value]).compactMap { $0.int.flatMap { Int32(exactly: $0) } }
        if !ids.isEmpty { return ids }
      }
      return nil
    }
    let limit = architecture.configuration.vocabularySize
    func id(_ token: String) throws(InferError) -> Int32 {
      if let id = tokenization.tokenizer.id(of: token) { return id }
      guard let id = Int32(token), id >= 0, id < limit else {
        throw InferError(
          .input, token, "is no token of the vocabulary",
          hint: "give a token as the vocabulary spells it, or an id below \(limit)")
      }
      return id
    }
    if let start {
      self.start = try id(start)
    } else if kind == .encoderDecoder {
      self.start =
        told("decoder_start_token_id")?.first ?? told("pad_token_id")?.first ?? special.padding ?? 0
    } else {
      self.start = nil
    }
    if !ends.isEmpty {
      var set: Set<Int32> = []
      for end in ends { set.insert(try id(end)) }
      self.ends = set
    } else {
      self.ends = Set(told("eos_token_id") ?? special.end.map { [$0] } ?? [])
    }
    beginning = told("bos_token_id")?.first ?? special.start
  }

  /// What an empty text of a causal model begins with.
  private let beginning: Int32?

  /// The prompt of a text.
  ///
  /// - Throws: ``InferError`` when the text is too long, or empty where nothing else begins an answer.
  public func prompt(_ text: String) throws -> Prompt {
    let encoding = try tokenization.encoding(text)
    switch kind {
    case .encoderDecoder:
      return Prompt(
        tokens: encoding.ids, segments: encoding.segments, targets: [start].compactMap(\.self))
    case .unilm, .masked:
      return Prompt(tokens: encoding.ids, segments: encoding.segments, targetSegment: 1)
    case .causal:
      var ids = encoding.ids
      if encoding.sources.last == .some(nil), !ids.isEmpty { ids.removeLast() }
      if !keepsFirst, encoding.sources.first == .some(nil), !ids.isEmpty { ids.removeFirst() }
      if let start { ids.insert(start, at: 0) }
      if ids.isEmpty, let beginning { ids = [beginning] }
      guard !ids.isEmpty else {
        throw InferError(
          .input, "text", "is empty, and nothing is known that begins a text",
          hint: "give --start-token TOKEN")
      }
      return Prompt(tokens: ids, segments: ids.map { _ in 0 })
    }
  }

  /// What is decoded for a text.
  ///
  /// - Parameter limit: how many tokens a row may hold, as ``StepModel/limit`` says.
  /// - Throws: ``InferError`` when the text leaves no room for an answer.
  func request(_ text: String, number: Int, limit: Int?) throws -> DecodingRequest {
    let prompt = try prompt(text)
    let taken = (kind == .encoderDecoder ? 0 : prompt.tokens.count) + prompt.targets.count
    let room = limit.map { $0 - taken } ?? .max
    guard room > 0 else {
      throw InferError(
        .input, "text",
        "has \(taken) tokens and leaves no room for an answer: the limit is "
          + "\(limit ?? 0)", hint: "shorten it, or --max-length with --long truncate cuts it")
    }
    return DecodingRequest(
      prompt, history: kind == .causal ? prompt.tokens + prompt.targets : prompt.targets,
      room: room, stream: UInt64(bitPattern: Int64(number)))
  }

  /// A text and what shall follow it, for judging.
  ///
  /// Where a source has a target of its own, the target ends with an end token. A causal model's text alone
  /// is its own target, from the second token on, or from the first where there is a start token.
  func target(_ text: String, _ pair: String?) throws -> ForcedTarget {
    switch kind {
    case .encoderDecoder, .unilm:
      guard let pair else {
        throw InferError(
          .input, "text", "has no target", hint: "give source and target: --pairs FILE")
      }
      let prompt = try prompt(text)
      return ForcedTarget(prompt: prompt, target: try targetIDs(pair))
    case .causal:
      if let pair {
        let prompt = try prompt(text)
        return ForcedTarget(
          prompt: prompt, target: tokenization.tokenizer.pieces(pair).map(\.id))
      }
      let encoding = try tokenization.encoding(text)
      var ids = encoding.ids
      if !keepsFirst {
        ids = zip(encoding.ids, encoding.sources).filter { $0.1 != nil }.map(\.0)
      }
      if let start { ids.insert(start, at: 0) }
      guard let first = ids.first else {
        throw InferError(.input, "text", "has no token")
      }
      return ForcedTarget(
        prompt: Prompt(tokens: [first], segments: [0]), target: Array(ids.dropFirst()),
        isWhole: true)
    case .masked:
      throw InferError(
        .unsupported, "target", "the model sees both sides of a token",
        hint: "--mask unilm or --mask causal lets it see what stands before")
    }
  }

  /// A target's pieces and the end.
  private func targetIDs(_ text: String) throws(InferError) -> [Int32] {
    let ids = tokenization.tokenizer.pieces(text).map(\.id)
    let end = tokenization.tokenizer.special.end.flatMap { ends.contains($0) ? $0 : nil }
    return ids + [end ?? ends.min()].compactMap(\.self)
  }

  /// The text of an answer, without what ends it.
  func text(of ids: [Int32]) -> String {
    tokenization.tokenizer.text(of: ids.withoutEnd(ends))
  }
}
