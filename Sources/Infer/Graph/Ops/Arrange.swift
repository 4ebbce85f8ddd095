/// The same elements in the same order under another shape.
public struct Reshape: Op {
  public let extents: [Int]

  public init(to extents: [Int]) { self.extents = extents }
  public var name: String { "reshape" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1, let old = operands[0].fixed, try product(old) == product(extents)
    else { throw ShapeMismatch("one operand with as many elements as \(extents)") }
    return extents.map { .fixed($0) }
  }
}

/// The axes in another order: axis `i` of the result is axis `axes[i]` of the operand.
public struct Transpose: Op {
  public let axes: [Int]

  public init(_ axes: [Int]) { self.axes = axes }
  public var name: String { "transpose" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1, axes.sorted() == Array(operands[0].indices) else {
      throw ShapeMismatch("one operand whose axes are \(axes) in another order")
    }
    return axes.map { operands[0][$0] }
  }
}

/// Elements at regular distances along every axis: `y[i] = x[start + i · step]`.
///
/// Steps may be negative; then a start is the largest index. This is also cropping and reversing.
public struct Slice: Op {
  public let starts: [Int]
  public let steps: [Int]
  public let counts: [Int]

  public init(starts: [Int], steps: [Int], counts: [Int]) {
    self.starts = starts
    self.steps = steps
    self.counts = counts
  }

  public var name: String { "slice" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1, let extents = operands[0].fixed,
      [starts.count, steps.count, counts.count].allSatisfy({ $0 == extents.count })
    else { throw ShapeMismatch("one operand, and a start, step and count for each axis") }
    for (axis, extent) in extents.enumerated() {
      let (start, step, count) = (starts[axis], steps[axis], counts[axis])
      guard count >= 0 else { throw ShapeMismatch("no negative count on axis \(axis)") }
      if count == 0 { continue }
      let (distance, tooFar) = step.multipliedReportingOverflow(by: count - 1)
      let (last, beyond) = start.addingReportingOverflow(distance)
      guard !tooFar, !beyond, 0..<extent ~= start, 0..<extent ~= last else {
        throw ShapeMismatch(
          "on axis \(axis) indices inside \(extent), not \(count) from \(start) by \(step)")
      }
    }
    return try fixed(counts)
  }
}

/// More elements before and after those of each axis.
public struct Pad: Op {
  /// What the new elements are, named as by NumPy.
  public enum Mode: Sendable, Hashable {
    case constant(Double)
    /// Mirrored at the edge element, which is not repeated: `c b | a b c`.
    case reflect
    /// Mirrored at the edge, whose element is repeated: `b a | a b c`.
    case symmetric
    /// The element at the edge.
    case edge
  }

  public let before: [Int]
  public let after: [Int]
  public let mode: Mode

  public init(before: [Int], after: [Int], mode: Mode = .constant(0)) {
    self.before = before
    self.after = after
    self.mode = mode
  }

  public var name: String { "pad" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1, let extents = operands[0].fixed, before.count == extents.count,
      after.count == extents.count
    else { throw ShapeMismatch("one operand, and a padding before and after each axis") }
    var result: [Int] = []
    for (axis, extent) in extents.enumerated() {
      let limit =
        switch mode {
        case .constant: Int.max
        case .reflect: max(extent - 1, 0)
        case .symmetric: extent
        case .edge: extent == 0 ? 0 : Int.max
        }
      guard 0...limit ~= before[axis], 0...limit ~= after[axis] else {
        throw ShapeMismatch("a padding of 0 to \(limit) on axis \(axis)")
      }
      let (some, tooMany) = extent.addingReportingOverflow(before[axis])
      let (all, tooManyYet) = some.addingReportingOverflow(after[axis])
      guard !tooMany, !tooManyYet else { throw ShapeMismatch("less padding on axis \(axis)") }
      result.append(all)
    }
    return try fixed(result)
  }
}

/// The operands one after the other along an axis; a negative axis counts from the end.
public struct Concatenate: Op {
  public let axis: Int

  public init(axis: Int) { self.axis = axis }
  public var name: String { "concatenate" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard var result = operands.first else { throw ShapeMismatch("an operand at least") }
    let axis = try counted(axis, rank: result.count)
    var sum = 0
    for operand in operands {
      guard operand.count == result.count,
        zip(operand, result).enumerated().allSatisfy({ $0 == axis || $1.0 == $1.1 }),
        case .fixed(let extent) = operand[axis]
      else { throw ShapeMismatch("operands that agree but on axis \(axis), which is fixed") }
      let (next, overflow) = sum.addingReportingOverflow(extent)
      guard !overflow else { throw ShapeMismatch("less on axis \(axis)") }
      sum = next
    }
    result[axis] = .fixed(sum)
    if let extents = result.fixed { return try fixed(extents) }
    return result
  }
}

/// An operand repeated along axes of 1 and along new leading axes, by NumPy's rule.
public struct BroadcastTo: Op {
  public let extents: [Int]

