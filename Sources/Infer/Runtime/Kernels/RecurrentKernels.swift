import CKernels
import Checkpoint

extension Recurrent {
  public func layout(ofWeight index: Int) -> WeightLayout {
    index == 1 ? .panels(transposed: false) : .plain
  }

  /// Rows of the batch that a worker takes through time together: their gates stay in its cache.
  private static let rowBlock = 64
  /// Products of one step from which on several workers share it: below, meeting after each step
  /// takes longer than the step.
  private static let sharedProducts = 1 << 18

  /// Room for the vectors of gates and states of so many rows, and for a kernel that is no weight
  /// and so was not packed; of the latter only the first worker's is used.
  public func scratch(_ operands: [[Int]]) -> Int {
    let rows = min(operands[0][0], Recurrent.rowBlock)
    return MatMul.buffer + Block.size(of: self, rows: rows)
      + MatMul.panelCount(inner: units, columns: cell.gates * units)
  }

  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let batch = result.shape[0]
    guard result.count > 0 else { return }
    let panels = packed(operands[1], on: workers, rows: min(batch, Recurrent.rowBlock))
    let layer = Layer(op: self, operands: operands, panels: panels, result: result)
    if batch < workers.count, units * units * cell.gates * batch >= Recurrent.sharedProducts {
      let block = Block(layer, 0..<batch, memory: workers.scratch(of: 0) + MatMul.buffer)
      block.run { columns, body in
        let (first, end) = (
          columns.lowerBound / MatMul.panel, MatMul.panels(columns: columns.upperBound)
        )
        workers.parallel(end - first) { range, worker in
          body(
            ((first + range.lowerBound) * MatMul.panel)..<min(
              (first + range.upperBound) * MatMul.panel, columns.upperBound),
            workers.scratch(of: worker))
        }
      }
      return
    }
    let blocks = max(
      min(batch, workers.count), (batch + Recurrent.rowBlock - 1) / Recurrent.rowBlock)
    workers.parallel(blocks) { range, worker in
      let scratch = workers.scratch(of: worker)
      for index in range {
        let rows = (batch * index / blocks)..<(batch * (index + 1) / blocks)
        Block(layer, rows, memory: scratch + MatMul.buffer).run { columns, body in
          body(columns, scratch)
        }
      }
    }
  }

  private func packed(_ kernel: View, on workers: Workers, rows: Int) -> UnsafeMutablePointer<Float>
  {
    guard kernel.layout == .plain else { return kernel.data }
    let panels = workers.scratch(of: 0) + MatMul.buffer + Block.size(of: self, rows: rows)
    MatMul.pack(
      kernel.data, stride: kernel.width, transposed: false, inner: units, columns: kernel.width,
      into: panels)
    return panels
  }
}

/// A recurrent layer's op with its operands in memory.
private struct Layer {
  let op: Recurrent
  let length: Int
  let projected: UnsafeMutablePointer<Float>
  let panels: UnsafeMutablePointer<Float>
  let bias: UnsafeMutablePointer<Float>
  let mask: UnsafeMutablePointer<Float>
  let states: [UnsafeMutablePointer<Float>]
  let result: UnsafeMutablePointer<Float>

  init(op: Recurrent, operands: [View], panels: UnsafeMutablePointer<Float>, result: View) {
    self.op = op
    self.panels = panels
    length = result.shape[1]
    (projected, bias, mask) = (operands[0].data, operands[2].data, operands[3].data)
    states = operands[4...].map(\.data)
    self.result = result.data
  }
}

/// Some rows of the batch on their way through time, with the memory of one step.
///
/// Every vector has room behind it, as the kernels of gates want.
private struct Block {
  /// Multiplies: calls its second argument with ranges of columns that together are the first, each
  /// from a whole panel on, and ``MatMul/buffer`` floats of scratch memory for each.
  typealias Share = (
    _ columns: Range<Int>, _ body: (Range<Int>, UnsafeMutablePointer<Float>) -> Void
  ) -> Void

  private let layer: Layer
  private let rows: Range<Int>
  /// Floats of a vector of states, and of one of sums.
  private let stride: Int
  private let width: Int
  private let h: UnsafeMutablePointer<Float>
  private let c: UnsafeMutablePointer<Float>
  private let reset: UnsafeMutablePointer<Float>
  private let sums: UnsafeMutablePointer<Float>
  private let candidates: UnsafeMutablePointer<Float>

