public import Checkpoint

/// Leaves out the rows of tokens that are not needed, and gives the others new ids.
///
/// Algebra: with kept ids k₀, k₁, …, row i of the token table becomes row kᵢ, and so do the masked
/// language model's bias and the columns of a decoder of its own. A text of kept tokens has the same
/// values, and the logits of kept tokens keep their bits; probabilities are shared out among fewer.
///
/// FILE is a JSON array of ids (as `json.dump(keep_tokens, file)` writes bert4keras' list) or of
/// tokens, or has an id or a token a line; their order is that of the new ids. A text file of numbers
/// only has ids, unless `as=tokens`. The vocabulary file and the ids of special tokens in the
/// configuration follow; files of other tokenizers do not.
///
/// Preconditions: ids that the model itself goes by stay in place (0 where it is the padding,
/// RoBERTa's up to its padding token, segments that are rows of the table), and the table has not been
/// trimmed before, because the file speaks of the original ids; `original_vocab_size` in the
/// configuration remembers that. Source: `load_embeddings` of bert4keras' `models.py`.
public struct KeepTokens: ModelTransform {
  public init() {}

  public var name: String { "keep-tokens" }
  public var summary: String { "trims the vocabulary to the tokens of a list, in its order" }
  public var contract: Correspondence.Contract { .exact }
  public var precondition: String {
    "a whole vocabulary; ids that the model goes by (the padding's) stay in place"
  }
  public var value: TransformValue { .file("FILE") }
  public var options: [TransformOption] { [.naming] }
  public var usesVocabulary: Bool { true }

