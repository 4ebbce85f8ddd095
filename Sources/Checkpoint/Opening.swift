/// From a path that a user gives to a checkpoint, its configuration and its side files.
///
/// The path is a weights file, a sharded index, or a folder holding one; of several the best is
/// chosen and named in a warning.
public struct Opening: Sendable {
  public let checkpoint: Checkpoint
  /// The configuration file that belongs to it.
  public let configuration: (path: String, json: JSON)?
  /// The vocabulary file that belongs to it, a token a line.
  public let vocabulary: String?
  /// The file that text is read with: ``vocabulary``, or another tokenizer's (`spiece.model`, `vocab.json`,
  /// `tokenizer.json`).
  public let tokenizer: String?
  let options: ModelReader.Options

  /// Opens what `path` leads to; reads names, no payload.
  ///
  /// - Throws: ``CheckpointError`` when nothing is there, or nothing that a format recognises.
  public init(
    _ path: String, options: ModelReader.Options = ModelReader.Options()
  ) throws(CheckpointError) {
    self.options = options
    let (file, note) = try Opening.file(at: path, options)
    let probe = try Probe(file)
    let format: any Format
    if let name = options.format {
      format = try FormatRegistry.named(name)
    } else {
      format = try FormatRegistry.recognise(probe)
    }
    var checkpoint = try format.read(probe)
    if let note { checkpoint.warnings.append(note) }
    self.checkpoint = checkpoint
    // What was read, unless it lies deeper, as a SavedModel's variables do.
    let isBeside = Paths.folder(of: checkpoint.path) == Paths.folder(of: file)
    let read = isBeside ? checkpoint.path : file
    configuration = try Opening.configuration(beside: read, checkpoint, options)
    if let path = options.vocabularyPath {
      guard Paths.isFile(path) else {
        throw CheckpointError(.cannotRead, .file(path), "does not exist")
      }
      let isLines = ![".model", ".json"].contains { path.lowercased().hasSuffix($0) }
      vocabulary = isLines ? path : nil
      tokenizer = path
    } else {
      vocabulary = Opening.beside(read, ["vocab.txt"])
      tokenizer =
        vocabulary
        ?? Opening.beside(read, Opening.tokenizerNames.filter { $0 != "merges.txt" })
    }
  }

  /// What the tensors mean.
  public func model() throws(CheckpointError) -> Model { try model(of: checkpoint) }

  /// What the tensors mean once the checkpoint was changed.
  public func model(of checkpoint: Checkpoint) throws(CheckpointError) -> Model {
    try ModelReader(options).model(of: checkpoint, configuration: configuration)
  }

  /// What the tensors mean, also where weights are missing or left over (``Model/misfits()``).
  public func draft() throws(CheckpointError) -> Model {
    try ModelReader(options).draft(of: checkpoint, configuration: configuration)
  }

  /// What the tensors' names tell where the rest is unknown.
  public func outline() -> Model? {
    ModelReader(options).outline(of: checkpoint, configuration: configuration)
  }

  /// What files of tokenizers other than `vocab.txt` are called, the first that is read first.
  public static let tokenizerNames = [
    "spiece.model", "spm.model", "sentencepiece.bpe.model", "tokenizer.model", "vocab.json",
    "tokenizer.json", "merges.txt",
  ]

  /// Files of other tokenizers beside it, by name; ckpt does not rewrite them.
  public var tokenizers: [String] {
    Paths.list(Paths.folder(of: checkpoint.path)).filter { name in
      ["tokenizer.json", "vocab.json", "merges.txt"].contains(name)
        || name.hasSuffix("spiece.model") || name.hasSuffix("tokenizer.model")
        || name.hasSuffix("sentencepiece.bpe.model")
    }
  }

  /// Files of other tokenizers beside it and what is said of them, by name: all that text is read with but
  /// ``vocabulary``.
  public var tokenizerFiles: [String] {
    let about = ["tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"]
    let folder = Paths.folder(of: checkpoint.path)
    return tokenizers + about.filter { Paths.isFile(Paths.join(folder, $0)) }
  }

  /// Every file that must not be overwritten.
  public var inputs: Set<File.Identity> {
    let paths = checkpoint.files + [configuration?.path, vocabulary].compactMap(\.self)
    return Set(paths.compactMap(Paths.identity))
  }

  // MARK: Finding files

