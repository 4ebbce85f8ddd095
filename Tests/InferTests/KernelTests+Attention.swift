import Checkpoint
import Infer
import Testing

extension KernelTests {
  @Test func `attention to other rows than its own`() throws {
    var random = Random(11)
    for round in 0..<20 {
      let (batch, heads, size) = (1 + round % 3, 1 + round % 4, 1 + round % 9)
      let (rows, columns) = (
        Int.random(in: 1...40, using: &random), Int.random(in: 1...40, using: &random)
      )
      let width = heads * size
      let query = random.array([batch, rows, width])
      let keys = (0..<2).map { _ in random.array([batch, columns, width]) }
      let mask = random.wholes([batch, round % 2 == 0 ? 1 : rows, columns], below: 2)
      let scores = AttentionScores(heads: heads, scale: 0.5)
      #expect(try compare(scores, inputs: [query, keys[0]], threads: 1 + round % 3) < 1e-6)
      #expect(
        try compare(
          Attention(heads: heads, scale: 0.5), inputs: [query] + keys + [mask],
          threads: 1 + round % 3) < 1e-6)
      let weights = random.array([batch, heads, rows, columns], scale: 5)
      for normalization in Normalization.allCases {
        let op = MaskedSoftmax(normalization: normalization)
        #expect(try compare(op, inputs: [weights, mask], threads: 1 + round % 3) < 2e-6)
      }
      #expect(try compare(AttentionContext(), inputs: [weights, keys[0]]) < 1e-6)
    }
  }

  @Test(arguments: [
    // By NumPy in float64; every fourth position is hidden, l are visible.
    (Normalization.softmaxPlus, 20, [0.112548337, 0.029667420, 0.057784243, 0.0]),
    (.softmaxPlus, 60, [0.042715671, 0.006847942, 0.017103053, 0.0]),
    (.squaredRelu, 20, [0.266666667, 0.0, 0.016666667, 0.0]),
    (.squaredRelu, 60, [0.088888889, 0.0, 0.005555556, 0.0]),
  ])
  func `normalizations that know how much is visible`(
    normalization: Normalization, count: Int, expected: [Double]
  ) throws {
    func repeated(_ values: [Float]) -> [Float] { (0..<count).map { values[$0 % 4] } }
    let scores = NDArray(shape: [1, 1, 1, count], values: repeated([2, -1, 0.5, 3]))
    let mask = NDArray(shape: [1, 1, count], values: repeated([1, 1, 1, 0]))
    let op = MaskedSoftmax(normalization: normalization)
    #expect(try compare(op, inputs: [scores, mask]) < 1e-6)
    let got = op.reference([scores, mask], shape: scores.shape).values
    for (a, b) in zip(got, expected) { #expect(abs(Double(a) - b) < 1e-7) }
  }

  @Test(arguments: Normalization.allCases)
  func `a row that sees nothing`(normalization: Normalization) throws {
    let scores = NDArray<Float>(shape: [1, 1, 1, 5], values: [1, 2, 3, -4, .infinity])
    let op = MaskedSoftmax(normalization: normalization)
    let mask = NDArray<Float>(zeros: [1, 1, 5])
    #expect(try compare(op, inputs: [scores, mask]) < 1e-6)
    let weight: Float = normalization == .squaredRelu ? 0 : 0.2
    #expect(
      op.reference([scores, mask], shape: scores.shape).values == .init(repeating: weight, count: 5)
    )
  }

  @Test func `squared relu of special values`() throws {
    let scores = NDArray<Float>(
      shape: [1, 1, 1, 7], values: [.nan, .infinity, -.infinity, 1e30, -0.0, .nan, 3])
    let mask = NDArray<Float>(shape: [1, 1, 7], values: [1, 1, 1, 0, 1, 0, 1])
    let op = MaskedSoftmax(normalization: .squaredRelu)
    #expect(try compare(op, inputs: [scores, mask]) < 1e-6)
  }

  @Test func `heads that talk`() throws {
    var random = Random(12)
    for round in 0..<12 {
      let (heads, rows) = (1 + round, Int.random(in: 1...40, using: &random))
      let columns = round % 4 == 0 ? 41 : Int.random(in: 1...20, using: &random)
      let x = random.array([1 + round % 3, heads, rows, columns])
      let operands = [random.array([heads, heads]), random.array([heads])]
      let weights = Array(operands.prefix(1 + round % 2))
      #expect(
        try compare(TalkingHeads(), inputs: [x], weights: weights, threads: 1 + round % 3) < 2e-6)
    }
    let x = NDArray<Float>(shape: [1, 2, 1, 2], values: [1, 2, 3, 4])
    let kernel = NDArray<Float>(shape: [2, 2], values: [1, 10, 100, 1000])
    let bias = NDArray<Float>(shape: [2], values: [0.5, -0.5])
    #expect(
      TalkingHeads().reference([x, kernel, bias], shape: x.shape).values
        == [301.5, 402.5, 3009.5, 4019.5])
  }

  @Test func `relative scores and contexts`() throws {
    var random = Random(13)
    for round in 0..<20 {
      let (batch, heads, size) = (1 + round % 3, 1 + round % 4, 1 + round % 9)
      let (length, reach) = (Int.random(in: 1...30, using: &random), [0, 1, 4, 64][round % 4])
      let table = random.array([2 * reach + 1, size])
      let query = random.array([batch, length, heads * size])
      let threads = 1 + round % 3
      #expect(
        try compare(
          RelativeScores(heads: heads, scale: 0.3), inputs: [query], weights: [table],
          threads: threads) < 2e-6)
      let weights = random.array([batch, heads, length, length])
      #expect(
        try compare(RelativeContext(), inputs: [weights], weights: [table], threads: threads)
          < 2e-6)
    }
  }

  @Test func `relative scores and contexts by hand`() {
    // numpy.einsum("jd,jkd->jk", query, table[distances]) / 2 and einsum("jk,jkd->jd", …).
    let table = NDArray<Double>(shape: [3, 2], values: [1, 0, 0.5, -1, 2, 3])
    let query = NDArray<Double>(shape: [1, 4, 2], values: [1, 2, 3, -1, 0.5, 1, -2, 4])
    #expect(
      RelativeScores(heads: 1, scale: 0.5).reference([query, table], shape: [1, 1, 4, 4]).values
        == [-0.75, 4, 4, 4, 1.5, 1.25, 1.5, 1.5, 0.25, 0.25, -0.375, 2, -1, -1, -1, -2.5])
    let weights = NDArray<Double>(shape: [1, 1, 4, 4], values: (1...16).map { Double($0) / 16 })
    #expect(
      RelativeContext().reference([weights, table], shape: [1, 4, 2]).values
        == [1.15625, 1.625, 2.375, 2.4375, 3.03125, 1.5625, 3.125, -1])
  }

  @Test func `relative biases of any shape`() throws {
    var random = Random(14)
    for round in 0..<12 {
      let op = RelativeBias(isBidirectional: round % 2 == 0, maxDistance: 20)
      let table = random.array([[8, 20, 13][round % 3], 1 + round % 5])
      let (rows, columns) = (
        Int.random(in: 1...50, using: &random), Int.random(in: 1...50, using: &random)
      )
      let like = [NDArray<Float>(zeros: [2, rows]), NDArray<Float>(zeros: [2, columns, 3])]
      #expect(try compare(op, inputs: [table] + like, threads: 1 + round % 3) == 0)
    }
  }

  /// Where the bucket changes among the distances −600 … 600, by transformers 5.23
  /// (`T5Attention._relative_position_bucket`); bert4keras' formula in TensorFlow agrees.
  static let buckets: [(isBidirectional: Bool, buckets: Int, max: Int, changes: [(Int, Int)])] = [
    (
      true, 32, 128,
      [
        (-600, 15), (-90, 14), (-63, 13), (-45, 12), (-31, 11), (-22, 10), (-15, 9), (-11, 8),
        (-7, 7), (-6, 6), (-5, 5), (-4, 4), (-3, 3), (-2, 2), (-1, 1), (0, 0), (1, 17), (2, 18),
        (3, 19), (4, 20), (5, 21), (6, 22), (7, 23), (8, 24), (12, 25), (16, 26), (23, 27),
        (32, 28), (46, 29), (64, 30), (91, 31),
      ]
    ),
    (
      false, 32, 128,
      [
        (-600, 31), (-112, 30), (-98, 29), (-86, 28), (-76, 27), (-66, 26), (-58, 25), (-51, 24),
        (-45, 23), (-39, 22), (-34, 21), (-30, 20), (-26, 19), (-23, 18), (-20, 17), (-18, 16),
        (-15, 15), (-14, 14), (-13, 13), (-12, 12), (-11, 11), (-10, 10), (-9, 9), (-8, 8),
        (-7, 7), (-6, 6), (-5, 5), (-4, 4), (-3, 3), (-2, 2), (-1, 1), (0, 0),
      ]
    ),
    (
      true, 20, 64,
      [
        (-600, 9), (-38, 8), (-23, 7), (-13, 6), (-8, 5), (-4, 4), (-3, 3), (-2, 2), (-1, 1),
        (0, 0), (1, 11), (2, 12), (3, 13), (4, 14), (5, 15), (9, 16), (14, 17), (24, 18), (39, 19),
      ]
    ),
    (
      false, 20, 64,
      [
        (-600, 19), (-53, 18), (-44, 17), (-36, 16), (-30, 15), (-25, 14), (-21, 13), (-17, 12),
        (-14, 11), (-12, 10), (-9, 9), (-8, 8), (-7, 7), (-6, 6), (-5, 5), (-4, 4), (-3, 3),
        (-2, 2), (-1, 1), (0, 0),
      ]
    ),
  ]

  @Test(arguments: 0..<4)
  func `buckets of distances are those of T5`(index: Int) throws {
    let (isBidirectional, buckets, most, changes) = KernelTests.buckets[index]
    var trial = Trial(seed: 0)
    trial.weights["table"] = NDArray(shape: [buckets, 1], values: (0..<buckets).map { Float($0) })
    let x = trial.graph.input("x", [.batch, .length])
    trial.graph.output(
      "bias",
      try trial.graph.apply(
        RelativeBias(isBidirectional: isBidirectional, maxDistance: most),
        try trial.graph.weight("table", [buckets, 1]), x, x))
    let got = try #require(
      try trial.session(["bias"]).run(["x": NDArray(zeros: [1, 601])])["bias"]?.values)
    for distance in -600...600 {
      let expected = try #require(changes.last { $0.0 <= distance }?.1)
      let place = distance < 0 ? 600 * 601 + 600 + distance : distance
      #expect(got[place] == Float(expected), "distance \(distance)")
    }
  }
}
