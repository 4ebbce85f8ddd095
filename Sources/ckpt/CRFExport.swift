import Checkpoint
import Infer

/// `convert --to torchcrf`: the parameters of a CRF on top, and nothing else, as torchcrf's
/// `CRF(num_tags, batch_first=True)` loads them.
///
/// `transitions [labels, labels]` (from → to, times `transition_multiplier`), `start_transitions` and
/// `end_transitions [labels]`: 0, or −10000 for labels that `crf_starts` and `crf_ends` do not name.
struct CRFExport {
  static let name = "torchcrf"
  /// What torchcrf's users take for impossible; −∞ would make its losses NaN.
  private static let forbidden: Float = -10_000

  /// The source's layer.
  let layer: TopLayer
  let multiplier: Double
  let arrays: [(name: String, array: NDArray<Float>)]
  let remarks: [String]
  private let opening: Opening

  /// - Parameter request: a conversion's; its settings may be `crf_starts` and `crf_ends` too.
  init(_ request: Conversion.Request) throws {
    guard request.steps.isEmpty, request.dtype == nil, request.family == nil,
      request.maxShardSize == nil, request.compression == nil, request.allowedDrops.isEmpty
    else {
      throw CheckpointError(
        .usage, Place(member: "--to torchcrf"),
        "writes a CRF's parameters in float32; it takes no other changes")
    }
    var reading = request.reading
    func taken(_ key: String) -> String? {
      defer { reading.settings.removeAll { $0.key == key } }
      return reading.settings.last { $0.key == key }?.value
    }
    let (starts, ends) = (taken("crf_starts"), taken("crf_ends"))
    opening = try Opening(request.source, options: reading)
    let model = try opening.model()
    let runnable = try RunnableModel(model)
    let chains = model.architecture.tops.filter {
      switch $0.kind {
      case .crf, .memm: true
      default: false
      }
    }
    guard let layer = chains.last else {
      throw CheckpointError(
        .unsupported, .file(opening.checkpoint.path), "has no CRF on top",
        hint: model.architecture.tops.isEmpty
          ? nil
          : "on top there is \(model.architecture.tops.map(\.summary).joined(separator: "; "))")
    }
    self.layer = layer
    multiplier = model.architecture.configuration.transitionMultiplier
    var remarks = model.warnings
    let transitions: [Float]
    switch try Tag.kind(of: layer, runnable, .viterbi) {
    case .crf(let chain): transitions = chain.transitions
    case .memm(let markov, _):
      transitions = markov.transitions
      remarks.append(
        "\(layer.name) is a MEMM: torchcrf decodes as bert4keras' ViterbiDecoder does, but its "
          + "probabilities are a CRF's")
    case .softmax: transitions = []
    }
    self.remarks = remarks
    let count = layer.outputSize
    let numbers = (0..<count).map { "\($0)" }
    func boundary(_ words: String?, _ flag: String) throws -> NDArray<Float> {
      let allowed = try LabellingOptions.choice(words, of: numbers, flag: "--set \(flag)")
      return NDArray(
        shape: [count],
        values: (0..<count).map { allowed?.contains($0) ?? true ? 0 : CRFExport.forbidden })
    }
    arrays = [
      ("start_transitions", try boundary(starts, "crf_starts")),
      ("end_transitions", try boundary(ends, "crf_ends")),
      ("transitions", NDArray(shape: [count, count], values: transitions)),
    ]
  }

  /// Whether the target is a JSON document.
  static func isJSON(_ target: String) -> Bool { target.lowercased().hasSuffix(".json") }

  /// The document: the arrays as lists, by name.
  var document: JSON {
    .object(
      [
        .init("kind", .string("torchcrf")), .init("num_tags", .number(layer.outputSize)),
        .init("layer", .string(layer.name)), .init("transition_multiplier", .number(multiplier)),
      ]
        + arrays.map { name, array in
          let rows = stride(from: 0, to: array.values.count, by: layer.outputSize).map { start in
            JSON.array(
              array.values[start..<(start + layer.outputSize)].map { .number(Double($0)) })
          }
          return JSON.Member(name, array.shape.count == 1 ? rows[0] : .array(rows))
        })
  }

  /// Writes the arrays, and reads them again.
  func write(_ request: Conversion.Request) throws {
    if CRFExport.isJSON(request.target) {
      let output = Output(overwrite: request.overwrite, inputs: opening.inputs)
      try output.file(request.target).write(Array((document.pretty + "\n").utf8), at: 0)
      try output.commit(durable: request.durable)
      guard try JSON(parsing: File.contents(of: request.target)) == document else {
        throw CheckpointError(.cannotWrite, .file(request.target), "does not read back as written")
      }
    } else {
      guard FormatRegistry.suffixed(request.target) != nil else {
        throw CheckpointError(
          .usage, Place(member: "path \"\(request.target)\""),
          "has no suffix that tells its format",
          hint: "such as crf.pt, crf.safetensors, crf.npz or crf.json")
      }
      try Arrays.write(
        arrays, to: request.target, inputs: opening.inputs, overwrite: request.overwrite)
      let read = try Arrays.read(request.target)
      guard arrays.allSatisfy({ read[$0.name] == $0.array }) else {
        throw CheckpointError(.cannotWrite, .file(request.target), "does not read back as written")
      }
    }
  }
}

extension Convert {
  /// The parameters of a CRF alone.
  func exportCRF(_ request: Conversion.Request) throws {
    let export = try CRFExport(request)
    if !dryRun { try export.write(request) }
    if output.json {
      print(
        JSON.object([
          .init("source", .string(source)), .init("target", .string(target)),
          .init("dry_run", .bool(dryRun)), .init("written", .bool(!dryRun)),
          .init("layer", .string(export.layer.name)),
          .init("num_tags", .number(export.layer.outputSize)),
          .init("transition_multiplier", .number(export.multiplier)),
          .init("notes", .array(export.remarks.map { .string($0) })),
        ]).pretty)
      return
    }
    guard !output.quiet else { return }
    for remark in export.remarks { print("\(Terminal.output.yellow("note:")) \(remark)") }
    print(
      "\(dryRun ? "would write" : "wrote") \(Terminal.output.bold(target)): "
        + export.arrays.map { "\($0.name) \(Shape($0.array.shape))" }.joined(separator: ", "))
  }
}
