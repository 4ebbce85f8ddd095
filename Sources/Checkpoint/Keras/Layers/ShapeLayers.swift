/// The same elements under `target_shape`, the batch apart; one extent may be −1.
public struct ReshapeLayer: KerasLayer {
  public static let classNames = ["Reshape"]

  public let target: [Int]

  public init(_ config: KerasConfig) throws(CheckpointError) {
    target = try config.ints("target_shape", "dims", count: nil, least: -1)
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let shape = try call.only()
    guard target.contains(-1), let count = shape.count(from: 1) else {
      return [KerasShape([shape[0]] + target.map { $0 < 0 ? nil : $0 })]
    }
    return [KerasShape([shape[0]] + (try KerasShape.filled(target, count: count)))]
  }
}

/// The axes after the batch in another order: `dims` counts from 1.
public struct PermuteLayer: KerasLayer {
  public static let classNames = ["Permute"]

  /// All axes, the batch's first.
  public let axes: [Int]

  public init(_ config: KerasConfig) throws(CheckpointError) {
    let dims = try config.ints("dims", count: nil)
    guard dims.sorted() == Array(1..<(dims.count + 1)) else {
      throw config.error("dims is \(dims); expected the axes from 1 in another order")
    }
    axes = [0] + dims
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let shape = try call.only()
    guard shape.rank == axes.count else {
      throw CheckpointError(.mismatch, Place(), "orders \(axes.count) axes; it is given \(shape)")
    }
    return [KerasShape(axes.map { shape[$0] })]
  }
}

/// A vector `n` times: `[batch, width] → [batch, n, width]`.
public struct RepeatVectorLayer: KerasLayer {
  public static let classNames = ["RepeatVector"]

  public let count: Int

  public init(_ config: KerasConfig) throws(CheckpointError) { count = try config.int("n") }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let shape = try call.only()
    guard shape.rank == 2 else {
      throw CheckpointError(.mismatch, Place(), "repeats vectors; it is given \(shape)")
    }
    return [KerasShape([shape[0], count, shape[1]])]
  }
}

/// Zeros around the spatial axes, or elements cut off there.
public struct BorderLayer: KerasLayer {
  public static let classNames = [
    "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D", "Cropping1D", "Cropping2D", "Cropping3D",
  ]

  public let isCropping: Bool
  /// `[before, after]` of each spatial axis.
  public let pairs: [[Int]]
  public let isChannelsFirst: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    let name = config.plainClassName
    isCropping = name.hasPrefix("Cropping")
    let count = try config.spatialAxes()
    if let named = config["padding"], let all = named.members,
      named["class_name"] == nil
    {
      // Keras 1: {"left_pad": 1, "right_pad": 1, "top_pad": …}.
      let keys =
        count == 1
        ? [["left_pad", "right_pad"]] : [["top_pad", "bottom_pad"], ["left_pad", "right_pad"]]
      guard count < 3, all.allSatisfy({ keys.joined().contains($0.key) }) else {
        throw config.error("padding is \(named.compact); expected numbers")
      }
      pairs = keys.map { $0.map { min(max(named[$0]?.int ?? 0, 0), KerasConfig.largest) } }
    } else if name == "ZeroPadding2D", let four = config["padding"].flatMap(KerasConfig.items),
      four.count == 4
    {
      let sides = try config.ints("padding", count: 4, least: 0)
      pairs = [[sides[0], sides[1]], [sides[2], sides[3]]]
    } else {
      let fallback = name == "Cropping2D" ? 0 : 1
      pairs = try config.pairs(
        isCropping ? "cropping" : "padding", count: count, default: fallback)
    }
    isChannelsFirst =
      count == 1 && config["data_format"] == nil ? false : try config.isChannelsFirstAsOthers()
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    var shape = try call.only()
    try shape.expect(rank: pairs.count + 2)
    for (axis, pair) in pairs.enumerated() {
      let place = axis + (isChannelsFirst ? 2 : 1)
      guard let extent = shape[place] else { continue }
      let (sum, _) = pair[0].addingReportingOverflow(pair[1])
      guard !isCropping || extent > sum else {
        throw CheckpointError(.mismatch, Place(), "leaves nothing of \(shape)")
      }
      shape.extents[place] = isCropping ? extent - sum : extent + sum
    }
    return [shape]
  }
}

/// Every element `size` times along the spatial axes, or an image resized.
public struct UpSamplingLayer: KerasLayer {
  public static let classNames = ["UpSampling1D", "UpSampling2D", "UpSampling3D"]

  public let factors: [Int]
  /// `nearest` for 1D and 3D.
  public let interpolation: String
  public let isChannelsFirst: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    let count = try config.spatialAxes()
    factors = try config.ints(
      "size", "length", count: count, default: Array(repeating: 2, count: count))
    interpolation = try config.interpolation(count == 2 ? nil : "nearest", default: "nearest")
    isChannelsFirst = count == 1 ? false : try config.isChannelsFirstAsOthers()
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    var shape = try call.only()
    try shape.expect(rank: factors.count + 2)
    for (axis, factor) in factors.enumerated() {
      let place = axis + (isChannelsFirst ? 2 : 1)
      guard let extent = shape[place] else { continue }
      let (product, overflow) = extent.multipliedReportingOverflow(by: factor)
      guard !overflow else {
        throw CheckpointError(.mismatch, Place(), "is too large for \(shape)")
      }
      shape.extents[place] = product
    }
    return [shape]
  }
}

