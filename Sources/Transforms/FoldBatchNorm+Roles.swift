import Checkpoint

extension KerasActivation {
  /// Whether f(s·x) = s·f(x) for s ≥ 0.
  var isHomogeneous: Bool {
    switch name {
    case "linear", "leaky_relu": true
    case "relu":
      (parameters["max_value"] == nil) && (parameters["threshold"] ?? 0) == 0
    default: false
    }
  }
}

/// A layer whose weights may take a map, itself or inside one that applies it at each time.
struct FoldTarget {
  let layer: KerasNetwork.Layer
  /// Where it stands in the other's config.
  let place: String?
  /// Axes that its tensors do not have.
  let skipped: Int

  init(_ layer: KerasNetwork.Layer) {
    if layer.className == "TimeDistributed", let inner = layer.description?.inner.first {
      (self.layer, place, skipped) = (inner.layer, inner.place, 1)
    } else {
      (self.layer, place, skipped) = (layer, nil, 0)
    }
  }

  var description: (any KerasLayer)? { layer.description }

  /// The beginning of its weights' names.
  func weights(of name: String) -> String { place.map { "\(name).\($0)" } ?? name }

  static let recurrent: Set<String> = ["SimpleRNN", "LSTM", "GRU"]

  /// Whether it has weights that may take a map.
  var isWeighted: Bool {
    switch description {
    case is DenseLayer, is BatchNormalizationLayer: true
    default: windows != nil || layer.className == "Embedding" || takesRows
    }
  }

  /// Whether it is a recurrent layer, which has a kernel for what comes in.
  var takesRows: Bool { description != nil && FoldTarget.recurrent.contains(layer.className) }

  var windows: KerasWindows? {
    switch description {
    case let layer as ConvolutionLayer: layer.windows
    case let layer as DepthwiseConvolutionLayer: layer.windows
    case let layer as SeparableConvolutionLayer: layer.windows
    case let layer as TransposedConvolutionLayer: layer.windows
    default: nil
    }
  }

  var activation: KerasActivation? {
    switch description {
    case let layer as ConvolutionLayer: layer.activation
    case let layer as DepthwiseConvolutionLayer: layer.activation
    case let layer as SeparableConvolutionLayer: layer.activation
    case let layer as TransposedConvolutionLayer: layer.activation
    case let layer as DenseLayer: layer.activation
    default: nil
    }
  }

  /// The axis of a result along which a map may go into the weights.
  func resultAxis(rank: Int) -> Int? {
    if let norm = description as? BatchNormalizationLayer {
      guard norm.moments == .stored, let axes = try? norm.axes(rank: rank - skipped),
        axes.count == 1
      else {
        return nil
      }
      return axes[0] + skipped
    }
    guard !takesRows else { return nil }
    return windows?.isChannelsFirst == true ? 1 + skipped : rank - 1
  }

  /// The axis of what comes in along which a map may go into the weights.
  func inputAxis(rank: Int) -> Int? {
    if layer.className == "Embedding" { return nil }
    // A bias in two rows is added at two places.
    if takesRows, layer.config["reset_after"]?.bool == true { return nil }
    return windows?.isChannelsFirst == true ? 1 + skipped : rank - 1
  }
}

/// What a layer is to a channel-wise map.
enum FoldRole {
  /// It has weights that may take the map.
  case weighted
  /// It makes the map of its result out of the map of what it takes.
  case copy(Copy)
  case concatenate
  case add

  enum Copy {
    /// Elements as they are, or means of them: any map goes through.
    case any
    /// Maxima.
    case largest
    /// f(s·x) = s·f(x) for s ≥ 0.
    case homogeneous
    /// Zeros are added.
    case zeros
  }

