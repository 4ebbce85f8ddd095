public import ArgumentParser
import Checkpoint
public import Infer

extension Tokenization.LongText: ExpressibleByArgument {}

/// What tasks are told, by `run --task` and by `verify --task`.
struct TaskOptions: ParsableArguments {
  @Option(help: "Texts that are answered together, at most (default: by their tokens).")
  var batch: Int?
  @Option(
    help: """
      fill-mask: candidates for each [MASK]; classify: labels; qa: answers (default: 5). generate, \
      gibbs: draw from so many of the likeliest tokens.
      """)
  var topK: Int?
  /// How many candidates, labels or answers are shown.
  var shown: Int { topK ?? 5 }
  @OptionGroup(title: "Text") var text: TextOptions
  @OptionGroup(title: "encode, similarity") var encoding: EncodingOptions
  @OptionGroup(title: "fill-mask, classify, qa") var choices: ChoiceOptions
  @OptionGroup(title: "classify, tag, spans") var labels: LabelNames
  @OptionGroup(title: "tag, spans") var labelling: LabellingOptions
  @OptionGroup(title: "generate, score, exposure, gibbs") var decoding: DecodingOptions

  func validate() throws {
    guard batch.map({ $0 > 0 }) ?? true, topK ?? 1 > 0 else {
      throw ValidationError("--batch and --top-k must be positive.")
    }
  }
}
