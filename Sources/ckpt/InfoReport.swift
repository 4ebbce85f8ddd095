import Checkpoint

/// What `info` tells, as text and as JSON.
struct InfoReport {
  let opening: Opening
  /// Keras' summary, where the checkpoint is read by its graph of layers.
  let keras: KerasReport?
  let understanding: Understanding
  let composition: Composition
  let provenance: Provenance
  let health: Health
  /// Tokens, where there is a vocabulary.
  let vocabulary: Vocabulary?
  private(set) var warnings: [String]

  var checkpoint: Checkpoint { opening.checkpoint }
  var model: Model? { understanding.model }

  init(
    _ opening: Opening, _ understanding: Understanding, readingNumbers: Bool, quiet: Bool
  ) throws {
    self.opening = opening
    self.understanding = understanding
    let checkpoint = opening.checkpoint
    let model = understanding.model ?? understanding.outline
    keras = understanding.keras.map(KerasReport.init)
    warnings = model?.warnings ?? understanding.keras?.warnings ?? checkpoint.warnings
    warnings += keras?.obstacles ?? []
    if let error = understanding.graphError {
      warnings.append("cannot be read by its graph of layers: \(error.description)")
    }
    var vocabulary: Vocabulary?
    if let model {
      vocabulary = try DialectRegistry.named(model.dialect).vocabulary(in: checkpoint)
    }
    if let path = opening.vocabulary {
      do throws(CheckpointError) {
        vocabulary = try Vocabulary(contentsOf: path)
      } catch {
        warnings.append(error.description)
      }
    }
    self.vocabulary = vocabulary
    composition = Composition(checkpoint, model: model, keras: understanding.keras)
    provenance = Provenance(checkpoint, configuration: opening.configuration?.json)
    let progress =
      readingNumbers ? Progress("reading", total: checkpoint.byteCount, quiet: quiet) : nil
    health = Health(
      checkpoint, composition, model: model, isComplete: understanding.model != nil,
      vocabulary: vocabulary, readingNumbers: readingNumbers, progress: { progress?.add($0) })
  }

  /// Rows of the token table.
  var tokenRows: Int? {
    let model = model ?? understanding.outline
    return model?["embeddings.token"]?.tensor.shape.extents.first
  }

  /// What is carried: a user's own layers, with the flag that tells their place.
  var carried: [Group] { model?.carried.filter { !$0.tensors.isEmpty } ?? [] }

  /// Where a configuration value comes from.
  static func origin(_ origin: Model.Origin) -> String {
    switch origin {
    case .file: "configuration"
    case .shapes: "shapes"
    case .flag: "--set"
    case .assumed: "assumed"
    }
  }

  /// Entries as warnings always told them.
  var allWarnings: [String] {
    warnings + checkpoint.unreadable.map { "\($0.name): \($0.reason)" }
  }
}

// MARK: JSON

extension InfoReport {
  var json: JSON {
    var json = JSON.object([
      .init("path", .string(checkpoint.path)),
      .init("format", .string(checkpoint.format)),
      .init("parameters", .number(checkpoint.elementCount)),
      .init("bytes", .number(checkpoint.byteCount)),
      .init("tensors", .number(checkpoint.tensors.count)),
      .init(
        "dtypes",
        .object(composition.dtypes.map { .init($0.dtype.rawValue, .number($0.bytes)) })),
    ])
    for name in ["keras_version", "backend"] {
      if let text = checkpoint.text(name) ?? checkpoint.text("model_weights@\(name)") {
        json.set(name, .string(text))
      }
    }
    json.set("writer", provenance.writer.map { .string($0) } ?? .null)
    json.set("facts", .object(provenance.facts.map { .init($0.key, .string($0.value)) }))
    json.set("config_file", opening.configuration.map { .string($0.path) } ?? .null)
    json.set("vocab_file", opening.vocabulary.map { .string($0) } ?? .null)
    json.set("vocabulary", vocabularyJSON)
    setModel(&json)
    json.set("composition", compositionJSON)
    json.set("numbers", numbersJSON)
    json.set("embedding_rows", .array(health.tables.map(InfoReport.json)))
    json.set("ties", .array(health.ties.map(InfoReport.json)))
    json.set(
      "layer_copies",
      .array(
        health.copies.map {
          .object([
            .init("layers", .array($0.blocks.map { .string($0) })),
            .init("cosine", .number($0.cosine)), .init("exact", .bool($0.isExact)),
          ])
        }))
    json.set("concerns", .array(health.concerns.map(InfoReport.json)))
    json.set("warnings", .array(allWarnings.map { .string($0) }))
    if let error = understanding.failure {
      json.set(
        "error",
        .object([
          .init("kind", .string("\(error.kind)")), .init("message", .string(error.description)),
        ]))
    }
    return json
  }