/// Images of one size, whole, or cut to its proportions before.
///
/// `CenterCrop` takes the middle of what is large enough.
public struct ResizingLayer: KerasLayer {
  public static let classNames = ["Resizing", "CenterCrop"]

  public let isCropping: Bool
  public let height: Int
  public let width: Int
  public let interpolation: String
  public let keepsRatio: Bool
  public let isChannelsFirst: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    height = try config.int("height")
    width = try config.int("width")
    isCropping = config.plainClassName == "CenterCrop"
    interpolation = try config.interpolation(default: "bilinear")
    keepsRatio = try config.bool("crop_to_aspect_ratio", default: isCropping)
    for key in ["pad_to_aspect_ratio", "antialias"] {
      guard try !config.bool(key, default: false) else {
        throw config.error("\(key) is not supported", kind: .unsupported)
      }
    }
    isChannelsFirst = try config.isChannelsFirst()
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let shape = try call.only()
    try shape.expect(rank: 4)
    return [
      KerasShape(
        isChannelsFirst
          ? [shape[0], shape[1], height, width] : [shape[0], height, width, shape[3]])
    ]
  }
}

extension KerasShape {
  public func expect(rank: Int) throws(CheckpointError) {
    guard self.rank == rank else {
      throw CheckpointError(
        .mismatch, Place(), "takes tensors of \(rank) axes; it is given \(self)")
    }
  }

  /// Extents of which one may be −1: as many elements as `count`.
  ///
  /// - Throws: ``CheckpointError`` where no number fills them.
  public static func filled(_ target: [Int], count: Int) throws(CheckpointError) -> [Int] {
    let unfit = CheckpointError(
      .mismatch, Place(), "makes \(target) of \(count) elements, which do not fill it")
    var known = 1
    for extent in target where extent != -1 {
      let (product, overflow) = known.multipliedReportingOverflow(by: extent)
      guard extent >= 0, !overflow else { throw unfit }
      known = product
    }
    let open = target.indices.filter { target[$0] == -1 }
    guard open.count <= 1 else { throw unfit }
    guard let place = open.first else {
      guard known == count else { throw unfit }
      return target
    }
    guard known > 0, count % known == 0 else { throw unfit }
    var result = target
    result[place] = count / known
    return result
  }
}

extension KerasConfig {
  /// The class without the package before it.
  var plainClassName: String {
    className.lastIndex(of: ">").map { String(className[className.index(after: $0)...]) }
      ?? className
  }

  /// How many spatial axes the class has: the number before its last letter.
  func spatialAxes() throws(CheckpointError) -> Int {
    guard let digit = className.dropLast().last?.wholeNumberValue, 1...3 ~= digit else {
      throw error("is of no class with 1 to 3 spatial axes")
    }
    return digit
  }

  /// Whole numbers that may be negative, such as axes; one number is a list of one.
  public func signedInts(_ key: String, default fallback: [Int]) throws(CheckpointError) -> [Int] {
    try ints(key, count: nil, least: -KerasConfig.largest, default: fallback)
  }

  /// Numbers that are stated under these keys.
  func numbers(_ keys: [String]) throws(CheckpointError) -> [String: Double] {
    var numbers: [String: Double] = [:]
    for key in keys where json[key] != nil && json[key] != .null { numbers[key] = try double(key) }
    return numbers
  }

  /// Axes from the front.
  ///
  /// - Throws: ``CheckpointError`` where one does not exist or stands twice.
  public static func counted(_ axes: [Int], rank: Int) throws(CheckpointError) -> [Int] {
    var counted: [Int] = []
    for axis in axes {
      let place = axis < 0 ? axis + rank : axis
      guard 0..<rank ~= place, !counted.contains(place) else {
        throw CheckpointError(
          .mismatch, Place(), "works on axes \(axes); what it is given has \(rank) axes")
      }
      counted.append(place)
    }
    return counted
  }

  /// The name of a way to resize images.
  func interpolation(
    _ only: String? = nil, default fallback: String
  ) throws(CheckpointError) -> String {
    let name = try text("interpolation", default: fallback)
    let known = [
      "nearest", "bilinear", "bicubic", "lanczos3", "lanczos5", "gaussian", "mitchellcubic",
    ]
    guard only == nil || only == name, known.contains(name) else {
      throw error("interpolation is \(name); expected \(only ?? known.joined(separator: ", "))")
    }
    // TensorFlow takes its weights from a table; where Keras 3 does not say that it was TensorFlow,
    // they are computed.
    let isTabulated = context.version < 3 || context.backend == "tensorflow"
    return name == "bicubic" && !isTabulated ? "cubic" : name
  }
}
