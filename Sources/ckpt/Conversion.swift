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
    var compression: Compression?
    var allowedDrops: [String] = []
    var overwrite = false
    var durable = false
    var verify = true
    var tolerances = VerificationOptions()
  }

  /// A source tensor that will not be in the result.
  struct Drop {
    var name: String
    /// The file's names of it, where `name` is a canonical one.
    var sources: [String] = []
    var reason: String
    /// Whether content is lost, so that it has to be allowed.
    var loses: Bool
    var isAllowed = false

    /// One that the user asked for.
    static func asked(_ name: String) -> Drop {
      Drop(name: name, reason: "as --allow-drop says", loses: true, isAllowed: true)
    }
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
  /// The vocabulary to write, where it is not the file beside the source as it stands.
  private let vocabulary: Vocabulary?
  /// What transforms measured.
  let findings: [Finding]
  /// The transformed model before weights are rounded and spelled.
  private let computed: Model?
  private let stages: [TransformStage]
  /// How the written model relates to the transformed one.
  private let respelled: Correspondence
  private let notRun: String?
  /// The source and the result, where they are graphs of layers.
  private let keras: KerasPair?
  /// Whether the result holds the graph that says what is computed.
  private let isWhole: Bool
  /// The dialect that spells the result, or `nil` when names stay as they are.
  private let dialect: (any Dialect)?

  /// Plans everything; writes nothing.
  init(_ request: Request) throws {
    self.request = request
    var reading = request.reading
    for step in request.steps {
      guard let transform = step.transform as? any CheckpointTransform else { continue }
      reading.remainingPart = transform.part(step.arguments) ?? reading.remainingPart
    }
    opening = try Opening(request.source, options: reading)
    var remarks: [String] = []
    let plan = try Plan(request, opening, &remarks)
    model = plan.model
    transformed = plan.transformed
    correspondence = plan.correspondence
    drops = plan.drops
    configuration = plan.configuration
    vocabulary = plan.vocabulary
    findings = plan.findings
    computed = plan.computed
    stages = plan.stages
    respelled = plan.respelled
    notRun = plan.notRun
    keras = plan.keras
    isWhole = plan.isWhole
    dialect = plan.dialect
    destination = try Destination(request, plan.dialect, opening)
    let format = destination.format
    spelling = plan.spelling.map { plan.dialect?.arranged($0, for: format.name) ?? $0 }
    rows = spelling?.rows ?? plan.rows
    checkpoint = spelling?.checkpoint ?? plan.checkpoint
    var all =
      remarks + format.leavesOut(checkpoint).map { "\(format.name) has no place for \($0)" }
    all += format.remarks(on: checkpoint)
    all += destination.others.map { "\($0) stands in the folder already, and some read it first" }
    self.remarks = all
    if request.maxShardSize != nil, !format.splits {
      throw CheckpointError(
        .usage, Place(member: "--max-shard-size"), "\(format.name) is written as one file")
    }
    if request.compression != nil, !format.compresses {
      throw CheckpointError(
        .usage, Place(member: "--compress"), "\(format.name) keeps tensors as they are")
    }
    let lost = drops.filter { $0.loses && !$0.isAllowed }
    if let first = lost.first {
      let flags = Self.globs(lost.map(\.name), sparing: rows.flatMap(\.sources)).map {
        "--allow-drop '\($0)'"
      }
      throw CheckpointError(
        .wouldDrop, Place(file: opening.checkpoint.path, tensor: first.name),
        "would be lost: \(first.reason)"
          + (lost.count > 1 ? " (and \(lost.count - 1) more)" : ""),
        hint: "to go on without: \(flags.joined(separator: " "))")
    }
  }

  /// The shortest list of globs by the first part of the names, or by the last one where the first
  /// is that of what goes on too.
  private static func globs(_ names: [String], sparing kept: [String]) -> [String] {
    var globs: [String] = []
    var verdicts: [String: Bool] = [:]
    func spares(_ pattern: String) -> Bool {
      if let known = verdicts[pattern] { return known }
      let glob = Glob(pattern)
      let verdict = !kept.contains(where: glob.matches)
      verdicts[pattern] = verdict
      return verdict
    }
    for name in names {
      let separator = name.contains("/") ? "/" : "."
      let parts = name.split(separator: separator)
      let candidates =
        parts.count > 1
        ? ["\(parts[0])\(separator)*", "*\(separator)\(parts[parts.count - 1])"] : []
      let glob = candidates.first(where: spares) ?? name
      if !globs.contains(glob) { globs.append(glob) }
    }
    return globs
  }

  /// What was done.
  struct Outcome {
    /// The main file that was written: the weights, or the index of their shards.
    var path: String
    /// `nil` when no proof was asked for.
    var proof: Proof?
    var isWritten: Bool { proof?.passed ?? true }
  }

  /// Checks that every file could be written; writes nothing.
  func checkTargets() throws {
    let output = Output(overwrite: request.overwrite, inputs: opening.inputs)
    var targets = [destination.weights]
    if opening.vocabulary != nil || vocabulary != nil { targets.append(destination.vocabulary) }
    if configuration != nil || opening.configuration != nil {
      targets.append(destination.configuration)
    }
    targets += tokenizerFiles.map(\.target).filter(Paths.isFile)
    for target in targets where !isInPlace(target) { try output.check(target) }
  }

  /// Writes, proves and commits; on any error or a failed proof nothing is left.
  func run() throws -> Outcome {
    let output = Output(overwrite: request.overwrite, inputs: opening.inputs)
    if destination.isFolder { try output.makeFolder(destination.folder) }
    let written = try destination.format.write(
      checkpoint, to: destination.weights, in: output,
      options: WriteOptions(
        maxShardSize: request.maxShardSize, compression: request.compression,
        keepsTies: dialect == nil))
    // A vocabulary that another model left in the folder would be taken for this one's.
    try put(
      vocabulary.map { Array($0.text.utf8) }
        ?? opening.vocabulary.map { try File.contents(of: $0) }, destination.vocabulary, output)
    if let configuration {
      try put(Array((configuration.pretty + "\n").utf8), destination.configuration, output)
    } else {
      // A whole file of Keras holds its own.
      let beside = keras?.isWhole ?? false ? nil : opening.configuration
      try put(
        beside.map { try File.contents(of: $0.path) }, destination.configuration, output)
    }
    for file in tokenizerFiles {
      try put(File.contents(of: file.source, limit: Vocabulary.largest), file.target, output)
    }
    let proof = try request.verify ? prove(written, output) : nil
    if proof?.passed ?? true { try output.commit(durable: request.durable) }
    return Outcome(path: written, proof: proof)
  }

  /// What other tokenizers read text with goes along as it is, where ids stay the same.
  ///
  /// A folder gets the files under their names; a single file only what `NAME.` before it leads to.
  private var tokenizerFiles: [(source: String, target: String)] {
    guard correspondence.tokens == nil else { return [] }
    let folder = Paths.folder(of: opening.checkpoint.path)
    return opening.tokenizerFiles.compactMap { name in
      let source = Paths.join(folder, name)
      if destination.isFolder { return (source, Paths.join(destination.folder, name)) }
      guard opening.tokenizers.contains(name) else { return nil }
      let stem = String(destination.vocabulary.dropLast("vocab.txt".count))
      // `OLD.spiece.model` becomes `NEW.spiece.model`.
      let own = Opening.tokenizerNames.first { name.hasSuffix($0) } ?? name
      return (source, stem + own)
    }.filter { Paths.identity($0.source) != Paths.identity($0.target) }
  }

  /// Writes a side file; one that has this content already is left alone.
  private func put(_ content: [UInt8]?, _ target: String, _ output: Output) throws {
    guard let content else {
      if !isInPlace(target) { try output.supersede(target) }
      return
    }
    if Paths.isFile(target), try File.contents(of: target) == content { return }
    try output.file(target).write(content, at: 0)
  }

  /// Whether the target is the source's own side file.
  private func isInPlace(_ target: String) -> Bool {
    let sides = [opening.vocabulary, opening.configuration?.path].compactMap(\.self)
    guard let identity = Paths.identity(target) else { return false }
    return sides.contains { Paths.identity($0) == identity }
  }

  /// Memory that writing takes at its peak, in bytes: an estimate by the tensor that takes most.
  var writingBytes: Int {
    Conversion.programBytes + (checkpoint.tensors.map(\.copyingBytes).max() ?? 0)
  }

  /// Memory that the proof takes: both models in Float32, and what they compute.
  var provingBytes: Int? {
    guard request.verify, let model, let transformed else { return nil }
    let count = (model.weights + transformed.weights).reduce(0) { $0 + $1.tensor.shape.count }
    return Conversion.programBytes + 4 * count
  }

  /// What the program takes with nothing loaded.
  private static let programBytes = 25 << 20

  // MARK: Proof

  /// What was proven of the written result.
  struct Proof {
    var tensors: Int
    /// A tensor whose written bytes are not those of the plan.
    var wrongTensor: String?
    var verification: Verification?
    /// Why the models were not run.
    var notRun: String?
    /// What a transform says of itself and does not hold.
    var broken: StepProofs.Failure?
    /// Whether transforms alone have kept their promise where the target computes otherwise.
    var isKept = false

    var passed: Bool { wrongTensor == nil && broken == nil && verification?.passed ?? true }
  }

  /// Opens what was written, where it is staged, and compares it with the plan and the source.
  private func prove(_ path: String, _ output: Output) throws -> Proof {
    var reading = ModelReader.Options()
    reading.format = destination.format.name
    // A staged configuration is found beside the weights; one that stays where it was is named.
    let configured = output.staged(destination.configuration)
    if !output.writes(destination.configuration), Paths.isFile(configured) {
      reading.configurationPath = configured
    }
    reading.dialect = dialect?.name
    reading.family = transformed?.architecture.family
    if dialect == nil { reading.settings = request.reading.settings }
    reading.lambdas = request.reading.lambdas
    if keras != nil { reading.dialect = KerasModel.dialect }
    let written = try Opening(output.staged(path), options: reading)
    var proof = Proof(tensors: 0)
    proof.wrongTensor = try compare(written.checkpoint, &proof.tensors)
    guard proof.wrongTensor == nil else { return proof }
    if let keras {
      try keras.prove(written, request, &proof)
      return proof
    }
    guard let model, let transformed else {
      proof.notRun = notRun ?? "the meaning of the tensors is unknown"
      return proof
    }
    do {
      let result = try written.model()
      var correspondence = correspondence
      if let dtype = request.dtype, dtype.isNarrowerThanF32 { correspondence.contract = .lossy }
      let source = try RunnableModel(model)
      let configuration = model.architecture.configuration
      let inputs = Probes.text(
        for: configuration.common(with: transformed.architecture.configuration),
        of: model.architecture.family, tokens: correspondence.tokens?.compactMap(\.self), rows: 3,
        // Decomposed positions begin behind the rows of the table.
        longest: max(
          16, configuration.hierarchicalPosition == nil ? 0 : configuration.positions + 8))
      let unrounded = (computed?.weights ?? []).filter { $0.rounding != nil }
        .map { ($0.name, $0.tensor) }
      let verification = try Verification(
        source, RunnableModel(result, mask: transformed.architecture.configuration.mask),
        inputs: inputs, expecting: held(transformed.architecture), correspondence: correspondence,
        unrounded: request.dtype == nil ? Dictionary(unrounded) { first, _ in first } : [:],
        options: request.tolerances)
      proof.verification = verification
      guard verification.passed else { return proof }
      let isClose = verification.verdict == .close && verification.contract != .lossy
      // Float32 alone would not tell a factor that is off by its last digits from rounding.
      let isUnjudged = verification.contract == .rounding && verification.judged.isEmpty
      let runs =
        correspondence.contract == .lossy || ((isClose || isUnjudged) && !isTolerant)
      proof.broken = try StepProofs(stages, runs: runs).failure()
      proof.isKept = isClose && runs && !stages.isEmpty && proof.broken == nil
      if proof.broken == nil, verification.contract == .lossy, dialect != nil {
        proof.broken = try misspelled(RunnableModel(result), transformed)
      }
    } catch let error as InferError where error.kind == .unsupported {
      proof.notRun = error.description
    } catch let error as CheckpointError where dialect == nil {
      // Names as they are, in a format that tells less of them: the bytes are proven all the same.
      proof.notRun = error.reason
    }
    return proof
  }

  private var isTolerant: Bool {
    request.tolerances.relative != nil || request.tolerances.absolute != nil
  }

  /// What the written model computes otherwise than the transformed one.
  ///
  /// A lossy result is free to differ from the source, so that alone would not show what is lost between
  /// the transforms and the file.
  private func misspelled(
    _ result: RunnableModel, _ transformed: Model
  ) throws -> StepProofs.Failure? {
    let expected = transformed.architecture
    let configuration = expected.configuration
    let found = try Verification(
      RunnableModel(transformed), result,
      inputs: Probes.text(for: configuration, of: expected.family, rows: 3, longest: 16),
      expecting: held(expected), correspondence: respelled, options: VerificationOptions())
    guard !found.passed else { return nil }
    let name = (found.first ?? found.weights.first)?.name ?? found.disagreements.first?.subject
    return .init(
      step: "the written model", reason: "\(name ?? "it") is not what the transformed model has")
  }

  /// What the target's framework computes for an architecture; where that differs, spelling has
  /// said so or refused.
  private func held(_ architecture: FamilyArchitecture) -> FamilyArchitecture {
    isWhole ? architecture : dialect?.held(architecture) ?? architecture
  }

  /// Every written tensor against its plan, bit for bit.
  private func compare(_ written: Checkpoint, _ count: inout Int) throws -> String? {
    let found = Dictionary(written.tensors.map { ($0.name, $0) }) { first, _ in first }
    for tensor in checkpoint.tensors {
      guard
        let other = destination.format.keepsNames ? found[tensor.name] : written.tensors.first,
        other.dtype == tensor.dtype, other.shape == tensor.shape, try tensor.hasBytes(of: other)
      else { return tensor.name }
      count += 1
    }
    return nil
  }
}
