public import ArgumentParser
public import Infer

extension SentenceEncoder.Pooling: ExpressibleByArgument {}
extension SequenceHead.Activation: ExpressibleByArgument {}

/// How `encode` and `similarity` make vectors.
struct EncodingOptions: ParsableArguments {
  @Option(
    help: "encode, similarity: cls, mean, last (token), first-last-avg (layers) or pooler.")
  var pooling = SentenceEncoder.Pooling.cls
  @Flag(help: "encode: divide each vector by its length.") var normalize = false
  @Flag(help: "similarity: of each text with every other.") var matrix = false
}

/// What `fill-mask`, `classify` and `qa` choose from.
struct ChoiceOptions: ParsableArguments {
  @Option(help: "fill-mask: the only tokens to choose from, with a comma between them.")
  var targets: String?
  @Option(help: "classify: the layer on top, or nsp or sop (default: the only one on top).")
  var head: String?
  @Option(help: "classify: softmax, sigmoid or none (default: what the model says).")
  var activation: SequenceHead.Activation?
  @Option(help: "classify with sigmoid: the probability from which on a label holds.")
  var threshold = 0.5
  @Option(help: "qa: tokens of an answer at most.") var maxAnswerLength = 15
  @Option(help: "qa with --long truncate: tokens that windows of a long context share.")
  var stride = 128
  @Flag(help: "qa: the context may hold no answer.") var handleImpossible = false

  func validate() throws {
    guard threshold > 0, threshold < 1 else {
      throw ValidationError("--threshold must be between 0 and 1.")
    }
    guard maxAnswerLength > 0, stride >= 0 else {
      throw ValidationError("--max-answer-length must be positive, --stride not negative.")
    }
  }
}
