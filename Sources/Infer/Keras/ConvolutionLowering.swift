import Checkpoint

extension KerasBuilder {
  /// What a layer computes of `x` with channels last, given and returned in the layer's own order, and
  /// then its activation.
  ///
  /// - Parameter axes: spatial axes that there must be; more axes may come first when `leading`.
  fileprivate mutating func onChannelsLast(
    _ x: Graph.ID, _ windows: KerasWindows,
    _ activation: KerasActivation = KerasActivation(name: "linear"),
    leading: Bool = false, _ compute: (Graph.ID, inout KerasBuilder) throws -> Graph.ID
  ) throws -> Graph.ID {
    let rank = shape(x).count
    guard
      rank == windows.axes + 2 || (leading && !windows.isChannelsFirst && rank > windows.axes + 2)
    else {
      throw CheckpointError(
        .mismatch, Place(),
        "takes \(shape(x)); expected a batch, \(windows.axes) spatial axes and channels")
    }
    let first = windows.isChannelsFirst
    let before = Array(shape(x)[..<(rank - windows.axes - 1)])
    var value = first ? try channelsLast(x) : x
    if before.count > 1 {
      value = try reshape(value, [before.reduce(1, *)] + shape(x).suffix(windows.axes + 1))
    }
    value = try compute(value, &self)
    if before.count > 1 {
      value = try reshape(value, before + shape(value).dropFirst())
    }
    // Element by element, in the op that is activated; otherwise by the axes as the layer has them.
    if activation.function != nil { value = try activate(value, activation) }
    if first { value = try channelsFirst(value) }
    return activation.function != nil ? value : try activate(value, activation)
  }

  /// Operands of a convolution.
  fileprivate mutating func convolve(
    _ x: Graph.ID, _ kernel: Graph.ID, bias: Bool, _ windows: KerasWindows, groups: Int
  ) throws -> Graph.ID {
    let added = zip(shape(x).dropFirst(), 0..<windows.axes).map { windows.added($0, $1) }
    var operands = [x, kernel]
    if bias { operands.append(try weight("bias")) }
    return try apply(
      Convolution(
        strides: windows.strides, before: added.map(\.before), after: added.map(\.after),
        dilation: windows.dilation, groups: groups), operands)
  }

  /// The kernel `[k…, in, multiplier]` of a depthwise convolution as one with a group of each channel.
  fileprivate mutating func depthwiseKernel() throws -> Graph.ID {
    let kernel = try weight("depthwise_kernel")
    let extents = shape(kernel)
    guard extents.count > 2 else {
      throw CheckpointError(.mismatch, Place(), "has a depthwise kernel of shape \(extents)")
    }
    return try reshape(kernel, extents.dropLast(2) + [1, extents.suffix(2).reduce(1, *)])
  }
}

extension ConvolutionLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.one().id
    return [
      KerasValue(
        try builder.onChannelsLast(x, windows, activation, leading: true) { x, builder in
          try builder.convolve(
            x, builder.weight("kernel"), bias: usesBias, windows, groups: groups)
        })
    ]
  }
}

extension DepthwiseConvolutionLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.one().id
    return [
      KerasValue(
        try builder.onChannelsLast(x, windows, activation) { x, builder in
          try builder.convolve(
            x, builder.depthwiseKernel(), bias: usesBias, windows,
            groups: builder.shape(x).last ?? 1)
        })
    ]
  }
}

extension SeparableConvolutionLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.one().id
    return [
      KerasValue(
        try builder.onChannelsLast(x, windows, activation) { x, builder in
          let each = try builder.convolve(
            x, builder.depthwiseKernel(), bias: false, windows,
            groups: builder.shape(x).last ?? 1)
          let one = Array(repeating: 1, count: windows.axes)
          let none = Array(repeating: 0, count: windows.axes)
          var operands = [each, try builder.weight("pointwise_kernel")]
          if usesBias { operands.append(try builder.weight("bias")) }
          return try builder.apply(
            Convolution(strides: one, before: none, after: none, dilation: one), operands)
        })
    ]
  }
}

extension TransposedConvolutionLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.one().id
    return [
      KerasValue(
        try builder.onChannelsLast(x, windows, activation) { x, builder in
          var results: [(size: Int, before: Int)] = []
          for (extent, axis) in zip(builder.shape(x).dropFirst(), 0..<windows.axes) {
            results.append(try result(extent, axis))
          }
          var operands = [x, try builder.weight("kernel")]
          if usesBias { operands.append(try builder.weight("bias")) }
          return try builder.apply(
            ConvolutionTranspose(
              strides: windows.strides, before: results.map(\.before), dilation: windows.dilation,
              sizes: results.map(\.size)), operands)
        })
    ]
  }
}

