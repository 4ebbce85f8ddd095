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
    var fold = BatchNormFold(model)
    try fold.run(&weights)
    guard fold.count > 0 else {
      throw refusal("the graph has no layer of batch normalization; there is nothing to fold")
    }
    change.model.network = try fold.network
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

/// A tensor of one of the networks, or with `output` 0 the application that makes it.
struct FoldRef: Hashable {
  var scope: Int
  var tensor: KerasTensor

  var application: FoldRef {
    FoldRef(scope: scope, tensor: KerasTensor(layer: tensor.layer, call: tensor.call))
  }
}

/// The fold of a model.
///
/// Networks inside that are applied once are part of the graph around them; one that is applied several
/// times is a graph of its own.
struct BatchNormFold {
  /// The model's network, or one inside another.
  private struct Scope {
    var network: KerasNetwork
    /// Names of the networks that lead here.
    var path: [String]
    var shapes: [KerasTensor: KerasShape]
    /// The network around it, and its layer there.
    var parent: (scope: Int, layer: String)?
    var isInlined = false
    var inner: [String: Int] = [:]
    /// Layers that are gone; they are taken out at the end.
    var gone: Set<String> = []
  }

  private(set) var correspondence = Correspondence(contract: .exact)
  private(set) var findings: [Finding] = []
  /// The normalizations that stay, and why.
  private(set) var remarks: [String] = []
  /// How many there were.
  private(set) var count = 0

  private var scopes: [Scope]
  /// Who takes a tensor: an application for each time.
  private var users: [FoldRef: [FoldRef]] = [:]
  /// Tensors that are seen from outside.
  private var outputs: Set<FoldRef> = []
  /// Further names of tensors, at the borders of networks.
  private var aliases: [FoldRef: [String]] = [:]

  init(_ model: KerasModel) {
    scopes = [Scope(network: model.network, path: [], shapes: model.shapes.values)]
    var next = 0
    while next < scopes.count {
      addInner(of: next)
      next += 1
    }
    for scope in scopes.indices {
      let network = scopes[scope].network
      if !scopes[scope].isInlined {
        for tensor in network.outputs {
          outputs.insert(canonical(FoldRef(scope: scope, tensor: tensor)))
        }
      }
      for layer in network.layers {
        let inner = scopes[scope].inner[layer.name]
        let isInlined = inner.map { scopes[$0].isInlined } ?? false
        if isInlined, let inner {
          for output in scopes[inner].network.outputs.indices {
            let tensor = KerasTensor(layer: layer.name, output: output)
            aliases[canonical(FoldRef(scope: scope, tensor: tensor)), default: []]
              .append(full(scope, tensor.name))
          }
          continue
        }
        for (number, call) in layer.calls.enumerated() {
          let user = FoldRef(scope: scope, tensor: KerasTensor(layer: layer.name, call: number))
          for tensor in call.tensors {
            users[canonical(FoldRef(scope: scope, tensor: tensor)), default: []].append(user)
          }
        }
      }
    }
  }

  private mutating func addInner(of scope: Int) {
    for layer in scopes[scope].network.layers {
      guard let network = (layer.description as? NetworkLayer)?.network else { continue }
      var given = network.statedInputs
      let inputs = layer.calls.first?.inputs ?? []
      let known = inputs.compactMap { scopes[scope].shapes[$0] }
      if known.count == inputs.count, !inputs.isEmpty {
        given.merge(network.binding(known)) { $1 }
      }
      var inner = Scope(
        network: network, path: scopes[scope].path + [layer.name],
        shapes: network.shapes(given).values, parent: (scope, layer.name))
      inner.isInlined =
        layer.calls.count == 1 && inputs.count == network.inputs.count
        && layer.calls[0].tensors.count == inputs.count
      scopes[scope].inner[layer.name] = scopes.count
      scopes.append(inner)
    }
  }

  /// The layer that makes a tensor, whatever borders of networks stand between.
  private func canonical(_ ref: FoldRef) -> FoldRef {
    var ref = ref
    while true {
      let scope = scopes[ref.scope]
      if let inner = scope.inner[ref.tensor.layer], scopes[inner].isInlined,
        scopes[inner].network.outputs.indices.contains(ref.tensor.output)
      {
        ref = FoldRef(scope: inner, tensor: scopes[inner].network.outputs[ref.tensor.output])
      } else if scope.isInlined, let parent = scope.parent,
        let place = scope.network.inputs.firstIndex(of: ref.tensor),
        let call = scopes[parent.scope].network[parent.layer]?.calls.first
      {
        ref = FoldRef(scope: parent.scope, tensor: call.inputs[place])
      } else {
        return ref
      }
    }
  }

