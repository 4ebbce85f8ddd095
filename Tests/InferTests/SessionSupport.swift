import Checkpoint
import Infer

/// Random numbers that a test can repeat (SplitMix64).
struct Random: RandomNumberGenerator {
  private var generator: SplitMix64

  init(_ seed: Int) { generator = SplitMix64(seed: UInt64(truncatingIfNeeded: seed)) }

  mutating func next() -> UInt64 { generator.next() }

  mutating func array(_ shape: [Int], scale: Float = 1) -> NDArray<Float> {
    NDArray(
      shape: shape,
      values: (0..<shape.reduce(1, *)).map { _ in Float.random(in: -scale...scale, using: &self) })
  }

  mutating func wholes(_ shape: [Int], below limit: Int) -> NDArray<Float> {
    NDArray(
      shape: shape,
      values: (0..<shape.reduce(1, *)).map { _ in Float(Int.random(in: 0..<limit, using: &self)) })
  }
}

/// A graph with random weights.
struct Trial {
  var graph = Graph()
  var weights: [String: NDArray<Float>] = [:]
  var random: Random

  init(seed: Int) { random = Random(seed) }

  /// Adds a random weight; those named `…gamma` lie around 1.
  mutating func weight(_ name: String, _ shape: Int..., scale: Float = 0.3) throws -> Graph.ID {
    if weights[name] == nil {
      var array = random.array(shape, scale: scale)
      if name.hasSuffix("gamma") { array.values = array.values.map { $0 + 1 } }
      weights[name] = array
    }
    return try graph.weight(name, shape)
  }

  func session(
    _ outputs: [String], threads: Int? = 1, passes: [any Pass] = PassList.all
  ) throws -> Session {
    try Session(graph, outputs: outputs, threads: threads, passes: passes) { name in
      guard let array = weights[name] else { throw InferError(.graph, name, "no such weight") }
      return Tensor(name: name, shape: Shape(array.shape), values: array.values)
    }
  }

  /// The values of these names by the reference, in Float64 unless it is said otherwise.
  func reference<Scalar: ReferenceScalar>(
    _ inputs: [String: NDArray<Float>], _ names: [String], as _: Scalar.Type = Double.self
  ) throws -> [String: NDArray<Scalar>] {
    let reference = Reference<Scalar>(graph) { name in
      guard let array = weights[name] else { throw InferError(.graph, name, "no such weight") }
      return array.converted(to: Scalar.self)
    }
    return try reference.run(inputs, returning: names)
  }
}

/// The largest difference, relative to the largest expected value.
///
/// Infinite where the shapes differ, or where only one of two values is a number.
func difference(_ got: NDArray<Float>?, _ expected: NDArray<Double>?) -> Double {
  guard let got, let expected, got.shape == expected.shape else { return .infinity }
  var largest = 0.0
  var scale = 0.0
  for (a, b) in zip(got.values, expected.values) {
    if a.isNaN || b.isNaN || b.isInfinite {
      if !(a.isNaN && b.isNaN) && Double(a) != b { return .infinity }
      continue
    }
    largest = max(largest, abs(Double(a) - b))
    scale = max(scale, abs(b))
  }
  return largest == 0 ? 0 : largest / max(scale, 1e-30)
}

/// Sizes of an encoder.
struct EncoderSize {
  var vocabulary = 31
  var positions = 80
  var layers = 2
  var hidden = 24
  var heads = 3
  var inner = 52
}

/// The inputs of an encoder: the last positions of some rows are padding.
func encoderInputs(
  batch: Int, length: Int, vocabulary: Int, seed: Int
) -> [String: NDArray<Float>] {
  var random = Random(seed)
  var mask = NDArray<Float>(
    shape: [batch, length], values: .init(repeating: 1, count: batch * length))
  for row in 0..<batch where row % 2 == 1 {
    let kept = Int.random(in: 1...length, using: &random)
    for column in kept..<length { mask.values[row * length + column] = 0 }
  }
  return [
    "token": random.wholes([batch, length], below: vocabulary),
    "segment": random.wholes([batch, length], below: 2),
    "mask": mask,
  ]
}

