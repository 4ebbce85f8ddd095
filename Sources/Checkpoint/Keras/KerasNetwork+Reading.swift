// What Keras 1, 2 and 3 write of a model's graph.
//
// Sources: `keras/src/models/functional.py` and `sequential.py` (Keras 3), `keras/src/engine/functional.py`
// and `node.py` (Keras 2.15), `keras/engine/topology.py` (Keras 1.2).

extension KerasNetwork {
  /// The most bytes of text that a configuration may have.
  public static let largestText = 256 << 20

  /// Reads a configuration: `{"class_name": …, "config": …}`.
  ///
  /// - Throws: ``CheckpointError`` where it is no graph, or one that contradicts itself.
  public init(
    _ json: JSON, context given: KerasConfig.Context? = nil
  ) throws(CheckpointError) {
    guard let className = json["class_name"]?.string, let config = json["config"] else {
      throw CheckpointError(
        .notRecognised, Place(), "is no model's configuration: it has no class_name with a config")
    }
    var context = given ?? KerasConfig.Context()
    if given == nil { context.version = KerasNetwork.version(json) }
    if context.version == 1 {
      context.isChannelsFirst =
        KerasNetwork.states("th", in: config) && !KerasNetwork.states("tf", in: config)
    }
    context.isBert4keras = (config["layers"]?.array ?? []).contains { layer in
      layer["class_name"]?.string == "MultiHeadAttention" && layer["config"]?["head_size"] != nil
        || layer["class_name"]?.string == "GatedAttentionUnit"
    }
    try self.init(className: className, config: config, context: context, json: json)
  }

  /// Whether any layer of Keras 1 states this order of axes.
  private static func states(_ ordering: String, in json: JSON) -> Bool {
    if json["dim_ordering"]?.string == ordering { return true }
    return (json.array ?? json.members?.map(\.value) ?? []).contains { states(ordering, in: $0) }
  }

  /// The major version by which a configuration was written.
  ///
  /// - Parameter stated: `keras_version` where the file has it.
  static func version(_ json: JSON, stated: String? = nil) -> Int {
    if let text = stated ?? json["keras_version"]?.string,
      let major = Int(text.prefix { $0 != "." })
    {
      return min(max(major, 1), 3)
    }
    let layers = json["config"]?["layers"]?.array ?? json["config"]?.array ?? []
    for layer in layers {
      if layer["inbound_nodes"]?.array?.first?["args"] != nil { return 3 }
      if layer["config"]?["batch_shape"] != nil { return 3 }
      let old = ["nb_filter", "border_mode", "dim_ordering", "inner_activation", "init"]
      if old.contains(where: { layer["config"]?[$0] != nil }) { return 1 }
    }
    return 2
  }

  /// - Parameter config: the configuration without what stands around it.
  init(
    className: String, config: JSON, context: KerasConfig.Context, json: JSON
  ) throws(CheckpointError) {
    let entries = config["layers"]?.array ?? config.array
    guard let entries else {
      throw CheckpointError(
        .unsupported, Place(member: "model \(className)"),
        "is a model of its own class: its configuration holds no graph of layers",
        hint: "rebuild it as a functional model in Keras, or work with its weights alone")
    }
    guard entries.count <= KerasNetwork.limit else {
      throw CheckpointError(
        .unsupported, Place(member: "model \(className)"),
        "has \(entries.count) layers; ckpt takes at most \(KerasNetwork.limit)")
    }
    let name = config["name"]?.string ?? className.lowercased()
    if config["output_layers"] != nil {
      try self.init(functional: config, entries, name: name, context: context, json: json)
    } else {
      try self.init(sequential: config, entries, name: name, context: context, json: json)
    }
  }

  // MARK: Sequential

