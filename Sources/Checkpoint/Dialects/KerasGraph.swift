/// What layers on top ask of the graph that a whole-model file describes (``KerasNetwork``).
struct KerasGraph {
  /// One application of a layer.
  struct Call: Hashable {
    let layer: String
    let node: Int
  }

  private let network: KerasNetwork
  /// Layers that take a call's result.
  private var users: [Call: [String]] = [:]

  /// `nil` for a file of weights.
  init?(_ checkpoint: Checkpoint) {
    guard let text = checkpoint.text("model_config"),
      let tree = try? JSON(parsing: Array(text.utf8)), let network = try? KerasNetwork(tree)
    else { return nil }
    self.network = network
    for layer in network.layers {
      for tensor in layer.calls.flatMap(\.inputs) {
        users[Call(layer: tensor.layer, node: tensor.call), default: []].append(layer.name)
      }
    }
  }

  /// Layers that take a call's result.
  func users(of call: Call) -> [String] { users[call] ?? [] }

  /// The only thing that a layer takes, when it is applied once to one thing.
  func input(of name: String) -> Call? {
    guard let calls = network[name]?.calls, calls.count == 1, calls[0].inputs.count == 1 else {
      return nil
    }
    return Call(layer: calls[0].inputs[0].layer, node: calls[0].inputs[0].call)
  }

  /// A layer's class and configuration; what is applied to every position counts as itself.
  func form(of name: String) -> (kind: String, config: JSON)? {
    guard let layer = network[name] else { return nil }
    if layer.className == "TimeDistributed", let inner = layer.config["layer"],
      let kind = inner["class_name"]?.string, let config = inner["config"]
    {
      return (kind, config)
    }
    return (layer.className, layer.config.json)
  }

  /// Whether a layer hands on what it takes when the model is not trained.
  func isIdle(_ name: String) -> Bool { network[name]?.description is IdentityLayer }

  func isLambda(_ name: String) -> Bool { network[name]?.className == "Lambda" }

  /// Whether a Lambda is `lambda x: x[:, 0]`.
  func takesFirst(_ name: String) -> Bool {
    guard isLambda(name), let config = network[name]?.config else { return false }
    return LambdaLayer.takesFirst(config["function"])
  }
}
