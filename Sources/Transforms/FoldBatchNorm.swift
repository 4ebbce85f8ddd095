public import Checkpoint

/// Puts batch normalizations into the layers before or after them, in a graph of Keras.
///
/// Algebra: with the moments of training, `y = s ∘ x + t`, s = γ / √(σ² + ε), t = β − μ ∘ s, channel by
/// channel. Before it, `s ∘ (x·W + b) + t = x·(W·diag s) + (s ∘ b + t)`: columns of a kernel and its bias
/// (a bias is added where there was none), a table's columns, or another normalization's gain and shift.
/// After it, `(s ∘ x + t)·W + b = x·(diag s·W) + (t·W + b)`: a kernel's rows, and its bias where every
/// place sees whole windows: no zeros are added at the edges, or t = 0. Between the two may stand what
/// the map goes through without a change: channel-wise copies and means (average pooling, cropping,
/// reshaping, flattening, dropout, concatenation); maxima where s ≥ 0; functions with f(s·x) = s·f(x)
/// where s ≥ 0 and t = 0 (ReLU and its leaky kin); added zeros where t = 0.
///
/// One rounding per weight. A layer that is applied several times is changed only when every
/// application needs the same change. What is a model's output stays, as a linear activation of the
/// same name. Normalizations that cannot go stay as they are, each with its reasons among the remarks.
/// Source: Jacob et al., arXiv 1712.05877, 3.2; the rest is linear algebra.
public struct FoldBatchNorm: KerasTransform {
  public init() {}

  public var name: String { "fold-batchnorm" }
  public var summary: String {
    "batch normalizations go into the layers before or after them (graphs of Keras)"
  }
  public var contract: Correspondence.Contract { .rounding }
  public var precondition: String { "a graph of Keras with batch normalization" }

  public func apply(
    to model: KerasModel, _ arguments: TransformArguments
  ) throws(CheckpointError) -> KerasChange {
    var weights = FoldedWeights(model.weights)
    var change = KerasChange(model)
    var fold = BatchNormFold(model.network, [], model.shapes.values)
    try fold.run(&weights)
    guard fold.count > 0 else {
      throw refusal("the graph has no layer of batch normalization; there is nothing to fold")
    }
    change.model.network = fold.network
    change.model.weights = weights.list
    change.correspondence = fold.correspondence
    change.findings = fold.findings
    let stays = fold.remarks
    change.remarks =
      ["\(fold.count - stays.count) of \(fold.count) batch normalizations are folded"] + stays
    return change
  }
}

/// `x → scale ∘ x + shift` along an axis of a tensor.
struct ChannelMap: Equatable {
  var axis: Int
  var scale: [Double]
  var shift: [Double]

  var hasShift: Bool { shift.contains { $0 != 0 } }
  var isMonotone: Bool { scale.allSatisfy { $0 >= 0 } }

  /// The same along another axis.
  func along(_ axis: Int) -> ChannelMap { ChannelMap(axis: axis, scale: scale, shift: shift) }
}

/// Why a map cannot go somewhere.
struct FoldObstacle: Error {
  var reason: String

  init(_ reason: String) { self.reason = reason }
}

/// The fold of one network; inner networks have folds of their own.
struct BatchNormFold {
  private(set) var network: KerasNetwork
  private(set) var correspondence = Correspondence(contract: .exact)
  private(set) var findings: [Finding] = []
  /// The normalizations that stay, and why.
  private(set) var remarks: [String] = []
  /// How many there were.
  private(set) var count = 0

  /// Names of the networks that lead here.
  private let path: [String]
  private var shapes: [KerasTensor: KerasShape]
  /// Who takes a tensor: an application for each time.
  private var users: [KerasTensor: [KerasTensor]] = [:]
  /// Layers that are gone; they are taken out at the end.
  private var gone: Set<String> = []

  init(_ network: KerasNetwork, _ path: [String], _ shapes: [KerasTensor: KerasShape]) {
    self.network = network
    self.path = path
    self.shapes = shapes
    for layer in network.layers {
      for (number, call) in layer.calls.enumerated() {
        for tensor in call.tensors {
          users[tensor, default: []].append(KerasTensor(layer: layer.name, call: number))
        }
      }
    }
  }

  /// A layer's or value's name in the whole model.
  private func full(_ name: String) -> String { (path + [name]).joined(separator: ".") }