  private init(
    sequential config: JSON, _ entries: [JSON], name: String, context: KerasConfig.Context,
    json: JSON
  ) throws(CheckpointError) {
    var layers: [Layer] = []
    var inputs: [KerasTensor] = []
    // Where Keras 1's Merge comes first, it holds the branches that it merges.
    var first: KerasCall<KerasTensor>?
    for (index, entry) in entries.enumerated() {
      let layer = try Layer(entry, number: index, context)
      if index == 0, let branches = layer.config["layers"]?.array,
        layer.description is OldMergeLayer
      {
        let inner = try KerasNetwork.branches(branches, context)
        layers = inner.flatMap(\.layers).map { $0.unwritten }
        inputs = inner.flatMap(\.inputs)
        first = KerasCall(inner.flatMap(\.outputs))
      } else if index == 0, !(layer.description is InputLayer) {
        layers.append(
          KerasNetwork.impliedInput(of: layer, built: config["build_input_shape"], context))
      }
      layers.append(layer)
      let last = layers.count - 1
      if let branches = first {
        layers[last].calls = [branches]
        first = nil
      } else {
        layers[last].calls =
          last == 0 ? [KerasCall([])] : [KerasCall([KerasTensor(layer: layers[last - 1].name)])]
      }
    }
    guard let start = layers.first, let last = layers.last else {
      throw CheckpointError(.unsupported, Place(member: "model \(name)"), "has no layers")
    }
    if inputs.isEmpty {
      layers[0].calls = [KerasCall([])]
      inputs = [KerasTensor(layer: start.name)]
    }
    try self.init(
      name: name, form: .sequential, context: context, layers: layers, inputs: inputs,
      outputs: [KerasTensor(layer: last.name)], json: json)
  }

  /// The networks of a Merge layer that begins a sequential model.
  ///
  /// Their inputs are called as Keras 1 calls them: `dense_input_1`, `dense_input_2`.
  private static func branches(
    _ entries: [JSON], _ context: KerasConfig.Context
  ) throws(CheckpointError) -> [KerasNetwork] {
    var networks: [KerasNetwork] = []
    var counts: [String: Int] = [:]
    for (index, entry) in entries.enumerated() {
      let layer = try Layer(entry, number: index, context)
      // A single layer is a model of one.
      var network: KerasNetwork
      if let inner = layer.network {
        network = inner
      } else {
        network = try KerasNetwork(
          className: "Sequential", config: .array([entry]), context: context, json: entry)
      }
      if network.layers.count > 1, network.layers[0].json == nil {
        let prefix = network.layers[1].className.lowercased() + "_input"
        counts[prefix, default: 0] += 1
        try network.renameInput("\(prefix)_\(counts[prefix] ?? 1)")
      }
      networks.append(network)
    }
    return networks
  }

  /// Gives another name to the input that the file only implies.
  private mutating func renameInput(_ name: String) throws(CheckpointError) {
    let old = layers[0].name
    func renamed(_ tensor: KerasTensor) -> KerasTensor {
      var copy = tensor
      if copy.layer == old { copy.layer = name }
      return copy
    }
    layers[0].name = name
    for index in layers.indices {
      layers[index].calls = layers[index].calls.map { $0.map(renamed) }
    }
    (inputs, outputs) = (inputs.map(renamed), outputs.map(renamed))
    try connect()
  }

  /// The input that a sequential model has without saying so.
  private static func impliedInput(
    of layer: Layer, built: JSON?, _ context: KerasConfig.Context
  ) -> Layer {
    let config = layer.config
    var shape = config["batch_input_shape", "batch_shape"]
    if shape == nil, let inner = config["input_shape"], let extents = KerasConfig.items(inner) {
      shape = .array([.null] + extents)
    }
    if shape == nil, let width = config["input_dim"], layer.className != "Embedding" {
      shape = .array([.null, width])
    }
    if shape == nil, layer.className == "Embedding" {
      shape = .array([.null, config["input_length"] ?? .null])
    }
    if shape == nil, let network = layer.network, network.inputs.count == 1,
      let input = network[network.inputs[0].layer]?.description as? InputLayer
    {
      shape = input.shape.map { .array($0.extents.map { $0.map { .number($0) } ?? .null }) }
    }
    if shape == nil { shape = built }
    let name = layer.name + "_input"
    let own = KerasConfig(
      .object([.init("name", .string(name)), .init("batch_input_shape", shape ?? .null)]),
      layer: name, className: "InputLayer", context: context)
    return Layer(
      name: name, config: own, calls: [], kind: Layer.kind(own), json: nil)
  }

  // MARK: Functional

