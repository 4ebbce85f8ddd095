/// A function of `keras.activations`, with what was given to it.
public struct KerasActivation: Sendable, Equatable {
  /// Keras' name; `swish` is `silu`, `elu` with another alpha has it in ``parameters``.
  public var name: String
  public var parameters: [String: Double]

  public init(name: String, parameters: [String: Double] = [:]) {
    self.name = name == "swish" ? "silu" : name
    self.parameters = parameters
  }

  public var isLinear: Bool { name == "linear" }

  /// Reads a name, or what Keras 2.15 and 3 make of a function or an activation layer.
  ///
  /// - Throws: ``CheckpointError`` naming the layer, where it is none of Keras' own.
  init(_ value: JSON, _ config: KerasConfig) throws(CheckpointError) {
    var parameters: [String: Double] = [:]
    var name = value.string
    if name == nil {
      // {"class_name": "function", "config": "gelu"} or {"class_name": "LeakyReLU", "config": {…}}.
      name = value["config"]?.string
      if name == nil, let className = value["class_name"]?.string, let own = value["config"] {
        name = KerasActivation.layers[className]
        for member in own.members ?? [] {
          if let number = member.value.double { parameters[member.key] = number }
        }
      }
    }
    guard var known = name else {
      throw config.error(
        "its activation is \(value.compact.prefix(120)), which is none of Keras'", kind: .unsupported)
    }
    // Registered names carry their package: `keras.activations>gelu`, `Text>gelu`.
    if let mark = known.lastIndex(of: ">") { known = String(known[known.index(after: mark)...]) }
    if let mark = known.lastIndex(of: ".") { known = String(known[known.index(after: mark)...]) }
    if let alias = KerasActivation.aliases[known] { known = alias }
    guard KerasActivation.all.contains(known) else {
      throw config.error(
        "its activation \"\(known)\" is none that ckpt knows", kind: .unsupported,
        hint: "known: \(KerasActivation.all.sorted().joined(separator: ", "))")
    }
    self.init(name: known, parameters: parameters)
  }

  /// Layers that may stand where a function is expected.
  private static let layers: [String: String] = [
    "LeakyReLU": "leaky_relu", "ELU": "elu", "Softmax": "softmax", "ReLU": "relu",
  ]

  private static let aliases: [String: String] = [
    "swish": "silu", "hard_swish": "hard_silu", "gelu_new": "gelu_tanh",
    "gelu_approximate": "gelu_tanh", "gelu_erf": "gelu",
    "crelu": "crelu", "softmax_v2": "softmax", "identity": "linear", "exp": "exponential",
  ]

  /// Names that are understood. `hard_sigmoid` is another function from Keras 3 on; whoever computes
  /// goes by the version.
  static let all: Set<String> = [
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "gelu_tanh", "tanh",
    "sigmoid", "hard_sigmoid", "hard_silu", "hard_tanh", "hard_shrink", "soft_shrink",
    "tanh_shrink", "threshold", "log_sigmoid", "log_softmax", "softmax", "softplus", "softsign",
    "silu", "mish", "exponential", "glu", "sparse_plus", "sparse_sigmoid", "sparsemax",
    "squareplus", "softsign",
  ]
}
