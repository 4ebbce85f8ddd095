extension Constant {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    for (index, value) in array.values.enumerated() { result.data[index] = Float(value) }
  }
}
