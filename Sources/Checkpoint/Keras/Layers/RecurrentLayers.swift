// Recurrent layers, and layers that apply another one in both directions or step by step.
//
// Sources: `keras/src/layers/rnn` (Keras 2.15 and 3), `keras/layers/recurrent.py` (Keras 1.2),
// `keras/layers/cudnn_recurrent.py` (Keras 2.2).

/// What one step of a recurrent layer computes, and its variables.
public struct KerasCell: Sendable {
  public enum Kind: Sendable, Equatable {
    case simple
    case lstm
    /// With `resetAfter`, the reset gate acts on the product and there are two biases.
    case gru(resetAfter: Bool)
  }

  public let kind: Kind
  public let units: Int
  public let usesBias: Bool
  public let activation: KerasActivation
  public let recurrentActivation: KerasActivation
  /// Whether its variables are laid out as cuDNN takes them: each gate's kernels transposed, LSTM's
  /// biases of inputs and states one after the other.
  public let isPacked: Bool

  /// How many times `units` a kernel is wide.
  public var gates: Int {
    switch kind {
    case .simple: 1
    case .lstm: 4
    case .gru: 3
    }
  }

  /// How many states it has: an LSTM's are h and c.
  public var states: Int { kind == .lstm ? 2 : 1 }

  init(_ config: KerasConfig) throws(CheckpointError) {
    var name = config.className.split(separator: ">").last.map(String.init) ?? config.className
    if name.hasSuffix("Cell") { name.removeLast(4) }
    isPacked = name.hasPrefix("CuDNN")
    if isPacked { name.removeFirst(5) }
    units = try config.int("units", "output_dim")
    // cuDNN has no form without biases, and none in which the reset gate comes first.
    usesBias = isPacked ? true : try config.bool("use_bias", default: true)
    activation = try config.activation(default: "tanh")
    recurrentActivation = try config.activation(
      "recurrent_activation", "inner_activation",
      default: config.context.version == 1 ? "hard_sigmoid" : "sigmoid")
    switch name {
    case "SimpleRNN": kind = .simple
    case "LSTM": kind = .lstm
    case "GRU":
      kind = .gru(resetAfter: isPacked ? true : try config.bool("reset_after", default: false))
    default:
      throw config.error(
        "is no cell that ckpt knows", kind: .unsupported,
        hint: "known: SimpleRNNCell, LSTMCell, GRUCell, StackedRNNCells")
    }
    guard units <= KerasConfig.largest / 8 else { throw config.error("has \(units) units") }
  }

  /// The variables for inputs of a width.
  func variables(_ width: Int) -> [KerasVariable] {
    let columns = gates * units
    var bias = [columns]
    if kind == .gru(resetAfter: true) { bias = isPacked ? [2 * columns] : [2, columns] }
    if kind == .lstm, isPacked { bias = [2 * columns] }
    return [
      KerasVariable("kernel", [width, columns]),
      KerasVariable("recurrent_kernel", [units, columns]),
    ] + (usesBias ? [KerasVariable("bias", bias)] : [])
  }

  /// Keras 1's arrays, one for each gate, side by side.
  ///
  /// They are kernel, recurrent kernel and bias of each gate; an LSTM's gates stand there as i, c, f, o.
  static func joined(
    _ stored: [Tensor], to variables: [KerasVariable], order: [Int]
  ) throws(CheckpointError) -> [Weight]? {
    guard variables.count == 3, stored.count == 3 * order.count, order.count > 1 else { return nil }
    var weights: [Weight] = []
    for (part, variable) in variables.enumerated() {
      let parts = order.map { stored[3 * $0 + part] }
      let axis = variable.shape.count - 1
      let tensor = try Tensor.joined(parts[0].name, parts, axis: axis)
      guard tensor.shape.extents == variable.shape else {
        throw CheckpointError(
          .mismatch, .tensor(tensor.name),
          "and its gates make \(tensor.shape); the configuration gives \(variable.name) "
            + "\(variable.shape)")
      }
      weights.append(
        Weight(variable.name, tensor, sources: parts.map(\.name), operation: "gates joined"))
    }
    return weights
  }

