import Infer
import Testing

extension KernelTests {
  static let unaries: [(Unary.Function, [Double], [Double])] = [
    (.negate, [-2.5, -0.5, 0.5, 1.5, 2.0], [2.5, 0.5, -0.5, -1.5, -2.0]),
    (.abs, [-2.5, -0.5, 0.5, 1.5, 2.0], [2.5, 0.5, 0.5, 1.5, 2.0]),
    (.sign, [-2.5, -0.5, 0.5, 1.5, 2.0], [-1.0, -1.0, 1.0, 1.0, 1.0]),
    (.square, [-2.5, -0.5, 0.5, 1.5, 2.0], [6.25, 0.25, 0.25, 2.25, 4.0]),
    (
      .sqrt, [0.5, 2.5, 3.5, 4.5, 5.0],
      [0.707106781, 1.58113883, 1.87082869, 2.12132034, 2.23606798]
    ),
    (
      .rsqrt, [0.5, 2.5, 3.5, 4.5, 5.0],
      [1.41421356, 0.632455532, 0.534522484, 0.471404521, 0.447213595]
    ),
    (.reciprocal, [-2.5, -0.5, 0.5, 1.5, 2.0], [-0.4, -2.0, 2.0, 0.666666667, 0.5]),
    (
      .exp, [-2.5, -0.5, 0.5, 1.5, 2.0],
      [0.0820849986, 0.60653066, 1.64872127, 4.48168907, 7.3890561]
    ),
    (
      .expm1, [-2.5, -0.5, 0.5, 1.5, 2.0],
      [-0.917915001, -0.39346934, 0.648721271, 3.48168907, 6.3890561]
    ),
    (
      .log, [0.5, 2.5, 3.5, 4.5, 5.0],
      [-0.693147181, 0.916290732, 1.25276297, 1.5040774, 1.60943791]
    ),
    (
      .log1p, [0.5, 2.5, 3.5, 4.5, 5.0],
      [0.405465108, 1.25276297, 1.5040774, 1.70474809, 1.79175947]
    ),
    (.log2, [0.5, 2.5, 3.5, 4.5, 5.0], [-1.0, 1.32192809, 1.80735492, 2.169925, 2.32192809]),
    (
      .log10, [0.5, 2.5, 3.5, 4.5, 5.0],
      [-0.301029996, 0.397940009, 0.544068044, 0.653212514, 0.698970004]
    ),
    (
      .sin, [-2.5, -0.5, 0.5, 1.5, 2.0],
      [-0.598472144, -0.479425539, 0.479425539, 0.997494987, 0.909297427]
    ),
    (
      .cos, [-2.5, -0.5, 0.5, 1.5, 2.0],
      [-0.801143616, 0.877582562, 0.877582562, 0.0707372017, -0.416146837]
    ),
    (
      .tan, [-2.5, -0.5, 0.5, 1.5, 2.0],
      [0.747022297, -0.54630249, 0.54630249, 14.1014199, -2.18503986]
    ),
    (
      .asin, [-0.625, -0.125, 0.125, 0.375, 0.5],
      [-0.675131533, -0.125327831, 0.125327831, 0.384396774, 0.523598776]
    ),
    (
      .acos, [-0.625, -0.125, 0.125, 0.375, 0.5],
      [2.24592786, 1.69612416, 1.4454685, 1.18639955, 1.04719755]
    ),
    (
      .atan, [-2.5, -0.5, 0.5, 1.5, 2.0],
      [-1.19028995, -0.463647609, 0.463647609, 0.982793723, 1.10714872]
    ),
    (
      .sinh, [-2.5, -0.5, 0.5, 1.5, 2.0],
      [-6.05020448, -0.521095305, 0.521095305, 2.12927946, 3.62686041]
    ),
    (
      .cosh, [-2.5, -0.5, 0.5, 1.5, 2.0],
      [6.13228948, 1.12762597, 1.12762597, 2.35240962, 3.76219569]
    ),
    (
      .tanh, [-2.5, -0.5, 0.5, 1.5, 2.0],
      [-0.986614298, -0.462117157, 0.462117157, 0.905148254, 0.96402758]
    ),
    (
      .asinh, [-2.5, -0.5, 0.5, 1.5, 2.0],
      [-1.64723115, -0.481211825, 0.481211825, 1.19476322, 1.44363548]
    ),
    (
      .acosh, [1.5, 3.5, 4.5, 5.5, 6.0],
      [0.96242365, 1.9248473, 2.18464379, 2.38952643, 2.47788873]
    ),
    (
      .atanh, [-0.625, -0.125, 0.125, 0.375, 0.5],
      [-0.733168534, -0.125657214, 0.125657214, 0.39422868, 0.549306144]
    ),
    (.floor, [-2.5, -0.5, 0.5, 1.5, 2.0], [-3.0, -1.0, 0.0, 1.0, 2.0]),
    (.ceil, [-2.5, -0.5, 0.5, 1.5, 2.0], [-2.0, -0.0, 1.0, 2.0, 2.0]),
    (.round, [-2.5, -0.5, 0.5, 1.5, 2.0], [-2.0, -0.0, 0.0, 2.0, 2.0]),
    (.trunc, [-2.5, -0.5, 0.5, 1.5, 2.0], [-2.0, -0.0, 0.0, 1.0, 2.0]),
    (
      .erf, [-2.5, -0.5, 0.5, 1.5, 2.0],
      [-0.999593048, -0.520499878, 0.520499878, 0.966105146, 0.995322265]
    ),
    (.logicalNot, [-3.0, -1.0, 0.0, 1.0, 1.5], [0.0, 0.0, 1.0, 0.0, 0.0]),
    (.isFinite, [-2.5, -0.5, 0.5, 1.5, 2.0], [1.0, 1.0, 1.0, 1.0, 1.0]),
    (.isNaN, [-2.5, -0.5, 0.5, 1.5, 2.0], [0.0, 0.0, 0.0, 0.0, 0.0]),
    (.isInfinite, [-2.5, -0.5, 0.5, 1.5, 2.0], [0.0, 0.0, 0.0, 0.0, 0.0]),
  ]

