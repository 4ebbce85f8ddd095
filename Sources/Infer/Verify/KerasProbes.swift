import Glibc

public import Checkpoint

/// Seeded inputs for graphs of layers: ids where a table is read by them, normal numbers else.
public struct KerasProbes: Sendable {
  /// What an input's numbers are.
  private enum Kind: Equatable {
    /// Ids below a bound; where 0 stands for padding, some rows end with it.
    case ids(Int, isMasked: Bool)
    case flags
    case numbers
  }

  /// The inputs of all models that are to take the same arrays, by name.
  private var kinds: [String: Kind] = [:]
  private let network: KerasNetwork
  private let stated: [KerasTensor: KerasShape]

  /// - Parameters:
  ///   - model: the model that takes the arrays.
  ///   - other: another one that takes the same by the same names, whose tables may be smaller.
  public init(for model: KerasModel, and other: KerasModel? = nil) {
    network = model.network
    stated = model.network.statedInputs.merging(model.given) { $1 }
    kinds = KerasProbes.kinds(model.network)
    guard let other else { return }
    for (name, kind) in KerasProbes.kinds(other.network) {
      guard case .ids(let bound, let isMasked) = kind else { continue }
      if case .ids(let own, let wasMasked)? = kinds[name] {
        kinds[name] = .ids(min(own, bound), isMasked: isMasked || wasMasked)
      } else {
        kinds[name] = kind
      }
    }
  }

  /// Extents for axes whose length the model leaves open, by axis behind the batch.
  ///
  /// They are small, odd and different; deep convolutional models need the later ones.
  static let extents = [[7, 9, 5, 3], [19, 21, 17, 15], [35, 37, 33, 31], [75, 77, 73, 71]]

  /// Arrays by the names of the inputs.
  ///
  /// - Parameters:
  ///   - rows: of inputs that do not state their batch.
  ///   - extents: for open axes behind the batch.
  func arrays(rows: Int, extents: [Int], seed: UInt64) -> [String: NDArray<Float>] {
    var random = SplitMix64(seed: seed)
    var arrays: [String: NDArray<Float>] = [:]
    for tensor in network.inputs {
      guard let shape = stated[tensor] else { continue }
      let sizes = shape.extents.enumerated().map { axis, extent in
        extent ?? (axis == 0 ? rows : extents[min(axis - 1, extents.count - 1)])
      }
      let count = sizes.reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue }
      // What no memory holds is told when it is run.
      guard (0..<(1 << 40)).contains(count) else { continue }
      let values: [Float]
      switch kinds[tensor.layer] ?? .numbers {
      case .numbers: values = (0..<count).map { _ in Float(random.normal()) }
      case .flags: values = (0..<count).map { _ in Float(Int.random(in: 0...1, using: &random)) }
      case .ids(let bound, let isMasked):
        let least = isMasked && bound > 1 ? 1 : 0
        var ids = (0..<count).map { _ in
          Float(Int.random(in: least...max(bound - 1, least), using: &random))
        }
        if isMasked, sizes.count == 2 {
          // Each row is shorter than the one before; the last has at least one id.
          let (rows, length) = (sizes[0], sizes[1])
          for row in 0..<rows {
            for position in max(1, length - row * length / max(rows, 2))..<max(length, 1) {
              ids[row * length + position] = 0
            }
          }
        }
        values = ids
      }
      arrays[tensor.layer] = NDArray(shape: sizes, values: values)
    }
    return arrays
  }

  // MARK: What inputs are

  /// What reaches a tensor without being computed on: an input, and whether it was only handed on.
  private static func kinds(_ network: KerasNetwork) -> [String: Kind] {
    var found: [String: Kind] = [:]
    for tensor in network.inputs {
      let dtype = (network[tensor.layer]?.description as? InputLayer)?.dtype ?? ""
      if dtype == "bool" { found[tensor.layer] = .flags }
      // Without a table there is no bound but prudence.
      if dtype.hasPrefix("int") || dtype.hasPrefix("uint") {
        found[tensor.layer] = .ids(2, isMasked: false)
      }
    }
    var tables: [String: Kind] = [:]
    let origins = Dictionary(
      network.inputs.map { ($0, Set([$0.layer])) }
    ) { first, _ in first }
    trace(network, origins, &tables)
    return found.merging(tables) { $1 }
  }

  @discardableResult
  private static func trace(
    _ network: KerasNetwork, _ origins: [KerasTensor: Set<String>], _ found: inout [String: Kind]
  ) -> [KerasTensor: Set<String>] {
    network.walk(origins) { layer, _, call in
      let taken = call.inputs
      if let bound = rows(of: layer), let first = taken.first {
        let isMasked = layer.config["mask_zero"]?.bool ?? false
        for name in first {
          if case .ids(let own, let wasMasked)? = found[name] {
            found[name] = .ids(min(own, bound), isMasked: isMasked || wasMasked)
          } else {
            found[name] = .ids(bound, isMasked: isMasked)
          }
        }
        return [[]]
      }
      if let inner = layer.network {
        let values = trace(inner, inner.binding(taken), &found)
        return inner.outputs.map { values[$0] ?? [] }
      }
      let whole = taken.reduce(into: Set<String>()) { $0.formUnion($1) }
      return [handsOn.contains(layer.className) ? whole : []]
    }
  }

  /// The number of rows of the table that a layer reads by ids.
  private static func rows(of layer: KerasNetwork.Layer) -> Int? {
    let key =
      layer.className.hasSuffix("Embedding")
      ? "input_dim" : layer.className == "CategoryEncoding" ? "num_tokens" : nil
    // A table of positions is added, not read.
    guard let key, !layer.className.contains("Position") else { return nil }
    return layer.config[key]?.int.flatMap { $0 > 0 ? $0 : nil }
  }

  /// Classes that only arrange what they take.
  private static let handsOn: Set<String> = [
    "Identity", "Dropout", "SpatialDropout1D", "GaussianNoise", "GaussianDropout", "Masking",
    "Flatten", "Reshape", "Permute", "Concatenate", "RepeatVector", "Cropping1D", "Lambda",
  ]
}

extension SplitMix64 {
  /// A number of the normal distribution, by Box and Muller.
  mutating func normal() -> Double {
    let radius = Double.random(in: 0x1p-53..<1, using: &self)
    let angle = Double.random(in: 0..<1, using: &self)
    return (-2 * log(radius)).squareRoot()
      * cos(2 * .pi * angle)
  }
}
