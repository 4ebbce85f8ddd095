import Infer
import Testing

extension KernelTests {
  /// Of [[0.5, -1, 2], [3, 0, -2.5]] along the last axis and along the first.
  static let reductions: [(Reduce.Kind, [Double], [Double])] = [
    (.sum, [1.5, 0.5], [3.5, -1.0, -0.5]),
    (.mean, [0.5, 0.166666667], [1.75, -0.5, -0.25]),
    (.product, [-1.0, -0.0], [1.5, -0.0, -5.0]),
    (.max, [2.0, 3.0], [3.0, 0.0, 2.0]),
    (.min, [-1.0, -2.5], [0.5, -1.0, -2.5]),
    (.any, [1.0, 1.0], [1.0, 1.0, 1.0]),
    (.all, [1.0, 0.0], [1.0, 0.0, 1.0]),
    (.logSumExp, [2.2413113, 3.05247275], [3.07888973, 0.313261688, 2.01104774]),
    (.variance, [1.5, 5.05555556], [1.5625, 0.25, 5.0625]),
    (.std, [1.22474487, 2.24845626], [1.25, 0.5, 2.25]),
  ]

  @Test func `reductions as NumPy has them`() throws {
    #expect(Set(KernelTests.reductions.map(\.0)) == Set(Reduce.Kind.allCases))
    let x = NDArray<Double>(shape: [2, 3], values: [0.5, -1, 2, 3, 0, -2.5])
    for (kind, last, first) in KernelTests.reductions {
      try expect(Reduce(kind, axes: [-1]), [x], [2], last)
      try expect(Reduce(kind, axes: [0], keepsDimensions: true), [x], [1, 3], first)
    }
    try expect(Reduce(.sum, axes: [0, 1]), [x], [], [2])
    try expect(ArgReduce(.max, axis: 1), [x], [2], [2, 0])
    try expect(ArgReduce(.min, axis: 0), [x], [3], [0, 0, 1])
    try expect(Accumulate(.sum, axis: 1), [x], [2, 3], [0.5, -0.5, 1.5, 3, 3, 0.5])
    try expect(Accumulate(.product, axis: -1), [x], [2, 3], [0.5, -0.5, -1, 3, 0, 0])
    try expect(
      Accumulate(.sum, axis: 1, isReversed: true), [x], [2, 3], [1.5, 1, 2, 0.5, -2.5, -2.5])
    // `tf.cumsum(exclusive=True)`: what was there before.
    try expect(Accumulate(.sum, axis: 1, isExclusive: true), [x], [2, 3], [0, 0.5, -0.5, 0, 3, 3])
    try expect(
      Accumulate(.product, axis: 0, isExclusive: true, isReversed: true), [x], [2, 3],
      [3, 0, -2.5, 1, 1, 1])
    let ties = NDArray<Double>(shape: [4], values: [1, 3, 3, 1])
    try expect(ArgReduce(.max, axis: 0), [ties], [], [1])
    try expect(ArgReduce(.min, axis: 0), [ties], [], [0])
    let odd = NDArray<Double>(shape: [4], values: [1, .nan, 7, .nan])
    try expect(ArgReduce(.max, axis: 0), [odd], [], [1])
  }

