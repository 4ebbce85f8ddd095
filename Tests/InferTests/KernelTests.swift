import Checkpoint
import Infer
import Testing

/// Every kernel against its reference in Float64, over random shapes and special values.
@Suite struct KernelTests {
  /// Runs one op by a session and by the reference, with operands that are inputs or weights.
  ///
  /// - Returns: the kernel's difference from the reference in Float64. That in Float32 rounds in
  ///   another order and is only held to be near.
  func compare(
    _ op: any Op, inputs: [NDArray<Float>], weights: [NDArray<Float>] = [], threads: Int = 1,
    sourceLocation: SourceLocation = #_sourceLocation
  ) throws -> Double {
    var trial = Trial(seed: 0)
    var operands: [Graph.ID] = []
    var given: [String: NDArray<Float>] = [:]
    for (index, array) in inputs.enumerated() {
      operands.append(trial.graph.input("x\(index)", array.shape.map { .fixed($0) }))
      given["x\(index)"] = array
    }
    for (index, array) in weights.enumerated() {
      trial.weights["w\(index)"] = array
      operands.append(try trial.graph.weight("w\(index)", array.shape))
    }
    trial.graph.output("y", try trial.graph.apply(op, operands))
    let got = try trial.session(["y"], threads: threads).run(given)["y"]
    let expected = try trial.reference(given, ["y"])["y"]
    let single = try trial.reference(given, ["y"], as: Float.self)["y"]
    #expect(difference(single, expected) < 1e-3, "in Float32", sourceLocation: sourceLocation)
    return difference(got, expected)
  }

