/// A product in Einstein's notation with a kernel, a bias for some axes, an activation.
public struct EinsumDenseLayer: KerasLayer {
  public static let classNames = ["EinsumDense"]

  public let equation: Einsum
  /// Extents of the result that the input does not tell.
  public let stated: [Int?]
  public let biasAxes: String
  public let activation: KerasActivation

  public init(_ config: KerasConfig) throws(CheckpointError) {
    let text = try config.text("equation")
    do throws(CheckpointError) {
      equation = try Einsum(text)
    } catch {
      throw config.error(error.reason)
    }
    guard equation.operands.count == 2, !equation.operands[1].contains(nil), text.contains("->") else {
      throw config.error("equation is \(text); expected an input and a kernel without \"...\"")
    }
    guard let shape = config["output_shape"] else {
      throw config.error("its config has no output_shape; expected the result's extents")
    }
    var stated: [Int?] = []
    for item in KerasConfig.items(shape) ?? [shape] {
      guard item == .null || item.int.map({ 0..<KerasConfig.largest ~= $0 }) ?? false else {
        throw config.error("output_shape is \(shape.compact); expected extents or null")
      }
      stated.append(item.int)
    }
    self.stated = stated
    biasAxes = try config.text("bias_axes", default: "")
    let outputs = equation.result
    guard biasAxes.allSatisfy({ outputs.contains($0) }) else {
      throw config.error("bias_axes is \(biasAxes), which the result has not")
    }
    activation = try config.activation()
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let (input, output) = (try call.only(), try outputs(call)[0])
    let inner = equation.operands[0]
    let ranks = [input.rank, equation.operands[1].count]
    let axes = try equation.axes(ranks: ranks)
    var extents: [Int: Int?] = [:]
    for (axis, extent) in zip(axes.result, output.extents) { extents[axis] = .some(extent) }
    for (axis, extent) in zip(axes.operands[0], input.extents) where inner.count > 0 {
      if let extent { extents[axis] = .some(extent) }
    }
    func known(_ axis: Int) throws(CheckpointError) -> Int {
      guard let extent = extents[axis] ?? nil else {
        throw CheckpointError(
          .mismatch, Place(), "takes \(input) and makes \(output): an extent of its kernel is not known")
      }
      return extent
    }
    var kernel: [Int] = []
    for axis in axes.operands[1] { kernel.append(try known(axis)) }
    var variables = [KerasVariable("kernel", kernel)]
    // From the first axis with a bias on.
    let biased = Set(biasAxes.compactMap { $0.asciiValue.map(Int.init) })
    if let first = axes.result.firstIndex(where: { biased.contains($0) }) {
      var bias: [Int] = []
      for axis in axes.result[first...] { bias.append(biased.contains(axis) ? try known(axis) : 1) }
      variables.append(KerasVariable("bias", bias))
    }
    return KerasVariable.numbered(variables)
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] {
    let input = try call.only()
    let axes = try equation.axes(ranks: [input.rank, equation.operands[1].count])
    let given = Dictionary(zip(axes.operands[0], input.extents)) { first, _ in first }
    // What is stated leaves out the batch and the axes of "...".
    var rest = stated[...]
    var extents: [Int?] = []
    let hidesBatch = equation.result.first == .some(nil)
    for (place, axis) in axes.result.enumerated() {
      let isStated = axis >= 0 && (hidesBatch || place > 0)
      let told = isStated ? rest.popFirst() ?? nil : nil
      let own = given[axis] ?? nil
      guard told == nil || own == nil || told == own else {
        throw CheckpointError(
          .mismatch, Place(), "takes \(input), where its output_shape \(stated) says otherwise")
      }
      extents.append(told ?? own)
    }
    return [KerasShape(extents)]
  }
}

/// Keras 1's highway layer: `t · activation(x · W + b) + (1 − t) · x` with
/// `t = sigmoid(x · W_carry + b_carry)`.
public struct HighwayLayer: KerasLayer {
  public static let classNames = ["Highway"]

  public let activation: KerasActivation
  public let usesBias: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    activation = try config.activation()
    usesBias = try config.bool("bias", "use_bias", default: true)
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    let width = try call.width()
    let bias = usesBias ? [KerasVariable("b", [width]), KerasVariable("b_carry", [width])] : []
    return KerasVariable.numbered(
      [KerasVariable("W", [width, width]), KerasVariable("W_carry", [width, width])] + bias)
  }
}

/// Keras 1's maxout layer: the largest of several linear maps, `W [features, in, out]`.
public struct MaxoutDenseLayer: KerasLayer {
  public static let classNames = ["MaxoutDense"]

  public let width: Int
  public let features: Int
  public let usesBias: Bool

  public init(_ config: KerasConfig) throws(CheckpointError) {
    width = try config.int("output_dim")
    features = try config.int("nb_feature", default: 4)
    usesBias = try config.bool("bias", default: true)
  }

  public func variables(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasVariable] {
    KerasVariable.numbered(
      [KerasVariable("W", [features, try call.width(), width])]
        + (usesBias ? [KerasVariable("b", [features, width])] : []))
  }

  public func outputs(
    _ call: KerasCall<KerasShape>
  ) throws(CheckpointError) -> [KerasShape] { [try call.only().ending(in: width)] }
}
