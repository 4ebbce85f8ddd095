import Checkpoint

extension RecurrentLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    guard var x = call.inputs.first, builder.shape(x.id).count == 3 else {
      throw CheckpointError(.mismatch, Place(), "takes a sequence of three axes first")
    }
    if isTimeMajor { x.id = try builder.transpose(x.id, [1, 0, 2]) }
    let (mask, initial) = try builder.maskAndStates(call, states, ignoring: ignoresMaskOfStates)
    var (sequence, hidden) = (x.id, [Graph.ID]())
    for (index, cell) in cells.enumerated() {
      let first = hidden.count
      let own = initial.isEmpty ? [] : Array(initial[first..<(first + cell.states)])
      let result = try builder.run(
        cell, place(of: index), sequence, mask: mask, initial: own, isReversed: isReversed)
      (sequence, hidden) = (result.sequence, hidden + result.states)
    }
    let order = SequenceOrder(
      isReversed: isReversed, returnsSequences: returnsSequences, zerosMasked: zerosMasked,
      startsWithZeros: startsWithZeros && !initial.isEmpty)
    var output = try builder.results(sequence, mask: mask, order)
    if isTimeMajor, returnsSequences { output = try builder.transpose(output, [1, 0, 2]) }
    return [KerasValue(output, mask: returnsSequences ? mask ?? x.mask : nil)]
      + (returnsStates ? hidden.map { KerasValue($0) } : [])
  }
}

/// What becomes of the states of all steps.
struct SequenceOrder {
  var isReversed: Bool
  var returnsSequences: Bool
  var zerosMasked: Bool
  /// Whether steps before the first visible one answer zeros where there is a mask.
  var startsWithZeros: Bool
}

extension KerasBuilder {
  /// A recurrent layer's mask `[batch, time]`, and its initial states where they are given: behind the
  /// sequence, or by name.
  ///
  /// - Parameter ignores: whether the mask that comes with a sequence counts only without such states.
  mutating func maskAndStates(
    _ call: KerasCall<KerasValue>, _ count: Int, ignoring ignores: Bool
  ) throws -> (mask: Graph.ID?, states: [Graph.ID]) {
    var states = call.inputs.dropFirst().map(\.id)
    if states.isEmpty { states = call["initial_state"]?.tensors.map(\.id) ?? [] }
    guard states.isEmpty || states.count == count else {
      throw CheckpointError(
        .mismatch, Place(), "is given \(states.count) initial states; it has \(count)")
    }
    let own = ignores && !states.isEmpty ? nil : call.inputs.first?.mask
    return (call["mask"]?.tensors.first?.id ?? own, states)
  }

  /// The answers of a recurrent layer, of its hidden states in the order of time.
  mutating func results(
    _ sequence: Graph.ID, mask: Graph.ID?, _ order: SequenceOrder
  ) throws -> Graph.ID {
    var sequence = sequence
    let shape = shape(sequence)
    guard shape.count >= 3, shape[1] > 0 else {
      throw CheckpointError(.mismatch, Place(), "takes sequences of one step at least")
    }
    if let mask, order.zerosMasked || order.startsWithZeros {
      var visible = mask
      if !order.zerosMasked {
        let seen = try apply(Accumulate(.sum, axis: 1, isReversed: order.isReversed), mask)
        visible = try apply(Clip(min: 0, max: 1), seen)
      }
      let column = try reshape(
        visible, Array(shape.prefix(2)) + Array(repeating: 1, count: shape.count - 2))
      sequence = try binary(.multiply, sequence, column)
    }
    if order.returnsSequences {
      return order.isReversed ? try reversed(sequence, axis: 1) : sequence
    }
    return try step(sequence, order.isReversed ? 0 : shape[1] - 1)
  }

  /// One index of the second axis, which goes away.
  mutating func step(_ x: Graph.ID, _ index: Int) throws -> Graph.ID {
    let extents = shape(x)
    guard extents.count >= 2 else {
      throw CheckpointError(.mismatch, Place(), "takes tensors with a second axis")
    }
    return try reshape(part(x, axis: 1, from: index, count: 1), [extents[0]] + extents[2...])
  }