  /// Places of the gates i, f, c, o or z, r, h in Keras 1's order.
  var order: [Int] {
    switch kind {
    case .simple: [0]
    case .lstm: [0, 2, 1, 3]
    case .gru: [0, 1, 2]
    }
  }
}

/// What layers that go through time have in common.
public protocol KerasSequenceLayer: KerasLayer {
  /// Whether the last step comes first; results stand in the order in which they were computed.
  var isReversed: Bool { get }
  var returnsSequences: Bool { get }
  var returnsStates: Bool { get }
}

/// A recurrent layer: cells one above the other, through time.
///
/// `stateful` layers start anew each time that a model is run.
public struct RecurrentLayer: KerasSequenceLayer {
  public static let classNames = ["SimpleRNN", "LSTM", "GRU", "CuDNNLSTM", "CuDNNGRU", "RNN"]

  /// From below; one but for `StackedRNNCells`.
  public let cells: [KerasCell]
  public let isReversed: Bool
  public let returnsSequences: Bool
  public let returnsStates: Bool
  /// Whether inputs and sequences are `[time, batch, …]`.
  public let isTimeMajor: Bool
  /// Whether masked steps answer zeros and not what came before.
  public let zerosMasked: Bool
  /// Whether masked steps before the first visible one answer zeros and not the initial state.
  public let startsWithZeros: Bool
  /// Whether the mask of a sequence is not looked at where initial states come in as tensors: Keras 3
  /// hands masks only to calls with one argument.
  public let ignoresMaskOfStates: Bool
  private let cellNames: [String]

  public init(_ config: KerasConfig) throws(CheckpointError) {
    isReversed = try config.bool("go_backwards", default: false)
    returnsSequences = try config.bool("return_sequences", default: false)
    returnsStates = try config.bool("return_state", default: false)
    isTimeMajor = try config.bool("time_major", default: false)
    zerosMasked = try config.bool("zero_output_for_mask", default: false)
    ignoresMaskOfStates = config.context.version >= 3
    startsWithZeros =
      config.context.version < 3 || config.context.backend == "tensorflow"
      || config.json["unroll"] == .bool(true)
    guard config.className == "RNN" || config.className.hasSuffix(">RNN") else {
      cells = [try KerasCell(config)]
      cellNames = []
      return
    }
    var entries = [config["cell"] ?? .null]
    var isStack = false
    if let list = KerasConfig.items(entries[0]) {
      (entries, isStack) = (list, true)
    } else if let list = entries[0]["config"]?["cells"].flatMap(KerasConfig.items) {
      (entries, isStack) = (list, true)
    }
    guard !entries.isEmpty, entries.count <= 1000 else {
      throw config.error("cell has \(entries.count) cells; expected 1 to 1000")
    }
    var cells: [KerasCell] = []
    var names = KerasNames()
    var cellNames: [String] = []
    for entry in entries {
      guard let className = entry["class_name"]?.string, let own = entry["config"] else {
        throw config.error(
          "its cell is \(entry.compact.prefix(80)); expected a cell's configuration")
      }
      cells.append(
        try KerasCell(
          KerasConfig(
            own, layer: config.layer, className: className, context: config.context)))
      cellNames.append(names.next(className))
    }
    self.cells = cells
    self.cellNames = isStack ? cellNames : []
  }

  /// The place of a cell among the layer's variables.
  public func place(of cell: Int) -> String { cellNames.isEmpty ? "" : cellNames[cell] + "." }

  /// How many states go in and out.
  public var states: Int { cells.reduce(0) { $0 + $1.states } }

