public import Checkpoint

/// Gives the vocabulary new tokens, each made of old ones.
///
/// Algebra: the row of a new token is the mean of its parts' rows, in the token table, the masked
/// language model's bias and the columns of a decoder of its own. New ids follow the old ones, whose
/// rows keep their bits.
///
/// FILE is a JSON array with the parts of each new token, ids or tokens: `[[4, 8], [9, 10, 1]]`, or
/// with weights `[[9, 10], [2, 1]]` for a mean that is not even; or text with a new token a line, its
/// parts with spaces between, and before them its name and a tabulator where it has one. A text file
/// whose parts are numbers only has ids, unless `as=tokens`. Without a name it is called as its parts,
/// put together without the `##` of those that continue a word.
///
/// As in bert4keras, parts are of the table as it stands here: of the trimmed one behind `keep-tokens`.
/// Preconditions: a vocabulary, where there is one, has a token for every row, and none of the new
/// names. Inverse: ``KeepTokens`` with the old ids.
/// Source: `load_embeddings` of bert4keras' `models.py` (`compound_tokens`).
public struct CompoundTokens: ModelTransform {
  public init() {}

  public var name: String { "compound-tokens" }
  public var summary: String { "adds tokens, each the mean of others" }
  public var contract: Correspondence.Contract { .exact }
  public var precondition: String { "a vocabulary, where there is one, names every row" }
  public var inverse: String { "keep-tokens with the old ids" }
  public var value: TransformValue { .file("FILE") }
  public var options: [TransformOption] { [.naming] }
  public var usesVocabulary: Bool { true }

  public func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    var result = model
    let rows = model.architecture.configuration.vocabularySize
    try check(model.vocabulary, rows: rows)
    let compounds = try listed(arguments)
    guard !compounds.isEmpty else {
      throw arguments.wrong("the file is empty; it lists new tokens")
    }
    var mixes = (0..<rows).map { [Pick($0)] }
    var parts: [[Int]] = []
    var shares: [Int: [Int: Double]] = [:]
    for compound in compounds {
      var ids: [Int] = []
      for part in compound.parts {
        ids.append(try arguments.id(of: part, rows: rows, model.vocabulary))
      }
      let total = compound.weights.reduce(0, +)
      mixes.append(zip(ids, compound.weights).map { Pick($0, times: $1 / total) })
      for (id, weight) in zip(ids, compound.weights) {
        shares[rows + parts.count, default: [:]][id, default: 0] += weight / total
      }
      parts.append(ids)
    }
    let rewritten = try result.mixTokens(mixes, "\(compounds.count) rows of means added")
    result.vocabulary = try model.vocabulary.map { vocabulary throws(CheckpointError) in
      try extended(vocabulary, compounds, parts, rows, arguments)
    }
    let tokens = (0..<rows).map(Optional.init) + compounds.map { _ in nil }
    return ModelChange(
      result,
      Correspondence(
        contract: contract, tokens: tokens, rewritten: rewritten, claims: [.mixed(shares)]))
  }

  /// A new token.
  private struct Compound {
    var name: String?
    var parts: [NamedToken]
    var weights: [Double]
    /// For people.
    var place: String
  }

  private func listed(_ arguments: TransformArguments) throws(CheckpointError) -> [Compound] {
    if let array = arguments.jsonArray() {
      try arguments.refuseNaming()
      var compounds: [Compound] = []
      for (index, json) in array.enumerated() {
        compounds.append(try compound(json, "element \(index + 1)", arguments))
      }
      return compounds
    }
    let lines = try arguments.lines().map { line in
      let name = line.firstIndex(of: "\t").map { String(line[..<$0]) }
      let rest = name.map { line.dropFirst($0.count + 1) } ?? line[...]
      return (name: name, parts: rest.split(separator: " "))
    }
    let isID = try arguments.namesByID(lines.map(\.parts).joined())
    var compounds: [Compound] = []
    for (index, line) in lines.enumerated() {
      let place = "line \(index + 1)"
      guard !line.parts.isEmpty, line.name != "" else {
        throw arguments.wrong(
          "\(place) is not a new token: expected its parts, or its name, a tabulator and its parts")
      }
      var parts: [NamedToken] = []
      for part in line.parts {
        if isID {
          guard let id = Int(part) else {
            throw arguments.wrong("\(place): \"\(part)\" is no id")
          }
          parts.append(NamedToken(.id(id), place))
        } else {
          parts.append(NamedToken(.token(String(part)), place))
        }
      }
      compounds.append(
        Compound(
          name: line.name, parts: parts, weights: parts.map { _ in 1 }, place: place))
    }
    return compounds
  }

  /// `[4, 8]`, or with weights `[[4, 8], [2, 1]]`.
  private func compound(
    _ json: JSON, _ place: String, _ arguments: TransformArguments
  ) throws(CheckpointError) -> Compound {
    let wrong = arguments.wrong(
      "\(place) is \(json.compact); expected the parts of a new token, or parts and their weights")
    guard let list = json.array, !list.isEmpty else { throw wrong }
    let isWeighted = list.allSatisfy { $0.array != nil }
    guard !isWeighted || list.count == 2 else { throw wrong }
    let named = isWeighted ? list[0].array ?? [] : list
    let parts = named.compactMap { NamedToken($0, place) }
    let weights =
      isWeighted ? (list[1].array ?? []).compactMap(\.double) : named.map { _ in 1.0 }
    guard parts.count == named.count, weights.count == parts.count, !parts.isEmpty,
      weights.allSatisfy(\.isFinite), weights.reduce(0, +) != 0
    else { throw wrong }
    return Compound(name: nil, parts: parts, weights: weights, place: place)
  }

  /// The vocabulary with the new tokens' names.
  private func extended(
    _ vocabulary: Vocabulary, _ compounds: [Compound], _ parts: [[Int]], _ rows: Int,
    _ arguments: TransformArguments
  ) throws(CheckpointError) -> Vocabulary {
    guard vocabulary.idCount == rows else {
      throw refusal(
        "the vocabulary has \(vocabulary.idCount) tokens and the token table \(rows) rows: the new "
          + "tokens' lines would not be those of their rows",
        hint: "leave out the rows without a token first: --apply keep-tokens=FILE with ids 0 to "
          + "\(vocabulary.idCount - 1)")
    }
    var tokens = (0..<rows).map { vocabulary.text(of: $0) ?? "" }
    var places: [String: String] = [:]
    for (compound, ids) in zip(compounds, parts) {
      let name = compound.name ?? joined(ids.map { tokens[$0] })
      if vocabulary.id(of: name) != nil {
        throw arguments.wrong(
          "\(compound.place): the vocabulary has \"\(name)\" already",
          hint: "in a text file a name and a tabulator may stand before the parts")
      }
      if let earlier = places.updateValue(compound.place, forKey: name) {
        throw arguments.wrong("\(compound.place): \"\(name)\" is new in \(earlier) already")
      }
      tokens.append(name)
    }
    return Vocabulary(tokens: tokens)
  }

  /// WordPiece's parts of a word as one.
  private func joined(_ parts: [String]) -> String {
    parts.enumerated().map { index, part in
      index > 0 && part.hasPrefix("##") ? String(part.dropFirst(2)) : part
    }.joined()
  }
}
