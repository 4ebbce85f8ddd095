import Checkpoint
import Infer
import Testing

/// A recurrent layer and what Keras 2.15 answers: two rows of four steps of two features, two units.
///
/// `Layer(2, return_sequences=True, return_state=True, …)`, called with the mask and initial states.
/// For `go_backwards` Keras has the steps the other way round. Keras 3.15 answers the same to 1e-7,
/// but for its other `hard_sigmoid`. Every array is ``KerasLayer/made(_:_:)``: `x` of seed 1, the
/// layer's weights in their order of seeds 2 and on, the states of 6 and on.
private struct KerasLayer: Sendable, CustomTestStringConvertible {
  let op: Recurrent
  let mask: [Double]
  /// Whether there are initial states other than zeros.
  let isStarted: Bool
  /// The hidden state of each step.
  let h: [Double]
  /// The last cells of an LSTM.
  let c: [Double]

  init(_ op: Recurrent, mask: [Double], isStarted: Bool, h: [Double], c: [Double] = []) {
    (self.op, self.mask, self.isStarted, self.h, self.c) = (op, mask, isStarted, h, c)
  }

  var testDescription: String { "\(op)" }

  /// `((37 i + 11 seed) mod 23 − 11) / 16` for the elements i.
  static func made(_ shape: [Int], _ seed: Int) -> NDArray<Double> {
    NDArray(
      shape: shape,
      values: (0..<shape.reduce(1, *)).map { Double(($0 * 37 + seed * 11) % 23 - 11) / 16 })
  }

  static let all = [
    KerasLayer(
      Recurrent(
        cell: .simple, units: 2, activation: .tanh, recurrentActivation: .linear,
        isReversed: false),
      mask: [1, 0, 1, 1, 1, 1, 0, 0], isStarted: true,
      h: [
        0.6836513, -0.4893127, 0.6836513, -0.4893127, 0.6974343, -0.1060034, 0.0470622, -0.2342749,
        0.2991572, 0.5325873, 0.7685572, -0.4355194, 0.7685572, -0.4355194, 0.7685572, -0.4355194,
      ]),
    KerasLayer(
      Recurrent(
        cell: .simple, units: 2, activation: .relu, recurrentActivation: .linear,
        isReversed: true),
      mask: [1, 1, 0, 1, 0, 1, 0, 1], isStarted: true,
      h: [
        0.8120880, 0, 0.9440918, 0, 0.0820312, 0, 0.0820312, 0, 0.9689941, 0, 0.9689941, 0,
        0.1835938, 0.3125000, 0.1835938, 0.3125000,
      ]),
    KerasLayer(
      Recurrent(
        cell: .lstm, units: 2, activation: .tanh, recurrentActivation: .sigmoid,
        isReversed: false),
      mask: [1, 1, 1, 1, 1, 1, 1, 1], isStarted: true,
      h: [
        0.0347759, 0.2409481, 0.0026504, 0.1724690, -0.0922517, 0.1363817, -0.1092090, 0.2278514,
        -0.2042279, 0.0699972, -0.1312120, 0.1365787, -0.1367014, 0.1287106, -0.1072363, 0.2399534,
      ],
      c: [-0.2034732, 0.6829050, -0.2011521, 0.6441178]),
    KerasLayer(
      Recurrent(
        cell: .lstm, units: 2, activation: .tanh, recurrentActivation: .sigmoid,
        isReversed: false),
      mask: [1, 0, 1, 1, 1, 1, 0, 0], isStarted: false,
      h: [
        -0.0036421, 0.0864424, -0.0036421, 0.0864424, -0.1066676, 0.0873333, -0.1215894, 0.2026289,
        -0.1292637, 0.1260580, -0.0934061, 0.1725926, -0.0934061, 0.1725926, -0.0934061, 0.1725926,
      ],
      c: [-0.2300832, 0.5918051, -0.1635061, 0.4201865]),
    KerasLayer(
      Recurrent(
        cell: .lstm, units: 2, activation: .tanh, recurrentActivation: .sigmoid,
        isReversed: true),
      mask: [1, 1, 0, 1, 0, 1, 0, 1], isStarted: true,
      h: [
        0.0026244, 0.2121882, -0.0298959, 0.2069466, -0.0134836, 0.2596981, -0.0134836, 0.2596981,
        -0.0597617, 0.1451526, -0.0597617, 0.1451526, -0.0879216, 0.1111743, -0.0879216, 0.1111743,
      ],
      c: [0.0045997, 0.4819028, -0.1055762, 0.3449387]),
    KerasLayer(
      Recurrent(
        cell: .lstm, units: 2, activation: .relu, recurrentActivation: .hardSigmoid,
        isReversed: false),
      mask: [1, 0, 1, 1, 1, 1, 0, 0], isStarted: true,
      h: [
        0.0358717, 0.2649257, 0.0358717, 0.2649257, 0.0154603, 0.1648002, 0.0056087, 0.3556794,
        0.0238959, 0.1401514, 0.0093413, 0.1898766, 0.0093413, 0.1898766, 0.0093413, 0.1898766,
      ],
      c: [0.0106393, 0.8614204, 0.0171001, 0.4151751]),
    KerasLayer(
      Recurrent(
        cell: .gru(resetAfter: true), units: 2, activation: .tanh, recurrentActivation: .sigmoid,
        isReversed: false),
      mask: [1, 0, 1, 1, 1, 1, 0, 0], isStarted: true,
      h: [
        0.3634340, 0.3561393, 0.3634340, 0.3561393, 0.1361358, 0.3053555, -0.1795438, 0.6310706,
        -0.6489904, 0.5619829, -0.5055294, 0.4972231, -0.5055294, 0.4972231, -0.5055294, 0.4972231,
      ]),
    KerasLayer(
      Recurrent(
        cell: .gru(resetAfter: true), units: 2, activation: .linear, recurrentActivation: .sigmoid,
        isReversed: true),
      mask: [1, 1, 0, 1, 0, 1, 0, 1], isStarted: true,
      h: [
        -0.0650950, 0.5185099, -0.0448418, 0.5448170, 0.1117958, 0.8682261, 0.1117958, 0.8682261,
        -0.4860424, 0.6136907, -0.4860424, 0.6136907, -0.6430866, 0.7874780, -0.6430866, 0.7874780,
      ]),
    KerasLayer(
      Recurrent(
        cell: .gru(resetAfter: false), units: 2, activation: .tanh, recurrentActivation: .sigmoid,
        isReversed: false),
      mask: [1, 0, 1, 1, 1, 1, 0, 0], isStarted: true,
      h: [
        0.4497169, 0.2588123, 0.4497169, 0.2588123, 0.2589862, 0.2207791, 0.0201715, 0.5370225,
        -0.5823517, 0.4883299, -0.3445845, 0.4302613, -0.3445845, 0.4302613, -0.3445845, 0.4302613,
      ]),
    KerasLayer(
      Recurrent(
        cell: .gru(resetAfter: false), units: 2, activation: .relu,
        recurrentActivation: .hardSigmoid,
        isReversed: true),
      mask: [1, 1, 0, 1, 0, 1, 0, 1], isStarted: true,
      h: [
        0.2024003, 0.4302627, 0.1904344, 0.4492534, 0.3168457, 0.6732421, 0.3168457, 0.6732421,
        -0.1366406, 0.5100666, -0.1366406, 0.5100666, -0.2865234, 0.6568502, -0.2865234, 0.6568502,
      ]),
  ]
}

