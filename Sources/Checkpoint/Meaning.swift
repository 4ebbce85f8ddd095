/// What a checkpoint's tensors are: a model of a known family, or one that its own graph describes.
public enum Meaning: Sendable {
  case family(Model)
  case keras(KerasModel)

  /// The weights by canonical name.
  public var weights: [Weight] {
    switch self {
    case .family(let model): model.weights
    case .keras(let model): model.weights
    }
  }

  /// The weights that each stored tensor holds.
  public var canonicalNames: [String: [String]] { weights.namesBySource }
}

extension Opening {
  /// What the tensors mean.
  ///
  /// A family goes first, unless `--dialect keras` asks for the graph. A file that describes its graph and
  /// that no dialect knows, or whose weights do not fit the family, is read by the graph.
  ///
  /// - Throws: ``CheckpointError`` as ``model()``; of the graph, where there is one.
  public func meaning() throws(CheckpointError) -> Meaning { try meaning(of: checkpoint) }

  /// The same once the checkpoint was changed.
  public func meaning(of checkpoint: Checkpoint) throws(CheckpointError) -> Meaning {
    if isKerasAsked { return .keras(try keras(of: checkpoint)) }
    do throws(CheckpointError) {
      return .family(try model(of: checkpoint))
    } catch {
      guard hasKerasGraph, [.notRecognised, .mismatch, .unsupported].contains(error.kind) else {
        throw error
      }
      var model = try keras(of: checkpoint)
      if error.kind != .notRecognised {
        model.warnings.append("is read by its graph of layers; as a known family: \(error.reason)")
      }
      return .keras(model)
    }
  }

  /// The model that the graph of layers in the file, or beside it, describes.
  ///
  /// - Throws: ``CheckpointError`` where there is no graph, or the weights do not fit it.
  public func keras() throws(CheckpointError) -> KerasModel { try keras(of: checkpoint) }

  /// The same once the checkpoint was changed.
  public func keras(of checkpoint: Checkpoint) throws(CheckpointError) -> KerasModel {
    try KerasModel(
      checkpoint, configuration: configuration, lambdas: options.lambdas, shapes: inputShapes())
  }

  /// Whether the user wants the graph.
  public var isKerasAsked: Bool { options.dialect == KerasModel.dialect }

  /// Whether there is a description of a graph.
  public var hasKerasGraph: Bool { KerasModel.describes(checkpoint, configuration?.json) }

  /// `--set input_shape=NAME:None,28,28,1`; the name may be missing where there is one input.
  private func inputShapes() throws(CheckpointError) -> [String: KerasShape] {
    var shapes: [String: KerasShape] = [:]
    for (key, text) in options.settings {
      let place = Place(member: "--set \(key)=\(text)")
      guard key == "input_shape" else {
        throw CheckpointError(
          .usage, place, "a graph of layers states what it is; only input_shape can be set")
      }
      let parts = text.split(separator: ":", maxSplits: 1)
      let name = parts.count == 2 ? String(parts[0]) : ""
      var extents: [Int?] = []
      for part in (parts.last ?? "").split(separator: ",", omittingEmptySubsequences: false) {
        let word = part.filter { $0 != " " }
        guard
          word == "None" || word == "?"
            || (Int(word).map { (1..<KerasConfig.largest) ~= $0 } ?? false)
        else {
          throw CheckpointError(
            .usage, place, "\"\(part)\" is no extent", hint: "such as input_shape=None,28,28,1")
        }
        extents.append(Int(word))
      }
      shapes[name] = KerasShape(extents)
    }
    return shapes
  }
}