  /// The same with an axis backwards.
  mutating func reversed(_ x: Graph.ID, axis: Int) throws -> Graph.ID {
    let extents = shape(x)
    guard extents.indices.contains(axis), extents[axis] > 0 else { return x }
    return try part(x, axis: axis, from: extents[axis] - 1, count: extents[axis], step: -1)
  }

  /// The parts of the last axis, each of a width.
  mutating func parts(_ x: Graph.ID, _ width: Int) throws -> [Graph.ID] {
    let extents = shape(x)
    guard let last = extents.last, width > 0 else { return [] }
    return try stride(from: 0, to: last - width + 1, by: width).map { start in
      try part(x, axis: extents.count - 1, from: start, count: width)
    }
  }

  /// Numbers everywhere.
  mutating func filled(_ shape: [Int], _ value: Double) throws -> Graph.ID {
    try apply(BroadcastTo(shape), try constant(value))
  }

  // MARK: A cell through time

  private typealias CellWeights = (
    kernel: Graph.ID, recurrent: Graph.ID, bias: Graph.ID?, second: Graph.ID?
  )

  /// A cell's kernels and biases in Keras' layout; `second` is the bias of the product with the state.
  private mutating func weights(
    _ cell: KerasCell, _ place: String, _ width: Int
  ) throws -> CellWeights {
    let (units, columns) = (cell.units, cell.gates * cell.units)
    var kernel = try weight(place + "kernel")
    var recurrent = try weight(place + "recurrent_kernel")
    let stored = cell.usesBias ? try weight(place + "bias") : nil
    if cell.isPacked {
      // Each gate's kernel lies there as [units, in] under the shape [in, units].
      func unpacked(_ x: Graph.ID, _ rows: Int, _ axes: [Int]) throws -> Graph.ID {
        let gates = try transpose(try reshape(x, [rows, cell.gates, units]), [1, 0, 2])
        let turned = try reshape(gates, [cell.gates, units, rows])
        return try reshape(try transpose(turned, axes), [rows, columns])
      }
      kernel = try unpacked(kernel, width, [2, 0, 1])
      recurrent = try unpacked(recurrent, units, [2, 0, 1])
    }
    guard let stored else { return (kernel, recurrent, nil, nil) }
    switch cell.kind {
    case .lstm where cell.isPacked:
      let both = try reshape(stored, [2, columns])
      return (kernel, recurrent, try apply(Reduce(.sum, axes: [0]), both), nil)
    case .gru(resetAfter: true):
      let both = try parts(try reshape(stored, [2 * columns]), columns)
      guard both.count == 2 else { throw InferError(.graph, place + "bias", "is not two biases") }
      return (kernel, recurrent, both[0], both[1])
    default: return (kernel, recurrent, stored, nil)
    }
  }

