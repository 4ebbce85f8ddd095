/// A convolution over one to three axes: kernel `[k…, in / groups, filters]`, bias `[filters]`.
///
/// Sources: `keras/src/layers/convolutional/base_conv.py` (Keras 3), `keras/layers/convolutional.py`
/// (Keras 1.2), where `subsample` is the stride and `border_mode` the padding.
public struct ConvolutionLayer: KerasLayer {
  public static let classNames = [
    "Conv1D", "Conv2D", "Conv3D", "Convolution1D", "Convolution2D", "Convolution3D",
    "AtrousConv1D", "AtrousConv2D", "AtrousConvolution1D", "AtrousConvolution2D",
  ]

  public let windows: KerasWindows
  public let filters: Int
  public let groups: Int
  public let usesBias: Bool
  public let activation: KerasActivation
  let stored: KerasStoredKernels

  public init(_ config: KerasConfig) throws(CheckpointError) {
    windows = try KerasWindows(convolution: config, axes: try KerasWindows.axes(of: config))
    filters = try config.int("filters", "nb_filter")
    groups = try config.int("groups", default: 1)
    usesBias = try config.bool("use_bias", "bias", default: true)
    activation = try config.activation()
    stored = KerasStoredKernels(config, windows)
    guard filters % groups == 0 else {
      throw config.error("its \(filters) filters do not make \(groups) equal groups")
    }
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let channels = try windows.channels(call, leading: true)
    guard channels % groups == 0 else {
      throw CheckpointError(
        .mismatch, Place(), "takes \(channels) channels, which do not make \(groups) equal groups")
    }
    return KerasVariable.numbered(
      [KerasVariable("kernel", windows.size + [channels / groups, filters])]
        + (usesBias ? [KerasVariable("bias", [filters])] : []))
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    [
      try windows.shape(call, channels: filters, leading: true) {
        (extent, axis) throws(CheckpointError) in try windows.places(extent, axis)
      }
    ]
  }

  public func adapted(
    _ tensors: [Tensor], to variables: [KerasVariable]
  ) throws(CheckpointError) -> [Weight]? {
    try stored.adapted(tensors, to: variables, .kernel)
  }
}

/// A convolution that sees each channel alone: kernel `[k…, in, multiplier]`, bias
/// `[in · multiplier]`.
public struct DepthwiseConvolutionLayer: KerasLayer {
  public static let classNames = ["DepthwiseConv1D", "DepthwiseConv2D"]

  public let windows: KerasWindows
  public let multiplier: Int
  public let usesBias: Bool
  public let activation: KerasActivation

  public init(_ config: KerasConfig) throws(CheckpointError) {
    windows = try KerasWindows(convolution: config, axes: try KerasWindows.axes(of: config))
    multiplier = try config.int("depth_multiplier", default: 1)
    usesBias = try config.bool("use_bias", "bias", default: true)
    activation = try config.activation()
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let channels = try windows.channels(call)
    return KerasVariable.numbered(
      [KerasVariable("depthwise_kernel", windows.size + [channels, multiplier])]
        + (usesBias ? [KerasVariable("bias", [try channels.times(multiplier)])] : []))
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    [
      try windows.shape(call, channels: try windows.channels(call).times(multiplier)) {
        (extent, axis) throws(CheckpointError) in try windows.places(extent, axis)
      }
    ]
  }
}

/// A depthwise convolution and one of size 1 behind it: kernels `[k…, in, multiplier]` and
/// `[1…, in · multiplier, filters]`, bias `[filters]`.
public struct SeparableConvolutionLayer: KerasLayer {
  public static let classNames = [
    "SeparableConv1D", "SeparableConv2D", "SeparableConvolution1D", "SeparableConvolution2D",
  ]

  public let windows: KerasWindows
  public let filters: Int
  public let multiplier: Int
  public let usesBias: Bool
  public let activation: KerasActivation
  let stored: KerasStoredKernels

  public init(_ config: KerasConfig) throws(CheckpointError) {
    windows = try KerasWindows(convolution: config, axes: try KerasWindows.axes(of: config))
    filters = try config.int("filters", "nb_filter")
    multiplier = try config.int("depth_multiplier", default: 1)
    usesBias = try config.bool("use_bias", "bias", default: true)
    activation = try config.activation()
    stored = KerasStoredKernels(config, windows)
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let channels = try windows.channels(call)
    let one = windows.size.map { _ in 1 }
    return KerasVariable.numbered(
      [
        KerasVariable("depthwise_kernel", windows.size + [channels, multiplier]),
        KerasVariable("pointwise_kernel", one + [try channels.times(multiplier), filters]),
      ] + (usesBias ? [KerasVariable("bias", [filters])] : []))
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    [
      try windows.shape(call, channels: filters) { (extent, axis) throws(CheckpointError) in
        try windows.places(extent, axis)
      }
    ]
  }

