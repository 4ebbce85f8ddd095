import Checkpoint

/// What a checkpoint is, as a page tells it.
struct ReportOverview {
  let opening: Opening
  /// `nil` where no dialect knows the names.
  let model: Model?
  /// Why the family is unknown.
  let unknown: CheckpointError?

  /// A file of no known family is still a file; one that contradicts its configuration is an error.
  init(_ opening: Opening, options: ModelOptions) throws {
    self.opening = opening
    do {
      model = try opening.model()
      unknown = nil
    } catch {
      guard error.kind == .notRecognised, options.family == nil else { throw error }
      model = nil
      unknown = error
    }
  }

  var warnings: [String] {
    (model?.warnings ?? opening.checkpoint.warnings)
      + opening.checkpoint.unreadable.map { "\($0.name): \($0.reason)" }
  }

  var json: JSON {
    let checkpoint = opening.checkpoint
    var json = JSON.object([
      .init("path", .string(checkpoint.path)),
      .init("name", .string(Paths.name(of: checkpoint.path))),
      .init("format", .string(checkpoint.format)),
      .init("writer", writer),
      .init("files", .number(checkpoint.files.count)),
      .init("config_file", opening.configuration.map { .string($0.path) } ?? .null),
      .init("vocab_file", opening.vocabulary.map { .string($0) } ?? .null),
      .init("warnings", .array(warnings.map { .string($0) })),
    ])
    if let model { describe(model, &json) }
    if let unknown {
      let reason = (unknown.place.tensor.map { "\($0) " } ?? "") + unknown.reason
      json.set("unknown", .string(reason))
    }
    return json
  }

  private var writer: JSON {
    let parts = ["keras_version", "backend"].compactMap { name in
      (opening.checkpoint.text(name) ?? opening.checkpoint.text("model_weights@\(name)"))
        .map { "\(name) \($0)" }
    }
    return parts.isEmpty ? .null : .string(parts.joined(separator: ", "))
  }

  private func describe(_ model: Model, _ json: inout JSON) {
    let family = model.architecture
    json.set("dialect", .string(model.dialect))
    json.set("family", .string(family.family))
    json.set("options", .array(family.options.map { .string($0) }))
    json.set("layers", .number(family.appliedBlocks.count))
    json.set("vocabulary", .number(family.configuration.vocabularySize))
    json.set(
      "config",
      .array(
        model.settings.filter { $0.origin != .assumed || family.depends(on: $0.key) }.map {
          let key = ConfigurationKey.named($0.key)
          return .object([
            .init("key", .string($0.key)),
            .init("value", key?.get(family.configuration) ?? $0.value),
            .init("meaning", .string(key?.summary ?? "")),
            .init("origin", .string(origin($0.origin))),
          ])
        }))
    json.set("diagram", ModelDiagram(model).json)
  }

  private func origin(_ origin: Model.Origin) -> String {
    switch origin {
    case .file: "configuration"
    case .shapes: "shapes"
    case .flag: "--set"
    case .assumed: "assumed"
    }
  }
}
