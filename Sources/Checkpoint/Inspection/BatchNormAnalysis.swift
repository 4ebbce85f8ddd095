/// What the batch normalizations of a Keras graph do when it runs: `y = s ∘ x + t` with
/// s = γ / √(variance + ε) and t = β − mean ∘ s, and to the layers before them.
///
/// A layer y = W·x passes gradients on with at most ‖W‖, its spectral norm; with the normalization behind
/// it that bound is ‖diag(s)·W‖. The quotient is the factor by which normalization changes the bound
/// (Santurkar et al., arXiv 1805.11604; Miyato et al., arXiv 1802.05957, for convolutions too). A
/// convolution is taken as its matrix [k · c, filters], which maps a window: the norm of the whole map
/// lies between that and that times the square root of the windows over an element.
public struct BatchNormAnalysis: Sendable {
  /// The least, the middle and the largest of some numbers.
  public struct Spread: Sendable, Equatable {
    public var least: Double
    public var median: Double
    public var largest: Double

    init(_ numbers: [Double]) {
      let sorted = numbers.sorted()
      least = sorted.first ?? 0
      largest = sorted.last ?? 0
      let middle = sorted.count / 2
      median =
        sorted.isEmpty
        ? 0 : sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }
  }

  /// The layer before a normalization.
  public struct Before: Sendable {
    public var name: String
    public var className: String
    /// Of its kernel's matrix; `nil` where that is too large, or holds what is no number.
    public var norm: Double?
    /// Of the same with each column times its channel's scale.
    public var scaledNorm: Double?

    /// The factor by which the bound of its gradient changes.
    public var ratio: Double? {
      guard let norm, let scaledNorm, norm > 0 else { return nil }
      return scaledNorm / norm
    }
  }

  /// One normalization.
  public struct Part: Sendable {
    public var name: String
    public var channels: Int
    public var epsilon: Double
    public var scale: Spread
    public var shift: Spread
    /// Channels whose |s| is at most a thousandth of the median: they say β, whatever comes in.
    public var dead: [Int]
    /// Channels whose |s| is at least a hundred times the median.
    public var exploding: [Int]
    /// Channels whose scale or shift is no finite number.
    public var broken: [Int]
    /// The layer that makes what it takes, where that has a kernel.
    public var before: Before?
  }

  public var parts: [Part]

  /// The most elements that a kernel may have for its norm to be computed.
  static let largestKernel = 1 << 26

  /// Reads the normalizations and the kernels before them, inner models' too.
  ///
  /// - Throws: ``CheckpointError`` of kind `unsupported` where there are none, or of reading.
  public init(_ model: KerasModel) throws(CheckpointError) {
    var found: [(norm: KerasNetwork.Layer, before: KerasNetwork.Layer?, path: [String])] = []
    BatchNormAnalysis.collect(model.network, [], into: &found)
    guard !found.isEmpty else {
      throw CheckpointError(
        .unsupported, Place(member: "--batchnorm"), "the graph has no batch normalization")
    }
    let byName = Dictionary(model.weights.map { ($0.name, $0.tensor) }) { first, _ in first }
    // Those behind a layer of an unknown class have no weights here.
    let all = found.filter { norm, _, path in
      byName[(path + [norm.name, "moving_mean"]).joined(separator: ".")] != nil
    }
    parts = try Parallel.map(all.count, with: {}) { (index, _) throws(CheckpointError) in
      let (norm, before, path) = all[index]
      return try BatchNormAnalysis.part(norm, before, path, byName)
    }
  }

  private static func collect(
    _ network: KerasNetwork, _ path: [String],
    into found: inout [(norm: KerasNetwork.Layer, before: KerasNetwork.Layer?, path: [String])]
  ) {
    for (index, call) in network.order where call == 0 {
      let layer = network.layers[index]
      if let inner = layer.network {
        collect(inner, path + [layer.name], into: &found)
      } else if let norm = layer.description as? BatchNormalizationLayer, norm.moments == .stored {
        let source = layer.calls.first?.inputs.first
        found.append((layer, source.flatMap { network[$0.layer] }, path))
      }
    }
  }