  public func adapted(
    _ tensors: [Tensor], to variables: [KerasVariable]
  ) throws(CheckpointError) -> [Weight]? {
    try stored.adapted(tensors, to: variables, .unflippedKernel)
  }
}

/// The transpose of a convolution: kernel `[k…, filters, in]`, bias `[filters]`.
///
/// Keras 1 calls it `Deconvolution2D` and tells the shape that comes out.
public struct TransposedConvolutionLayer: KerasLayer {
  public static let classNames = [
    "Conv1DTranspose", "Conv2DTranspose", "Conv3DTranspose", "Convolution1DTranspose",
    "Convolution2DTranspose", "Convolution3DTranspose", "Deconvolution2D", "Deconvolution3D",
  ]

  public let windows: KerasWindows
  public let filters: Int
  /// What is added at the end of each axis; without it, the shape follows from the padding.
  public let outputPadding: [Int]?
  /// The spatial extents that come out, where the configuration tells them.
  public let sizes: [Int]?
  public let usesBias: Bool
  public let activation: KerasActivation
  let stored: KerasStoredKernels

  public init(_ config: KerasConfig) throws(CheckpointError) {
    let windows = try KerasWindows(convolution: config, axes: try KerasWindows.axes(of: config))
    guard windows.padding == .same || windows.padding == .valid else {
      throw config.error("has padding \(windows.padding.rawValue); expected same or valid")
    }
    self.windows = windows
    filters = try config.int("filters", "nb_filter")
    outputPadding =
      config["output_padding"] == nil
      ? nil : try config.ints("output_padding", count: windows.axes, least: 0)
    usesBias = try config.bool("use_bias", "bias", default: true)
    activation = try config.activation()
    stored = KerasStoredKernels(config, windows)
    guard let shape = config["output_shape"], let items = KerasConfig.items(shape),
      items.count == windows.axes + 2
    else {
      sizes = nil
      return
    }
    let spatial = windows.isChannelsFirst ? items[2...] : items[1...windows.axes]
    let extents = spatial.compactMap(\.int)
    guard extents.count == windows.axes, extents.allSatisfy({ 1..<KerasConfig.largest ~= $0 })
    else {
      throw config.error("its output_shape is \(shape.compact); expected whole numbers")
    }
    sizes = extents
  }

  /// The extent of an axis in the result, and what is cut off before it.
  public func result(_ extent: Int, _ axis: Int) throws(CheckpointError) -> (size: Int, before: Int)
  {
    let (reach, stride) = (windows.reach(axis), windows.strides[axis])
    let isSame = windows.padding == .same
    let size: Int
    if let sizes {
      size = sizes[axis]
    } else if let outputPadding {
      size =
        (extent - 1) * stride + reach - (isSame ? 2 * (reach / 2) : 0) + outputPadding[axis]
    } else {
      size = extent * stride + (isSame ? 0 : max(reach - stride, 0))
    }
    guard size > 0, size < KerasConfig.largest else {
      throw CheckpointError(.mismatch, Place(), "would make \(size) of an axis of \(extent)")
    }
    // What the convolution that it transposes would have added to `size`.
    return (size, isSame ? max(0, (extent - 1) * stride + reach - size) / 2 : 0)
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    KerasVariable.numbered(
      [KerasVariable("kernel", windows.size + [filters, try windows.channels(call)])]
        + (usesBias ? [KerasVariable("bias", [filters])] : []))
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    [
      try windows.shape(call, channels: filters) { (extent, axis) throws(CheckpointError) in
        try result(extent, axis).size
      }
    ]
  }

  public func adapted(
    _ tensors: [Tensor], to variables: [KerasVariable]
  ) throws(CheckpointError) -> [Weight]? {
    try stored.adapted(tensors, to: variables, .transposedKernel)
  }
}

extension Int {
  /// The product, where it is a possible extent.
  fileprivate func times(_ other: Int) throws(CheckpointError) -> Int {
    let (product, overflow) = multipliedReportingOverflow(by: other)
    guard !overflow, product < KerasConfig.largest else {
      throw CheckpointError(.mismatch, Place(), "would have \(self) · \(other) channels")
    }
    return product
  }
}

