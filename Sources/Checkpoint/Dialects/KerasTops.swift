/// Layers that a user has put on top of a Keras model: what they are, and on what they sit.
///
/// A whole-model file says so itself (``KerasGraph``). In a file of weights, names and shapes tell
/// what a layer is; on what it sits is only told where nothing else fits, or by the user.
struct KerasTops {
  /// What a dialect's own layers are to those on top.
  struct Base {
    /// The dense layer over the first token.
    let pooler: String
    /// Layers that take the first token, and nothing else.
    let first: Set<String>
    /// What the names of a block's layers have.
    let block: String
    let activation: @Sendable (String) -> Activation?
  }

  let base: Base
  let graph: KerasGraph?
  let said: [String: (Said, text: String)]
  let parts: [Part]
  let hiddenSize: Int?
  private let poolerSize: Int?
  /// CRFs and MEMMs of a file of weights, and the dense layers that lead to them, by index.
  var emitters: [Int: Int] = [:]
  private(set) var tops: [TopLayer] = []
  /// What was taken for granted.
  private(set) var warnings: [String] = []

  init(
    _ binding: Binding, of checkpoint: Checkpoint, configuration: JSON?, base: Base,
    said: [(name: String, value: String)]
  ) throws(CheckpointError) {
    self.base = base
    let graph = KerasGraph(checkpoint)
    self.graph = graph
    var sayings: [String: (Said, text: String)] = [:]
    for (name, text) in KerasTops.noted(configuration, binding) + said {
      sayings[name] = (try Said(name, text, base.activation), text)
    }
    self.said = sayings
    parts = binding.carried.filter { !$0.tensors.isEmpty }.map { group in
      Part(
        group, class: graph?.form(of: group.name)?.kind,
        isPointer: sayings[group.name]?.0.heads != nil)
    }
    hiddenSize =
      binding.weights.first { $0.name.hasSuffix(".attention.output.kernel") }?
      .tensor.shape.extents.last
    poolerSize = binding.weights.first { $0.name == "pooler.kernel" }?.tensor.shape.extents.last
    for name in sayings.keys.sorted() where !parts.contains(where: { $0.name == name }) {
      let names = parts.map(\.name)
      throw CheckpointError(
        .usage, Said.place(name, sayings[name]?.text ?? ""), "the file has no layer \(name) on top",
        hint: names.isEmpty
          ? "all its layers are the model's own" : "it has \(names.joined(separator: ", "))")
    }
    if graph == nil { emitters = findEmitters() }
    for part in parts { try add(part) }
    warn()
  }

  /// What a configuration file that ckpt has written notes of the file's layers.
  private static func noted(
    _ configuration: JSON?, _ binding: Binding
  ) -> [(name: String, value: String)] {
    (configuration?.members ?? []).compactMap { member in
      guard member.key.hasPrefix(ModelReader.headPrefix), let text = member.value.string else {
        return nil
      }
      let name = String(member.key.dropFirst(ModelReader.headPrefix.count))
      let isThere = binding.carried.contains { $0.name == name && !$0.tensors.isEmpty }
      return isThere ? (name, text) : nil
    }
  }

  /// Notes in a configuration file what a file of weights does not tell of layers on top.
  static func note(_ model: Model, in configuration: inout JSON) {
    let tops = model.architecture.tops
    for top in tops {
      configuration.set(ModelReader.headPrefix + top.name, .string(Said.text(top)))
    }
    let multiplier = model.architecture.configuration.transitionMultiplier
    if multiplier != 1, tops.contains(where: \.hasTransitions) {
      configuration.set("transition_multiplier", .number(multiplier))
    }
  }

  // MARK: Places

  private mutating func add(_ part: Part) throws(CheckpointError) {
    let index = parts.firstIndex { $0.name == part.name } ?? 0
    guard let (said, text) = said[part.name] else {
      guard let input = graph.map({ place(of: part.name, in: $0) }) ?? deduced(index),
        let top = try? top(part, on: input, Said(part.name, "", base.activation))
      else { return }
      tops.append(top)
      return
    }
    do throws(CheckpointError) {
      guard part.kind != nil else {
        throw CheckpointError(
          .unsupported, Place(),
          "is no layer that ckpt knows: \(part.tensors.map(KerasTops.described).joined(separator: ", "))",
          hint: "known: Dense, ConditionalRandomField, MaximumEntropyMarkovModel, GlobalPointer, "
            + "EfficientGlobalPointer")
      }
      guard
        let input = said.input ?? graph.map({ place(of: part.name, in: $0) }) ?? deduced(index)
      else {
        throw CheckpointError(
          .usage, Place(), "does not say on what the layer sits",
          hint: "say first-token, sequence, pooler or the name of another layer on top")
      }
      tops.append(try top(part, on: input, said))
    } catch {
      throw error.at(Said.place(part.name, text))
    }
  }

