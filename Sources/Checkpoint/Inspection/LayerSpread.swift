/// How far layers are from the weights that they would share: the mean of each weight over the layers.
///
/// Norms are Frobenius', computed in Float64 some rows at a time.
public struct LayerSpread: Sendable {
  /// One of the layers that would share.
  public struct Layer: Sendable {
    /// `layers.3`.
    public var name: String
    /// ‖W − mean‖ / ‖mean‖ over all weights of the layer; in units of ‖W‖ where the mean is zero.
    public var distance: Double
    /// The largest magnitude of an element of W − mean.
    public var largestDifference: Double
    /// The weight whose own distance is the largest, or `nil` where all layers are equal to the bit.
    public var farthest: (name: String, distance: Double)?
  }

  /// Every layer that would share with another, in the model's order.
  public let layers: [Layer]
  /// The names of weights that are equal to the bit in all layers that would share them.
  public let equal: Set<String>

  /// - Parameter groups: the stored blocks that would share their weights, such as `layers.0` and
  ///   `layers.2`; all of the model's together unless given.
  /// - Throws: ``CheckpointError`` of kind `mismatch` where a block lacks a weight of its group.
  public init(_ model: Model, groups: [[String]]? = nil) throws(CheckpointError) {
    let blocks = model.architecture.storedBlocks
    var found: [String: Layer] = [:]
    var equal: Set<String> = []
    for group in groups ?? [blocks] {
      var (same, apart): ([[Weight]], [[Weight]]) = ([], [])
      for weights in try model.weights(across: group) {
        if try LayerSpread.areEqual(weights) { same.append(weights) } else { apart.append(weights) }
      }
      equal.formUnion(same.joined().map(\.name))
      guard group.count > 1 else { continue }
      for layer in try LayerSpread.layers(group, same, apart) { found[layer.name] = layer }
    }
    layers = blocks.compactMap { found[$0] }
    self.equal = equal
  }

  /// - Parameters:
  ///   - same: weights that are equal in all blocks; each counts in the size of every block.
  ///   - apart: those that are not, in the order of the blocks.
  private static func layers(
    _ blocks: [String], _ same: [[Weight]], _ apart: [[Weight]]
  ) throws(CheckpointError) -> [Layer] {
    var layers = blocks.map { Layer(name: $0, distance: 0, largestDifference: 0) }
    guard !apart.isEmpty else { return layers }
    var common = Sums()
    for weights in same {
      for sums in try Sums.measured(weights.prefix(1).map(\.tensor)) { common.add(sums) }
    }
    var totals = [Sums](repeating: common, count: blocks.count)
    for weights in apart {
      for (index, sums) in try Sums.measured(weights.map(\.tensor)).enumerated() {
        totals[index].add(sums)
        if sums.distance > layers[index].farthest?.distance ?? -1 {
          layers[index].farthest = (weights[index].name, sums.distance)
        }
      }
    }
    for index in layers.indices {
      layers[index].distance = totals[index].distance
      layers[index].largestDifference = totals[index].largestDifference
    }
    return layers
  }

  private static func areEqual(_ weights: [Weight]) throws(CheckpointError) -> Bool {
    guard let first = weights.first else { return true }
    for other in weights.dropFirst() {
      guard other.tensor.dtype == first.tensor.dtype, other.rounding == first.rounding,
        try first.tensor.hasBytes(of: other.tensor)
      else { return false }
    }
    return true
  }

  /// The mean of tensors of one shape, for a range of the first axis in C order.
  public static func mean(
    of tensors: [Tensor], rows: Range<Int>
  ) throws(CheckpointError) -> [Double] {
    var sum: [Double] = []
    for tensor in tensors {
      let values = try tensor.doubles(rows: rows)
      if sum.isEmpty { sum = [Double](repeating: 0, count: values.count) }
      for index in values.indices { sum[index] += values[index] }
    }
    let count = Double(tensors.count)
    return sum.map { $0 / count }
  }
}

/// Sums over the elements of weights of one layer.
private struct Sums {
  /// Σ (W − mean)².
  var differences = 0.0
  var largestDifference = 0.0
  /// Σ mean² and Σ W².
  var mean = 0.0
  var own = 0.0

  /// ‖W − mean‖ / ‖mean‖, or / ‖W‖.
  var distance: Double {
    let unit = mean > 0 ? mean : own
    return unit > 0 ? (differences / unit).squareRoot() : 0
  }

  mutating func add(_ other: Sums) {
    differences += other.differences
    largestDifference = max(largestDifference, other.largestDifference)
    mean += other.mean
    own += other.own
  }

  /// One weight of several layers, each against the mean of all.
  static func measured(_ tensors: [Tensor]) throws(CheckpointError) -> [Sums] {
    var found = [Sums](repeating: Sums(), count: tensors.count)
    // The fewest pieces suit the tensor that can be read only as a whole.
    let pieces = tensors.map(\.pieces).min { $0.count < $1.count } ?? []
    for rows in pieces {
      let mean = try LayerSpread.mean(of: tensors, rows: rows)
      let square = mean.reduce(0) { $0 + $1 * $1 }
      for (index, tensor) in tensors.enumerated() {
        for (value, middle) in zip(try tensor.doubles(rows: rows), mean) {
          let difference = abs(value - middle)
          found[index].differences += difference * difference
          found[index].own += value * value
          found[index].largestDifference = max(found[index].largestDifference, difference)
        }
        found[index].mean += square
      }
    }
    return found
  }
}

extension Model {
  /// The weights of stored blocks, each together with those of the same part in the others: in the order of
  /// the first block's weights, and of the blocks.
  ///
  /// - Throws: ``CheckpointError`` of kind `mismatch` where a block lacks one.
  public func weights(across blocks: [String]) throws(CheckpointError) -> [[Weight]] {
    guard let first = blocks.first else { return [] }
    let byName = Dictionary(weights.map { ($0.name, $0) }) { first, _ in first }
    var rows: [[Weight]] = []
    for weight in weights where weight.name.hasPrefix(first + ".") {
      let part = weight.name.dropFirst(first.count)
      rows.append(
        try blocks.map { block throws(CheckpointError) in
          guard let weight = byName[block + part] else {
            throw CheckpointError(.mismatch, .tensor(block + part), "is missing")
          }
          return weight
        })
    }
    return rows
  }
}
