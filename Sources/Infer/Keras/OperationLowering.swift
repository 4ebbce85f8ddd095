import Checkpoint

extension OperationLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    // Numbers that are known by now, such as extents, are what a shape may be made of.
    let known = KerasCall(
      call.arguments.map { builder.known($0) },
      keywords: call.keywords.map { ($0.name, builder.known($0.argument)) })
    let (operation, operands) = try reading(known)
    let values = known.tensors
    var ids: [Graph.ID] = []
    for operand in operands {
      switch operand {
      case .tensor(let index): ids.append(values[index].id)
      case .numbers(let numbers): ids.append(try builder.constant(numbers.shape, numbers.values))
      }
    }
    // Keras drops masks here.
    return try builder.apply(operation, ids).map { KerasValue(try builder.folded($0)) }
  }
}

extension LambdaLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    var work = builder
    let results: [Graph.ID] = try function.applied(
      to: call.inputs.map(\.id), { $0 as any Error }
    ) { operation, ids in try work.apply(operation, ids) }
    builder = work
    return results.map { KerasValue($0) }
  }
}

extension KerasBuilder {
  /// The most numbers that are computed while the graph is built.
  private static let largestKnown = 4096

  /// An argument with the numbers in place of small tensors whose numbers are known.
  func known(_ argument: KerasArgument<KerasValue>) -> KerasArgument<KerasValue> {
    switch argument {
    case .tensor(let value):
      if let array = stated(value.id), array.values.count <= KerasBuilder.largestKnown {
        return .constant(KerasBuilder.json(array.shape[...], array.values[...]))
      }
      return argument
    case .constant: return argument
    case .list(let items): return .list(items.map { known($0) })
    }
  }

  private static func json(_ shape: ArraySlice<Int>, _ values: ArraySlice<Double>) -> JSON {
    guard let extent = shape.first else { return values.first.map { .number($0) } ?? .null }
    let count = extent == 0 ? 0 : values.count / extent
    return .array(
      (0..<extent).map { index in
        json(shape.dropFirst(), values.dropFirst(index * count).prefix(count))
      })
  }

  /// The array of a value that the graph states.
  private func stated(_ id: Graph.ID) -> NDArray<Double>? {
    guard case .node(let index) = graph[id].source else { return nil }
    return (graph.nodes[index].op as? Constant)?.array
  }

  /// A value that is made of stated ones alone, as a stated one.
  mutating func folded(_ id: Graph.ID) throws -> Graph.ID {
    guard stated(id) == nil, let array = evaluated(id) else { return id }
    return try constant(array.shape, array.values)
  }

  private func evaluated(_ id: Graph.ID) -> NDArray<Double>? {
    if let array = stated(id) { return array }
    guard case .node(let index) = graph[id].source else { return nil }
    let (node, shape) = (graph.nodes[index], shape(id))
    guard shape.reduce(1, *) <= KerasBuilder.largestKnown, !(node.op is BroadcastTo) else { return nil }
    var operands: [NDArray<Double>] = []
    for operand in node.operands {
      guard let array = evaluated(operand) else { return nil }
      operands.append(array)
    }
    return node.op.reference(operands, shape: shape)
  }

  // MARK: Operations

  /// The values that an operation makes.
  mutating func apply(
    _ operation: KerasOperation, _ x: [Graph.ID]
  ) throws -> [Graph.ID] {
    // Says whether there are as many operands as it takes, and whether they fit.
    let results = try operation.outputs(x.map { KerasShape(shape($0).map { $0 }) })
    switch operation {
    case .constant(let numbers): return [try constant(numbers.shape, numbers.values)]
    case .sum:
      var sum = x[0]
      for other in x.dropFirst() { sum = try binary(.add, sum, other) }
      return [sum]
    case .binary, .divideNoNaN, .logAddExp, .hypotenuse, .select: return [try elementwise(operation, x)]
    case .concatenate(let axis): return [try apply(Concatenate(axis: axis), x)]
    case .stack(let axis):
      let extents = (results[0].extents.compactMap { $0 })
      let place = axis < 0 ? axis + extents.count : axis
      var inner = extents
      inner.remove(at: place)
      var parts: [Graph.ID] = []
      for id in x {
        var part = id
        if shape(part) != inner { part = try apply(BroadcastTo(inner), part) }
        var extents = inner
        extents.insert(1, at: place)
        parts.append(try reshape(part, extents))
      }
      return [try apply(Concatenate(axis: place), parts)]
    case .matrixProduct, .dot, .tensorProduct, .tensorProductOf, .outer, .einsum:
      return [try product(operation, x)]
    case .take(let axis):
      let flat = axis == nil ? try reshape(x[0], [shape(x[0]).reduce(1, *)]) : x[0]
      return [try apply(GatherAxis(axis: axis ?? 0), flat, x[1])]
    case .reshapeToOperand:
      throw CheckpointError(
        .unsupported, Place(), "takes a shape that is computed from the values of a tensor")
    case .reduce, .argument, .accumulate, .norm, .normalize, .countNonzero, .median, .sort, .top:
      return try reduced(operation, x[0], results)
    case .unary, .activation, .clip, .scale, .shift, .toInteger, .toBoolean, .replaceNaN, .identity:
      return [try elementwise(operation, x)]
    case .oneHot, .like, .shape, .size, .causalMask, .prefixMask, .resize, .band:
      return [try made(operation, x[0], results)]
    default: return try arranged(operation, x[0], results)
    }
  }

