/// bert4keras 0.11: Keras layers with fixed names.
///
/// Source: `models.py` and `layers.py` of bert4keras 0.11.5 (layer names, order of weights,
/// epsilons), and the `layer_names` that Keras 2.15 writes for its models.
public struct Bert4keras: Dialect {
  public init() {}

  public var name: String { "bert4keras" }
  public var aliases: [String] { ["b4k"] }
  public var summary: String { "bert4keras: Keras layers such as Transformer-0-FeedForward" }
  public var families: [String] {
    [
      "bert", "albert", "albert_zh", "distilbert", "electra", "nezha", "roformer", "roformer_v2",
      "gau_alpha", "gpt", "gpt2", "gpt2_ml", "t5", "mt5",
    ]
  }
  public var format: String { "keras-h5" }
  public var fileName: String { "weights.h5" }

  public func recognise(_ checkpoint: Checkpoint, configuration: JSON?) -> String? {
    let family = Bert4keras.stated(configuration, among: families)
    let layers = layers(of: checkpoint, family, configuration).layers
    guard let found = Bert4keras.recognise(layers, configuration) else { return nil }
    return Bert4keras.stated(configuration, among: found.alike) ?? found.family
  }

  public func bind(
    _ checkpoint: Checkpoint, family: String
  ) throws(CheckpointError) -> Binding {
    let (layers, bundle) = layers(of: checkpoint, family, nil)
    var binding = try Bert4keras.table(family, for: layers).bind(layers, family: family)
    if let bundle {
      binding.carried = bundle.named(binding.carried)
      binding.left += bundle.left
    }
    return binding
  }

  /// The model's layers by their plain names, and the bundle that they come from.
  private func layers(
    of checkpoint: Checkpoint, _ family: String?, _ configuration: JSON?
  ) -> (layers: [Group], bundle: Bert4kerasBundle?) {
    let bundle = Bert4kerasBundle(checkpoint.tensors, family, configuration)
    let layers = bundle?.layers ?? checkpoint.kerasLayers
    return (Bert4keras.plain(layers, prefix: Bert4keras.prefix(of: layers.map(\.name))), bundle)
  }

  /// What stands before every layer's name.
  static func prefix(of checkpoint: Checkpoint) -> String {
    let layers = Bert4kerasBundle(checkpoint.tensors, nil, nil)?.layers ?? checkpoint.kerasLayers
    return prefix(of: layers.map(\.name))
  }

  func plainLayers(of checkpoint: Checkpoint, family: String) -> [Group] {
    layers(of: checkpoint, family, nil).layers
  }

  public func activation(_ name: String) -> Activation? {
    switch name {
    case "gelu": .geluErf
    case "swish": .silu
    default: Activation(rawValue: name)
    }
  }
}
