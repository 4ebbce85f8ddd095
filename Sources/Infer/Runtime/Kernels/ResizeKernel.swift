extension Resize {
  /// A row of the result before it is resized along the other axis.
  public func scratch(_ operands: [[Int]]) -> Int { operands[0][2] * operands[0][3] }

  public func run(
    _ operands: [View], into result: View, on workers: Workers
  ) throws(InferError) {
    let x = operands[0]
    let (height, width, channels) = (x.shape[1], x.shape[2], x.shape[3])
    let (newHeight, newWidth) = (result.shape[1], result.shape[2])
    guard result.count > 0 else { return }
    // The weights are those of the definition: a few for every row and column.
    let rows = (0..<newHeight).map { method.taps(of: $0, old: height, new: newHeight) }
    let columns = (0..<newWidth).map { method.taps(of: $0, old: width, new: newWidth) }
    let grain = max(1, 4096 / (newWidth * channels))
    workers.parallel(result.shape[0] * newHeight, grain: grain) { range, worker in
      let line = workers.scratch(of: worker)
      for item in range {
        let (image, row) = item.quotientAndRemainder(dividingBy: newHeight)
        let source = x.data + image * height * width * channels
        add(rows[row], of: source, stride: width * channels, into: line, width * channels)
        let target = result.data + item * newWidth * channels
        for column in 0..<newWidth {
          add(
            columns[column], of: line, stride: channels, into: target + column * channels, channels)
        }
      }
    }
  }

  /// The weighted sum of rows of `count` floats.
  private func add(
    _ taps: [(index: Int, weight: Double)], of x: UnsafePointer<Float>, stride: Int,
    into y: UnsafeMutablePointer<Float>, _ count: Int
  ) {
    for (position, tap) in taps.enumerated() {
      let (x, weight) = (x + tap.index * stride, Float(tap.weight))
      if position == 0 {
        for i in 0..<count { y[i] = weight * x[i] }
      } else {
        for i in 0..<count { y[i] += weight * x[i] }
      }
    }
  }
}
