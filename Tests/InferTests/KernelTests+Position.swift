import Infer
import Testing

extension KernelTests {
  @Test func `rotations of any shape`() throws {
    var random = Random(21)
    for round in 0..<24 {
      let (batch, heads, size) = (1 + round % 3, 1 + round % 4, 2 + 2 * (round % 11))
      let length = Int.random(in: 1...20, using: &random)
      let x = random.array([batch, length, heads * size])
      let positions = random.wholes([batch, length], below: 1_000_000)
      let op = Rotary(heads: heads, base: round % 5 == 0 ? 500 : 10000)
      let inputs = round % 2 == 0 ? [x] : [x, positions]
      #expect(try compare(op, inputs: inputs, threads: 1 + round % 3) < 1e-6)
    }
  }

  @Test func `rotations by hand`() {
    // By the formula in NumPy's float64; without positions
    // `RoFormerSelfAttention.apply_rotary_position_embeddings` of transformers 5.23 agrees.
    let x = NDArray<Double>(shape: [1, 3, 4], values: (1...12).map { Double($0) / 4 })
    let positions = NDArray<Double>(shape: [1, 3], values: [100_001, 7, 54_321])
    let near = [
      0.25, 0.5, 0.75, 1, -0.586828595, 1.862292190, 1.729912834, 2.017399709, -3.209573949,
      1.005552119, 2.689454018, 3.054396353,
    ]
    let far = [
      0.268299351, -0.490423754, -0.416900169, 1.178428720, -0.043102080, 1.952086630, 1.605828556,
      2.117501983, -2.850720092, -1.784907549, -3.483655530, -2.103959160,
    ]
    for (operands, expected) in [([x], near), ([x, positions], far)] {
      let got = Rotary(heads: 1).reference(operands, shape: x.shape).values
      for (a, b) in zip(got, expected) { #expect(abs(a - b) < 2e-9) }
    }
  }

  @Test func `positions beyond the table's rows`() throws {
    var random = Random(22)
    for round in 0..<12 {
      let (rows, width) = (1 + round % 5, 1 + 7 * (round % 4))
      let table = random.array([rows, width])
      let ids = random.wholes([2, 9], below: rows * rows)
      let like = NDArray<Float>(zeros: [2, rows * rows, 3])
      #expect(
        try compare(
          HierarchicalPositions(alpha: 0.4, isGiven: true), inputs: [table, ids], threads: 2)
          < 1e-6)
      #expect(
        try compare(
          HierarchicalPositions(alpha: 0.4, isGiven: false), inputs: [table, like]) < 1e-6)
    }
  }

  @Test func `positions beyond the table's rows by hand`() {
    // By bert4keras' formula (`PositionEmbedding`, hierarchical) in NumPy.
    let table = NDArray<Double>(shape: [3, 2], values: [1, 2, -1, 0.5, 0.25, 3])
    let expected = [
      1, 2, -1, 0.5, 0.25, 3, -1 / 3.0, 1, -7 / 3.0, -0.5, -13 / 12.0, 2, 0.5, 8 / 3.0, -1.5,
      7 / 6.0, -0.25, 11 / 3.0,
    ]
    let op = HierarchicalPositions(alpha: 0.4, isGiven: false)
    let got = op.reference([table, NDArray(zeros: [1, 9])], shape: [9, 2]).values
    for (a, b) in zip(got, expected) { #expect(abs(a - b) < 1e-12) }
  }

  @Test func `positions after padding`() throws {
    // `RobertaEmbeddings.create_position_ids_from_input_ids` of transformers 5.23.
    let tokens = NDArray<Float>(shape: [2, 6], values: [5, 6, 1, 7, 1, 1, 0, 1, 1, 1, 1, 8])
    let op = PositionsAfterPadding(padding: 1)
    #expect(
      op.reference([tokens], shape: [2, 6]).values == [2, 3, 1, 4, 1, 1, 2, 1, 1, 1, 1, 3])
    var random = Random(23)
    for padding in [0, 1, 3] {
      let op = PositionsAfterPadding(padding: padding)
      #expect(try compare(op, inputs: [random.wholes([3, 19], below: 5)]) == 0)
    }
  }

  @Test func `columns are picked exactly`() throws {
    var random = Random(24)
    for width in [1, 3, 16] {
      let x = random.array([3, 7, width])
      let columns = (0..<5).map { _ in Int.random(in: 0..<width, using: &random) }
      #expect(try compare(SelectColumns(columns), inputs: [x], threads: 2) == 0)
      #expect(try compare(SelectColumn(columns[0]), inputs: [x]) == 0)
    }
    let x = NDArray<Float>(shape: [1, 2, 3], values: [1, 2, 3, 4, 5, 6])
    #expect(SelectColumns([2, 0]).reference([x], shape: [1, 2, 2]).values == [3, 1, 6, 4])
    #expect(SelectColumn(1).reference([x], shape: [1, 2]).values == [2, 5])
  }

  @Test func `rows by ids of any shape`() throws {
    var random = Random(25)
    let table = random.array([11, 5])
    for shape in [[4], [2, 3], [2, 3, 4], []] {
      #expect(try compare(Gather(), inputs: [table, random.wholes(shape, below: 11)]) == 0)
    }
  }

  @Test func `scores of spans`() throws {
    var random = Random(26)
    for round in 0..<12 {
      let (batch, heads) = (1 + round % 3, 1 + round % 4)
      let length = Int.random(in: 1...20, using: &random)
      let scores = random.array([batch, 1, length, length])
      let bias = random.array([batch, length, 2 * heads])
      #expect(try compare(SpanScores(heads: heads), inputs: [scores, bias], threads: 2) < 1e-6)
      let many = random.array([batch, heads, length, length])
      let mask = random.wholes([batch, length], below: 2)
      let op = SpanMask(isTriangular: round % 2 == 0)
      #expect(try compare(op, inputs: [many, mask], threads: 1 + round % 3) == 0)
    }
  }

  @Test func `scores of spans by hand`() {
    let scores = NDArray<Double>(shape: [1, 1, 2, 2], values: [1, 2, 3, 4])
    // Each token: first and last of head 0, first and last of head 1.
    let bias = NDArray<Double>(shape: [1, 2, 4], values: [10, 20, 30, 40, 100, 200, 300, 400])
    #expect(
      SpanScores(heads: 2).reference([scores, bias], shape: [1, 2, 2, 2]).values
        == [16, 62, 108, 154, 36, 172, 218, 354])
    let square = NDArray<Double>(shape: [1, 1, 3, 3], values: [1, 2, 3, 4, 5, 6, 7, .nan, 9])
    let mask = NDArray<Double>(shape: [1, 3], values: [1, 1, 0])
    let no = -Double.infinity
    #expect(
      SpanMask(isTriangular: true).reference([square, mask], shape: square.shape).values
        == [1, 2, no, no, 5, no, no, no, no])
    #expect(
      SpanMask(isTriangular: false).reference([square, mask], shape: square.shape).values
        == [1, 2, no, 4, 5, no, no, no, no])
  }
}