  /// The shape of the sequence among what comes in; states may follow it.
  private func sequence(_ call: KerasCall<KerasShape>) throws(CheckpointError) -> KerasShape {
    guard let first = call.inputs.first, first.rank == 3 else {
      throw CheckpointError(
        .mismatch, Place(),
        "takes a sequence (batch, time, width) first; it is given "
          + "\(call.inputs.first?.description ?? "nothing")")
    }
    return first
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    var width = try KerasCall([try sequence(call)]).width()
    var all: [KerasVariable] = []
    for (index, cell) in cells.enumerated() {
      let own = cell.variables(width)
      if cellNames.isEmpty {
        all += KerasVariable.numbered(own, below: "cell")
      } else {
        all += KerasVariable.numbered(own, below: "cell/cells/\(cellNames[index])").map {
          variable in
          var copy = variable
          copy.name = place(of: index) + copy.name
          return copy
        }
      }
      width = cell.units
    }
    return all
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let x = try sequence(call)
    let batch = isTimeMajor ? x[1] : x[0]
    let units = cells.last?.units
    var shapes = [returnsSequences ? x.ending(in: units) : KerasShape([batch, units])]
    if returnsStates {
      for cell in cells {
        shapes += Array(repeating: KerasShape([batch, cell.units]), count: cell.states)
      }
    }
    return shapes
  }

  public func adapted(
    _ stored: [Tensor], to variables: [KerasVariable]
  ) throws(CheckpointError) -> [Weight]? {
    guard cells.count == 1, cells[0].usesBias else { return nil }
    return try KerasCell.joined(stored, to: variables, order: cells[0].order)
  }
}

/// An LSTM of images: its products are convolutions (arXiv 1506.04214).
public struct ConvLSTMLayer: KerasSequenceLayer {
  public static let classNames = ["ConvLSTM2D", "ConvLSTM1D", "ConvLSTM3D"]

  public let rank: Int
  public let filters: Int
  public let kernel: [Int]
  public let strides: [Int]
  public let dilation: [Int]
  public let isSame: Bool
  public let isChannelsFirst: Bool
  public let activation: KerasActivation
  public let recurrentActivation: KerasActivation
  public let usesBias: Bool
  public let isReversed: Bool
  public let returnsSequences: Bool
  public let returnsStates: Bool
  public let zerosMasked: Bool
  public let startsWithZeros: Bool
  public let ignoresMaskOfStates: Bool

  private enum Padding: String, CaseIterable { case valid, same }

  public init(_ config: KerasConfig) throws(CheckpointError) {
    rank = config.className.hasSuffix("1D") ? 1 : config.className.hasSuffix("3D") ? 3 : 2
    filters = try config.int("filters", "nb_filter")
    guard filters <= KerasConfig.largest / 8 else { throw config.error("has \(filters) filters") }
    if rank == 2, config["kernel_size"] == nil, config["nb_row"] != nil {
      kernel = [try config.int("nb_row"), try config.int("nb_col")]
    } else {
      kernel = try config.ints("kernel_size", count: rank)
    }
    strides = try config.ints("strides", "subsample", count: rank, default: [1])
    dilation = try config.ints("dilation_rate", count: rank, default: [1])
    isSame = try config.choice("padding", "border_mode", default: Padding.valid) == .same
    isChannelsFirst = try config.isChannelsFirst()
    activation = try config.activation(default: "tanh")
    recurrentActivation = try config.activation(
      "recurrent_activation", "inner_activation",
      default: config.context.version < 3 ? "hard_sigmoid" : "sigmoid")
    usesBias = try config.bool("use_bias", default: true)
    isReversed = try config.bool("go_backwards", default: false)
    returnsSequences = try config.bool("return_sequences", default: false)
    returnsStates = try config.bool("return_state", default: false)
    zerosMasked = try config.bool("zero_output_for_mask", default: false)
    ignoresMaskOfStates = config.context.version >= 3
    startsWithZeros = config.context.version < 3 || config.context.backend == "tensorflow"
  }

  private func frames(_ call: KerasCall<KerasShape>) throws(CheckpointError) -> KerasShape {
    guard let first = call.inputs.first, first.rank == rank + 3 else {
      throw CheckpointError(
        .mismatch, Place(),
        "takes frames of \(rank + 3) axes first; it is given "
          + "\(call.inputs.first?.description ?? "nothing")")
    }
    return first
  }

