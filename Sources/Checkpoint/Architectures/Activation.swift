/// Element-wise functions, named so that each name means one formula.
public enum Activation: String, Sendable, CaseIterable {
  case linear
  case relu
  /// `max(0, min(6, x))`.
  case relu6
  case tanh
  case sigmoid
  /// `x · Φ(x)` with the exact normal distribution (arXiv 1606.08415).
  case geluErf = "gelu_erf"
  /// `x/2 · (1 + tanh(√(2/π) (x + 0.044715 x³)))`: the approximation of the same paper.
  case geluTanh = "gelu_tanh"
  /// `x · sigmoid(1.702 x)`.
  case geluQuick = "gelu_quick"
  /// `x · sigmoid(x)`, also called swish.
  case silu
  /// `x · tanh(softplus(x))`.
  case mish
  /// `x` above 0, else `exp(x) − 1`.
  case elu
  case selu
  case softplus
  case softsign
  case exponential
  /// `max(0, min(1, 0.2 x + 0.5))`, Keras 1 and 2.
  case hardSigmoid = "hard_sigmoid"
  /// `x` above 0, else `0.2 x`, as TensorFlow's default.
  case leakyRelu = "leaky_relu"
  /// `max(0, x)²`.
  case squaredRelu = "squared_relu"
}
