public import Checkpoint

/// The files from which a tokenizer is made, and what is said of it.
public struct TokenizerSource: Sendable {
  /// The vocabulary: `vocab.txt`, `spiece.model`, `vocab.json`, `tokenizer.json`.
  public var path: String
  /// `tokenizer_config.json` beside it; an empty object where there is none.
  public var configuration: JSON
  /// Whether text is put into lower case; `nil` for what the configuration says.
  public var lowercase: Bool?
  /// Whether the text comes with a blank between words, each of which is looked up whole first.
  public var segmented = false

  /// - Throws: ``CheckpointError`` when the configuration beside it cannot be read.
  public init(
    path: String, lowercase: Bool? = nil, segmented: Bool = false
  ) throws(CheckpointError) {
    self.path = path
    self.lowercase = lowercase
    self.segmented = segmented
    configuration = .object([])
    let beside = Paths.join(Paths.folder(of: path), "tokenizer_config.json")
    guard Paths.isFile(beside) else { return }
    do throws(CheckpointError) {
      configuration = try JSON(parsing: File.contents(of: beside, limit: 16 << 20))
    } catch {
      throw error.at(.file(beside))
    }
  }

  /// What may be said of text that a kind of tokenizer has no use for.
  enum Wish {
    case letterCase
    case segmented
  }

  /// - Throws: ``CheckpointError`` of kind `usage` where one of these has been said.
  func refuse(_ wishes: Wish..., for kind: String) throws(CheckpointError) {
    for wish in wishes {
      let (isSaid, flag) =
        switch wish {
        case .letterCase: (lowercase != nil, lowercase == true ? "--uncased" : "--cased")
        case .segmented: (segmented, "--segmented")
        }
      guard !isSaid else {
        throw CheckpointError(
          .usage, Place(member: flag), "is nothing that the tokenizer \(kind) goes by",
          hint: "leave it out, or say another kind: --tokenizer KIND")
      }
    }
  }

  /// How the libraries name their files.
  public enum Form: Sendable {
    /// A token a line.
    case lines
    case sentencePiece
    /// `vocab.json`, with `merges.txt` beside it.
    case bytePairs
    case tokenizerJSON
  }

  /// By the file's name, and by its content where JSON tells nothing by its name.
  public var form: Form {
    let name = Paths.name(of: path).lowercased()
    if name.hasSuffix(".model") { return .sentencePiece }
    guard name.hasSuffix(".json") else { return .lines }
    if name.contains("tokenizer") { return .tokenizerJSON }
    return name.contains("vocab") ? .bytePairs : .tokenizerJSON
  }

  /// What `tokenizer_class` says, without `Fast`.
  var className: String? {
    configuration["tokenizer_class"]?.string.map {
      $0.hasSuffix("Fast") ? String($0.dropLast(4)) : $0
    }
  }

  /// A special token by its key in the configuration.
  func specialToken(_ key: String, or usual: String?) -> String? {
    guard let value = configuration[key] else { return usual }
    return value.string ?? value["content"]?.string
  }

  /// Whether text is put into lower case.
  ///
  /// - Parameter usual: what the library does unless it is told.
  func lowercases(usual: Bool) -> Bool {
    lowercase ?? configuration["do_lower_case"]?.bool ?? usual
  }
}

/// A kind of tokenizer: how it is recognised, and made of its files.
public protocol TokenizerKind: Sendable {
  /// What `--tokenizer` calls it.
  var name: String { get }
  /// Whether it is the one that goes with these files, and with a model of this dialect and family.
  func fits(_ source: TokenizerSource, dialect: String?, family: String?) -> Bool

  /// - Throws: what is wrong with the files.
  func tokenizer(_ source: TokenizerSource) throws -> any Tokenizer
}

/// The list of kinds; of those that fit the first counts.
public enum TokenizerKindRegistry {
  public static let all: [any TokenizerKind] = [
    TokenizerJSONKind(), RoBERTaKind(), GPT2Kind(), ALBERTKind(), T5Kind(), SentencePieceKind(),
    RoFormerKind(), LegacyBERTKind(), Bert4kerasKind(), BERTKind(),
  ]

  /// - Throws: ``CheckpointError`` of kind `usage` for a name that is none.
  public static func named(_ name: String) throws(CheckpointError) -> any TokenizerKind {
    guard let kind = all.first(where: { $0.name == name }) else {
      throw CheckpointError(
        .usage, Place(member: "--tokenizer \(name)"), "is no kind of tokenizer",
        hint: "known: \(all.map(\.name).joined(separator: ", "))")
    }
    return kind
  }

  /// The kind that goes with files and a model's dialect and family.
  ///
  /// - Throws: ``CheckpointError`` where none does.
  public static func kind(
    _ source: TokenizerSource, dialect: String? = nil, family: String? = nil
  ) throws(CheckpointError) -> any TokenizerKind {
    guard
      let kind = all.first(where: { $0.fits(source, dialect: dialect, family: family) })
    else {
      throw CheckpointError(
        .unsupported, .file(source.path), "goes with no tokenizer that is known",
        hint: "say which one: --tokenizer KIND (\(all.map(\.name).joined(separator: ", ")))")
    }
    return kind
  }
}