  @Test(arguments: Reduce.Kind.allCases)
  func `reductions over any axes`(kind: Reduce.Kind) throws {
    var random = Random(48)
    for (round, shape) in shapes(90, &random).enumerated() {
      let axes = shape.indices.filter { _ in Bool.random(using: &random) }
      var x = random.array(shape, scale: kind == .product ? 1.2 : 3)
      switch kind {
      case .any, .all: x = random.wholes(shape, below: round % 2 == 0 ? 2 : 12)
      // Sums that cancel have no relative error to speak of.
      case .sum, .mean: x.values = x.values.map { $0 + 1 }
      default: break
      }
      let op = Reduce(kind, axes: axes.shuffled(using: &random), keepsDimensions: round % 2 == 0)
      #expect(try compare(op, inputs: [x], threads: 1 + round % 3) < 4e-6, "\(shape) \(axes)")
    }
    for (shape, axes) in [
      ([2, 40, 300], [1]), ([2, 40, 300], [0, 1]), ([700, 3], [0]), ([3, 700], [1]),
      ([2, 30, 9, 20], [0, 2]), ([2, 30, 9, 20], [1, 3]),
    ] {
      var x = random.array(shape, scale: kind == .product ? 1 : 3)
      if kind == .product { x.values = x.values.map { 1 + $0 * 1e-2 } }
      for threads in 1...3 {
        #expect(
          try compare(Reduce(kind, axes: axes), inputs: [x], threads: threads) < 1e-5, "\(shape)")
      }
    }
    for special in [Float.nan, .infinity, -.infinity, 0] {
      for shape in [[1, 19], [19, 1], [19, 16]] {
        var x = random.array(shape)
        x.values[3] = special
        for axes in [[0], [1], [0, 1]] {
          #expect(try compare(Reduce(kind, axes: axes), inputs: [x]) < 1e-5, "\(special) \(shape)")
        }
      }
    }
  }

  @Test func `the sum of nothing but minus infinity`() throws {
    let x = NDArray<Float>(shape: [5], values: .init(repeating: -.infinity, count: 5))
    #expect(try compare(Reduce(.logSumExp, axes: [0]), inputs: [x]) == 0)
    try expect(
      Reduce(.logSumExp, axes: [0]), [NDArray(shape: [2], values: [1000, 1000])], [],
      [1000.6931471805599])
  }

  @Test func `long sums are exact to rounding`() throws {
    var random = Random(49)
    let count = 1_000_003
    var x = random.array([count])
    x.values = x.values.map { abs($0) + 1 }
    let sum = x.values.reduce(0.0) { $0 + Double($1) }
    let mean = sum / Double(count)
    let variance = x.values.reduce(0.0) { $0 + (Double($1) - mean) * (Double($1) - mean) }
    func got(_ op: any Op, _ shape: [Int]) throws -> Double {
      var trial = Trial(seed: 0)
      let input = trial.graph.input("x", shape.map { .fixed($0) })
      trial.graph.output("y", try trial.graph.apply(op, input))
      let result = try trial.session(["y"]).run(["x": NDArray(shape: shape, values: x.values)])
      return Double(result["y"]?.values.last ?? 0)
    }
    for shape in [[count], [count, 1]] {
      #expect(abs(try got(Reduce(.mean, axes: [0]), shape) / mean - 1) < 1e-6)
      #expect(
        abs(try got(Reduce(.variance, axes: [0]), shape) / (variance / Double(count)) - 1) < 1e-6)
      #expect(abs(try got(Accumulate(.sum, axis: 0), shape) / sum - 1) < 1e-6)
    }
    // Side by side: 62,500 rows of 16, the mean of the last column.
    x.values.removeLast(3)
    let column = stride(from: 15, to: 1_000_000, by: 16).reduce(0.0) { $0 + Double(x.values[$1]) }
    #expect(abs(try got(Reduce(.mean, axes: [0]), [62_500, 16]) / (column / 62_500) - 1) < 1e-6)
  }

  @Test func `indices of the best, and running sums`() throws {
    var random = Random(50)
    for (round, shape) in shapes(90, axes: 1...5, &random).enumerated() {
      let axis = Int.random(in: -shape.count..<shape.count, using: &random)
      let threads = 1 + round % 3
      let x = round % 2 == 0 ? random.array(shape) : random.wholes(shape, below: 4)
      for kind in ArgReduce.Kind.allCases {
        #expect(try compare(ArgReduce(kind, axis: axis), inputs: [x], threads: threads) == 0)
      }
      for kind in Accumulate.Kind.allCases {
        let op = Accumulate(
          kind, axis: axis, isExclusive: round % 4 < 2, isReversed: round % 3 == 0)
        #expect(try compare(op, inputs: [x], threads: threads) < 1e-6, "\(op) \(shape)")
      }
    }
    for (op, shapes) in [
      (Reduce(.sum, axes: [2]), [[.fixed(2)]]), (Reduce(.sum, axes: [0, -1]), [[.fixed(2)]]),
      (Reduce(.max, axes: [0]), [[.fixed(0)]]), (Reduce(.sum, axes: [.min]), [[.fixed(2)]]),
      (Reduce(.sum, axes: []), []), (ArgReduce(.max, axis: 0), [[]]),
      (ArgReduce(.max, axis: 0), [[.fixed(0)]]), (ArgReduce(.max, axis: 0), [[.fixed(.max)]]),
      (Accumulate(.sum, axis: 1), [[.fixed(2)]]),
    ] as [(any Op, [[Dimension]])] {
      #expect(throws: ShapeMismatch.self, "\(op)") { try op.shape(shapes) }
    }
  }
}
