import ArgumentParser
import Checkpoint
import Infer

/// `ckpt tokenize`: text as a model's ids, and ids as text.
struct Tokenize: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "Show how text becomes tokens and ids, or ids text (--decode).",
    discussion: """
      MODEL is a checkpoint with its vocabulary beside it, or a vocabulary: vocab.txt, spiece.model, \
      vocab.json (with merges.txt), tokenizer.json. Offsets count the code points of the text, as \
      Python does.

      Text comes from the arguments, from --text-file or --pairs, or a line each from standard input; \
      with --decode it is ids, separated by blanks or commas. With --json each text is answered by a line \
      of JSON.
      """)

  @Argument(help: "The model, or a vocabulary file.", completion: .model) var model: String
  @Argument(help: "Texts.") var texts: [String] = []
  @Flag(help: "Print only ids, a text per line.") var idsOnly = false
  @Flag(help: "Turn ids into text.") var decode = false
  @Flag(help: "With --decode: leave special tokens out.") var skipSpecial = false
  @Flag(help: "Leave out the special tokens around a text, such as [CLS] and [SEP].")
  var noSpecial = false
  @Flag(help: "With --json: also bert4keras' rematch, the characters of each token.")
  var rematch = false
  @Option(help: "Cut texts to so many tokens, special ones included.") var maxLength: Int?
  @OptionGroup var reading: TaskReading
  @OptionGroup var kind: TokenizerOptions
  @Option(help: "Read names as this dialect's (ckpt dialects).", completion: .dialects)
  var dialect: String?
  @Option(help: "The vocabulary file.", completion: .file()) var vocab: String?
  @OptionGroup var output: OutputFlags

  func validate() throws {
    guard !(decode && idsOnly), decode || !skipSpecial else {
      throw ValidationError("--ids-only is for text, --skip-special for --decode.")
    }
    guard !decode || !noSpecial && maxLength == nil && reading.pairs == nil else {
      throw ValidationError(
        "--decode takes ids as they are: without --no-special, --max-length or --pairs.")
    }
    guard maxLength.map({ $0 > 0 }) ?? true else {
      throw ValidationError("--max-length must be positive.")
    }
    guard !rematch || output.json && !idsOnly && !decode else {
      throw ValidationError("--rematch goes with --json.")
    }
    guard !(noSpecial && maxLength != nil) else {
      throw ValidationError("--max-length counts special tokens; it does not go with --no-special.")
    }
  }

  func run() throws {
    let tokenizer = try tokenizer()
    if !output.quiet {
      for warning in tokenizer.warnings { Terminal.printError("warning: \(warning)") }
    }
    let source = try reading.source(texts, isPaired: false)
    let progress = Progress("tokenize", total: source.total, quiet: output.quiet || texts.count > 0)
    var done = 0
    var failed = 0
    // As many texts at a time as keep every processor busy, in their order.
    while true {
      var window: [Result<TaskInput, TaskFailure>] = []
      while window.count < (source.isTyped ? 1 : 1024), let next = try source.next() {
        window.append(next)
      }
      guard !window.isEmpty else { break }
      let given = window
      let answers = try Parallel.map(given.count, with: {}) {
        index, _ throws(CheckpointError) -> Result<[String], TaskFailure> in
        given[index].flatMap { input in
          do {
            return .success(try lines(input, tokenizer))
          } catch {
            return .failure(TaskFailure(number: input.number, error))
          }
        }
      }
      for answer in answers {
        switch answer {
        case .success(let lines): for line in lines { Terminal.print(line) }
        case .failure(let failure):
          failed += 1
          Terminal.printError(
            "\(Terminal.error.red("error:")) text \(failure.number): \(failure.reason)")
          if output.json {
            Terminal.print(
              JSON.object([
                .init("number", .number(failure.number)), .init("error", .string(failure.reason)),
              ]).compact)
          }
        }
      }
      progress.add(source.position - done)
      done = source.position
    }
    if failed > 0 { throw ExitCode(2) }
  }

  /// The tokenizer of the model, or the one that the file itself is.
  private func tokenizer() throws -> any Infer.Tokenizer {
    let name = Paths.name(of: model).lowercased()
    let isVocabulary =
      Paths.isFile(model) && [".txt", ".model", ".json"].contains { name.hasSuffix($0) }
      && !name.hasSuffix(".index.json")
    if isVocabulary, vocab == nil {
      let source = try kind.source(model)
      let chosen =
        try kind.tokenizer.map(TokenizerKindRegistry.named)
        ?? TokenizerKindRegistry.kind(source, dialect: dialect)
      return try chosen.tokenizer(source)
    }
    var options = ModelReader.Options()
    options.vocabularyPath = vocab
    options.dialect = dialect
    let opening = try Opening(model, options: options)
    guard let path = opening.tokenizer else {
      throw CheckpointError(
        .mismatch, .file(opening.checkpoint.path), "has no vocabulary beside it",
        hint: "give --vocab FILE")
    }
    let source = try kind.source(path)
    // What weights lack is no matter here.
    let draft = try? opening.draft()
    let chosen =
      try kind.tokenizer.map(TokenizerKindRegistry.named)
      ?? TokenizerKindRegistry.kind(
        source, dialect: dialect ?? draft?.dialect, family: draft?.architecture.family)
    return try chosen.tokenizer(source)
  }

  // MARK: - One text

  private func lines(_ input: TaskInput, _ tokenizer: any Infer.Tokenizer) throws -> [String] {
    if decode { return try decoded(input, tokenizer) }
    if idsOnly, input.pair == nil, maxLength == nil {
      let inner = tokenizer.ids(input.text)
      let ids =
        noSpecial
        ? inner
        : tokenizer.template(isPair: false).parts.flatMap { part -> [Int32] in
          if case .special(let id, _) = part { [id] } else { inner }
        }
      return [idLine(ids)]
    }
    let encoding = try encoding(input, tokenizer)
    if idsOnly { return [idLine(encoding.ids)] }
    var tokens = TokenizedText(input, encoding, tokenizer)
    if rematch {
      guard let wordPiece = tokenizer as? WordPiece, wordPiece.mode == .bert4keras else {
        throw InferError(.unsupported, "--rematch", "is for bert4keras' Tokenizer")
      }
      tokens.rematch = .some(wordPiece.rematch(input.text))
    }
    return output.json ? [tokens.json.compact] : tokens.lines(.output)
  }

  private func idLine(_ ids: [Int32]) -> String {
    output.json
      ? JSON.array(ids.map { .number(Int($0)) }).compact
      : ids.map(String.init).joined(separator: " ")
  }

  private func encoding(
    _ input: TaskInput, _ tokenizer: any Infer.Tokenizer
  ) throws -> Encoding {
    guard noSpecial else {
      return try tokenizer.encoding(input.text, pair: input.pair, maxLength: maxLength)
    }
    var encoding = Encoding()
    for (number, text) in [input.text, input.pair].enumerated() {
      for piece in text.map({ tokenizer.pieces($0) }) ?? [] {
        encoding.ids.append(piece.id)
        encoding.segments.append(Int32(number))
        encoding.sources.append(Encoding.Source(text: number, range: piece.range))
      }
    }
    return encoding
  }

  private func decoded(_ input: TaskInput, _ tokenizer: any Infer.Tokenizer) throws -> [String] {
    let isSeparator = { (character: Character) in
      character.isWhitespace || ",[]".contains(character)
    }
    let ids = try input.text.split(whereSeparator: isSeparator).map { word in
      guard let id = Int32(word) else {
        throw InferError(.input, "\"\(word)\"", "is no id")
      }
      guard tokenizer.token(of: id) != nil else {
        throw InferError(
          .input, "\(id)", "is no token's id; they go from 0 to \(tokenizer.idCount - 1)")
      }
      return id
    }
    let text = tokenizer.text(of: ids, skippingSpecial: skipSpecial)
    return output.json
      ? [
        JSON.object([
          .init("ids", .array(ids.map { .number(Int($0)) })), .init("text", .string(text)),
        ]).compact
      ] : [text]
  }
}