  init?(_ layer: KerasNetwork.Layer) {
    let config = layer.config
    if FoldTarget(layer).isWeighted {
      self = .weighted
      return
    }
    switch layer.description {
    case let layer as PoolingLayer:
      self = .copy(layer.isMax ? .largest : .any)
      return
    case let layer as GlobalPoolingLayer:
      self = .copy(layer.isMax ? .largest : .any)
      return
    case let layer as ActivationLayer:
      guard layer.activation.isHomogeneous else { return nil }
      self = .copy(layer.activation.isLinear ? .any : .homogeneous)
      return
    case is IdentityLayer, is FlattenLayer:
      self = .copy(.any)
      return
    default: break
    }
    // Classes by their names: what matters of them is in their configuration.
    switch layer.className {
    case "ReLU":
      guard config["max_value"] == nil, (config["threshold"]?.double ?? 0) == 0 else { return nil }
      self = .copy(.homogeneous)
    case "LeakyReLU", "PReLU": self = .copy(.homogeneous)
    case "ZeroPadding1D", "ZeroPadding2D", "ZeroPadding3D": self = .copy(.zeros)
    case "Cropping1D", "Cropping2D", "Cropping3D", "UpSampling1D", "UpSampling3D", "Reshape",
      "Permute":
      self = .copy(.any)
    case "UpSampling2D":
      guard ["nearest", "bilinear"].contains(config["interpolation"]?.string ?? "nearest") else {
        return nil
      }
      self = .copy(.any)
    case "Concatenate": self = .concatenate
    case "Merge" where config["mode"]?.string == "concat": self = .concatenate
    case "Add": self = .add
    default: return nil
    }
  }

  /// The axis along which a layer joins, counted from the front.
  static func axis(_ layer: KerasNetwork.Layer, rank: Int) -> Int? {
    let axis = layer.config["axis", "concat_axis"]?.int ?? -1
    let index = axis < 0 ? axis + rank : axis
    return 1..<max(rank, 1) ~= index ? index : nil
  }
}

extension FoldRole.Copy {
  /// Whether a map goes through.
  func check(_ map: ChannelMap, _ name: String) throws(FoldObstacle) {
    switch self {
    case .any: return
    case .largest:
      guard map.isMonotone else {
        throw FoldObstacle("\(name) takes maxima, and a scale is negative")
      }
    case .homogeneous:
      guard map.isMonotone else { throw FoldObstacle("\(name) bends, and a scale is negative") }
      guard !map.hasShift else { throw FoldObstacle("\(name) bends, and there is a shift") }
    case .zeros:
      guard !map.hasShift else { throw FoldObstacle("\(name) adds zeros, and there is a shift") }
    }
  }

  /// The map of what comes out, where `map` is of what goes in.
  func forward(
    _ map: ChannelMap, _ from: KerasShape, _ to: KerasShape, _ layer: KerasNetwork.Layer
  ) throws(FoldObstacle) -> ChannelMap {
    switch layer.description {
    case let pool as GlobalPoolingLayer:
      guard map.axis == (pool.isChannelsFirst ? 1 : from.rank - 1) else { break }
      return map.along(pool.keepsDimensions ? map.axis : 1)
    case let flatten as FlattenLayer:
      return try Self.joined(map, from, to, isMoved: flatten.isChannelsFirst, layer)
    case is IdentityLayer, is ActivationLayer: return map
    default: break
    }
    switch layer.className {
    case "ReLU", "LeakyReLU", "PReLU": return map
    case "Reshape": return try Self.joined(map, from, to, isMoved: false, layer)
    case "Permute":
      guard let order = Self.order(layer, rank: from.rank),
        let place = order.firstIndex(of: map.axis)
      else { break }
      return map.along(place)
    default:
      guard map.axis == Self.channels(layer, rank: from.rank) else { break }
      return map
    }
    throw FoldObstacle("\(layer.name) has its channels along another axis")
  }

