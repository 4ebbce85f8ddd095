/// A function of `keras.activations`, with what was given to it.
public struct KerasActivation: Sendable, Equatable {
  /// Keras' name; `swish` is `silu`, `elu` with another alpha has it in ``parameters``. Keras 3's
  /// `hard_sigmoid`, another function than that of Keras 1 and 2, is ``hardSigmoid6``.
  public var name: String
  public var parameters: [String: Double]

  public init(name: String, parameters: [String: Double] = [:]) {
    self.name = name == "swish" ? "silu" : name
    self.parameters = parameters
  }

  /// The name of `relu6(x + 3) / 6`, which stands in no file.
  public static let hardSigmoid6 = "hard_sigmoid_6"

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
        // The layer has another slope than the function.
        if className == "LeakyReLU", parameters["alpha"] == nil, parameters["negative_slope"] == nil {
          parameters["alpha"] = 0.3
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
    if known == "hard_sigmoid", config.context.version >= 3 { known = KerasActivation.hardSigmoid6 }
    self.init(name: known, parameters: parameters)
  }

  /// Layers that may stand where a function is expected.
  private static let layers: [String: String] = [
    "LeakyReLU": "leaky_relu", "ELU": "elu", "Softmax": "softmax", "ReLU": "relu",
    "ThresholdedReLU": "thresholded_relu",
  ]

  private static let aliases: [String: String] = [
    "swish": "silu", "hard_swish": "hard_silu", "gelu_new": "gelu_tanh",
    "gelu_approximate": "gelu_tanh", "gelu_erf": "gelu",
    "softmax_v2": "softmax", "log_softmax_v2": "log_softmax", "identity": "linear",
    "exp": "exponential", "hardtanh": "hard_tanh",
  ]

  /// Names that are understood.
  static let all: Set<String> = [
    "linear", "relu", "relu6", "leaky_relu", "elu", "selu", "celu", "gelu", "gelu_tanh", "tanh",
    "sigmoid", "hard_sigmoid", "hard_silu", "hard_tanh", "hard_shrink", "soft_shrink",
    "tanh_shrink", "threshold", "log_sigmoid", "log_softmax", "softmax", "softplus", "softsign",
    "silu", "mish", "exponential", "glu", "sparse_plus", "sparse_sigmoid", "sparsemax",
    "squareplus", "thresholded_relu",
  ]
}
