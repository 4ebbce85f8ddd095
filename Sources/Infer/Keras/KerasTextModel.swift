public import Checkpoint

/// A Keras graph that takes texts as token ids, for tasks that read its outputs.
public struct KerasTextModel: TextModel {
  public let model: KerasModel
  /// What is given to each input, by its name (``Input``).
  private let inputs: [String: String]
  /// How many ids a text has, where the model states it: shorter ones are padded to it.
  public let length: Int?
  /// Rows of the table that the ids are looked up in, where they go there first.
  public let vocabularySize: Int?
  private let outputs: [Output]

  /// The id of padding, which `mask_zero` hides.
  private static let padding: Int32 = 0

  private struct Output {
    let name: String
    let layer: KerasNetwork.Layer
    /// The names that lead to the layer's variables.
    let path: String
    let shape: [Int]
    /// What a softmax or a sigmoid on top takes.
    let logits: (name: String, activation: SequenceHead.Activation)?
    /// Whether padding is hidden from it.
    let isMasked: Bool
  }

  /// - Throws: ``InferError`` where an input takes neither ids nor segments; why it cannot be computed.
  public init(_ model: KerasModel) throws {
    self.model = model
    let network = model.network
    let stated = model.inputShapes
    let names = network.inputs.map(\.layer)
    var inputs: [String: String] = [:]
    var length: Int?
    for tensor in network.inputs {
      let name = tensor.layer
      guard stated[tensor].map({ $0.rank == 2 }) ?? true,
        let kind = names.count == 1 ? Input.tokens : TextInputs.input(called: name)
      else {
        throw InferError(
          .unsupported, name, "takes \(stated[tensor].map { "\($0), " } ?? "")not token ids",
          hint: "give arrays by --inputs: \(names.joined(separator: ", "))")
      }
      inputs[name] = kind
      length = length ?? stated[tensor]?[1]
    }
    guard let tokens = network.inputs.first(where: { inputs[$0.layer] == Input.tokens }) else {
      throw InferError(
        .unsupported, network.name, "has no input for token ids",
        hint: "its inputs: \(names.joined(separator: ", "))")
    }
    self.inputs = inputs
    self.length = length
    vocabularySize =
      network.layers.lazy.compactMap { layer in
        layer.calls.contains { $0.inputs == [tokens] }
          ? (layer.description as? EmbeddingLayer)?.count : nil
      }.first
    // As if two texts came: what its outputs are.
    let extents = [2, length ?? KerasTextModel.usual]
    let runnable = try RunnableKeras(model, inputs: inputs.mapValues { _ in extents })
    if let obstacle = runnable.obstacle { throw obstacle }
    let graph = runnable.graph
    outputs = zip(graph.outputs, network.outputs).compactMap { output, tensor in
      guard let (layer, path) = network.origin(of: tensor) else { return nil }
      let isChain = layer.description is TransitionLayer
      return Output(
        name: output.name, layer: layer, path: path,
        shape: graph[output.value].shape.map { $0.extent(Extents()) },
        logits: graph.logits(of: output.value).map {
          (output.name + Graph.logitsSuffix, $0.activation)
        },
        // A CRF takes the mask and hands none on.
        isMasked: runnable.maskedOutputs.contains(output.name)
          || isChain && graph.node(output.value, as: Select.self) != nil)
    }
  }

  /// A length that every window of a model of texts fits into.
  private static let usual = 128

  private func none(_ task: String, _ wanted: String) -> InferError {
    InferError(
      .unsupported, task, "the model has no output that \(wanted)",
      hint: "its outputs: "
        + outputs.map { "\($0.name) \($0.shape)" }.joined(separator: ", ")
        + " for two texts of \(length ?? KerasTextModel.usual) tokens")
  }

  // MARK: What it answers