  mutating func run(_ weights: inout FoldedWeights) throws(CheckpointError) {
    try foldInner(&weights)
    // Each application once, in the order of computation.
    var waiting: [String] = []
    for (index, call) in network.order
    where call == 0 && network.layers[index].description is BatchNormalizationLayer {
      waiting.append(network.layers[index].name)
    }
    count += waiting.count
    var reasons: [String: String] = [:]
    var changed = true
    // One that is gone may clear the way for another.
    while changed, !waiting.isEmpty {
      changed = false
      var rest: [String] = []
      for name in waiting {
        if let reason = try fold(name, &weights) {
          reasons[name] = reason
          rest.append(name)
        } else {
          changed = true
        }
      }
      waiting = rest
    }
    remarks += waiting.map { "\(full($0)) stays: \(reasons[$0] ?? "")" }
    for name in gone { network.remove(name) }
    try network.connect()
  }

  private mutating func foldInner(_ weights: inout FoldedWeights) throws(CheckpointError) {
    for index in network.layers.indices {
      let layer = network.layers[index]
      guard var inner = layer.description as? NetworkLayer else { continue }
      var given = inner.network.statedInputs
      if let call = layer.calls.first, call.inputs.allSatisfy({ shapes[$0] != nil }) {
        given.merge(inner.network.binding(call.inputs.compactMap { shapes[$0] })) { $1 }
      }
      var fold = BatchNormFold(
        inner.network, path + [layer.name], inner.network.shapes(given).values)
      try fold.run(&weights)
      guard fold.count > 0 else { continue }
      inner.network = fold.network
      network.layers[index].kind = .known(inner)
      count += fold.count
      correspondence = correspondence.followed(by: fold.correspondence)
      findings += fold.findings
      remarks += fold.remarks
    }
  }

  // MARK: One normalization

  /// Folds a normalization; the reason where it cannot go.
  private mutating func fold(
    _ name: String, _ weights: inout FoldedWeights
  ) throws(CheckpointError) -> String? {
    guard let layer = network[name], let norm = layer.description as? BatchNormalizationLayer else {
      return nil
    }
    guard !norm.isSampleWise else { return "it normalizes each sample by its own moments (mode 1)" }
    let map: (scale: [Double], shift: [Double])
    do {
      map = try weights.map(full(name), norm)
    } catch let obstacle as FoldObstacle {
      return obstacle.reason
    } catch let error as CheckpointError {
      throw error
    } catch {
      return "\(error)"
    }
    var plan = Plan()
    for number in layer.calls.indices {
      let tensor = KerasTensor(layer: name, call: number)
      guard layer.calls[number].tensors.count == 1, let source = layer.calls[number].inputs.first,
        let rank = shapes[source]?.rank
      else { return "the shape of what it takes is not known" }
      let axes = try norm.axes(rank: rank)
      guard axes.count == 1 else {
        return
          "it normalizes along several axes, \(axes.map(String.init).joined(separator: " and "))"
      }
      let channels = ChannelMap(axis: axes[0], scale: map.scale, shift: map.shift)
      do {
        // Backward first: nothing but the layer before changes.
        var copy = plan
        try absorb(source, channels, by: tensor, &copy)
        plan = copy
      } catch let before {
        do {
          var copy = plan
          try hand(tensor, channels, &copy)
          plan = copy
        } catch let after {
          return "before it, \(before.reason); after it, \(after.reason)"
        }
      }
    }
    if let reason = check(plan) { return reason }
    for edit in plan.edits.values.sorted(by: { $0.layer < $1.layer }) {
      try apply(edit, normalizing: full(name), &weights)
    }
    finish(layer, plan, map, &weights)
    return nil
  }

  /// What has to be done to fold one normalization.
  private struct Plan {
    /// Layers that take the map in, by name and side.
    var edits: [String: Edit] = [:]
    /// Values between, which change too.
    var values: Set<KerasTensor> = []
    /// Whether a layer before took it, so that its value is what the normalization's was.
    var goesBefore = false
  }

  private struct Edit {
    var layer: String
    /// Whether the layer's result takes the map, else what it is given.
    var isResult: Bool
    var map: ChannelMap
    var calls: Set<Int>
  }

  private func add(
    _ tensor: KerasTensor, isResult: Bool, _ map: ChannelMap, to plan: inout Plan
  ) throws(FoldObstacle) {
    let key = "\(isResult ? "<" : ">")\(tensor.layer)"
    if let edit = plan.edits[key] {
      guard edit.map == map, !edit.calls.contains(tensor.call) else {
        throw FoldObstacle("\(tensor.layer) would have to change in two ways")
      }
    }
    plan.edits[key, default: Edit(layer: tensor.layer, isResult: isResult, map: map, calls: [])]
      .calls.insert(tensor.call)
  }

