import Glibc

extension Reduce {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let x = operands[0]
    let isReduced = isReduced(rank: x.shape.count)
    let strides = StridedLoop.strides(of: x.shape)
    func loop(over axes: [Int]) -> StridedLoop {
      StridedLoop(axes.map { x.shape[$0] }, [axes.map { strides[$0] }])
    }
    let reduction = Reduction(
      kind: kind, kept: loop(over: x.shape.indices.filter { !isReduced[$0] }),
      reduced: loop(over: x.shape.indices.filter { isReduced[$0] }), x: x.data)
    reduction.run(into: result.data, on: workers)
  }
}

/// Reduces the elements at the places of `reduced` for each place of `kept`.
///
/// Sums are taken over blocks in Float and over the blocks in Double, so that long ones stay exact
/// to rounding.
private struct Reduction {
  let kind: Reduce.Kind
  let kept: StridedLoop
  let reduced: StridedLoop
  let x: UnsafeMutablePointer<Float>

  /// Elements that are summed in Float.
  static let block = 256
  /// Results that are computed side by side.
  static let columns = 128

  func run(into y: UnsafeMutablePointer<Float>, on workers: Workers) {
    let grain = max(1, 8192 / max(reduced.count, 1))
    // Where results lie side by side, so do their elements: rows of them are added.
    let isWide = kept.step[0] == 1 && kept.width >= 8 && reduced.step[0] != 1
    workers.parallel(kept.count, grain: isWide ? max(grain, Reduction.columns) : grain) {
      range, _ in
      guard isWide else {
        kept.forEachRun(in: range) { index, offsets, count in
          for i in 0..<count {
            y[index + i] = value(from: x + offsets[0] + i &* kept.step[0])
          }
        }
        return
      }
      withUnsafeTemporaryAllocation(of: Float.self, capacity: 2 * Reduction.columns) { floats in
        withUnsafeTemporaryAllocation(of: Double.self, capacity: Reduction.columns) { sums in
          guard let partial = floats.baseAddress, let sums = sums.baseAddress else { return }
          let lanes = Lanes(partial: partial, shifts: partial + Reduction.columns, sums: sums)
          kept.forEachRun(in: range) { index, offsets, count in
            var start = 0
            while start < count {
              let some = min(count - start, Reduction.columns)
              values(from: x + offsets[0] + start, count: some, into: y + index + start, lanes)
              start += some
            }
          }
        }
      }
    }
  }

  // MARK: One result

  private func value(from x: UnsafePointer<Float>) -> Float {
    let count = Double(reduced.count)
    switch kind {
    case .sum: return Float(sum(x) { $0 })
    case .mean: return Float(sum(x) { $0 } / count)
    case .product: return fold(x, 1) { $0 * $1 }
    case .max: return fold(x, -.infinity) { $1 > $0 || $1 != $1 ? $1 : $0 }
    case .min: return fold(x, .infinity) { $1 < $0 || $1 != $1 ? $1 : $0 }
    case .any: return fold(x, 0) { $1 != 0 ? 1 : $0 }
    case .all: return fold(x, 1) { $1 == 0 ? 0 : $0 }
    case .logSumExp:
      let largest = fold(x, -.infinity) { $1 > $0 || $1 != $1 ? $1 : $0 }
      let shift = largest.isFinite ? largest : 0
      return Float(Double(shift) + log(sum(x) { expf($0 - shift) }))
    case .variance: return Float(squares(x) / count)
    case .std: return Float((squares(x) / count).squareRoot())
    }
  }

  /// The sum of squared differences from the mean.
  private func squares(_ x: UnsafePointer<Float>) -> Double {
    let mean = Float(sum(x) { $0 } / Double(reduced.count))
    return sum(x) { ($0 - mean) * ($0 - mean) }
  }

  @inline(__always)
  private func fold(
    _ x: UnsafePointer<Float>, _ start: Float, _ f: (Float, Float) -> Float
  ) -> Float {
    var result = start
    let step = reduced.step[0]
    reduced.forEachRun(in: 0..<reduced.count) { _, offsets, count in
      for i in 0..<count { result = f(result, x[offsets[0] &+ i &* step]) }
    }
    return result
  }

  @inline(__always)
  private func sum(_ x: UnsafePointer<Float>, _ f: (Float) -> Float) -> Double {
    var total = 0.0
    let step = reduced.step[0]
    reduced.forEachRun(in: 0..<reduced.count) { _, offsets, count in
      let x = x + offsets[0]
      var start = 0
      while start < count {
        let end = min(start + Reduction.block, count)
        var lanes = SIMD8<Float>()
        if step == 1 {
          while start + 8 <= end {
            for lane in 0..<8 { lanes[lane] += f(x[start &+ lane]) }
            start += 8
          }
        }
        var rest: Float = 0
        while start < end {
          rest += f(x[start &* step])
          start += 1
        }
        total += Double(lanes.sum() + rest)
      }
    }
    return total
  }

  // MARK: Results side by side

