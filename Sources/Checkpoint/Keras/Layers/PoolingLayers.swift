/// The largest or the mean element of each window.
public struct PoolingLayer: KerasLayer {
  public static let classNames = [
    "MaxPooling1D", "MaxPooling2D", "MaxPooling3D", "AveragePooling1D", "AveragePooling2D",
    "AveragePooling3D", "MaxPool1D", "MaxPool2D", "MaxPool3D", "AvgPool1D", "AvgPool2D",
    "AvgPool3D",
  ]

  public let windows: KerasWindows
  public let isMax: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    windows = try KerasWindows(pooling: config, axes: try KerasWindows.axes(of: config))
    isMax = config.className.contains("Max")
    guard windows.padding == .same || windows.padding == .valid else {
      throw config.error("has padding \(windows.padding.rawValue); expected same or valid")
    }
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    [
      try windows.shape(call) { (extent, axis) throws(CheckpointError) in
        try windows.places(extent, axis)
      }
    ]
  }
}

/// The largest or the mean element of all places, channel by channel.
public struct GlobalPoolingLayer: KerasLayer {
  public static let classNames = [
    "GlobalMaxPooling1D", "GlobalMaxPooling2D", "GlobalMaxPooling3D", "GlobalAveragePooling1D",
    "GlobalAveragePooling2D", "GlobalAveragePooling3D", "GlobalMaxPool1D", "GlobalMaxPool2D",
    "GlobalMaxPool3D", "GlobalAvgPool1D", "GlobalAvgPool2D", "GlobalAvgPool3D",
  ]

  public let axes: Int
  public let isMax: Bool
  public let isChannelsFirst: Bool
  public let keepsDimensions: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    axes = try KerasWindows.axes(of: config)
    isMax = config.className.contains("Max")
    isChannelsFirst = try config.isChannelsFirst()
    keepsDimensions = try config.bool("keepdims", default: false)
  }

  /// The axes over which it goes.
  public var pooled: Range<Int> { isChannelsFirst ? 2..<(axes + 2) : 1..<(axes + 1) }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let shape = try call.only()
    guard shape.rank == axes + 2 else {
      throw CheckpointError(
        .mismatch, Place(), "takes \(shape); expected a batch, \(axes) spatial axes and channels")
    }
    var extents = shape.extents
    if keepsDimensions {
      for axis in pooled { extents[axis] = 1 }
    } else {
      extents.removeSubrange(pooled)
    }
    return [KerasShape(extents)]
  }
}

/// Pooling to a given number of places: place i of `size` sees the elements from `i · n / size`, rounded
/// down, to `(i + 1) · n / size`, rounded up.
public struct AdaptivePoolingLayer: KerasLayer {
  public static let classNames = [
    "AdaptiveMaxPooling1D", "AdaptiveMaxPooling2D", "AdaptiveMaxPooling3D",
    "AdaptiveAveragePooling1D", "AdaptiveAveragePooling2D", "AdaptiveAveragePooling3D",
  ]

  public let sizes: [Int]
  public let isMax: Bool
  public let isChannelsFirst: Bool

  /// The most places that an axis may have.
  static let limit = 1 << 12

  public init(_ config: KerasConfig) throws(CheckpointError) {
    sizes = try config.ints("output_size", count: try KerasWindows.axes(of: config))
    isMax = config.className.contains("Max")
    isChannelsFirst = try config.isChannelsFirst()
    guard sizes.allSatisfy({ $0 <= Self.limit }) else {
      throw config.error("its output_size \(sizes) is larger than \(Self.limit)")
    }
  }

  /// The elements that each place of an axis sees.
  public static func ranges(of extent: Int, _ size: Int) -> [Range<Int>] {
    (0..<size).map { ($0 * extent / size)..<((($0 + 1) * extent + size - 1) / size) }
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let shape = try call.only()
    guard shape.rank == sizes.count + 2 else {
      throw CheckpointError(
        .mismatch, Place(),
        "takes \(shape); expected a batch, \(sizes.count) spatial axes and channels")
    }
    var extents = shape.extents
    for (axis, size) in sizes.enumerated() { extents[axis + (isChannelsFirst ? 2 : 1)] = size }
    return [KerasShape(extents)]
  }
}