  private mutating func elementwise(
    _ operation: KerasOperation, _ x: [Graph.ID]
  ) throws -> Graph.ID {
    switch operation {
    case .unary(let name):
      guard let function = Unary.Function(rawValue: name) else { throw unknown(name) }
      return try apply(Unary(function), x[0])
    case .binary(let name):
      guard let function = Binary.Function(rawValue: name) else { throw unknown(name) }
      return try binary(function, x[0], x[1])
    case .activation(let activation): return try activate(x[0], activation)
    case .clip(let min, let max): return try apply(Clip(min: min, max: max), x[0])
    case .scale(let factor): return try apply(Scale(by: factor), x[0])
    case .shift(let number): return try shifted(x[0], by: number)
    case .toInteger: return try apply(Unary(.trunc), x[0])
    case .toBoolean: return try binary(.notEqual, x[0], constant(0))
    case .select: return try apply(Select(), x)
    case .divideNoNaN:
      let isZero = try binary(.equal, x[1], constant(0))
      return try apply(Select(), isZero, constant(0), binary(.divide, x[0], x[1]))
    case .logAddExp:
      let distance = try apply(Unary(.abs), binary(.subtract, x[0], x[1]))
      let rest = try apply(Unary(.log1p), apply(Unary(.exp), apply(Unary(.negate), distance)))
      return try binary(.add, binary(.maximum, x[0], x[1]), rest)
    case .hypotenuse:
      let squares = try binary(.add, apply(Unary(.square), x[0]), apply(Unary(.square), x[1]))
      return try apply(Unary(.sqrt), squares)
    case .replaceNaN(let nan, let positive, let negative):
      let number = try apply(Select(), apply(Unary(.isNaN), x[0]), constant(nan), x[0])
      let isPositive = try binary(.greater, number, constant(0))
      let large = try apply(Select(), isPositive, constant(positive), constant(negative))
      return try apply(Select(), apply(Unary(.isInfinite), number), large, number)
    default: return x[0]
    }
  }

  private func unknown(_ name: String) -> InferError {
    InferError(.unsupported, name, "the engine has no such operation")
  }

  private mutating func product(
    _ operation: KerasOperation, _ x: [Graph.ID]
  ) throws -> Graph.ID {
    let (a, b) = (x[0], x.count > 1 ? x[1] : x[0])
    switch operation {
    case .matrixProduct(let transposesA, let transposesB):
      let (left, right) = (shape(a), shape(b))
      if left.count > 1, right.count > 1 {
        return try apply(
          MatrixProduct(transposesA: transposesA, transposesB: transposesB), a, b)
      }
      // Vectors are rows on the left, columns on the right.
      let row = left.count == 1 ? try reshape(a, [1] + left) : a
      let column = right.count == 1 ? try reshape(b, right + [1]) : b
      let product = try apply(
        MatrixProduct(
          transposesA: left.count > 1 && transposesA, transposesB: right.count > 1 && transposesB),
        row, column)
      var extents = shape(product)
      if right.count == 1 { extents.removeLast() }
      if left.count == 1 { extents.remove(at: extents.count - (right.count == 1 ? 1 : 2)) }
      return try reshape(product, extents)
    case .dot:
      if shape(a).isEmpty || shape(b).isEmpty { return try binary(.multiply, a, b) }
      return try contracted(a, [shape(a).count - 1], b, [max(shape(b).count - 2, 0)])
    case .tensorProduct(let first, let second):
      return try contracted(
        a, KerasConfig.counted(first, rank: shape(a).count), b,
        KerasConfig.counted(second, rank: shape(b).count))
    case .tensorProductOf(let count):
      return try contracted(a, Array(shape(a).indices.suffix(count)), b, Array(0..<count))
    case .outer:
      let column = try reshape(a, [shape(a).reduce(1, *), 1])
      return try binary(.multiply, column, reshape(b, [1, shape(b).reduce(1, *)]))
    case .einsum(let equation): return try einsum(equation, x)
    default: return a
    }
  }