  /// A layer's or value's name in the whole model.
  private func full(_ scope: Int, _ name: String) -> String {
    (scopes[scope].path + [name]).joined(separator: ".")
  }

  private func name(_ ref: FoldRef) -> String { full(ref.scope, ref.tensor.name) }

  private func layer(_ ref: FoldRef) -> KerasNetwork.Layer? {
    scopes[ref.scope].network[ref.tensor.layer]
  }

  private func shape(_ ref: FoldRef) -> KerasShape? { scopes[ref.scope].shapes[ref.tensor] }

  /// What an application takes without a name.
  private func inputs(_ ref: FoldRef) -> [FoldRef] {
    (layer(ref)?.calls[ref.tensor.call].inputs ?? []).map {
      canonical(FoldRef(scope: ref.scope, tensor: $0))
    }
  }

  /// The network with everything that was folded.
  var network: KerasNetwork {
    get throws(CheckpointError) {
      var networks = scopes.map(\.network)
      for scope in scopes.indices.reversed() {
        for name in scopes[scope].gone { networks[scope].remove(name) }
        try networks[scope].connect()
        guard let parent = scopes[scope].parent,
          let index = networks[parent.scope].index(of: parent.layer),
          var layer = networks[parent.scope].layers[index].description as? NetworkLayer
        else { continue }
        layer.network = networks[scope]
        networks[parent.scope].layers[index].kind = .known(layer)
      }
      return networks[0]
    }
  }

  mutating func run(_ weights: inout FoldedWeights) throws(CheckpointError) {
    var waiting: [FoldRef] = []
    for scope in scopes.indices {
      let network = scopes[scope].network
      for (index, call) in network.order
      where call == 0 && FoldTarget(network.layers[index]).description is BatchNormalizationLayer {
        waiting.append(
          FoldRef(scope: scope, tensor: KerasTensor(layer: network.layers[index].name)))
      }
    }
    count = waiting.count
    var reasons: [FoldRef: String] = [:]
    var changed = true
    // One that is gone may clear the way for another.
    while changed, !waiting.isEmpty {
      changed = false
      var rest: [FoldRef] = []
      for norm in waiting {
        if let reason = try fold(norm, &weights) {
          reasons[norm] = reason
          rest.append(norm)
        } else {
          changed = true
        }
      }
      waiting = rest
    }
    remarks = waiting.map { "\(name($0)) stays: \(reasons[$0] ?? "")" }
  }

  // MARK: One normalization

  /// Folds a normalization; the reason where it cannot go.
  private mutating func fold(
    _ ref: FoldRef, _ weights: inout FoldedWeights
  ) throws(CheckpointError) -> String? {
    guard let layer = layer(ref) else { return nil }
    let target = FoldTarget(layer)
    guard let norm = target.description as? BatchNormalizationLayer else { return nil }
    switch norm.moments {
    case .stored: break
    case .sample: return "it normalizes each sample by its own moments (mode 1)"
    case .batch: return "it normalizes by the moments of the batch that it is given (mode 2)"
    }
    guard weights.hasMoments(target.weights(of: name(ref))) else {
      return "it follows a layer that ckpt does not know"
    }
    guard let map = try weights.map(target.weights(of: name(ref)), norm) else {
      return "its scale or shift is no finite number"
    }
    var plan = Plan()
    for number in layer.calls.indices {
      let application = FoldRef(
        scope: ref.scope, tensor: KerasTensor(layer: layer.name, call: number))
      guard layer.calls[number].takesOnlyMasks, layer.calls[number].inputs.count == 1,
        let source = inputs(application).first,
        let rank = shape(source)?.rank
      else { return "the shape of what it takes is not known" }
      let axes = try norm.axes(rank: rank - target.skipped).map { $0 + target.skipped }
      guard axes.count == 1 else {
        return
          "it normalizes along several axes, \(axes.map(String.init).joined(separator: " and "))"
      }
      let channels = ChannelMap(axis: axes[0], scale: map.scale, shift: map.shift)
      do {
        // Backward first: nothing but the layer before changes.
        var copy = plan
        try absorb(source, channels, by: application, &copy)
        plan = copy
      } catch let before {
        do {
          var copy = plan
          try hand(application, channels, &copy)
          plan = copy
        } catch let after {
          return "before it, \(before.reason); after it, \(after.reason)"
        }
      }
    }
    if let reason = check(plan) { return reason }
    for edit in plan.edits.values.sorted(by: { name($0.layer) < name($1.layer) }) {
      try apply(edit, normalizing: target.weights(of: name(ref)), &weights)
    }
    finish(ref, layer, plan, map, &weights)
    return nil
  }

