public import Checkpoint

/// Lets layers share weights, as ALBERT's do (arXiv 1909.11942): `tie` or `tie=G` for G groups.
///
/// Algebra: of L layers, layer i belongs to group ⌊i·G/L⌋, as ALBERT counts; G is any number below L.
/// With `inner=J` a group has J layers that are applied in turn: of the L/J rounds, round r belongs to
/// group ⌊r·G·J/L⌋, and layer j of each of its rounds becomes the group's layer j. A shared weight is
/// the mean of its layers', computed in Float64 and rounded once; where all are equal to the bit the
/// tensor is kept, and if that holds throughout, the function is the same, else it is another. How far
/// apart the layers were is told: for each layer ‖W − mean‖ / ‖mean‖ over all its weights and of the
/// weight where it is largest, and the largest difference of an element.
///
/// Only ALBERT has shared layers: a family that computes the same (BERT, DistilBERT, ELECTRA) becomes
/// an ALBERT, others are refused. Inverse: ``Untie``, which gives every layer the shared weights; after
/// `untie`, `tie` gives the model back that it was.
public struct Tie: ModelTransform {
  public init() {}

  public var name: String { "tie" }
  public var summary: String {
    "layers share weights as ALBERT's do: their mean; exact where they are equal"
  }
  public var contract: Correspondence.Contract { .lossy }
  public var precondition: String {
    "every layer has its own weights; ALBERT, or what computes the same and becomes one: BERT, "
      + "DistilBERT, ELECTRA without its discriminator's head"
  }
  public var inverse: String { "untie" }
  public var value: TransformValue { .optional("G") }
  public var options: [TransformOption] {
    [TransformOption("inner", "J", "layers of a group, applied in turn; 1 unless given")]
  }

  public func apply(
    to source: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    let groups = arguments.value == nil ? 1 : try arguments.count()
    let inner = try arguments.count("inner") ?? 1
    let model = try shareable(source)
    let before = model.architecture.configuration
    guard before.layers.isMultiple(of: inner) else {
      throw arguments.wrong("inner=\(inner) does not divide \(before.layers) layers")
    }
    var after = before
    (after.layers, after.groups, after.innerGroups) = (before.layers / inner, groups, inner)
    guard groups < after.layers else {
      throw arguments.wrong(
        "\(groups) group\(groups == 1 ? "" : "s") of \(inner) would share nothing: the model has "
          + "\(before.layers) layer\(before.layers == 1 ? "" : "s")")
    }
    var members: [String: [Int]] = [:]
    for depth in 0..<before.layers { members[after.block(at: depth), default: []].append(depth) }

    var change = ModelChange(model)
    change.model.architecture.configuration = after
    if source.architecture.heads.contains(.nsp), model.architecture.heads.contains(.sop) {
      change.correspondence.renamed["nsp"] = "sop"
    }
    let stored = Set(model.architecture.storedBlocks)
    var layers: [String: [String: Weight]] = [:]
    var parts: [String] = []
    change.model.weights = model.weights.filter { weight in
      guard let (block, part) = model.architecture.block(of: weight.name, among: stored) else {
        return true
      }
      layers[block, default: [:]][part] = weight
      if block == "layers.0" { parts.append(part) }
      return false
    }
    var findings: [Int: [Finding]] = [:]
    for block in after.blocks {
      let depths = members[block] ?? []
      var spread = Spread(depths)
      for part in parts {
        let weights = depths.compactMap { layers["layers.\($0)"]?[part] }
        guard weights.count == depths.count, let first = weights.first else {
          throw CheckpointError(.mismatch, .tensor("\(block)\(part)"), "is missing in a layer")
        }
        if try Tie.areEqual(weights) {
          change.model.weights.append(first.shared(with: weights, as: block + part))
          spread.equal.append((part, first))
        } else {
          change.model.weights.append(first.mean(of: weights, as: block + part))
          change.correspondence.contract = .lossy
          change.correspondence.rewritten.formUnion(weights.map(\.name))
          try spread.measure(part, weights.map(\.tensor))
        }
      }
      for (depth, found) in try spread.findings(name) { findings[depth] = found }
    }
    if change.correspondence.contract == .lossy {
      change.correspondence.claims = [
        .averaged(after.blocks.compactMap { members[$0]?.map { "layers.\($0)" } })
      ]
    }
    change.findings = (0..<before.layers).flatMap { findings[$0] ?? [] }
    change.model = try change.model.checked()
    return change
  }