  /// Whether shared layers are changed for every application; the reason where they are not.
  private func check(_ plan: Plan) -> String? {
    for edit in plan.edits.values {
      let calls = network[edit.layer]?.calls.count ?? 0
      if edit.calls.count < calls {
        return
          "\(edit.layer) is applied \(calls) times and only \(edit.calls.count) of them would change"
      }
      if plan.edits["<" + edit.layer] != nil, plan.edits[">" + edit.layer] != nil {
        return "\(edit.layer) would have to change on both sides"
      }
    }
    return nil
  }

  // MARK: Backward

  /// Lets what makes a tensor make `map` of it.
  private func absorb(
    _ tensor: KerasTensor, _ map: ChannelMap, by user: KerasTensor, _ plan: inout Plan
  ) throws(FoldObstacle) {
    plan.goesBefore = true
    var work = [(tensor, map, user)]
    while let (tensor, map, user) = work.popLast() {
      let others = (users[tensor] ?? []).filter { $0 != user }
      if let other = others.first {
        throw FoldObstacle("\(tensor.layer) is also taken by \(other.layer)")
      }
      guard (users[tensor] ?? []).count == 1 else {
        throw FoldObstacle("\(tensor.layer) is taken twice by \(user.layer)")
      }
      guard !network.outputs.contains(tensor) else {
        throw FoldObstacle("\(tensor.layer) is an output of the model")
      }
      guard let layer = network[tensor.layer], tensor.output == 0 else {
        throw FoldObstacle("\(tensor.layer) has several results")
      }
      plan.values.insert(tensor)
      if layer.description is InputLayer {
        throw FoldObstacle("the input \(tensor.layer) comes at once")
      }
      guard let role = FoldRole(layer) else {
        throw FoldObstacle("\(tensor.layer) (\(layer.className)) lets nothing through")
      }
      let inputs = layer.calls[tensor.call].inputs
      switch role {
      case .weighted:
        try acceptsResult(layer, map, rank: shapes[tensor]?.rank ?? 0)
        try add(tensor, isResult: true, map, to: &plan)
      case .copy(let copy):
        guard inputs.count == 1, let from = shapes[inputs[0]], let to = shapes[tensor] else {
          throw FoldObstacle("the shape of what \(tensor.layer) takes is not known")
        }
        try copy.check(map, layer.name)
        work.append(
          (
            inputs[0], try copy.backward(map, from, to, layer),
            KerasTensor(layer: tensor.layer, call: tensor.call)
          ))
      case .concatenate:
        guard let rank = shapes[tensor]?.rank, let axis = FoldRole.axis(layer, rank: rank),
          axis == map.axis
        else { throw FoldObstacle("\(tensor.layer) joins along another axis") }
        var start = 0
        for input in inputs {
          guard let width = shapes[input]?[axis], start + width <= map.scale.count else {
            throw FoldObstacle("the shape of what \(tensor.layer) takes is not known")
          }
          let part = ChannelMap(
            axis: axis, scale: Array(map.scale[start..<(start + width)]),
            shift: Array(map.shift[start..<(start + width)]))
          work.append((input, part, KerasTensor(layer: tensor.layer, call: tensor.call)))
          start += width
        }
        guard start == map.scale.count else {
          throw FoldObstacle("the shape of what \(tensor.layer) takes is not known")
        }
      case .add:
        for (index, input) in inputs.enumerated() {
          guard shapes[input] == shapes[tensor] else {
            throw FoldObstacle("\(tensor.layer) spreads one of what it adds")
          }
          var part = map
          if index > 0 { part.shift = part.shift.map { _ in 0 } }
          work.append((input, part, KerasTensor(layer: tensor.layer, call: tensor.call)))
        }
      }
    }
  }