  /// The map of what goes in, where `map` is of what comes out.
  func backward(
    _ map: ChannelMap, _ from: KerasShape, _ to: KerasShape, _ layer: KerasNetwork.Layer
  ) throws(FoldObstacle) -> ChannelMap {
    switch layer.description {
    case let pool as GlobalPoolingLayer:
      let channels = pool.isChannelsFirst ? 1 : from.rank - 1
      guard map.axis == (pool.keepsDimensions ? channels : 1) else { break }
      return map.along(channels)
    case is FlattenLayer: return try Self.parted(map, from, to, layer)
    case is IdentityLayer, is ActivationLayer: return map
    default: break
    }
    switch layer.className {
    case "ReLU", "LeakyReLU", "PReLU": return map
    case "Reshape": return try Self.parted(map, from, to, layer)
    case "Permute":
      guard let order = Self.order(layer, rank: from.rank), order.indices.contains(map.axis) else {
        break
      }
      return map.along(order[map.axis])
    default:
      guard map.axis == Self.channels(layer, rank: from.rank) else { break }
      return map
    }
    throw FoldObstacle("\(layer.name) has its channels along another axis")
  }

  /// Where a layer over places has its channels.
  private static func channels(_ layer: KerasNetwork.Layer, rank: Int) -> Int? {
    // Keras 1 leaves the order unsaid for some, whose descriptions know it.
    switch layer.description {
    case let border as BorderLayer: return border.isChannelsFirst ? 1 : rank - 1
    case let layer as UpSamplingLayer: return layer.isChannelsFirst ? 1 : rank - 1
    default: return (try? layer.config.isChannelsFirst()).map { $0 ? 1 : rank - 1 }
    }
  }

  /// The source's axis of each axis of what Permute makes.
  private static func order(_ layer: KerasNetwork.Layer, rank: Int) -> [Int]? {
    guard let items = layer.config["dims"].flatMap(KerasConfig.items) else { return nil }
    let order = [0] + items.compactMap(\.int)
    return order.sorted() == Array(0..<rank) ? order : nil
  }

  /// Through a reshaping whose last axis holds the channels' axis and all behind it.
  private static func joined(
    _ map: ChannelMap, _ from: KerasShape, _ to: KerasShape, isMoved: Bool,
    _ layer: KerasNetwork.Layer
  ) throws(FoldObstacle) -> ChannelMap {
    let isChannels = isMoved && map.axis == 1
    guard !isMoved || isChannels, let width = to[-1],
      let inner = isChannels ? 1 : from.count(from: map.axis + 1), map.axis > 0, inner > 0,
      !map.scale.isEmpty, width % (inner * map.scale.count) == 0
    else { throw FoldObstacle("\(layer.name) spreads the channels over several axes") }
    let indices = (0..<width).map { $0 / inner % map.scale.count }
    return ChannelMap(
      axis: to.rank - 1, scale: indices.map { map.scale[$0] }, shift: indices.map { map.shift[$0] })
  }

  /// Back through a reshaping, where all places have the same channels.
  private static func parted(
    _ map: ChannelMap, _ from: KerasShape, _ to: KerasShape, _ layer: KerasNetwork.Layer
  ) throws(FoldObstacle) -> ChannelMap {
    let isMoved = (layer.description as? FlattenLayer)?.isChannelsFirst ?? false
    let axis = isMoved && from.rank > 2 ? 1 : from.rank - 1
    guard axis > 0, map.axis == to.rank - 1, let width = from[axis], width > 0,
      map.scale.count % width == 0
    else { throw FoldObstacle("\(layer.name) spreads the channels over several axes") }
    let part = ChannelMap(
      axis: axis, scale: Array(map.scale.prefix(width)), shift: Array(map.shift.prefix(width)))
    for index in map.scale.indices
    where map.scale[index] != part.scale[index % width]
      || map.shift[index] != part.shift[index % width]
    {
      throw FoldObstacle(
        "\(layer.name) stands between, and places are normalized each by themselves")
    }
    return part
  }
}