  /// A cell over the steps of `x`: its hidden state after each, in the order of time, and the last
  /// states.
  mutating func run(
    _ cell: KerasCell, _ place: String, _ x: Graph.ID, mask: Graph.ID?, initial: [Graph.ID],
    isReversed: Bool
  ) throws -> (sequence: Graph.ID, states: [Graph.ID]) {
    let shape = shape(x)
    guard shape.count == 3, shape[1] > 0 else {
      throw CheckpointError(.mismatch, Place(), "takes sequences of one step at least")
    }
    let (batch, time, units) = (shape[0], shape[1], cell.units)
    let (kernel, recurrent, bias, second) = try weights(cell, place, shape[2])
    let projected = try apply(Linear(), [x, kernel] + (bias.map { [$0] } ?? []))
    var states = initial
    if states.isEmpty {
      let zeros = try filled([batch, units], 0)
      states = Array(repeating: zeros, count: cell.states)
    }
    if let mask, self.shape(mask) != [batch, time] {
      throw CheckpointError(
        .mismatch, Place(), "has a mask \(self.shape(mask)) for a sequence \([batch, time])")
    }
    guard let activation = cell.activation.function,
      let gates = cell.kind == .simple ? .linear : cell.recurrentActivation.function
    else {
      return try unrolled(
        StepwiseCell(cell), projected, mask: mask, states, isReversed: isReversed
      ) { h, builder in
        try builder.apply(Linear(), [h, recurrent] + (second.map { [$0] } ?? []))
      } part: { h, gate, builder in
        // Only the candidate's columns of a kernel whose reset gate acts on the state.
        let columns = try builder.parts(recurrent, units)
        return try builder.apply(Linear(), h, columns[gate])
      }
    }
    let kind: Recurrent.Cell =
      switch cell.kind {
      case .simple: .simple
      case .lstm: .lstm
      case .gru(let resetAfter): .gru(resetAfter: resetAfter)
      }
    let given = try mask ?? filled([batch, time], 1)
    let recurrentBias = try second ?? filled([cell.gates * units], 0)
    let result = try apply(
      Recurrent(
        cell: kind, units: units, activation: activation, recurrentActivation: gates,
        isReversed: isReversed, returnsCells: kind == .lstm),
      [projected, recurrent, recurrentBias, given] + states)
    let both = try parts(result, units)
    let last = isReversed ? 0 : time - 1
    return (both[0], try both.map { try step($0, last) })
  }

  /// What is computed step by step, where no op has it.
  struct StepwiseCell {
    var kind: KerasCell.Kind
    var units: Int
    var activation: KerasActivation
    var recurrentActivation: KerasActivation

    init(_ cell: KerasCell) {
      (kind, units) = (cell.kind, cell.units)
      (activation, recurrentActivation) = (cell.activation, cell.recurrentActivation)
    }

    init(lstm units: Int, _ activation: KerasActivation, _ recurrentActivation: KerasActivation) {
      (kind, self.units) = (.lstm, units)
      (self.activation, self.recurrentActivation) = (activation, recurrentActivation)
    }
  }

  /// The most steps for which a graph gets nodes of their own.
  private static let mostSteps = 4096

  /// A cell step by step.
  ///
  /// - Parameters:
  ///   - projected: `[batch, time, …, gates · units]`.
  ///   - mask: `[batch, time]`.
  ///   - product: of a state with the recurrent kernel, and its bias.
  ///   - part: of a state with the columns of one gate, without bias.
  mutating func unrolled(
    _ cell: StepwiseCell, _ projected: Graph.ID, mask: Graph.ID?, _ initial: [Graph.ID],
    isReversed: Bool,
    product: (Graph.ID, inout KerasBuilder) throws -> Graph.ID,
    part: (Graph.ID, Int, inout KerasBuilder) throws -> Graph.ID
  ) throws -> (sequence: Graph.ID, states: [Graph.ID]) {
    let shape = shape(projected)
    let time = shape[1]
    guard time <= KerasBuilder.mostSteps else {
      throw CheckpointError(
        .unsupported, Place(),
        "has an activation for which each step is computed on its own, and \(time) steps; ckpt takes "
          + "at most \(KerasBuilder.mostSteps) then")
    }
    var states = initial
    var outputs: [Graph.ID] = []
    let frame = [shape[0], 1] + shape.dropFirst(2).dropLast() + [cell.units]
    for index in isReversed ? Array((0..<time).reversed()) : Array(0..<time) {
      let x = try parts(try step(projected, index), cell.units)
      let (h, act) = (states[0], cell.activation)
      var new: [Graph.ID]
      switch cell.kind {
      case .simple:
        new = [try activate(try binary(.add, x[0], try product(h, &self)), act)]
      case .lstm:
        let y = try parts(try product(h, &self), cell.units)
        func gate(_ gate: Int, _ activation: KerasActivation) throws -> Graph.ID {
          try activate(try binary(.add, x[gate], y[gate]), activation)
        }
        let input = try gate(0, cell.recurrentActivation)
        let forget = try gate(1, cell.recurrentActivation)
        let kept = try binary(.multiply, forget, states[1])
        let c = try binary(.add, kept, try binary(.multiply, input, try gate(2, act)))
        let output = try gate(3, cell.recurrentActivation)
        new = [try binary(.multiply, output, try activate(c, act)), c]
      case .gru(let resetAfter):
        let y =
          resetAfter
          ? try parts(try product(h, &self), cell.units)
          : [try part(h, 0, &self), try part(h, 1, &self)]
        func gate(_ gate: Int) throws -> Graph.ID {
          try activate(try binary(.add, x[gate], y[gate]), cell.recurrentActivation)
        }
        let (update, reset) = (try gate(0), try gate(1))
        let inner =
          resetAfter
          ? try binary(.multiply, reset, y[2])
          : try part(try binary(.multiply, reset, h), 2, &self)
        let candidate = try activate(try binary(.add, x[2], inner), act)
        let difference = try binary(.subtract, h, candidate)
        new = [try binary(.add, candidate, try binary(.multiply, update, difference))]
      }
      if let mask {
        let bit = try reshape(
          try step(mask, index), [shape[0]] + Array(repeating: 1, count: shape.count - 2))
        for (number, state) in new.enumerated() {
          new[number] = try apply(Select(), bit, state, states[number])
        }
      }
      states = new
      outputs.append(try reshape(new[0], frame))
    }
    if isReversed { outputs.reverse() }
    return (outputs.count == 1 ? outputs[0] : try apply(Concatenate(axis: 1), outputs), states)
  }
}

