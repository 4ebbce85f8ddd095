/// Where the windows of a convolution or of pooling stand, as Keras places them on every backend:
/// along each spatial axis a size, a stride, a dilation, and what is added at the ends.
public struct KerasWindows: Sendable {
  public enum Padding: String, Sendable, CaseIterable {
    case valid
    /// As many places as strides fit; what is missing is added half before, the odd one behind.
    case same
    /// All of it before, so that no place sees what comes after it.
    case causal
    /// Every window that touches an element.
    case full
  }

  public let size: [Int]
  public let strides: [Int]
  public let dilation: [Int]
  public let padding: Padding
  public let isChannelsFirst: Bool

  public var axes: Int { size.count }

  init(
    size: [Int], strides: [Int], dilation: [Int], padding: Padding, isChannelsFirst: Bool
  ) {
    self.size = size
    self.strides = strides
    self.dilation = dilation
    self.padding = padding
    self.isChannelsFirst = isChannelsFirst
  }

  /// Reads what a convolution says of them.
  init(convolution config: KerasConfig, axes: Int) throws(CheckpointError) {
    let old: [String] =
      switch axes {
      case 2 where config["nb_row"] != nil: ["nb_row", "nb_col"]
      case 3 where config["kernel_dim1"] != nil: ["kernel_dim1", "kernel_dim2", "kernel_dim3"]
      default: []
      }
    var size: [Int] = []
    for key in old { size.append(try config.int(key)) }
    if old.isEmpty { size = try config.ints("kernel_size", "filter_length", count: axes) }
    let one = Array(repeating: 1, count: axes)
    self.init(
      size: size,
      strides: try config.ints(
        "strides", "subsample", "subsample_length", count: axes, default: one),
      dilation: try config.ints("dilation_rate", "atrous_rate", count: axes, default: one),
      padding: try config.choice("padding", "border_mode", default: .valid),
      isChannelsFirst: try config.isChannelsFirst())
    var count = 1
    for extent in size where count < KerasConfig.largest { count *= extent }
    guard count < KerasConfig.largest else {
      throw config.error("its kernel of \(size) is too large")
    }
  }

  /// Reads what pooling says of them.
  init(pooling config: KerasConfig, axes: Int) throws(CheckpointError) {
    let size = try config.ints(
      "pool_size", "pool_length", count: axes, default: Array(repeating: 2, count: axes))
    self.init(
      size: size, strides: try config.ints("strides", "stride", count: axes, default: size),
      dilation: Array(repeating: 1, count: axes),
      padding: try config.choice("padding", "border_mode", default: .valid),
      isChannelsFirst: try config.isChannelsFirst())
  }

  /// How far a window reaches along an axis.
  public func reach(_ axis: Int) -> Int { (size[axis] - 1) * dilation[axis] + 1 }

  /// How many places a window has along an axis.
  ///
  /// - Throws: ``CheckpointError`` where none fits.
  public func places(_ extent: Int, _ axis: Int) throws(CheckpointError) -> Int {
    let (reach, stride) = (reach(axis), strides[axis])
    switch padding {
    case .same, .causal: return (extent + stride - 1) / stride
    case .full: return (extent + reach - 2) / stride + 1
    case .valid:
      guard extent >= reach else {
        throw CheckpointError(
          .mismatch, Place(), "has windows of \(reach) along an axis that has \(extent)")
      }
      return (extent - reach) / stride + 1
    }
  }

  /// What is added before and after an axis.
  public func added(_ extent: Int, _ axis: Int) -> (before: Int, after: Int) {
    let reach = reach(axis)
    switch padding {
    case .valid: return (0, 0)
    case .full: return (reach - 1, reach - 1)
    case .causal: return (reach - 1, 0)
    case .same:
      let places = (extent + strides[axis] - 1) / strides[axis]
      let missing = max(0, (places - 1) * strides[axis] + reach - extent)
      return (missing / 2, missing - missing / 2)
    }
  }

  /// Where channels stand in a shape of this rank; `nil` where the rank does not fit.
  ///
  /// - Parameter leading: whether more axes than the batch may come first.
  func channelAxis(_ shape: KerasShape, leading: Bool = false) -> Int? {
    guard shape.rank == axes + 2 || (leading && !isChannelsFirst && shape.rank > axes + 2) else {
      return nil
    }
    return isChannelsFirst ? 1 : shape.rank - 1
  }

  /// The channels of what comes in.
  func channels(_ call: KerasCall<KerasShape>, leading: Bool = false) throws(CheckpointError) -> Int
  {
    let shape = try call.only()
    guard let axis = channelAxis(shape, leading: leading) else { throw misfit(shape) }
    let channels = try call.extent(at: axis)
    guard channels > 0 else { throw misfit(shape) }
    return channels
  }

  /// The shape with other spatial extents and, where they are told, other channels.
  func shape(
    _ call: KerasCall<KerasShape>, channels: Int? = nil, leading: Bool = false,
    _ spatial: (Int, Int) throws(CheckpointError) -> Int
  ) throws(CheckpointError) -> KerasShape {
    let shape = try call.only()
    guard let axis = channelAxis(shape, leading: leading) else { throw misfit(shape) }
    var extents = shape.extents
    let first = axis == 1 && isChannelsFirst ? 2 : axis - axes
    for place in 0..<axes {
      if let extent = extents[first + place] { extents[first + place] = try spatial(extent, place) }
    }
    if let channels { extents[axis] = channels }
    return KerasShape(extents)
  }

  /// That a shape has not the axes that it should have.
  func misfit(_ shape: KerasShape) -> CheckpointError {
    CheckpointError(
      .mismatch, Place(),
      "takes \(shape); expected a batch, \(axes) spatial axes and channels"
        + (isChannelsFirst ? ", the channels first" : ""))
  }

  /// The number of spatial axes that a class has in its name: `Conv2D`, `Addons>Conv2D`.
  static func axes(of config: KerasConfig) throws(CheckpointError) -> Int {
    guard let digit = config.className.last(where: \.isNumber)?.wholeNumberValue, 1...3 ~= digit
    else {
      throw config.error("is of a class whose number of axes is not known", kind: .unsupported)
    }
    return digit
  }
}
