import Checkpoint

/// How a file of a transform names tokens.
enum TokenNaming: String, CaseIterable {
  case ids, tokens
}

extension TransformOption {
  /// `as=ids|tokens`, for a file whose tokens look like numbers.
  static let naming = TransformOption(
    "as", "ids|tokens",
    "what the lines of a text file are; without it they are ids where all of them are numbers")
}

/// A token as a file names it, and where.
struct NamedToken {
  enum Name {
    case id(Int)
    case token(String)
  }

  var name: Name
  /// For people: `line 3`, `element 3`.
  var place: String

  init(_ name: Name, _ place: String) {
    self.name = name
    self.place = place
  }

  /// A JSON array's element.
  init?(_ json: JSON, _ place: String) {
    if let id = json.int {
      self.init(.id(id), place)
    } else if let token = json.string {
      self.init(.token(token), place)
    } else {
      return nil
    }
  }
}

extension TransformArguments {
  /// The JSON array that the file holds, or `nil` where it is text: `[PAD]` begins no array.
  func jsonArray() -> [JSON]? {
    let isBlank: (UInt8) -> Bool = { [0x20, 0x09, 0x0a, 0x0d].contains($0) }
    guard content.first(where: { !isBlank($0) }) == 0x5b else { return nil }
    return (try? JSON(parsing: content))?.array
  }

  /// The file's lines; the last one's end is no line of its own.
  func lines() throws(CheckpointError) -> [String] {
    try Vocabulary(parsing: content).tokens
  }

  /// Whether the text file names tokens by ids: as ``TransformOption/naming`` says, else where all of
  /// `words` are numbers.
  func namesByID(_ words: some Sequence<Substring>) throws(CheckpointError) -> Bool {
    switch try choice("as", TokenNaming.self) {
    case .ids: true
    case .tokens: false
    case nil: words.allSatisfy { Int($0) != nil }
    }
  }

  /// Refuses to be told what a JSON file says itself.
  func refuseNaming() throws(CheckpointError) {
    guard options["as"] != nil else { return }
    throw wrong("a JSON file tells ids from tokens itself: numbers and texts; as is for lines")
  }

  /// The id that a file means.
  ///
  /// - Parameter rows: of the token table.
  func id(
    of token: NamedToken, rows: Int, _ vocabulary: Vocabulary?
  ) throws(CheckpointError) -> Int {
    switch token.name {
    case .id(let id):
      guard (0..<rows).contains(id) else {
        throw wrong(
          "\(token.place): id \(id) is beyond the token table, whose \(rows) rows are 0 to "
            + "\(rows - 1)")
      }
      return id
    case .token(let text):
      guard let vocabulary else {
        throw wrong(
          "\(token.place): \"\(text)\" is a token, and the model has no vocabulary",
          hint: "give it with --vocab vocab.txt, or a file of ids")
      }
      guard let id = vocabulary.id(of: text) else {
        throw wrong("\(token.place): the vocabulary has no token \"\(text)\"")
      }
      guard id < rows else {
        throw wrong(
          "\(token.place): \"\(text)\" has id \(id); the token table has \(rows) rows",
          hint: "give the vocabulary that the weights were trained with: --vocab FILE")
      }
      return Int(id)
    }
  }
}

extension Vocabulary {
  /// The text of an id: of a token that stands twice too.
  func text(of id: Int) -> String? {
    token(of: Int32(clamping: id)) ?? (tokens.indices.contains(id) ? tokens[id] : nil)
  }
}

extension Transform {
  /// Refuses a vocabulary with more ids than the token table has rows.
  func check(_ vocabulary: Vocabulary?, rows: Int) throws(CheckpointError) {
    guard let vocabulary, vocabulary.idCount > rows else { return }
    throw CheckpointError(
      .mismatch, Place(member: "--apply \(name)"),
      "the vocabulary has \(vocabulary.idCount) tokens; the token table has \(rows) rows",
      hint: "give the vocabulary that the weights were trained with: --vocab FILE")
  }
}

extension Model {
  /// Puts what has a row or a column for each token together anew: the token table, the masked
  /// language model's bias, and a causal one's own weights.
  ///
  /// - Returns: the names of what was changed.
  mutating func mixTokens(_ mixes: [[Pick]], _ step: String) throws(CheckpointError) -> Set<String>
  {
    architecture.configuration.vocabularySize = mixes.count
    return try Set(
      rewriteIfPresent(["embeddings.token", "mlm.bias", "lm.kernel"]) { weight in
        weight.name == "lm.kernel"
          ? weight.mixingColumns(mixes, step) : weight.mixingRows(mixes, step)
      })
  }
}
