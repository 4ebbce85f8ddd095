import Checkpoint
import Infer
import Testing

@Suite struct PassTests {
  private func opNames(_ session: Session) -> [String] { session.graph.nodes.map(\.op.name) }

  @Test(arguments: AttentionMaskKind.allCases)
  func `a fused graph has the same reference`(kind: AttentionMaskKind) throws {
    var trial = try Trial.encoder(mask: kind)
    let inputs = encoderInputs(batch: 2, length: 9, vocabulary: 31, seed: 3)
    let expected = try trial.reference(inputs, SessionTests.outputs)
    for pass in PassList.all {
      trial.graph = try pass(trial.graph.answering(SessionTests.outputs))
      let got = try trial.reference(inputs, SessionTests.outputs)
      #expect(got == expected, "\(pass.name)")
    }
  }

  @Test func `an encoder's layer is seven nodes`() throws {
    let session = try Trial.encoder(EncoderSize(layers: 1)).session(["last_hidden_state"])
    #expect(
      opNames(session) == [
        "gather", "gather", "add", "positions", "add_norm", "attention_mask",
        "linear", "linear", "linear", "attention", "linear", "add_norm",
        "linear", "linear", "add_norm",
      ])
  }

  @Test func `a wanted value is not fused away`() throws {
    let trial = try Trial.encoder(EncoderSize(layers: 1))
    let last = "last_hidden_state"
    let weights = try trial.session([last, "layers.0.attention.weights"])
    #expect(!opNames(weights).contains("attention"))
    #expect(opNames(weights).contains("masked_softmax"))
    let inner = try trial.session([last, "layers.0.feed_forward.dense"])
    #expect(opNames(inner).contains("gelu_erf"))
  }

  @Test func `windows, norms of batches and products take the activation that follows`() throws {
    var trial = Trial(seed: 6)
    let x = trial.graph.input("x", [.batch, .fixed(5), .fixed(4), .fixed(3)])
    var y = try trial.graph.apply(
      Convolution(strides: [2, 1], before: [1, 1], after: [1, 1], dilation: [1, 1]), x,
      try trial.weight("kernel", 3, 3, 3, 7), try trial.weight("bias", 7))
    y = try trial.graph.apply(Activate(.relu), y)
    let variance = try trial.weight("variance.gamma", 7)  // around 1
    y = try trial.graph.apply(
      BatchNorm(epsilon: 1e-3), y, try trial.weight("mean", 7), variance,
      try trial.weight("gamma", 7), try trial.weight("beta", 7))
    y = try trial.graph.apply(Activate(.silu), y)
    y = try trial.graph.apply(
      ConvolutionTranspose(strides: [2, 2], before: [0, 1], dilation: [1, 1], sizes: [6, 8]), y,
      try trial.weight("up", 2, 3, 5, 7))
    trial.graph.output("y", try trial.graph.apply(Activate(.tanh), y))
    let inputs = ["x": trial.random.array([2, 5, 4, 3])]
    let expected = try trial.reference(inputs, ["y"])["y"]
    let session = try trial.session(["y"], threads: 2)
    #expect(opNames(session) == ["convolution", "batch_norm", "convolution_transpose"])
    #expect(difference(try session.run(inputs)["y"], expected) < 1e-6)
    trial.graph = session.graph
    #expect(try trial.reference(inputs, ["y"])["y"] == expected)
  }

  @Test func `a value with two users is not fused away`() throws {
    var trial = Trial(seed: 4)
    let x = trial.graph.input("x", [.batch, .length, .fixed(8)])
    let dense = try trial.linear(x, "dense", 8, 8)
    let active = try trial.graph.apply(Activate(.relu), dense)
    let sum = try trial.graph.apply(Add(), active, dense)
    trial.graph.output("y", try trial.norm(sum, "norm", 8))
    let session = try trial.session(["y"])
    #expect(opNames(session) == ["linear", "relu", "add_norm"])
    let inputs = ["x": trial.random.array([2, 3, 8])]
    #expect(
      difference(try session.run(inputs)["y"], try trial.reference(inputs, ["y"])["y"]) < 1e-6)
  }

  @Test func `only what a fused op stands for is fused`() throws {
    var trial = Trial(seed: 5)
    let x = trial.graph.input("x", [.batch, .length, .fixed(6)])
    let mask = trial.graph.input("mask", [.batch, .fixed(1), .length])
    let scores = try trial.graph.apply(AttentionScores(heads: 2, scale: 1), x, x)
    let weights = try trial.graph.apply(
      MaskedSoftmax(normalization: .softmaxPlus), scores, mask)
    let context = try trial.graph.apply(AttentionContext(), weights, x)
    let sum = try trial.graph.apply(Add(), context, x)
    trial.graph.output("y", try trial.graph.apply(LayerNorm(epsilon: 1e-6), sum))
    #expect(
      opNames(try trial.session(["y"]))
        == ["attention_scores", "masked_softmax", "attention_context", "add", "layer_norm"])
  }
}
