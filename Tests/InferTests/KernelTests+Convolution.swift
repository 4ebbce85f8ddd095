import Checkpoint
import Infer
import TestSupport
import Testing

/// What `fixtures/generate_windows.py` wrote: an op, its operands, and what TensorFlow computes.
private struct WindowCase: CustomStringConvertible {
  let op: any Op
  let operands: [NDArray<Float>]
  let expected: NDArray<Double>
  let description: String

  init?(_ json: JSON) {
    func list(_ key: String) -> [Int] { json[key]?.array?.compactMap(\.int) ?? [] }
    let (x, kernel, shape) = (list("x"), list("kernel"), list("shape"))
    let (strides, before, after) = (list("strides"), list("before"), list("after"))
    let values = json["values"]?.array?.compactMap(\.double) ?? []
    guard let name = json["op"]?.string, !values.isEmpty, values.count == shape.reduce(1, *) else {
      return nil
    }
    expected = NDArray(shape: shape, values: values)
    description = "\(name) \(x) \(kernel) \(strides) \(before)"
    var operands = [WindowCase.wholes(x, 5)]
    switch name {
    case "convolution":
      op = Convolution(
        strides: strides, before: before, after: after, dilation: list("dilation"),
        groups: json["groups"]?.int ?? 0)
    case "transpose":
      op = ConvolutionTranspose(
        strides: strides, before: before, dilation: list("dilation"),
        groups: json["groups"]?.int ?? 0, sizes: Array(shape[1..<(shape.count - 1)]))
    case "max", "average":
      op = Pool(
        kind: name == "max" ? .max : .average, window: kernel, strides: strides, before: before,
        after: after)
    default: return nil
    }
    if !(op is Pool) {
      operands += [WindowCase.wholes(kernel, 8), WindowCase.wholes([shape.last ?? 0], 2)]
    }
    self.operands = operands
  }

  /// The script's formula.
  private static func wholes(_ shape: [Int], _ seed: Int) -> NDArray<Float> {
    NDArray(
      shape: shape,
      values: (0..<shape.reduce(1, *)).map { Float((3 * $0 * $0 + seed * $0 + 7) % 11 - 5) })
  }

  static func all() throws -> [WindowCase] {
    let json = try JSON(parsing: File.contents(of: Fixtures.path("windows.json")))
    return try (json.array ?? []).map { try #require(WindowCase($0)) }
  }
}

extension Random {
  fileprivate mutating func one(of values: ClosedRange<Int>) -> Int {
    Int.random(in: values, using: &self)
  }
}

extension KernelTests {
  @Test func `convolutions, transposed ones and pools are those of TensorFlow`() throws {
    let cases = try WindowCase.all()
    #expect(cases.count == 56)
    for each in cases {
      let shapes = each.operands.map { $0.shape.map { Dimension.fixed($0) } }
      #expect(
        try each.op.shape(shapes) == each.expected.shape.map { .fixed($0) }, "\(each)")
      let got = each.op.reference(
        each.operands.map { $0.converted(to: Double.self) }, shape: each.expected.shape)
      // Sums of whole numbers are exact; a mean is one division of TensorFlow's in Float32.
      for (a, b) in zip(got.values, each.expected.values) { #expect(abs(a - b) < 2e-7, "\(each)") }
      for threads in [1, 3] {
        let inputs = each.operands.prefix(1)
        #expect(
          try compare(
            each.op, inputs: Array(inputs), weights: Array(each.operands.dropFirst()),
            threads: threads) < 2e-7, "\(each)")
        #expect(try compare(each.op, inputs: each.operands, threads: threads) < 2e-7, "\(each)")
      }
    }
  }

  /// Random extents and attributes; the last axes are the given number of spatial ones.
  private func randomConvolution(
    _ random: inout Random, axes: Int, groups: Int, part: Int, filters: Int, large: Int
  ) -> (op: Convolution, x: [Int], kernel: [Int]) {
    var (window, extent, strides, before, after, dilation):
      ([Int], [Int], [Int], [Int], [Int], [Int]) = ([], [], [], [], [], [])
    for _ in 0..<axes {
      window.append(random.one(of: 1...4))
      strides.append(random.one(of: 1...3))
      dilation.append(random.one(of: 1...2))
      before.append(random.one(of: 0...3))
      after.append(random.one(of: 0...3))
      let reach = ((window.last ?? 1) - 1) * (dilation.last ?? 1) + 1
      extent.append(reach + random.one(of: 0...large))
    }
    let op = Convolution(
      strides: strides, before: before, after: after, dilation: dilation, groups: groups,
      activation: random.one(of: 0...2) == 0 ? .relu : .linear)
    return (
      op, [random.one(of: 1...2)] + extent + [groups * part], window + [part, groups * filters]
    )
  }