  /// Whether a layer with weights can make the map of its result.
  private func acceptsResult(
    _ layer: KerasNetwork.Layer, _ map: ChannelMap, rank: Int
  ) throws(FoldObstacle) {
    let (axis, activation): (Int, KerasActivation?) =
      switch layer.description {
      case let layer as ConvolutionLayer:
        (layer.windows.isChannelsFirst ? 1 : rank - 1, layer.activation)
      case let layer as DepthwiseConvolutionLayer:
        (layer.windows.isChannelsFirst ? 1 : rank - 1, layer.activation)
      case let layer as SeparableConvolutionLayer:
        (layer.windows.isChannelsFirst ? 1 : rank - 1, layer.activation)
      case let layer as TransposedConvolutionLayer:
        (layer.windows.isChannelsFirst ? 1 : rank - 1, layer.activation)
      case let layer as DenseLayer: (rank - 1, layer.activation)
      case let layer as BatchNormalizationLayer:
        (layer.isSampleWise ? -1 : ((try? layer.axes(rank: rank)) ?? []).only ?? -1, nil)
      default: (rank - 1, nil)
      }
    guard axis == map.axis else {
      throw FoldObstacle("\(layer.name) has its channels along another axis")
    }
    guard let activation, !activation.isLinear else { return }
    guard activation.isHomogeneous else {
      throw FoldObstacle("\(layer.name) ends with its activation \(activation.name)")
    }
    try FoldRole.Copy.homogeneous.check(map, "\(layer.name)'s \(activation.name)")
  }

  // MARK: Forward

  /// Lets everything that takes a tensor take `map` of it instead.
  private func hand(
    _ tensor: KerasTensor, _ map: ChannelMap, _ plan: inout Plan
  ) throws(FoldObstacle) {
    var work = [(tensor, map)]
    while let (tensor, map) = work.popLast() {
      guard !network.outputs.contains(tensor) else {
        throw FoldObstacle("\(tensor.layer) is an output of the model")
      }
      let users = users[tensor] ?? []
      guard !users.isEmpty else { throw FoldObstacle("nothing takes \(tensor.layer)") }
      plan.values.insert(tensor)
      var seen: Set<KerasTensor> = []
      for user in users where seen.insert(user).inserted {
        guard let layer = network[user.layer] else { continue }
        guard let role = FoldRole(layer) else {
          throw FoldObstacle("\(user.layer) (\(layer.className)) lets nothing through")
        }
        let call = layer.calls[user.call]
        let inputs = call.inputs
        guard let from = shapes[tensor], let to = shapes[user],
          call.tensors.count == inputs.count
        else { throw FoldObstacle("the shape of what \(user.layer) takes is not known") }
        switch role {
        case .weighted:
          guard inputs.count == 1 else { throw FoldObstacle("\(user.layer) takes more than it") }
          try acceptsInput(layer, map, from)
          try add(user, isResult: false, map, to: &plan)
        case .copy(let copy):
          guard inputs.count == 1 else { throw FoldObstacle("\(user.layer) takes more than it") }
          try copy.check(map, layer.name)
          work.append((user, try copy.forward(map, from, to, layer)))
        case .concatenate:
          guard let axis = FoldRole.axis(layer, rank: to.rank), axis == map.axis else {
            throw FoldObstacle("\(user.layer) joins along another axis")
          }
          var whole = ChannelMap(axis: axis, scale: [], shift: [])
          for input in inputs {
            guard let width = shapes[input]?[axis] else {
              throw FoldObstacle("the shape of what \(user.layer) takes is not known")
            }
            let isMapped = input == tensor
            whole.scale += isMapped ? map.scale : Array(repeating: 1, count: width)
            whole.shift += isMapped ? map.shift : Array(repeating: 0, count: width)
          }
          work.append((user, whole))
        case .add: throw FoldObstacle("\(user.layer) adds something to it")
        }
      }
    }
  }