extension Trial {
  /// An encoder of BERT's form with the names of the design, tied decoder included.
  static func encoder(
    _ size: EncoderSize = EncoderSize(), mask kind: AttentionMaskKind = .bidirectional,
    activation: Activation = .geluErf, seed: Int = 1
  ) throws -> Trial {
    var t = Trial(seed: seed)
    let token = t.graph.input("token", [.batch, .length])
    let segment = t.graph.input("segment", [.batch, .length])
    let padding = t.graph.input("mask", [.batch, .length])
    let table = try t.weight("token.table", size.vocabulary, size.hidden)
    var x = try t.graph.apply(Gather(), table, token, named: "embeddings.token")
    let segments = try t.graph.apply(
      Gather(), try t.weight("segment.table", 2, size.hidden), segment, named: "embeddings.segment")
    x = try t.graph.apply(Add(), x, segments)
    let positions = try t.graph.apply(
      PositionRows(), try t.weight("position.table", size.positions, size.hidden), token,
      named: "embeddings.position")
    x = try t.graph.apply(Add(), x, positions)
    x = try t.norm(x, "embeddings.norm", size.hidden)
    let visible = try t.graph.apply(
      AttentionMask(kind), kind == .unilm ? [padding, segment] : [padding], named: "mask.attention")
    for layer in 0..<size.layers {
      x = try t.layer(x, visible, "layers.\(layer)", size, activation)
    }
    t.graph.output("last_hidden_state", x)
    let first = try t.graph.apply(SelectPosition(position: 0), x)
    let pooled = try t.linear(first, "pooler.dense", size.hidden, size.hidden)
    t.graph.output(
      "pooler_output", try t.graph.apply(Activate(.tanh), pooled, named: "pooler"))
    let transform = try t.linear(x, "mlm.dense", size.hidden, size.hidden)
    let activated = try t.graph.apply(Activate(activation), transform, named: "mlm.transform")
    let normal = try t.norm(activated, "mlm.norm", size.hidden)
    t.graph.output(
      "mlm_logits",
      try t.graph.apply(
        Linear(transposedKernel: true), normal, table, try t.weight("mlm.bias", size.vocabulary)))
    return t
  }

  mutating func linear(_ x: Graph.ID, _ name: String, _ input: Int, _ output: Int) throws
    -> Graph.ID
  {
    try graph.apply(
      Linear(), x,
      try weight(name + ".kernel", input, output, scale: 1.7 / Float(input).squareRoot()),
      try weight(name + ".bias", output), named: name)
  }

  mutating func norm(_ x: Graph.ID, _ name: String, _ width: Int) throws -> Graph.ID {
    try graph.apply(
      LayerNorm(epsilon: 1e-12), x, try weight(name + ".gamma", width),
      try weight(name + ".beta", width), named: name)
  }

  private mutating func layer(
    _ x: Graph.ID, _ visible: Graph.ID, _ name: String, _ size: EncoderSize,
    _ activation: Activation
  ) throws -> Graph.ID {
    let hidden = size.hidden
    let query = try linear(x, name + ".attention.query", hidden, hidden)
    let key = try linear(x, name + ".attention.key", hidden, hidden)
    let value = try linear(x, name + ".attention.value", hidden, hidden)
    let scale = 1 / Double(hidden / size.heads).squareRoot()
    let scores = try graph.apply(
      AttentionScores(heads: size.heads, scale: scale), query, key,
      named: name + ".attention.scores")
    let shares = try graph.apply(
      MaskedSoftmax(), scores, visible, named: name + ".attention.weights")
    let context = try graph.apply(
      AttentionContext(), shares, value, named: name + ".attention.context")
    let output = try linear(context, name + ".attention.output", hidden, hidden)
    let attended = try norm(
      try graph.apply(Add(), output, x), name + ".attention.norm", hidden)
    let inner = try graph.apply(
      Activate(activation), try linear(attended, name + ".feed_forward.dense", hidden, size.inner),
      named: name + ".feed_forward.inner")
    let last = try linear(inner, name + ".feed_forward.output", size.inner, hidden)
    return try norm(
      try graph.apply(Add(), last, attended), name + ".feed_forward.norm", hidden)
  }
}
