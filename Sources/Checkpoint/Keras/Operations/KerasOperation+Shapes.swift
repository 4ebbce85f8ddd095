extension KerasOperation {
  /// The shapes of what it returns.
  ///
  /// - Throws: ``CheckpointError`` where the operands do not fit.
  public func outputs(_ shapes: [KerasShape]) throws(CheckpointError) -> [KerasShape] {
    func operand(_ index: Int) throws(CheckpointError) -> KerasShape {
      guard shapes.indices.contains(index) else {
        throw CheckpointError(.mismatch, Place(), "misses an operand: it has \(shapes.count)")
      }
      return shapes[index]
    }
    switch self {
    case .constant(let numbers): return [KerasShape(numbers.shape.map { $0 })]
    case .sum, .binary, .divideNoNaN, .logAddExp, .hypotenuse, .select:
      return [try KerasShape.broadcast(shapes)]
    case .concatenate(let axis): return [try KerasShape.concatenated(shapes, axis: axis)]
    case .stack(let axis):
      var result = try KerasShape.broadcast(shapes)
      let place = try KerasConfig.counted([axis], rank: result.rank + 1)[0]
      result.extents.insert(shapes.count, at: place)
      return [result]
    case .matrixProduct(let transposesA, let transposesB):
      return [try Self.product(try operand(0), try operand(1), transposesA, transposesB)]
    case .dot:
      let (a, b) = (try operand(0), try operand(1))
      if a.rank == 0 || b.rank == 0 { return [try KerasShape.broadcast([a, b])] }
      let axis = max(b.rank - 2, 0)
      return [
        KerasShape(
          a.extents.dropLast() + b.extents.indices.filter { $0 != axis }.map { b[$0] })
      ]
    case .tensorProduct(let a, let b):
      return [try Self.tensorProduct(try operand(0), a, try operand(1), b)]
    case .tensorProductOf(let count):
      let (x, y) = (try operand(0), try operand(1))
      guard 0...min(x.rank, y.rank) ~= count else {
        throw CheckpointError(.mismatch, Place(), "sums over \(count) axes of \(x) and \(y)")
      }
      return [KerasShape(x.extents.dropLast(count) + y.extents.dropFirst(count))]
    case .outer:
      return [KerasShape([try operand(0).count(), try operand(1).count()])]
    case .einsum(let equation): return [try equation.outputs(shapes)]
    case .take(let axis):
      var x = try operand(0)
      if axis == nil { x = KerasShape([x.count()]) }
      let place = try KerasConfig.counted([axis ?? 0], rank: x.rank)[0]
      return [
        KerasShape(x.extents[..<place] + (try operand(1).extents) + x.extents[(place + 1)...])
      ]
    case .reshapeToOperand(let rank):
      let stated = try operand(1)[0]
      guard let count = rank ?? stated, 0...32 ~= count else {
        throw CheckpointError(.mismatch, Place(), "has a shape that is not known")
      }
      return [KerasShape(Array(repeating: nil, count: count))]
    default: return try arranged(try operand(0))
    }
  }

  /// Of one operand.
  private func arranged(_ x: KerasShape) throws(CheckpointError) -> [KerasShape] {
    func axis(_ axis: Int, more: Int = 0) throws(CheckpointError) -> Int {
      try KerasConfig.counted([axis], rank: x.rank + more)[0]
    }
    switch self {
    case .reduce(_, let axes, let keeps), .norm(_, let axes, let keeps),
      .countNonzero(let axes, let keeps):
      return [try Self.reduced(x, axes, keeps)]
    case .argument(_, let axis, let keeps):
      return [try Self.reduced(x, axis.map { [$0] }, keeps)]
    case .median(let axis, let keeps): return [try Self.reduced(x, [axis], keeps)]
    case .top(let count):
      _ = try axis(-1)
      return [x.ending(in: count), x.ending(in: count)]
    case .reshape(let target):
      let known = target.compactMap { $0 }
      guard known.count == target.count, known.contains(-1), let count = x.count() else {
        let counted = x.extents.first.flatMap { $0 } == nil
        // The batch's extent is not known: the rest may still be told.
        if counted, target.first == -1 { return [KerasShape([nil] + target.dropFirst())] }
        return [KerasShape(target.map { $0 == -1 ? nil : $0 })]
      }
      return [KerasShape(try KerasShape.filled(known, count: count))]
    case .transpose, .moveAxes, .swapAxes:
      return [KerasShape(try axes(rank: x.rank).map { x[$0] })]
    case .expand(let axes):
      let places = Set(try KerasConfig.counted(axes, rank: x.rank + axes.count))
      var rest = x.extents[...]
      var extents: [Int?] = []
      for place in 0..<(x.rank + axes.count) {
        extents.append(places.contains(place) ? 1 : rest.popFirst() ?? nil)
      }
      return [KerasShape(extents)]
    case .squeeze(let axes):
      let places =
        try axes.map { axes throws(CheckpointError) in
          try KerasConfig.counted(axes, rank: x.rank)
        } ?? x.extents.indices.filter { x[$0] == 1 }
      for place in places where x[place] != nil && x[place] != 1 {
        throw CheckpointError(.mismatch, Place(), "drops axis \(place) of \(x), which is not 1")
      }
      return [KerasShape(x.extents.indices.filter { !places.contains($0) }.map { x[$0] })]
    case .split(let parts, let stated):
      let place = try axis(stated)
      guard 1...65_536 ~= parts, x[place] == nil || (x[place] ?? 0) % parts == 0 else {
        throw CheckpointError(.mismatch, Place(), "splits axis \(stated) of \(x) into \(parts)")
      }
      var part = x
      part.extents[place] = x[place].map { $0 / parts }
      return Array(repeating: part, count: parts)
    case .splitSizes(let sizes, let stated):
      let place = try axis(stated)
      let filled = try Self.sizes(sizes, extent: x[place])
      return filled.map { size in
        var part = x
        part.extents[place] = size
        return part
      }
    case .splitAt(let places, let stated):
      let place = try axis(stated)
      return try Self.parts(places, extent: x[place]).map { size in
        var part = x
        part.extents[place] = size
        return part
      }
    case .unstack(let stated):
      let place = try axis(stated)
      guard let count = x[place], count <= 65_536 else {
        throw CheckpointError(.mismatch, Place(), "takes \(x) apart, whose axis \(stated) must be known")
      }
      var part = x
      part.extents.remove(at: place)
      return Array(repeating: part, count: count)
    case .tile(let factors):
      let rank = max(x.rank, factors.count)
      let full = Array(repeating: 1, count: rank - factors.count) + factors
      let old = Array(repeating: 1, count: rank - x.rank) + x.extents
      return [KerasShape(zip(old, full).map { Self.product($0, $1) })]
    case .repeated(let count, let stated):
      guard let stated else { return [KerasShape([Self.product(x.count(), count)])] }
      let place = try axis(stated)
      var result = x
      result.extents[place] = Self.product(x[place], count)
      return [result]
    case .pad(let pairs, _, _):
      try x.expect(rank: pairs.count)
      return [
        KerasShape(
          zip(x.extents, pairs).map { extent, pair in
            extent.flatMap { Self.sum($0, Self.sum(pair[0], pair[1])) }
          })
      ]
    case .broadcast(let extents): return [KerasShape(extents.map { $0 })]
    case .slice(let slices): return [try Self.sliced(x, slices)]
    case .cut(let starts, let sizes):
      try x.expect(rank: starts.count)
      return [
        KerasShape(
          x.extents.enumerated().map { place, extent in
            sizes[place] >= 0 ? sizes[place] : extent.map { max($0 - starts[place], 0) }
          })
      ]
    case .oneHot(let depth, let stated, _, _):
      let place = try axis(stated, more: 1)
      var result = x
      result.extents.insert(depth, at: place)
      return [result]
    case .shape: return [KerasShape([x.rank])]
    case .size: return [KerasShape([])]
    case .causalMask: return [KerasShape([x[1], x[1]])]
    case .prefixMask: return [KerasShape([x[0], x[1], x[1]])]
    case .resize(let sizes, _):
      try x.expect(rank: 4)
      return [KerasShape([x[0], sizes[0], sizes[1], x[3]])]
    case .activation(let activation) where activation.name == "glu":
      let place = try axis(Int(exactly: activation.parameters["axis"] ?? -1) ?? -1)
      var result = x
      result.extents[place] = x[place].map { $0 / 2 }
      return [result]
    default: return [x]
    }
  }

  /// The order of axes for those that only move them.
  ///
  /// - Throws: ``CheckpointError`` where an axis does not exist or stands twice.
  public func axes(rank: Int) throws(CheckpointError) -> [Int] {
    var all = Array(0..<rank)
    switch self {
    case .transpose(nil): return all.reversed()
    case .transpose(let axes?):
      guard axes.count == rank else {
        throw CheckpointError(.mismatch, Place(), "orders \(axes.count) axes of a tensor with \(rank)")
      }
      return try KerasConfig.counted(axes, rank: rank)
    case .swapAxes(let a, let b):
      let (a, b) = (
        try KerasConfig.counted([a], rank: rank)[0], try KerasConfig.counted([b], rank: rank)[0]
      )
      all.swapAt(a, b)
      return all
    case .moveAxes(let from, let to):
      let source = try KerasConfig.counted(from, rank: rank)
      let target = try KerasConfig.counted(to, rank: rank)
      guard source.count == target.count else {
        throw CheckpointError(.mismatch, Place(), "moves axes \(from) to \(to)")
      }
      var order = all.filter { !source.contains($0) }
      for (place, axis) in zip(target, source).sorted(by: { $0.0 < $1.0 }) {
        order.insert(axis, at: min(place, order.count))
      }
      return order
    default: return all
    }
  }

  // MARK: Parts

  static func product(_ a: Int?, _ b: Int?) -> Int? {
    guard let a, let b else { return nil }
    let (product, overflow) = a.multipliedReportingOverflow(by: b)
    return overflow ? nil : product
  }

  static func sum(_ a: Int?, _ b: Int?) -> Int? {
    guard let a, let b else { return nil }
    let (sum, overflow) = a.addingReportingOverflow(b)
    return overflow ? nil : sum
  }

  private static func reduced(
    _ x: KerasShape, _ axes: [Int]?, _ keeps: Bool
  ) throws(CheckpointError) -> KerasShape {
    let places = try KerasConfig.counted(axes ?? Array(0..<x.rank), rank: x.rank)
    return KerasShape(
      x.extents.indices.compactMap { axis -> Int?? in
        places.contains(axis) ? (keeps ? .some(1) : nil) : .some(x[axis])
      })
  }

  private static func product(
    _ a: KerasShape, _ b: KerasShape, _ transposesA: Bool, _ transposesB: Bool
  ) throws(CheckpointError) -> KerasShape {
    guard a.rank >= 1, b.rank >= 1 else {
      throw CheckpointError(.mismatch, Place(), "multiplies \(a) and \(b)")
    }
    // Vectors are rows on the left, columns on the right.
    if a.rank == 1 || b.rank == 1 {
      let left = a.rank == 1 ? [] : transposesA ? a.extents.dropLast(2) + [a[-1]] : a.extents.dropLast()
      let right =
        b.rank == 1 ? [] : transposesB ? b.extents.dropLast() : b.extents.dropLast(2) + [b[-1]]
      return KerasShape(a.rank == 1 ? Array(right) : Array(left))
    }
    let inner = (transposesA ? a[-2] : a[-1], transposesB ? b[-1] : b[-2])
    guard inner.0 == nil || inner.1 == nil || inner.0 == inner.1 else {
      throw CheckpointError(.mismatch, Place(), "multiplies \(a) and \(b), whose inner axes differ")
    }
    let outer = try KerasShape.broadcast([
      KerasShape(Array(a.extents.dropLast(2))), KerasShape(Array(b.extents.dropLast(2))),
    ])
    return KerasShape(
      outer.extents + [transposesA ? a[-1] : a[-2], transposesB ? b[-2] : b[-1]])
  }

  private static func tensorProduct(
    _ x: KerasShape, _ a: [Int], _ y: KerasShape, _ b: [Int]
  ) throws(CheckpointError) -> KerasShape {
    let (left, right) = (
      try KerasConfig.counted(a, rank: x.rank), try KerasConfig.counted(b, rank: y.rank)
    )
    guard left.count == right.count else {
      throw CheckpointError(.mismatch, Place(), "sums over axes \(a) and \(b), which are not as many")
    }
    return KerasShape(
      x.extents.indices.filter { !left.contains($0) }.map { x[$0] }
        + y.extents.indices.filter { !right.contains($0) }.map { y[$0] })
  }

  /// Sizes of which one may be −1.
  public static func sizes(_ sizes: [Int], extent: Int?) throws(CheckpointError) -> [Int?] {
    let known = sizes.filter { $0 >= 0 }.reduce(0) { sum($0, $1) ?? Int.max }
    let open = sizes.count { $0 < 0 }
    guard open <= 1, !sizes.isEmpty,
      extent.map({ open == 1 ? known <= $0 : known == $0 }) ?? true
    else {
      throw CheckpointError(
        .mismatch, Place(), "splits into \(sizes), which an axis of \(extent ?? 0) does not hold")
    }
    return sizes.map { $0 >= 0 ? $0 : extent.map { $0 - known } }
  }

  /// Sizes of the parts before indices, and of the rest.
  public static func parts(_ places: [Int], extent: Int?) throws(CheckpointError) -> [Int?] {
    var last = 0
    var sizes: [Int?] = []
    for place in places {
      guard place >= last, extent.map({ place <= $0 }) ?? true else {
        throw CheckpointError(.mismatch, Place(), "splits before \(places)")
      }
      sizes.append(place - last)
      last = place
    }
    return sizes + [extent.map { $0 - last }]
  }

  private static func sliced(
    _ x: KerasShape, _ slices: [KerasSlice]
  ) throws(CheckpointError) -> KerasShape {
    var result: [Int?] = []
    var axis = 0
    for slice in try KerasSlice.expanded(slices, rank: x.rank) {
      switch slice {
      case .newAxis: result.append(1)
      case .index(let index):
        if let extent = x[axis], !(-extent..<extent ~= index) {
          throw CheckpointError(.mismatch, Place(), "takes place \(index) of axis \(axis) of \(x)")
        }
        axis += 1
      case .range(let start, let stop, let step):
        let isWhole = start == nil && stop == nil && abs(step) == 1
        if let extent = x[axis] {
          result.append(
            KerasSlice.resolved(start: start, stop: stop, step: step, extent: extent).count)
        } else {
          result.append(isWhole ? x[axis] : nil)
        }
        axis += 1
      case .ellipsis: break
      }
    }
    return KerasShape(result)
  }
}