  private static func part(
    _ layer: KerasNetwork.Layer, _ before: KerasNetwork.Layer?, _ path: [String],
    _ weights: [String: Tensor]
  ) throws(CheckpointError) -> Part {
    let name = (path + [layer.name]).joined(separator: ".")
    func doubles(_ variable: String) throws(CheckpointError) -> [Double]? {
      try weights["\(name).\(variable)"]?.doubles()
    }
    guard let norm = layer.description as? BatchNormalizationLayer,
      let mean = try doubles("moving_mean"), let variance = try doubles("moving_variance")
    else {
      throw CheckpointError(.mismatch, .tensor("\(name).moving_mean"), "is missing")
    }
    let gamma = try doubles("gamma") ?? mean.map { _ in 1 }
    let beta = try doubles("beta") ?? mean.map { _ in 0 }
    let scale = zip(gamma, variance).map { $0 / ($1 + norm.epsilon).squareRoot() }
    let shift = zip(zip(beta, mean), scale).map { $0.0 - $0.1 * $1 }
    let sound = scale.indices.filter { scale[$0].isFinite && shift[$0].isFinite }
    let middle = Spread(sound.map { scale[$0].magnitude }.filter { $0 > 0 }).median
    var result = Part(
      name: name, channels: mean.count, epsilon: norm.epsilon,
      scale: Spread(sound.map { scale[$0] }), shift: Spread(sound.map { shift[$0] }),
      dead: sound.filter { scale[$0].magnitude <= middle / 1000 },
      exploding: sound.filter { middle > 0 && scale[$0].magnitude >= 100 * middle },
      broken: scale.indices.filter { !(scale[$0].isFinite && shift[$0].isFinite) })
    guard let before, sound.count == scale.count else { return result }
    let prefix = (path + [before.name]).joined(separator: ".")
    guard let blocks = try blocks(before, prefix, weights) else { return result }
    result.before = Before(name: prefix, className: before.className)
    guard blocks.last.map({ $0.columns.upperBound == scale.count }) ?? false else { return result }
    do {
      var (plain, scaled) = (0.0, 0.0)
      for block in blocks {
        plain = max(plain, try block.matrix.spectralNorm())
        var matrix = block.matrix
        for column in 0..<matrix.columns {
          let factor = scale[block.columns.lowerBound + column / block.repeats]
          for row in 0..<matrix.rows { matrix[row, column] *= factor }
        }
        scaled = max(scaled, try matrix.spectralNorm())
      }
      result.before?.norm = plain
      result.before?.scaledNorm = scaled
    } catch {
      // A kernel that is not finite has no norm; `info` warns of it by itself.
      guard error.kind == .unsupported else { throw error }
    }
    return result
  }

  /// A kernel, or a part of it that sees channels of its own: columns for channels, each channel
  /// `repeats` times.
  private struct Block {
    var matrix: Matrix
    var columns: Range<Int>
    var repeats = 1
  }

  /// The matrices of a layer's kernel; the largest of their norms is the layer's.
  ///
  /// `nil` where it has no kernel; none where that is too large.
  private static func blocks(
    _ layer: KerasNetwork.Layer, _ prefix: String, _ weights: [String: Tensor]
  ) throws(CheckpointError) -> [Block]? {
    func numbers(_ name: String) throws(CheckpointError) -> (shape: [Int], numbers: [Double])? {
      guard let tensor = weights["\(prefix).\(name)"] else { return nil }
      guard tensor.shape.count <= largestKernel else { return ([], []) }
      return (tensor.shape.extents, try tensor.doubles())
    }
    let separable = layer.description as? SeparableConvolutionLayer
    let depthwise = layer.description as? DepthwiseConvolutionLayer
    let isTransposed = layer.description is TransposedConvolutionLayer
    if separable != nil || depthwise != nil {
      guard let (shape, kernel) = try numbers("depthwise_kernel") else { return nil }
      guard shape.count > 2, !kernel.isEmpty else { return [] }
      let (channels, multiplier) = (shape[shape.count - 2], shape[shape.count - 1])
      let width = channels * multiplier
      let places = kernel.count / max(width, 1)
      guard separable != nil else {
        // Each channel's windows make their own results.
        return (0..<channels).map { channel in
          let columns = (channel * multiplier)..<((channel + 1) * multiplier)
          return Block(
            matrix: Matrix(inRows: kernel, width: width, columns: columns), columns: columns)
        }
      }
      guard let (_, point) = try numbers("pointwise_kernel"), !point.isEmpty, width > 0 else {
        return []
      }
      let filters = point.count / width
      // Both as one kernel [k · c, filters].
      var matrix = Matrix(rows: places * channels, columns: filters)
      for row in 0..<(places * channels) {
        for part in 0..<multiplier {
          let factor = kernel[row * multiplier + part]
          let inner = row % channels * multiplier + part
          for filter in 0..<filters {
            matrix[row, filter] += factor * point[inner * filters + filter]
          }
        }
      }
      return [Block(matrix: matrix, columns: 0..<filters)]
    }
    guard layer.description is DenseLayer || layer.description is ConvolutionLayer || isTransposed,
      let (shape, kernel) = try numbers("kernel")
    else { return nil }
    guard shape.count > 1, !kernel.isEmpty, let filters = shape.last else { return [] }
    if isTransposed {
      // [k…, filters, in]: an element makes a window, all of whose places have its filters.
      let (own, channels) = (shape[shape.count - 2], filters)
      let places = kernel.count / (own * channels)
      var matrix = Matrix(rows: channels, columns: own * places)
      for place in 0..<places {
        for filter in 0..<own {
          for channel in 0..<channels {
            matrix[channel, filter * places + place] =
              kernel[(place * own + filter) * channels + channel]
          }
        }
      }
      return [Block(matrix: matrix, columns: 0..<own, repeats: places)]
    }
    let groups = (layer.description as? ConvolutionLayer)?.groups ?? 1
    return (0..<groups).map { group in
      let columns = (group * filters / groups)..<((group + 1) * filters / groups)
      return Block(
        matrix: Matrix(inRows: kernel, width: filters, columns: columns), columns: columns)
    }
  }
}
