import Checkpoint
import Infer
import Transforms

/// What the steps of a chain say of themselves, each held to it by the judge (``StepProof``).
///
/// Steps that promise the same function and follow each other are run as one; casts round, which is
/// compared with rounding, and noise is compared with the same step without.
struct StepProofs {
  /// The step and why it is not what it says.
  struct Failure {
    var step: String
    var reason: String
  }

  private let stages: [TransformStage]
  private let runs: Bool

  /// - Parameter runs: whether models are run; claims about single weights are checked anyway.
  init(_ stages: [TransformStage], runs: Bool) { (self.stages, self.runs) = (stages, runs) }

  /// The first step that is not what it says.
  func failure() throws -> Failure? {
    var open: [TransformStage] = []
    for stage in stages {
      if let failure = misnamed(stage) { return failure }
      let relation = stage.change.correspondence
      let isCast = stage.step.transform is Cast
      if runs, isCast || relation.contract == .lossy {
        if let failure = try failure(ofSame: open) { return failure }
        open = []
      }
      if let failure = try failure(of: stage) { return failure }
      if runs, !isCast, relation.contract != .lossy { open.append(stage) }
    }
    return try failure(ofSame: open)
  }

  /// Of a step that gives tokens other ids: whether the vocabulary follows.
  private func misnamed(_ stage: TransformStage) -> Failure? {
    guard let tokens = stage.change.correspondence.tokens, let old = stage.source.vocabulary,
      let new = stage.change.model.vocabulary
    else { return nil }
    for (id, source) in tokens.enumerated() {
      guard let source, old.tokens.indices.contains(source) else { continue }
      guard new.tokens.indices.contains(id), new.tokens[id] == old.tokens[source] else {
        return Failure(
          step: stage.step.transform.name,
          reason: "the vocabulary does not call token \(id) as the source calls \(source)")
      }
    }
    return nil
  }

  /// Of a step with claims, or one that is lossy.
  private func failure(of stage: TransformStage) throws -> Failure? {
    var (source, relation) = (stage.source, stage.change.correspondence)
    let isLossy = relation.contract == .lossy
    guard isLossy || !relation.claims.isEmpty else { return nil }
    if runs, stage.step.undisturbed.arguments != stage.step.arguments, isLossy {
      let calm = try TransformRegistry.stages([stage.step.undisturbed], from: source)
      if let failure = try failure(ofSame: calm) { return failure }
      if let model = calm.last?.change.model { source = model }
      return try named(
        stage.step,
        StepProof(source, stage.change.model, .init(claims: relation.claims), runs: false))
    }
    if stage.step.transform is Cast { relation.contract = .lossy }
    return try named(
      stage.step, StepProof(source, stage.change.model, relation, runs: runs && isLossy))
  }

  /// Of steps that all promise the same function.
  private func failure(ofSame stages: [TransformStage]) throws -> Failure? {
    guard let first = stages.first else { return nil }
    let whole = TransformRegistry.apply(stages, to: first.source)
    let names = stages.map(\.step.transform.name).joined(separator: ", ")
    return try StepProof(first.source, whole.model, whole.correspondence, runs: true).broken
      .map { Failure(step: names, reason: $0) }
  }

  private func named(_ step: TransformStep, _ proof: StepProof) -> Failure? {
    proof.broken.map { Failure(step: step.transform.name, reason: $0) }
  }
}