  /// What a convolution of the inputs makes of an extent.
  public func extent(_ extent: Int?, axis: Int) throws(CheckpointError) -> Int? {
    guard let extent else { return nil }
    let (reach, overflow) = (kernel[axis] - 1).multipliedReportingOverflow(by: dilation[axis])
    let room = isSame ? extent - 1 : overflow ? -1 : extent - 1 - reach
    guard room >= 0 else {
      throw CheckpointError(
        .mismatch, Place(), "has windows of \(kernel[axis]) on an axis of \(extent)")
    }
    return room / strides[axis] + 1
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let channels = try KerasCall([try frames(call)]).extent(at: isChannelsFirst ? 2 : -1)
    return KerasVariable.numbered(
      [
        KerasVariable("kernel", kernel + [channels, 4 * filters]),
        KerasVariable("recurrent_kernel", kernel + [filters, 4 * filters]),
      ] + (usesBias ? [KerasVariable("bias", [4 * filters])] : []), below: "cell")
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let x = try frames(call)
    var spatial: [Int?] = []
    for axis in 0..<rank {
      spatial.append(try extent(x[axis + (isChannelsFirst ? 3 : 2)], axis: axis))
    }
    let frame = isChannelsFirst ? [filters] + spatial : spatial + [filters]
    let state = KerasShape([x[0]] + frame)
    return [returnsSequences ? KerasShape([x[0], x[1]] + frame) : state]
      + (returnsStates ? [state, state] : [])
  }

  public func adapted(
    _ stored: [Tensor], to variables: [KerasVariable]
  ) throws(CheckpointError) -> [Weight]? {
    try KerasCell.joined(stored, to: variables, order: [0, 2, 1, 3])
  }
}

/// A recurrent layer in both directions, and what becomes of the two results.
public struct BidirectionalLayer: KerasLayer {
  public static let classNames = ["Bidirectional"]

  public enum Merge: String, Sendable, CaseIterable {
    case concat, sum, mul, ave
  }

  public let forward: KerasNetwork.Layer
  public let backward: KerasNetwork.Layer
  /// `nil`: both results stand one after the other.
  public let merge: Merge?
  public let returnsSequences: Bool
  public let returnsStates: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    merge =
      config.json["merge_mode"] == .null
      ? nil : try config.choice("merge_mode", default: Merge.concat)
    let entry = config["layer"] ?? .null
    forward = try BidirectionalLayer.direction(entry, turned: false, config)
    if let other = config["backward_layer"] {
      backward = try BidirectionalLayer.direction(other, turned: false, config)
    } else {
      backward = try BidirectionalLayer.direction(entry, turned: true, config)
    }
    let layers = [forward, backward].compactMap { $0.description as? any KerasSequenceLayer }
    guard layers.count == 2 else {
      throw config.error(
        "wraps a \(forward.className), which ckpt does not know as a recurrent layer",
        kind: .unsupported)
    }
    returnsSequences = layers[0].returnsSequences
    returnsStates = layers[0].returnsStates
    guard layers[1].returnsSequences == returnsSequences, layers[1].returnsStates == returnsStates
    else { throw config.error("its two layers do not both return sequences, or states") }
  }

  /// A direction's layer; masked steps of sequences are zeros, as Keras has it.
  private static func direction(
    _ entry: JSON, turned: Bool, _ config: KerasConfig
  ) throws(CheckpointError) -> KerasNetwork.Layer {
    guard var own = entry["config"] else {
      throw config.error("layer is \(entry.compact.prefix(80)); expected a layer's configuration")
    }
    let sequences = own["return_sequences"]?.bool ?? false
    own.set("zero_output_for_mask", .bool(sequences))
    if turned { own.set("go_backwards", .bool(!(own["go_backwards"]?.bool ?? false))) }
    var copy = entry
    copy.set("config", own)
    return try KerasNetwork.Layer(wrapped: copy, in: config)
  }

  public var inner: [(place: String, layer: KerasNetwork.Layer)] {
    [("forward_layer", forward), ("backward_layer", backward)]
  }

  /// What each direction takes: the sequence, and half of the states.
  public func halves<Value>(_ call: KerasCall<Value>) -> [KerasCall<Value>] {
    let inputs = call.inputs
    var states = Array(inputs.dropFirst())
    if states.isEmpty { states = call["initial_state"]?.tensors ?? [] }
    let keywords = call.keywords.filter { $0.name == "mask" }
    return [states.prefix(states.count / 2), states.suffix(states.count / 2)].map { half in
      KerasCall(
        half.isEmpty
          ? inputs.prefix(1).map { .tensor($0) }
          : [.list((inputs.prefix(1) + half).map { .tensor($0) })], keywords: keywords)
    }
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    var all: [KerasVariable] = []
    for ((place, layer), half) in zip(inner, halves(call)) {
      guard let description = layer.description else { throw layer.unknown }
      all += try description.variables(half).map { $0.inside(place, path: place) }
    }
    return all
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    var results: [[KerasShape]] = []
    for ((_, layer), half) in zip(inner, halves(call)) {
      guard let description = layer.description else { throw layer.unknown }
      results.append(try description.outputs(half))
    }
    guard let one = results[0].first, let other = results[1].first else { return [] }
    let states = results.flatMap { $0.dropFirst() }
    switch merge {
    case nil: return [one, other] + states
    case .concat:
      let widths = [one[-1], other[-1]].compactMap(\.self)
      return [one.ending(in: widths.count == 2 ? widths[0] + widths[1] : nil)] + states
    default: return [one] + states
    }
  }

  public func adapted(
    _ stored: [Tensor], to variables: [KerasVariable]
  ) throws(CheckpointError) -> [Weight]? {
    guard stored.count != variables.count, stored.count % 2 == 0, variables.count % 2 == 0
    else { return nil }
    var weights: [Weight] = []
    for (index, (place, layer)) in inner.enumerated() {
      let half = stored[(index * stored.count / 2)...].prefix(stored.count / 2)
      let own = variables[(index * variables.count / 2)...].prefix(variables.count / 2)
      guard
        let adapted = try layer.description?.adapted(
          Array(half), to: own.map { $0.outside(place) })
      else { return nil }
      weights += adapted.map { $0.renamed(place + "." + $0.name) }
    }
    return weights
  }
}

