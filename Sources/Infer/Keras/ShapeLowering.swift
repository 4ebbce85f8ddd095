import Checkpoint

extension ReshapeLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only().id
    let shape = builder.shape(x)
    let extents = try KerasShape.filled(target, count: shape.dropFirst().reduce(1, *))
    return [KerasValue(try builder.reshape(x, Array(shape.prefix(1)) + extents))]
  }
}

extension PermuteLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] { [KerasValue(try builder.transpose(try call.only().id, axes))] }
}

extension RepeatVectorLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only().id
    let shape = builder.shape(x)
    guard shape.count == 2 else {
      throw CheckpointError(.mismatch, Place(), "repeats vectors; it is given \(shape)")
    }
    let one = try builder.reshape(x, [shape[0], 1, shape[1]])
    return [KerasValue(try builder.apply(BroadcastTo([shape[0], count, shape[1]]), one))]
  }
}

extension BorderLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only().id
    let shape = builder.shape(x)
    // Also says whether the rank fits and something is left.
    let result = try outputs(KerasCall([KerasShape(shape.map { $0 })]))[0]
    let around = isChannelsFirst ? (2, 0) : (1, 1)
    func sides(_ side: Int) -> [Int] {
      Array(repeating: 0, count: around.0) + pairs.map { $0[side] }
        + Array(repeating: 0, count: around.1)
    }
    if isCropping {
      return [
        KerasValue(
          try builder.apply(
            Slice(
              starts: sides(0), steps: Array(repeating: 1, count: shape.count),
              counts: result.extents.compactMap { $0 }), x))
      ]
    }
    return [KerasValue(try builder.apply(Pad(before: sides(0), after: sides(1)), x))]
  }
}

extension UpSamplingLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only().id
    let shape = builder.shape(x)
    let result = try outputs(KerasCall([KerasShape(shape.map { $0 })]))[0]
    if interpolation == "nearest" {
      let all = isChannelsFirst ? [1, 1] + factors : [1] + factors + [1]
      return [KerasValue(try builder.apply(Upsample(factors: all), x))]
    }
    let sizes = result.extents.compactMap { $0 }
    let spatial = isChannelsFirst ? Array(sizes[2...]) : Array(sizes[1...2])
    return [
      KerasValue(
        try builder.resize(x, spatial, interpolation, isChannelsFirst: isChannelsFirst))
    ]
  }
}

extension ResizingLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    var x = try call.only().id
    let shape = builder.shape(x)
    try KerasShape(shape.map { $0 }).expect(rank: 4)
    let first = isChannelsFirst ? 2 : 1
    let (rows, columns) = (shape[first], shape[first + 1])
    // What keeps the proportions, in the middle.
    var part = (rows, columns)
    if isCropping, rows >= height, columns >= width {
      part = (height, width)
    } else if keepsRatio {
      part.0 = min(rows, Int(Double(columns) * Double(height) / Double(width)))
      part.1 = min(columns, Int(Double(rows) * Double(width) / Double(height)))
    }
    x = try builder.part(x, axis: first, from: (rows - part.0) / 2, count: part.0)
    x = try builder.part(x, axis: first + 1, from: (columns - part.1) / 2, count: part.1)
    if part == (height, width) { return [KerasValue(x)] }
    return [
      KerasValue(
        try builder.resize(x, [height, width], interpolation, isChannelsFirst: isChannelsFirst))
    ]
  }
}

extension KerasBuilder {
  /// Images of other sizes.
  mutating func resize(
    _ x: Graph.ID, _ sizes: [Int], _ method: String, isChannelsFirst: Bool = false
  ) throws -> Graph.ID {
    guard let method = Resize.Method(rawValue: method) else {
      throw InferError(.unsupported, method, "the engine has no such way to resize")
    }
    var y = isChannelsFirst ? try channelsLast(x) : x
    y = try apply(Resize(sizes: sizes, method: method), y)
    return isChannelsFirst ? try channelsFirst(y) : y
  }

  /// Places along an axis, from one on.
  mutating func part(
    _ x: Graph.ID, axis: Int, from start: Int, count: Int, step: Int = 1
  ) throws -> Graph.ID {
    let shape = shape(x)
    if start == 0, count == shape[axis], step == 1 { return x }
    var (starts, steps, counts) = (
      Array(repeating: 0, count: shape.count), Array(repeating: 1, count: shape.count), shape
    )
    (starts[axis], steps[axis], counts[axis]) = (start, step, count)
    return try apply(Slice(starts: starts, steps: steps, counts: counts), x)
  }

  /// The sum with a number.
  mutating func shifted(_ x: Graph.ID, by number: Double) throws -> Graph.ID {
    try binary(.add, x, constant(number))
  }
}
