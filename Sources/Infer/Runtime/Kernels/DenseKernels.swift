import CKernels
import Checkpoint

extension Linear {
  public func layout(ofWeight index: Int) -> WeightLayout {
    index == 1 ? .panels(transposed: transposedKernel) : .plain
  }

  /// The product's buffer, and one panel for a kernel that is no weight and so was not packed.
  public func scratch(_ operands: [[Int]]) -> Int {
    MatMul.buffer + (operands[0].last ?? 1) * MatMul.panel
  }

  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (x, kernel, bias) = (operands[0], operands[1], operands.count == 3 ? operands[2].data : nil)
    let (rows, inner, columns) = (x.rows, x.width, result.width)
    let grid = ProductGrid(
      rows: rows, panels: MatMul.panels(columns: columns), workers: workers.count)
    workers.parallel(grid.count) { range, worker in
      let scratch = workers.scratch(of: worker)
      for index in range {
        let (rows, panels) = grid[index]
        let start = panels.lowerBound * MatMul.panel
        let source = MatMul.Rows(data: x.data + rows.lowerBound * inner, stride: inner)
        func product(_ b: UnsafePointer<Float>, from start: Int, to end: Int) {
          MatMul.multiply(
            source, b,
            into: .init(data: result.data + rows.lowerBound * columns + start, stride: columns),
            rows: rows.count, columns: min(end, columns) - start, inner: inner,
            bias: bias.map { UnsafePointer($0 + start) }, activation: activation, scratch: scratch)
        }
        if kernel.layout != .plain {
          product(kernel.data + start * inner, from: start, to: panels.upperBound * MatMul.panel)
          continue
        }
        for panel in panels {
          let (start, b) = (panel * MatMul.panel, scratch + MatMul.buffer)
          MatMul.pack(
            kernel.data + start * (transposedKernel ? inner : 1), stride: kernel.width,
            transposed: transposedKernel, inner: inner,
            columns: min(MatMul.panel, columns - start), into: b)
          product(b, from: start, to: start + MatMul.panel)
        }
      }
    }
  }
}

/// A product cut into blocks of rows and of panels, a few for each worker.
///
/// Blocks share no work but the copy of their rows of `x`, and reading their panels; few rows are
/// therefore cut by panels only, and many by rows first.
struct ProductGrid {
  let rows: Int
  let panels: Int
  let rowParts: Int
  let panelParts: Int

  init(rows: Int, panels: Int, workers: Int) {
    self.rows = rows
    self.panels = panels
    let wanted = workers == 1 ? 1 : 3 * workers
    rowParts = max(1, min(wanted, rows / MatMul.rowBlock))
    panelParts = max(1, min(panels, (wanted + rowParts - 1) / rowParts))
  }

  var count: Int { rows == 0 || panels == 0 ? 0 : rowParts * panelParts }

  subscript(index: Int) -> (rows: Range<Int>, panels: Range<Int>) {
    let (row, panel) = index.quotientAndRemainder(dividingBy: panelParts)
    return (
      (rows * row / rowParts)..<(rows * (row + 1) / rowParts),
      (panels * panel / panelParts)..<(panels * (panel + 1) / panelParts)
    )
  }
}

extension Activate {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let code = activation.code
    workers.parallel(result.count, grain: 4096) { range, _ in
      ckpt_activate(
        code, operands[0].data + range.lowerBound, result.data + range.lowerBound, range.count)
    }
  }
}

extension Softmax {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let width = result.width
    guard width > 0 else { return }
    workers.parallel(result.rows, grain: max(1, 2048 / width)) { range, _ in
      for row in range {
        let y = result.data + row * width
        y.update(from: operands[0].data + row * width, count: width)
        ckpt_softmax(y, nil, 1, width)
      }
    }
  }
}

extension Activation {
  /// The C kernels' number of the function.
  var code: ckpt_activation {
    switch self {
    case .linear: CKPT_LINEAR
    case .relu: CKPT_RELU
    case .relu6: CKPT_RELU6
    case .tanh: CKPT_TANH
    case .sigmoid: CKPT_SIGMOID
    case .geluErf: CKPT_GELU_ERF
    case .geluTanh: CKPT_GELU_TANH
    case .geluQuick: CKPT_GELU_QUICK
    case .silu: CKPT_SILU
    case .mish: CKPT_MISH
    case .elu: CKPT_ELU
    case .selu: CKPT_SELU
    case .softplus: CKPT_SOFTPLUS
    case .softsign: CKPT_SOFTSIGN
    case .exponential: CKPT_EXPONENTIAL
    case .hardSigmoid: CKPT_HARD_SIGMOID
    case .leakyRelu: CKPT_LEAKY_RELU
    case .squaredRelu: CKPT_SQUARED_RELU
    }
  }
}