extension KernelTests {
  @Test(arguments: KerasLayer.all)
  private func `recurrent layers as Keras has them`(layer: KerasLayer) {
    let width = 2 * layer.op.cell.gates
    let isAfter = layer.op.cell == .gru(resetAfter: true)
    // Only this cell has a bias for each of its two products.
    let biases = KerasLayer.made([isAfter ? 2 : 1, width], 4)
    let bias = NDArray(shape: [width], values: Array(biases.values.prefix(width)))
    let projected = Linear().reference(
      [KerasLayer.made([2, 4, 2], 1), KerasLayer.made([2, width], 2), bias], shape: [2, 4, width])
    var operands = [
      projected, KerasLayer.made([2, width], 3),
      isAfter
        ? NDArray(shape: [width], values: Array(biases.values.suffix(width)))
        : NDArray(zeros: [width]),
      NDArray(shape: [2, 4], values: layer.mask),
    ]
    let zeros = NDArray<Double>(zeros: [2, 2])
    operands.append(layer.isStarted ? KerasLayer.made([2, 2], 6) : zeros)
    if layer.op.cell == .lstm {
      operands.append(layer.isStarted ? KerasLayer.made([2, 2], 7) : zeros)
    }
    let h = layer.op.reference(operands, shape: [2, 4, 2]).values
    #expect(h.count == layer.h.count)
    for (a, b) in zip(h, layer.h) { #expect(abs(a - b) < 2e-7) }
    guard layer.op.cell == .lstm else { return }
    let op = Recurrent(
      cell: .lstm, units: 2, activation: layer.op.activation,
      recurrentActivation: layer.op.recurrentActivation, isReversed: layer.op.isReversed,
      returnsCells: true)
    let both = op.reference(operands, shape: [2, 4, 4]).values
    for row in 0..<2 {
      let place = row * 4 + (op.isReversed ? 0 : 3)
      for unit in 0..<2 {
        #expect(abs(both[place * 4 + 2 + unit] - layer.c[row * 2 + unit]) < 2e-7)
        for step in 0..<4 {
          #expect(both[(row * 4 + step) * 4 + unit] == h[(row * 4 + step) * 2 + unit])
        }
      }
    }
  }
}