  /// Sums of products over axes of each of two tensors.
  private mutating func contracted(
    _ a: Graph.ID, _ first: [Int], _ b: Graph.ID, _ second: [Int]
  ) throws -> Graph.ID {
    let (left, right) = (shape(a), shape(b))
    let (rows, columns) = (
      left.indices.filter { !first.contains($0) }, right.indices.filter { !second.contains($0) }
    )
    let inner = first.reduce(1) { $0 * left[$1] }
    let x = try reshape(
      transpose(a, rows + first), [rows.reduce(1) { $0 * left[$1] }, inner])
    let y = try reshape(
      transpose(b, second + columns),
      [second.reduce(1) { $0 * right[$1] }, columns.reduce(1) { $0 * right[$1] }])
    let product = try apply(MatrixProduct(), x, y)
    return try reshape(product, rows.map { left[$0] } + columns.map { right[$0] })
  }

  // MARK: Reductions

  private mutating func reduced(
    _ operation: KerasOperation, _ x: Graph.ID, _ results: [KerasShape]
  ) throws -> [Graph.ID] {
    let rank = shape(x).count
    func all(_ axes: [Int]?) -> [Int] { axes ?? Array(0..<rank) }
    switch operation {
    case .reduce(let name, let axes, let keeps):
      guard let kind = Reduce.Kind(rawValue: name) else { throw unknown(name) }
      return [try apply(Reduce(kind, axes: all(axes), keepsDimensions: keeps), x)]
    case .countNonzero(let axes, let keeps):
      let counts = try binary(.notEqual, x, constant(0))
      return [try apply(Reduce(.sum, axes: all(axes), keepsDimensions: keeps), counts)]
    case .argument(let isMaximum, let axis, let keeps):
      let flat = axis == nil ? try reshape(x, [shape(x).reduce(1, *)]) : x
      let index = try apply(ArgReduce(isMaximum ? .max : .min, axis: axis ?? 0), flat)
      return [keeps ? try reshape(index, results[0].extents.compactMap { $0 }) : index]
    case .accumulate(let isProduct, let axis, let isExclusive, let isReversed):
      return [
        try apply(
          Accumulate(
            isProduct ? .product : .sum, axis: axis, isExclusive: isExclusive,
            isReversed: isReversed), x)
      ]
    case .norm(let order, let axes, let keeps):
      if order == 2 {
        let squares = try apply(Unary(.square), x)
        let sum = try apply(Reduce(.sum, axes: all(axes), keepsDimensions: keeps), squares)
        return [try apply(Unary(.sqrt), sum)]
      }
      let sizes = try apply(Unary(.abs), x)
      return [
        try apply(Reduce(order == 1 ? .sum : .max, axes: all(axes), keepsDimensions: keeps), sizes)
      ]
    case .normalize(let order, let axes, let epsilon):
      if order == 2 { return [try normalized(x, all(axes), squaredEpsilon: epsilon * epsilon)] }
      let sum = try apply(
        Reduce(.sum, axes: all(axes), keepsDimensions: true), apply(Unary(.abs), x))
      return [try binary(.divide, x, binary(.maximum, sum, constant(epsilon)))]
    case .sort(let axis, let isDescending):
      return [try sorted(x, axis: axis, isDescending: isDescending).values]
    case .median(let axis, let keeps):
      let place = try KerasConfig.counted([axis], rank: rank)[0]
      let ordered = try sorted(x, axis: axis).values
      let extent = shape(x)[place]
      let low = try part(ordered, axis: place, from: (extent - 1) / 2, count: 1)
      let high = try part(ordered, axis: place, from: extent / 2, count: 1)
      let middle = try apply(Scale(by: 0.5), binary(.add, low, high))
      return [keeps ? middle : try reshape(middle, results[0].extents.compactMap { $0 })]
    case .top(let count):
      let (values, indices) = try sorted(x, axis: -1, isDescending: true, count: count)
      return [values, indices]
    default: return [x]
    }
  }

