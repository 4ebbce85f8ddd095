/// A tensor of a network: the result of a layer's application.
public struct KerasTensor: Sendable, Hashable {
  public var layer: String
  /// Which application of the layer, from 0.
  public var call: Int
  /// Which of its results.
  public var output: Int

  public init(layer: String, call: Int = 0, output: Int = 0) {
    self.layer = layer
    self.call = call
    self.output = output
  }

  /// The name of the value: the layer's; `:1` is its second application, `[1]` its second result.
  public var name: String {
    layer + (call == 0 ? "" : ":\(call)") + (output == 0 ? "" : "[\(output)]")
  }
}

/// The graph of layers that Keras' `model_config` or `to_json()` describes: Sequential and functional
/// models of Keras 1, 2 and 3.
///
/// A subclassed model has no graph in its configuration and is refused.
public struct KerasNetwork: Sendable {
  /// A layer with all its applications.
  public struct Layer: Sendable {
    public var name: String
    public var config: KerasConfig
    public var calls: [KerasCall<KerasTensor>]
    /// What its class is; or why ckpt does not know it.
    public var kind: Kind
    /// Its entry as it was read; `nil` for an input that the file only implies.
    public var json: JSON?
    /// The number by which the file refers to the first application; 1 for most inner models.
    var firstCall = 0
    /// The same in the list of the model's outputs.
    var firstOutput = 0

    public var className: String { config.className }

    public init(
      name: String, config: KerasConfig, calls: [KerasCall<KerasTensor>], kind: Kind, json: JSON?
    ) {
      self.name = name
      self.config = config
      self.calls = calls
      self.kind = kind
      self.json = json
    }

    /// The description, where the class is known.
    public var description: (any KerasLayer)? {
      if case .known(let layer) = kind { layer } else { nil }
    }

    /// Applications of layers in one of its own.
    var size: Int {
      network?.applications ?? (description?.inner ?? []).reduce(1) { $0 + $1.layer.size }
    }

    /// The network, where the layer is one.
    public var network: KerasNetwork? { (description as? NetworkLayer)?.network }
  }

  public enum Kind: Sendable {
    case known(any KerasLayer)
    case unknown(CheckpointError)
  }

  /// In which form the configuration was written.
  public enum Form: Sendable, Equatable {
    /// A list of layers, each taking what the one before makes.
    case sequential
    case functional
  }

  public var name: String
  public var form: Form
  public var context: KerasConfig.Context
  public var layers: [Layer]
  public var inputs: [KerasTensor]
  public var outputs: [KerasTensor]
  /// The whole as it was read.
  public var json: JSON
  /// `output_layers`, where they were redirected.
  var redirectedOutputs: JSON?

  /// The most layers that a configuration may have, those of inner models apart.
  static let limit = 100_000
  /// The most applications of layers that one run may be: inner models that are applied more than once
  /// multiply what they hold.
  static let mostApplications = 1_000_000
  /// Applications of layers in one run, inside inner models too.
  private(set) var applications = 0

  /// The place of a layer of that name.
  public func index(of name: String) -> Int? { places[name] }

  public subscript(name: String) -> Layer? { places[name].map { layers[$0] } }

  /// Applications of layers, each after those that it takes from.
  public private(set) var order: [(layer: Int, call: Int)]
  private var places: [String: Int]

  /// - Throws: ``CheckpointError`` where names stand twice, an application takes what does not exist, or
  ///   layers feed each other in a circle.
  public init(
    name: String, form: Form, context: KerasConfig.Context, layers: [Layer], inputs: [KerasTensor],
    outputs: [KerasTensor], json: JSON
  ) throws(CheckpointError) {
    self.name = name
    self.form = form
    self.context = context
    self.layers = layers
    self.inputs = inputs
    self.outputs = outputs
    self.json = json
    (order, places) = ([], [:])
    try connect()
  }