  private struct Lanes {
    /// Sums of a block of rows.
    let partial: UnsafeMutablePointer<Float>
    /// What is taken from the elements before they are added.
    let shifts: UnsafeMutablePointer<Float>
    let sums: UnsafeMutablePointer<Double>
  }

  private func values(
    from x: UnsafePointer<Float>, count: Int, into y: UnsafeMutablePointer<Float>, _ lanes: Lanes
  ) {
    let (sums, shifts) = (lanes.sums, lanes.shifts)
    let rows = Double(reduced.count)
    switch kind {
    case .sum:
      add(x, count, lanes) { x, _ in x }
      for i in 0..<count { y[i] = Float(sums[i]) }
    case .mean:
      add(x, count, lanes) { x, _ in x }
      for i in 0..<count { y[i] = Float(sums[i] / rows) }
    case .product: fold(x, count, into: y, 1) { $0 * $1 }
    case .max: fold(x, count, into: y, -.infinity) { $1 > $0 || $1 != $1 ? $1 : $0 }
    case .min: fold(x, count, into: y, .infinity) { $1 < $0 || $1 != $1 ? $1 : $0 }
    case .any: fold(x, count, into: y, 0) { $1 != 0 ? 1 : $0 }
    case .all: fold(x, count, into: y, 1) { $1 == 0 ? 0 : $0 }
    case .logSumExp:
      fold(x, count, into: shifts, -.infinity) { $1 > $0 || $1 != $1 ? $1 : $0 }
      for i in 0..<count where !shifts[i].isFinite { shifts[i] = 0 }
      add(x, count, lanes) { expf($0 - $1) }
      for i in 0..<count { y[i] = Float(Double(shifts[i]) + log(sums[i])) }
    case .variance, .std:
      add(x, count, lanes) { x, _ in x }
      for i in 0..<count { shifts[i] = Float(sums[i] / rows) }
      add(x, count, lanes) { ($0 - $1) * ($0 - $1) }
      for i in 0..<count {
        y[i] = Float(kind == .std ? (sums[i] / rows).squareRoot() : sums[i] / rows)
      }
    }
  }

  @inline(__always)
  private func fold(
    _ x: UnsafePointer<Float>, _ count: Int, into y: UnsafeMutablePointer<Float>, _ start: Float,
    _ f: (Float, Float) -> Float
  ) {
    y.update(repeating: start, count: count)
    let step = reduced.step[0]
    reduced.forEachRun(in: 0..<reduced.count) { _, offsets, rows in
      for row in 0..<rows {
        let x = x + offsets[0] + row &* step
        for i in 0..<count { y[i] = f(y[i], x[i]) }
      }
    }
  }

  /// Fills `sums` with the sums of `f(x, shift)`.
  @inline(__always)
  private func add(
    _ x: UnsafePointer<Float>, _ count: Int, _ lanes: Lanes, _ f: (Float, Float) -> Float
  ) {
    let (partial, shifts, sums) = (lanes.partial, lanes.shifts, lanes.sums)
    let step = reduced.step[0]
    sums.update(repeating: 0, count: count)
    partial.update(repeating: 0, count: count)
    var added = 0
    func flush() {
      for i in 0..<count {
        sums[i] += Double(partial[i])
        partial[i] = 0
      }
      added = 0
    }
    reduced.forEachRun(in: 0..<reduced.count) { _, offsets, rows in
      for row in 0..<rows {
        let x = x + offsets[0] + row &* step
        for i in 0..<count { partial[i] += f(x[i], shifts[i]) }
        added += 1
        if added == Reduction.block { flush() }
      }
    }
    flush()
  }
}

extension ArgReduce {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let x = operands[0]
    let axis = axis.counted(of: x.shape.count)
    let extent = x.shape[axis]
    let inner = x.shape[(axis + 1)...].reduce(1, *)
    workers.parallel(result.count, grain: max(1, 8192 / max(extent, 1))) { range, _ in
      for item in range {
        let (outer, column) = item.quotientAndRemainder(dividingBy: inner)
        let x = x.data + outer * extent * inner + column
        var (best, index) = (x[0], 0)
        for candidate in 1..<max(extent, 1) where isBetter(x[candidate &* inner], than: best) {
          (best, index) = (x[candidate &* inner], candidate)
        }
        result.data[item] = Float(index)
      }
    }
  }
}

extension Accumulate {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let axis = axis.counted(of: result.shape.count)
    let extent = result.shape[axis]
    let inner = result.shape[(axis + 1)...].reduce(1, *)
    guard result.count > 0 else { return }
    workers.parallel(result.count / extent, grain: max(1, 8192 / extent)) { range, _ in
      for item in range {
        let (outer, column) = item.quotientAndRemainder(dividingBy: inner)
        let start = outer * extent * inner + column
        let (x, y) = (operands[0].data + start, result.data + start)
        // In Double, so that long sums stay exact to rounding.
        var total: Double = kind == .sum ? 0 : 1
        for step in 0..<extent {
          let place = (isReversed ? extent - 1 - step : step) &* inner
          let next = kind == .sum ? total + Double(x[place]) : total * Double(x[place])
          y[place] = Float(isExclusive ? total : next)
          total = next
        }
      }
    }
  }
}