  public func labelling(_ direction: MarkovModel.Direction) throws -> Labelling {
    let found = outputs.filter { output in
      output.shape.count == 3 && output.shape[2] > 0
        && output.shape[1] == length ?? KerasTextModel.usual
    }
    let chains = found.filter { $0.layer.description is TransitionLayer }
    guard let output = chains.last ?? (found.count == 1 ? found.first : nil) else {
      throw none("tag", found.isEmpty ? "labels tokens" : "alone labels tokens")
    }
    let size = output.shape[2]
    if let layer = output.layer.description as? TransitionLayer {
      return Labelling(
        name: output.name, size: size, kind: try kind(layer, output, direction), value: output.name)
    }
    guard output.logits?.activation != .sigmoid else {
      throw InferError(
        .unsupported, output.name, "says of each label whether it holds; tag chooses one",
        hint: "run it on arrays by --inputs")
    }
    return Labelling(
      name: output.name, size: size, kind: .softmax, value: output.logits?.name ?? output.name)
  }

  private func kind(
    _ layer: TransitionLayer, _ output: Output, _ direction: MarkovModel.Direction
  ) throws -> LabelDecoder.Kind {
    let multiplier = Float(layer.multiplier)
    func weight(_ name: String) throws -> [Float] {
      guard let weight = model["\(output.path).\(name)"] else {
        throw InferError(.graph, "\(output.path).\(name)", "the model has no such weight")
      }
      return try weight.tensor.floats().map { $0 * multiplier }
    }
    let labels = output.shape[2]
    guard layer.isMarkov else {
      return .crf(LinearChain(transitions: try weight("trans"), labels: labels))
    }
    return .memm(
      layer.rank == nil
        ? MarkovModel(transitions: try weight("trans"), labels: labels)
        : MarkovModel(left: try weight("l_trans"), right: try weight("r_trans"), labels: labels),
      direction)
  }

  public func sequenceHeads(problem: String?) throws -> [SequenceHead] {
    let heads = outputs.filter { $0.shape.count == 2 && $0.shape[1] > 0 }.map { output in
      SequenceHead(
        name: output.name, value: output.logits?.name ?? output.name, size: output.shape[1],
        activation: output.logits?.activation ?? .none)
    }
    guard !heads.isEmpty else { throw none("classify", "is one row of numbers for a text") }
    return heads
  }

  // MARK: Running

  public func texts(
    returning names: [String], padding: Int32?, threads: Int?
  ) throws -> TextSession {
    let sessions = KerasSessions(model, returning: names, threads: threads)
    let (inputs, length) = (inputs, length)
    let answering = outputs.filter {
      names.contains($0.name) || names.contains($0.logits?.name ?? "")
    }
    // Where a mask reaches the top, every layer on the way has it.
    return TextSession(mixesLengths: length != nil || answering.allSatisfy(\.isMasked)) { batch in
      let arrays = TextInputs(batch, padding: KerasTextModel.padding, length: length).arrays
      return try sessions.run(inputs.compactMapValues { arrays[$0] })
    }
  }
}

extension Graph {
  /// What the name of what a softmax takes ends with.
  static let logitsSuffix = ".logits"

  /// What a softmax over the last axis or a sigmoid at the end takes, elements in the order of the value's.
  func logits(of id: ID) -> (value: ID, activation: SequenceHead.Activation)? {
    if let reshape = node(id, as: Reshape.self) { return logits(of: reshape.operands[0]) }
    if let softmax = node(id, as: Softmax.self) { return (softmax.operands[0], .softmax) }
    if let last = node(id, as: Activate.self), last.op.activation == .sigmoid {
      return (last.operands[0], .sigmoid)
    }
    return nil
  }
}

extension KerasNetwork {
  /// The layer that makes a tensor, inside inner networks too, and the names that lead to it.
  fileprivate func origin(of tensor: KerasTensor) -> (layer: Layer, path: String)? {
    guard let layer = self[tensor.layer] else { return nil }
    guard let inner = layer.network, inner.outputs.indices.contains(tensor.output) else {
      return (layer, layer.name)
    }
    return inner.origin(of: inner.outputs[tensor.output]).map {
      ($0.layer, "\(layer.name).\($0.path)")
    }
  }
}
