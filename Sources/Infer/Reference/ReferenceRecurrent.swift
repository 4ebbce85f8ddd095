import Checkpoint

extension Recurrent {
  @_specialize(where S == Double)
  @_specialize(where S == Float)
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (projected, mask) = (operands[0].values, operands[3].values)
    let (batch, length) = (shape[0], shape[1])
    var result = NDArray<S>(zeros: shape)
    for row in 0..<batch {
      var h = Array(operands[4].values[(row * units)..<((row + 1) * units)])
      var c = h
      if cell == .lstm { c = Array(operands[5].values[(row * units)..<((row + 1) * units)]) }
      for step in 0..<length {
        let time = isReversed ? length - 1 - step : step
        let place = row * length + time
        if mask[place] != 0 {
          let width = cell.gates * units
          let x = projected[(place * width)..<((place + 1) * width)]
          advance(&h, &c, Array(x), operands[1].values, operands[2].values)
        }
        let state = returnsCells ? h + c : h
        for (index, value) in state.enumerated() {
          result.values[place * state.count + index] = value
        }
      }
    }
    return result
  }

  /// One step of one row.
  @_specialize(where S == Double)
  @_specialize(where S == Float)
  private func advance<S: ReferenceScalar>(
    _ h: inout [S], _ c: inout [S], _ x: [S], _ kernel: [S], _ bias: [S]
  ) {
    let last = h
    switch cell {
    case .simple:
      let y = product(last, kernel, bias, columns: 0..<units)
      for unit in 0..<units { h[unit] = activation(x[unit] + y[unit]) }
    case .lstm:
      let y = product(last, kernel, bias, columns: 0..<(4 * units))
      for unit in 0..<units {
        let (i, f, g, o) = (unit, units + unit, 2 * units + unit, 3 * units + unit)
        let (input, forget) = (recurrentActivation(x[i] + y[i]), recurrentActivation(x[f] + y[f]))
        c[unit] = forget * c[unit] + input * activation(x[g] + y[g])
        h[unit] = recurrentActivation(x[o] + y[o]) * activation(c[unit])
      }
    case .gru(let resetAfter):
      let y = product(last, kernel, bias, columns: 0..<(2 * units))
      let update = (0..<units).map { recurrentActivation(x[$0] + y[$0]) }
      let reset = (0..<units).map { recurrentActivation(x[units + $0] + y[units + $0]) }
      let kept = resetAfter ? last : (0..<units).map { reset[$0] * last[$0] }
      let candidates = product(kept, kernel, bias, columns: (2 * units)..<(3 * units))
      for unit in 0..<units {
        let sum = resetAfter ? reset[unit] * candidates[unit] : candidates[unit]
        let candidate = activation(x[2 * units + unit] + sum)
        h[unit] = update[unit] * last[unit] + (1 - update[unit]) * candidate
      }
    }
  }

  /// Those columns of `state · U + bias`.
  @_specialize(where S == Double)
  @_specialize(where S == Float)
  private func product<S: ReferenceScalar>(
    _ state: [S], _ kernel: [S], _ bias: [S], columns: Range<Int>
  ) -> [S] {
    var sums = Array(bias[columns])
    let width = bias.count
    // A row of the kernel is read at a time, as it lies.
    kernel.withUnsafeBufferPointer { kernel in
      sums.withUnsafeMutableBufferPointer { sums in
        for (index, factor) in state.enumerated() {
          let row = index * width + columns.lowerBound
          for column in sums.indices { sums[column] += factor * kernel[row + column] }
        }
      }
    }
    return sums
  }
}