  /// Of 7, -7, 5.5, -5.5, 0, 1 and 2, 2, -2, -2, 3, 1.
  static let binaries: [(Binary.Function, [Double])] = [
    (.add, [9.0, -5.0, 3.5, -7.5, 3.0, 2.0]),
    (.subtract, [5.0, -9.0, 7.5, -3.5, -3.0, 0.0]),
    (.multiply, [14.0, -14.0, -11.0, 11.0, 0.0, 1.0]),
    (.divide, [3.5, -3.5, -2.75, 2.75, 0.0, 1.0]),
    (.floorDivide, [3.0, -4.0, -3.0, 2.0, 0.0, 1.0]),
    (.remainder, [1.0, 1.0, -0.5, -1.5, 0.0, 0.0]),
    (.power, [49.0, 49.0, 0.0330578512, 0.0330578512, 0.0, 1.0]),
    (.maximum, [7.0, 2.0, 5.5, -2.0, 3.0, 1.0]),
    (.minimum, [2.0, -7.0, -2.0, -5.5, 0.0, 1.0]),
    (.squaredDifference, [25.0, 81.0, 56.25, 12.25, 9.0, 0.0]),
    (.arctan2, [1.29249667, -1.29249667, 1.91956733, -1.91956733, 0.0, 0.785398163]),
    (.equal, [0.0, 0.0, 0.0, 0.0, 0.0, 1.0]),
    (.notEqual, [1.0, 1.0, 1.0, 1.0, 1.0, 0.0]),
    (.less, [0.0, 1.0, 0.0, 1.0, 1.0, 0.0]),
    (.lessEqual, [0.0, 1.0, 0.0, 1.0, 1.0, 1.0]),
    (.greater, [1.0, 0.0, 1.0, 0.0, 0.0, 0.0]),
    (.greaterEqual, [1.0, 0.0, 1.0, 0.0, 0.0, 1.0]),
    (.and, [1.0, 1.0, 1.0, 1.0, 0.0, 1.0]),
    (.or, [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]),
    (.xor, [0.0, 0.0, 0.0, 0.0, 1.0, 0.0]),
  ]

  @Test func `functions as NumPy has them`() throws {
    #expect(Set(KernelTests.unaries.map(\.0)) == Set(Unary.Function.allCases))
    for (function, x, expected) in KernelTests.unaries {
      let x = NDArray(shape: [x.count], values: x)
      try expect(Unary(function), [x], x.shape, expected)
    }
    #expect(Set(KernelTests.binaries.map(\.0)) == Set(Binary.Function.allCases))
    let a = NDArray<Double>(shape: [6], values: [7, -7, 5.5, -5.5, 0, 1])
    let b = NDArray<Double>(shape: [6], values: [2, 2, -2, -2, 3, 1])
    for (function, expected) in KernelTests.binaries {
      try expect(Binary(function), [a, b], [6], expected)
    }
    let column = NDArray<Double>(shape: [2, 1], values: [1, 2])
    let rows = NDArray<Double>(shape: [2, 1, 3], values: [10, 20, 30, 1, 2, 3])
    try expect(
      Binary(.subtract), [column, rows], [2, 2, 3],
      [-9, -19, -29, -8, -18, -28, 0, -1, -2, 1, 0, -1])
    let condition = NDArray<Double>(shape: [3], values: [0, 1, -2])
    try expect(
      Select(), [condition, column, rows], [2, 2, 3], [10, 1, 1, 10, 2, 2, 1, 1, 1, 1, 2, 2])
  }

