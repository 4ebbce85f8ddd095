import Checkpoint

/// A model as it is drawn: stages from the inputs to the heads, each with its layers and weights.
///
/// Everything follows from the family's ``Structure`` and the canonical weights; nothing is told twice.
struct ModelDiagram {
  /// A weight, or a kernel with its bias.
  struct Part {
    var label: String
    var shape: Shape
    var parameters: Int
  }

  /// A box: what is computed of what the box above gives.
  struct Layer {
    enum Kind: String { case table, dense, attention, feedForward = "feed_forward", norm, add }

    var kind: Kind
    var title: String
    var note = ""
    var parts: [Part] = []
    /// For a sum: the layer of the same stage whose input is added.
    var from: Int?
  }

  struct Stage {
    enum Kind: String { case embeddings, blocks, norm, head }

    var kind: Kind
    var title: String
    var note = ""
    /// How often it is applied, one after the other.
    var times = 1
    /// All that is stored for it.
    var parameters = 0
    var layers: [Layer] = []
  }

  private(set) var stages: [Stage] = []
  private let model: Model
  private let architecture: FamilyArchitecture
  private var configuration: Configuration { architecture.configuration }
  private var structure: Structure { architecture.structure }

  init(_ model: Model) {
    self.model = model
    architecture = model.architecture
    stages.append(embeddings())
    if structure.encoderDecoder {
      if configuration.hasEncoder { addStack("encoder.", "Encoder", configuration.depth) }
      if configuration.hasDecoder { addStack("decoder.", "Decoder", configuration.decoderLayers) }
    } else {
      addStack("", "Block", configuration.depth)
    }
    for head in architecture.heads.sorted() { stages.append(self.head(head)) }
    for top in architecture.tops {
      stages.append(
        stage(.head, top.name, under: "head.\(top.name)", note: top.meaning, title: "On top"))
    }
  }

  // MARK: Stages

  private func embeddings() -> Stage {
    var stage = Stage(kind: .embeddings, title: "Embeddings", note: positions)
    let all = weights(under: "embeddings")
    stage.parameters = ModelDiagram.parameters(all)
    let parts = ModelDiagram.parts(all, below: "embeddings")
    let tables = parts.filter { !["norm", "projection"].contains($0.label) }
    stage.layers = [Layer(kind: .table, title: "Tables, added", parts: tables)]
    if tables.count == 1 { stage.layers[0].title = "Table" }
    for part in parts where part.label == "norm" {
      stage.layers.append(Layer(kind: .norm, title: normName, parts: [part]))
    }
    for part in parts where part.label == "projection" {
      stage.layers.append(Layer(kind: .dense, title: "Projection", parts: [part]))
    }
    return stage
  }

  private var positions: String {
    switch structure.position {
    case .none: "no positions"
    case .absolute, .absoluteAfterPadding: "positions by a table"
    case .relative: "relative positions"
    case .rotary: "rotary positions"
    case .buckets: "relative positions in buckets"
    }
  }

  private var normName: String { structure.norm == .layer ? "Layer norm" : "RMS norm" }

  /// The blocks of one stack and the norm behind them.
  private mutating func addStack(_ prefix: String, _ title: String, _ times: Int) {
    let blocks = architecture.storedBlocks.filter {
      prefix.isEmpty || $0.hasPrefix(prefix)
    }
    var stage = Stage(kind: .blocks, title: title, times: times)
    if prefix == "decoder.", configuration.hasEncoder {
      stage.note = "over its own tokens, and over what the encoder gives"
    }
    var own = blocks.flatMap { weights(under: $0) }
    own += weights(under: "\(prefix)relative_position")
    if !prefix.isEmpty { own += weights(under: "\(prefix)embeddings") }
    stage.parameters = ModelDiagram.parameters(own)
    if blocks.count < times {
      stage.note = "\(Text.plural(blocks.count, "stored block")) shared by \(times) layers"
    }
    if let first = blocks.first {
      stage.layers = block(first, isDecoder: prefix == "decoder.")
    }
    let tables = ModelDiagram.parts(weights(under: "\(prefix)relative_position"), below: "")
    if !tables.isEmpty, let index = stage.layers.firstIndex(where: { $0.kind == .attention }) {
      stage.layers[index].parts.append(
        contentsOf: tables.map {
          Part(label: "distances, shared", shape: $0.shape, parameters: $0.parameters)
        })
    }
    stages.append(stage)
    if structure.finalNorm {
      let norm = weights(under: "\(prefix)final_norm")
      stages.append(
        Stage(
          kind: .norm, title: "Final norm", parameters: ModelDiagram.parameters(norm),
          layers: [
            Layer(
              kind: .norm, title: normName,
              parts: ModelDiagram.parts(norm, below: "\(prefix)final_norm"))
          ]))
    }
  }

