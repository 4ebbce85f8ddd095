/// Where weights and the architecture that they should be disagree.
public struct Misfits: Sendable {
  /// Needed, and not there; in the architecture's order.
  public var missing: [WeightSpec] = []
  /// There, and without a place.
  public var unexpected: [Weight] = []
  /// Of another shape than the architecture needs.
  public var misshapen: [(weight: Weight, needed: Shape)] = []
  /// No numbers that weights can be.
  public var untyped: [Weight] = []
  /// Weights that stand in the file more than once, but for the first.
  public var repeated: [Weight] = []

  public var isEmpty: Bool {
    missing.isEmpty && unexpected.isEmpty && misshapen.isEmpty && untyped.isEmpty
      && repeated.isEmpty
  }
}

extension Model {
  /// What is missing, left over or of another shape.
  ///
  /// - Throws: ``CheckpointError`` when there is no such family.
  public func misfits() throws(CheckpointError) -> Misfits {
    let specs = try ArchitectureRegistry.named(architecture.family).weights(architecture)
    var misfits = Misfits()
    var found: [String: Weight] = [:]
    for weight in weights {
      if found[weight.name] == nil {
        found[weight.name] = weight
      } else {
        misfits.repeated.append(weight)
      }
    }
    for spec in specs {
      guard let weight = found.removeValue(forKey: spec.name) else {
        misfits.missing.append(spec)
        continue
      }
      if !weight.tensor.isCastable {
        misfits.untyped.append(weight)
      } else if weight.tensor.shape != spec.shape {
        misfits.misshapen.append((weight, spec.shape))
      }
    }
    misfits.unexpected = weights.filter { found[$0.name]?.tensor.name == $0.tensor.name }
    return misfits
  }

  /// Checks that the weights are exactly those that the architecture needs, and puts them in its order.
  ///
  /// - Throws: ``CheckpointError`` of kind `mismatch` naming the first that is missing, left over
  ///   or of another shape, and how many more there are.
  public func checked() throws(CheckpointError) -> Model {
    let family = try ArchitectureRegistry.named(architecture.family)
    let misfits = try misfits()
    if let weight = misfits.repeated.first {
      throw CheckpointError(
        .mismatch, .tensor(weight.tensor.name), "\(weight.name) stands twice in the file")
    }
    if let first = misfits.missing.first {
      let more = misfits.missing.count - 1
      throw CheckpointError(
        .mismatch, .tensor(first.name),
        "is missing: \(family.name) needs it with shape \(first.shape)"
          + (more > 0 ? ", and \(more) more are missing" : ""))
    }
    if let weight = misfits.untyped.first {
      throw CheckpointError(
        .mismatch, .tensor(weight.tensor.name),
        "\(weight.name) holds \(weight.tensor.dtype.rawValue); weights are floating-point numbers")
    }
    if let (weight, needed) = misfits.misshapen.first {
      throw CheckpointError(
        .mismatch, .tensor(weight.tensor.name),
        "\(weight.name) has shape \(weight.tensor.shape); the configuration needs \(needed)")
    }
    if let extra = misfits.unexpected.first {
      throw CheckpointError(
        .mismatch, .tensor(extra.tensor.name),
        "\(extra.name) has no place in \(family.name) with this configuration")
    }
    let byName = Dictionary(weights.map { ($0.name, $0) }) { first, _ in first }
    var copy = self
    copy.weights = family.weights(architecture).compactMap { byName[$0.name] }
    return copy
  }
}
