import Checkpoint

extension KerasBuilder {
  /// What a layer computes of its only input with channels last, given and returned in the layer's own
  /// order, and then its activation.
  ///
  /// - Parameter axes: spatial axes that there must be; more axes may come first when `leading`.
  fileprivate mutating func onChannelsLast(
    _ call: KerasCall<KerasValue>, _ windows: KerasWindows,
    _ activation: KerasActivation = KerasActivation(name: "linear"),
    leading: Bool = false, _ compute: (Graph.ID, inout KerasBuilder) throws -> Graph.ID
  ) throws -> [KerasValue] {
    let x = try call.only().id
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
    return [KerasValue(activation.function != nil ? value : try activate(value, activation))]
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
    try builder.onChannelsLast(call, windows, activation, leading: true) { x, builder in
      try builder.convolve(
        x, builder.weight("kernel"), bias: usesBias, windows, groups: groups)
    }
  }
}

extension DepthwiseConvolutionLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    try builder.onChannelsLast(call, windows, activation) { x, builder in
      try builder.convolve(
        x, builder.depthwiseKernel(), bias: usesBias, windows,
        groups: builder.shape(x).last ?? 1)
    }
  }
}

extension SeparableConvolutionLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    try builder.onChannelsLast(call, windows, activation) { x, builder in
      let each = try builder.convolve(
        x, builder.depthwiseKernel(), bias: false, windows,
        groups: builder.shape(x).last ?? 1)
      let one = Array(repeating: 1, count: windows.axes)
      let none = Array(repeating: 0, count: windows.axes)
      var operands = [each, try builder.weight("pointwise_kernel")]
      if usesBias { operands.append(try builder.weight("bias")) }
      return try builder.apply(
        Convolution(strides: one, before: none, after: none, dilation: one), operands)
    }
  }
}

extension TransposedConvolutionLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    try builder.onChannelsLast(call, windows, activation) { x, builder in
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
    }
  }
}

