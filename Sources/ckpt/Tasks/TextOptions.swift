import ArgumentParser
import Checkpoint
import Infer

/// Which tokenizer text gets, and what it is told.
struct TokenizerOptions: ParsableArguments {
  @Option(
    help: ArgumentHelp(
      "The kind of tokenizer, where it is not the one that goes with the files.", valueName: "kind"),
    completion: .list(TokenizerKindRegistry.all.map(\.name)))
  var tokenizer: String?
  @Flag(help: "Keep upper case and accents of text.") var cased = false
  @Flag(help: "Put text into lower case, whatever tokenizer_config.json says.") var uncased = false
  @Flag(help: "The text has blanks between words; each that is a token stays whole (RoFormer).")
  var segmented = false

  func validate() throws {
    guard !(cased && uncased) else { throw ValidationError("Give either --cased or --uncased.") }
  }

  /// The vocabulary file with what is said of it.
  func source(_ path: String) throws(CheckpointError) -> TokenizerSource {
    try TokenizerSource(
      path: path, lowercase: cased ? false : uncased ? true : nil, segmented: segmented)
  }
}

/// How text becomes a model's inputs.
struct TextOptions: ParsableArguments {
  @OptionGroup var kind: TokenizerOptions
  @Option(help: "The most tokens of a text, special ones too (default: the model's positions).")
  var maxLength: Int?
  @Option(help: "A text that is longer: error, truncate or hierarchical (positions).")
  var long = Tokenization.LongText.error
  @Option(help: "Attention mask: bidirectional, causal or unilm.") var mask: AttentionMaskKind?

  func validate() throws {
    guard maxLength.map({ $0 > 0 }) ?? true else {
      throw ValidationError("--max-length must be positive.")
    }
  }

  func source(_ path: String) throws(CheckpointError) -> TokenizerSource { try kind.source(path) }
}