/// How older versions and Theano keep kernels of convolutions.
///
/// Keras 1 has `[filters, in, k…]` with channels first, and `[length, 1, in, filters]` (before 1.2
/// `[filters, in, length, 1]`) over one axis. Theano turns the window round, whatever the version.
/// Source: `preprocess_weights_for_loading` (`keras/src/saving/legacy/hdf5_format.py`, Keras 2.15) and
/// `convert_kernel` (Keras 2.3).
struct KerasStoredKernels: Sendable {
  enum Kind {
    case kernel
    /// Which is a correlation on every backend.
    case unflippedKernel
    case transposedKernel
  }

  let axes: Int
  let isChannelsFirst: Bool
  let isOld: Bool
  let isFlipped: Bool

  init(_ config: KerasConfig, _ windows: KerasWindows) {
    axes = windows.axes
    isChannelsFirst = windows.isChannelsFirst
    isOld = config.context.version == 1
    isFlipped = config.context.backend == "theano" && config.context.version < 3
  }

  /// The tensors as the layer's variables; `nil` where nothing is to be done.
  func adapted(
    _ tensors: [Tensor], to variables: [KerasVariable], _ kind: Kind
  ) throws(CheckpointError) -> [Weight]? {
    let flips = isFlipped && kind != .unflippedKernel
    let (spatial, count) = (Array(0..<axes), axes)
    guard tensors.count == variables.count, isOld || flips else { return nil }
    var weights: [Weight] = []
    for (tensor, variable) in zip(tensors, variables) {
      guard variable.shape.count == axes + 2 else {
        weights.append(try KerasModel.weight(variable, tensor))
        continue
      }
      var orders: [[Int]] = [Array(0..<(count + 2))]
      if isOld {
        let isTransposed = kind == .transposedKernel
        // [filters, in, k…], and for a transpose [k…, in, filters].
        let first = spatial.map { $0 + 2 } + (isTransposed ? [0, 1] : [1, 0])
        let last = isTransposed ? spatial + [count + 1, count] : orders[0]
        orders = isChannelsFirst ? [first, last] : [last, first]
      }
      var kernel = tensor
      if isOld, axes == 1, tensor.shape.rank == 4 {
        // One axis of size 1 stands beside the window's.
        let extents = tensor.shape.extents
        let last = [extents[0], extents[2], extents[3]]
        let isNew = extents[1] == 1 && last == variable.shape
        guard isNew || extents[3] == 1 else {
          throw CheckpointError(
            .mismatch, .tensor(tensor.name),
            "has shape \(tensor.shape); the configuration gives \(variable.name) \(variable.shape)")
        }
        kernel = try tensor.reshaped(to: Shape(isNew ? last : Array(extents[..<3])))
        orders = isNew ? [[0, 1, 2]] : [[2, 1, 0]]
      }
      let extents = kernel.shape.extents
      let order = orders.first {
        extents.count == $0.count && $0.map { extents[$0] } == variable.shape
      }
      guard let order else {
        throw CheckpointError(
          .mismatch, .tensor(tensor.name),
          "has shape \(tensor.shape); the configuration gives \(variable.name) \(variable.shape)")
      }
      weights.append(
        Weight(
          variable.name, try kernel.permuted(order, reversing: flips ? axes : 0),
          sources: [tensor.name]))
    }
    return weights
  }
}

extension Tensor {
  /// The tensor with axes of 1 repeated to larger extents; as it is where the shapes do not agree.
  func repeated(to extents: [Int]) throws(CheckpointError) -> Tensor {
    guard shape.extents != extents, shape.rank == extents.count,
      zip(shape.extents, extents).allSatisfy({ $0 == $1 || $0 == 1 })
    else { return self }
    let steps = zip(shape.strides, shape.extents).map { $1 == 1 ? 0 : $0 }
    var tensor = self
    tensor.shape = Shape(extents)
    tensor.payload = try StridedPayload(
      stored: payload, shape: tensor.shape, strides: steps, size: dtype.size)
    return tensor
  }