  /// The elements along an axis in order, and where each was; equal ones stay in their order.
  ///
  /// An element's place is the number of those before it. All pairs are compared.
  mutating func sorted(
    _ x: Graph.ID, axis: Int, isDescending: Bool = false, count: Int? = nil
  ) throws -> (values: Graph.ID, indices: Graph.ID) {
    let rank = shape(x).count
    let place = try KerasConfig.counted([axis], rank: rank)[0]
    let order = (0..<rank).filter { $0 != place } + [place]
    let moved = try transpose(x, order)
    let shape = shape(moved)
    try checkPairs(shape)
    let extent = shape[rank - 1]
    let count = count ?? extent
    guard count <= extent, extent > 0 else {
      throw CheckpointError(.mismatch, Place(), "takes \(count) of \(extent) elements")
    }
    let row = try reshape(moved, shape.dropLast() + [1, extent])
    let column = try reshape(moved, shape + [1])
    let isBefore = try binary(isDescending ? .greater : .less, row, column)
    let isEarlier = try triangle(rows: extent, columns: extent) { $1 < $0 }
    let isTied = try binary(.multiply, binary(.equal, row, column), isEarlier)
    let places = try apply(Reduce(.sum, axes: [-1]), binary(.add, isBefore, isTied))
    let wanted = try constant([count, 1], (0..<count).map { Double($0) })
    let isHere = try binary(.equal, reshape(places, shape.dropLast() + [1, extent]), wanted)
    let back = order.indices.sorted { order[$0] < order[$1] }
    let chosen = try apply(Select(), isHere, row, constant(0))
    let values = try transpose(apply(Reduce(.sum, axes: [-1]), chosen), back)
    let numbers = try constant([extent], (0..<extent).map { Double($0) })
    let indices = try transpose(
      apply(Reduce(.sum, axes: [-1]), binary(.multiply, isHere, numbers)), back)
    return (values, indices)
  }

  private mutating func triangle(
    rows: Int, columns: Int, _ isOne: (_ row: Int, _ column: Int) -> Bool
  ) throws -> Graph.ID {
    guard rows <= 8192, columns <= 8192 else {
      throw CheckpointError(.unsupported, Place(), "makes a matrix of \(rows) × \(columns)")
    }
    var values: [Double] = []
    values.reserveCapacity(rows * columns)
    for row in 0..<rows {
      for column in 0..<columns { values.append(isOne(row, column) ? 1 : 0) }
    }
    return try constant([rows, columns], values)
  }

  // MARK: What makes tensors

  private mutating func made(
    _ operation: KerasOperation, _ x: Graph.ID, _ results: [KerasShape]
  ) throws -> Graph.ID {
    let shape = shape(x)
    switch operation {
    case .oneHot(let depth, let axis, let on, let off):
      var hot = try apply(OneHot(depth: depth), x)
      let place = try KerasConfig.counted([axis], rank: shape.count + 1)[0]
      var order = Array(0..<shape.count)
      order.insert(shape.count, at: place)
      hot = try transpose(hot, order)
      if on != 1 || off != 0 { hot = try shifted(apply(Scale(by: on - off), hot), by: off) }
      return hot
    case .like(let value): return try apply(BroadcastTo(shape), constant(value))
    case .shape: return try constant([shape.count], shape.map { Double($0) })
    case .size: return try constant(Double(shape.reduce(1, *)))
    case .causalMask:
      guard shape.count >= 2 else {
        throw CheckpointError(.mismatch, Place(), "takes ids [batch, length]; it is given \(shape)")
      }
      return try triangle(rows: shape[1], columns: shape[1]) { $1 <= $0 }
    case .prefixMask:
      guard shape.count == 2 else {
        throw CheckpointError(.mismatch, Place(), "takes ids [batch, length]; it is given \(shape)")
      }
      let sums = try apply(Accumulate(.sum, axis: 1), x)
      return try binary(
        .lessEqual, reshape(sums, [shape[0], 1, shape[1]]), reshape(sums, shape + [1]))
    case .resize(let sizes, let method): return try resize(x, sizes, method)
    case .band(let lower, let upper):
      guard shape.count >= 2 else {
        throw CheckpointError(.mismatch, Place(), "takes matrices; it is given \(shape)")
      }
      let (rows, columns) = (shape[shape.count - 2], shape[shape.count - 1])
      let isInside = try triangle(rows: rows, columns: columns) { row, column in
        (lower.map { row - column <= $0 } ?? true) && (upper.map { column - row <= $0 } ?? true)
      }
      return try apply(Select(), isInside, x, constant(0))
    default: return x
    }
  }

  // MARK: Arrangements