  public func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    var result = model
    let c = model.architecture.configuration
    guard c.originalVocabularySize == 0 else {
      throw refusal(
        "the token table was trimmed before, from \(c.originalVocabularySize) rows to "
          + "\(c.vocabularySize); ids of the original vocabulary mean other tokens now",
        hint: "start from the original model; where the file speaks of this table's rows: --set "
          + "\(ConfigurationKey.originalVocabulary)=0")
    }
    try check(model.vocabulary, rows: c.vocabularySize)
    let kept = try ids(model, arguments)
    try checkPlaces(model, kept)
    let rewritten = try result.mixTokens(kept.map { [Pick($0)] }, "rows kept")
    result.architecture.configuration.originalVocabularySize = c.vocabularySize
    result.vocabulary = try model.vocabulary.map { vocabulary throws(CheckpointError) in
      try trimmed(vocabulary, kept, c.vocabularySize)
    }
    let remarks = renumberSpecials(&result, kept) + missing(model.vocabulary, kept)
    return ModelChange(
      result,
      Correspondence(contract: contract, tokens: kept.map(Optional.init), rewritten: rewritten),
      remarks: remarks)
  }

  /// The source's ids in their new order.
  private func ids(
    _ model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> [Int] {
    let rows = model.architecture.configuration.vocabularySize
    var kept: [Int] = []
    var places: [Int: String] = [:]
    for token in try listed(arguments) {
      let id = try arguments.id(of: token, rows: rows, model.vocabulary)
      if let earlier = places.updateValue(token.place, forKey: id) {
        throw arguments.wrong("\(token.place): id \(id) stands twice, the first time in \(earlier)")
      }
      kept.append(id)
    }
    guard !kept.isEmpty else { throw arguments.wrong("the file is empty; it lists what is kept") }
    return kept
  }

  private func listed(_ arguments: TransformArguments) throws(CheckpointError) -> [NamedToken] {
    if let array = arguments.jsonArray() {
      try arguments.refuseNaming()
      var tokens: [NamedToken] = []
      for (index, json) in array.enumerated() {
        guard let token = NamedToken(json, "element \(index + 1)") else {
          throw arguments.wrong(
            "element \(index + 1) is \(json.compact); expected an id or a token")
        }
        tokens.append(token)
      }
      return tokens
    }
    let lines = try arguments.lines()
    guard try arguments.namesByID(lines.map { $0.trimmed }) else {
      return lines.enumerated().map { NamedToken(.token($1), "line \($0 + 1)") }
    }
    var tokens: [NamedToken] = []
    for (index, line) in lines.enumerated() {
      guard let id = Int(line.trimmed) else {
        throw arguments.wrong("line \(index + 1) is \"\(line)\"; expected an id")
      }
      tokens.append(NamedToken(.id(id), "line \(index + 1)"))
    }
    return tokens
  }

  /// Checks that ids stay in place by which the model itself goes.
  private func checkPlaces(_ model: Model, _ kept: [Int]) throws(CheckpointError) {
    let c = model.architecture.configuration
    func moved(_ id: Int) -> Bool { kept.count <= id || kept[id] != id }
    if c.padding != .attentionMask, moved(0) {
      throw refusal(
        "id 0 is the padding wherever \(model.dialect) computes (padding is \(c.padding.rawValue)), so "
          + "it has to stay id 0; the list puts \(kept[0]) there",
        hint: "let the list begin with 0")
    }
    if model.architecture.structure.position == .absoluteAfterPadding,
      let first = (0...c.paddingToken).first(where: moved)
    {
      throw refusal(
        "positions are counted from behind the padding token's id, \(c.paddingToken), so ids up to it "
          + "have to stay in place; \(first) does not",
        hint: "let the list begin with 0 to \(c.paddingToken)")
    }
    if c.sharesSegments, let first = (0..<c.segments).first(where: moved) {
      throw refusal(
        "segments are rows 0 to \(c.segments - 1) of the token table, so these have to stay in place; "
          + "\(first) does not",
        hint: "let the list begin with 0 to \(c.segments - 1)")
    }
  }

  /// The vocabulary of the kept ids; rows at the end that have no token get none.
  private func trimmed(
    _ vocabulary: Vocabulary, _ kept: [Int], _ rows: Int
  ) throws(CheckpointError) -> Vocabulary {
    var tokens: [String] = []
    for (new, id) in kept.enumerated() {
      if let text = vocabulary.text(of: id) {
        guard tokens.count == new else {
          throw refusal(
            "id \(kept[tokens.count]) has no token in the vocabulary of \(vocabulary.idCount), and \(id) "
              + "behind it has one",
            hint: "put ids without a token at the end of the list, or leave them out")
        }
        tokens.append(text)
      }
    }
    return Vocabulary(tokens: tokens)
  }

  /// Puts the new ids of special tokens into the configuration.
  ///
  /// - Returns: which of them are gone.
  private func renumberSpecials(_ model: inout Model, _ kept: [Int]) -> [String] {
    let numbers = Dictionary(uniqueKeysWithValues: kept.enumerated().map { ($1, $0) })
    let c = model.architecture.configuration
    model.architecture.configuration.paddingToken = numbers[c.paddingToken] ?? 0
    var stated = model.configuration ?? .object([])
    // What transformers' class takes where nothing is said.
    for (key, id) in Self.usual[model.architecture.family] ?? [("pad_token_id", 0)]
    where stated[key] == nil && numbers[id] != id {
      stated.set(key, .number(id))
    }
    var gone: [String] = []
    for member in stated.members ?? [] where member.key.hasSuffix("_token_id") {
      func renumbered(_ value: JSON) -> JSON {
        guard let id = value.int, id >= 0 else { return value }
        return numbers[id].map { .number($0) } ?? .null
      }
      let new: JSON
      if let list = member.value.array {
        let found = list.map(renumbered).filter { $0 != .null }
        new = found.isEmpty ? .null : .array(found)
      } else {
        new = renumbered(member.value)
      }
      guard new != member.value else { continue }
      if new == .null { gone.append("\(member.key) (\(member.value.compact))") }
      stated.set(member.key, new)
    }
    if model.configuration != nil || stated.members?.isEmpty == false {
      model.configuration = stated
    }
    return gone.map { "\($0) is not kept; the result has no such token" }
  }

  /// Tokens that texts of a WordPiece vocabulary are made with, and that are gone.
  private func missing(_ vocabulary: Vocabulary?, _ kept: [Int]) -> [String] {
    let ids = Set(kept)
    return ["[UNK]", "[CLS]", "[SEP]", "[MASK]"].compactMap { token in
      guard let id = vocabulary?.id(of: token), !ids.contains(Int(id)) else { return nil }
      return "\(token) is not kept; texts cannot be made with it"
    }
  }

  private static let usual: [String: [(String, Int)]] = {
    let t5 = [("pad_token_id", 0), ("eos_token_id", 1), ("decoder_start_token_id", 0)]
    return [
      "t5": t5, "mt5": t5,
      "roberta": [("pad_token_id", 1), ("bos_token_id", 0), ("eos_token_id", 2)],
      "gpt": [], "gpt2": [], "gpt2_ml": [],
    ]
  }()
}

extension String {
  /// Without spaces around it.
  var trimmed: Substring {
    let isBlank: (Character) -> Bool = { $0 == " " || $0 == "\t" }
    var text = self[...]
    while let first = text.first, isBlank(first) { text.removeFirst() }
    while let last = text.last, isBlank(last) { text.removeLast() }
    return text
  }
}
