import Checkpoint

/// Builds the graph of a Keras network, layer by layer.
struct KerasBuilder {
  private(set) var graph = Graph()
  /// Layers that could not be lowered, and why; what comes after them is missing.
  private(set) var stops: [(layer: String, error: any Error)] = []

  /// Shapes of the weights by canonical name.
  private let shapes: [String: [Int]]
  /// The names of the layers that lead to the one that is lowered: `["encoder", "dense"]`.
  private var path: [String] = []

  /// - Parameter shapes: shapes of the weights by canonical name.
  init(weights shapes: [String: [Int]]) { self.shapes = shapes }

  // MARK: What layers use

  /// The extents of a value.
  func shape(_ id: Graph.ID) -> [Int] { graph[id].shape.map { $0.extent(Extents()) } }

  mutating func apply(_ op: any Op, _ operands: Graph.ID...) throws(InferError) -> Graph.ID {
    try graph.apply(op, operands)
  }

  mutating func apply(
    _ op: any Op, _ operands: [Graph.ID]
  ) throws(InferError) -> Graph.ID { try graph.apply(op, operands) }

  /// A variable of the layer that is lowered, by its name there: `kernel`, `forward.kernel`.
  ///
  /// - Throws: ``InferError`` where none was bound: variables are known only where the configuration tells
  ///   what the layer takes.
  mutating func weight(_ name: String) throws(InferError) -> Graph.ID {
    let canonical = (path + [name]).joined(separator: ".")
    guard let shape = shapes[canonical] else {
      throw InferError(
        .input, canonical,
        "no stored tensor was bound to it: the configuration does not tell what its layer takes",
        hint: "say the shape of the model's input: --set input_shape=[INPUT:]None,28,28,1")
    }
    return try graph.weight(canonical, shape)
  }

  /// Whether the layer that is lowered has a variable of that name.
  func hasWeight(_ name: String) -> Bool {
    shapes[(path + [name]).joined(separator: ".")] != nil
  }

  /// A value that the configuration states.
  mutating func constant(_ value: Double) throws(InferError) -> Graph.ID {
    try apply(Constant(value))
  }

  mutating func constant(
    _ shape: [Int], _ values: [Double]
  ) throws(InferError) -> Graph.ID {
    try apply(Constant(NDArray(shape: shape, values: values)))
  }

  /// Gives an inner value of the layer a name by which it can be tapped: `attention.scores`.
  mutating func name(_ id: Graph.ID, _ inner: String) {
    graph.name(id, (path + [inner]).joined(separator: "."))
  }

  /// Lowers a layer that another one wraps at a place, whose variables are called `place.…`.
  mutating func lower(
    _ layer: KerasNetwork.Layer, at place: String, _ call: KerasCall<KerasValue>
  ) throws -> [KerasValue] {
    path.append(place)
    defer { path.removeLast() }
    return try lower(layer, call)
  }

  private mutating func lower(
    _ layer: KerasNetwork.Layer, _ call: KerasCall<KerasValue>
  ) throws -> [KerasValue] {
    guard let description = layer.description else { throw layer.unknown }
    guard let lowered = description as? any LoweredLayer else {
      throw layer.config.error("cannot be computed yet", kind: .unsupported)
    }
    return try lowered.lower(call, &self)
  }

  // MARK: Networks

  /// Lowers a network whose inputs have these values.
  ///
  /// Values are named by their layers, those of inner networks with the names of the networks before.
  mutating func lower(
    _ network: KerasNetwork, _ inputs: [KerasTensor: KerasValue]
  ) -> [KerasTensor: KerasValue] {
    var values = inputs
    values = network.walk(values) { layer, number, call in
      path.append(layer.name)
      defer { path.removeLast() }
      do {
        let results = try lower(layer, call)
        for (output, value) in results.enumerated() {
          let tensor = KerasTensor(layer: layer.name, call: number, output: output)
          graph.name(value.id, (path.dropLast() + [tensor.name]).joined(separator: "."))
        }
        return results
      } catch {
        stops.append((path.joined(separator: "."), layer.located(error)))
        return nil
      }
    }
    return values
  }

  mutating func input(_ name: String, _ shape: [Int]) -> Graph.ID {
    graph.input(name, shape.map { .fixed($0) })
  }

  /// Lets a value leave; what a softmax or a sigmoid on top takes can be asked for as `NAME.logits`.
  mutating func output(_ name: String, _ id: Graph.ID) {
    graph.output(name, id)
    if let logits = graph.logits(of: id) { graph.name(logits.value, name + Graph.logitsSuffix) }
  }
}

extension KerasNetwork.Layer {
  /// An error of its lowering with its place.
  ///
  /// What an op refuses is the file's fault here: sizes and what a layer is called with come from the
  /// configuration.
  fileprivate func located(_ error: any Error) -> any Error {
    switch error {
    case let error as CheckpointError: error.at(config.place)
    case let error as InferError where error.kind == .graph:
      CheckpointError(
        .mismatch, config.place,
        error.value.isEmpty ? error.reason : "\(error.value): \(error.reason)",
        hint: error.hint)
    default: error
    }
  }
}