// MARK: - LSTM of images

extension ConvLSTMLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    guard let x = call.inputs.first, builder.shape(x.id).count == rank + 3 else {
      throw CheckpointError(.mismatch, Place(), "takes frames of \(rank + 3) axes first")
    }
    var (mask, initial) = try builder.maskAndStates(call, 2, ignoring: ignoresMaskOfStates)
    var frames = x.id
    let last = rank + 2
    if isChannelsFirst {
      frames = try builder.transpose(frames, [0, 1] + Array(3...last) + [2])
      initial = try initial.map { try builder.channelsLast($0) }
    }
    let shape = builder.shape(frames)
    let spatial = Array(shape[2..<last])
    guard shape[1] > 0 else {
      throw CheckpointError(.mismatch, Place(), "takes sequences of one step at least")
    }
    var (before, after) = (spatial.map { _ in 0 }, spatial.map { _ in 0 })
    var results: [Int] = []
    for (axis, size) in spatial.enumerated() {
      guard let extent = try extent(size, axis: axis) else { continue }
      results.append(extent)
      if isSame {
        let reach = (extent - 1) * strides[axis] + (kernel[axis] - 1) * dilation[axis] + 1
        let total = max(reach - size, 0)
        (before[axis], after[axis]) = (total / 2, total - total / 2)
      }
    }
    let flat = try builder.reshape(frames, [shape[0] * shape[1]] + shape[2...])
    let convolved = try builder.apply(
      Convolution(strides: strides, before: before, after: after, dilation: dilation),
      [flat, try builder.weight("kernel")] + (usesBias ? [try builder.weight("bias")] : []))
    let projected = try builder.reshape(
      convolved, [shape[0], shape[1]] + results + [4 * filters])
    if initial.isEmpty {
      let zeros = try builder.filled([shape[0]] + results + [filters], 0)
      initial = [zeros, zeros]
    }
    let ones = spatial.map { _ in 1 }
    let reach = Convolution(
      strides: ones, before: kernel.map { ($0 - 1) / 2 }, after: kernel.map { $0 / 2 },
      dilation: ones)
    let recurrent = try builder.weight("recurrent_kernel")
    let run = try builder.unrolled(
      .init(lstm: filters, activation, recurrentActivation), projected, mask: mask, initial,
      isReversed: isReversed
    ) { h, builder in
      try builder.apply(reach, h, recurrent)
    } part: { _, _, _ in
      throw InferError(.graph, "conv_lstm", "has no reset gate")
    }
    var output = try builder.results(
      run.sequence, mask: mask,
      SequenceOrder(
        isReversed: isReversed, returnsSequences: returnsSequences, zerosMasked: zerosMasked,
        startsWithZeros: startsWithZeros && call.inputs.count > 1))
    var states = run.states
    if isChannelsFirst {
      output =
        returnsSequences
        ? try builder.transpose(output, [0, 1, last] + Array(2..<last))
        : try builder.channelsFirst(output)
      states = try states.map { try builder.channelsFirst($0) }
    }
    return [KerasValue(output, mask: returnsSequences ? mask ?? x.mask : nil)]
      + (returnsStates ? states.map { KerasValue($0) } : [])
  }
}

