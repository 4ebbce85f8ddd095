public import Checkpoint

/// Puts the factor 1/√hidden of a decoder's states into the weights behind it.
///
/// Algebra: (x / √H) · W = x · (W / √H), and with a projection between, its kernel takes the factor.
/// A tied decoder gets weights of its own, the token table transposed: the embeddings stay as they are.
/// One rounding per weight; afterwards `scale_decoder_outputs` is false. The inverse multiplies the
/// weights by √H and lets the states be scaled. Source: bert4keras scales T5 1.1 as well (`models.py`,
/// Decoder-Output-Scale); Mesh TensorFlow and transformers do not where weights are not tied.
public struct FoldDecoderScale: ModelTransform {
  /// Whether the factor goes out of the weights again.
  let isInverse: Bool

  public init(inverse: Bool = false) { isInverse = inverse }

  public var name: String { isInverse ? "unfold-decoder-scale" : "fold-decoder-scale" }
  public var summary: String {
    isInverse
      ? "a decoder's states are scaled by 1/√hidden, its output weights by √hidden"
      : "a decoder's factor 1/√hidden goes into its output weights"
  }
  public var contract: Correspondence.Contract { .rounding }
  public var precondition: String {
    isInverse ? "a language model that does not scale them" : "a language model that scales them"
  }
  public var inverse: String { isInverse ? "fold-decoder-scale" : "unfold-decoder-scale" }

  public func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    var result = model
    let c = model.architecture.configuration
    guard c.scalesDecoder != isInverse, model.architecture.heads.contains(.lm) else {
      throw refusal(
        isInverse
          ? "this \(model.architecture.family) scales a decoder's states already, or has none"
          : "this \(model.architecture.family) does not scale a decoder's states; there is nothing to "
            + "fold")
    }
    let root = Double(c.hiddenSize).squareRoot()
    let factor = isInverse ? root : 1 / root
    let step = isInverse ? "multiplied by √hidden" : "divided by √hidden"
    result.architecture.configuration.scalesDecoder = isInverse
    let name = c.projection ? "lm.projection.kernel" : "lm.kernel"
    if c.tiesDecoder, !c.projection, model[name] == nil {
      let table = try model.weight("embeddings.token")
      var kernel = table.renamed(name, operation: "transposed")
      kernel.tensor = table.tensor.transposed()
      kernel.tensor.aliases = []
      result.weights.append(kernel.scaled(by: factor, step))
      result.architecture.configuration.tiesDecoder = false
    } else {
      try result.rewrite([name]) { $0.scaled(by: factor, step) }
    }
    return ModelChange(result, Correspondence(contract: contract, rewritten: [name]))
  }
}
