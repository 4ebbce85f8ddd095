import Checkpoint

extension EinsumDenseLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only().id
    var y = try builder.einsum(equation, [x, builder.weight("kernel")])
    if builder.hasWeight("bias") { y = try builder.binary(.add, y, builder.weight("bias")) }
    return [KerasValue(try builder.activate(y, activation))]
  }
}

extension HighwayLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only().id
    func map(_ kernel: String, _ bias: String) throws -> Graph.ID {
      var operands = [x, try builder.weight(kernel)]
      if usesBias { operands.append(try builder.weight(bias)) }
      return try builder.apply(Linear(), operands)
    }
    let carry = try builder.apply(Activate(.sigmoid), map("W_carry", "b_carry"))
    let inner = try builder.activate(map("W", "b"), activation)
    // x + t · (inner − x).
    let change = try builder.binary(
      .multiply, carry, builder.binary(.subtract, inner, x))
    return [KerasValue(try builder.binary(.add, x, change))]
  }
}

extension MaxoutDenseLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only().id
    var y = try builder.einsum(Einsum("bi,fio->bfo"), [x, builder.weight("W")])
    if usesBias { y = try builder.binary(.add, y, builder.weight("b")) }
    return [KerasValue(try builder.apply(Reduce(.max, axes: [1]), y))]
  }
}

extension KerasBuilder {
  /// Sums of products in Einstein's notation, two operands at a time from the left.
  mutating func einsum(_ equation: Einsum, _ operands: [Graph.ID]) throws -> Graph.ID {
    let (axes, result) = try equation.axes(ranks: operands.map { shape($0).count })
    // Says whether extents agree.
    _ = try equation.outputs(operands.map { KerasShape(shape($0).map { $0 }) })
    var (x, left) = (operands[0], axes[0])
    for index in operands.indices.dropFirst() {
      let later = Set(axes[(index + 1)...].joined()).union(result)
      (x, left) = try product(x, left, operands[index], axes[index], keeping: later)
    }
    (x, left) = try summed(x, left, keeping: Set(result))
    x = try transpose(x, result.map { axis in left.firstIndex(of: axis) ?? 0 })
    return x
  }

  /// The sum over the axes that nobody needs.
  private mutating func summed(
    _ x: Graph.ID, _ axes: [Int], keeping needed: Set<Int>
  ) throws -> (Graph.ID, [Int]) {
    let places = axes.indices.filter { !needed.contains(axes[$0]) }
    if places.isEmpty { return (x, axes) }
    return (try apply(Reduce(.sum, axes: places), x), axes.filter(needed.contains))
  }

  /// The product of two operands, summed over the axes that only they have.
  private mutating func product(
    _ x: Graph.ID, _ left: [Int], _ y: Graph.ID, _ right: [Int], keeping needed: Set<Int>
  ) throws -> (Graph.ID, [Int]) {
    var (x, left) = try summed(x, left, keeping: needed.union(right))
    var (y, right) = try summed(y, right, keeping: needed.union(left))
    // Axes of "..." may be 1 in one of them.
    var extents: [Int: Int] = [:]
    for (axis, extent) in zip(left + right, shape(x) + shape(y)) {
      extents[axis] = max(extents[axis] ?? 1, extent)
    }
    func extent(_ axis: Int) -> Int { extents[axis] ?? 1 }
    x = try widened(x, left.map(extent))
    y = try widened(y, right.map(extent))
    let shared = left.filter(right.contains)
    let (batch, inner) = (shared.filter(needed.contains), shared.filter { !needed.contains($0) })
    let (rows, columns) = (
      left.filter { !right.contains($0) }, right.filter { !left.contains($0) }
    )
    func arranged(_ id: Graph.ID, _ axes: [Int], _ order: [Int]) throws -> Graph.ID {
      try transpose(id, order.map { axis in axes.firstIndex(of: axis) ?? 0 })
    }
    func size(_ axes: [Int]) -> Int { axes.reduce(1) { $0 * extent($1) } }
    x = try arranged(x, left, batch + rows + inner)
    y = try arranged(y, right, batch + inner + columns)
    let product = try apply(
      MatrixProduct(), reshape(x, [size(batch), size(rows), size(inner)]),
      reshape(y, [size(batch), size(inner), size(columns)]))
    (left, right) = (batch + rows + columns, [])
    return (try reshape(product, left.map(extent)), left)
  }

  private mutating func widened(_ x: Graph.ID, _ extents: [Int]) throws -> Graph.ID {
    shape(x) == extents ? x : try apply(BroadcastTo(extents), x)
  }
}
