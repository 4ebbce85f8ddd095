import Infer
import Testing

extension KernelTests {
  @Test func `norms with and without gains`() throws {
    var random = Random(31)
    for width in Array(1...35) + [67, 512] {
      let x = random.array([2, Int.random(in: 1...9, using: &random), width], scale: 3)
      let gains = [random.array([width]), random.array([width])]
      let threads = 1 + width % 3
      for count in 0...2 {
        #expect(
          try compare(
            RMSNorm(epsilon: 1e-6), inputs: [x], weights: Array(gains[..<count]), threads: threads)
            < 2e-6)
      }
      #expect(
        try compare(LayerNorm(epsilon: 1e-6), inputs: [x], threads: threads)
          < (width == 1 ? 1 : 4e-6))
    }
  }

  @Test func `root mean square norm as T5 has it`() {
    // By the formula in float64. `T5LayerNorm` of transformers 5.23 agrees to 1e-7: it takes the mean
    // of squares in float32 whatever the precision of the model.
    let x = NDArray<Double>(shape: [2, 4], values: [0.5, -1, 2, 0.25, 3, 4, -0.5, 1])
    let gamma = NDArray<Double>(shape: [4], values: [1, -2, 0.5, 3])
    let expected = [
      0.433860752, 1.735443009, 0.867721505, 0.650791128, 1.171079998, -3.122879996, -0.097590000,
      1.171079998,
    ]
    let got = RMSNorm(epsilon: 1e-6).reference([x, gamma], shape: x.shape).values
    for (a, b) in zip(got, expected) { #expect(abs(a - b) < 1e-9) }
  }

  @Test func `root mean square norm of special rows`() throws {
    for special in [Float.infinity, -.infinity, .nan, 1e-30] {
      var x = NDArray<Float>(shape: [1, 19], values: .init(repeating: 1, count: 19))
      x.values[17] = special
      #expect(try compare(RMSNorm(epsilon: 1e-6), inputs: [x]) < 1e-6, "\(special)")
    }
    let zeros = NDArray<Float>(zeros: [2, 19])
    var random = Random(32)
    let gains = [random.array([19]), random.array([19])]
    #expect(try compare(RMSNorm(epsilon: 0), inputs: [zeros], weights: gains) == 0)
    #expect(try compare(RMSNorm(epsilon: 0), inputs: [zeros]) == 0)
  }

  @Test func `gains and shifts for each row of the batch`() throws {
    var random = Random(33)
    for width in [1, 3, 16, 35, 67] {
      let (batch, length) = (1 + width % 3, Int.random(in: 1...20, using: &random))
      for shape in [[batch, length, width], [batch, width]] {
        let gains = [random.array([batch, width]), random.array([batch, width])]
        for count in 1...2 {
          let operands = [random.array(shape)] + gains[..<count]
          #expect(try compare(Modulate(), inputs: operands, threads: 2) < 1e-6)
        }
      }
    }
    let x = NDArray<Float>(shape: [2, 2, 1], values: [1, 2, 3, 4])
    let gamma = NDArray<Float>(shape: [2, 1], values: [10, 100])
    #expect(Modulate().reference([x, gamma], shape: x.shape).values == [10, 20, 300, 400])
  }

  @Test func `products, element by element`() throws {
    var random = Random(34)
    for width in 1...35 {
      let x = random.array([3, 5, width])
      for shape in [[3, 5, width], [5, width], [width], []] {
        let op = Multiply()
        #expect(try compare(op, inputs: [x, random.array(shape)], threads: 1 + width % 3) < 1e-6)
      }
      #expect(try compare(Scale(by: 0.1), inputs: [x], threads: 1 + width % 3) < 1e-6)
    }
    // More than a worker's share at a time, and no multiple of it.
    let many = random.array([3, 4001])
    for shape in [[3, 4001], [4001]] {
      #expect(try compare(Multiply(), inputs: [many, random.array(shape)], threads: 2) < 1e-6)
      #expect(try compare(Add(), inputs: [many, random.array(shape)], threads: 2) < 1e-6)
    }
  }
}
