import Checkpoint

extension ContribCRF: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let x = try call.only()
    _ = try outputs(KerasCall([KerasShape(builder.shape(x.id).map { $0 })]))
    var operands = [x.id, try builder.weight("kernel")]
    if usesBias { operands.append(try builder.weight("bias")) }
    var energies = try builder.activate(builder.apply(Linear(), operands), activation)
    if hasBoundaries { energies = try bounded(energies, x.mask, &builder) }
    builder.name(energies, "energies")
    let chain = [energies, try builder.weight("chain_kernel")] + [x.mask].compactMap { $0 }
    let result =
      decodes
      ? try builder.apply(OneHot(depth: units), builder.apply(ChainPath(), chain))
      : try marginal(chain, &builder)
    return [KerasValue(result, mask: passesMask ? x.mask : nil)]
  }

  /// Energies with those of the ends: of the first and last step, or with a mask of steps that count
  /// and come after one that does not. (By a mask the end's go to a step that does not count.)
  private func bounded(
    _ energies: Graph.ID, _ mask: Graph.ID?, _ builder: inout KerasBuilder
  ) throws -> Graph.ID {
    let left = try builder.weight("left_boundary")
    guard let mask else {
      let length = builder.shape(energies)[1]
      func at(_ place: Int) -> [Double] { (0..<length).map { $0 == place ? 1 : 0 } }
      let starts = try builder.constant([length, 1], at(0))
      let ends = try builder.constant([length, 1], at(length - 1))
      let first = try builder.binary(.multiply, starts, left)
      let last = try builder.binary(.multiply, ends, builder.weight("right_boundary"))
      return try builder.binary(.add, builder.binary(.add, energies, first), last)
    }
    let starts = try builder.binary(.greater, mask, builder.shifted(mask, by: 1))
    let column = try builder.reshape(starts, builder.shape(mask) + [1])
    return try builder.binary(.add, energies, builder.binary(.multiply, column, left))
  }

  /// `softmax(−(messages from before + energies + messages from behind))`.
  private func marginal(
    _ chain: [Graph.ID], _ builder: inout KerasBuilder
  ) throws -> Graph.ID {
    var sum = chain[0]
    if chain.count == 3 {
      let column = try builder.reshape(chain[2], builder.shape(chain[2]) + [1])
      sum = try builder.binary(.multiply, sum, column)
    }
    for isReversed in [false, true] {
      let messages = try builder.apply(ChainMessages(isReversed: isReversed), chain)
      sum = try builder.binary(
        .add, sum, builder.shifted(messages, by: isReversed ? -1 : 1))
    }
    return try builder.apply(Softmax(), builder.apply(Unary(.negate), sum))
  }
}

extension KerasBuilder {
  /// The steps of the second axis one later, or one earlier, and zeros where there are none.
  fileprivate mutating func shifted(_ x: Graph.ID, by offset: Int) throws -> Graph.ID {
    let extents = shape(x)
    guard extents.count > 1, extents[1] > 0 else { return x }
    var (before, after) = (extents.map { _ in 0 }, extents.map { _ in 0 })
    (before[1], after[1]) = offset > 0 ? (1, 0) : (0, 1)
    let kept = try part(x, axis: 1, from: offset > 0 ? 0 : 1, count: extents[1] - 1)
    return try apply(Pad(before: before, after: after), kept)
  }
}
