import Checkpoint
import Infer
import Testing

/// Ops of a step in generation: kernels against references, over random shapes.
extension KernelTests {
  /// Different places below a limit for each row of a batch.
  private func places(
    _ batch: Int, _ length: Int, below limit: Int, _ random: inout Random
  ) -> NDArray<Float> {
    NDArray(
      shape: [batch, length],
      values: (0..<batch).flatMap { _ in
        Array((0..<limit).shuffled(using: &random).prefix(length)).map { Float($0) }
      })
  }

  @Test func `rows written at their places`() throws {
    var random = Random(31)
    for round in 0..<20 {
      let (batch, length, width) = (1 + round % 3, 1 + round % 5, 1 + round % 17)
      let capacity = length + round % 7
      let inputs = [
        random.array([batch, capacity, width]), random.array([batch, length, width]),
        places(batch, length, below: capacity, &random),
      ]
      #expect(try compare(Append(), inputs: inputs, threads: 1 + round % 2) == 0)
    }
    // numpy: state[[0, 1], [2, 0]] = rows[:, 0]
    let state = NDArray<Double>(shape: [2, 3, 1], values: [1, 2, 3, 4, 5, 6])
    let rows = NDArray<Double>(shape: [2, 1, 1], values: [10, 20])
    let place = NDArray<Double>(shape: [2, 1], values: [2, 0])
    #expect(
      Append().reference([state, rows, place], shape: [2, 3, 1]).values == [1, 2, 10, 20, 5, 6])
  }

  @Test func `one position of each row`() throws {
    var random = Random(32)
    for round in 0..<12 {
      let (batch, length, width) = (1 + round % 4, 1 + round % 6, 1 + round % 19)
      let inputs = [
        random.array([batch, length, width]), random.wholes([batch], below: length),
      ]
      #expect(try compare(SelectPositions(), inputs: inputs) == 0)
    }
    let x = NDArray<Double>(shape: [2, 2, 2], values: [1, 2, 3, 4, 5, 6, 7, 8])
    #expect(
      SelectPositions().reference([x, NDArray(shape: [2], values: [1, 0])], shape: [2, 1, 2]).values
        == [3, 4, 5, 6])
  }

  @Test(arguments: [-1, 3, Float.nan, .infinity])
  func `a place that does not exist is refused`(place: Float) throws {
    let x = NDArray<Float>(zeros: [1, 3, 2])
    var trial = Trial(seed: 0)
    let state = trial.graph.input("state", [.fixed(1), .fixed(3), .fixed(2)])
    let rows = trial.graph.input("rows", [.fixed(1), .fixed(1), .fixed(2)])
    let at = trial.graph.input("at", [.fixed(1), .fixed(1)])
    trial.graph.output("y", try trial.graph.apply(Append(), state, rows, at))
    #expect(throws: InferError(.input, Input.places, "")) {
      try trial.session(["y"]).run([
        "state": x, "rows": NDArray(zeros: [1, 1, 2]),
        "at": NDArray(shape: [1, 1], values: [place]),
      ])
    }
  }

  @Test func `distances of rows that stand elsewhere`() throws {
    var random = Random(33)
    for round in 0..<24 {
      let (batch, heads, size) = (1 + round % 3, 1 + round % 4, 1 + round % 9)
      let (length, reach) = (1 + round % 5, [0, 1, 4, 64][round % 4])
      let columns = length + Int.random(in: 0...40, using: &random)
      // Places beyond the columns are those of a decoder that looks at a shorter source.
      let places = places(batch, length, below: columns + 30, &random)
      let table = random.array([2 * reach + 1, size])
      let query = random.array([batch, length, heads * size])
      let like = NDArray<Float>(zeros: [batch, columns, 2])
      let threads = 1 + round % 3
      #expect(
        try compare(
          RelativeScores(heads: heads, scale: 0.3), inputs: [query, table, places, like],
          threads: threads) < 2e-6)
      let weights = random.array([batch, heads, length, columns])
      #expect(
        try compare(RelativeContext(), inputs: [weights, table, places], threads: threads) < 2e-6)
      let op = RelativeBias(isBidirectional: round % 2 == 0, maxDistance: 20)
      let buckets = random.array([[8, 20, 13][round % 3], heads])
      #expect(
        try compare(op, inputs: [buckets, query, like, places], threads: threads) == 0)
    }
  }

  /// Rows at 2 and 3 of four columns are the last two rows of the square.
  @Test func `rows at their own numbers are those of the square`() {
    var random = Random(34)
    let query = random.array([1, 4, 6]).converted(to: Double.self)
    let table = random.array([5, 3]).converted(to: Double.self)
    let whole = RelativeScores(heads: 2, scale: 1).reference([query, table], shape: [1, 2, 4, 4])
    let part = NDArray<Double>(shape: [1, 2, 6], values: Array(query.values.suffix(12)))
    let places = NDArray<Double>(shape: [1, 2], values: [2, 3])
    let got = RelativeScores(heads: 2, scale: 1)
      .reference([part, table, places, query], shape: [1, 2, 2, 4])
    #expect(got.values == Array(whole.values[8..<16]) + whole.values[24..<32])
    let square = RelativeBias(isBidirectional: false, maxDistance: 9)
      .reference(
        [NDArray(shape: [8, 1], values: (0..<8).map(Double.init)), query, query], shape: [1, 4, 4])
    let bias = RelativeBias(isBidirectional: false, maxDistance: 9)
      .reference(
        [NDArray(shape: [8, 1], values: (0..<8).map(Double.init)), part, query, places],
        shape: [1, 1, 2, 4])
    #expect(bias.values == Array(square.values[8...]))
  }

  @Test func `attention of one position`() throws {
    var random = Random(35)
    for round in 0..<40 {
      let (batch, heads) = (1 + round % 3, 1 + round % 4)
      let (size, valueSize) = (
        Int.random(in: 1...70, using: &random), Int.random(in: 1...140, using: &random)
      )
      let columns = Int.random(in: 1...80, using: &random)
      let query = random.array([batch, 1, heads * size], scale: 3)
      let key = random.array([batch, columns, heads * size])
      let value = random.array([batch, columns, heads * valueSize])
      var mask = random.wholes([batch, 1, columns], below: 2)
      if round % 5 == 0 { mask.values = mask.values.map { _ in 0 } }
      let scale = 1 / Double(size).squareRoot()
      let op = Attention(heads: heads, scale: scale)
      #expect(
        try compare(op, inputs: [query, key, value, mask], threads: 1 + round % 3) < 2e-6)
      let scores = AttentionScores(heads: heads, scale: scale)
      #expect(try compare(scores, inputs: [query, key], threads: 1 + round % 3) < 2e-6)
      let weights = random.array([batch, heads, 1, columns])
      #expect(
        try compare(AttentionContext(), inputs: [weights, value], threads: 1 + round % 3) < 2e-6)
    }
  }
}
