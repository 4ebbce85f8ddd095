/// The tokens of a model and their ids, as a `vocab.txt` lists them.
///
/// Tokens are compared by their code points: `é` as one character and as two are two tokens.
public struct Vocabulary: Sendable {
  /// How a file's lines become tokens and ids; the rules differ on odd files only.
  public enum Rule: Sendable {
    /// Google's code and transformers up to 4: each line is a token, its id is the line's number.
    case lines
    /// transformers 5 (the `tokenizers` package): as `lines`, but white space at a line's end is
    /// no part of the token, and `\r` alone ends no line.
    case trimmedLines
    /// bert4keras: the first word of the line; its id is the number of different tokens before it,
    /// so that ids no longer follow the lines after a token that stands twice.
    case firstWords
  }

  /// Each line's token in order, also where one stands twice.
  public let tokens: [String]
  /// What is odd about the file.
  public let warnings: [String]
  private let ids: [ExactText: Int32]
  /// The line of each id, where it is not the same number.
  private let names: [Int32: Int]?

  /// Bytes that a vocabulary file may have; the largest in use have some 10 MB.
  public static let largest = 64 << 20

  /// A vocabulary of these tokens, the id being the position; of equal ones the last counts.
  public init(tokens: [String], rule: Rule = .lines) {
    self.tokens = tokens
    var ids: [ExactText: Int32] = [:]
    ids.reserveCapacity(tokens.count)
    var repeated: [String] = []
    var firstLines: [(line: Int, token: ExactText)] = []
    for (line, token) in tokens.enumerated() {
      let text = ExactText(token)
      let id = Int32(clamping: rule == .firstWords ? ids.count : line)
      if ids.updateValue(id, forKey: text) == nil {
        firstLines.append((line, text))
      } else {
        repeated.append(token)
      }
    }
    self.ids = ids
    if repeated.isEmpty {
      // Ids are lines.
      names = nil
    } else {
      // The inverse as Python makes it: by order of first appearance, a later one replaces.
      names = firstLines.reduce(into: [:]) { names, first in
        if let id = ids[first.token] { names[id] = first.line }
      }
    }
    var warnings: [String] = []
    if !repeated.isEmpty {
      let shown = repeated.prefix(5).map { "\"\($0)\"" }.joined(separator: ", ")
      warnings.append(
        "the vocabulary holds \(repeated.count) tokens again that it had before (\(shown)"
          + (repeated.count > 5 ? ", …" : "") + "); the last of equal ones counts")
    }
    if tokens.first?.unicodeScalars.first == "\u{feff}" {
      warnings.append(
        "the vocabulary starts with a byte-order mark, which is part of its first token")
    }
    self.warnings = warnings
  }

  /// The vocabulary that the bytes of a file hold.
  ///
  /// Lines end as in Python's text files: `\n`, `\r\n` or `\r`; the last one may lack its end.
  ///
  /// - Throws: ``CheckpointError`` of kind `damaged` with the byte where it is not UTF-8.
  public init(parsing bytes: [UInt8], rule: Rule = .lines) throws(CheckpointError) {
    var tokens: [String] = []
    var start = 0
    var position = 0
    func token(_ line: ArraySlice<UInt8>) throws(CheckpointError) -> String {
      guard let text = String(validating: line, as: UTF8.self) else {
        throw CheckpointError(
          .damaged, Place(offset: line.startIndex),
          "line \(tokens.count + 1) of the vocabulary is not UTF-8",
          hint: "convert the file to UTF-8 (from GBK: iconv -f GBK -t UTF-8)")
      }
      return switch rule {
      case .lines: text
      case .trimmedLines: Vocabulary.trimmed(text)
      case .firstWords: Vocabulary.firstWord(of: text)
      }
    }
    while position < bytes.count {
      let byte = bytes[position]
      position += 1
      guard byte == 0x0a || byte == 0x0d && rule != .trimmedLines else { continue }
      tokens.append(try token(bytes[start..<(position - 1)]))
      if byte == 0x0d, position < bytes.count, bytes[position] == 0x0a { position += 1 }
      start = position
    }
    if start < bytes.count { tokens.append(try token(bytes[start...])) }
    self.init(tokens: tokens, rule: rule)
  }

  /// The vocabulary in a file.
  ///
  /// - Throws: ``CheckpointError`` when it cannot be read, is beyond ``largest``, or not UTF-8.
  public init(contentsOf path: String, rule: Rule = .lines) throws(CheckpointError) {
    let bytes = try File.contents(of: path, limit: Vocabulary.largest)
    do throws(CheckpointError) {
      try self.init(parsing: bytes, rule: rule)
    } catch {
      throw error.at(.file(path))
    }
  }

  /// The number of different tokens.
  public var count: Int { ids.count }

  /// The number of ids: one more than the largest.
  public var idCount: Int { names.map { Int($0.keys.max() ?? -1) + 1 } ?? tokens.count }

  /// The id of a token.
  public func id(of token: String) -> Int32? { ids[ExactText(token)] }

  /// The token of an id; `nil` where no token has it.
  public func token(of id: Int32) -> String? {
    guard let names else { return tokens.indices.contains(Int(id)) ? tokens[Int(id)] : nil }
    return names[id].map { tokens[$0] }
  }

  /// The number of tokens that are kept free: `[unused17]`, `<unused17>`.
  public var unusedCount: Int {
    tokens.count { $0.utf8.starts(with: "[unused".utf8) || $0.utf8.starts(with: "<unused".utf8) }
  }

  /// The file's content: a token a line, each ended.
  public var text: String { tokens.reduce(into: "") { $0 += $1 + "\n" } }

  /// `str.split()[0]` of Python; a line of white space only becomes the empty token.
  private static func firstWord(of line: String) -> String {
    var word = String.UnicodeScalarView()
    for scalar in line.unicodeScalars {
      if !isSpace(scalar) {
        word.append(scalar)
      } else if !word.isEmpty {
        break
      }
    }
    return String(word)
  }

  /// Without white space at the end, as Unicode (unlike Python) defines it.
  private static func trimmed(_ line: String) -> String {
    var scalars = line.unicodeScalars[...]
    while let last = scalars.last, isSpace(last), !(0x1c...0x1f).contains(last.value) {
      scalars.removeLast()
    }
    return String(scalars)
  }

  /// What Python's `str.isspace` says of one character.
  private static func isSpace(_ scalar: Unicode.Scalar) -> Bool {
    switch scalar.value {
    case 0x09...0x0d, 0x1c...0x20, 0x85, 0xa0, 0x1680, 0x2000...0x200a, 0x2028, 0x2029, 0x202f,
      0x205f, 0x3000:
      true
    default: false
    }
  }
}

/// Text whose equality is that of its code points, not Swift's canonical equivalence.
private struct ExactText: Hashable {
  let text: String

  init(_ text: String) { self.text = text }

  static func == (a: ExactText, b: ExactText) -> Bool {
    a.text.utf8.elementsEqual(b.text.utf8)
  }

  func hash(into hasher: inout Hasher) {
    var text = text
    text.withUTF8 { unsafe hasher.combine(bytes: UnsafeRawBufferPointer($0)) }
  }
}