  /// Finds the order again after layers were changed.
  ///
  /// - Throws: as ``init(name:form:context:layers:inputs:outputs:json:)``.
  public mutating func connect() throws(CheckpointError) {
    places = [:]
    for (index, layer) in layers.enumerated() {
      guard places.updateValue(index, forKey: layer.name) == nil else {
        throw CheckpointError(
          .damaged, Place(member: "layer \(layer.name)"), "the model has two layers of that name")
      }
    }
    func check(_ tensor: KerasTensor, _ user: String) throws(CheckpointError) -> Int {
      guard let index = places[tensor.layer] else {
        throw CheckpointError(
          .damaged, Place(member: user),
          "takes from layer \"\(tensor.layer)\", which does not exist")
      }
      guard layers[index].calls.indices.contains(tensor.call), tensor.output >= 0 else {
        throw CheckpointError(
          .damaged, Place(member: user),
          "takes application \(tensor.call + layers[index].firstCall) of layer \"\(tensor.layer)\", which has "
            + "\(layers[index].calls.count)")
      }
      return index
    }
    for tensor in inputs { _ = try check(tensor, "the model's inputs") }
    for tensor in outputs { _ = try check(tensor, "the model's outputs") }

    applications = 0
    for layer in layers {
      let (product, overflow) = layer.size.multipliedReportingOverflow(by: layer.calls.count)
      applications += overflow ? KerasNetwork.mostApplications + 1 : product
      guard applications <= KerasNetwork.mostApplications else {
        throw CheckpointError(
          .unsupported, Place(member: "model \(name)"),
          "applies more than \(KerasNetwork.mostApplications) layers, those of inner models counted"
        )
      }
    }
    // Kahn's order, in which ready applications keep the file's order.
    let starts = layers.indices.reduce(into: [0]) { $0.append($0[$1] + layers[$1].calls.count) }
    var waiting = [Int](repeating: 0, count: starts[layers.count])
    var users = [[Int]](repeating: [], count: waiting.count)
    var nodes: [(layer: Int, call: Int)] = []
    for (index, layer) in layers.enumerated() {
      for (call, taken) in layer.calls.enumerated() {
        nodes.append((index, call))
        for tensor in taken.tensors {
          let source = try check(tensor, "layer \(layer.name)")
          users[starts[source] + tensor.call].append(starts[index] + call)
          waiting[starts[index] + call] += 1
        }
      }
    }
    var ready = Heap(waiting.indices.filter { waiting[$0] == 0 })
    order = []
    while let node = ready.pop() {
      order.append(nodes[node])
      for user in users[node] {
        waiting[user] -= 1
        if waiting[user] == 0 { ready.push(user) }
      }
    }
    if order.count < nodes.count, let stuck = waiting.firstIndex(where: { $0 > 0 }) {
      throw CheckpointError(
        .damaged, Place(member: "layer \(layers[nodes[stuck].layer].name)"),
        "waits for its own result: \(nodes.count - order.count) applications of layers form a circle"
      )
    }
  }

  /// Applies the layers in order.
  ///
  /// - Parameters:
  ///   - values: what the inputs are.
  ///   - apply: the results of one application, `nil` for what cannot be told; called for every
  ///     application but those of inputs, with what it takes.
  /// - Returns: every tensor's value that could be told.
  public func walk<Value: Sendable, Failure: Error>(
    _ values: [KerasTensor: Value],
    _ apply: (_ layer: Layer, _ call: Int, KerasCall<Value>) throws(Failure) -> [Value]?
  ) throws(Failure) -> [KerasTensor: Value] {
    var values = values
    for (index, call) in order {
      let layer = layers[index]
      let tensor = KerasTensor(layer: layer.name, call: call)
      guard values[tensor] == nil else { continue }
      guard let taken = layer.calls[call].lookedUp({ values[$0] }) else { continue }
      for (output, value) in (try apply(layer, call, taken) ?? []).enumerated() {
        values[KerasTensor(layer: layer.name, call: call, output: output)] = value
      }
    }
    return values
  }
}

extension KerasCall {
  /// The call with the values of its tensors; `nil` where one of them has none.
  func lookedUp<Other>(_ look: (Value) -> Other?) -> KerasCall<Other>? {
    try? map { (value: Value) throws(NoValue) -> Other in
      guard let found = look(value) else { throw NoValue() }
      return found
    }
  }
}

private struct NoValue: Error {}

/// The smallest number first.
private struct Heap {
  private var items: [Int]

  /// - Parameter sorted: in ascending order.
  init(_ sorted: [Int]) { items = sorted }

  mutating func push(_ item: Int) {
    items.append(item)
    var child = items.count - 1
    while child > 0, items[(child - 1) / 2] > items[child] {
      items.swapAt(child, (child - 1) / 2)
      child = (child - 1) / 2
    }
  }

  mutating func pop() -> Int? {
    guard let first = items.first, let last = items.popLast() else { return nil }
    if !items.isEmpty {
      items[0] = last
      var parent = 0
      while true {
        var least = parent
        for child in [2 * parent + 1, 2 * parent + 2]
        where child < items.count && items[child] < items[least] { least = child }
        if least == parent { break }
        items.swapAt(parent, least)
        parent = least
      }
    }
    return first
  }
}