  @Test func `convolutions of any shape`() throws {
    var random = Random(41)
    for round in 0..<120 {
      let axes = 1 + round % 3
      let groups = round % 4 == 3 ? random.one(of: 2...4) : 1
      let (op, x, kernel) = randomConvolution(
        &random, axes: axes, groups: groups, part: random.one(of: 1...19),
        filters: random.one(of: 1...40), large: [60, 9, 4][axes - 1])
      let weights = [random.array(kernel), random.array([kernel[axes + 1]])]
      let operands = Array(weights.prefix(1 + round % 2))
      let (array, threads) = (random.array(x), 1 + round % 3)
      let what = "\(x) \(kernel) \(op)"
      // A thousand products round more than a few.
      let limit = kernel.dropLast().reduce(1, *) > 500 ? 3e-6 : 1e-6
      let error = try compare(op, inputs: [array], weights: operands, threads: threads)
      #expect(error < limit, "\(what)")
      if round % 5 == 0 {
        #expect(try compare(op, inputs: [array] + operands, threads: threads) < limit, "\(what)")
      }
    }
  }

  @Test func `convolutions of each channel by itself`() throws {
    var random = Random(42)
    for round in 0..<60 {
      let axes = 1 + round % 3
      let channels = [2, 5, 8, 16, 17, 33, 70][round % 7]
      let (op, x, kernel) = randomConvolution(
        &random, axes: axes, groups: channels, part: 1, filters: round % 5 == 0 ? 3 : 1,
        large: [40, 12, 4][axes - 1])
      let weights = [random.array(kernel), random.array([kernel[axes + 1]])]
      #expect(
        try compare(
          op, inputs: [random.array(x)], weights: Array(weights.prefix(1 + round % 2)),
          threads: 1 + round % 3) < 1e-6, "\(x) \(kernel) \(op)")
    }
  }

  @Test func `convolutions larger than a block`() throws {
    var random = Random(43)
    // A window of more than 768 elements is multiplied in parts, which cut rows of the window.
    for (channels, dilation) in [(100, 1), (100, 2), (259, 1)] {
      let op = Convolution(
        strides: [1, 1], before: [1, 1], after: [1, 1], dilation: [dilation, dilation],
        activation: .tanh)
      let weights = [random.array([3, 3, channels, 70], scale: 0.05), random.array([70])]
      for threads in [1, 4] {
        let error = try compare(
          op, inputs: [random.array([2, 13, 11, channels])], weights: weights, threads: threads)
        // Sums of two thousand products in Float32.
        #expect(error < 5e-6, "\(channels)")
      }
    }
  }

  @Test func `a convolution of single pixels is a product`() throws {
    var random = Random(44)
    let op = Convolution(strides: [1, 1], before: [0, 0], after: [0, 0], dilation: [1, 1])
    let weights = [random.array([1, 1, 19, 35]), random.array([35])]
    let x = random.array([2, 5, 7, 19])
    #expect(try compare(op, inputs: [x], weights: weights, threads: 2) < 1e-6)
    #expect(try compare(op, inputs: [x] + weights) < 1e-6)
  }

  @Test func `transposed convolutions of any shape`() throws {
    var random = Random(45)
    for round in 0..<90 {
      let axes = 1 + round % 3
      let groups = round % 4 == 3 ? random.one(of: 2...3) : 1
      let filters = random.one(of: 1...(round % 2 == 0 ? 5 : 40))
      let (shape, x, kernel) = randomConvolution(
        &random, axes: axes, groups: groups, part: random.one(of: 1...9), filters: filters,
        large: [round % 10 == 0 ? 300 : 30, 7, 3][axes - 1])
      let op = ConvolutionTranspose(
        strides: shape.strides, before: shape.before, dilation: shape.dilation, groups: groups,
        sizes: (1...axes).map { x[$0] * shape.strides[$0 - 1] + random.one(of: 0...4) },
        activation: shape.activation)
      let weights = [
        random.array(kernel[..<axes] + [filters, x[axes + 1]]), random.array([filters * groups]),
      ]
      let operands = Array(weights.prefix(1 + round % 2))
      let (array, threads) = (random.array(x), 1 + round % 3)
      let what = "\(x) \(op)"
      #expect(
        try compare(op, inputs: [array], weights: operands, threads: threads) < 1e-6, "\(what)")
      if round % 5 == 0 {
        #expect(try compare(op, inputs: [array] + operands, threads: threads) < 1e-6, "\(what)")
      }
    }
  }

  @Test func `a transposed convolution in groups is one for each group`() throws {
    var random = Random(46)
    let (x, kernel) = (random.array([1, 4, 3, 6]), random.array([3, 2, 2, 6]))
    func op(_ groups: Int) -> ConvolutionTranspose {
      ConvolutionTranspose(
        strides: [2, 1], before: [1, 0], dilation: [1, 1], groups: groups, sizes: [8, 4])
    }
    func channels(_ array: NDArray<Float>, _ range: Range<Int>) -> NDArray<Float> {
      let width = array.shape.last ?? 1
      return NDArray(
        shape: array.shape.dropLast() + [range.count],
        values: array.values.enumerated().filter { range ~= $0.offset % width }.map(\.element))
    }
    let whole = op(2).reference([x, kernel], shape: [1, 8, 4, 4])
    for group in 0..<2 {
      let part = (3 * group)..<(3 * group + 3)
      let one = op(1).reference(
        [channels(x, part), channels(kernel, part)], shape: [1, 8, 4, 2])
      #expect(channels(whole, (2 * group)..<(2 * group + 2)) == one)
    }
  }

  @Test(arguments: Pool.Kind.allCases)
  func `pools of any shape`(kind: Pool.Kind) throws {
    var random = Random(47)
    for round in 0..<60 {
      let axes = 1 + round % 3
      let channels = [1, 3, 8, 16, 19, 64, 70][round % 7]
      let (shape, x, kernel) = randomConvolution(
        &random, axes: axes, groups: 1, part: channels, filters: 1, large: [40, 9, 4][axes - 1])
      let op = Pool(
        kind: kind, window: Array(kernel[..<axes]), strides: shape.strides, before: shape.before,
        after: shape.after)
      // Windows that lie in the padding altogether are among them.
      #expect(
        try compare(op, inputs: [random.array(x)], threads: 1 + round % 3) < 1e-6, "\(x) \(op)")
    }
  }

  @Test func `pools of special values`() throws {
    for kind in Pool.Kind.allCases {
      for channels in [3, 16, 17] {
        for special in [Float.nan, .infinity, -.infinity, -3e38] {
          var x = NDArray<Float>(zeros: [1, 5, 4, channels])
          for position in [0, channels - 1, 6 * channels] { x.values[position] = special }
          let op = Pool(
            kind: kind, window: [2, 2], strides: [1, 1], before: [0, 1], after: [1, 0])
          #expect(try compare(op, inputs: [x]) < 1e-6, "\(kind) \(special)")
        }
      }
    }
    let x = NDArray<Float>(shape: [1, 4, 1], values: [-3, .nan, -1, -2])
    let op = Pool(kind: .max, window: [2], strides: [1], before: [1], after: [0])
    let got = op.reference([x], shape: [1, 4, 1]).values
    #expect(got[0] == -3 && got[1].isNaN && got[2].isNaN && got[3] == -1)
  }

  @Test func `batch normalization of any width`() throws {
    var random = Random(48)
    for width in Array(1...35) + [67, 512, 700] {
      let x = random.array([2, random.one(of: 1...40), width], scale: 3)
      var variance = random.array([width])
      variance.values = variance.values.map { abs($0) + 0.01 }
      let moments = [random.array([width]), variance]
      for (hasGamma, hasBeta) in [(true, true), (true, false), (false, true), (false, false)] {
        let gains = (0..<((hasGamma ? 1 : 0) + (hasBeta ? 1 : 0))).map { _ in random.array([width])
        }
        let op = BatchNorm(
          epsilon: 1e-3, activation: width % 2 == 0 ? .relu : .linear, hasGamma: hasGamma,
          hasBeta: hasBeta)
        #expect(
          try compare(op, inputs: [x], weights: moments + gains, threads: 1 + width % 3) < 1e-6)
      }
    }
  }

  @Test func `batch normalization as Keras has it`() throws {
    // BatchNormalization(epsilon=0.001) of Keras 2.15, its own multiplications in Float32.
    let x = NDArray<Double>(shape: [2, 1, 3], values: [0.5, -1, 2, 0.25, 3, 4])
    let weights: [[Double]] = [[0.5, 1, -2], [0.25, 4, 0], [2, -1, 0.5], [0.125, 0, -3]]
    let operands = [x] + weights.map { NDArray(shape: [3], values: $0) }
    let expected = [
      0.125, 0.9998751, 60.24555, -0.873006, -0.9998751, 91.86832,
    ]
    let got = BatchNorm(epsilon: 1e-3).reference(operands, shape: x.shape).values
    for (a, b) in zip(got, expected) { #expect(abs(a - b) < 2e-6 * max(1, abs(b))) }
    // A mean far from 0 is taken off before anything is multiplied.
    let far = NDArray<Float>(shape: [4, 1], values: [1000, 1001, 1002, 999.5])
    let moments: [Float] = [1000.5, 0.01, 1.7, 0.3]
    #expect(
      try compare(
        BatchNorm(epsilon: 1e-3), inputs: [far],
        weights: moments.map { NDArray(shape: [1], values: [$0]) }) < 2e-7)
  }

  @Test func `operands that do not fit are refused`() throws {
    func shape(_ op: any Op, _ operands: [Int]...) throws -> [Dimension] {
      try op.shape(operands.map { $0.map { .fixed($0) } })
    }
    func plain(
      _ stride: Int = 1, before: Int = 0, after: Int = 0, dilation: Int = 1, groups: Int = 1
    ) -> Convolution {
      Convolution(
        strides: [stride], before: [before], after: [after], dilation: [dilation], groups: groups)
    }
    #expect(try shape(plain(), [1, 5, 2], [5, 2, 3]) == [1, 1, 3].map { .fixed($0) })
    for op in [
      plain(0), plain(-1), plain(.max), plain(before: -1), plain(after: .max), plain(before: .max),
      plain(dilation: 0), plain(dilation: .max), plain(dilation: 2), plain(groups: 0),
      plain(groups: 2), plain(groups: .max), plain(groups: .min),
    ] {
      #expect(throws: ShapeMismatch.self, "\(op)") { try shape(op, [1, 5, 2], [5, 2, 3]) }
    }
    for operands in [
      [[1, 5, 2], [6, 2, 3]], [[1, 5, 2], [5, 3, 3]], [[1, 5, 2], [5, 2, 3], [2]],
      [[5, 2], [2, 3]],
      [[1, 5, 2], [0, 2, 3]], [[1, -5, 2], [5, 2, 3]], [[1, 5, 2], [.max, 2, 3]], [[1, 5, 2]],
      [[1, .max, 2], [5, 2, 3]], [[1, 5, 5, 2], [5, 5, 2, 3]], [[1, 5, 2], [5, 2, 0]],
    ] {
      #expect(throws: ShapeMismatch.self, "\(operands)") {
        try plain().shape(operands.map { $0.map { .fixed($0) } })
      }
    }
    func transpose(_ stride: Int, before: Int = 0, groups: Int = 1, size: Int = 9) -> any Op {
      ConvolutionTranspose(
        strides: [stride], before: [before], dilation: [1], groups: groups, sizes: [size])
    }
    #expect(try shape(transpose(2), [1, 4, 2], [3, 5, 2]) == [1, 9, 5].map { .fixed($0) })
    for op in [
      transpose(0), transpose(.max), transpose(1, before: -1), transpose(1, before: .max),
      transpose(1, groups: 0), transpose(1, groups: .max), transpose(1, size: 0),
      transpose(1, size: .max),
    ] {
      #expect(throws: ShapeMismatch.self, "\(op)") { try shape(op, [1, 4, 2], [3, 5, 2]) }
    }
    let pool = Pool(kind: .max, window: [6], strides: [1], before: [0], after: [0])
    #expect(throws: ShapeMismatch.self) { try shape(pool, [1, 5, 2]) }
    #expect(throws: ShapeMismatch.self) { try shape(BatchNorm(epsilon: 0), [2, 3], [3], [3]) }
  }

  @Test func `a window that keeps the extent passes on a symbolic one`() throws {
    let op = Convolution(strides: [1], before: [1], after: [1], dilation: [1])
    let operands: [[Dimension]] = [
      [.batch, .length, .fixed(2)], [.fixed(3), .fixed(2), .fixed(4)],
    ]
    #expect(try op.shape(operands) == [.batch, .length, .fixed(4)])
    #expect(throws: ShapeMismatch.self) {
      try Convolution(strides: [1], before: [1], after: [0], dilation: [1]).shape(operands)
    }
    var random = Random(49)
    var trial = Trial(seed: 1)
    let x = trial.graph.input("x", operands[0])
    trial.graph.output("y", try trial.graph.apply(op, x, try trial.weight("k", 3, 2, 4)))
    let session = try trial.session(["y"], threads: 2)
    for (batch, length) in [(1, 1), (3, 40), (2, 7)] {
      let inputs = ["x": random.array([batch, length, 2])]
      #expect(
        difference(try session.run(inputs)["y"], try trial.reference(inputs, ["y"])["y"]) < 1e-6)
    }
  }
}
