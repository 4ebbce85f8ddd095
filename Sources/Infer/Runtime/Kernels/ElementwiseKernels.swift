import CKernels

extension Add {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    elementwise(operands[0], operands[1], result, workers, ckpt_add)
  }
}

extension Multiply {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    elementwise(operands[0], operands[1], result, workers, ckpt_hadamard)
  }
}

/// `kernel(a, b, result, count)` over all of `a`, with `b` repeated.
private func elementwise(
  _ a: View, _ b: View, _ result: View, _ workers: Workers,
  _ kernel: (UnsafePointer<Float>, UnsafePointer<Float>, UnsafeMutablePointer<Float>, Int) -> Void
) {
  guard b.count > 0 else { return }
  workers.parallel(a.count, grain: 4096) { range, _ in
    var start = range.lowerBound
    while start < range.upperBound {
      let place = start % b.count
      let count = min(range.upperBound - start, b.count - place)
      kernel(a.data + start, b.data + place, result.data + start, count)
      start += count
    }
  }
}

extension Scale {
  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let (x, y, factor) = (operands[0].data, result.data, Float(factor))
    workers.parallel(result.count, grain: 4096) { range, _ in
      for index in range { y[index] = x[index] * factor }
    }
  }
}
