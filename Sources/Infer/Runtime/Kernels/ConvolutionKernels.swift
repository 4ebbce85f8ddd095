import CKernels
import Checkpoint

extension Convolution {
  /// Filters of several groups are packed while they run: a panel must not hold those of two.
  public func layout(ofWeight index: Int) -> WeightLayout {
    index == 1 && groups == 1 ? .panels(transposed: false) : .plain
  }

  /// The product's buffer, and the panels of a group for a kernel that was not packed.
  public func scratch(_ operands: [[Int]]) -> Int {
    let (inner, filters) = (operands[1].dropLast().reduce(1, *), operands[1].last ?? 1)
    return MatMul.buffer + MatMul.panelCount(inner: inner, columns: filters / groups)
  }

  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (x, kernel, bias) = (operands[0], operands[1], operands.count == 3 ? operands[2].data : nil)
    let size = Array(kernel.shape.dropLast(2))
    if groups == 1, (size + strides).allSatisfy({ $0 == 1 }),
      (before + after).allSatisfy({ $0 == 0 })
    {
      // One pixel sees one pixel: the same memory is the operand of a plain product.
      return try Linear(activation: activation).run(operands, into: result, on: workers)
    }
    let windows = ckpt_windows(
      x, window: size, places: Array(result.shape[1...size.count]), strides: strides,
      dilation: dilation, before: before)
    if groups > 1, groups == x.width {
      depthwise(windows, kernel, bias, into: result, on: workers)
    } else if kernel.layout == .plain {
      grouped(windows, kernel, bias, into: result, on: workers)
    } else {
      product(windows, kernel, bias, into: result, on: workers)
    }
  }

  /// What the window sees at each place, as the rows of a matrix, times the packed kernel.
  private func product(
    _ windows: ckpt_windows, _ kernel: View, _ bias: UnsafePointer<Float>?, into result: View,
    on workers: Workers
  ) {
    let (inner, columns) = (kernel.rows, result.width)
    let grid = ProductGrid(
      rows: result.rows, panels: MatMul.panels(columns: columns), workers: workers.count)
    workers.parallel(grid.count) { range, worker in
      for index in range {
        let (rows, panels) = grid[index]
        let start = panels.lowerBound * MatMul.panel
        MatMul.convolve(
          windows, first: rows.lowerBound, kernel.data + start * inner,
          into: .init(data: result.data + rows.lowerBound * columns + start, stride: columns),
          rows: rows.count, columns: min(panels.upperBound * MatMul.panel, columns) - start,
          bias: bias.map { $0 + start }, activation: activation,
          scratch: workers.scratch(of: worker))
      }
    }
  }

  /// The same for each group, whose part of the kernel is packed first.
  private func grouped(
    _ windows: ckpt_windows, _ kernel: View, _ bias: UnsafePointer<Float>?, into result: View,
    on workers: Workers
  ) {
    let (inner, columns, rows) = (kernel.rows, result.width / groups, result.rows)
    let wanted = workers.count == 1 ? 1 : (3 * workers.count + groups - 1) / groups
    let parts = max(1, min(wanted, rows / MatMul.rowBlock))
    workers.parallel(groups * parts) { range, worker in
      let scratch = workers.scratch(of: worker)
      let panels = scratch + MatMul.buffer
      for task in range {
        let (group, part) = task.quotientAndRemainder(dividingBy: parts)
        let (first, end) = (rows * part / parts, rows * (part + 1) / parts)
        let start = group * columns
        MatMul.pack(
          kernel.data + start, stride: kernel.width, transposed: false, inner: inner,
          columns: columns, into: panels)
        var windows = windows
        windows.channels = windows.pixel / groups
        windows.x += group * windows.channels
        MatMul.convolve(
          windows, first: first, panels,
          into: .init(data: result.data + first * result.width + start, stride: result.width),
          rows: end - first, columns: columns, bias: bias.map { $0 + start },
          activation: activation, scratch: scratch)
      }
    }
  }

  /// Each channel by itself; nothing is packed.
  private func depthwise(
    _ windows: ckpt_windows, _ kernel: View, _ bias: UnsafePointer<Float>?, into result: View,
    on workers: Workers
  ) {
    let multiplier = result.width / windows.channels
    let length = windows.places.2 * result.width
    workers.parallel(result.count / length, grain: max(1, 2048 / length)) { range, _ in
      for row in range {
        let y = result.data + row * length
        withUnsafePointer(to: windows) {
          ckpt_depthwise($0, row, multiplier, kernel.data, bias, y)
        }
        if activation != .linear { ckpt_activate(activation.code, y, y, length) }
      }
    }
  }
}

