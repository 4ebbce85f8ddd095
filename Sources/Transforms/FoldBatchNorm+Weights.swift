import Checkpoint

/// Weights by name, while they change.
struct FoldedWeights {
  private var byName: [String: Weight] = [:]
  /// All names in order; those of a layer follow each other.
  private var order: [String] = []
  private var byLayer: [String: [String]] = [:]

  init(_ weights: [Weight]) {
    for weight in weights {
      byName[weight.name] = weight
      order.append(weight.name)
      byLayer[FoldedWeights.layer(of: weight.name), default: []].append(weight.name)
    }
  }

  private static func layer(of name: String) -> String {
    name.lastIndex(of: ".").map { String(name[..<$0]) } ?? ""
  }

  /// The weights, new ones behind those of their layers.
  var list: [Weight] {
    var done: Set<String> = []
    return order.flatMap { name -> [Weight] in
      let layer = FoldedWeights.layer(of: name)
      return done.insert(layer).inserted ? (byLayer[layer] ?? []).compactMap { byName[$0] } : []
    }
  }

  func names(of layer: String) -> [String] { byLayer[layer] ?? [] }

  mutating func remove(_ names: [String]) {
    for name in names {
      byName[name] = nil
      byLayer[FoldedWeights.layer(of: name)]?.removeAll { $0 == name }
    }
  }

  private func weight(_ name: String) throws(CheckpointError) -> Weight {
    if let weight = byName[name] { return weight }
    throw CheckpointError(.mismatch, .tensor(name), "is missing")
  }

  /// Whether a normalization's moments were found: what follows an unknown layer has no weights.
  func hasMoments(_ name: String) -> Bool { byName["\(name).moving_mean"] != nil }

  /// What a normalization does to each channel; `nil` where that is no finite number.
  func map(
    _ name: String, _ norm: BatchNormalizationLayer
  ) throws(CheckpointError) -> (scale: [Double], shift: [Double])? {
    let mean = try weight("\(name).moving_mean").tensor.doubles()
    let variance = try weight("\(name).moving_variance").tensor.doubles()
    let gamma = norm.hasScale ? try weight("\(name).gamma").tensor.doubles() : mean.map { _ in 1 }
    let beta = norm.hasShift ? try weight("\(name).beta").tensor.doubles() : mean.map { _ in 0 }
    let scale = zip(gamma, variance).map { $0 / ($1 + norm.epsilon).squareRoot() }
    let shift = zip(zip(beta, mean), scale).map { $0.0 - $0.1 * $1 }
    guard scale.allSatisfy(\.isFinite), shift.allSatisfy(\.isFinite) else { return nil }
    return (scale, shift)
  }

  /// A weight of the same layer, whose numbers change each by itself.
  private mutating func change(
    _ name: String, _ step: String, with others: [String],
    _ make: @escaping @Sendable (_ flat: Int, Double) -> Double
  ) throws(CheckpointError) {
    let weight = try weight(name)
    let tensor = weight.tensor
    let count = tensor.shape.extents.first ?? 1
    let width = count == 0 ? 0 : tensor.shape.count / count
    byName[name] = weight.computed(tensor.shape, step, with: others.compactMap { byName[$0] }) {
      (range) throws(CheckpointError) in
      let first = range.lowerBound * width
      return try tensor.doubles(rows: range).enumerated().map {
        make(first + $0.offset, $0.element)
      }
    }
  }

  /// A vector that a layer has, or gets: what it was, mapped and added to.
  ///
  /// - Parameters:
  ///   - old: what a missing one counts as.
  ///   - model: a weight of the layer whose type it takes.
  ///   - added: what is added; called when the vector is read.
  private mutating func vector(
    _ name: String, _ count: Int, old: Double, like model: String, _ step: String,
    with others: [String], scale: [Double]?,
    added: @escaping @Sendable () throws(CheckpointError) -> [Double]
  ) throws(CheckpointError) {
    let existing = byName[name]
    let like = try weight(model)
    let tensor = existing?.tensor
    var new = (existing ?? like).computed(
      as: name, [count], existing == nil ? "made \(step)" : step,
      with: ([model] + others).compactMap { byName[$0] }
    ) { (range) throws(CheckpointError) in
      let values = try tensor?.doubles() ?? [Double](repeating: old, count: count)
      let more = try added()
      return range.map { values[$0] * (scale?[$0] ?? 1) + more[$0] }
    }
    if existing == nil {
      let layer = FoldedWeights.layer(of: name)
      let last = name.dropFirst(layer.count + 1)
      let own = model.dropFirst(layer.count + 1)
      let stored = like.tensor.name
      new.tensor.name =
        stored.range(of: own).map { stored.replacingCharacters($0, by: last) } ?? stored + "/"
        + last
      // A layer's own order: gains before shifts, moments behind.
      let place =
        last == "gamma" ? 0 : last == "beta" ? (byName["\(layer).gamma"] == nil ? 0 : 1) : nil
      let end = byLayer[layer]?.count ?? 0
      byLayer[layer]?.insert(name, at: place ?? end)
    }
    byName[name] = new
  }

