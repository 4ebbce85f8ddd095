import Checkpoint
import Infer
import Transforms

/// The two sides of a conversion whose source is read by its graph of layers.
struct KerasPair {
  /// The source's model.
  let source: KerasModel
  /// The transformed model before weights are rounded.
  let computed: KerasModel
  let correspondence: Correspondence
  /// Whether the result holds its configuration.
  let isWhole: Bool

  /// Of a source whose names stay as they are.
  init(_ model: KerasModel) {
    (source, computed, correspondence, isWhole) = (model, model, Correspondence(), false)
  }

  init(_ source: KerasModel, _ change: KerasChange, isWhole: Bool) {
    self.source = source
    self.isWhole = isWhole
    (computed, correspondence) = (change.model, change.correspondence)
  }

  /// In which form Keras is to store the result; `nil` where names stay as they are or another
  /// framework's are wanted.
  ///
  /// - Throws: ``CheckpointError`` of kind `usage` where Keras' form is asked for and cannot be.
  static func target(
    _ request: Conversion.Request, _ opening: Opening, _ checkpoint: Checkpoint,
    _ steps: [TransformStep]
  ) throws -> KerasTarget? {
    let isAsked = request.dialect == KerasModel.dialect
    let isTransform = steps.contains {
      $0.transform is any KerasTransform && !($0.transform is any ModelTransform)
    }
    let wanted =
      try request.format.map { try FormatRegistry.named($0) }
      ?? FormatRegistry.suffixed(request.target)
    let isArchive = wanted?.name == Keras().name
    guard isAsked || isArchive || (request.dialect == nil && request.family == nil) else {
      return nil
    }
    guard opening.hasKerasGraph, isAsked || request.dialect == nil, request.family == nil else {
      guard isAsked || isTransform || isArchive else { return nil }
      throw CheckpointError(
        .usage,
        isArchive
          ? .file(request.target)
          : Place(member: isAsked ? "--to keras" : "--apply \(steps[0].transform.name)"),
        opening.hasKerasGraph
          ? "holds a graph of layers, which goes with neither another dialect nor another family"
          : "needs the model's graph of layers, and neither the file nor one beside it has it",
        hint: "put the model's to_json() beside it as NAME.json, or give it by --config FILE")
    }
    let format = try Conversion.Destination(request, nil, opening).format
    let stored = KerasModel.storage(of: checkpoint)
    let isWhole = checkpoint.text("model_config") != nil
    switch format.name {
    case Keras().name:
      let target = KerasTarget(storage: .paths, isWhole: true, isArchive: true)
      let isSame = opening.checkpoint.format == format.name && stored == .paths && isWhole
      return isSame && !isAsked && !isTransform ? nil : target
    case KerasHDF5().name where request.target.lowercased().hasSuffix(".weights.h5"):
      let isSame = stored == .paths && !isWhole
      return isSame && !isAsked && !isTransform
        ? nil : KerasTarget(storage: .paths, isWhole: false)
    case KerasHDF5().name:
      guard stored == .layers else { return KerasTarget(storage: .layers, isWhole: true) }
      return isAsked || isTransform
        ? KerasTarget(storage: .layers, isWhole: isWhole || isAsked) : nil
    default:
      guard isAsked || isTransform else { return nil }
      throw CheckpointError(
        .usage, Place(file: request.target), "\(format.name) holds no graph of layers",
        hint: "write NAME.keras, NAME.h5 or NAME.weights.h5")
    }
  }

  /// Runs the written model against the source.
  func prove(
    _ written: Opening, _ request: Conversion.Request, _ proof: inout Conversion.Proof
  ) throws {
    do {
      let result = try written.keras()
      var relation = correspondence
      if let dtype = request.dtype, dtype.isNarrowerThanF32 { relation.contract = .lossy }
      var options = request.tolerances
      // Float32 alone would not tell a factor that is off by its last digits from rounding.
      if relation.contract == .rounding { options.judge = .always }
      let unrounded = computed.weights.filter { $0.rounding != nil }.map { ($0.name, $0.tensor) }
      proof.verification = try Verification(
        source, result, correspondence: relation,
        unrounded: request.dtype == nil ? Dictionary(unrounded) { first, _ in first } : [:],
        options: options)
    } catch let error as InferError where error.kind == .unsupported {
      proof.notRun = error.description
    } catch let error as CheckpointError where error.kind == .unsupported {
      proof.notRun = error.reason
    }
  }
}

extension Conversion.Plan {
  /// A graph of layers, as Keras stores it in the target.
  mutating func planKeras(
    _ target: KerasTarget, _ request: Conversion.Request, _ opening: Opening,
    _ steps: [TransformStep], _ remarks: inout [String]
  ) throws {
    let source = try opening.keras(of: checkpoint)
    remarks += source.warnings
    let change = try TransformRegistry.apply(steps, to: source)
    findings = change.findings
    remarks += change.remarks
    let spelled = try change.model.spelled(as: target, from: (source, checkpoint)) {
      (tensor) throws(CheckpointError) in
      try tensor.converted(to: request.dtype)
    }
    drops += spelled.left.map {
      Conversion.Drop(name: $0.leftover.tensor.name, reason: $0.leftover.reason, loses: $0.loses)
    }
    remarks += spelled.remarks
    keras = KerasPair(source, change, isWhole: target.isWhole)
    correspondence = change.correspondence
    (checkpoint, configuration, rows) = (
      spelled.checkpoint, spelled.configuration, spelled.rows
    )
  }
}