  /// Whether a layer with weights can take the map of what it takes.
  private func acceptsInput(
    _ layer: KerasNetwork.Layer, _ map: ChannelMap, _ shape: KerasShape
  ) throws(FoldObstacle) {
    func checked(_ windows: KerasWindows, isTransposed: Bool = false) throws(FoldObstacle) {
      guard (windows.isChannelsFirst ? 1 : shape.rank - 1) == map.axis else {
        throw FoldObstacle("\(layer.name) has its channels along another axis")
      }
      guard map.hasShift else { return }
      guard !isTransposed else {
        throw FoldObstacle("\(layer.name) is transposed: at its edges fewer windows see the shift")
      }
      let spatial = shape.extents.dropFirst(
        windows.isChannelsFirst ? 2 : shape.rank - 1 - windows.axes)
      for (extent, axis) in zip(spatial, 0..<windows.axes) {
        if windows.padding == .valid || windows.reach(axis) == 1 { continue }
        guard windows.padding == .same, let extent, windows.added(extent, axis) == (0, 0) else {
          throw FoldObstacle(
            "\(layer.name) adds zeros at the edges (padding \(windows.padding.rawValue)), which the "
              + "shift does not reach")
        }
      }
    }
    switch layer.description {
    case let layer as ConvolutionLayer: try checked(layer.windows)
    case let layer as DepthwiseConvolutionLayer: try checked(layer.windows)
    case let layer as SeparableConvolutionLayer: try checked(layer.windows)
    case let layer as TransposedConvolutionLayer: try checked(layer.windows, isTransposed: true)
    case is DenseLayer:
      guard map.axis == shape.rank - 1 else {
        throw FoldObstacle("\(layer.name) has its channels along another axis")
      }
    case is BatchNormalizationLayer:
      throw FoldObstacle("\(layer.name) follows, which cannot go either")
    default: throw FoldObstacle("\(layer.name) (\(layer.className)) lets nothing through")
    }
  }

  // MARK: Changes

  private mutating func apply(
    _ edit: Edit, normalizing name: String, _ weights: inout FoldedWeights
  ) throws(CheckpointError) {
    guard let layer = network[edit.layer] else { return }
    let path = full(edit.layer)
    let step = "with \(name)"
    let norm = ["gamma", "beta", "moving_mean", "moving_variance"].map { "\(name).\($0)" }
    let needsBias: Bool
    if edit.isResult {
      needsBias = try weights.mapResult(of: path, layer, edit.map, step, norm)
    } else {
      needsBias = try weights.mapInput(of: path, layer, edit.map, step, norm)
    }
    correspondence.rewritten.formUnion(weights.names(of: path))
    guard needsBias else { return }
    if layer.description is BatchNormalizationLayer {
      network.set("scale", .bool(true), of: edit.layer)
      network.set("center", .bool(true), of: edit.layer)
    } else {
      let key = layer.config.json["use_bias"] == nil && layer.config.json["bias"] != nil
      network.set(key ? "bias" : "use_bias", .bool(true), of: edit.layer)
    }
  }

  /// Takes a folded normalization out of the graph.
  private mutating func finish(
    _ layer: KerasNetwork.Layer, _ plan: Plan, _ map: (scale: [Double], shift: [Double]),
    _ weights: inout FoldedWeights
  ) {
    var step = Correspondence(contract: .rounding)
    let own = layer.calls.indices.map { KerasTensor(layer: layer.name, call: $0) }
    let staysAsName =
      own.contains { network.outputs.contains($0) }
      || (network.form == .sequential && network.index(of: layer.name) == 1
        && network.layers[0].json == nil)
    step.removed = Set(plan.values.map { full($0.name) })
    for (number, tensor) in own.enumerated() {
      let source = layer.calls[number].inputs[0]
      if staysAsName {
        if plan.values.contains(source) { step.removed.remove(full(tensor.name)) }
        continue
      }
      if plan.values.contains(source) {
        step.renamed[full(tensor.name)] = full(source.name)
      } else {
        step.removed.insert(full(tensor.name))
      }
      network.redirect(tensor, to: source)
      let moved = (users.removeValue(forKey: tensor) ?? [])
      users[source] = (users[source] ?? []).filter { $0 != tensor } + moved
    }
    let variables = weights.names(of: full(layer.name))
    step.removed.formUnion(variables)
    weights.remove(variables)
    if staysAsName {
      network.becomeLinear(layer.name)
    } else {
      gone.insert(layer.name)
    }
    correspondence = correspondence.followed(by: step)
    let scales = map.scale.map(\.magnitude)
    findings.append(
      Finding("fold-batchnorm", full(layer.name), "largest scale", scales.max() ?? 0))
  }
}

extension Array {
  fileprivate var only: Element? { count == 1 ? self[0] : nil }
}

extension KerasNetwork {
  /// Makes a layer a linear activation, which keeps its name and its place.
  fileprivate mutating func becomeLinear(_ name: String) {
    guard let index = index(of: name) else { return }
    let old = layers[index].config
    var config: [JSON.Member] = [.init("name", .string(name))]
    let kept = ["trainable", "dtype", "batch_input_shape", "batch_shape", "input_shape"]
    for key in kept {
      if let value = old.json[key] { config.append(.init(key, value)) }
    }
    config.append(.init("activation", .string("linear")))
    replace(name, className: "Activation", config: .object(config))
  }
}