  @Test func `products of any shape`() throws {
    var random = Random(1)
    for round in 0..<150 {
      let (rows, input, output) = (
        Int.random(in: 1...67, using: &random), Int.random(in: 1...67, using: &random),
        Int.random(in: 1...67, using: &random)
      )
      let transposed = round % 2 == 0
      let operands = [
        random.array(transposed ? [output, input] : [input, output]), random.array([output]),
      ]
      let weights = Array(operands.prefix(1 + round % 3 % 2))
      let op = Linear(transposedKernel: transposed, activation: round % 5 == 0 ? .tanh : .linear)
      let x = random.array([rows, input])
      let shape = "\(rows)×\(input)×\(output)"
      #expect(
        try compare(op, inputs: [x], weights: weights, threads: 1 + round % 3) < 1e-6, "\(shape)")
      // A kernel that is a value is packed while it runs.
      #expect(try compare(op, inputs: [x] + weights, threads: 1 + round % 3) < 1e-6, "\(shape)")
    }
  }

  @Test(arguments: [(1, 800, 70), (150, 1600, 33), (300, 40, 65), (145, 769, 100)])
  func `products larger than a block`(rows: Int, input: Int, output: Int) throws {
    var random = Random(rows)
    let weights = [random.array([input, output]), random.array([output])]
    for threads in [1, 2, 5] {
      #expect(
        try compare(
          Linear(activation: .geluErf), inputs: [random.array([rows, input])], weights: weights,
          threads: threads) < 2e-6)
    }
  }

  @Test(arguments: Activation.allCases)
  func `activations`(activation: Activation) throws {
    var random = Random(2)
    for count in 1...67 {
      var x = random.array([count], scale: count % 2 == 0 ? 4 : 30)
      x.values[0] = 3  // errors are relative to the largest value, which should not be tiny
      #expect(try compare(Activate(activation), inputs: [x]) < 1e-6)
    }
    let many = random.array([40_000], scale: 8)
    #expect(try compare(Activate(activation), inputs: [many], threads: 2) < 1e-6)
  }

  @Test(arguments: Activation.allCases)
  func `activations of special values`(activation: Activation) throws {
    let values: [Float] = [
      .infinity, -.infinity, 0, -0.0, .leastNonzeroMagnitude, -1e-20, 88, -88, 104, -104, 1e10,
      -1e10, 3e38,
      -3e38, .nan,
    ]
    var trial = Trial(seed: 0)
    let x = trial.graph.input("x", [.fixed(1)])
    trial.graph.output("y", try trial.graph.apply(Activate(activation), x))
    let session = try trial.session(["y"])
    for value in values {
      let got = try session.run(["x": NDArray(shape: [1], values: [value])])["y"]?.values[0] ?? 0
      let expected: Float = activation(value)
      if value.isNaN {
        #expect(got.isNaN, "not a number stays none")
      } else if expected.isNaN || expected.isInfinite {
        #expect(got == expected || got.isNaN && expected.isNaN, "\(activation)(\(value)) = \(got)")
      } else {
        #expect(
          abs(got - expected) <= 1e-6 * max(1, abs(expected)), "\(activation)(\(value)) = \(got)")
      }
    }
  }

  @Test func `gelu and its kin are exact to rounding`() throws {
    var trial = Trial(seed: 0)
    let x = trial.graph.input("x", [.batch, .length])
    for activation in [Activation.geluErf, .geluTanh, .tanh, .sigmoid] {
      trial.graph.output("\(activation)", try trial.graph.apply(Activate(activation), x))
    }
    let values = (0..<200_000).map { Float($0) * 1.2e-4 - 12 }
    let inputs = ["x": NDArray(shape: [1, values.count], values: values)]
    let names = trial.graph.outputs.map(\.name)
    let got = try trial.session(names, threads: 2).run(inputs)
    for (name, expected) in try trial.reference(inputs, names) {
      let pairs = zip(got[name]?.values ?? [], expected.values)
      let error = pairs.reduce(0) { max($0, abs(Double($1.0) - $1.1)) }
      #expect(error < (name.hasPrefix("gelu") ? 5e-7 : 1e-7), "\(name): \(error)")
    }
  }

  @Test func `sums, norms and softmax of any shape`() throws {
    var random = Random(3)
    for width in 1...67 {
      let rows = Int.random(in: 1...67, using: &random)
      let x = random.array([3, rows, width], scale: 3)
      let gains = [random.array([width]), random.array([width])]
      for shape in [[3, rows, width], [rows, width], [width]] {
        let y = random.array(shape)
        #expect(try compare(Add(), inputs: [x, y], threads: 1 + width % 3) < 1e-6)
        #expect(
          try compare(
            AddNorm(epsilon: 1e-6), inputs: [x, y], weights: gains, threads: 1 + width % 3)
            < (width == 1 ? 1 : 4e-6))
      }
      #expect(
        try compare(
          LayerNorm(epsilon: 1e-6), inputs: [x], weights: gains, threads: 1 + width % 3) < 4e-6)
      #expect(try compare(Softmax(), inputs: [x], threads: 1 + width % 3) < 1e-6)
    }
    #expect(try compare(Add(), inputs: [random.array([2, 3]), random.array([])]) < 1e-6)
  }

  @Test func `a norm of equal elements gives beta`() throws {
    let x = NDArray<Float>(shape: [2, 5], values: .init(repeating: 0.1, count: 10))
    var random = Random(4)
    let gains = [random.array([5]), random.array([5])]
    #expect(try compare(LayerNorm(epsilon: 0), inputs: [x], weights: gains) < 1e-6)
  }

  @Test(arguments: [true, false])
  func `attention, fused and in steps`(masked: Bool) throws {
    var random = Random(5)
    for round in 0..<40 {
      let (batch, heads, size) = (
        1 + round % 3, 1 + round % 4, Int.random(in: 1...40, using: &random)
      )
      let rows = round % 10 == 0 ? 203 : Int.random(in: 1...67, using: &random)
      let width = heads * size
      let qkv = (0..<3).map { _ in random.array([batch, rows, width]) }
      var mask = random.wholes([batch, round % 2 == 0 ? 1 : rows, rows], below: masked ? 2 : 1)
      if !masked { mask.values = mask.values.map { _ in 1 } }
      let threads = 1 + round % 3
      let scale = 1 / Double(size).squareRoot()
      #expect(
        try compare(
          Attention(heads: heads, scale: scale), inputs: qkv + [mask], threads: threads) < 1e-6)
      #expect(
        try compare(
          AttentionScores(heads: heads, scale: scale), inputs: [qkv[0], qkv[1]], threads: threads)
          < 1e-6)
      let scores = random.array([batch, heads, rows, rows], scale: 9)
      #expect(try compare(MaskedSoftmax(), inputs: [scores, mask], threads: threads) < 2e-6)
      #expect(try compare(AttentionContext(), inputs: [scores, qkv[2]], threads: threads) < 1e-6)
    }
  }

  @Test func `a row that sees nothing weighs all positions alike`() throws {
    var random = Random(6)
    let mask = NDArray<Float>(zeros: [1, 1, 21])
    let scores = random.array([1, 1, 2, 21])
    #expect(try compare(MaskedSoftmax(), inputs: [scores, mask]) < 1e-6)
  }

  @Test func `softmax of special values`() throws {
    for special in [Float.infinity, -.infinity, .nan, 3e38, -3e38] {
      for position in [0, 15, 16, 20] {
        var x = NDArray<Float>(zeros: [1, 1, 1, 21])
        x.values[position] = special
        #expect(try compare(Softmax(), inputs: [x]) < 1e-6, "\(special)")
        var mask = NDArray<Float>(zeros: [1, 1, 21])
        mask.values[3] = 1
        #expect(try compare(MaskedSoftmax(), inputs: [x, mask]) < 1e-6, "hidden \(special)")
      }
    }
    let none = NDArray<Float>(shape: [1, 19], values: .init(repeating: -.infinity, count: 19))
    #expect(try compare(Softmax(), inputs: [none]) < 1e-6)
  }

  @Test func `rows, positions and masks are picked exactly`() throws {
    var random = Random(7)
    for width in [1, 3, 16, 67] {
      let table = random.array([29, width])
      let ids = random.wholes([5, 7], below: 29)
      #expect(try compare(Gather(), inputs: [table, ids], threads: 2) == 0)
      #expect(try compare(PositionRows(), inputs: [table, ids]) == 0)
      #expect(try compare(SelectPosition(position: 2), inputs: [random.array([3, 4, width])]) == 0)
    }
    for kind in AttentionMaskKind.allCases {
      let mask = random.wholes([3, 17], below: 2)
      let segments = random.wholes([3, 17], below: 2)
      let operands = kind == .unilm ? [mask, segments] : [mask]
      #expect(try compare(AttentionMask(kind), inputs: operands) == 0)
    }
  }
}
