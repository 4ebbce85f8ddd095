extension Append {
  public func reference<S: ReferenceScalar>(_ operands: [NDArray<S>], shape: [Int]) -> NDArray<S> {
    let (rows, places) = (operands[1], operands[2])
    let (length, capacity, width) = (rows.shape[1], shape[1], shape[2])
    var result = operands[0]
    for (index, place) in places.values.enumerated() {
      let start = (index / length * capacity + Int(place)) * width
      for column in 0..<width {
        result.values[start + column] = rows.values[index * width + column]
      }
    }
    return result
  }
}
