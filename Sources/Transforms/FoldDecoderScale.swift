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

  public func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> (Model, Correspondence) {
    var result = model
    let c = model.architecture.configuration
    guard c.scalesDecoder != isInverse, model.architecture.heads.contains(.lm) else {
      throw CheckpointError(
        .unsupported, Place(),
        isInverse
          ? "this \(model.architecture.family) scales a decoder's states already, or has none"
          : "this \(model.architecture.family) does not scale a decoder's states; there is nothing to "
            + "fold")
    }
    let root = Double(c.hiddenSize).squareRoot()
    let factor = isInverse ? root : 1 / root
    result.architecture.configuration.scalesDecoder = isInverse
    let name = c.projection ? "lm.projection.kernel" : "lm.kernel"
    if let index = result.weights.firstIndex(where: { $0.name == name }) {
      result.weights[index] = try scaled(result.weights[index], by: factor)
    } else if let table = model["embeddings.token"], c.tiesDecoder, !c.projection {
      var kernel = table.renamed(name, operation: "transposed")
      kernel.tensor = table.tensor.transposed()
      kernel.tensor.aliases = []
      result.weights.append(try scaled(kernel, by: factor))
      result.architecture.configuration.tiesDecoder = false
    } else {
      throw CheckpointError(.mismatch, .tensor(name), "is missing")
    }
    return (result, Correspondence(contract: contract, rewritten: [name]))
  }

  private func scaled(_ weight: Weight, by factor: Double) throws(CheckpointError) -> Weight {
    var copy = weight.renamed(
      weight.name, operation: isInverse ? "multiplied by √hidden" : "divided by √hidden")
    copy.tensor = try weight.tensor.scaled(by: factor)
    return copy
  }
}
