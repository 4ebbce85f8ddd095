extension Resize {
  @_specialize(where S == Double)
  @_specialize(where S == Float)
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let x = operands[0]
    let (height, width, channels) = (x.shape[1], x.shape[2], x.shape[3])
    let rows = (0..<shape[1]).map { method.taps(of: $0, old: height, new: shape[1]) }
    let columns = (0..<shape[2]).map { method.taps(of: $0, old: width, new: shape[2]) }
    return .filled(shape) { place in
      var sum: S = 0
      for (row, rowWeight) in rows[place[1]] {
        for (column, columnWeight) in columns[place[2]] {
          let index = ((place[0] * height + row) * width + column) * channels + place[3]
          sum += S(rowWeight) * S(columnWeight) * x.values[index]
        }
      }
      return sum
    }
  }
}
