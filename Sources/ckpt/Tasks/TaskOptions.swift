public import ArgumentParser
import Checkpoint
public import Infer

extension Encode.Pooling: ExpressibleByArgument {}
extension Tokenization.LongText: ExpressibleByArgument {}

/// What tasks are told, by `run --task` and by `verify --task`.
struct TaskOptions: ParsableArguments {
  @Option(help: "Texts per run.") var batch = 16
  @Option(help: "fill-mask: candidates for each [MASK].") var topK = 5
  @Option(help: "encode: cls, mean or pooler.") var pooling = Encode.Pooling.cls
  @OptionGroup var labels: LabelNames
  @OptionGroup var text: TextOptions
  @OptionGroup var decoding: DecodingOptions
  @OptionGroup var labelling: LabellingOptions

  func validate() throws {
    guard batch > 0, topK > 0 else {
      throw ValidationError("--batch and --top-k must be positive.")
    }
  }
}

/// How `generate` and its like choose tokens.
struct DecodingOptions: ParsableArguments {}