  private init(
    functional config: JSON, _ entries: [JSON], name: String, context: KerasConfig.Context,
    json: JSON
  ) throws(CheckpointError) {
    var layers: [Layer] = []
    for (index, entry) in entries.enumerated() {
      layers.append(try Layer(entry, number: index, context))
    }
    let names = Set(layers.map(\.name))
    for index in layers.indices {
      let nodes = layers[index].json?["inbound_nodes"]?.array ?? []
      do throws(CheckpointError) {
        var calls: [KerasCall<KerasTensor>] = []
        for node in nodes { calls.append(try KerasNetwork.call(node, names)) }
        layers[index].calls =
          calls.isEmpty && layers[index].description is InputLayer ? [KerasCall([])] : calls
      } catch {
        throw error.at(Place(member: "layer \(layers[index].name)"))
      }
    }
    func tensors(_ key: String) throws(CheckpointError) -> [KerasTensor] {
      guard let list = config[key], let found = KerasNetwork.references(list) else {
        throw CheckpointError(
          .damaged, Place(member: "model \(name)"), "\(key) is no list of layers")
      }
      return found
    }
    let (inputs, outputs) = (try tensors("input_layers"), try tensors("output_layers"))
    // An inner model has an application of its own, which is counted but not written; Keras 3 counts it
    // in output_layers only.
    let used = layers.flatMap(\.calls).flatMap(\.tensors)
    func last(_ tensors: [KerasTensor]) -> [String: Int] {
      Dictionary(tensors.map { ($0.layer, $0.call) }, uniquingKeysWith: max)
    }
    let (inside, outside) = (last(used), last(outputs))
    for index in layers.indices where layers[index].network != nil {
      let (name, count) = (layers[index].name, layers[index].calls.count)
      guard count > 0 else { continue }
      let isCounted = [inside[name], outside[name]].map { $0 == count ? 1 : 0 }
      let isSplit = context.version >= 3 && inside[name] != nil
      layers[index].firstCall = isSplit ? isCounted[0] : isCounted.reduce(0, max)
      layers[index].firstOutput = isCounted.reduce(0, max)
    }
    let first = Dictionary(layers.map { ($0.name, $0.firstCall) }) { first, _ in first }
    let firstOutput = Dictionary(layers.map { ($0.name, $0.firstOutput) }) { first, _ in first }
    func counted(_ tensor: KerasTensor) -> KerasTensor {
      var copy = tensor
      copy.call -= first[tensor.layer] ?? 0
      return copy
    }
    for index in layers.indices {
      layers[index].calls = layers[index].calls.map { $0.map(counted) }
    }
    try self.init(
      name: name, form: .functional, context: context, layers: layers, inputs: inputs,
      outputs: outputs.map { tensor in
        var copy = tensor
        copy.call -= firstOutput[tensor.layer] ?? 0
        return copy
      }, json: json)
  }

  /// `["dense", 0, 0]`.
  private static func reference(_ json: JSON) -> KerasTensor? {
    guard let parts = json.array, parts.count >= 3, let layer = parts[0].string,
      let call = parts[1].int, let output = parts[2].int
    else { return nil }
    return KerasTensor(layer: layer, call: call, output: output)
  }

  /// One reference, or lists and objects of them.
  private static func references(_ json: JSON) -> [KerasTensor]? {
    if let tensor = reference(json) { return [tensor] }
    guard let items = json.array ?? json.members?.map(\.value) else { return nil }
    var tensors: [KerasTensor] = []
    for item in items {
      guard let inner = references(item) else { return nil }
      tensors += inner
    }
    return tensors
  }

  /// One of a layer's `inbound_nodes`.
  private static func call(
    _ node: JSON, _ names: Set<String>
  ) throws(CheckpointError) -> KerasCall<KerasTensor> {
    // Keras 3 keeps arguments as they were given.
    if let arguments = node["args"]?.array {
      return KerasCall(
        arguments.map { argument($0, names, isFirst: false) },
        keywords: (node["kwargs"]?.members ?? []).map {
          ($0.key, argument($0.value, names, isFirst: false))
        })
    }
    guard node.array != nil || node.members != nil else {
      throw CheckpointError(
        .damaged, Place(), "one of its inbound_nodes is \(node.compact.prefix(80))")
    }
    // Before, the keywords stand behind each tensor of the first argument.
    var keywords: [(name: String, argument: KerasArgument<KerasTensor>)] = []
    func collect(_ json: JSON) {
      if let parts = json.array, parts.count > 3, parts[0].string != nil, parts[1].int != nil {
        guard keywords.isEmpty else { return }
        keywords = (parts[3].members ?? []).map {
          ($0.key, argument($0.value, names, isFirst: false))
        }
      } else {
        (json.array ?? json.members?.map(\.value) ?? []).forEach(collect)
      }
    }
    collect(node)
    let first = argument(node, names, isFirst: true)
    // A list of one is a single tensor, unless that is an operation's own way.
    if case .list(let items) = first, items.count == 1 {
      return KerasCall([items[0]], keywords: keywords)
    }
    return KerasCall([first], keywords: keywords)
  }