extension LocallyConnectedLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.one().id
    return [
      KerasValue(
        try builder.onChannelsLast(x, windows, activation) { x, builder in
          let extents = builder.shape(x)
          var places: [Int] = []
          for axis in 0..<windows.axes {
            places.append(try windows.places(extents[axis + 1], axis))
          }
          // For every element of the window, what each place sees there, side by side.
          var parts: [Graph.ID] = []
          for number in 0..<windows.size.reduce(1, *) {
            var (rest, starts) = (number, [Int](repeating: 0, count: windows.axes))
            for axis in windows.size.indices.reversed() {
              starts[axis] = rest % windows.size[axis]
              rest /= windows.size[axis]
            }
            parts.append(
              try builder.apply(
                Slice(
                  starts: [0] + starts + [0], steps: [1] + windows.strides + [1],
                  counts: [extents[0]] + places + [extents[windows.axes + 1]]), x))
          }
          let seen =
            parts.count == 1
            ? parts[0] : try builder.apply(Concatenate(axis: windows.axes + 1), parts)
          let count = places.reduce(1, *)
          let width = builder.shape(seen)[windows.axes + 1]
          let byPlace = try builder.transpose(
            builder.reshape(seen, [extents[0], count, width]), [1, 0, 2])
          let product = try builder.apply(
            MatrixProduct(transposesA: false, transposesB: false), byPlace, builder.weight("kernel")
          )
          let result = try builder.reshape(
            builder.transpose(product, [1, 0, 2]), [extents[0]] + places + [filters])
          return usesBias ? try builder.binary(.add, result, builder.weight("bias")) : result
        })
    ]
  }
}

extension PoolingLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.one().id
    return [
      KerasValue(
        try builder.onChannelsLast(x, windows) { x, builder in
          let added = zip(builder.shape(x).dropFirst(), 0..<windows.axes).map {
            windows.added($0, $1)
          }
          return try builder.apply(
            Pool(
              kind: isMax ? .max : .average, window: windows.size, strides: windows.strides,
              before: added.map(\.before), after: added.map(\.after)), x)
        })
    ]
  }
}

extension GlobalPoolingLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.one()
    let extents = builder.shape(x.id)
    guard extents.count == axes + 2 else {
      throw CheckpointError(
        .mismatch, Place(), "takes \(extents); expected a batch, \(axes) spatial axes and channels")
    }
    // A mean over time leaves out what the mask leaves out.
    if !isMax, axes == 1, let mask = x.mask {
      let spread = try builder.reshape(
        mask, isChannelsFirst ? [extents[0], 1, extents[2]] : [extents[0], extents[1], 1])
      let reduce = Reduce(.sum, axes: Array(pooled), keepsDimensions: keepsDimensions)
      let sum = try builder.apply(reduce, builder.binary(.multiply, x.id, spread))
      return [KerasValue(try builder.binary(.divide, sum, builder.apply(reduce, spread)))]
    }
    return [
      KerasValue(
        try builder.apply(
          Reduce(isMax ? .max : .mean, axes: Array(pooled), keepsDimensions: keepsDimensions), x.id)
      )
    ]
  }
}

extension AdaptivePoolingLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    var x = try call.one().id
    guard builder.shape(x).count == sizes.count + 2 else {
      throw CheckpointError(
        .mismatch, Place(),
        "takes \(builder.shape(x)); expected a batch, \(sizes.count) spatial axes and channels")
    }
    // Windows are boxes, so that an axis after the other gives the same.
    for (place, size) in sizes.enumerated() {
      let axis = place + (isChannelsFirst ? 2 : 1)
      let extents = builder.shape(x)
      var parts: [Graph.ID] = []
      for range in Self.ranges(of: extents[axis], size) {
        var (starts, counts) = (extents.map { _ in 0 }, extents)
        (starts[axis], counts[axis]) = (range.lowerBound, range.count)
        let part = try builder.apply(
          Slice(starts: starts, steps: extents.map { _ in 1 }, counts: counts), x)
        parts.append(
          try builder.apply(
            Reduce(isMax ? .max : .mean, axes: [axis], keepsDimensions: true), part))
      }
      x = parts.count == 1 ? parts[0] : try builder.apply(Concatenate(axis: axis), parts)
    }
    return [KerasValue(x)]
  }
}