  private mutating func arranged(
    _ operation: KerasOperation, _ x: Graph.ID, _ results: [KerasShape]
  ) throws -> [Graph.ID] {
    let shape = shape(x)
    let target = results.first?.extents.compactMap { $0 } ?? []
    func place(_ axis: Int) throws -> Int { try KerasConfig.counted([axis], rank: shape.count)[0] }
    switch operation {
    case .reshape(let extents):
      guard !extents.contains(nil) else {
        throw CheckpointError(
          .unsupported, Place(), "takes a shape that is computed from the values of a tensor")
      }
      return [try reshape(x, target)]
    case .expand, .squeeze: return [try reshape(x, target)]
    case .transpose, .moveAxes, .swapAxes:
      return [try transpose(x, operation.axes(rank: shape.count))]
    case .split(let parts, let axis):
      let (place, count) = (try place(axis), target.isEmpty ? 0 : target[try place(axis)])
      return try (0..<parts).map { try part(x, axis: place, from: $0 * count, count: count) }
    case .splitSizes(_, let axis), .splitAt(_, let axis):
      let place = try place(axis)
      var start = 0
      return try results.map { result in
        let count = result[place] ?? 0
        defer { start += count }
        return try part(x, axis: place, from: start, count: count)
      }
    case .unstack(let axis):
      let place = try place(axis)
      return try results.indices.map { index in
        try reshape(part(x, axis: place, from: index, count: 1), target)
      }
    case .tile(let factors):
      let rank = max(shape.count, factors.count)
      let all = Array(repeating: 1, count: rank - factors.count) + factors
      let old = Array(repeating: 1, count: rank - shape.count) + shape
      let spread = try reshape(x, old.flatMap { [1, $0] })
      let wide = try apply(BroadcastTo(zip(all, old).flatMap { [$0, $1] }), spread)
      return [try reshape(wide, target)]
    case .repeated(let count, let axis):
      let flat = axis == nil ? try reshape(x, [shape.reduce(1, *)]) : x
      var factors = Array(repeating: 1, count: self.shape(flat).count)
      factors[try axis.map(place) ?? 0] = count
      return [try apply(Upsample(factors: factors), flat)]
    case .pad(let pairs, let mode, let value):
      let kind: Pad.Mode =
        switch mode {
        case "reflect": .reflect
        case "symmetric": .symmetric
        case "edge": .edge
        default: .constant(value)
        }
      return [try apply(Pad(before: pairs.map { $0[0] }, after: pairs.map { $0[1] }, mode: kind), x)]
    case .flip(let axes):
      var y = x
      for axis in try KerasConfig.counted(axes ?? Array(shape.indices), rank: shape.count)
      where shape[axis] > 1 {
        y = try part(y, axis: axis, from: shape[axis] - 1, count: shape[axis], step: -1)
      }
      return [y]
    case .roll(let shifts, let axes):
      var y = x
      for (shift, axis) in zip(shifts, axes) {
        let place = try place(axis)
        let extent = shape[place]
        guard extent > 0 else { continue }
        let move = ((shift % extent) + extent) % extent
        if move == 0 { continue }
        let end = try part(y, axis: place, from: extent - move, count: move)
        let start = try part(y, axis: place, from: 0, count: extent - move)
        y = try apply(Concatenate(axis: place), end, start)
      }
      return [y]
    case .broadcast(let extents): return [try apply(BroadcastTo(extents), x)]
    case .cut(let starts, _):
      return [
        try apply(
          Slice(starts: starts, steps: Array(repeating: 1, count: shape.count), counts: target), x)
      ]
    case .slice(let slices): return [try sliced(x, slices, target)]
    default: return [x]
    }
  }

  private mutating func sliced(
    _ x: Graph.ID, _ slices: [KerasSlice], _ target: [Int]
  ) throws -> Graph.ID {
    let shape = shape(x)
    var (starts, steps, counts): ([Int], [Int], [Int]) = ([], [], [])
    for slice in try KerasSlice.expanded(slices, rank: shape.count) {
      let extent = starts.count < shape.count ? shape[starts.count] : 1
      switch slice {
      case .newAxis, .ellipsis: continue
      case .index(let index):
        starts.append(index < 0 ? index + extent : index)
        steps.append(1)
        counts.append(1)
      case .range(let start, let stop, let step):
        let (first, count) = KerasSlice.resolved(
          start: start, stop: stop, step: step, extent: extent)
        starts.append(first)
        steps.append(step)
        counts.append(count)
      }
    }
    let isWhole = counts == shape && steps.allSatisfy { $0 == 1 }
    let taken = isWhole ? x : try apply(Slice(starts: starts, steps: steps, counts: counts), x)
    return try reshape(taken, target)
  }
}
