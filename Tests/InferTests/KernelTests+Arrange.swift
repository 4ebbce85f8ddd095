import Infer
import Testing

extension KernelTests {
  /// The reference's result in Float64, with its shape by the op's rule.
  func reference(_ op: any Op, _ operands: [NDArray<Double>]) throws -> NDArray<Double> {
    let shape = try op.shape(operands.map { $0.shape.map { .fixed($0) } })
    return op.reference(operands, shape: shape.map { $0.extent(Extents()) })
  }

  func expect(
    _ op: any Op, _ operands: [NDArray<Double>], _ shape: [Int], _ values: [Double],
    tolerance: Double = 1e-8, sourceLocation: SourceLocation = #_sourceLocation
  ) throws {
    let got = try reference(op, operands)
    #expect(got.shape == shape, sourceLocation: sourceLocation)
    for (a, b) in zip(got.values, values) {
      #expect(
        a.isNaN && b.isNaN || a == b || abs(a - b) <= tolerance * max(1, abs(b)),
        "\(op.name): \(got.values), not \(values)", sourceLocation: sourceLocation)
    }
  }

  /// Shapes of up to five axes, mostly small, some longer than a block.
  func shapes(_ count: Int, axes: ClosedRange<Int> = 0...5, _ random: inout Random) -> [[Int]] {
    (0..<count).map { round in
      let rank = Int.random(in: axes, using: &random)
      var shape = (0..<rank).map { _ in Int.random(in: 1...5, using: &random) }
      if rank > 0, round % 3 == 0 {
        shape[Int.random(in: 0..<rank, using: &random)] = Int.random(in: 30...70, using: &random)
      }
      return shape
    }
  }

  // Expected values of the references here and below are NumPy's (2.x), where nothing else is said.

  @Test func `arrangements as NumPy has them`() throws {
    let x = NDArray<Double>(shape: [2, 3, 2], values: (0..<12).map { Double($0) })
    let y = NDArray<Double>(shape: [2, 3], values: [1, 2, 3, 4, 5, 6])
    try expect(Reshape(to: [3, 4]), [x], [3, 4], x.values)
    try expect(Transpose([2, 0, 1]), [x], [2, 2, 3], [0, 2, 4, 6, 8, 10, 1, 3, 5, 7, 9, 11])
    // x[::-1, 2::-2, 1:2]
    try expect(
      Slice(starts: [1, 2, 1], steps: [-1, -2, 1], counts: [2, 2, 1]), [x], [2, 2, 1],
      [11, 7, 5, 1]
    )
    let pads: [(Pad.Mode, [Double])] = [
      (.constant(9), [9, 9, 9, 9, 9, 9, 9, 9, 1, 2, 3, 9, 9, 9, 4, 5, 6, 9]),
      (.reflect, [6, 5, 4, 5, 6, 5, 3, 2, 1, 2, 3, 2, 6, 5, 4, 5, 6, 5]),
      (.symmetric, [2, 1, 1, 2, 3, 3, 2, 1, 1, 2, 3, 3, 5, 4, 4, 5, 6, 6]),
      (.edge, [1, 1, 1, 2, 3, 3, 1, 1, 1, 2, 3, 3, 4, 4, 4, 5, 6, 6]),
    ]
    for (mode, expected) in pads {
      try expect(Pad(before: [1, 2], after: [0, 1], mode: mode), [y], [3, 6], expected)
    }
    try expect(Concatenate(axis: -1), [y, y], [2, 6], [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6])
    try expect(Concatenate(axis: 0), [y, y], [4, 3], y.values + y.values)
    let column = NDArray<Double>(shape: [2, 1], values: [7, 8])
    try expect(BroadcastTo([2, 2, 3]), [column], [2, 2, 3], [7, 7, 7, 8, 8, 8, 7, 7, 7, 8, 8, 8])
    try expect(Upsample(factors: [1, 2]), [y], [2, 6], [1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6])
    try expect(Upsample(factors: [2, 1]), [y], [4, 3], [1, 2, 3, 1, 2, 3, 4, 5, 6, 4, 5, 6])
    let indices = NDArray<Double>(shape: [2, 2], values: [2, -1, 0, 1])
    try expect(
      GatherAxis(axis: 1), [x, indices], [2, 2, 2, 2],
      [4, 5, 4, 5, 0, 1, 2, 3, 10, 11, 10, 11, 6, 7, 8, 9])
    let labels = NDArray<Double>(shape: [5], values: [2, 0, -1, 3, 0.5])
    try expect(
      OneHot(depth: 3), [labels], [5, 3], [0, 0, 1, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0])
  }

  @Test func `arrangements of any shape`() throws {
    var random = Random(41)
    for (round, shape) in shapes(120, &random).enumerated() {
      let x = random.array(shape)
      let threads = 1 + round % 3
      var ops: [any Op] = [
        Reshape(to: [x.values.count]), Reshape(to: [1] + shape.reversed()),
        Transpose(Array(shape.indices).shuffled(using: &random)),
        BroadcastTo([2] + shape), Upsample(factors: shape.map { _ in .random(in: 1...3) }),
        OneHot(depth: 5),
      ]
      // Any regular choice of each axis, forwards or backwards.
      let steps = shape.map { _ in [-3, -2, -1, 1, 1, 2].randomElement(using: &random) ?? 1 }
      let counts = zip(shape, steps).map { Int.random(in: 1...(1 + ($0 - 1) / abs($1))) }
      let starts = shape.indices.map { axis in
        steps[axis] > 0 ? 0 : min(shape[axis] - 1, -(counts[axis] - 1) * steps[axis])
      }
      ops.append(Slice(starts: starts, steps: steps, counts: counts))
      let pads = (0..<2).map { _ in shape.map { Int.random(in: 0...($0 - 1), using: &random) } }
      for mode in [Pad.Mode.constant(-1.5), .reflect, .symmetric, .edge] {
        ops.append(Pad(before: pads[0], after: pads[1], mode: mode))
      }
      for op in ops {
        #expect(try compare(op, inputs: [x], threads: threads) == 0, "\(op) \(shape)")
      }
      guard let axis = shape.indices.randomElement(using: &random) else { continue }
      var other = shape
      other[axis] = 3
      let operands = [x, random.array(other), x]
      #expect(try compare(Concatenate(axis: axis), inputs: operands, threads: threads) == 0)
      var wide = shape
      wide[axis] = 1
      #expect(try compare(BroadcastTo(shape), inputs: [random.array(wide)]) == 0)
      let ids = random.wholes([2, 3], below: shape[axis])
      #expect(try compare(GatherAxis(axis: axis), inputs: [x, ids], threads: threads) == 0)
      let labels = random.wholes(shape, below: 9)
      #expect(try compare(OneHot(depth: 7), inputs: [labels], threads: threads) == 0)
    }
  }

  @Test func `large transpositions`() throws {
    var random = Random(42)
    for (shape, axes) in [
      ([301, 130], [1, 0]), ([3, 65, 67], [0, 2, 1]), ([3, 65, 67], [2, 1, 0]),
      ([5, 33, 7, 40], [0, 3, 1, 2]), ([5, 33, 7, 40], [0, 2, 1, 3]), ([70, 3, 80], [2, 0, 1]),
    ] {
      let x = random.array(shape)
      for threads in 1...3 {
        #expect(
          try compare(Transpose(axes), inputs: [x], threads: threads) == 0, "\(shape) \(axes)")
      }
    }
  }

  @Test func `indices outside are an error of both`() throws {
    for index in [Float(3), -4, 0.5, .nan, .infinity, 1e30] {
      let x = NDArray<Float>(zeros: [2, 3])
      let ids = NDArray<Float>(shape: [1], values: [index])
      var trial = Trial(seed: 0)
      let operands = [
        trial.graph.input("x", [.fixed(2), .fixed(3)]), trial.graph.input("i", [.fixed(1)]),
      ]
      trial.graph.output("y", try trial.graph.apply(GatherAxis(axis: 1), operands))
      let session = try trial.session(["y"])
      #expect(throws: InferError.self) { try session.run(["x": x, "i": ids]) }
      #expect(throws: InferError.self) { try trial.reference(["x": x, "i": ids], ["y"]) }
    }
  }

  @Test func `arrangements that do not fit are refused`() {
    let (big, least) = (Int.max, Int.min)
    let cases: [(any Op, [[Dimension]])] = [
      (Reshape(to: [5]), [[.fixed(2), .fixed(3)]]), (Reshape(to: [-2, -3]), [[.fixed(6)]]),
      (Reshape(to: [big, big]), [[.fixed(6)]]), (Reshape(to: [6]), []),
      (Reshape(to: [1]), [[.fixed(least)]]), (Reshape(to: [1]), [[.batch]]),
      (Transpose([0, 0]), [[.fixed(2), .fixed(3)]]), (Transpose([1]), [[.fixed(2)]]),
      (Transpose([0, big]), [[.fixed(2), .fixed(3)]]),
      (Slice(starts: [1], steps: [1], counts: [2]), [[.fixed(2)]]),
      (Slice(starts: [1], steps: [-1], counts: [3]), [[.fixed(2)]]),
      (Slice(starts: [0], steps: [big], counts: [3]), [[.fixed(2)]]),
      (Slice(starts: [big], steps: [1], counts: [big]), [[.fixed(2)]]),
      (Slice(starts: [0], steps: [least], counts: [least]), [[.fixed(2)]]),
      (Slice(starts: [], steps: [], counts: []), [[.fixed(2)]]),
      (Pad(before: [-1], after: [0]), [[.fixed(2)]]),
      (Pad(before: [big], after: [1]), [[.fixed(2)]]),
      (Pad(before: [2], after: [0], mode: .reflect), [[.fixed(2)]]),
      (Pad(before: [1], after: [0], mode: .edge), [[.fixed(0)]]),
      (Pad(before: [0], after: [3], mode: .symmetric), [[.fixed(2)]]),
      (Concatenate(axis: 0), []), (Concatenate(axis: 1), [[.fixed(1)]]),
      (Concatenate(axis: least), [[.fixed(1)]]),
      (Concatenate(axis: 0), [[.fixed(1), .fixed(2)], [.fixed(1), .fixed(3)]]),
      (Concatenate(axis: 0), [[.fixed(big)], [.fixed(big)]]),
      (BroadcastTo([3]), [[.fixed(2)]]), (BroadcastTo([]), [[.fixed(2)]]),
      (BroadcastTo([big, big]), [[.fixed(1)]]), (BroadcastTo([-1]), [[.fixed(1)]]),
      (Upsample(factors: [0]), [[.fixed(2)]]), (Upsample(factors: [big]), [[.fixed(2)]]),
      (Upsample(factors: [2]), [[.batch]]), (GatherAxis(axis: 1), [[.fixed(2)], [.fixed(2)]]),
      (GatherAxis(axis: 0), [[.fixed(2)]]), (OneHot(depth: -1), [[.fixed(2)]]),
      (OneHot(depth: big), [[.fixed(2)]]),
    ]
    for (op, shapes) in cases {
      #expect(throws: ShapeMismatch.self, "\(op)") { try op.shape(shapes) }
    }
  }

  @Test func `symbolic extents pass where nothing is computed from them`() throws {
    #expect(try Transpose([1, 0]).shape([[.batch, .fixed(2)]]) == [.fixed(2), .batch])
    #expect(
      try Concatenate(axis: 1).shape([[.batch, .fixed(2)], [.batch, .fixed(3)]])
        == [.batch, .fixed(5)])
    #expect(
      try Binary(.add).shape([[.batch, .length], [.fixed(1), .length]]) == [.batch, .length])
    #expect(try Reduce(.sum, axes: [1]).shape([[.batch, .length]]) == [.batch])
  }

  @Test func `empty results are no harm`() throws {
    var random = Random(43)
    let x = random.array([2, 3])
    let none = Slice(starts: [0, 0], steps: [1, 1], counts: [2, 0])
    var trial = Trial(seed: 0)
    let input = trial.graph.input("x", [.fixed(2), .fixed(3)])
    let empty = try trial.graph.apply(none, input)
    let tall = try trial.graph.apply(Transpose([1, 0]), empty)
    let ops: [(any Op, [Graph.ID])] = [
      (none, [input]), (Transpose([1, 0]), [empty]), (Reshape(to: [0]), [empty]),
      (Pad(before: [1, 2], after: [0, 0], mode: .constant(3)), [empty]),
      (Concatenate(axis: 1), [empty, input]), (Upsample(factors: [2, 2]), [empty]),
      (BroadcastTo([4, 2, 0]), [empty]), (OneHot(depth: 0), [input]), (Unary(.exp), [empty]),
      (Binary(.add), [empty, empty]), (Select(), [empty, empty, empty]),
      (MatrixProduct(), [empty, tall]), (MatrixProduct(), [tall, empty]),
      (Reduce(.sum, axes: [1]), [empty]), (Reduce(.mean, axes: [0]), [empty]),
      (Accumulate(.sum, axis: 1), [empty]), (ArgReduce(.max, axis: 0), [empty]),
    ]
    for (index, (op, operands)) in ops.enumerated() {
      trial.graph.output("y\(index)", try trial.graph.apply(op, operands))
    }
    let names = ops.indices.map { "y\($0)" }
    let got = try trial.session(names).run(["x": x])
    let expected = try trial.reference(["x": x], names)
    for (index, name) in names.enumerated() {
      #expect(difference(got[name], expected[name]) < 1e-6, "\(ops[index].0)")
    }
  }
}