  /// Changes a layer so that it makes a map of its result.
  ///
  /// - Returns: whether it has more variables than before.
  mutating func mapResult(
    of path: String, _ layer: KerasNetwork.Layer, _ map: ChannelMap, _ step: String,
    _ norm: [String]
  ) throws(CheckpointError) -> Bool {
    let (scale, shift) = (map.scale, map.shift)
    switch layer.description {
    case is BatchNormalizationLayer:
      let grows = byName["\(path).gamma"] == nil || byName["\(path).beta"] == nil
      let like = "\(path).moving_mean"
      try vector(
        "\(path).gamma", scale.count, old: 1, like: like, step, with: norm, scale: scale
      ) { scale.map { _ in 0 } }
      try vector(
        "\(path).beta", scale.count, old: 0, like: like, step, with: norm, scale: scale
      ) { shift }
      return grows
    case is ConvolutionLayer, is DenseLayer:
      return try mapColumns(path, "kernel", map, step, norm) { $0 % scale.count }
    case is SeparableConvolutionLayer:
      return try mapColumns(path, "pointwise_kernel", map, step, norm) { $0 % scale.count }
    case is DepthwiseConvolutionLayer:
      return try mapColumns(path, "depthwise_kernel", map, step, norm) { $0 % scale.count }
    case is TransposedConvolutionLayer:
      let inner = try weight("\(path).kernel").tensor.shape.extents.last ?? 1
      return try mapColumns(path, "kernel", map, step, norm) { $0 / max(inner, 1) % scale.count }
    default:
      // A table: every row.
      try change("\(path).embeddings", step, with: norm) {
        $1 * scale[$0 % scale.count] + shift[$0 % scale.count]
      }
      return false
    }
  }

  private mutating func mapColumns(
    _ path: String, _ kernel: String, _ map: ChannelMap, _ step: String, _ norm: [String],
    _ channel: @escaping @Sendable (Int) -> Int
  ) throws(CheckpointError) -> Bool {
    let (scale, shift) = (map.scale, map.shift)
    let grows = byName["\(path).bias"] == nil && map.hasShift
    if byName["\(path).bias"] != nil || grows {
      try vector(
        "\(path).bias", scale.count, old: 0, like: "\(path).\(kernel)", step, with: norm,
        scale: scale
      ) { shift }
    }
    try change("\(path).\(kernel)", step, with: norm) { $1 * scale[channel($0)] }
    return grows
  }

  /// Changes a layer so that it takes the map of what it took.
  ///
  /// - Returns: whether it has more variables than before.
  mutating func mapInput(
    of path: String, _ layer: KerasNetwork.Layer, _ map: ChannelMap, _ step: String,
    _ norm: [String]
  ) throws(CheckpointError) -> Bool {
    let (scale, shift) = (map.scale, map.shift)
    let main: String
    let filters: Int
    /// Which channel of what comes in, and which of what comes out, an element of the kernel is for.
    let input: @Sendable (Int) -> Int
    let output: @Sendable (Int) -> Int
    switch layer.description {
    case let layer as ConvolutionLayer:
      main = "kernel"
      filters = layer.filters
      let (width, part) = (scale.count / layer.groups, filters / layer.groups)
      let count = filters
      input = { $0 % count / part * width + $0 / count % width }
      output = { $0 % count }
    case let layer as DepthwiseConvolutionLayer:
      main = "depthwise_kernel"
      let multiplier = layer.multiplier
      filters = scale.count * multiplier
      let count = filters
      input = { $0 / multiplier % scale.count }
      output = { $0 % count }
    case let layer as SeparableConvolutionLayer:
      main = "depthwise_kernel"
      filters = layer.filters
      let multiplier = layer.multiplier
      let count = scale.count * multiplier
      input = { $0 / multiplier % scale.count }
      output = { $0 % count }
    case let layer as TransposedConvolutionLayer:
      main = "kernel"
      filters = layer.filters
      input = { $0 % scale.count }
      let count = filters
      output = { $0 / scale.count % count }
    default:
      main = "kernel"
      let count = try weight("\(path).kernel").tensor.shape.extents.last ?? 0
      filters = count
      input = { $0 / count }
      output = { $0 % count }
    }
    let grows = byName["\(path).bias"] == nil && map.hasShift
    if map.hasShift {
      let kernel = try weight("\(path).\(main)").tensor
      let inner = kernel.shape.extents
      // Channels between, of a separable one.
      let width =
        layer.description is SeparableConvolutionLayer ? inner.suffix(2).reduce(1, *) : filters
      let pointwise =
        layer.description is SeparableConvolutionLayer
        ? try weight("\(path).pointwise_kernel").tensor : nil
      try vector(
        "\(path).bias", filters, old: 0, like: "\(path).\(main)", step, with: norm, scale: nil
      ) { () throws(CheckpointError) in
        var sums = [Double](repeating: 0, count: width)
        try kernel.eachDouble { sums[output($0)] += shift[input($0)] * $1 }
        guard let pointwise else { return sums }
        var results = [Double](repeating: 0, count: filters)
        try pointwise.eachDouble { results[$0 % filters] += sums[$0 / filters] * $1 }
        return results
      }
    }
    try change("\(path).\(main)", step, with: norm) { $1 * scale[input($0)] }
    return grows
  }
}

extension Tensor {
  /// Calls for every element with its place in C order; a large tensor is read in parts.
  fileprivate func eachDouble(_ body: (Int, Double) -> Void) throws(CheckpointError) {
    let count = shape.extents.first ?? 1
    guard count > 0 else { return }
    let width = shape.count / count
    let step = readsByRows ? max(1, (1 << 20) / max(width, 1)) : count
    var row = 0
    while row < count {
      let end = min(count, row + step)
      for (index, value) in try doubles(rows: row..<end).enumerated() {
        body(row * width + index, value)
      }
      row = end
    }
  }
}

extension String {
  /// The last place of a text.
  fileprivate func range(of text: Substring) -> Range<String.Index>? {
    ranges(of: text).last
  }

  fileprivate func replacingCharacters(_ range: Range<String.Index>, by text: Substring) -> String {
    String(self[..<range.lowerBound] + text + self[range.upperBound...])
  }
}