  private static func file(
    at path: String, _ options: ModelReader.Options
  ) throws(CheckpointError) -> (String, note: String?) {
    guard !path.isEmpty, !path.unicodeScalars.contains("\u{fffd}") else {
      throw CheckpointError(
        .usage, Place(member: "path \"\(path)\""), path.isEmpty ? "is empty" : "is not UTF-8")
    }
    guard Paths.exists(path) else {
      if let entry = FormatRegistry.entry(for: path) { return (entry, nil) }
      throw CheckpointError(.cannotRead, .file(path), "does not exist")
    }
    guard Paths.isFolder(path) else { return (path, nil) }
    var formats = FormatRegistry.all
    if let name = options.format { formats = [try FormatRegistry.named(name)] }
    let names = Paths.list(path).filter { Paths.isFile(Paths.join(path, $0)) }
    let customary = formats.flatMap(\.customaryNames).filter(names.contains)
    // A shard is part of what its index names, or the first one leads to the others.
    let others = names.filter { name in
      !customary.contains(name)
        && formats.contains { format in
          format.suffixes.contains { name.lowercased().hasSuffix("." + $0) }
            && format.isEntry(name, among: names)
        }
    }
    // Arrays lie beside models as their inputs and outputs; they count when there is nothing else.
    let models = customary + others.filter { !["npz", "npy"].contains(Paths.suffix(of: $0)) }
    let candidates = models.isEmpty ? others : models
    guard let best = candidates.first else {
      throw CheckpointError(
        .cannotRead, .file(path), "is a folder without a weights file",
        hint: "known formats: \(formats.map(\.name).joined(separator: ", "))")
    }
    let own = Set(formats.flatMap { $0.filesBeside(Paths.join(path, best)) })
    let rest = candidates.dropFirst().filter { !own.contains($0) }
    let note =
      rest.isEmpty ? nil : "\(best) is read; beside it there are \(rest.joined(separator: ", "))"
    return (Paths.join(path, best), note)
  }

  /// `NAME.config.json` before the customary names; a name's own file wins over its folder's.
  private static func configuration(
    beside file: String, _ checkpoint: Checkpoint, _ options: ModelReader.Options
  ) throws(CheckpointError) -> (String, JSON)? {
    var path = options.configurationPath
    if path == nil {
      let folder = Paths.folder(of: file)
      let names = Paths.list(folder)
      let own = stems(of: file).flatMap {
        ["\($0).config.json", "\($0)_config.json", "\($0).json"]
      }.filter { $0 != Paths.name(of: file) }
      let part = (options.part ?? options.remainingPart).map { ["\($0)_config.json"] } ?? []
      // Google's projects keep theirs beside a TensorFlow checkpoint.
      let google = ["bert_config.json", "albert_config.json"]
      let usual =
        checkpoint.format == TFCheckpoint().name
        ? google + ["config.json"] : ["config.json"] + google
      let customary = part + usual + ["hparams.json"]
      path =
        ((own + customary).first(where: names.contains)
        ?? names.first { $0.contains("bert_config") && $0.hasSuffix(".json") })
        .map { Paths.join(folder, $0) }
    }
    guard let path else { return nil }
    do throws(CheckpointError) {
      return (path, try JSON(parsing: File.contents(of: path, limit: 64 << 20)))
    } catch {
      throw error.at(.file(path))
    }
  }

  /// The first file of a name: `NAME.vocab.txt` before `vocab.txt`.
  private static func beside(_ file: String, _ names: [String]) -> String? {
    let folder = Paths.folder(of: file)
    let stems = stems(of: file)
    // Half of a pair is nothing.
    func isWhole(_ path: String) -> Bool {
      guard path.hasSuffix("vocab.json") else { return true }
      return Paths.isFile(String(path.dropLast(10)) + "merges.txt")
    }
    let own = names.flatMap { name in stems.map { "\($0).\(name)" } }
    return (own + names).map { Paths.join(folder, $0) }
      .first { Paths.isFile($0) && isWhole($0) }
  }

  /// The file's name without its known suffixes (`a.weights.index`: `a.weights`, then `a`), and
  /// without only the last part.
  static func stems(of file: String) -> [String] {
    let suffixes = FormatRegistry.all.flatMap(\.suffixes).sorted { $0.count > $1.count }
    var stems: [String] = []
    var name = Paths.name(of: file)
    while let known = suffixes.first(where: { name.lowercased().hasSuffix("." + $0) }) {
      name = String(name.dropLast(known.count + 1))
      stems.append(name)
    }
    let stem = Paths.stem(of: file)
    return stems.contains(stem) ? stems : stems + [stem]
  }
}
