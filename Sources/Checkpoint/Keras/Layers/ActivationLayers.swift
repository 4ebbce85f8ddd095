/// `exp(x) / Σ exp(x)` over one or several axes; an input called `mask` leaves elements out.
public struct SoftmaxLayer: KerasLayer {
  public static let classNames = ["Softmax"]

  /// As stated; negative ones count from the end.
  public let axes: [Int]
  /// Keras 3 makes masked elements exactly 0.
  public let zeroesMasked: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    axes = try config.signedInts("axis", default: [-1])
    guard !axes.isEmpty else { throw config.error("axis is an empty list") }
    zeroesMasked = config.context.version >= 3
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let shape = try call.only()
    _ = try KerasConfig.counted(axes, rank: shape.rank)
    return [shape]
  }
}

/// `max_value` from there on, `x` above the threshold, else `negative_slope · (x − threshold)`.
public struct ReLULayer: KerasLayer {
  public static let classNames = ["ReLU"]

  public let activation: KerasActivation

  public init(_ config: KerasConfig) throws(CheckpointError) {
    activation = KerasActivation(
      name: "relu",
      parameters: try config.numbers(["max_value", "negative_slope", "threshold"]))
  }
}

/// Activations with one parameter: `LeakyReLU(alpha or negative_slope)`, `ELU(alpha)` and
/// `ThresholdedReLU(theta)`.
public struct RectifierLayer: KerasLayer {
  public static let classNames = ["LeakyReLU", "ELU", "ThresholdedReLU"]

  public let activation: KerasActivation

  public init(_ config: KerasConfig) throws(CheckpointError) {
    switch config.className {
    case "LeakyReLU":
      let slope = try config.double("negative_slope", "alpha", default: 0.3)
      activation = KerasActivation(name: "leaky_relu", parameters: ["negative_slope": slope])
    case "ELU":
      activation = KerasActivation(
        name: "elu", parameters: ["alpha": try config.double("alpha", default: 1)])
    default:
      activation = KerasActivation(
        name: "thresholded_relu", parameters: ["theta": try config.double("theta", default: 1)])
    }
  }
}

/// Functions whose parameters are trained, one number for each place of the input but the batch, 1 on
/// the axes that share it.
///
/// `PReLU`: `x` above 0, else `alpha · x`. Keras 1's `ParametricSoftplus`: `alpha · log(1 + exp(beta · x))`;
/// `SReLU`: straight lines below `t_left` and above `t_left + |t_right|`.
public struct TrainedActivationLayer: KerasLayer {
  public static let classNames = ["PReLU", "ParametricSoftplus", "SReLU"]

  public enum Kind: String, Sendable {
    case prelu = "PReLU"
    case parametricSoftplus = "ParametricSoftplus"
    case srelu = "SReLU"
  }

  public let kind: Kind
  private let isOld: Bool
  /// From 1, the first after the batch; as stated.
  public let sharedAxes: [Int]

  public init(_ config: KerasConfig) throws(CheckpointError) {
    guard let kind = Kind(rawValue: config.plainClassName) else {
      throw config.error("is no activation with trained parameters", kind: .unsupported)
    }
    self.kind = kind
    isOld = config.context.version == 1
    sharedAxes = try config.signedInts("shared_axes", default: [])
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let input = try call.only()
    let shared = try KerasConfig.counted(sharedAxes, rank: input.rank)
    var shape: [Int] = []
    for axis in input.extents.indices.dropFirst() {
      shape.append(shared.contains(axis) ? 1 : try call.extent(at: axis))
    }
    let names =
      switch kind {
      case .prelu: ["alpha"]
      case .parametricSoftplus: ["alpha", "beta"]
      case .srelu: ["t_left", "a_left", "t_right", "a_right"]
      }
    return KerasVariable.numbered(names.map { KerasVariable($0, shape) })
  }

  /// Keras 1 does not write which axes share a number: the stored extents of 1 say it.
  public func adapted(
    _ stored: [Tensor], to variables: [KerasVariable]
  ) throws(CheckpointError) -> [Weight]? {
    guard isOld, stored.count == variables.count else { return nil }
    var weights: [Weight] = []
    for (tensor, variable) in zip(stored, variables) {
      weights.append(try KerasModel.weight(variable, tensor.repeated(to: variable.shape)))
    }
    return weights
  }
}
