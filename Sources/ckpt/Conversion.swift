import Checkpoint
import Infer
import Transforms

/// A conversion, from the opened source to the written and proven result.
///
/// Without a dialect or a transform names stay as they are and no meaning is needed; with one the
/// source is read as a model, transformed, and spelled for the target.
struct Conversion {
  /// What the user asked for.
  struct Request {
    var source: String
    var target: String
    var reading = ModelReader.Options()
    var dialect: String?
    var family: String?
    var format: String?
    var dtype: DType?
    var steps: [TransformStep] = []
    var maxShardSize: Int?
    var allowedDrops: [String] = []
    var overwrite = false
    var durable = false
    var verify = true
    var tolerances = VerificationOptions()
  }

  /// A source tensor that will not be in the result.
  struct Drop {
    var name: String
    var reason: String
    /// Whether content is lost, so that it has to be allowed.
    var loses: Bool
  }

  let request: Request
  let opening: Opening
  /// The source read as a model, when its meaning is known.
  let model: Model?
  /// The transformed model; equal to `model` without transforms.
  let transformed: Model?
  let correspondence: Correspondence
  let rows: [Spelling.Row]
  let drops: [Drop]
  /// How the target loads, when a dialect spells it.
  let spelling: Spelling?
  let destination: Destination
  let remarks: [String]
  private let checkpoint: Checkpoint
  private let configuration: JSON?
  private let notRun: String?

  /// Plans everything; writes nothing.
  init(_ request: Request) throws {
    self.request = request
    opening = try Opening(request.source, options: request.reading)
    var remarks: [String] = []
    let plan = try Plan(request, opening, &remarks)
    model = plan.model
    transformed = plan.transformed
    correspondence = plan.correspondence
    spelling = plan.spelling
    rows = plan.rows
    drops = plan.drops
    checkpoint = plan.checkpoint
    configuration = plan.configuration
    notRun = plan.notRun
    self.remarks = remarks
    destination = try Destination(request, plan.dialect, opening)
    let lost = drops.filter { drop in
      drop.loses && !request.allowedDrops.contains { Glob($0).matches(drop.name) }
    }
    if let first = lost.first {
      let flags = Self.globs(lost.map(\.name)).map { "--allow-drop '\($0)'" }
      throw CheckpointError(
        .wouldDrop, Place(file: opening.checkpoint.path, tensor: first.name),
        "would be lost: \(first.reason)"
          + (lost.count > 1 ? " (and \(lost.count - 1) more)" : ""),
        hint: "to go on without: \(flags.joined(separator: " "))")
    }
  }

  /// The shortest list of globs by the first part of the names.
  private static func globs(_ names: [String]) -> [String] {
    var globs: [String] = []
    for name in names {
      let parts = name.split(separator: name.contains("/") ? "/" : ".")
      let glob = parts.count > 1 ? "\(parts[0])\(name.contains("/") ? "/" : ".")*" : name
      if !globs.contains(glob) { globs.append(glob) }
    }
    return globs
  }

  /// Writes, proves and commits; on any error or a failed proof nothing is left.
  ///
  /// - Returns: the proof, or `nil` when it was not asked for.
  func run() throws -> Proof? {
    let output = Output(overwrite: request.overwrite, inputs: opening.inputs)
    if destination.isFolder { try output.makeFolder(destination.folder) }
    try destination.format.write(
      checkpoint, to: destination.weights, in: output,
      options: WriteOptions(maxShardSize: request.maxShardSize))
    if let vocabulary = opening.vocabulary, let target = destination.vocabulary {
      try copy(vocabulary, to: target, output)
    }
    if let configuration {
      try output.file(destination.configuration)
        .write(Array((configuration.pretty + "\n").utf8), at: 0)
    } else if let file = opening.configuration {
      try copy(file.path, to: destination.configuration, output)
    }
    var proof: Proof?
    if request.verify {
      let made = try prove(output)
      guard made.passed else { return made }
      proof = made
    }
    try output.commit(durable: request.durable)
    return proof
  }

  /// Copies a side file; one that stays where it is is left alone.
  private func copy(_ source: String, to target: String, _ output: Output) throws {
    if let identity = Paths.identity(target), identity == Paths.identity(source) { return }
    try output.file(target).write(File.contents(of: source), at: 0)
  }

  // MARK: Proof

  /// What was proven of the written result.
  struct Proof {
    var tensors: Int
    /// A tensor whose written bytes are not those of the plan.
    var wrongTensor: String?
    var verification: Verification?
    /// Why the models were not run.
    var notRun: String?

    var passed: Bool { wrongTensor == nil && verification?.passed ?? true }
  }

  private func prove(_ output: Output) throws -> Proof {
    var reading = ModelReader.Options()
    reading.format = destination.format.name
    // Shards are opened by their index; what an earlier run left at the target is not the result.
    let weights = destination.weights
    let main = output.staged(
      output.writes(weights) ? weights : Safetensors.indexPath(for: weights))
    // A staged configuration is found beside the weights; one that stays where it was is named.
    let configured = output.staged(destination.configuration)
    if !output.writes(destination.configuration), Paths.isFile(configured) {
      reading.configurationPath = configured
    }
    if let spelling { reading.dialect = try dialectName(spelling) }
    reading.family = transformed?.architecture.family
    if spelling == nil { reading.settings = request.reading.settings }
    let written = try Opening(main, options: reading)
    var proof = Proof(tensors: 0)
    proof.wrongTensor = try compare(written.checkpoint, &proof.tensors)
    guard proof.wrongTensor == nil else { return proof }
    guard let model, let transformed else {
      proof.notRun = notRun ?? "the meaning of the tensors is unknown"
      return proof
    }
    do {
      let result = try written.model()
      var correspondence = correspondence
      if let dtype = request.dtype, dtype.size < 4 { correspondence.contract = .lossy }
      let source = try RunnableModel(model)
      proof.verification = try Verification(
        source, RunnableModel(result, mask: transformed.architecture.configuration.mask),
        inputs: Probes.text(for: model.architecture.configuration, rows: 3, longest: 16),
        correspondence: correspondence, options: request.tolerances)
    } catch let error as InferError where error.kind == .unsupported {
      proof.notRun = error.description
    } catch let error as CheckpointError where spelling == nil {
      // Names as they are, in a format that tells less of them: the bytes are proven all the same.
      proof.notRun = error.reason
    }
    return proof
  }

  private func dialectName(_ spelling: Spelling) throws -> String {
    try DialectRegistry.named(request.dialect ?? model?.dialect ?? "").name
  }

  /// Every written tensor against its plan, bit for bit.
  private func compare(_ written: Checkpoint, _ count: inout Int) throws -> String? {
    let found = Dictionary(written.tensors.map { ($0.name, $0) }) { first, _ in first }
    for tensor in checkpoint.tensors {
      guard let other = found[tensor.name], other.dtype == tensor.dtype,
        other.shape == tensor.shape, try other.bytes() == tensor.bytes()
      else { return tensor.name }
      count += 1
    }
    return nil
  }
}