  /// The same elements with their axes in another order, and the first few of these turned round.
  func permuted(_ order: [Int], reversing reversed: Int) throws(CheckpointError) -> Tensor {
    let extents = order.map { shape.extents[$0] }
    let steps = order.map { shape.strides[$0] }
    var tensor = self
    tensor.shape = Shape(extents)
    if order != Array(order.indices) {
      tensor.payload = try StridedPayload(
        stored: payload, shape: tensor.shape, strides: steps, size: dtype.size)
    }
    guard reversed > 0 else { return tensor }
    // Every element of the leading axes, those last in front.
    let count = extents[..<reversed].reduce(1, *)
    let inner = extents[reversed...].reduce(1, *)
    var parts: [PartitionedPayload.Part] = []
    for place in 0..<count {
      let part = try StridedPayload(
        stored: tensor.payload, shape: [1, inner], strides: [inner, 1],
        origin: (count - 1 - place) * inner, size: dtype.size)
      parts.append(.init(box: Box(start: [place, 0], extents: [1, inner]), payload: part))
    }
    tensor.payload = try PartitionedPayload(
      shape: [count, inner], size: dtype.size, parts: parts)
    return tensor
  }
}

/// A convolution with a kernel of its own for every place; bias `[places…, filters]`.
///
/// `implementation` says how the kernel is kept: 1 as `[places, k… · in, filters]`; 2 as
/// `[extents…, in, places…, filters]`, of which only what a window touches counts; 3 as a list of these
/// elements, place by place and filter by filter. With channels first `in` and `filters` stand before
/// what is spatial.
///
/// Source: `keras/src/layers/locally_connected` (2.15), whose padding `same` puts half a window before
/// each place, whatever the stride.
public struct LocallyConnectedLayer: KerasLayer {
  public static let classNames = ["LocallyConnected1D", "LocallyConnected2D"]

  public let windows: KerasWindows
  public let filters: Int
  public let usesBias: Bool
  public let activation: KerasActivation
  public let implementation: Int

  public init(_ config: KerasConfig) throws(CheckpointError) {
    windows = try KerasWindows(convolution: config, axes: try KerasWindows.axes(of: config))
    filters = try config.int("filters", "nb_filter")
    usesBias = try config.bool("use_bias", "bias", default: true)
    activation = try config.activation()
    implementation = try config.int("implementation", default: 1)
    guard implementation <= 3 else {
      throw config.error("implementation is \(implementation); expected 1, 2 or 3")
    }
    guard windows.padding == .valid || windows.padding == .same && implementation > 1 else {
      throw config.error(
        "has padding \(windows.padding.rawValue) with implementation \(implementation)")
    }
    guard windows.dilation.allSatisfy({ $0 == 1 }) else {
      throw config.error("has dilation \(windows.dilation), which this class does not know")
    }
  }

  /// How far the first window reaches beyond the beginning of an axis.
  public func before(_ axis: Int) -> Int { windows.padding == .same ? windows.size[axis] / 2 : 0 }

  /// What the window at a place of an axis touches.
  public func touched(_ place: Int, _ axis: Int, of extent: Int) -> Range<Int> {
    let start = place * windows.strides[axis] - before(axis)
    let end = min(start + windows.size[axis], extent)
    return min(max(start, 0), max(end, 0))..<max(end, 0)
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let channels = try windows.channels(call)
    let (input, result) = (try call.only(), try outputs(call)[0])
    func spatial(_ shape: KerasShape) -> [Int] {
      let extents =
        windows.isChannelsFirst ? shape.extents[2...] : shape.extents.dropFirst().dropLast()
      return extents.compactMap { $0 }
    }
    let (extents, places) = (spatial(input), spatial(result))
    guard places.count == windows.axes, extents.count == windows.axes else {
      throw CheckpointError(
        .mismatch, Place(), "takes \(input), whose spatial extents must be known")
    }
    func product(_ factors: [Int]) throws(CheckpointError) -> Int {
      var product = 1
      for factor in factors { product = try product.times(factor) }
      return product
    }
    let kernel: [Int]
    switch implementation {
    case 1: kernel = [try product(places), try product(windows.size + [channels]), filters]
    case 2:
      kernel =
        windows.isChannelsFirst
        ? [channels] + extents + [filters] + places : extents + [channels] + places + [filters]
    default:
      var touched: [Int] = []
      for axis in 0..<windows.axes {
        touched.append(
          (0..<places[axis]).reduce(0) { $0 + self.touched($1, axis, of: extents[axis]).count })
      }
      kernel = [try product(touched + [channels, filters])]
    }
    return KerasVariable.numbered(
      [KerasVariable("kernel", kernel)]
        + (usesBias ? [KerasVariable("bias", places + [filters])] : []))
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    [
      try windows.shape(call, channels: filters) { (extent, axis) throws(CheckpointError) in
        try windows.places(extent, axis)
      }
    ]
  }
}
