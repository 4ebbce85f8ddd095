extension MatrixProduct {
  /// The product's buffer, the second matrix packed, and the first one turned.
  public func scratch(_ operands: [[Int]]) -> Int {
    let (rows, inner, columns) = extents(operands[0], operands[1])
    return MatMul.buffer + Buffer.aligned(MatMul.panelCount(inner: inner, columns: columns))
      + (transposesA ? rows * inner : 0)
  }

  private func extents(_ a: [Int], _ b: [Int]) -> (rows: Int, inner: Int, columns: Int) {
    let (first, second) = (a[a.count - 2], a[a.count - 1])
    let columns = b[b.count - (transposesB ? 2 : 1)]
    return transposesA ? (second, first, columns) : (first, second, columns)
  }

  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (a, b) = (operands[0], operands[1])
    var (rows, inner, columns) = extents(a.shape, b.shape)
    guard result.count > 0 else { return }
    guard inner > 0 else {
      result.data.update(repeating: 0, count: result.count)
      return
    }
    let outer = Array(result.shape.dropLast(2))
    let sizes = (a: rows * inner, b: inner * columns)
    func strides(_ shape: [Int], _ size: Int) -> [Int] {
      StridedLoop.strides(of: shape.dropLast(2), repeatedTo: outer).map { $0 * size }
    }
    var loop = StridedLoop(outer, [strides(a.shape, sizes.a), strides(b.shape, sizes.b)])
    if !transposesA, loop.extents.count == 1, loop.step == [sizes.a, 0, 0, 0] {
      // One second matrix for all: the first ones are one tall matrix.
      rows *= loop.count
      loop = StridedLoop([1], [[0], [0]])
    }
    let panels = MatMul.panels(columns: columns)
    // Few products are cut by columns, so that all workers have some.
    let wanted = workers.count == 1 ? 1 : (3 * workers.count + loop.count - 1) / loop.count
    let parts = max(1, min(panels, wanted, rows * inner * columns / 65536))
    workers.parallel(loop.count * parts) { range, worker in
      let scratch = workers.scratch(of: worker)
      let packed = scratch + MatMul.buffer
      let turned = packed + Buffer.aligned(MatMul.panelCount(inner: inner, columns: columns))
      for item in range {
        let (place, part) = item.quotientAndRemainder(dividingBy: parts)
        let offsets = loop.offsets(of: place)
        let start = panels * part / parts * MatMul.panel
        let end = min(panels * (part + 1) / parts * MatMul.panel, columns)
        let width = transposesB ? inner : columns
        let left = a.data + offsets[0]
        let right = b.data + offsets[1] + start * (transposesB ? inner : 1)
        let target = result.data + place * rows * columns + start
        if rows == 1 {
          MatMul.multiplyRow(
            left, .init(data: right, stride: width), transposed: transposesB, into: target,
            columns: end - start, inner: inner)
          continue
        }
        if transposesA { turn(left, rows: rows, inner: inner, into: turned) }
        MatMul.pack(
          right, stride: width, transposed: transposesB, inner: inner, columns: end - start,
          into: packed)
        MatMul.multiply(
          .init(data: transposesA ? turned : left, stride: inner), packed,
          into: .init(data: target, stride: columns), rows: rows, columns: end - start,
          inner: inner, scratch: scratch)
      }
    }
  }

  /// `[inner, rows]` as `[rows, inner]`, in blocks of whole cache lines.
  private func turn(
    _ x: UnsafePointer<Float>, rows: Int, inner: Int, into y: UnsafeMutablePointer<Float>
  ) {
    for start in stride(from: 0, to: rows, by: 16) {
      let end = min(start + 16, rows)
      for k in 0..<inner {
        for row in start..<end { y[row &* inner &+ k] = x[k &* rows &+ row] }
      }
    }
  }
}
