/// The graph of layers that a whole-model file of Keras 1 or 2 describes in `model_config`.
struct KerasGraph {
  /// One application of a layer.
  struct Call: Hashable {
    let layer: String
    let node: Int
  }

  struct Layer {
    let kind: String
    let config: JSON
    /// What each application takes.
    let inputs: [[Call]]
  }

  private var layers: [String: Layer] = [:]
  /// Layers that take a call's result.
  private var users: [Call: [String]] = [:]

  /// `nil` for a file of weights.
  init?(_ checkpoint: Checkpoint) {
    guard let text = checkpoint.text("model_config"),
      let tree = try? JSON(parsing: Array(text.utf8)),
      let list = tree["config"]?["layers"]?.array
    else { return nil }
    for json in list {
      guard let config = json["config"], let kind = json["class_name"]?.string,
        let name = (json["name"] ?? config["name"])?.string
      else { continue }
      let inputs = (json["inbound_nodes"]?.array ?? []).map { node in
        (node.array ?? []).compactMap { call -> Call? in
          guard let parts = call.array, parts.count > 1, let layer = parts[0].string,
            let index = parts[1].int
          else { return nil }
          return Call(layer: layer, node: index)
        }
      }
      layers[name] = Layer(kind: kind, config: config, inputs: inputs)
      for call in inputs.joined() { users[call, default: []].append(name) }
    }
  }

  subscript(name: String) -> Layer? { layers[name] }

  /// Layers that take a call's result.
  func users(of call: Call) -> [String] { users[call] ?? [] }

  /// The only thing that a layer takes, when it is applied once to one thing.
  func input(of name: String) -> Call? {
    guard let inputs = layers[name]?.inputs, inputs.count == 1, inputs[0].count == 1 else {
      return nil
    }
    return inputs[0][0]
  }

  /// A layer's class and configuration; what is applied to every position counts as itself.
  func form(of name: String) -> (kind: String, config: JSON)? {
    guard let layer = layers[name] else { return nil }
    if layer.kind == "TimeDistributed", let inner = layer.config["layer"],
      let kind = inner["class_name"]?.string, let config = inner["config"]
    {
      return (kind, config)
    }
    return (layer.kind, layer.config)
  }

  /// Layers that hand on what they take when the model is not trained.
  private static let idle: Set<String> = [
    "Dropout", "SpatialDropout1D", "GaussianDropout", "GaussianNoise", "AlphaDropout",
  ]

  func isIdle(_ name: String) -> Bool {
    layers[name].map { KerasGraph.idle.contains($0.kind) } ?? false
  }

  /// Whether a Lambda is `lambda x: x[:, 0]`.
  func takesFirst(_ name: String) -> Bool {
    guard let layer = layers[name], layer.kind == "Lambda" else { return false }
    return LambdaLayer.takesFirst(layer.config["function"])
  }
}