  private static func padded(_ count: Int) -> Int {
    Buffer.aligned(count) + Int(CKPT_LANES)
  }

  /// Floats that so many rows need.
  static func size(of op: Recurrent, rows: Int) -> Int {
    rows * (3 * padded(op.units) + 2 * padded(op.cell.gates * op.units))
  }

  init(_ layer: Layer, _ rows: Range<Int>, memory: UnsafeMutablePointer<Float>) {
    (self.layer, self.rows) = (layer, rows)
    stride = Block.padded(layer.op.units)
    width = Block.padded(layer.op.cell.gates * layer.op.units)
    h = memory
    c = h + rows.count * stride
    reset = c + rows.count * stride
    sums = reset + rows.count * stride
    candidates = sums + rows.count * width
  }

  func run(sharing share: Share) {
    let (op, units) = (layer.op, layer.op.units)
    for row in 0..<rows.count {
      let source = (rows.lowerBound + row) * units
      (h + row * stride).update(from: layer.states[0] + source, count: units)
      if op.cell == .lstm {
        (c + row * stride).update(from: layer.states[1] + source, count: units)
      }
    }
    for step in 0..<layer.length {
      let time = op.isReversed ? layer.length - 1 - step : step
      switch op.cell {
      case .gru(resetAfter: false):
        product(h, 0..<(2 * units), into: sums, share)
        eachVisible(at: time) { row, x in
          ckpt_gru_reset(
            op.recurrentActivation.code, units, x, sums + row * width, h + row * stride,
            reset + row * stride)
        }
        product(reset, (2 * units)..<(3 * units), into: candidates, share)
        eachVisible(at: time) { row, x in
          ckpt_gru_update(
            op.activation.code, op.recurrentActivation.code, units, x, sums + row * width,
            candidates + row * width + 2 * units, h + row * stride)
        }
      case .gru(resetAfter: true):
        product(h, 0..<(3 * units), into: sums, share)
        eachVisible(at: time) { row, x in
          ckpt_gru_gates(
            op.activation.code, op.recurrentActivation.code, units, x, sums + row * width,
            h + row * stride)
        }
      case .lstm:
        product(h, 0..<(4 * units), into: sums, share)
        eachVisible(at: time) { row, x in
          ckpt_lstm_gates(
            op.activation.code, op.recurrentActivation.code, units, x, sums + row * width,
            h + row * stride, c + row * stride)
        }
      case .simple:
        product(h, 0..<units, into: sums, share)
        eachVisible(at: time) { row, x in
          ckpt_simple_gates(op.activation.code, units, x, sums + row * width, h + row * stride)
        }
      }
      answer(at: time)
    }
  }

  /// Those columns of `states · U + bias` for all rows, at their places in `sums`; with them the
  /// columns before them in the same panel.
  private func product(
    _ states: UnsafeMutablePointer<Float>, _ columns: Range<Int>,
    into sums: UnsafeMutablePointer<Float>, _ share: Share
  ) {
    let units = layer.op.units
    share((columns.lowerBound / MatMul.panel * MatMul.panel)..<columns.upperBound) {
      range, scratch in
      MatMul.multiply(
        .init(data: states, stride: stride), layer.panels + range.lowerBound * units,
        into: .init(data: sums + range.lowerBound, stride: width), rows: rows.count,
        columns: range.count, inner: units, bias: layer.bias + range.lowerBound, scratch: scratch)
    }
  }

  /// Calls `body` with the rows that the mask shows at a time, and their projected inputs.
  private func eachVisible(at time: Int, _ body: (Int, UnsafeMutablePointer<Float>) -> Void) {
    let gates = layer.op.cell.gates * layer.op.units
    for row in 0..<rows.count {
      let place = (rows.lowerBound + row) * layer.length + time
      if layer.mask[place] != 0 { body(row, layer.projected + place * gates) }
    }
  }

  private func answer(at time: Int) {
    let (units, cells) = (layer.op.units, layer.op.returnsCells)
    for row in 0..<rows.count {
      let place = (rows.lowerBound + row) * layer.length + time
      let target = layer.result + place * (cells ? 2 * units : units)
      target.update(from: h + row * stride, count: units)
      if cells { (target + units).update(from: c + row * stride, count: units) }
    }
  }
}