extension ConvolutionTranspose {
  public func layout(ofWeight index: Int) -> WeightLayout {
    index == 1 && groups == 1 ? .panels(transposed: true) : .plain
  }

  /// The product's buffer, the products of a block of pixels with a row of the window, and that row's
  /// panels for a kernel that was not packed.
  public func scratch(_ operands: [[Int]]) -> Int {
    let kernel = operands[1]
    let columns = kernel[(kernel.count - 3)...(kernel.count - 2)].reduce(1, *)
    return MatMul.buffer + MatMul.rowBlock * (columns + 2 * MatMul.panel)
      + MatMul.panelCount(inner: kernel[kernel.count - 1] / groups, columns: columns)
  }

  /// Fills segments of rows of the result along the last axis.
  ///
  /// Each row of the window adds the products of one row of `x` to a segment. Segments share no work
  /// but for a few pixels at their ends.
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let job = Scatter(self, operands, result)
    workers.parallel(job.count) { range, worker in
      let scratch = workers.scratch(of: worker)
      // A kernel that has to be packed is packed once for all segments at hand.
      if operands[1].layout == .plain {
        job.run(range, scratch)
      } else {
        for index in range { job.run(index..<(index + 1), scratch) }
      }
    }
  }
}

/// What a transposed convolution does, cut into segments.
private struct Scatter {
  let op: ConvolutionTranspose
  let x: View
  let kernel: View
  let bias: UnsafeMutablePointer<Float>?
  let result: View
  let windows: ckpt_windows
  /// Places of a segment, and segments of a row.
  let length: Int
  let segments: Int

  init(_ op: ConvolutionTranspose, _ operands: [View], _ result: View) {
    self.op = op
    (x, kernel, bias) = (operands[0], operands[1], operands.count == 3 ? operands[2].data : nil)
    self.result = result
    // The window slides over the result; its places are the pixels of `x`.
    windows = ckpt_windows(
      result, window: Array(kernel.shape.dropLast(2)),
      places: Array(x.shape[1..<(x.shape.count - 1)]),
      strides: op.strides, dilation: op.dilation, before: op.before)
    length = min(windows.extent.2, MatMul.rowBlock * windows.stride.2)
    segments = (windows.extent.2 + length - 1) / length
  }

  var count: Int { result.shape[0] * windows.extent.0 * windows.extent.1 * segments }

  /// The pixel along an axis that adds to `place` by a tap of the window, if one does.
  private func pixel(
    _ place: Int, _ tap: Int, stride: Int, dilation: Int, before: Int, places: Int
  ) -> Int? {
    let (pixel, rest) = (place + before - tap * dilation).quotientAndRemainder(dividingBy: stride)
    return rest == 0 && 0..<places ~= pixel ? pixel : nil
  }

  /// The start of a segment in the result, its first place along the last axis, and its places.
  private func segment(_ index: Int) -> (row: Int, first: Int, count: Int) {
    let (row, part) = index.quotientAndRemainder(dividingBy: segments)
    return (row, part * length, min(length, windows.extent.2 - part * length))
  }

  func run(_ range: Range<Int>, _ scratch: UnsafeMutablePointer<Float>) {
    let w = windows
    for index in range {
      let (row, first, count) = segment(index)
      let y = result.data + (row * w.extent.2 + first) * result.width
      if let bias {
        for place in 0..<count {
          (y + place * result.width).update(from: bias, count: result.width)
        }
      } else {
        y.update(repeating: 0, count: count * result.width)
      }
    }
    for group in 0..<op.groups {
      for t0 in 0..<w.window.0 {
        for t1 in 0..<w.window.1 {
          let panels = self.panels(group, t0 * w.window.1 + t1, scratch)
          for index in range {
            let (row, first, count) = segment(index)
            let (rest, o1) = row.quotientAndRemainder(dividingBy: w.extent.1)
            let (image, o0) = rest.quotientAndRemainder(dividingBy: w.extent.0)
            guard
              let i0 = pixel(
                o0, t0, stride: w.stride.0, dilation: w.dilation.0, before: w.before.0,
                places: w.places.0),
              let i1 = pixel(
                o1, t1, stride: w.stride.1, dilation: w.dilation.1, before: w.before.1,
                places: w.places.1)
            else { continue }
            let source = ((image * w.places.0 + i0) * w.places.1 + i1) * w.places.2
            add(
              group, panels, from: source, to: result.data + row * w.extent.2 * result.width,
              first..<(first + count), scratch)
          }
        }
      }
    }
    for index in range where op.activation != .linear {
      let (row, first, count) = segment(index)
      let y = result.data + (row * w.extent.2 + first) * result.width
      ckpt_activate(op.activation.code, y, y, count * result.width)
    }
  }

