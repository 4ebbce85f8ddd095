import Checkpoint

extension KerasBuilder {
  /// A function of `keras.activations` on a value.
  mutating func activate(
    _ x: Graph.ID, _ activation: KerasActivation
  ) throws -> Graph.ID {
    if activation.isLinear { return x }
    if let function = activation.function { return try apply(Activate(function), x) }
    if let op = activation.op { return try apply(op, x) }
    let axis = Int(exactly: activation.parameters["axis"] ?? -1) ?? -1
    switch activation.name {
    case "softmax": return try softmax(x, [axis])
    case "log_softmax":
      let sum = try apply(Reduce(.logSumExp, axes: [axis], keepsDimensions: true), x)
      return try binary(.subtract, x, sum)
    case "glu": return try gated(x, axis: axis)
    case "sparsemax": return try sparsemax(x, axis: axis)
    default:
      throw InferError(.unsupported, activation.name, "the engine has no such activation")
    }
  }

  /// `exp(x) / Σ exp(x)` over axes, of which negative ones count from the end.
  mutating func softmax(_ x: Graph.ID, _ axes: [Int]) throws -> Graph.ID {
    let shape = shape(x)
    let places = try KerasConfig.counted(axes, rank: shape.count)
    let rest = shape.indices.filter { !places.contains($0) }
    let order = rest + places
    var y = try transpose(x, order)
    let moved = self.shape(y)
    let outer = Array(moved.prefix(rest.count))
    y = try reshape(y, outer + [moved.dropFirst(rest.count).reduce(1, *)])
    y = try apply(Softmax(), y)
    return try transpose(try reshape(y, moved), order.indices.sorted { order[$0] < order[$1] })
  }

  /// The first half along an axis times the sigmoid of the second.
  private mutating func gated(_ x: Graph.ID, axis: Int) throws -> Graph.ID {
    let place = try KerasConfig.counted([axis], rank: shape(x).count)[0]
    let extent = shape(x)[place]
    guard extent % 2 == 0 else {
      throw CheckpointError(.mismatch, Place(), "halves an axis of \(extent)")
    }
    let first = try part(x, axis: place, from: 0, count: extent / 2)
    let second = try part(x, axis: place, from: extent / 2, count: extent / 2)
    return try binary(.multiply, first, try apply(Activate(.sigmoid), second))
  }

  /// `max(0, x − τ)`, with τ by the largest elements, as Keras 3 computes it.
  ///
  /// In arXiv 1602.02068 `τ = (Σ of the k largest − 1) / k`. Keras takes the sum of all k running sums instead
  /// of the last one, with every backend; what a model was trained with is what counts.
  private mutating func sparsemax(_ x: Graph.ID, axis: Int) throws -> Graph.ID {
    let shape = shape(x)
    let place = try KerasConfig.counted([axis], rank: shape.count)[0]
    let ordered = try sorted(x, axis: place, isDescending: true).values
    let sums = try apply(Accumulate(.sum, axis: place), ordered)
    var extents = Array(repeating: 1, count: shape.count)
    extents[place] = shape[place]
    let counts = try constant(extents, (1...max(shape[place], 1)).map { Double($0) })
    let means = try binary(.divide, shifted(sums, by: -1), counts)
    let isSupport = try binary(.greater, binary(.subtract, ordered, means), constant(0))
    let size = try apply(Reduce(.sum, axes: [place], keepsDimensions: true), isSupport)
    let total = try apply(
      Reduce(.sum, axes: [place], keepsDimensions: true), binary(.multiply, isSupport, sums))
    let threshold = try binary(.divide, shifted(total, by: -1), size)
    return try apply(Activate(.relu), binary(.subtract, x, threshold))
  }

  /// Whether comparing all pairs along the last axis is affordable.
  func checkPairs(_ shape: [Int]) throws {
    let extent = shape.last ?? 1
    guard extent <= 8192 else {
      throw CheckpointError(
        .unsupported, Place(), "orders \(extent) elements; at most 8192 are supported")
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
    case "leaky_relu" where slope == 0.2: .leakyRelu
    case "linear", "relu6", "tanh", "sigmoid", "silu", "mish", "selu", "softplus", "softsign",
      "exponential", "hard_sigmoid":
      Activation(rawValue: name)
    default: nil
    }
  }

  private var slope: Double { parameters["negative_slope"] ?? parameters["alpha"] ?? 0.2 }

  /// The element-wise op with parameters that it is, where it is one.
  var op: (any Op)? {
    func number(_ key: String, _ fallback: Double) -> Double { parameters[key] ?? fallback }
    let kind: ParametricActivation.Kind
    switch name {
    case "relu":
      return Rectify(
        negativeSlope: parameters["negative_slope"] ?? number("alpha", 0),
        threshold: number("threshold", 0), maxValue: parameters["max_value"])
    case "leaky_relu": kind = .leakyRelu(slope)
    case "elu": kind = .elu(number("alpha", 1))
    case "celu": kind = .celu(number("alpha", 1))
    case "threshold": kind = .threshold(number("threshold", 0), number("default_value", 0))
    case "thresholded_relu": kind = .thresholdedRelu(number("theta", 1))
    case "hard_shrink": kind = .hardShrink(number("threshold", 0.5))
    case "soft_shrink": kind = .softShrink(number("threshold", 0.5))
    case "hard_tanh": kind = .hardTanh
    case KerasActivation.hardSigmoid6: kind = .hardSigmoid6
    case "hard_silu": kind = .hardSilu
    case "log_sigmoid": kind = .logSigmoid
    case "tanh_shrink": kind = .tanhShrink
    case "squareplus": kind = .squarePlus(number("b", 4))
    case "sparse_plus": kind = .sparsePlus
    case "sparse_sigmoid": kind = .sparseSigmoid
    default: return nil
    }
    return ParametricActivation(kind: kind)
  }
}