  /// - Parameter isFirst: whether it is a first argument of Keras 1 and 2, all of whose parts are
  ///   references.
  private static func argument(
    _ json: JSON, _ names: Set<String>, isFirst: Bool
  ) -> KerasArgument<KerasTensor> {
    if json["class_name"]?.string == "__keras_tensor__" {
      let history = json["config"]?["keras_history"].flatMap(reference)
      return history.map { .tensor($0) } ?? .constant(json)
    }
    if let parts = json.array, parts.count >= 3, parts[0].string == "_CONSTANT_VALUE" {
      return .constant(parts[2])
    }
    if let tensor = reference(json), isFirst || names.contains(tensor.layer) {
      return .tensor(tensor)
    }
    guard let items = KerasConfig.items(json) ?? (isFirst ? json.members?.map(\.value) : nil) else {
      return .constant(json)
    }
    let parsed = items.map { argument($0, names, isFirst: isFirst) }
    let isConstant = parsed.allSatisfy { $0.tensors.isEmpty }
    return isConstant && !(isFirst && !items.isEmpty) ? .constant(json) : .list(parsed)
  }
}

// MARK: - Layers

extension KerasNetwork.Layer {
  /// The same as a part of another layer's config, which is what is written.
  var unwritten: KerasNetwork.Layer {
    var copy = self
    copy.json = nil
    return copy
  }

  /// Reads an entry of `layers`; its calls are not set yet.
  init(_ entry: JSON, number: Int, _ context: KerasConfig.Context) throws(CheckpointError) {
    guard var className = entry["class_name"]?.string, let config = entry["config"] else {
      throw CheckpointError(
        .damaged, Place(member: "layer \(number)"), "has no class_name with a config")
    }
    if let module = entry["module"]?.string, module.contains(".ops.") || module.hasSuffix(".ops") {
      className = KerasNetwork.operationPrefix + className
    } else if entry["module"] == nil, context.version >= 3, config["trainable"] == nil,
      OperationTable.rule(named: KerasNames.snakeCase(className)) != nil
    {
      // The .h5 of Keras 3 leaves modules out; only layers say whether they are trained.
      className = KerasNetwork.operationPrefix + className
    } else if let registered = entry["registered_name"]?.string, registered.contains(">") {
      className = registered
    }
    let name =
      entry["name"]?.string ?? config["name"]?.string ?? "\(className.lowercased())_\(number)"
    let own = KerasConfig(config, layer: name, className: className, context: context)
    self.init(name: name, config: own, calls: [], kind: Self.kind(own), json: entry)
    if case .unknown(let error) = kind, error.kind == .damaged { throw error }
  }

  /// A layer that stands in another one's config.
  init(wrapped entry: JSON, in outer: KerasConfig) throws(CheckpointError) {
    do throws(CheckpointError) {
      try self.init(entry, number: 0, outer.context)
    } catch {
      throw error.at(outer.place)
    }
  }

  static func kind(_ config: KerasConfig) -> KerasNetwork.Kind {
    guard let type = KerasLayerRegistry.type(of: config) else {
      let text = config.json.compact
      return .unknown(
        config.error(
          "is of a class that ckpt does not know; its config is "
            + (text.count > 400 ? String(text.prefix(400)) + "…" : text), kind: .unsupported,
          hint: "what comes before it can be run with --tap; docs/keras-layers.md lists the classes"
        ))
    }
    do throws(CheckpointError) {
      return .known(try type.init(config))
    } catch {
      return .unknown(error.at(config.place))
    }
  }
}

extension KerasNetwork {
  /// What stands before the class of an operation of `keras.ops`, which may have a layer's name.
  static let operationPrefix = "keras.ops."
}