extension LocallyConnectedLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only().id
    let expected = try variables(KerasCall([KerasShape(builder.shape(x).map { $0 })]))
    let kernel = try builder.weight("kernel")
    guard let shape = expected.first?.shape, builder.shape(kernel) == shape else {
      throw CheckpointError(
        .mismatch, Place(), "has a kernel \(builder.shape(kernel)), which does not fit its input")
    }
    return try builder.onChannelsLast(call, windows, activation) { x, builder in
      let result =
        implementation == 2
        ? try dense(x, kernel, &builder) : try byPlace(x, kernel, &builder)
      guard usesBias else { return result }
      var bias = try builder.weight("bias")
      if windows.isChannelsFirst {
        // Keras reads its elements as those of [filters, places…].
        let extents = builder.shape(bias)
        let turned = [filters] + extents.dropLast()
        bias = try builder.transpose(
          builder.reshape(bias, turned), Array(1..<turned.count) + [0])
      }
      return try builder.binary(.add, result, bias)
    }
  }

  /// As one product with all that there is, zeros where no window touches.
  private func dense(
    _ x: Graph.ID, _ kernel: Graph.ID, _ builder: inout KerasBuilder
  ) throws -> Graph.ID {
    let isFirst = windows.isChannelsFirst
    let spatial = Array(builder.shape(x)[1...windows.axes])
    let places = try places(spatial)
    var touches: [Double] = []
    forEach(spatial) { element in
      forEach(places) { place in
        let isTouched = element.indices.allSatisfy {
          touched(place[$0], $0, of: spatial[$0]).contains(element[$0])
        }
        touches.append(isTouched ? 1 : 0)
      }
    }
    let mask = try builder.constant(
      isFirst ? [1] + spatial + [1] + places : spatial + [1] + places + [1], touches)
    let masked = try builder.binary(.multiply, kernel, mask)
    let own = isFirst ? try builder.channelsFirst(x) : x
    let extents = builder.shape(own)
    let width = extents.dropFirst().reduce(1, *)
    let count = places.reduce(filters, *)
    let product = try builder.apply(
      MatrixProduct(transposesA: false, transposesB: false),
      builder.reshape(own, [extents[0], width]), builder.reshape(masked, [width, count]))
    let result = try builder.reshape(
      product, [extents[0]] + (isFirst ? [filters] + places : places + [filters]))
    return isFirst ? try builder.channelsLast(result) : result
  }

  /// As a product for each place with what its window sees.
  private func byPlace(
    _ x: Graph.ID, _ kernel: Graph.ID, _ builder: inout KerasBuilder
  ) throws -> Graph.ID {
    let extents = builder.shape(x)
    let (batch, channels, axes) = (extents[0], extents[windows.axes + 1], windows.axes)
    let spatial = Array(extents[1...axes])
    let places = try places(spatial)
    let before = (0..<axes).map { self.before($0) }
    let after = (0..<axes).map { axis in
      let end = (places[axis] - 1) * windows.strides[axis] + windows.size[axis] - before[axis]
      return max(0, end - spatial[axis])
    }
    let padded =
      (before + after).allSatisfy { $0 == 0 }
      ? x : try builder.apply(Pad(before: [0] + before + [0], after: [0] + after + [0]), x)
    // For every element of the window, what each place sees there, side by side.
    var parts: [Graph.ID] = []
    try forEach(windows.size) { starts in
      parts.append(
        try builder.apply(
          Slice(
            starts: [0] + starts + [0], steps: [1] + windows.strides + [1],
            counts: [batch] + places + [channels]), padded))
    }
    let seen = parts.count == 1 ? parts[0] : try builder.apply(Concatenate(axis: axes + 1), parts)
    let (count, window) = (places.reduce(1, *), windows.size.reduce(1, *))
    var byPlace = try builder.reshape(seen, [batch, count, window, channels])
    if windows.isChannelsFirst { byPlace = try builder.transpose(byPlace, [0, 1, 3, 2]) }
    byPlace = try builder.transpose(
      builder.reshape(byPlace, [batch, count, window * channels]), [1, 0, 2])
    let weights = implementation == 3 ? try listed(kernel, spatial, channels, &builder) : kernel
    let product = try builder.apply(
      MatrixProduct(transposesA: false, transposesB: implementation == 3), byPlace, weights)
    return try builder.reshape(
      builder.transpose(product, [1, 0, 2]), [batch] + places + [filters])
  }

  /// The list of implementation 3 as `[places, filters, window · in]`, in the window's own order.
  private func listed(
    _ kernel: Graph.ID, _ spatial: [Int], _ channels: Int, _ builder: inout KerasBuilder
  ) throws -> Graph.ID {
    let isFirst = windows.isChannelsFirst
    let places = try places(spatial)
    let (count, window) = (places.reduce(1, *), windows.size.reduce(1, *))
    let shape = (isFirst ? [filters, count] : [count, filters]) + [window * channels]
    var result = kernel
    if windows.padding == .valid {
      result = try builder.reshape(kernel, shape)
    } else {
      let length = builder.shape(kernel)[0]
      // Indices are Float32.
      guard length < 1 << 24 else {
        throw CheckpointError(
          .unsupported, Place(), "has \(length) weights in a list with padding same")
      }
      // Where each stands in the list; what is beyond an edge is the zero behind it.
      var (indices, next) = ([Double](), 0)
      func add(_ place: [Int]) {
        func element(_ offset: [Int]) {
          let isTouched = offset.indices.allSatisfy { axis in
            let element = place[axis] * windows.strides[axis] - before(axis) + offset[axis]
            return 0..<spatial[axis] ~= element
          }
          indices.append(Double(isTouched ? next : length))
          if isTouched { next += 1 }
        }
        if isFirst {
          for _ in 0..<channels { forEach(windows.size, element) }
        } else {
          forEach(windows.size) { offset in for _ in 0..<channels { element(offset) } }
        }
      }
      if isFirst {
        for _ in 0..<filters { forEach(places, add) }
      } else {
        forEach(places) { place in for _ in 0..<filters { add(place) } }
      }
      let list = try builder.apply(Pad(before: [0], after: [1]), kernel)
      result = try builder.apply(GatherAxis(axis: 0), list, builder.constant(shape, indices))
    }
    return isFirst ? try builder.transpose(result, [1, 0, 2]) : result
  }

  private func places(_ spatial: [Int]) throws -> [Int] {
    try spatial.enumerated().map { try windows.places($1, $0) }
  }

  /// Every index of so many extents, the last changing first.
  private func forEach(_ extents: [Int], _ body: ([Int]) throws -> Void) rethrows {
    var index = extents.map { _ in 0 }
    for _ in 0..<extents.reduce(1, *) {
      try body(index)
      for axis in extents.indices.reversed() {
        index[axis] += 1
        if index[axis] < extents[axis] { break }
        index[axis] = 0
      }
    }
  }
}

extension PoolingLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    try builder.onChannelsLast(call, windows) { x, builder in
      let added = zip(builder.shape(x).dropFirst(), 0..<windows.axes).map {
        windows.added($0, $1)
      }
      return try builder.apply(
        Pool(
          kind: isMax ? .max : .average, window: windows.size, strides: windows.strides,
          before: added.map(\.before), after: added.map(\.after)), x)
    }
  }
}

extension GlobalPoolingLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
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
    var x = try call.only().id
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
        let part = try builder.part(x, axis: axis, from: range.lowerBound, count: range.count)
        parts.append(
          try builder.apply(
            Reduce(isMax ? .max : .mean, axes: [axis], keepsDimensions: true), part))
      }
      x = parts.count == 1 ? parts[0] : try builder.apply(Concatenate(axis: axis), parts)
    }
    return [KerasValue(x)]
  }
}