  /// What has to be done to fold one normalization.
  private struct Plan {
    /// Layers that take the map in, by name and side.
    var edits: [EditKey: Edit] = [:]
    /// Values between, which change too.
    var values: Set<FoldRef> = []
  }

  private struct EditKey: Hashable {
    var layer: FoldRef
    /// Whether the layer's result takes the map, else what it is given.
    var isResult: Bool
  }

  private struct Edit {
    /// Its first application.
    var layer: FoldRef
    var isResult: Bool
    var map: ChannelMap
    var calls: Set<Int>
  }

  private func add(
    _ ref: FoldRef, isResult: Bool, _ map: ChannelMap, to plan: inout Plan
  ) throws(FoldObstacle) {
    var first = ref
    first.tensor = KerasTensor(layer: ref.tensor.layer)
    let key = EditKey(layer: first, isResult: isResult)
    if let edit = plan.edits[key] {
      guard edit.map == map, !edit.calls.contains(ref.tensor.call) else {
        throw FoldObstacle("\(name(first)) would have to change in two ways")
      }
    }
    plan.edits[key, default: Edit(layer: first, isResult: isResult, map: map, calls: [])]
      .calls.insert(ref.tensor.call)
  }

  /// Whether shared layers are changed for every application; the reason where they are not.
  private func check(_ plan: Plan) -> String? {
    for (key, edit) in plan.edits {
      let calls = layer(edit.layer)?.calls.count ?? 0
      if edit.calls.count < calls {
        return "\(name(edit.layer)) is applied \(calls) times and only \(edit.calls.count) of them "
          + "would change"
      }
      if key.isResult, plan.edits[EditKey(layer: key.layer, isResult: false)] != nil {
        return "\(name(edit.layer)) would have to change on both sides"
      }
    }
    return nil
  }

  // MARK: Backward

  /// Lets what makes a tensor make `map` of it.
  private func absorb(
    _ source: FoldRef, _ map: ChannelMap, by user: FoldRef, _ plan: inout Plan
  ) throws(FoldObstacle) {
    var work = [(source, map, user)]
    while let (ref, map, user) = work.popLast() {
      let all = users[ref] ?? []
      if let other = all.first(where: { $0 != user }) {
        throw FoldObstacle("\(name(ref)) is also taken by \(name(other))")
      }
      guard all.count == 1 else {
        throw FoldObstacle("\(name(ref)) is taken twice by \(name(user))")
      }
      guard !outputs.contains(ref) else {
        throw FoldObstacle("\(name(ref)) is an output of its model too")
      }
      guard let layer = layer(ref), ref.tensor.output == 0 else {
        throw FoldObstacle("\(name(ref)) is one of several results")
      }
      if layer.description is InputLayer { throw FoldObstacle("stands the input \(name(ref))") }
      guard let role = FoldRole(layer) else {
        throw FoldObstacle("\(name(ref)) (\(layer.className)) lets nothing through")
      }
      plan.values.insert(ref)
      let inputs = inputs(ref)
      switch role {
      case .weighted:
        try acceptsResult(layer, map, rank: shape(ref)?.rank ?? 0)
        try add(ref, isResult: true, map, to: &plan)
      case .copy(let copy):
        guard inputs.count == 1, let from = shape(inputs[0]), let to = shape(ref) else {
          throw FoldObstacle("the shape of what \(name(ref)) takes is not known")
        }
        try copy.check(map, name(ref))
        work.append((inputs[0], try copy.backward(map, from, to, layer), ref.application))
      case .concatenate:
        guard let rank = shape(ref)?.rank, let axis = FoldRole.axis(layer, rank: rank),
          axis == map.axis
        else { throw FoldObstacle("\(name(ref)) joins along another axis") }
        var start = 0
        for input in inputs {
          guard let width = shape(input)?[axis], start + width <= map.scale.count else {
            throw FoldObstacle("the shape of what \(name(ref)) takes is not known")
          }
          let part = ChannelMap(
            axis: axis, scale: Array(map.scale[start..<(start + width)]),
            shift: Array(map.shift[start..<(start + width)]))
          work.append((input, part, ref.application))
          start += width
        }
        guard start == map.scale.count else {
          throw FoldObstacle("the shape of what \(name(ref)) takes is not known")
        }
      case .add:
        for (index, input) in inputs.enumerated() {
          guard shape(input) == shape(ref) else {
            throw FoldObstacle("\(name(ref)) spreads one of what it adds")
          }
          var part = map
          if index > 0 { part.shift = part.shift.map { _ in 0 } }
          work.append((input, part, ref.application))
        }
      }
    }
  }

