extension Reshape {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    copy(operands[0], into: result, StridedLoop([result.count], [[1]]), workers)
  }
}

extension Transpose {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let strides = StridedLoop.strides(of: operands[0].shape)
    copy(operands[0], into: result, StridedLoop(result.shape, [axes.map { strides[$0] }]), workers)
  }
}

extension Slice {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    guard result.count > 0 else { return }
    let strides = StridedLoop.strides(of: operands[0].shape)
    let loop = StridedLoop(
      result.shape, [zip(strides, steps).map { $0 &* $1 }],
      starts: [zip(strides, starts).reduce(0) { $0 + $1.0 * $1.1 }])
    copy(operands[0], into: result, loop, workers)
  }
}

extension BroadcastTo {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let strides = StridedLoop.strides(of: operands[0].shape, repeatedTo: result.shape)
    copy(operands[0], into: result, StridedLoop(result.shape, [strides]), workers)
  }
}

extension Upsample {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    // Each axis and, inside it, one that repeats.
    let shape = zip(operands[0].shape, factors).flatMap { [$0, $1] }
    let strides = StridedLoop.strides(of: operands[0].shape).flatMap { [$0, 0] }
    copy(operands[0], into: result, StridedLoop(shape, [strides]), workers)
  }
}

/// Fills `result` with the elements of `x` at the places of the loop.
private func copy(_ x: View, into result: View, _ loop: StridedLoop, _ workers: Workers) {
  let (x, y) = (x.data, result.data)
  let step = loop.step[0]
  if step != 0, step != 1, let row = loop.strides.firstIndex(where: { $0[0] == 1 }) {
    turn(x, y, loop, row, workers)
    return
  }
  workers.parallel(loop.count, grain: 8192) { range, _ in
    loop.forEachRun(in: range) { index, offsets, count in
      let (source, target) = (x + offsets[0], y + index)
      switch step {
      case 1: target.update(from: source, count: count)
      case 0: target.update(repeating: source[0], count: count)
      default: for i in 0..<count { target[i] = source[i &* step] }
      }
    }
  }
}

/// The same where neighbours along the last axis lie apart, and those along the axis `row` side by
/// side: in blocks, each of which reads and writes whole cache lines.
private func turn(
  _ x: UnsafePointer<Float>, _ y: UnsafeMutablePointer<Float>, _ loop: StridedLoop, _ row: Int,
  _ workers: Workers
) {
  let block = 32
  let targets = StridedLoop.strides(of: loop.extents)
  let (rows, columns) = (loop.extents[row], loop.width)
  let (step, rowStride) = (loop.step[0], targets[row])
  let others = loop.extents.indices.dropLast().filter { $0 != row }
  let outer = StridedLoop(
    others.map { loop.extents[$0] },
    [others.map { loop.strides[$0][0] }, others.map { targets[$0] }], starts: [loop.start[0], 0])
  let blocks = (rows + block - 1) / block
  workers.parallel(outer.count * blocks, grain: max(1, 8192 / (block * columns + 1))) { range, _ in
    for item in range {
      let (place, number) = item.quotientAndRemainder(dividingBy: blocks)
      let offsets = outer.offsets(of: place)
      let (source, target) = (x + offsets[0], y + offsets[1])
      let some = (number * block)..<min((number + 1) * block, rows)
      var column = 0
      while column < columns {
        let end = min(column + block / 2, columns)
        for i in some {
          for j in column..<end { target[i &* rowStride &+ j] = source[i &+ j &* step] }
        }
        column = end
      }
    }
  }
}

extension Pad {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (x, y) = (operands[0], result)
    var value: Float = 0
    if case .constant(let constant) = mode { value = Float(constant) }
    guard let last = x.shape.indices.last, x.count > 0 else {
      if x.count == 0 {
        y.data.update(repeating: value, count: y.count)
      } else {
        y.data.update(from: x.data, count: y.count)
      }
      return
    }
    let (width, old, start) = (y.width, x.width, before[last])
    workers.parallel(y.rows, grain: max(1, 8192 / max(width, 1))) { range, _ in
      for row in range {
        let target = y.data + row * width
        // Axis by axis from the last but one: the row of `x`, if there is one.
        var (rest, source, stride) = (row, 0, old)
        var isOutside = false
        for axis in (0..<last).reversed() {
          if let index = self.source(of: rest % y.shape[axis], axis: axis, x.shape[axis]) {
            source += index * stride
          } else {
            isOutside = true
          }
          rest /= y.shape[axis]
          stride *= x.shape[axis]
        }
        if isOutside {
          target.update(repeating: value, count: width)
          continue
        }
        (target + start).update(from: x.data + source, count: old)
        for edge in [0..<start, (start + old)..<width] {
          for column in edge {
            let index = self.source(of: column, axis: last, old)
            target[column] = index.map { x.data[source + $0] } ?? value
          }
        }
      }
    }
  }

  /// The index of the operand that is repeated at an index of the result; `nil` for the constant.
  private func source(of index: Int, axis: Int, _ extent: Int) -> Int? {
    let index = index - before[axis]
    if 0..<extent ~= index { return index }
    switch mode {
    case .constant: return nil
    case .reflect: return index < 0 ? -index : 2 * extent - 2 - index
    case .symmetric: return index < 0 ? -1 - index : 2 * extent - 1 - index
    case .edge: return index < 0 ? 0 : extent - 1
    }
  }
}

extension Concatenate {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let axis = axis.counted(of: result.shape.count)
    let rows = result.shape[..<axis].reduce(1, *)
    guard rows > 0 else { return }
    let (runs, total) = (operands.map { $0.count / rows }, result.count / rows)
    workers.parallel(rows, grain: max(1, 8192 / max(total, 1))) { range, _ in
      for row in range {
        var target = result.data + row * total
        for (operand, run) in zip(operands, runs) {
          target.update(from: operand.data + row * run, count: run)
          target += run
        }
      }
    }
  }
}

extension GatherAxis {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (x, indices) = (operands[0], operands[1])
    let axis = axis.counted(of: x.shape.count)
    let extent = x.shape[axis]
    var rows: [Int] = []
    for position in 0..<indices.count {
      let value = indices.data[position]
      guard let index = index(value, of: extent) else {
        throw InferError.index(value, of: extent, at: position)
      }
      rows.append(index)
    }
    let width = x.shape[(axis + 1)...].reduce(1, *)
    let outer = x.shape[..<axis].reduce(1, *)
    guard !rows.isEmpty else { return }
    workers.parallel(outer * rows.count, grain: max(1, 8192 / max(width, 1))) { range, _ in
      for item in range {
        let (place, index) = item.quotientAndRemainder(dividingBy: rows.count)
        (result.data + item * width).update(
          from: x.data + (place * extent + rows[index]) * width, count: width)
      }
    }
  }
}

extension OneHot {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    workers.parallel(operands[0].count, grain: max(1, 8192 / max(depth, 1))) { range, _ in
      (result.data + range.lowerBound * depth).update(repeating: 0, count: range.count * depth)
      for index in range {
        let value = operands[0].data[index]
        guard value >= 0, value < Float(depth), value == value.rounded() else { continue }
        // A depth beyond Float's whole numbers rounds up.
        if Int(value) < depth { result.data[index * depth + Int(value)] = 1 }
      }
    }
  }
}