  /// The panels in which a row of the window lies, and the column at which it starts.
  private func panels(
    _ group: Int, _ row: Int, _ scratch: UnsafeMutablePointer<Float>
  ) -> (data: UnsafeMutablePointer<Float>, start: Int) {
    let (columns, inner) = (windows.window.2 * result.width / op.groups, x.width / op.groups)
    if kernel.layout != .plain {
      let (panel, start) = (row * columns).quotientAndRemainder(dividingBy: MatMul.panel)
      return (kernel.data + panel * MatMul.panel * inner, start)
    }
    let panels = scratch + MatMul.buffer + MatMul.rowBlock * (columns + 2 * MatMul.panel)
    MatMul.pack(
      kernel.data + row * columns * x.width + group * inner, stride: x.width, transposed: true,
      inner: inner, columns: columns, into: panels)
    return (panels, 0)
  }

  /// Adds what the pixels of a row of `x`, which starts at `source`, give to `places` of a row `y` by
  /// the taps of one row of the window.
  private func add(
    _ group: Int, _ panels: (data: UnsafeMutablePointer<Float>, start: Int), from source: Int,
    to y: UnsafeMutablePointer<Float>, _ places: Range<Int>,
    _ scratch: UnsafeMutablePointer<Float>
  ) {
    let (filters, inner) = (result.width / op.groups, x.width / op.groups)
    let (taps, stride, step) = (windows.window.2, windows.stride.2, windows.dilation.2)
    let (width, products) = (panels.start + taps * filters, scratch + MatMul.buffer)
    let isTogether = step == 1 && op.groups == 1
    // The pixels whose windows reach into the segment.
    let low = places.lowerBound + windows.before.2 - (taps - 1) * step
    let first = max(0, low <= 0 ? 0 : (low + stride - 1) / stride)
    let end = min(windows.places.2, (places.upperBound - 1 + windows.before.2) / stride + 1)
    for block in Swift.stride(from: first, to: end, by: MatMul.rowBlock) {
      let count = min(MatMul.rowBlock, end - block)
      MatMul.multiply(
        .init(data: x.data + (source + block) * x.width + group * inner, stride: x.width),
        panels.data, into: .init(data: products, stride: width), rows: count, columns: width,
        inner: inner, scratch: scratch)
      for pixel in 0..<count {
        let start = (block + pixel) * stride - windows.before.2
        let product = products + pixel * width + panels.start
        if isTogether {
          let inside = Range(start...(start + taps - 1)).clamped(to: places)
          guard !inside.isEmpty else { continue }
          let target = y + inside.lowerBound * filters
          ckpt_add(
            target, product + (inside.lowerBound - start) * filters, target,
            inside.count * filters)
        } else {
          for tap in 0..<taps where places.contains(start + tap * step) {
            let target = y + (start + tap * step) * result.width + group * filters
            ckpt_add(target, product + tap * filters, target, filters)
          }
        }
      }
    }
  }
}

extension Pool {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let windows = ckpt_windows(
      operands[0], window: window, places: Array(result.shape[1...window.count]), strides: strides,
      dilation: window.map { _ in 1 }, before: before)
    let length = windows.places.2 * result.width
    guard result.count > 0 else { return }
    workers.parallel(result.count / length, grain: max(1, 2048 / length)) { range, _ in
      for row in range {
        withUnsafePointer(to: windows) {
          ckpt_pool($0, row, kind == .average ? 1 : 0, result.data + row * length)
        }
      }
    }
  }
}

extension ckpt_windows {
  /// Windows over the axes of `x` between the first and the last.
  init(
    _ x: View, window: [Int], places: [Int], strides: [Int], dilation: [Int], before: [Int]
  ) {
    // Axes that are missing have one element in front.
    func three(_ values: some Collection<Int>, _ filler: Int) -> (Int, Int, Int) {
      let all = [Int](repeating: filler, count: 3 - values.count) + values
      return (all[0], all[1], all[2])
    }
    self.init()
    self.x = UnsafePointer(x.data)
    pixel = x.width
    channels = x.width
    extent = three(x.shape.dropFirst().dropLast(), 1)
    self.window = three(window, 1)
    self.places = three(places, 1)
    stride = three(strides, 1)
    self.dilation = three(dilation, 1)
    self.before = three(before, 0)
  }
}