  /// Whether a layer with weights can make the map of its result.
  private func acceptsResult(
    _ layer: KerasNetwork.Layer, _ map: ChannelMap, rank: Int
  ) throws(FoldObstacle) {
    let target = FoldTarget(layer)
    guard let axis = target.resultAxis(rank: rank) else {
      throw FoldObstacle("\(layer.name) (\(layer.className)) lets nothing through")
    }
    guard axis == map.axis else {
      throw FoldObstacle("\(layer.name) has its channels along another axis")
    }
    guard let activation = target.activation, !activation.isLinear else { return }
    guard activation.isHomogeneous else {
      throw FoldObstacle("\(layer.name) ends with its activation \(activation.name)")
    }
    try FoldRole.Copy.homogeneous.check(map, "\(layer.name)'s \(activation.name)")
  }

  // MARK: Forward

  /// Lets everything that takes a tensor take `map` of it instead.
  private func hand(
    _ source: FoldRef, _ map: ChannelMap, _ plan: inout Plan
  ) throws(FoldObstacle) {
    var work = [(source, map)]
    while let (ref, map) = work.popLast() {
      guard !outputs.contains(ref) else {
        throw FoldObstacle("\(name(ref)) is an output of its model")
      }
      let users = users[ref] ?? []
      guard !users.isEmpty else { throw FoldObstacle("nothing takes \(name(ref))") }
      plan.values.insert(ref)
      var seen: Set<FoldRef> = []
      for user in users where seen.insert(user).inserted {
        guard let layer = layer(user), let role = FoldRole(layer) else {
          throw FoldObstacle(
            "\(name(user)) (\(self.layer(user)?.className ?? "")) lets nothing through")
        }
        let inputs = inputs(user)
        guard let from = shape(ref), let to = shape(user),
          layer.calls[user.tensor.call].takesOnlyMasks
        else { throw FoldObstacle("the shape of what \(name(user)) takes is not known") }
        switch role {
        case .weighted:
          guard inputs.count == 1 else { throw FoldObstacle("\(name(user)) takes more than it") }
          try acceptsInput(layer, map, from)
          try add(user, isResult: false, map, to: &plan)
        case .copy(let copy):
          guard inputs.count == 1 else { throw FoldObstacle("\(name(user)) takes more than it") }
          try copy.check(map, name(user))
          work.append((user, try copy.forward(map, from, to, layer)))
        case .concatenate:
          guard let axis = FoldRole.axis(layer, rank: to.rank), axis == map.axis else {
            throw FoldObstacle("\(name(user)) joins along another axis")
          }
          var whole = ChannelMap(axis: axis, scale: [], shift: [])
          for input in inputs {
            guard let width = shape(input)?[axis] else {
              throw FoldObstacle("the shape of what \(name(user)) takes is not known")
            }
            let isMapped = input == ref
            whole.scale += isMapped ? map.scale : Array(repeating: 1, count: width)
            whole.shift += isMapped ? map.shift : Array(repeating: 0, count: width)
          }
          work.append((user, whole))
        case .add: throw FoldObstacle("\(name(user)) adds something to it")
        }
      }
    }
  }

  /// Whether a layer with weights can take the map of what it takes.
  private func acceptsInput(
    _ layer: KerasNetwork.Layer, _ map: ChannelMap, _ shape: KerasShape
  ) throws(FoldObstacle) {
    let target = FoldTarget(layer)
    if target.description is BatchNormalizationLayer {
      throw FoldObstacle("follows \(layer.name), which cannot go either")
    }
    guard let axis = target.inputAxis(rank: shape.rank) else {
      throw FoldObstacle("\(layer.name) (\(layer.className)) lets nothing through")
    }
    guard axis == map.axis else {
      throw FoldObstacle("\(layer.name) has its channels along another axis")
    }
    guard map.hasShift, let windows = target.windows else { return }
    guard !(target.description is TransposedConvolutionLayer) else {
      throw FoldObstacle("\(layer.name) is transposed: at its edges fewer windows see the shift")
    }
    let first = windows.isChannelsFirst ? axis + 1 : axis - windows.axes
    for place in 0..<windows.axes {
      if windows.padding == .valid || windows.reach(place) == 1 { continue }
      guard windows.padding == .same, let extent = shape[first + place],
        windows.added(extent, place) == (0, 0)
      else {
        throw FoldObstacle(
          "\(layer.name) adds zeros at the edges (padding \(windows.padding.rawValue)), which the "
            + "shift does not reach")
      }
    }
  }