/// A text with its tokens, as a table and as JSON.
struct TokenizedText {
  private let input: TaskInput
  private let rows: [(token: String, id: Int32, segment: Int32, source: Encoding.Source?)]
  private let isCut: Bool
  /// What bert4keras' `rematch` says, where it was asked for; `nil` inside where it finds a token nowhere.
  var rematch: [[Int]]??

  init(_ input: TaskInput, _ encoding: Encoding, _ tokenizer: any Infer.Tokenizer) {
    self.input = input
    isCut = encoding.isCut
    rows = encoding.ids.indices.map { index in
      let id = encoding.ids[index]
      return (
        tokenizer.token(of: id) ?? "[\(id)]", id, encoding.segments[index],
        encoding.sources[index]
      )
    }
  }

  var json: JSON {
    var json = JSON.object([.init("text", .string(input.text))])
    if let pair = input.pair { json.set("pair", .string(pair)) }
    json.set("tokens", .array(rows.map { .string($0.token) }))
    json.set("ids", .array(rows.map { .number(Int($0.id)) }))
    json.set("segments", .array(rows.map { .number(Int($0.segment)) }))
    json.set(
      "offsets",
      .array(
        rows.map { row in
          guard let source = row.source else { return .null }
          return .array([
            .number(source.range.lowerBound), .number(source.range.upperBound),
          ])
        }))
    if isCut { json.set("cut", .bool(true)) }
    if let rematch {
      json.set(
        "rematch",
        rematch.map { .array($0.map { .array($0.map { .number($0) }) }) } ?? .null)
    }
    return json
  }

  func lines(_ terminal: Terminal) -> [String] {
    var table = Table(
      [.left, .right, .right, .left], header: ["token", "id", "offsets", "text"], names: [0, 3])
    let texts = [input.text, input.pair ?? ""].map { Array($0.unicodeScalars) }
    for row in rows {
      var part = String.UnicodeScalarView()
      if let source = row.source {
        let scalars = texts[source.text]
        part.append(contentsOf: scalars[source.range.clamped(to: scalars.indices)])
      }
      let range = row.source?.range
      table.add(
        row.token, "\(row.id)", range.map { "\($0.lowerBound)–\($0.upperBound)" } ?? "",
        String(part))
    }
    return [terminal.bold(Text.printable(marked))]
      + table.lines(terminal, columns: terminal.columns)
      + (isCut ? ["  (cut)"] : [])
  }

  /// The text with a bar between pieces.
  private var marked: String {
    (0..<(input.pair == nil ? 1 : 2)).map { number in
      let scalars = Array((number == 0 ? input.text : input.pair ?? "").unicodeScalars)
      let bounds = Set(
        rows.compactMap(\.source).filter { $0.text == number && !$0.range.isEmpty }
          .map(\.range.lowerBound))
      var view = String.UnicodeScalarView()
      for (index, scalar) in scalars.enumerated() {
        if index > 0, bounds.contains(index) { view.append("|") }
        view.append(scalar)
      }
      return String(view)
    }.joined(separator: "  ⟷  ")
  }
}