  /// The model as a family whose layers can be shared.
  private func shareable(_ model: Model) throws(CheckpointError) -> Model {
    let family = model.architecture.family
    if let groups = model.architecture.configuration.groups {
      throw refusal(
        "its layers are shared already, in \(groups) group\(groups == 1 ? "" : "s")",
        hint: "to share them otherwise: --apply untie first")
    }
    guard family != "albert", family != "albert_zh" else { return model }
    do throws(CheckpointError) {
      return try model.relabelled(as: "albert")
    } catch {
      throw refusal("only ALBERT's layers can be shared, and this is none: \(error.reason)")
    }
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
}

extension Weight {
  /// This weight in the place of all of its equals.
  fileprivate func shared(with others: [Weight], as name: String) -> Weight {
    var result = renamed(name, operation: others.count > 1 ? "shared" : "")
    for weight in others {
      result.sources += weight.sources.filter { !result.sources.contains($0) }
    }
    return result
  }

  /// The mean of weights, this one among them.
  fileprivate func mean(of weights: [Weight], as name: String) -> Weight {
    let tensors = weights.map(\.tensor)
    return computed(
      as: name, tensor.shape, "mean of \(weights.count) layers", with: Array(weights.dropFirst())
    ) { (range) throws(CheckpointError) in try Spread.mean(of: tensors, range) }
  }
}

/// How far layers are from their mean, weight by weight.
private struct Spread {
  /// One weight of one layer.
  struct Distance {
    var part: String
    var square = 0.0
    var largest = 0.0
    /// Σ mean², and the layer's own Σ W².
    var mean = 0.0
    var own = 0.0

    /// ‖W − mean‖ / ‖mean‖; of weights whose mean is 0, in units of their own size.
    var relative: Double {
      let unit = mean > 0 ? mean : own
      return unit > 0 ? (square / unit).squareRoot() : 0
    }

    mutating func add(_ other: Distance) {
      square += other.square
      largest = max(largest, other.largest)
      mean += other.mean
      own += other.own
    }
  }

  let depths: [Int]
  /// Weights that are the same in all of the layers.
  var equal: [(part: String, weight: Weight)] = []
  private var distances: [Int: [Distance]] = [:]

  init(_ depths: [Int]) { self.depths = depths }

  static func mean(
    of tensors: [Tensor], _ range: Range<Int>
  ) throws(CheckpointError) -> [Double] {
    var sum: [Double] = []
    for tensor in tensors {
      let values = try tensor.doubles(rows: range)
      if sum.isEmpty { sum = [Double](repeating: 0, count: values.count) }
      for index in values.indices { sum[index] += values[index] }
    }
    let count = Double(tensors.count)
    return sum.map { $0 / count }
  }

  /// Measures a weight of all layers, some rows at a time where they can be read so.
  mutating func measure(_ part: String, _ tensors: [Tensor]) throws(CheckpointError) {
    guard let shape = tensors.first?.shape else { return }
    let rows = shape.extents.first ?? 1
    let width = max(1, shape.count / max(rows, 1))
    let step = tensors.allSatisfy(\.payload.isWindowed) ? max(1, (1 << 20) / width) : max(rows, 1)
    var found = [Distance](repeating: Distance(part: part), count: tensors.count)
    for start in stride(from: 0, to: rows, by: step) {
      let range = start..<min(rows, start + step)
      let mean = try Spread.mean(of: tensors, range)
      let square = mean.reduce(0) { $0 + $1 * $1 }
      for (index, tensor) in tensors.enumerated() {
        let values = try tensor.doubles(rows: range)
        for (value, middle) in zip(values, mean) {
          let difference = abs(value - middle)
          found[index].square += difference * difference
          found[index].own += value * value
          found[index].largest = max(found[index].largest, difference)
        }
        found[index].mean += square
      }
    }
    for (depth, distance) in zip(depths, found) { distances[depth, default: []].append(distance) }
  }

  /// What is told of each layer.
  mutating func findings(_ transform: String) throws(CheckpointError) -> [Int: [Finding]] {
    guard depths.count > 1 else { return [:] }
    guard !distances.isEmpty else {
      return Dictionary(
        uniqueKeysWithValues: depths.map {
          ($0, [Finding(transform, "layers.\($0)", "distance from the mean", 0)])
        })
    }
    // What all have in common counts in the layers' size.
    for (part, weight) in equal { try measure(part, depths.map { _ in weight.tensor }) }
    var findings: [Int: [Finding]] = [:]
    for (depth, found) in distances {
      var whole = Distance(part: "")
      for distance in found { whole.add(distance) }
      let layer = "layers.\(depth)"
      findings[depth] = [
        Finding(transform, layer, "distance from the mean", whole.relative),
        Finding(transform, layer, "largest difference from the mean", whole.largest),
      ]
      if let farthest = found.max(by: { $0.relative < $1.relative }) {
        findings[depth]?.append(
          Finding(
            transform, layer + farthest.part, "distance from the mean, the layer's farthest weight",
            farthest.relative))
      }
    }
    return findings
  }
}