  private func setModel(_ json: inout JSON) {
    if let keras {
      json.set("dialect", .string(KerasModel.dialect))
      json.set("family", .null)
      json.set("keras", keras.json)
      json.set(
        "carried", .array(keras.model.carried.flatMap(\.tensors).map { .string($0.name) }))
      return
    }
    guard let model else {
      let outline = understanding.outline
      json.set("dialect", outline.map { .string($0.dialect) } ?? .null)
      json.set("family", outline.map { .string($0.architecture.family) } ?? .null)
      json.set("unknown", understanding.reason.map { .string($0) } ?? .null)
      return
    }
    let family = model.architecture
    json.set("dialect", .string(model.dialect))
    json.set("family", .string(family.family))
    json.set("heads", .array(family.heads.sorted().map { .string($0.rawValue) }))
    json.set("options", .array(family.options.map { .string($0) }))
    json.set(
      "config",
      .object(
        ConfigurationKey.all.filter {
          // Only what ckpt has trimmed has had another vocabulary.
          $0.name != ConfigurationKey.originalVocabulary
            || family.configuration.originalVocabularySize > 0
        }.map { .init($0.name, $0.get(family.configuration)) }))
    json.set(
      "assumed",
      .array(
        model.settings.filter { $0.origin == .assumed && family.depends(on: $0.key) }
          .map { .string($0.key) }))
    json.set(
      "origins",
      .object(model.settings.map { .init($0.key, .string(InfoReport.origin($0.origin))) }))
    json.set(
      "tops",
      .array(
        family.tops.map { top in
          .object([
            .init("name", .string(top.name)), .init("meaning", .string(top.meaning)),
            .init("on", .string(top.input.description)), .init("size", .number(top.outputSize)),
          ])
        }))
    json.set("unplaced", unplacedJSON(model))
    json.set("carried", .array(model.carried.flatMap(\.tensors).map { .string($0.name) }))
  }

  private func unplacedJSON(_ model: Model) -> JSON {
    .array(
      carried.map { group in
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

  private var vocabularyJSON: JSON {
    guard let vocabulary else { return .null }
    return .object([
      .init("tokens", .number(vocabulary.count)),
      .init("rows", tokenRows.map { .number($0) } ?? .null),
      .init("unused", .number(vocabulary.unusedCount)),
    ])
  }

  private var compositionJSON: JSON {
    .object([
      .init(
        "roles",
        .object(
          Composition.Role.allCases.map {
            .init($0.rawValue, .number(composition.parameters($0)))
          })),
      .init(
        "parts",
        .array(
          composition.parts.map {
            .object([
              .init("name", .string($0.name)), .init("role", .string($0.role.rawValue)),
              .init("blocks", .number($0.blocks)), .init("tensors", .number($0.tensors)),
              .init("parameters", .number($0.parameters)),
              .init("parameters_per_block", .number($0.parametersPerBlock)),
              .init("bytes", .number($0.bytes)),
            ])
          })),
    ])
  }

  private var numbersJSON: JSON {
    guard let numbers = health.numbers else { return .null }
    return .object([
      .init("count", .number(numbers.count)), .init("nan", .number(numbers.nan)),
      .init("infinite", .number(numbers.infinite)), .init("zeros", .number(numbers.zeros)),
      .init("largest", .number(numbers.largest)),
      .init("largest_tensor", numbers.largestTensor.map { .string($0) } ?? .null),
      .init(
        "float16",
        .object([
          .init("wider", .number(numbers.wide)),
          .init("overflowing", .number(numbers.overflowing)),
          .init("vanishing_share", .number(numbers.vanishing)),
          .init("subnormal_share", .number(numbers.subnormal)),
          .init("shares_exact", .bool(numbers.isExact)),
        ])),
    ])
  }

  private static func json(_ rows: EmbeddingRows) -> JSON {
    func list(_ rows: [Int]) -> JSON { .array(rows.map { .number($0) }) }
    return .object([
      .init("tensor", .string(rows.tensor)), .init("canonical", .string(rows.canonical)),
      .init("rows", .number(rows.rows)), .init("median_norm", .number(rows.medianNorm)),
      .init("zero", list(rows.zero)), .init("constant", list(rows.constant)),
      .init("not_finite", list(rows.notFinite)), .init("short", list(rows.short)),
      .init("equal", .array(rows.equal.map(list))),
    ])
  }

  private static func json(_ tie: Health.Tie) -> JSON {
    .object([
      .init("kind", .string(tie.kind.rawValue)),
      .init("names", .array(tie.names.map { .string($0) })),
    ])
  }

  private static func json(_ concern: Concern) -> JSON {
    .object([
      .init("kind", .string(concern.kind.rawValue)),
      .init("severity", .string(concern.severity.rawValue)),
      .init("tensors", .array(concern.tensors.map { .string($0) })),
      .init("index", concern.index.map { .array($0.map { .number($0) }) } ?? .null),
      .init("numbers", .object(concern.numbers.map { .init($0.name, .number($0.value)) })),
      .init("sentence", .string(concern.sentence)),
    ])
  }
}
