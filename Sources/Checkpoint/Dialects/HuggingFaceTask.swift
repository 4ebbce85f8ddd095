/// The layers that a class of transformers puts on top for a task.
struct HuggingFaceTask: Sendable, Equatable {
  struct Layer: Sendable, Equatable {
    /// The layer's name in ckpt, and its module's.
    let name: String
    let stored: String
    let output: Output
    let input: TopLayer.Input
  }

  enum Output: Sendable, Equatable {
    /// As many as there are labels, linear.
    case labels
    case span
    case activated(Activation)
    /// `hidden_act`.
    case configured
  }

  let layers: [Layer]

  // MARK: Tasks

  /// Dropout and a Linear on the pooler.
  static let pooled = HuggingFaceTask(layers: [
    Layer(name: "classifier", stored: "classifier", output: .labels, input: .pooler)
  ])
  /// A Linear at every position.
  static let tokens = HuggingFaceTask(layers: [
    Layer(name: "classifier", stored: "classifier", output: .labels, input: .sequence)
  ])
  /// Start and end of an answer.
  static let answer = HuggingFaceTask(layers: [
    Layer(name: "qa_outputs", stored: "qa_outputs", output: .span, input: .sequence)
  ])

  /// A dense layer on the first token, and one for the labels.
  static func sequence(
    _ name: String, _ output: Output, then last: String
  ) -> HuggingFaceTask {
    HuggingFaceTask(layers: [
      Layer(name: name, stored: name, output: output, input: .firstToken),
      Layer(name: "classifier", stored: last, output: .labels, input: .layer(name)),
    ])
  }

  /// `classifier.dense` and `classifier.out_proj`.
  static func head(_ output: Output) -> HuggingFaceTask {
    sequence("classifier.dense", output, then: "classifier.out_proj")
  }

  // MARK: Fitting

  /// Whether layers on top are these, whatever their names.
  func fits(_ tops: [TopLayer], _ c: Configuration) -> Bool {
    guard tops.count == layers.count else { return false }
    return zip(layers, tops).enumerated().allSatisfy { index, pair in
      let (layer, top) = pair
      guard top.hasBias else { return false }
      switch layer.input {
      case .layer: guard index > 0, top.input == .layer(tops[index - 1].name) else { return false }
      default: guard top.input == layer.input else { return false }
      }
      return switch (layer.output, top.kind) {
      case (.labels, .dense(.softmax)), (.labels, .dense(.activated(.linear))): true
      case (.span, .span): true
      case (.activated(let mine), .dense(.activated(let its))):
        mine == its && top.outputSize == c.hiddenSize
      case (.configured, .dense(.activated(let its))):
        its == c.activation && top.outputSize == c.hiddenSize
      default: false
      }
    }
  }

  /// Where the weights of layers on top, called `names` in ckpt, are stored.
  func rows(_ names: [String], _ storage: HuggingFaceRows.Storage) -> [FlatTable.Row] {
    let rows = HuggingFaceRows(base: "", storage: storage)
    return zip(layers, names).flatMap { layer, name in
      rows.outsideDense("head.\(name)", layer.stored)
    }
  }

  /// The stored kernels by which it is recognised.
  var kernels: [String] { layers.map { "\($0.stored).weight" } }

  /// The layers, of the sizes that their kernels have.
  func tops(
    _ weights: [String: Shape], hiddenActivation: Activation
  ) throws(CheckpointError) -> [TopLayer] {
    var tops: [TopLayer] = []
    for layer in layers {
      let name = "head.\(layer.name).kernel"
      guard let shape = weights[name], shape.rank == 2, layer.output != .span || shape[1] == 2
      else {
        throw CheckpointError(
          .mismatch, .tensor("\(layer.stored).weight"),
          "is no kernel of \(layer.output == .span ? "two columns" : "a dense layer"): its shape "
            + "is \(weights[name]?.description ?? "unknown")")
      }
      let kind: TopLayer.Kind =
        switch layer.output {
        case .labels: .dense(.activated(.linear))
        case .span: .span
        case .activated(let activation): .dense(.activated(activation))
        case .configured: .dense(.activated(hiddenActivation))
        }
      tops.append(
        TopLayer(
          layer.name, kind, on: layer.input, inputSize: shape[0], outputSize: shape[1],
          hasBias: weights["head.\(layer.name).bias"] != nil))
    }
    return tops
  }
}