  @Test func `a quotient is rounded down as TensorFlow does it`() throws {
    // `tf.math.floordiv` of 2.15 gives 10 for 1 and 0.1 in float32, where NumPy gives 9.
    let got = Binary(.floorDivide).reference(
      [NDArray<Float>(shape: [2], values: [1, 5]), NDArray<Float>(shape: [2], values: [0.1, 0])],
      shape: [2])
    #expect(got.values == [10, .infinity])
  }

  @Test(arguments: Unary.Function.allCases)
  func `functions of every element`(function: Unary.Function) throws {
    var random = Random(44)
    let op = Unary(function)
    for count in [1, 2, 7, 16, 67, 9001] {
      var x = random.array([count], scale: 3)
      switch function {
      // Where the function is defined, and not steep beyond measure.
      case .sqrt, .rsqrt, .log, .log2, .log10, .log1p, .reciprocal:
        x.values = x.values.map { abs($0) + 0.1 }
      case .asin, .acos, .atanh: x.values = x.values.map { $0 / 3.1 }
      case .acosh: x.values = x.values.map { abs($0) + 1.1 }
      case .tan: x.values = x.values.map { $0 / 2.2 }
      default: break
      }
      #expect(try compare(op, inputs: [x], threads: 1 + count % 3) < 2e-6, "\(count)")
    }
    for special in [Float.infinity, -.infinity, .nan, 0, -0.0, 0.5, 1, -1, 2.5, 1e30, -1e-30] {
      let x = NDArray<Float>(shape: [1], values: [special])
      guard function != .tan || abs(special) < 1e10 || !special.isFinite else { continue }
      #expect(try agreesOnSpecial(op, [x]), "\(special)")
    }
  }

  /// Whether a kernel does with single special values what the reference in the same precision does.
  private func agreesOnSpecial(_ op: any Op, _ operands: [NDArray<Float>]) throws -> Bool {
    var trial = Trial(seed: 0)
    var given: [String: NDArray<Float>] = [:]
    var ids: [Graph.ID] = []
    for (index, operand) in operands.enumerated() {
      ids.append(trial.graph.input("x\(index)", operand.shape.map { .fixed($0) }))
      given["x\(index)"] = operand
    }
    trial.graph.output("y", try trial.graph.apply(op, ids))
    let got = try trial.session(["y"]).run(given)["y"]?.values ?? []
    let expected = try trial.reference(given, ["y"], as: Float.self)["y"]?.values ?? []
    return got.count == expected.count
      && zip(got, expected).allSatisfy { a, b in
        a.isNaN && b.isNaN || a == b || abs(a - b) <= 1e-6 * max(1, abs(b))
      }
  }

