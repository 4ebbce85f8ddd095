import ArgumentParser
import Checkpoint
import Transforms

/// `ckpt info`: what a checkpoint is.
struct Info: ParsableCommand, JSONCommand {
  static let configuration = CommandConfiguration(
    abstract: "Tell what a checkpoint is: format, dialect, family, configuration, sizes.")

  @Argument(help: "The checkpoint.", completion: .model) var model: String
  @Flag(
    help: """
      Analyse each head (effective rank of its scores, similarity to others), and how far layers are \
      apart that could be shared.
      """)
  var attention = false
  @OptionGroup var options: ModelOptions
  @OptionGroup var output: OutputFlags

  func run() throws {
    let opening = try Opening(model, options: options.reading())
    let understood = try understand(opening)
    let model = try attention ? analysable(understood) : nil
    let heads = try model.map { AttentionReport(try AttentionAnalysis($0)) }
    let layers = try model.flatMap { try Tie.accepts($0) ? LayersReport(LayerSpread($0)) : nil }
    if output.json {
      var json = json(opening, understood)
      if let heads {
        json.set("attention", heads.json)
        json.set("layers", layers?.json ?? .null)
      }
      print(json.pretty)
    } else {
      render(opening, understood)
      heads?.print()
      layers?.print()
    }
  }

  private func analysable(_ understood: Understood) throws(CheckpointError) -> Model {
    switch understood {
    case .model(let model): return model
    case .unknown(let error): throw error
    }
  }

  private enum Understood {
    case model(Model)
    /// No dialect knows the names.
    case unknown(CheckpointError)
  }

  /// A file of no known family is still a file; one that contradicts its configuration is an error.
  private func understand(_ opening: Opening) throws -> Understood {
    do {
      return .model(try opening.model())
    } catch {
      guard error.kind == .notRecognised, options.family == nil else { throw error }
      return .unknown(error)
    }
  }

  private func render(_ opening: Opening, _ understood: Understood) {
    let checkpoint = opening.checkpoint
    let terminal = Terminal.output
    var table = Table([.left, .left])
    table.add("file", terminal.bold(checkpoint.path))
    table.add("format", checkpoint.format + writer(checkpoint))
    switch understood {
    case .model(let model):
      let family = model.architecture
      table.add("dialect", model.dialect)
      table.add("family", terminal.bold(family.family) + sharing(family.configuration))
      if !family.options.isEmpty {
        table.add("options", family.options.joined(separator: "; "))
      }
      table.add(
        "heads",
        family.heads.isEmpty
          ? "none" : family.heads.sorted().map(\.rawValue).joined(separator: ", "))
    case .unknown(let error):
      table.add("family", "unknown: \(reason(error))")
    }
    let sizes = Sizes(checkpoint)
    table.add("parameters", Text.grouped(sizes.parameters))
    table.add(
      "bytes",
      Text.bytes(sizes.bytes) + " in " + Text.plural(checkpoint.tensors.count, "tensor") + " ("
        + sizes.dtypes.map { "\($0.dtype.rawValue) \(Text.bytes($0.bytes))" }
        .joined(separator: ", ") + ")")
    if let file = opening.configuration?.path { table.add("configuration", file) }
    if let file = opening.vocabulary { table.add("vocabulary", file) }
    table.print()
    switch understood {
    case .model(let model): render(model)
    case .unknown(let error): if let hint = error.hint { print("\n\(hint)") }
    }
    for warning in warnings(opening, understood) {
      print("\(terminal.yellow("warning:")) \(warning)")
    }
  }

  /// Why it is unknown, with the tensor that says so.
  private func reason(_ error: CheckpointError) -> String {
    (error.place.tensor.map { "\($0) " } ?? "") + error.reason
  }

  private func render(_ model: Model) {
    print("")
    var table = Table([.left, .right, .left])
    for setting in model.settings
    where setting.origin != .assumed || model.architecture.depends(on: setting.key) {
      let value =
        ConfigurationKey.named(setting.key)?.get(model.architecture.configuration) ?? setting.value
      table.add(setting.key, text(value), Terminal.output.dim(origin(setting.origin)))
    }
    table.print(indent: "  ")
    renderTops(model)
  }

  /// A value as `--set` takes it.
  private func text(_ value: JSON) -> String {
    value.array?.map { $0.string ?? $0.compact }.joined(separator: ",") ?? value.string
      ?? value.compact
  }

  /// What a user has put on top, and how to tell what is carried.
  private func renderTops(_ model: Model) {
    let carried = model.carried.filter { !$0.tensors.isEmpty }
    if !model.architecture.tops.isEmpty {
      print("\non top")
      var table = Table([.left, .left])
      for top in model.architecture.tops { table.add(top.name, top.meaning) }
      table.print(indent: "  ")
    }
    for group in carried {
      let names = group.tensors.map { "\($0.name) \($0.shape)" }.joined(separator: ", ")
      print("\ncarried (no known meaning): \(names)")
      if let flag = model.flags[group.name] { print("  to say what it is: \(flag)") }
    }
  }

