extension Append {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (state, rows, places) = (operands[0], operands[1], operands[2])
    let (length, capacity, width) = (rows.shape[1], result.shape[1], result.width)
    try checkPlaces(places, capacity)
    if result.data != state.data { result.data.update(from: state.data, count: state.count) }
    for index in 0..<places.count {
      let row = index / length * capacity + Int(places.data[index])
      (result.data + row * width).update(from: rows.data + index * width, count: width)
    }
  }
}

/// Where rows stand must be whole numbers that are not too large.
func checkPlaces(_ places: View, _ limit: Int) throws(InferError) {
  for index in 0..<places.count
  where !(places.data[index] >= 0 && places.data[index] < Float(limit)) {
    throw InferError(
      .input, Input.places, "hold \(Double(places.data[index])); expected 0 to \(limit - 1)")
  }
}
