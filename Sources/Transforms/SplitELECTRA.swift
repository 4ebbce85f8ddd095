public import Checkpoint

/// Keeps one of the two models that ELECTRA's pre-training saves together (arXiv 2003.10555):
/// `split-electra=discriminator` or `split-electra=generator`.
///
/// Names only. In Google's checkpoints the models have their encoders under `electra/` and `generator/`,
/// their heads under `discriminator_predictions/` and `generator_predictions/`, and share embeddings,
/// which stay; what the generator has no own of (`generator/` is missing) stays with it too. A file of
/// transformers that holds both heads on one encoder keeps one of them. The configuration
/// `generator_config.json`, or `discriminator_config.json`, goes before others. There is no inverse.
public struct SplitELECTRA: CheckpointTransform {
  public init() {}

  public var name: String { "split-electra" }
  public var summary: String { "of ELECTRA's generator and discriminator in one file, one is kept" }
  public var contract: Correspondence.Contract { .exact }
  public var precondition: String { "a checkpoint of ELECTRA's pre-training, with both" }
  public var value: TransformValue { .required("generator|discriminator") }

  public func part(_ arguments: TransformArguments) -> String? { arguments.value }

  public func apply(
    to checkpoint: Checkpoint, _ arguments: TransformArguments
  ) throws(CheckpointError) -> CheckpointChange {
    guard let part = Google.Part(rawValue: arguments.value ?? "") else {
      throw arguments.wrong("is neither generator nor discriminator")
    }
    let names = checkpoint.tensors.map(\.name)
    let foreign = try beginnings(part, names)
    func isForeign(_ tensor: Tensor) -> Bool {
      foreign.contains { tensor.name.hasPrefix($0) }
    }
    var result = checkpoint
    var left: [Leftover] = []
    for index in result.groups.indices {
      left += result.groups[index].tensors.filter(isForeign).map {
        Leftover($0, "belongs to the \(part.other.rawValue), as --apply split-electra says")
      }
      result.groups[index].tensors.removeAll(where: isForeign)
    }
    guard !left.isEmpty else {
      throw arguments.wrong(
        "the file holds nothing of a \(part.other.rawValue); there is nothing to split")
    }
    return CheckpointChange(result, left: left)
  }

  private func beginnings(
    _ part: Google.Part, _ names: [String]
  ) throws(CheckpointError) -> [String] {
    func has(_ beginning: String) -> Bool { names.contains { $0.hasPrefix(beginning) } }
    // transformers' names of the heads.
    let heads: [Google.Part: [String]] = [
      .discriminator: ["discriminator_predictions."],
      .generator: ["generator_predictions.", "generator_lm_head."],
    ]
    if let own = heads[part], own.contains(where: has), let others = heads[part.other] {
      return others
    }
    guard has("electra/"), has("generator") || has("discriminator") else {
      throw refusal(
        "its tensors are not named as in a checkpoint of ELECTRA's pre-training with a "
          + part.rawValue)
    }
    do throws(CheckpointError) {
      return try part.foreign(in: names)
    } catch {
      throw refusal("the file has no \(part.rawValue)")
    }
  }
}