  /// The layer as it is meant.
  ///
  /// - Throws: ``CheckpointError`` when it does not fit.
  private func top(
    _ part: Part, on input: TopLayer.Input, _ said: Said
  ) throws(CheckpointError) -> TopLayer {
    try check(part, on: input)
    switch part.kind {
    case .pointer, .efficientPointer: break
    default:
      guard said.heads == nil, said.isRotary == nil, said.isTriangular == nil else {
        throw CheckpointError(
          .usage, Place(), "heads, rope and tril_mask are a pointer's; this is none")
      }
    }
    let config = graph?.form(of: part.name)?.config
    let isRotary = said.isRotary ?? config?["RoPE"]?.bool ?? true
    let isTriangular = said.isTriangular ?? config?["tril_mask"]?.bool ?? true
    var outputSize = part.outputSize
    let kind: TopLayer.Kind
    switch part.kind {
    case .dense where said.isSpan:
      guard part.outputSize == 2, part.hasBias, isSequence(input), said.output == nil else {
        throw CheckpointError(
          .mismatch, Place(),
          "a span is a linear layer of two columns, with a bias, over a sequence; this one has "
            + "\(part.outputSize) on \(input.description)")
      }
      kind = .span
    case .dense:
      guard let output = said.output ?? KerasTops.output(config, base.activation) else {
        throw CheckpointError(
          .unsupported, Place(), "has an activation that ckpt does not know",
          hint: "say one of softmax, \(Activation.allCases.map(\.rawValue).joined(separator: ", "))"
        )
      }
      kind = .dense(output)
    case .crf: kind = .crf
    case .memm(let rank): kind = .memm(rank: rank)
    case .pointer:
      guard let heads = said.heads ?? config?["heads"]?.int, heads > 0 else {
        throw CheckpointError(
          .usage, Place(), "the weights do not tell how many heads a GlobalPointer has",
          hint: "add heads=N\(KerasTops.usualHeads(part))")
      }
      guard part.outputSize % (2 * heads) == 0 else {
        throw CheckpointError(
          .mismatch, Place(),
          "\(heads) heads do not divide the layer's \(part.outputSize) columns into queries and keys"
        )
      }
      outputSize = heads
      kind = .globalPointer(
        size: part.outputSize / (2 * heads), isRotary: isRotary, isTriangular: isTriangular)
    case .efficientPointer:
      if let heads = said.heads, heads != part.outputSize {
        throw CheckpointError(
          .mismatch, Place(), "says \(heads) heads; the weights have \(part.outputSize)")
      }
      kind = .efficientGlobalPointer(
        size: part.pairSize / 2, isRotary: isRotary, isTriangular: isTriangular)
    case nil: throw CheckpointError(.unsupported, Place(), "is no layer that ckpt knows")
    }
    return TopLayer(
      part.name, kind, on: input, inputSize: part.inputSize, outputSize: outputSize,
      hasBias: part.hasBias)
  }

  private static func output(
    _ config: JSON?, _ activation: (String) -> Activation?
  ) -> TopLayer.Output? {
    guard let value = config?["activation"], value != .null else { return .activated(.linear) }
    let name = value["config"]?.string ?? value.string ?? ""
    return name == "softmax" ? .softmax : activation(name).map { .activated($0) }
  }

  /// Checks that a layer can take what it sits on.
  private func check(_ part: Part, on input: TopLayer.Input) throws(CheckpointError) {
    let size: Int?
    switch input {
    case .sequence, .firstToken: size = hiddenSize
    case .pooler:
      guard poolerSize != nil else {
        throw CheckpointError(
          .mismatch, Place(), "the file has no pooler", hint: "say first-token or sequence")
      }
      size = poolerSize
    case .layer(let name):
      guard let below = tops.first(where: { $0.name == name }) else {
        throw CheckpointError(
          .usage, Place(), "there is no layer \(name) before it whose place is known",
          hint: tops.isEmpty
            ? "say --set head.\(name)=… too, or first-token, sequence or pooler"
            : "known: \(tops.map(\.name).joined(separator: ", ")), first-token, sequence, pooler")
      }
      size = below.outputSize
    }
    guard size == nil || size == part.inputSize else {
      throw CheckpointError(
        .mismatch, Place(),
        "the layer takes \(part.inputSize) numbers; \(input.description) gives \(size ?? 0)")
    }
    guard !part.needsSequence || isSequence(input) else {
      throw CheckpointError(
        .mismatch, Place(), "the layer goes over a sequence; \(input.description) is one vector",
        hint: "say sequence, or the layer that it sits on")
    }
  }

