/// An op that takes rows of its first operand, a table: by the ids that its second operand holds,
/// or one for each position of that operand.
protocol TableOp: Op {
  var takesIDs: Bool { get }
  /// How many ids or positions a table of so many rows serves.
  func limit(rows: Int) -> Int
}

extension Graph {
  /// Checks that the inputs are all there, agree in batch, length and targets, and index inside
  /// tables.
  public func checked(_ inputs: [String: NDArray<Float>]) throws(InferError) -> Extents {
    var bound: [Dimension: Int] = [:]
    for id in self.inputs {
      let value = self[id]
      guard let array = inputs[value.name] else {
        throw InferError(.input, value.name, "is missing")
      }
      guard array.shape.count == value.shape.count else {
        throw InferError(
          .input, value.name, "has shape \(array.shape); expected \(value.shape)")
      }
      for (extent, dimension) in zip(array.shape, value.shape) {
        let expected =
          if case .fixed(let size) = dimension { size } else { bound[dimension] ?? extent }
        guard extent == expected else {
          throw InferError(
            .input, value.name, "has shape \(array.shape); expected \(dimension) = \(expected)")
        }
        bound[dimension] = expected
      }
    }
    let extents = Extents(
      batch: bound[.batch] ?? 1, length: bound[.length] ?? 1, targets: bound[.targets] ?? 1,
      capacity: bound[.capacity] ?? 1)
    guard extents.batch > 0, extents.length > 0, extents.targets > 0, extents.capacity > 0 else {
      throw InferError(.input, self.inputs.first.map { self[$0].name } ?? "", "is empty")
    }
    for node in nodes { try checkRange(node, inputs, extents) }
    return extents
  }

  /// Ids must lie in the table that they index; positions must not outnumber theirs.
  private func checkRange(
    _ node: Node, _ inputs: [String: NDArray<Float>], _ extents: Extents
  ) throws(InferError) {
    if let select = node.op as? SelectPosition {
      let dimension = self[node.operands[0]].shape[1]
      let positions = dimension.extent(extents)
      guard 0..<positions ~= select.position else {
        throw InferError(
          .input, "\(dimension)", "there is no position \(select.position) in \(positions)")
      }
    }
    guard let op = node.op as? any TableOp else { return }
    let (table, second) = (self[node.operands[0]], self[node.operands[1]])
    let limit = op.limit(rows: table.shape[0].extent(extents))
    if !op.takesIDs {
      let positions = second.shape[1].extent(extents)
      guard positions <= limit else {
        throw InferError(
          .input, "\(second.shape[1])", "\(positions) positions, but \(table.name) has \(limit)",
          hint: "shorten the input to \(limit) tokens")
      }
    } else if case .input = second.source, let ids = inputs[second.name] {
      try check(ids, in: node, limit)
    }
  }

  /// Ids of a node that takes them must be whole and lie in its table.
  private func check<Scalar: ReferenceScalar>(
    _ ids: NDArray<Scalar>, in node: Node, _ limit: Int
  ) throws(InferError) {
    let columns = max(ids.shape.last ?? 1, 1)
    for (index, id) in ids.values.enumerated()
    where !(id >= 0 && id < Scalar(limit) && id == id.rounded()) {
      throw InferError(
        .input, self[node.operands[1]].name,
        "holds \(id) at row \(index / columns), position \(index % columns); "
          + "\(self[node.operands[0]].name) has ids 0 to \(limit - 1)")
    }
  }

  /// The same for ids that the graph has computed.
  func checkComputed<Scalar: ReferenceScalar>(
    _ node: Node, _ operands: [NDArray<Scalar>]
  ) throws(InferError) {
    if let op = node.op as? GatherAxis {
      let extent = operands[0].shape[op.axis.counted(of: operands[0].shape.count)]
      for (position, value) in operands[1].values.enumerated()
      where op.index(value, of: extent) == nil {
        throw InferError.index(value, of: extent, at: position)
      }
    }
    guard let op = node.op as? any TableOp, op.takesIDs else { return }
    try check(operands[1], in: node, op.limit(rows: operands[0].shape[0]))
  }
}
