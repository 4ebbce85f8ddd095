/// Several tensors as one, element by element.
public struct MergeLayer: KerasLayer {
  public static let classNames = [
    "Add", "Subtract", "Multiply", "Average", "Maximum", "Minimum",
  ]

  public enum Kind: String, Sendable {
    case add = "Add"
    case subtract = "Subtract"
    case multiply = "Multiply"
    case average = "Average"
    case maximum = "Maximum"
    case minimum = "Minimum"
  }

  public let kind: Kind
  /// Keras 3 lets a position count that counts in any input, if all have a mask; before, one that counts in
  /// every input that has one.
  public let joinsMasks: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    guard let kind = Kind(rawValue: config.plainClassName) else {
      throw config.error("merges in no known way", kind: .unsupported)
    }
    self.init(kind, joinsMasks: config.context.version >= 3)
  }

  init(_ kind: Kind, joinsMasks: Bool = false) {
    self.kind = kind
    self.joinsMasks = joinsMasks
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let shapes = call.inputs
    guard shapes.count >= 1, kind != .subtract || shapes.count == 2 else {
      throw CheckpointError(
        .mismatch, Place(),
        "takes \(kind == .subtract ? "two tensors" : "tensors"); it is given \(shapes.count)")
    }
    // Operands of fewer axes get new ones after the batch.
    let rank = shapes.map(\.rank).max() ?? 0
    let aligned = shapes.map { $0.aligned(to: rank) }
    return [try KerasShape.broadcast(aligned)]
  }
}

/// Tensors one after the other along an axis.
public struct ConcatenateLayer: KerasLayer {
  public static let classNames = ["Concatenate"]

  public let axis: Int
  public let joinsMasks: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    let axes = try config.signedInts("axis", default: [-1])
    guard axes.count == 1 else { throw config.error("axis is \(axes); expected one axis") }
    self.init(axis: axes[0], joinsMasks: config.context.version >= 3)
  }

  init(axis: Int, joinsMasks: Bool = false) {
    self.axis = axis
    self.joinsMasks = joinsMasks
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    [try KerasShape.concatenated(call.inputs, axis: axis)]
  }
}

/// Sums of products along an axis of each of two tensors, sample by sample; with `normalize` both are
/// divided by their lengths first.
public struct DotLayer: KerasLayer {
  public static let classNames = ["Dot"]

  /// One for both, or one for each.
  public let axes: [Int]
  public let normalizes: Bool
  /// The smallest sum of squares that is divided by.
  public let epsilon: Double

  public init(_ config: KerasConfig) throws(CheckpointError) {
    let axes = try config.signedInts("axes", default: [-1])
    guard 1...2 ~= axes.count else { throw config.error("axes is \(axes); expected one or two") }
    self.init(
      axes: axes, normalizes: try config.bool("normalize", default: false),
      epsilon: config.context.version >= 3 ? 1e-14 : 1e-12)
  }

  init(axes: [Int], normalizes: Bool, epsilon: Double = 1e-12) {
    self.axes = axes
    self.normalizes = normalizes
    self.epsilon = epsilon
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let (a, b) = try axes(ofRanks: call.inputs.map(\.rank))
    let (x, y) = (call.inputs[0], call.inputs[1])
    guard x[a] == nil || y[b] == nil || x[a] == y[b] else {
      throw CheckpointError(.mismatch, Place(), "multiplies axis \(a) of \(x) by axis \(b) of \(y)")
    }
    func rest(_ shape: KerasShape, _ axis: Int) -> [Int?] {
      shape.extents.indices.filter { $0 != 0 && $0 != axis }.map { shape[$0] }
    }
    let extents = rest(x, a) + rest(y, b)
    return [KerasShape([x[0]] + (extents.isEmpty ? [1] : extents))]
  }

  /// The axis of each operand that disappears.
  public func axes(ofRanks ranks: [Int]) throws(CheckpointError) -> (Int, Int) {
    guard ranks.count == 2, ranks.allSatisfy({ $0 >= 2 }) else {
      throw CheckpointError(
        .mismatch, Place(), "takes two tensors of two axes at least; it is given \(ranks.count)")
    }
    let both = axes.count == 1 ? [axes[0], axes[0]] : axes
    let counted = [
      try KerasConfig.counted([both[0]], rank: ranks[0])[0],
      try KerasConfig.counted([both[1]], rank: ranks[1])[0],
    ]
    guard counted.allSatisfy({ $0 > 0 }) else {
      throw CheckpointError(.mismatch, Place(), "sums over axes \(axes), of which one is the batch")
    }
    return (counted[0], counted[1])
  }
}

