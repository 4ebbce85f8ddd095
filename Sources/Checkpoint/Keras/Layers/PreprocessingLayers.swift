/// `x · scale + offset`, each a number or one for each channel.
public struct RescalingLayer: KerasLayer {
  public static let classNames = ["Rescaling"]

  public let scale: KerasNumbers
  public let offset: KerasNumbers
  /// Keras 3 hands a mask on.
  public let keepsMask: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    scale = try config.array("scale", default: 1)
    offset = try config.array("offset", default: 0)
    keepsMask = config.context.version >= 3
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let shapes = [scale, offset].map { KerasShape($0.shape.map { $0 }) }
    return [try KerasShape.broadcast([try call.only()] + shapes)]
  }
}

/// `(x − mean) / √variance`, or back with `invert`; the two are in the config or were found by `adapt`.
public struct NormalizationLayer: KerasLayer {
  public static let classNames = ["Normalization"]

  /// The axes of which every place has its own; as stated.
  public let axes: [Int]
  public let inverts: Bool
  /// Stated ones.
  public let mean: KerasNumbers?
  public let variance: KerasNumbers?
  public let keepsMask: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    // `null` is written as an empty list; a missing key is the last axis.
    axes =
      config.json["axis"] == .null ? [] : try config.signedInts("axis", default: [-1])
    inverts = try config.bool("invert", default: false)
    (mean, variance) =
      config["mean"] == nil ? (nil, nil) : (try config.array("mean"), try config.array("variance"))
    keepsMask = config.context.version >= 3
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    guard mean == nil else { return [] }
    var shape: [Int] = []
    for axis in try KerasConfig.counted(axes, rank: try call.only().rank).sorted() {
      shape.append(try call.extent(at: axis))
    }
    return KerasVariable.numbered([
      KerasVariable("mean", shape, trainable: false),
      KerasVariable("variance", shape, trainable: false),
      KerasVariable("count", [], trainable: false),
    ])
  }
}

/// In which of the intervals between `bin_boundaries` each number lies.
public struct DiscretizationLayer: KerasLayer {
  public static let classNames = ["Discretization"]

  public let boundaries: [Double]
  public let encoding: CategoryEncodingLayer?

  public init(_ config: KerasConfig) throws(CheckpointError) {
    guard config["bin_boundaries", "bins"] != nil else {
      throw config.error(
        "has no bin_boundaries: those that adapt found are not in the file", kind: .unsupported)
    }
    let array = try config.array(config["bin_boundaries"] == nil ? "bins" : "bin_boundaries")
    boundaries = array.values
    guard array.shape.count == 1, zip(boundaries, boundaries.dropFirst()).allSatisfy({ $0 <= $1 })
    else { throw config.error("bin_boundaries are no ascending list") }
    let mode = try config.text("output_mode", default: "int")
    if mode == "int" {
      encoding = nil
    } else {
      encoding = try CategoryEncodingLayer(config, mode: mode, count: boundaries.count + 1)
    }
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    guard let encoding else { return [try call.only()] }
    return try encoding.outputs(call)
  }
}

/// Ids as rows of numbers: 1 at the id, or at every id of the sample, or how often each stands in it.
public struct CategoryEncodingLayer: KerasLayer {
  public static let classNames = ["CategoryEncoding"]

  public enum Mode: String, Sendable, CaseIterable {
    case oneHot = "one_hot"
    case multiHot = "multi_hot"
    case count
  }

  public let mode: Mode
  public let count: Int

  public init(_ config: KerasConfig) throws(CheckpointError) {
    try self.init(
      config, mode: config.text("output_mode", default: "multi_hot"),
      count: try config.int("num_tokens", "max_tokens"))
  }

  init(_ config: KerasConfig, mode: String, count: Int) throws(CheckpointError) {
    // As they were called before 2.6.
    let name = mode == "binary" ? "multi_hot" : mode
    guard let mode = Mode(rawValue: name) else {
      throw config.error(
        "output_mode \(name) is not supported", kind: .unsupported,
        hint: "known: \(Mode.allCases.map(\.rawValue).joined(separator: ", "))")
    }
    guard try !config.bool("sparse", default: false) else {
      throw config.error("sparse results are not supported", kind: .unsupported)
    }
    (self.mode, self.count) = (mode, count)
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    guard let shape = call.inputs.first else {
      throw CheckpointError(.mismatch, Place(), "takes one tensor; it is given none")
    }
    if mode == .oneHot, shape[-1] != 1 { return [KerasShape(shape.extents + [count])] }
    return [shape.ending(in: count)]
  }
}

/// Numbers that a config states, with the shape in which they stand there.
public struct KerasNumbers: Sendable, Equatable {
  public var shape: [Int]
  public var values: [Double]

  public init(shape: [Int], values: [Double]) {
    self.shape = shape
    self.values = values
  }

  public init(_ number: Double) { self.init(shape: [], values: [number]) }

  /// Numbers in lists of equal length, flags as 1 and 0; what Keras writes of NumPy's arrays too.
  ///
  /// `nil` for anything else.
  public init?(_ json: JSON) {
    if let value = json["value"], json["class_name"] != nil || json["type"] != nil {
      self.init(value)
      return
    }
    if let value = json["config"]?["value"], json["class_name"] != nil {
      self.init(value)
      return
    }
    if let number = json.double ?? json.bool.map({ $0 ? 1 : 0 }) {
      self.init(number)
      return
    }
    guard let items = KerasConfig.items(json) else { return nil }
    var (shape, values): ([Int]?, [Double]) = (nil, [])
    for item in items {
      guard let part = KerasNumbers(item), shape == nil || shape == part.shape else { return nil }
      shape = part.shape
      values += part.values
    }
    self.init(shape: [items.count] + (shape ?? []), values: values)
  }
}

extension KerasConfig {
  /// A number, or lists of numbers; with a default it may be missing.
  func array(_ key: String, default fallback: Double? = nil) throws(CheckpointError) -> KerasNumbers {
    guard let value = self[key] else {
      if let fallback { return KerasNumbers(fallback) }
      throw error("its config has no \(key); expected numbers")
    }
    guard let array = KerasNumbers(value), array.values.allSatisfy(\.isFinite) else {
      throw error("\(key) is \(value.compact.prefix(80)); expected numbers")
    }
    return array
  }
}