  // MARK: Changes

  private mutating func apply(
    _ edit: Edit, normalizing norm: String, _ weights: inout FoldedWeights
  ) throws(CheckpointError) {
    guard let layer = layer(edit.layer) else { return }
    let target = FoldTarget(layer)
    let path = target.weights(of: name(edit.layer))
    let sources = ["gamma", "beta", "moving_mean", "moving_variance"].map { "\(norm).\($0)" }
    let grows =
      if edit.isResult {
        try weights.mapResult(of: path, target.layer, edit.map, "with \(norm)", sources)
      } else {
        try weights.mapInput(of: path, target.layer, edit.map, "with \(norm)", sources)
      }
    correspondence.rewritten.formUnion(weights.names(of: path))
    guard grows else { return }
    var keys = ["use_bias"]
    if target.description is BatchNormalizationLayer {
      keys = ["scale", "center"]
    } else if target.layer.config.json["use_bias"] == nil, target.layer.config.json["bias"] != nil {
      keys = ["bias"]
    }
    let own = edit.layer.tensor.layer
    for key in keys {
      guard let place = target.place else {
        scopes[edit.layer.scope].network.set(key, .bool(true), of: own)
        continue
      }
      // A layer inside another's config.
      guard var inner = scopes[edit.layer.scope].network[own]?.config.json[place],
        var config = inner["config"]
      else { continue }
      config.set(key, .bool(true))
      inner.set("config", config)
      scopes[edit.layer.scope].network.set(place, inner, of: own)
    }
  }

  /// Takes a folded normalization out of the graph.
  private mutating func finish(
    _ ref: FoldRef, _ layer: KerasNetwork.Layer, _ plan: Plan,
    _ map: (scale: [Double], shift: [Double]), _ weights: inout FoldedWeights
  ) {
    var step = Correspondence(contract: .rounding)
    let network = scopes[ref.scope].network
    let own = layer.calls.indices.map {
      FoldRef(scope: ref.scope, tensor: KerasTensor(layer: layer.name, call: $0))
    }
    // Outputs keep their names; so does what implies a sequential model's input, or is all of it.
    let layers = network.layers.count { !scopes[ref.scope].gone.contains($0.name) }
    let staysAsName =
      own.contains(where: outputs.contains) || layers <= 2
      || (network.form == .sequential && network.index(of: layer.name) == 1
        && network.layers[0].json == nil)
    step.removed = Set(plan.values.flatMap { [name($0)] + (aliases[$0] ?? []) })
    for (number, application) in own.enumerated() {
      let source = canonical(FoldRef(scope: ref.scope, tensor: layer.calls[number].inputs[0]))
      let goesBefore = plan.values.contains(source)
      if staysAsName {
        if goesBefore { step.removed.remove(name(application)) }
        continue
      }
      if goesBefore {
        step.renamed[name(application)] = name(source)
        step.removed.remove(name(application))
      }
      let moved = users.removeValue(forKey: application) ?? []
      scopes[ref.scope].network.redirect(application.tensor, to: layer.calls[number].inputs[0])
      users[source] = (users[source] ?? []).filter { $0 != application } + moved
      aliases[source, default: []] += aliases.removeValue(forKey: application) ?? []
    }
    let variables = weights.names(of: FoldTarget(layer).weights(of: name(ref)))
    step.removed.formUnion(variables)
    weights.remove(variables)
    if staysAsName {
      scopes[ref.scope].network.becomeLinear(layer.name)
    } else {
      scopes[ref.scope].gone.insert(layer.name)
    }
    correspondence = correspondence.followed(by: step)
    findings.append(
      Finding(
        "fold-batchnorm", name(ref), "largest scale", map.scale.map(\.magnitude).max() ?? 0))
  }
}

extension KerasCall {
  /// Whether no tensor stands by name, but for a mask, which normalization does not look at.
  fileprivate var takesOnlyMasks: Bool {
    keywords.allSatisfy { $0.name == "mask" || $0.argument.tensors.isEmpty }
  }
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
