/// Batch normalization with the moments of training (arXiv 1502.03167): `gamma · (x − mean) /
/// √(variance + epsilon) + beta` along an axis, or along several with weights of `x`'s rank.
///
/// Sources: `keras/src/layers/normalization/batch_normalization.py` (2.15 and 3);
/// `keras/layers/normalization.py` (Keras 1.2), whose `running_std` holds the variance too.
public struct BatchNormalizationLayer: KerasLayer {
  public static let classNames = [
    "BatchNormalization", "BatchNormalizationV1", "BatchNormalizationV2", "SyncBatchNormalization",
  ]

  /// By which mean and variance it normalizes: Keras 1's `mode`, by its number.
  public enum Moments: Int, Sendable {
    /// Those that training has kept.
    case stored
    /// Each sample's own, over its last axis; the stored ones are not used.
    case sample
    /// Those of the batch that it is given, also after training; the stored ones are not used.
    case batch
  }

  public let hasScale: Bool
  public let hasShift: Bool
  public let epsilon: Double
  public let moments: Moments
  /// Whether it has the three variables of batch renormalization, which count in training only.
  let hasRenormalization: Bool
  private let config: KerasConfig

  public init(_ config: KerasConfig) throws(CheckpointError) {
    self.config = config
    hasScale = try config.bool("scale", default: true)
    hasShift = try config.bool("center", default: true)
    epsilon = try config.double("epsilon", default: 1e-3)
    hasRenormalization = try config.bool("renorm", default: false)
    let mode = try config.int("mode", least: 0, default: 0)
    guard let moments = Moments(rawValue: mode) else {
      throw config.error("mode is \(mode); expected 0, 1 or 2")
    }
    self.moments = moments
    guard epsilon >= 0 else { throw config.error("its epsilon \(epsilon) is negative") }
  }

  /// The axes of a tensor along which the weights lie, in ascending order.
  public func axes(rank: Int) throws(CheckpointError) -> [Int] {
    moments == .sample
      ? [rank - 1] : try config.axes("axis", rank: rank, default: [rank - 1]).sorted()
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let rank = try call.only().rank
    let axes = try axes(rank: rank)
    var shape = axes.count == 1 ? [] : Array(repeating: 1, count: rank)
    for axis in axes {
      let extent = try call.extent(at: axis)
      if axes.count == 1 { shape = [extent] } else { shape[axis] = extent }
    }
    return KerasVariable.numbered(
      (hasScale ? [KerasVariable("gamma", shape)] : [])
        + (hasShift ? [KerasVariable("beta", shape)] : [])
        + [
          KerasVariable("moving_mean", shape, trainable: false),
          KerasVariable("moving_variance", shape, trainable: false),
        ]
        + (hasRenormalization
          ? ["moving_stddev", "renorm_mean", "renorm_stddev"].map {
            KerasVariable($0, shape, trainable: false)
          } : []))
  }
}

/// Layer normalization (arXiv 1607.06450) over one axis or several, with weights of their extents.
///
/// `rms_scaling` of Keras 3 divides by the standard deviation without taking the mean off, and has no
/// shift.
public struct LayerNormalizationLayer: KerasLayer {
  public static let classNames = ["LayerNormalization"]

  public let hasScale: Bool
  public let hasShift: Bool
  public let scalesOnly: Bool
  public let epsilon: Double
  private let config: KerasConfig

  public init(_ config: KerasConfig) throws(CheckpointError) {
    self.config = config
    scalesOnly = try config.bool("rms_scaling", default: false)
    hasScale = try config.bool("scale", default: true) || scalesOnly
    hasShift = try config.bool("center", default: true) && !scalesOnly
    epsilon = try config.double("epsilon", default: 1e-3)
    guard epsilon >= 0 else { throw config.error("its epsilon \(epsilon) is negative") }
  }

  /// The axes over which it goes, as stated.
  public func axes(rank: Int) throws(CheckpointError) -> [Int] {
    try config.axes("axis", rank: rank, default: [rank - 1])
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let shape = try call.extents(at: axes(rank: call.only().rank))
    return KerasVariable.numbered(
      (hasScale ? [KerasVariable("gamma", shape)] : [])
        + (hasShift ? [KerasVariable("beta", shape)] : []))
  }
}

/// Group normalization (arXiv 1803.08494): over all axes but the batch, a part of the channels at a time.
public struct GroupNormalizationLayer: KerasLayer {
  public static let classNames = ["GroupNormalization"]

  /// `nil` for a group of each channel.
  private let stated: Int?
  public let hasScale: Bool
  public let hasShift: Bool
  public let epsilon: Double
  private let config: KerasConfig

  public init(_ config: KerasConfig) throws(CheckpointError) {
    self.config = config
    stated = config["groups"]?.int == -1 ? nil : try config.int("groups", default: 32)
    hasScale = try config.bool("scale", default: true)
    hasShift = try config.bool("center", default: true)
    epsilon = try config.double("epsilon", default: 1e-3)
    guard epsilon >= 0 else { throw config.error("its epsilon \(epsilon) is negative") }
  }

  /// The axis of the channels.
  public func axis(rank: Int) throws(CheckpointError) -> Int {
    let axis = try config.axis("axis", rank: rank, default: rank - 1)
    guard axis > 0 else {
      throw CheckpointError(.mismatch, Place(), "has the batch as its axis of channels")
    }
    return axis
  }

