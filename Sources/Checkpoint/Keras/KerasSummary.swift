/// A Keras model as Keras' `summary()` tells it: a row for each layer, those of inner models below
/// their model's.
public struct KerasSummary: Sendable {
  public struct Row: Sendable {
    public var name: String
    public var className: String
    /// In how many models of the model it lies.
    public var depth: Int
    /// The names of the models that it lies in, and its own: `["encoder", "dense"]`.
    public var path: [String]
    /// Shapes of what its first application returns; empty where they cannot be told.
    public var outputs: [KerasShape]
    /// What each of its applications takes.
    public var calls: [[KerasTensor]]
    /// Numbers in its variables; of a layer of an unknown class, or behind one, those stored under its
    /// name; `nil` where that cannot be told.
    public var parameters: Int?
    /// Those of them that training changes; all of a layer of an unknown class that is not frozen.
    public var trainable: Int
    public var isModel: Bool
    /// Why what it returns is not known, where it is the first of its branch.
    public var reason: CheckpointError?

    /// The name by which its values are tapped.
    public var fullName: String { path.joined(separator: ".") }
  }

  /// An input or an output.
  public struct Port: Sendable {
    public var name: String
    /// `nil` where it cannot be told.
    public var shape: KerasShape?
  }

  public private(set) var rows: [Row] = []
  public private(set) var inputs: [Port]
  public private(set) var outputs: [Port]

  /// Numbers in all variables, each counted once however often its layer is applied.
  public private(set) var parameters = 0
  public private(set) var trainable = 0
  public var nonTrainable: Int { parameters - trainable }

  /// The layers whose class is not known, or that do not fit what they take.
  public var unknown: [Row] { rows.filter { $0.reason != nil } }

  public init(_ model: KerasModel) {
    let network = model.network
    let given = model.inputShapes
    let values = network.shapes(given).values
    inputs = network.inputs.map { Port(name: $0.layer, shape: values[$0]) }
    outputs = zip(network.outputNames, network.outputs).map { Port(name: $0, shape: values[$1]) }
    let isFrozen = network.json["config"]?["trainable"]?.bool == false
    add(network, given, path: [], below: "", isFrozen: isFrozen, model.carried)
    for row in rows where row.depth == 0 {
      parameters += row.parameters ?? 0
      trainable += row.trainable
    }
  }

  /// - Parameters:
  ///   - group: where Keras 3 keeps what lies in the network.
  ///   - isFrozen: whether a model around it is not trained.
  ///   - carried: tensors that belong to no known layer.
  private mutating func add(
    _ network: KerasNetwork, _ given: [KerasTensor: KerasShape], path: [String],
    below group: String, isFrozen: Bool, _ carried: [Group]
  ) {
    let shapes = network.shapes(given)
    let variables = (try? network.variablesByLayer(given)) ?? [:]
    let reasons = Dictionary(shapes.stops.map { ($0.layer, $0.error) }) { first, _ in first }
    var names = KerasNames()
    for layer in network.layers {
      let place = group + "layers/" + names.next(layer.className)
      // What stands before the first layer of a sequential model is no layer of it.
      if network.form == .sequential, layer.description is InputLayer { continue }
      let isFrozen = isFrozen || layer.config["trainable"]?.bool == false
      let own = variables[layer.name] ?? []
      var count: Int? = own.reduce(0) { $0 + KerasSummary.count($1) }
      var trained = own.reduce(0) { $0 + ($1.isTrainable ? KerasSummary.count($1) : 0) }
      if variables[layer.name] == nil {
        // What an unknown layer hands on has no shape, and so have variables none behind it.
        count = KerasSummary.stored(layer.name, place, isInner: !path.isEmpty, carried)
        if layer.description != nil { count = count ?? 0 }
        trained = count ?? 0
      }
      var outputs: [KerasShape] = []
      while let shape = shapes.values[
        KerasTensor(layer: layer.name, output: outputs.count)]
      {
        outputs.append(shape)
      }
      let path = path + [layer.name]
      rows.append(
        Row(
          name: layer.name, className: layer.className, depth: path.count - 1, path: path,
          outputs: outputs, calls: layer.calls.map(\.tensors),
          parameters: count, trainable: isFrozen ? 0 : trained,
          isModel: layer.network != nil, reason: reasons[layer.name]))
      guard let inner = layer.network else { continue }
      let taken = layer.calls.first?.lookedUp { shapes.values[$0] }
      add(
        inner, taken.map { inner.binding($0.inputs) } ?? inner.statedInputs, path: path,
        below: place + "/", isFrozen: isFrozen, carried)
    }
  }

  private static func count(_ variable: KerasVariable) -> Int {
    variable.shape.reduce(1) { $0.multipliedReportingOverflow(by: $1).partialValue }
  }

  /// Elements of what is stored for a layer of an unknown class.
  private static func stored(
    _ name: String, _ place: String, isInner: Bool, _ carried: [Group]
  ) -> Int? {
    var count = 0
    var isFound = false
    for group in carried {
      let isOwn =
        !isInner && (group.name == name || group.name == KerasHDF5Names.modelWeights + "/" + name)
      for tensor in group.tensors where isOwn || tensor.name.hasPrefix(place + "/") {
        count += tensor.shape.count
        isFound = true
      }
    }
    return isFound ? count : nil
  }
}

extension KerasModel {
  /// What is known of the inputs' shapes: what their layers state, and what the user has told.
  public var inputShapes: [KerasTensor: KerasShape] {
    network.statedInputs.merging(given) { $1 }
  }

  /// The variables of ``weights``, with what the configuration says of their training.
  public var variables: [KerasVariable] {
    let all = (try? network.variables(inputShapes)) ?? []
    guard network.json["config"]?["trainable"]?.bool == false else { return all }
    return all.map { variable in
      var frozen = variable
      frozen.isTrainable = false
      return frozen
    }
  }

  /// The weights that each stored tensor holds.
  public var canonicalNames: [String: [String]] { weights.namesBySource }
}

extension KerasNetwork {
  /// The layer of the outermost model that a weight belongs to; names of layers may hold points.
  func layerName(of weight: String) -> String {
    var name = weight[...]
    while let point = name.lastIndex(of: ".") {
      name = name[..<point]
      if self[String(name)] != nil { return String(name) }
    }
    return weight
  }
}

extension [Weight] {
  /// The weights' names by each tensor that they are made of, in order.
  var namesBySource: [String: [String]] {
    reduce(into: [:]) { names, weight in
      for source in weight.sources { names[source, default: []].append(weight.name) }
    }
  }
}