// MARK: - Wrappers

extension BidirectionalLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    var results: [[KerasValue]] = []
    for ((place, layer), half) in zip(inner, halves(call)) {
      results.append(try builder.lower(layer, at: place, half))
    }
    guard let one = results[0].first, var other = results[1].first else { return [] }
    if returnsSequences { other.id = try builder.reversed(other.id, axis: 1) }
    let states = results.flatMap { $0.dropFirst() }
    func merged(_ id: Graph.ID) -> [KerasValue] { [KerasValue(id, mask: one.mask)] + states }
    switch merge {
    case nil: return [one, KerasValue(other.id, mask: one.mask)] + states
    case .concat:
      return merged(try builder.apply(Concatenate(axis: -1), one.id, other.id))
    case .sum: return merged(try builder.binary(.add, one.id, other.id))
    case .mul: return merged(try builder.binary(.multiply, one.id, other.id))
    case .ave:
      return merged(try builder.apply(Scale(by: 0.5), try builder.binary(.add, one.id, other.id)))
    }
  }
}

extension TimeDistributedLayer: LoweredLayer {
  func lower(
    _ call: KerasCall<KerasValue>, _ builder: inout KerasBuilder
  ) throws -> [KerasValue] {
    let first = call.inputs.first.map { builder.shape($0.id) } ?? []
    guard first.count >= 2 else {
      throw CheckpointError(.mismatch, Place(), "takes tensors with a second axis")
    }
    let mask = call["mask"]?.tensors.first?.id ?? call.inputs.first?.mask
    let arguments = try call.arguments.map { argument in
      try argument.map { value in
        let shape = builder.shape(value.id)
        guard shape.prefix(2) == first.prefix(2) else {
          throw CheckpointError(.mismatch, Place(), "takes tensors of the same steps")
        }
        var inner: Graph.ID?
        if let mask = value.mask, builder.shape(mask).count > 2 {
          inner = try builder.merged(mask)
        }
        return KerasValue(try builder.merged(value.id), mask: inner)
      }
    }
    return try builder.lower(layer, at: "layer", KerasCall(arguments)).map { value in
      let shape = builder.shape(value.id)
      let split = try builder.reshape(value.id, Array(first.prefix(2)) + shape.dropFirst())
      guard asksForMasks else { return KerasValue(split, mask: mask) }
      if let own = value.mask {
        return KerasValue(
          split,
          mask: try builder.reshape(own, Array(first.prefix(2)) + builder.shape(own).dropFirst()))
      }
      guard let mask else { return KerasValue(split) }
      let rank = builder.shape(mask).count
      return KerasValue(
        split, mask: rank > 2 ? try builder.apply(Reduce(.any, axes: Array(2..<rank)), mask) : mask)
    }
  }
}

extension KerasBuilder {
  /// The first two axes as one.
  mutating func merged(_ x: Graph.ID) throws -> Graph.ID {
    let shape = shape(x)
    guard shape.count >= 2 else {
      throw CheckpointError(.mismatch, Place(), "takes tensors with a second axis")
    }
    return try reshape(x, [shape[0] * shape[1]] + shape[2...])
  }
}
