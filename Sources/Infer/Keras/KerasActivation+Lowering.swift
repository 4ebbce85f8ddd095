import Checkpoint

extension KerasBuilder {
  /// A function of `keras.activations` on a value.
  mutating func activate(
    _ x: Graph.ID, _ activation: KerasActivation
  ) throws -> Graph.ID {
    switch activation.name {
    case "linear": x
    case "softmax": try apply(Softmax(), x)
    default:
      if let function = activation.function {
        try apply(Activate(function), x)
      } else {
        throw InferError(.unsupported, activation.name, "the engine has no such activation")
      }
    }
  }
}

extension KerasActivation {
  /// The element-wise function without parameters that it is, where it is one.
  var function: Activation? {
    switch name {
    case "gelu": parameters["approximate"] == 1 ? .geluTanh : .geluErf
    case "gelu_tanh": .geluTanh
    case "relu" where parameters.isEmpty: .relu
    case "elu" where (parameters["alpha"] ?? 1) == 1: .elu
    case "leaky_relu": parameters.isEmpty ? .leakyRelu : nil
    case "linear", "relu6", "tanh", "sigmoid", "silu", "mish", "selu", "softplus", "softsign",
      "exponential":
      Activation(rawValue: name)
    default: nil
    }
  }
}