/// Keras 1's `Merge`, the layer of several branches or of a functional `merge`.
public struct OldMergeLayer: KerasLayer {
  public static let classNames = ["Merge"]

  /// What it amounts to.
  public let layer: any KerasLayer

  public init(_ config: KerasConfig) throws(CheckpointError) {
    let mode = try config.text("mode", default: "sum")
    switch mode {
    case "sum": layer = MergeLayer(.add)
    case "mul": layer = MergeLayer(.multiply)
    case "ave": layer = MergeLayer(.average)
    case "max": layer = MergeLayer(.maximum)
    case "min": layer = MergeLayer(.minimum)
    case "concat":
      let axes = try config.signedInts("concat_axis", default: [-1])
      guard axes.count == 1 else { throw config.error("concat_axis is \(axes); expected one axis") }
      layer = ConcatenateLayer(axis: axes[0])
    case "dot", "cos":
      var axes: [Int] = [-1]
      if let stated = config["dot_axes"] {
        // One axis, one for each, or a list of one for each.
        let items = KerasConfig.items(stated) ?? [stated]
        axes = items.compactMap { $0.int ?? KerasConfig.items($0)?.first?.int }
        guard axes.count == items.count, 1...2 ~= axes.count else {
          throw config.error("dot_axes is \(stated.compact); expected an axis of each operand")
        }
      }
      layer = DotLayer(axes: axes, normalizes: mode == "cos")
    default:
      throw config.error(
        "its mode is \(mode), which ckpt does not know", kind: .unsupported,
        hint: "known: sum, mul, ave, max, min, concat, dot, cos")
    }
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] { try layer.outputs(call) }
}

extension KerasShape {
  /// With axes of 1 after the batch, so that it has `rank` of them.
  public func aligned(to rank: Int) -> KerasShape {
    guard self.rank < rank, let batch = extents.first else { return self }
    return KerasShape([batch] + Array(repeating: 1, count: rank - self.rank) + extents.dropFirst())
  }

  /// The shape to which all repeat by NumPy's rule.
  ///
  /// - Throws: ``CheckpointError`` where they do not fit.
  static func broadcast(_ shapes: [KerasShape]) throws(CheckpointError) -> KerasShape {
    let rank = shapes.map(\.rank).max() ?? 0
    var result = [Int?](repeating: 1, count: rank)
    for shape in shapes {
      for (index, extent) in shape.extents.enumerated() {
        let axis = rank - shape.rank + index
        switch (result[axis], extent) {
        case (1, _): result[axis] = extent
        case (_, 1): break
        case (nil, let known?): result[axis] = known
        case (_, nil): break
        case (let a?, let b?):
          guard a == b else {
            throw CheckpointError(
              .mismatch, Place(),
              "takes tensors of shapes that agree, or are 1; it is given "
                + shapes.map(\.description).joined(separator: ", "))
          }
        }
      }
    }
    return KerasShape(result)
  }

  /// One after the other along an axis.
  ///
  /// - Throws: ``CheckpointError`` where other axes differ.
  static func concatenated(
    _ shapes: [KerasShape], axis: Int
  ) throws(CheckpointError) -> KerasShape {
    guard var result = shapes.first else {
      throw CheckpointError(.mismatch, Place(), "takes tensors; it is given none")
    }
    let place = try KerasConfig.counted([axis], rank: result.rank)[0]
    for shape in shapes.dropFirst() {
      guard shape.rank == result.rank,
        zip(shape.extents, result.extents).enumerated().allSatisfy({ index, pair in
          index == place || pair.0 == nil || pair.1 == nil || pair.0 == pair.1
        })
      else {
        throw CheckpointError(
          .mismatch, Place(),
          "takes tensors that agree but on axis \(axis); it is given "
            + shapes.map(\.description).joined(separator: ", "))
      }
      for (index, extent) in shape.extents.enumerated() {
        if index == place {
          result.extents[index] = result[index].flatMap { old in
            extent.flatMap { new in
              let (sum, overflow) = old.addingReportingOverflow(new)
              return overflow ? nil : sum
            }
          }
        } else if result[index] == nil {
          result.extents[index] = extent
        }
      }
    }
    return result
  }
}
