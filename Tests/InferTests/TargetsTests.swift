import Checkpoint
import Infer
import Testing

/// A decoder's inputs have a length of their own.
@Suite struct TargetsTests {
  /// Queries of a decoder that look at an encoder's positions, and their own masks and positions.
  private func decoder() throws -> Trial {
    var t = Trial(seed: 1)
    let memory = t.graph.input("memory", [.batch, .length, .fixed(6)])
    let padding = t.graph.input("padding", [.batch, .length])
    let x = t.graph.input("x", [.batch, .targets, .fixed(6)])
    let own = t.graph.input("own", [.batch, .targets])
    let rows = try t.graph.apply(PositionRows(), t.weight("table", 20, 6), own)
    let query = try t.graph.apply(Rotary(heads: 3), t.graph.apply(Add(), x, rows))
    let causal = try t.graph.apply(AttentionMask(.causal), own)
    let selfScores = try t.graph.apply(AttentionScores(heads: 3, scale: 0.7), query, query)
    let bias = try t.graph.apply(
      RelativeBias(isBidirectional: false, maxDistance: 9), t.weight("bias", 8, 3), x, x)
    let biased = try t.graph.apply(Add(), selfScores, bias)
    let seen = try t.graph.apply(
      AttentionContext(), t.graph.apply(MaskedSoftmax(), biased, causal), x)
    let scores = try t.graph.apply(AttentionScores(heads: 3, scale: 0.7), seen, memory)
    let weights = try t.graph.apply(
      MaskedSoftmax(), scores, t.graph.apply(AttentionMask(.bidirectional), padding))
    let context = try t.graph.apply(AttentionContext(), weights, memory, named: "context")
    t.graph.output("y", context)
    t.graph.output("first", try t.graph.apply(SelectPosition(position: 0), context))
    return t
  }

  @Test(arguments: [(1, 5, 5), (2, 7, 3), (3, 4, 9), (2, 7, 4), (1, 1, 2)])
  func `a decoder of another length than its encoder`(
    batch: Int, length: Int, targets: Int
  ) throws {
    let trial = try decoder()
    let session = try trial.session(["y", "first"], threads: 2)
    var random = Random(length)
    // The same session plans anew for each extent.
    for targets in [targets, targets + 1] {
      let inputs = [
        "memory": random.array([batch, length, 6]),
        "padding": NDArray(
          shape: [batch, length], values: (0..<(batch * length)).map { $0 % 3 == 1 ? 0 : 1 }),
        "x": random.array([batch, targets, 6]),
        "own": NDArray(
          shape: [batch, targets], values: .init(repeating: 1, count: batch * targets)),
      ]
      let got = try session.run(inputs)
      let expected = try trial.reference(inputs, ["y", "first"])
      for name in ["y", "first"] { #expect(difference(got[name], expected[name]) < 2e-6) }
    }
  }

  @Test func `targets that disagree are refused`() throws {
    let session = try decoder().session(["y"])
    #expect(throws: InferError(.input, "own", "")) {
      try session.run([
        "memory": NDArray(zeros: [1, 2, 6]), "padding": NDArray(zeros: [1, 2]),
        "x": NDArray(zeros: [1, 3, 6]), "own": NDArray(zeros: [1, 2]),
      ])
    }
  }
}
