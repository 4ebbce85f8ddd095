extension KerasTops {
  /// A layer with weights behind a dialect's own.
  struct Part {
    enum Kind: Equatable {
      case dense, crf
      case memm(rank: Int?)
      case pointer, efficientPointer
    }

    let name: String
    /// What it is, as far as names and shapes (or the file's graph) tell.
    var kind: Kind?
    /// Its weights in canonical order.
    var tensors: [Tensor]
    /// Width of what it takes and, for what is no pointer, of what it gives.
    var inputSize = 0
    var outputSize = 0
    var hasBias = false
    /// Whether it looks like a GlobalPointer under a name of the user's.
    var mayBePointer = false

    /// - Parameters:
    ///   - class: the layer's class, where the file has a graph.
    ///   - isPointer: whether it is said to be one, whatever its name.
    init(_ group: Group, class: String?, isPointer: Bool) {
      name = group.name
      tensors = group.tensors
      let leaves = tensors.map(Part.leaf)
      switch leaves {
      case ["trans"]: transitions(`class`)
      case ["l_trans", "r_trans"], ["r_trans", "l_trans"]:
        if leaves[0] == "r_trans" { tensors.reverse() }
        factors()
      case ["kernel"], ["kernel", "bias"], ["bias", "kernel"]:
        if leaves[0] == "bias" { tensors.reverse() }
        kernel(`class`, isPointer: isPointer)
      case ["kernel", "kernel"], ["kernel", "bias", "kernel", "bias"]:
        let isNamed = name.hasPrefix("efficient_global_pointer")
        if `class` == "EfficientGlobalPointer" || (`class` == nil && (isPointer || isNamed)) {
          kernels()
        }
      default: break
      }
    }

    private mutating func transitions(_ class: String?) {
      let shape = tensors[0].shape
      guard shape.rank == 2, shape[0] == shape[1] else { return }
      let isMarkov =
        `class` == "MaximumEntropyMarkovModel" || name.hasPrefix("maximum_entropy")
        || name.lowercased().contains("memm")
      kind = isMarkov ? .memm(rank: nil) : .crf
      (inputSize, outputSize) = (shape[0], shape[0])
    }

    private mutating func factors() {
      let shape = tensors[0].shape
      guard shape.rank == 2, tensors[1].shape == shape else { return }
      kind = .memm(rank: shape[1])
      (inputSize, outputSize) = (shape[0], shape[0])
    }

    private mutating func kernel(_ class: String?, isPointer: Bool) {
      let shape = tensors[0].shape
      guard shape.rank == 2, tensors.count == 1 || tensors[1].shape == [shape[1]] else { return }
      let isNamed = name.hasPrefix("global_pointer")
      if `class` == "GlobalPointer" || (`class` == nil && (isPointer || isNamed)) {
        kind = .pointer
      } else if `class` == "Dense" || (`class` == nil && Part.isDirect(tensors[0], of: name)) {
        kind = .dense
      } else {
        mayBePointer = `class` == nil && shape[1] % 2 == 0
      }
      (inputSize, outputSize, hasBias) = (shape[0], shape[1], tensors.count == 2)
    }

    private mutating func kernels() {
      let step = tensors.count / 2
      let (first, second) = (tensors[0].shape, tensors[step].shape)
      guard first.rank == 2, second.rank == 2, second[0] == first[1], first[1] % 2 == 0,
        second[1] % 2 == 0,
        step == 1 || (tensors[1].shape == [first[1]] && tensors[3].shape == [second[1]])
      else { return }
      kind = .efficientPointer
      (inputSize, outputSize, hasBias) = (first[0], second[1] / 2, step == 2)
    }

    /// The width of a pointer's shared query and key together.
    var pairSize: Int { tensors.first?.shape.extents.last ?? 0 }

    var needsSequence: Bool { kind != .dense && kind != nil }

    /// `a/b/kernel:0`, `layer_with_weights-9/_trans/.ATTRIBUTES/VARIABLE_VALUE` → `kernel`, `trans`.
    private static func leaf(_ tensor: Tensor) -> String {
      let name = tensor.name.replacingSuffix(
        ObjectGraph.attributes + ObjectGraph.variable, with: "")
      let last = name.split(separator: "/").last ?? ""
      let plain = last.split(separator: ":").first.map(String.init) ?? ""
      return plain.hasPrefix("_") ? String(plain.dropFirst()) : plain
    }

    /// Whether a weight is the layer's own and not an inner layer's: `dense_3/dense_3/kernel:0`,
    /// `layer_with_weights-9/kernel/.ATTRIBUTES/VARIABLE_VALUE`.
    private static func isDirect(_ tensor: Tensor, of layer: String) -> Bool {
      let isPath = tensor.name.hasSuffix(ObjectGraph.variable)
      let parts = tensor.name.replacingPrefix("model_weights/", with: "")
        .replacingSuffix(ObjectGraph.attributes + ObjectGraph.variable, with: "")
        .split(separator: "/")
      // A path has no scope before the weight.
      return parts.count - (parts.first.map(String.init) == layer ? 1 : 0) <= (isPath ? 1 : 2)
    }
  }
}
