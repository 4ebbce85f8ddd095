public import ArgumentParser
import Checkpoint
public import Infer

extension Tokenization.LongText: ExpressibleByArgument {}

/// What tasks are told, by `run --task` and by `verify --task`.
struct TaskOptions: ParsableArguments {
  @Option(help: "Texts that are answered together, at most (default: by their tokens).")
  var batch: Int?
  @Option(help: "fill-mask: candidates for each [MASK]; classify: labels; qa: answers.")
  var topK = 5
  @OptionGroup var encoding: EncodingOptions
  @OptionGroup var choices: ChoiceOptions
  @OptionGroup var labels: LabelNames
  @OptionGroup var text: TextOptions
  @OptionGroup var decoding: DecodingOptions
  @OptionGroup var labelling: LabellingOptions

  func validate() throws {
    guard batch.map({ $0 > 0 }) ?? true, topK > 0 else {
      throw ValidationError("--batch and --top-k must be positive.")
    }
  }
}

/// How `generate` and its like choose tokens.
struct DecodingOptions: ParsableArguments {}

/// How `tag` and `spans` decode labels.
struct LabellingOptions: ParsableArguments {}