  private func block(_ name: String, isDecoder: Bool) -> [Layer] {
    let c = configuration
    let attention = attention("\(name).attention", isDecoder ? "Masked self-attention" : nil)
    let first = norm("\(name).attention.norm")
    guard !structure.gatedUnit else {
      var unit = attention
      unit.title = "Gated attention unit"
      unit.note = "\(c.activation.rawValue), one query and key of \(c.keySize)"
      return [unit, sum(first, from: 0)]
    }
    let crossing =
      isDecoder
      ? (
        attention: self.attention("\(name).cross_attention", "Cross-attention"),
        norm: norm("\(name).cross_attention.norm")
      ) : nil
    let feedForward = Layer(
      kind: .feedForward, title: "Feed-forward",
      note: ([c.activation] + c.gates).map(\.rawValue).joined(separator: " · "),
      parts: ModelDiagram.parts(
        weights(under: "\(name).feed_forward"), below: "\(name).feed_forward"
      )
      .filter { $0.label != "norm" })
    let last = norm("\(name).feed_forward.norm")
    switch structure.placement {
    case .after:
      var layers = [attention, sum(first, from: 0)]
      if let crossing { layers += [crossing.attention, sum(crossing.norm, from: layers.count)] }
      return layers + [feedForward, sum(last, from: layers.count)]
    case .before:
      var layers = [first, attention, sum(from: 0)]
      if let crossing {
        layers += [crossing.norm, crossing.attention, sum(from: layers.count)]
      }
      return layers + [last, feedForward, sum(from: layers.count)]
    case .around:
      return [attention, sum(from: 0), first, feedForward, sum(last, from: 2)]
    }
  }

  private func attention(_ name: String, _ title: String?) -> Layer {
    let c = configuration
    let size =
      c.keySize == c.headSize
      ? "of \(c.keySize)" : "with keys of \(c.keySize), values of \(c.headSize)"
    return Layer(
      kind: .attention, title: title ?? "Self-attention",
      note: "\(Text.plural(c.heads, "head")) \(size)",
      parts: ModelDiagram.parts(weights(under: name), below: name).filter { $0.label != "norm" })
  }

  private func norm(_ name: String) -> Layer {
    Layer(
      kind: .norm, title: normName,
      parts: ModelDiagram.parts(weights(under: name), below: String(name.dropLast(5))))
  }

  /// x + what is computed of x, with the norm behind it where there is one.
  private func sum(_ norm: Layer? = nil, from: Int) -> Layer {
    Layer(
      kind: .add, title: norm == nil ? "Add" : "Add & norm",
      parts: norm?.parts ?? [], from: from)
  }

  private func head(_ head: Head) -> Stage {
    let (title, note) =
      switch head {
      case .pooler: ("Pooler", "first token, \(configuration.poolerActivation.rawValue)")
      case .nsp: ("Next sentence", "on the pooler")
      case .sop: ("Sentence order", "on the pooler")
      case .mlm: ("Masked language model", "decoder: the token table")
      case .lm:
        (
          "Language model",
          configuration.tiesDecoder ? "decoder: the token table" : "decoder of its own"
        )
      case .discriminator: ("Replaced-token detection", "every token")
      }
    return stage(.head, title, under: head.rawValue, note: note, title: title)
  }

  private func stage(
    _ kind: Stage.Kind, _ name: String, under prefix: String, note: String, title: String
  ) -> Stage {
    let own = weights(under: prefix)
    return Stage(
      kind: kind, title: name, note: note, parameters: ModelDiagram.parameters(own),
      layers: own.isEmpty
        ? [] : [Layer(kind: .dense, title: "", parts: ModelDiagram.parts(own, below: prefix))])
  }

  // MARK: Weights

  private func weights(under prefix: String) -> [Weight] {
    model.weights.filter { $0.name == prefix || $0.name.hasPrefix(prefix + ".") }
  }

  private static func parameters(_ weights: [Weight]) -> Int {
    weights.reduce(0) { $0 + $1.tensor.shape.count }
  }

  /// Kernels with their biases, gammas with their betas, under the name that they share.
  private static func parts(_ weights: [Weight], below prefix: String) -> [Part] {
    var parts: [Part] = []
    let leaves: Set = ["kernel", "bias", "gamma", "beta"]
    for weight in weights {
      var path = weight.name.dropFirst(prefix.isEmpty ? 0 : prefix.count + 1).split(separator: ".")
      if let last = path.last, leaves.contains(String(last)), path.count > 1 { path.removeLast() }
      let label = path.joined(separator: ".")
      if let index = parts.firstIndex(where: { $0.label == label }) {
        parts[index].parameters += weight.tensor.shape.count
      } else {
        parts.append(
          Part(label: label, shape: weight.tensor.shape, parameters: weight.tensor.shape.count))
      }
    }
    return parts
  }

  // MARK: JSON

  var json: JSON {
    .array(
      stages.map { stage in
        .object([
          .init("kind", .string(stage.kind.rawValue)), .init("title", .string(stage.title)),
          .init("note", .string(stage.note)), .init("times", .number(stage.times)),
          .init("parameters", .number(stage.parameters)),
          .init("layers", .array(stage.layers.map(\.json))),
        ])
      })
  }
}

extension ModelDiagram.Layer {
  fileprivate var json: JSON {
    .object([
      .init("kind", .string(kind.rawValue)), .init("title", .string(title)),
      .init("note", .string(note)), .init("from", from.map { .number($0) } ?? .null),
      .init(
        "parts",
        .array(
          parts.map {
            .object([
              .init("label", .string($0.label)),
              .init("shape", .array($0.shape.extents.map { .number($0) })),
              .init("parameters", .number($0.parameters)),
            ])
          })),
    ])
  }
}