  public init(_ extents: [Int]) { self.extents = extents }
  public var name: String { "broadcast_to" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1, let old = operands[0].fixed, old.count <= extents.count,
      zip(old.reversed(), extents.reversed()).allSatisfy({ $0 == 1 || $0 == $1 })
    else { throw ShapeMismatch("one operand that fits into \(extents)") }
    return try fixed(extents)
  }
}

/// Every element repeated `factors[axis]` times along each axis, as by `np.repeat`.
public struct Upsample: Op {
  public let factors: [Int]

  public init(factors: [Int]) { self.factors = factors }
  public var name: String { "upsample" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1, operands[0].count == factors.count,
      factors.allSatisfy({ $0 >= 1 })
    else { throw ShapeMismatch("one operand, and a factor from 1 for each axis") }
    var result = operands[0]
    for (axis, factor) in factors.enumerated() where factor != 1 {
      guard case .fixed(let extent) = result[axis] else {
        throw ShapeMismatch("a fixed axis \(axis)")
      }
      let (extended, overflow) = extent.multipliedReportingOverflow(by: factor)
      guard !overflow else { throw ShapeMismatch("a smaller factor than \(factor)") }
      result[axis] = .fixed(extended)
    }
    if let extents = result.fixed { return try fixed(extents) }
    return result
  }
}

/// Elements along an axis by their indices, as `np.take(x, indices, axis)`:
/// `(x, indices) → x.shape[..<axis] + indices.shape + x.shape[(axis + 1)...]`.
///
/// Negative indices count from the end.
public struct GatherAxis: Op {
  public let axis: Int

  public init(axis: Int) { self.axis = axis }
  public var name: String { "gather_axis" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 2 else { throw ShapeMismatch("x and indices") }
    let axis = try counted(axis, rank: operands[0].count)
    guard case .fixed = operands[0][axis] else { throw ShapeMismatch("a fixed axis \(axis)") }
    let result = operands[0][..<axis] + operands[1] + operands[0][(axis + 1)...]
    if let extents = Array(result).fixed { return try fixed(extents) }
    return Array(result)
  }

  /// The index as one from the start; `nil` when it is no index of so many.
  func index<Scalar: BinaryFloatingPoint>(_ value: Scalar, of extent: Int) -> Int? {
    guard let whole = Int(exactly: value), -extent..<extent ~= whole
    else { return nil }
    return whole < 0 ? whole + extent : whole
  }
}

/// A new last axis with 1 at the element's value and 0 elsewhere: `x […] → […, depth]`.
///
/// What is no whole number from 0 below `depth` gives zeros only, as in TensorFlow.
public struct OneHot: Op {
  public let depth: Int

  public init(depth: Int) { self.depth = depth }
  public var name: String { "one_hot" }

  public func shape(_ operands: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
    guard operands.count == 1, depth >= 0 else { throw ShapeMismatch("one operand") }
    guard let extents = operands[0].fixed else { return operands[0] + [.fixed(depth)] }
    return try fixed(extents + [depth])
  }
}

// MARK: Parts of shape rules

extension [Dimension] {
  /// The extents, when none is symbolic.
  var fixed: [Int]? {
    var extents: [Int] = []
    for dimension in self {
      guard case .fixed(let extent) = dimension else { return nil }
      extents.append(extent)
    }
    return extents
  }
}

/// The number of elements; neither negative nor so large that sums of a few sizes overflow.
func product(_ extents: [Int]) throws(ShapeMismatch) -> Int {
  var count = 1
  for extent in extents {
    let (next, overflow) = count.multipliedReportingOverflow(by: extent)
    guard extent >= 0, !overflow, next < 1 << 48 else {
      throw ShapeMismatch("fewer elements than \(extents), none of them negative")
    }
    count = next
  }
  return count
}

/// A shape of these extents, when it is one that memory could hold.
func fixed(_ extents: [Int]) throws(ShapeMismatch) -> [Dimension] {
  _ = try product(extents)
  return extents.map { .fixed($0) }
}

/// The axis from 0; a negative one counts from the end.
func counted(_ axis: Int, rank: Int) throws(ShapeMismatch) -> Int {
  guard -rank..<rank ~= axis else { throw ShapeMismatch("an axis \(axis) of \(rank)") }
  return axis.counted(of: rank)
}

extension Int {
  /// An axis from 0, where a negative one counts from the end.
  func counted(of rank: Int) -> Int { self < 0 ? self + rank : self }
}

/// The shape to which all of these repeat by NumPy's rule: aligned at their ends, axes of 1 repeat.
func broadcast(_ shapes: [[Dimension]]) throws(ShapeMismatch) -> [Dimension] {
  var result: [Dimension] = []  // from the last axis on
  for shape in shapes {
    for (axis, dimension) in shape.reversed().enumerated() {
      if axis == result.count {
        result.append(dimension)
      } else if result[axis] == .fixed(1) {
        result[axis] = dimension
      } else if dimension != .fixed(1), dimension != result[axis] {
        throw ShapeMismatch("operands that agree, or are 1, on each axis from the last")
      }
    }
  }
  result.reverse()
  if let extents = result.fixed { return try fixed(extents) }
  return result
}
