import Checkpoint
import Infer
import Testing

extension KernelTests {
  /// A recurrent layer with its operands, as random as the kernels' tests want them.
  private struct RandomLayer {
    let op: Recurrent
    let projected: NDArray<Float>
    let weights: [NDArray<Float>]
    let mask: NDArray<Float>
    let states: [NDArray<Float>]

    init(
      _ op: Recurrent, batch: Int, length: Int, _ random: inout Random, scale: Float = 2,
      isMasked: Bool = true
    ) {
      self.op = op
      let (units, width) = (op.units, op.cell.gates * op.units)
      projected = random.array([batch, length, width], scale: scale)
      // Sums of products that neither vanish nor saturate.
      weights = [
        random.array([units, width], scale: 1.5 / Float(units).squareRoot()),
        random.array([width], scale: 0.5),
      ]
      var mask = random.wholes([batch, length], below: 4)
      mask.values = mask.values.map { isMasked && $0 == 0 ? 0 : 1 }
      self.mask = mask
      states = (0..<(op.cell == .lstm ? 2 : 1)).map { _ in random.array([batch, units]) }
    }

    var operands: [NDArray<Float>] { [projected] + weights + [mask] + states }
  }

  /// The kernel's difference from the reference, once with a packed and once with a plain kernel.
  private func compare(_ layer: RandomLayer, threads: Int) throws -> [Double] {
    let names = ["projected", "kernel", "bias", "mask", "h", "c"]
    return try [true, false].map { hasWeights in
      var trial = Trial(seed: 0)
      var given: [String: NDArray<Float>] = [:]
      var operands: [Graph.ID] = []
      for (name, array) in zip(names, layer.operands) {
        if hasWeights && ["kernel", "bias"].contains(name) {
          trial.weights[name] = array
          operands.append(try trial.graph.weight(name, array.shape))
        } else {
          given[name] = array
          operands.append(trial.graph.input(name, array.shape.map { .fixed($0) }))
        }
      }
      trial.graph.output("y", try trial.graph.apply(layer.op, operands))
      let expected = try trial.reference(given, ["y"])["y"]
      let session = try trial.session(["y"], threads: threads)
      let first = try session.run(given)["y"]
      // Nothing is left of a run that would change the next.
      #expect(try session.run(given)["y"] == first)
      return difference(first, expected)
    }
  }

  private static let cells: [Recurrent.Cell] = [
    .simple, .lstm, .gru(resetAfter: true), .gru(resetAfter: false),
  ]

  @Test(arguments: cells)
  func `recurrent layers of any shape`(cell: Recurrent.Cell) throws {
    var random = Random(41)
    for round in 0..<60 {
      let op = Recurrent(
        cell: cell, units: round < 35 ? round + 1 : Int.random(in: 36...70, using: &random),
        isReversed: round % 2 == 1, returnsCells: cell == .lstm && round % 3 == 0)
      let layer = RandomLayer(
        op, batch: Int.random(in: 1...9, using: &random),
        length: Int.random(in: 1...12, using: &random), &random, isMasked: round % 5 != 0)
      for error in try compare(layer, threads: 1 + round % 4) {
        #expect(error < 2e-6, "\(op) of \(layer.projected.shape)")
      }
    }
  }

  @Test(arguments: cells)
  func `recurrent layers of many rows, units and steps`(cell: Recurrent.Cell) throws {
    var random = Random(42)
    // More rows than a worker takes at a time; many steps; and few rows whose workers share each
    // step, as they do from 2¹⁸ products on.
    let shared = [1, 2].map { batch in
      (batch, 2, Int((262_144 / Double(cell.gates * batch)).squareRoot()) + 2)
    }
    for (batch, length, units) in [(131, 3, 5), (1, 2000, 7)] + shared {
      let op = Recurrent(cell: cell, units: units, isReversed: batch == 2)
      let layer = RandomLayer(op, batch: batch, length: length, &random)
      for error in try compare(layer, threads: 3) {
        #expect(error < 5e-6, "\(batch) × \(length) × \(units)")
      }
    }
  }