  @Test(arguments: Binary.Function.allCases)
  func `functions of two operands, repeated in any way`(function: Binary.Function) throws {
    var random = Random(45)
    let op = Binary(function)
    for (round, shape) in shapes(60, &random).enumerated() {
      // Axes of 1 in either, and leading axes that one lacks.
      func part() -> [Int] {
        let some = shape.map { Int.random(in: 0...2, using: &random) == 0 ? 1 : $0 }
        return round % 2 == 0 ? some : Array(some.dropFirst(.random(in: 0...2, using: &random)))
      }
      for (left, right) in [(part(), part()), (shape, shape), (shape, []), ([], shape)] {
        var (a, b) = (random.array(left, scale: 3), random.array(right, scale: 3))
        switch function {
        // Whole numbers meet each other; quotients near a whole number could go either way.
        case .equal, .notEqual, .less, .lessEqual, .greater, .greaterEqual, .and, .or, .xor,
          .floorDivide, .remainder:
          a.values = a.values.map { $0.rounded() }
          b.values = b.values.map { $0.rounded() }
          if function == .floorDivide || function == .remainder {
            b.values = b.values.map { $0 == 0 ? 1 : $0 }
          }
        case .divide: b.values = b.values.map { abs($0) + 0.1 }
        case .power: a.values = a.values.map { abs($0) + 0.1 }
        default: break
        }
        #expect(
          try compare(op, inputs: [a, b], threads: 1 + round % 3) < 2e-6, "\(left) \(right)")
      }
    }
    let values: [Float] = [.nan, .infinity, -.infinity, 0, -0.0, 1, -1, 2, 3.5]
    for a in values {
      for b in values {
        let operands = [a, b].map { NDArray<Float>(shape: [1], values: [$0]) }
        #expect(try agreesOnSpecial(op, operands), "\(a) \(b)")
      }
    }
  }

  @Test func `choices, limits and buckets`() throws {
    var random = Random(46)
    for (round, shape) in shapes(60, &random).enumerated() {
      let part = shape.map { Int.random(in: 0...2, using: &random) == 0 ? 1 : $0 }
      let threads = 1 + round % 3
      let operands = [
        random.wholes(Array(part.dropFirst(round % 2)), below: 2), random.array(shape),
        random.array(part),
      ]
      #expect(try compare(Select(), inputs: operands, threads: threads) == 0)
      let x = random.array(shape, scale: 4)
      #expect(try compare(Clip(min: -1.25, max: 2.5), inputs: [x], threads: threads) == 0)
      let boundaries = [-3.0, -0.5, 0.1, 0.1, 2]
      #expect(try compare(Bucketize(boundaries: boundaries), inputs: [x], threads: threads) == 0)
    }
    // Keras 2.15 and 3.15 give the same.
    let x = NDArray<Float>(
      shape: [10], values: [-3, -1, 0, 0.1, 1, 2, 6, -.infinity, .infinity, .nan])
    let op = Bucketize(boundaries: [-1, 0.1, 2])
    #expect(op.reference([x], shape: [10]).values == [0, 1, 1, 2, 2, 3, 3, 0, 3, 3])
    #expect(try compare(op, inputs: [x]) == 0)
    try expect(
      Clip(min: -1, max: 2), [NDArray(shape: [4], values: [-3, .nan, 0.5, 7])], [4],
      [-1, .nan, 0.5, 2])
    for (op, shapes) in [
      (Bucketize(boundaries: [2, 1]), [[.fixed(1)]]),
      (Bucketize(boundaries: [.nan]), [[.fixed(1)]]),
      (Binary(.add), [[.fixed(2)], [.fixed(3)]]), (Binary(.add), [[.fixed(2)]]),
      (Binary(.add), [[.fixed(.max), .fixed(1)], [.fixed(.max)]]),
      (Binary(.add), [[.batch], [.length]]), (Select(), [[.fixed(2)], [.fixed(2)]]),
      (Unary(.exp), []), (MatrixProduct(), [[.fixed(2)], [.fixed(2), .fixed(2)]]),
      (MatrixProduct(), [[.fixed(2), .fixed(3)], [.fixed(2), .fixed(3)]]),
      (MatrixProduct(), [[.fixed(1 << 40), .fixed(1)], [.fixed(1), .fixed(1 << 40)]]),
    ] as [(any Op, [[Dimension]])] {
      #expect(throws: ShapeMismatch.self, "\(op)") { try op.shape(shapes) }
    }
  }

  @Test func `products of stacked matrices`() throws {
    let a = NDArray<Double>(shape: [2, 2, 2], values: [1, 2, 3, 4, -1, 0, 2, 5])
    let b = NDArray<Double>(shape: [2, 3], values: [1, -1, 2, 0, 3, 1])
    try expect(
      MatrixProduct(), [a, b], [2, 2, 3], [1, 5, 4, 3, 9, 10, -1, 1, -2, 2, 13, 9])
    try expect(
      MatrixProduct(transposesA: true), [a, b], [2, 2, 3],
      [1, 8, 5, 2, 10, 8, -1, 7, 0, 0, 15, 5])
    let turned = NDArray<Double>(shape: [3, 2], values: [1, 0, -1, 3, 2, 1])
    try expect(
      MatrixProduct(transposesB: true), [a, turned], [2, 2, 3],
      [1, 5, 4, 3, 9, 10, -1, 1, -2, 2, 13, 9])
    var random = Random(47)
    for round in 0..<120 {
      let outer = (0..<(round % 4)).map { _ in Int.random(in: 1...3, using: &random) }
      let limit = round % 10 == 0 ? 203 : 40
      let (m, k, n) = (
        round % 5 == 0 ? 1 : Int.random(in: 1...limit, using: &random),
        Int.random(in: 1...limit, using: &random), Int.random(in: 1...limit, using: &random)
      )
      let (left, right) = (round % 2 == 0, round / 2 % 2 == 0)
      func part() -> [Int] {
        switch round % 3 {
        case 0: outer
        case 1: outer.map { Bool.random(using: &random) ? 1 : $0 }
        default: Array(outer.dropFirst(.random(in: 0...2, using: &random)))
        }
      }
      let a = random.array(part() + (left ? [k, m] : [m, k]))
      let b = random.array(part() + (right ? [n, k] : [k, n]))
      let op = MatrixProduct(transposesA: left, transposesB: right)
      let threads = 1 + round % 3
      #expect(try compare(op, inputs: [a, b], threads: threads) < 2e-6, "\(a.shape) \(b.shape)")
      #expect(try compare(op, inputs: [a], weights: [b], threads: threads) < 2e-6)
    }
  }
}