  private func topsJSON(_ model: Model) -> JSON {
    .array(
      model.architecture.tops.map { top in
        .object([
          .init("name", .string(top.name)), .init("meaning", .string(top.meaning)),
          .init("on", .string(top.input.description)), .init("size", .number(top.outputSize)),
        ])
      })
  }

  private func unplacedJSON(_ model: Model) -> JSON {
    .array(
      model.carried.filter { !$0.tensors.isEmpty }.map { group in
        .object([
          .init("layer", .string(group.name)),
          .init(
            "tensors",
            .array(
              group.tensors.map {
                .object([
                  .init("name", .string($0.name)),
                  .init("shape", .array($0.shape.extents.map { .number($0) })),
                ])
              })),
          .init("flag", model.flags[group.name].map { .string($0) } ?? .null),
        ])
      })
  }

  private func origin(_ origin: Model.Origin) -> String {
    switch origin {
    case .file: "configuration"
    case .shapes: "shapes"
    case .flag: "--set"
    case .assumed: "assumed"
    }
  }

  private func sharing(_ configuration: Configuration) -> String {
    guard let groups = configuration.groups else {
      if configuration.decoderLayers > 0, configuration.hasEncoder, configuration.hasDecoder {
        return ", \(Text.plural(configuration.layers, "encoder layer")) and "
          + Text.plural(configuration.decoderLayers, "decoder layer")
      }
      return ", \(Text.plural(configuration.layers, "layer"))"
    }
    return ", \(Text.plural(groups, "shared group")) of "
      + "\(Text.plural(configuration.innerGroups, "layer")), applied "
      + Text.plural(configuration.depth, "time")
  }

  private func writer(_ checkpoint: Checkpoint) -> String {
    let names = ["keras_version", "backend"]
    let parts = names.compactMap { name in
      (checkpoint.text(name) ?? checkpoint.text("model_weights@\(name)")).map { "\(name) \($0)" }
    }
    return parts.isEmpty ? "" : " (\(parts.joined(separator: ", ")))"
  }

  private func warnings(_ opening: Opening, _ understood: Understood) -> [String] {
    var warnings = opening.checkpoint.warnings
    if case .model(let model) = understood { warnings = model.warnings }
    return warnings + opening.checkpoint.unreadable.map { "\($0.name): \($0.reason)" }
  }

  private func json(_ opening: Opening, _ understood: Understood) -> JSON {
    let checkpoint = opening.checkpoint
    let sizes = Sizes(checkpoint)
    var json = JSON.object([
      .init("path", .string(checkpoint.path)),
      .init("format", .string(checkpoint.format)),
      .init("parameters", .number(sizes.parameters)),
      .init("bytes", .number(sizes.bytes)),
      .init("tensors", .number(checkpoint.tensors.count)),
      .init(
        "dtypes",
        .object(sizes.dtypes.map { .init($0.dtype.rawValue, .number($0.bytes)) })),
    ])
    for name in ["keras_version", "backend"] {
      if let text = checkpoint.text(name) ?? checkpoint.text("model_weights@\(name)") {
        json.set(name, .string(text))
      }
    }
    json.set("config_file", opening.configuration.map { .string($0.path) } ?? .null)
    json.set("vocab_file", opening.vocabulary.map { .string($0) } ?? .null)
    switch understood {
    case .model(let model):
      json.set("dialect", .string(model.dialect))
      json.set("family", .string(model.architecture.family))
      json.set(
        "heads", .array(model.architecture.heads.sorted().map { .string($0.rawValue) }))
      json.set("options", .array(model.architecture.options.map { .string($0) }))
      json.set(
        "config",
        .object(
          ConfigurationKey.all.filter {
            // Only what ckpt has trimmed has had another vocabulary.
            $0.name != ConfigurationKey.originalVocabulary
              || model.architecture.configuration.originalVocabularySize > 0
          }.map { .init($0.name, $0.get(model.architecture.configuration)) }))
      json.set(
        "assumed",
        .array(
          model.settings.filter {
            $0.origin == .assumed && model.architecture.depends(on: $0.key)
          }.map { .string($0.key) }))
      json.set(
        "origins",
        .object(model.settings.map { .init($0.key, .string(origin($0.origin))) }))
      json.set("tops", topsJSON(model))
      json.set("unplaced", unplacedJSON(model))
      json.set(
        "carried", .array(model.carried.flatMap(\.tensors).map { .string($0.name) }))
    case .unknown(let error):
      json.set("dialect", .null)
      json.set("family", .null)
      json.set("unknown", .string(reason(error)))
    }
    json.set("warnings", .array(warnings(opening, understood).map { .string($0) }))
    return json
  }
}

/// Counts over a checkpoint.
struct Sizes {
  var parameters = 0
  var bytes = 0
  var dtypes: [(dtype: DType, bytes: Int)] = []

  init(_ checkpoint: Checkpoint) {
    for tensor in checkpoint.tensors {
      parameters += tensor.shape.count
      bytes += tensor.byteCount
      if let index = dtypes.firstIndex(where: { $0.dtype == tensor.dtype }) {
        dtypes[index].bytes += tensor.byteCount
      } else {
        dtypes.append((tensor.dtype, tensor.byteCount))
      }
    }
  }
}