  @Test(arguments: cells)
  func `recurrent layers of any activation`(cell: Recurrent.Cell) throws {
    var random = Random(43)
    for activation in Activation.allCases {
      for recurrent in [activation, .sigmoid, .tanh, .hardSigmoid] {
        let op = Recurrent(
          cell: cell, units: 19, activation: activation, recurrentActivation: recurrent)
        // Exponentials of exponentials leave all scales, and enlarge the rounding of their argument.
        let length = activation == .exponential ? 1 : 2
        let layer = RandomLayer(op, batch: 2, length: length, &random, scale: 0.5)
        for error in try compare(layer, threads: 1) {
          #expect(error < 1e-5, "\(activation), \(recurrent)")
        }
      }
    }
  }

  @Test(arguments: cells)
  func `a recurrent layer of special values`(cell: Recurrent.Cell) throws {
    var random = Random(44)
    for special in [Float.infinity, -.infinity, .nan, 3e38] {
      for place in [0, 20] {
        let layer = RandomLayer(
          Recurrent(cell: cell, units: 21), batch: 2, length: 3, &random, isMasked: false)
        var projected = layer.projected
        projected.values[place] = special
        let operands = [projected] + layer.operands.dropFirst()
        #expect(try compare(layer.op, inputs: Array(operands)) < 2e-6, "\(special)")
      }
    }
  }

  @Test func `a row of a recurrent layer does not know of the others`() throws {
    var random = Random(45)
    let op = Recurrent(cell: .lstm, units: 33)
    let layer = RandomLayer(op, batch: 5, length: 7, &random)
    func run(_ operands: [NDArray<Float>]) throws -> [Float] {
      var trial = Trial(seed: 0)
      var given: [String: NDArray<Float>] = [:]
      let ids = operands.enumerated().map { index, array in
        given["x\(index)"] = array
        return trial.graph.input("x\(index)", array.shape.map { .fixed($0) })
      }
      trial.graph.output("y", try trial.graph.apply(op, ids))
      return try trial.session(["y"], threads: 2).run(given)["y"]?.values ?? []
    }
    let together = try run(layer.operands)
    for row in 0..<5 {
      let operands = layer.operands.enumerated().map { index, array in
        guard ![1, 2].contains(index) else { return array }
        let count = array.values.count / 5
        return NDArray(
          shape: [1] + array.shape.dropFirst(),
          values: Array(array.values[(row * count)..<((row + 1) * count)]))
      }
      // To the bit: the sums are added in the same order.
      #expect(try run(operands) == Array(together[(row * 7 * 33)..<((row + 1) * 7 * 33)]))
    }
  }

  @Test func `what a recurrent layer cannot take is refused`() throws {
    let good: [[Dimension]] = [
      [.fixed(2), .length, .fixed(12)], [.fixed(3), .fixed(12)], [.fixed(12)],
      [.fixed(2), .length],
      [.fixed(2), .fixed(3)], [.fixed(2), .fixed(3)],
    ]
    let lstm = Recurrent(cell: .lstm, units: 3, returnsCells: true)
    #expect(try lstm.shape(good) == [.fixed(2), .length, .fixed(6)])
    for index in good.indices {
      var shapes = good
      shapes[index].append(.fixed(1))
      #expect(throws: ShapeMismatch.self) { try lstm.shape(shapes) }
      shapes[index] = []
      #expect(throws: ShapeMismatch.self) { try lstm.shape(shapes) }
      shapes = good
      shapes[index][shapes[index].count - 1] = .fixed(4)
      #expect(throws: ShapeMismatch.self) { try lstm.shape(shapes) }
      #expect(throws: ShapeMismatch.self) { try lstm.shape(Array(good[..<index])) }
    }
    for units in [0, -3, .min, .max, 1 << 61] {
      #expect(throws: ShapeMismatch.self) { try Recurrent(cell: .lstm, units: units).shape(good) }
    }
    let gru = Recurrent(cell: .gru(resetAfter: true), units: 4, returnsCells: true)
    #expect(throws: ShapeMismatch.self) { try gru.shape(good) }
  }
}
