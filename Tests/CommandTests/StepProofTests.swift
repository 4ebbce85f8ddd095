import Checkpoint
import Infer
import TestSupport
import Testing
import Transforms

/// A step that is not what it says does not pass the judge, whatever its contract.
@Suite struct StepProofTests {
  /// A step on a fixture, and how it is made wrong.
  struct Case: CustomTestStringConvertible, Sendable {
    let fixture: String
    let step: String
    let what: String
    let breaks: @Sendable (inout ModelChange) throws -> Void

    init(
      _ fixture: String, _ step: String, _ what: String,
      _ breaks: @escaping @Sendable (inout ModelChange) throws -> Void
    ) {
      (self.fixture, self.step, self.what, self.breaks) = (fixture, step, what, breaks)
    }

    var testDescription: String { "\(step): \(what)" }
  }

  /// Every element of a weight times a factor.
  private static func scale(
    _ name: String, by factor: Float
  ) -> @Sendable (inout ModelChange) throws -> Void {
    { change in
      let index = try #require(change.model.weights.firstIndex { $0.name == name })
      let tensor = change.model.weights[index].tensor
      change.model.weights[index].tensor = Tensor(
        name: tensor.name, shape: tensor.shape, values: try tensor.floats().map { $0 * factor })
    }
  }

  static let cases: [Case] = [
    Case(
      "b4k-bert/weights.h5", "widen-key-size=20", "another factor",
      scale("layers.0.attention.query.kernel", by: 1.0001)),
    Case(
      "b4k-bert/weights.h5", "widen-ffn=131", "outputs not shared out",
      scale("layers.1.feed_forward.output.kernel", by: 1.0001)),
    Case("b4k-bert/weights.h5", "prune-heads=*.1", "another head than is said") { change in
      change.correspondence.claims = [
        .silenced(["layers.0.attention": [0], "layers.1.attention": [1]])
      ]
    },
    Case(
      "b4k-bert/weights.h5", "prune-heads=*.1", "what stays is changed",
      scale("layers.1.attention.output.kernel", by: 1.0001)),
    Case(
      "b4k-bert/weights.h5", "tie", "no mean",
      scale("groups.0.0.feed_forward.inner.kernel", by: 1.0001)),
    Case(
      "b4k-bert/weights.h5", "narrow-key-size=5", "not as near as is said",
      scale("layers.0.attention.key.kernel", by: 1.01)),
    Case("b4k-bert/weights.h5", "narrow-key-size=5", "another error than is said") { change in
      guard case .approximated(var errors) = change.correspondence.claims[0] else { return }
      errors["layers.1.attention"]?[0] += 0.001
      change.correspondence.claims = [.approximated(errors)]
    },
    Case(
      "b4k-bert/weights.h5", "drop-layers=0", "a layer that stays is changed",
      scale("layers.0.feed_forward.norm.gamma", by: 1.0001)),
    Case(
      "b4k-bert/weights.h5", "cast=f16", "not rounded",
      scale("layers.0.feed_forward.norm.gamma", by: 1)),
    Case(
      "b4k-bert/weights.h5", "talking-heads:noise=0.01", "more than noise",
      scale("layers.0.attention.pre_softmax.kernel", by: 1.5)),
    Case("b4k-bert/weights.h5", "extend-positions=40:alpha=0.3", "another share") { change in
      change.correspondence.claims = [.decomposed(alpha: 0.4, first: 0)]
    },
  ]

  private func prove(
    _ item: Case, _ change: (inout ModelChange) throws -> Void
  ) throws -> StepProof {
    let model = try Opening(Fixtures.path(item.fixture)).model()
    let stages = try TransformRegistry.stages([TransformStep(parsing: item.step)], from: model)
    var stage = try #require(stages.first)
    try change(&stage.change)
    // Noise is compared with the same step without.
    let calm = try TransformRegistry.stages([stage.step.undisturbed], from: model)
    let isDisturbed = stage.step.undisturbed.arguments != stage.step.arguments
    let source = try isDisturbed ? #require(calm.first).change.model : model
    let relation =
      isDisturbed
      ? Correspondence(claims: stage.change.correspondence.claims) : stage.change.correspondence
    return try StepProof(source, stage.change.model, relation, runs: !isDisturbed)
  }

  @Test(arguments: cases)
  func `a step that is right passes, one that is not does not`(_ item: Case) throws {
    #expect(try prove(item) { _ in }.broken == nil)
    #expect(try prove(item, item.breaks).broken != nil)
  }
}