  private func isSequence(_ input: TopLayer.Input) -> Bool {
    switch input {
    case .sequence: true
    case .firstToken, .pooler: false
    case .layer(let name): tops.first { $0.name == name }.map { isSequence($0.input) } ?? false
    }
  }

  // MARK: Words

  /// What is not in the file and changes what is computed.
  private mutating func warn() {
    let multipliers = Set(
      tops.filter(\.hasTransitions).compactMap {
        graph?.form(of: $0.name)?.config["lr_multiplier"]?.double
      })
    if multipliers.count > 1 {
      warnings.append(
        "the layers' lr_multiplier differ (\(multipliers.sorted())); transition_multiplier is one "
          + "number for all")
    }
    for top in tops {
      switch top.kind {
      case .globalPointer, .efficientGlobalPointer:
        let said = said[top.name]?.0
        guard graph == nil, said?.isRotary == nil || said?.isTriangular == nil else { continue }
        warnings.append(
          "\(top.name): rotary positions and the triangular mask are assumed, as bert4keras has them "
            + "by default; --set head.\(top.name)=\(top.input.description),heads=\(top.outputSize),"
            + "rope=false,tril_mask=false says otherwise")
      case .dense:
        let isBelow = tops.contains {
          if case .dense = $0.kind { $0.input == .layer(top.name) } else { false }
        }
        guard graph == nil, isBelow, said[top.name]?.0.output == nil else { continue }
        warnings.append(
          "\(top.name): assumed to have no activation; --set "
            + "head.\(top.name)=\(top.input.description),relu would say one")
      default: continue
      }
    }
  }

  /// What to say of a layer that is carried, for people.
  private func flag(for group: Group) -> String? {
    guard !group.tensors.isEmpty, let part = parts.first(where: { $0.name == group.name }),
      graph.map({ isHidden(group.name, in: $0) }) ?? true
    else { return nil }
    if part.mayBePointer, part.inputSize == hiddenSize {
      return "--set head.\(part.name)=sequence,heads=N if it is a GlobalPointer"
    }
    guard part.kind != nil else { return nil }
    var places: [String] = []
    if part.inputSize == hiddenSize {
      places = part.needsSequence ? ["sequence"] : ["first-token", "sequence"]
      if poolerSize == hiddenSize, !part.needsSequence { places.append("pooler") }
    }
    places += parts.prefix { $0.name != part.name }
      .filter { $0.kind == .dense && $0.outputSize == part.inputSize }.map(\.name)
    guard !places.isEmpty else { return nil }
    let heads = part.kind == .pointer && graph == nil ? ",heads=N" : ""
    return "--set head.\(part.name)=\(places.joined(separator: "|"))\(heads)"
  }

  private static func usualHeads(_ part: Part) -> String {
    part.outputSize % 128 == 0 ? "; \(part.outputSize / 128), if head_size is the usual 64" : ""
  }

  private static func described(_ tensor: Tensor) -> String { "\(tensor.name) \(tensor.shape)" }

  /// A model as it is built, with what the user's own code puts on top.
  static func built(_ model: String, _ tops: [TopLayer]) -> String {
    tops.isEmpty ? model : "(\(model) with \(tops.map(\.name).joined(separator: ", ")) on top)"
  }

  // MARK: Meaning

  static let haveTransitions: Set<String> = ["ConditionalRandomField", "MaximumEntropyMarkovModel"]

  /// What bert4keras' layers do where a file leaves it open.
  static func defaults(_ binding: Binding) -> [(String, JSON)] {
    binding.tops.contains(where: \.hasTransitions) ? [("transition_multiplier", .number(1))] : []
  }

  // MARK: Binding

  /// Moves the layers of known place from what is carried to the weights; an empty group stays where
  /// each was, because Keras loads by order.
  func move(in binding: inout Binding) {
    for top in tops {
      guard let part = parts.first(where: { $0.name == top.name }),
        let index = binding.carried.firstIndex(where: { $0.name == top.name })
      else { continue }
      binding.weights += zip(top.weights, part.tensors).map { spec, tensor in
        Weight(spec.name, tensor, sources: [tensor.storedName])
      }
      binding.carried[index].tensors = []
    }
    binding.tops += tops
    binding.warnings += warnings
    for group in binding.carried { binding.flags[group.name] = flag(for: group) }
  }
}