/// A layer applied to every step of the second axis.
public struct TimeDistributedLayer: KerasLayer {
  public static let classNames = ["TimeDistributed"]

  public let layer: KerasNetwork.Layer
  /// Whether what the inner layer says of masks counts: Keras 3 hands on the mask that comes in.
  public let asksForMasks: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    layer = try config.layer("layer")
    asksForMasks = config.context.version < 3
  }

  public var inner: [(place: String, layer: KerasNetwork.Layer)] { [("layer", layer)] }

  /// One step's call.
  private func step(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> KerasCall<KerasShape> {
    try KerasCall(
      call.arguments.map { argument throws(CheckpointError) in
        try argument.map { shape throws(CheckpointError) in
          guard shape.rank >= 2 else {
            throw CheckpointError(
              .mismatch, Place(), "takes tensors with a second axis; it is given \(shape)")
          }
          return KerasShape([shape[0]] + shape.extents.dropFirst(2))
        }
      })
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    guard let description = layer.description else { throw layer.unknown }
    return try description.variables(try step(call)).map { $0.inside("layer", path: "layer") }
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    guard let description = layer.description else { throw layer.unknown }
    let time = call.inputs.first?[1]
    return try description.outputs(try step(call)).map { shape in
      KerasShape([shape[0], time] + shape.extents.dropFirst())
    }
  }

  public func adapted(
    _ stored: [Tensor], to variables: [KerasVariable]
  ) throws(CheckpointError) -> [Weight]? {
    try layer.description?.adapted(stored, to: variables.map { $0.outside("layer") })?.map {
      $0.renamed("layer." + $0.name)
    }
  }
}

extension KerasVariable {
  /// The variable as the layer at that place names it: undoes ``inside(_:path:)`` for the name.
  func outside(_ place: String) -> KerasVariable {
    var copy = self
    if name.hasPrefix(place + ".") { copy.name = String(name.dropFirst(place.count + 1)) }
    return copy
  }
}