  /// How many groups that many channels make.
  public func groups(of channels: Int) throws(CheckpointError) -> Int {
    let groups = stated ?? channels
    guard groups > 0, channels % groups == 0 else {
      throw CheckpointError(
        .mismatch, Place(), "takes \(channels) channels, which do not make \(groups) equal groups")
    }
    return groups
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let channels = try call.extent(at: axis(rank: call.only().rank))
    _ = try groups(of: channels)
    return KerasVariable.numbered(
      (hasScale ? [KerasVariable("gamma", [channels])] : [])
        + (hasShift ? [KerasVariable("beta", [channels])] : []))
  }
}

/// Instance normalization (arXiv 1607.08022): each channel of each sample alone.
///
/// keras_contrib adds epsilon to the standard deviation, and without an axis it normalizes the whole
/// sample with one gain and shift; TensorFlow Addons' is a group normalization of single channels.
public struct InstanceNormalizationLayer: KerasLayer {
  public static let classNames = ["InstanceNormalization"]

  public let hasScale: Bool
  public let hasShift: Bool
  public let epsilon: Double
  /// Whether epsilon is added to the variance.
  public let isAddons: Bool
  private let config: KerasConfig

  public init(_ config: KerasConfig) throws(CheckpointError) {
    self.config = config
    isAddons = config.json["groups"] != nil || config.className.hasPrefix("Addons")
    hasScale = try config.bool("scale", default: true)
    hasShift = try config.bool("center", default: true)
    epsilon = try config.double("epsilon", default: 1e-3)
    guard epsilon >= 0 else { throw config.error("its epsilon \(epsilon) is negative") }
  }

  /// The axis of the channels; `nil` where the whole sample is normalized.
  public func axis(rank: Int) throws(CheckpointError) -> Int? {
    if config["axis"] == nil, !isAddons { return nil }
    let axis = try config.axis("axis", rank: rank, default: rank - 1)
    guard axis > 0 else {
      throw CheckpointError(.mismatch, Place(), "has the batch as its axis of channels")
    }
    return axis
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let axis = try axis(rank: call.only().rank)
    let shape = [try axis.map { (axis) throws(CheckpointError) in try call.extent(at: axis) } ?? 1]
    return KerasVariable.numbered(
      (hasScale ? [KerasVariable("gamma", shape)] : [])
        + (hasShift ? [KerasVariable("beta", shape)] : []))
  }
}

/// Root mean square normalization (arXiv 1910.07467) over one axis or several.
public struct RMSNormalizationLayer: KerasLayer {
  public static let classNames = ["RMSNormalization"]

  public let epsilon: Double
  private let config: KerasConfig

  public init(_ config: KerasConfig) throws(CheckpointError) {
    self.config = config
    epsilon = try config.double("epsilon", default: 1e-6)
    guard epsilon >= 0 else { throw config.error("its epsilon \(epsilon) is negative") }
  }

  public func axes(rank: Int) throws(CheckpointError) -> [Int] {
    try config.axes("axis", rank: rank, default: [rank - 1]).sorted()
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    KerasVariable.numbered([
      KerasVariable("scale", try call.extents(at: axes(rank: call.only().rank)))
    ])
  }
}

/// `x` divided by its Euclidean norm over one axis or several.
public struct UnitNormalizationLayer: KerasLayer {
  public static let classNames = ["UnitNormalization"]

  /// The least sum of squares by which it divides: 10⁻¹², from Keras 3 on the least norm.
  public let leastSquare: Double
  private let config: KerasConfig

  public init(_ config: KerasConfig) throws(CheckpointError) {
    self.config = config
    leastSquare = config.context.version < 3 ? 1e-12 : 1e-24
  }

  public func axes(rank: Int) throws(CheckpointError) -> [Int] {
    try config.axes("axis", rank: rank, default: [rank - 1])
  }
}

/// A layer whose kernel training divides by its spectral norm (arXiv 1802.05957); what is stored is
/// divided already.
public struct SpectralNormalizationLayer: KerasLayer {
  public static let classNames = ["SpectralNormalization"]

  public let layer: KerasNetwork.Layer

  public init(_ config: KerasConfig) throws(CheckpointError) {
    layer = try config.layer("layer")
  }

  public var inner: [(place: String, layer: KerasNetwork.Layer)] { [("layer", layer)] }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    guard let description = layer.description else { throw layer.unknown }
    let own = try description.variables(call)
    let kernel = own.first { ["kernel", "embeddings", "depthwise_kernel"].contains($0.name) }
    guard let kernel, let width = kernel.shape.last else {
      throw CheckpointError(
        .unsupported, Place(), "wraps \(layer.className), which has no kernel to normalize")
    }
    // The wrapper's first variable is the kernel again.
    return [KerasVariable("vector_u", [1, width], trainable: false, path: "vars/1")]
      + own.map { variable in
        var copy = variable.inside("layer", path: "layer")
        if variable == kernel { copy.alias = "vars/0" }
        return copy
      }
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    guard let description = layer.description else { throw layer.unknown }
    return try description.outputs(call)
  }
}

extension KerasCall<KerasShape> {
  /// The extents of some axes of the only input.
  func extents(at axes: [Int]) throws(CheckpointError) -> [Int] {
    var extents: [Int] = []
    for axis in axes { extents.append(try extent(at: axis)) }
    return extents
  }
}
