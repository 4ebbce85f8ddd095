public import Checkpoint

/// Puts projections between heads before and after the softmax, as the identity.
///
/// Algebra: S′_e = Σ_b S_b · P[b, e] and W′_e = Σ_b W_b · Q[b, e] with P = Q = I. A head's sum is its
/// own value and zeros, so every value stays equal to the bit; training can mix heads from there.
/// With `noise=σ` each element of P and Q is I + σ·z with seeded normal z: another function, whose
/// error is measured. Inverse: ``FlattenTalkingHeads``. Source: arXiv 2003.02436.
public struct TalkingHeads: ModelTransform {
  public init() {}

  public var name: String { "talking-heads" }
  public var summary: String { "projections between heads around the softmax, as the identity" }
  public var contract: Correspondence.Contract { .exact }
  public var precondition: String { "attention of heads that do not talk yet" }
  public var inverse: String { "flatten-talking-heads" }
  public var options: [TransformOption] {
    [
      .noise("adds noise of this standard deviation to the identity; without it there is none"),
      .seed,
    ]
  }

  public func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    let architecture = model.architecture
    let (deviation, seed) = try arguments.noise()
    guard !architecture.structure.gatedUnit else {
      throw refusal("\(architecture.family)'s attention has one head, which has none to talk to")
    }
    guard !architecture.configuration.talkingHeads else {
      throw refusal(
        "the heads of this \(architecture.family) talk already",
        hint: "to make it plain attention first: --apply flatten-talking-heads")
    }
    var result = model
    result.architecture.configuration.talkingHeads = true
    result.architecture.configuration.talkingHeadsBias = false
    let heads = architecture.configuration.heads
    var kernels: Set<String> = []
    for attention in architecture.storedAttentions {
      let query = try model.weight("\(attention).query.kernel").tensor
      for part in ["pre_softmax", "post_softmax"] {
        let name = "\(attention).\(part).kernel"
        kernels.insert(name)
        let noise = Noise(seed: seed, name)
        let kernel = (0..<(heads * heads)).map { index in
          let identity: Float = index / heads == index % heads ? 1 : 0
          return deviation == 0 ? identity : identity + Float(deviation * noise[index])
        }
        let tensor = Tensor(name: name, shape: [heads, heads], values: kernel)
          .cast(to: query.dtype.computed)
        result.weights.append(
          Weight(
            name, tensor, sources: [],
            operation: deviation == 0 ? "made: identity" : "made: identity with noise"))
      }
    }
    return ModelChange(
      result,
      deviation == 0
        ? Correspondence()
        : Correspondence(contract: .lossy, claims: [.disturbed(kernels, deviation)]))
  }
}
