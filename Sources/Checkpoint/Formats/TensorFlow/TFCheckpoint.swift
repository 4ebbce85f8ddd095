/// TensorFlow's checkpoints: the bundle that `tf.train.Saver`, `tf.train.Checkpoint` and Keras'
/// `save_weights` write, a SavedModel's variables, and the single file of version 1.
///
/// A checkpoint is called by its prefix: `PREFIX.index` is a sorted table of names, and
/// `PREFIX.data-00000-of-00001` and so on have the bytes. What may be opened: the prefix, any of its
/// files, the file `checkpoint` that names the latest one, `saved_model.pb`, and folders with one of
/// these.
///
/// **Names** are the stored keys, in their order. In a checkpoint of objects, whose keys are paths
/// (`layer_with_weights-4/q_dense/kernel/.ATTRIBUTES/VARIABLE_VALUE`), a tensor's
/// ``Tensor/aliases`` are the variable's own name
/// (`Transformer-0-MultiHeadSelfAttention/dense/kernel`) and its path. Tensors of text are
/// attributes; the graph of the objects is the attribute ``ObjectGraph/key``, as bytes.
///
/// **Checksums** of the index are checked when it is read, those of tensors with their bytes.
public struct TFCheckpoint: Format {
  public init() {}

  public var name: String { "tf" }
  public var aliases: [String] { ["tf-checkpoint", "tensorflow"] }
  public var summary: String {
    "TensorFlow checkpoint (PREFIX.index and data), SavedModel variables; version 1 is read"
  }
  public var suffixes: [String] { ["index", "ckpt"] }
  public var folderName: String { "model.ckpt" }
  public var customaryNames: [String] { [CheckpointState.fileName, TFCheckpoint.savedModel] }
  /// A table is sorted by key.
  public var keepsOrder: Bool { false }
  public var splits: Bool { true }

  static let indexSuffix = ".index"
  private static let savedModel = "saved_model.pb"
  private static let variables = "variables/variables.index"

  /// The path of a data shard, counted from 0.
  static func shard(_ number: Int, of count: Int, prefix: String) -> String {
    "\(prefix).data-\(padded(number))-of-\(padded(count))"
  }

  private static func padded(_ number: Int) -> String {
    let digits = String(number)
    return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
  }

  /// What a path is.
  private enum Kind {
    case table
    case shard(prefix: String)
    case state
    case savedModel
  }

  private func kind(_ probe: Probe) -> Kind? {
    if SortedTable.recognises(probe.file) { return .table }
    if CheckpointState.recognises(probe.head) { return .state }
    let name = Paths.name(of: probe.path)
    if name == TFCheckpoint.savedModel, probe.head.first == 0x08 { return .savedModel }
    if let prefix = TFCheckpoint.prefix(ofShard: probe.path) { return .shard(prefix: prefix) }
    let prefix = probe.path.replacingSuffix(TFCheckpoint.indexSuffix, with: "")
    // An index that is cut off is still one.
    return prefix != probe.path && TFCheckpoint.shard(besides: prefix) != nil ? .table : nil
  }

  /// A data shard of that prefix.
  private static func shard(besides prefix: String) -> String? {
    let folder = Paths.folder(of: prefix)
    let start = Paths.name(of: prefix) + ".data-"
    return Paths.list(folder).first {
      $0.hasPrefix(start) && TFCheckpoint.prefix(ofShard: $0) != nil
    }.map { Paths.join(folder, $0) }
  }

  /// `a.data-00000-of-00001` → `a`.
  static func prefix(ofShard path: String) -> String? {
    let parts = path.split(separator: ".data-", omittingEmptySubsequences: false)
    guard parts.count > 1, let last = parts.last, numbers(last) != nil else { return nil }
    return String(path.dropLast(last.count + ".data-".count))
  }

  /// `00001-of-00002` → (1, 2).
  private static func numbers(_ text: Substring) -> (number: Int, count: Int)? {
    let parts = text.split(separator: "-of-", omittingEmptySubsequences: false)
    guard parts.count == 2,
      parts.allSatisfy({ $0.count >= 5 && $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }),
      let number = Int(parts[0]), let count = Int(parts[1]), number < count
    else { return nil }
    return (number, count)
  }

  public func recognises(_ probe: Probe) -> Bool { kind(probe) != nil }

  public func entry(for path: String) -> String? {
    if Paths.isFile(path + TFCheckpoint.indexSuffix) { return path + TFCheckpoint.indexSuffix }
    // Without its index the checkpoint cannot be read; its shard leads to the message.
    return TFCheckpoint.shard(besides: path)
  }

  public func filesBeside(_ path: String) -> [String] {
    guard Paths.name(of: path) == CheckpointState.fileName,
      let state = try? CheckpointState(reading: path)
    else { return [] }
    return ([state.latest] + state.all).map { Paths.name(of: $0) + TFCheckpoint.indexSuffix }
  }
}

// MARK: - Reading

extension TFCheckpoint {
  public func read(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
    switch kind(probe) {
    case .table, nil: return try read(probe.file)
    case .shard(let prefix):
      let index = prefix + TFCheckpoint.indexSuffix
      guard Paths.exists(index) else {
        throw CheckpointError(
          .cannotRead, .file(probe.path), "its index \(Paths.name(of: index)) is missing",
          hint: "put it beside the data; without it nobody knows what they are")
      }
      return try read(File(index))
    case .savedModel:
      let index = Paths.join(Paths.folder(of: probe.path), TFCheckpoint.variables)
      guard Paths.exists(index) else {
        throw CheckpointError(
          .cannotRead, .file(probe.path), "there is no \(TFCheckpoint.variables) beside it",
          hint: "its constants, if it has any, stand in the graph, which ckpt does not read")
      }
      return try read(File(index))
    case .state: return try read(CheckpointState(reading: probe.path), of: probe.path)
    }
  }

  /// The checkpoint that the file `checkpoint` names.
  private func read(
    _ state: CheckpointState, of path: String
  ) throws(CheckpointError) -> Checkpoint {
    let folder = Paths.folder(of: path)
    let isAbsolute = state.latest.hasPrefix("/")
    let stated = isAbsolute ? state.latest : Paths.join(folder, state.latest)
    if let file = found(stated) { return try read(File(file)) }
    // Folders are moved, and absolute paths stay as they were.
    let moved = Paths.join(folder, Paths.name(of: state.latest))
    if isAbsolute, let file = found(moved) {
      var checkpoint = try read(File(file))
      checkpoint.warnings.append(
        "\(Paths.name(of: path)) names \(state.latest), which is not there; "
          + "\(Paths.name(of: file)) beside it is read")
      return checkpoint
    }
    throw CheckpointError(
      .cannotRead, .file(path), "names \(state.latest), which is not there",
      hint: state.all.count > 1 ? "it also lists \(state.all.joined(separator: ", "))" : nil)
  }

  /// The file to read for a prefix: an index, or a first file of version 1.
  private func found(_ prefix: String) -> String? {
    let folder = Paths.folder(of: prefix)
    let name = Paths.name(of: prefix)
    let pattern = Glob(name.filter { $0 == "?" }.count >= 5 ? name : name + "-?????-of-?????")
    return [prefix + TFCheckpoint.indexSuffix, prefix].first(where: Paths.isFile)
      ?? Paths.list(folder).first(where: pattern.matches).map { Paths.join(folder, $0) }
  }

  private func read(_ file: File) throws(CheckpointError) -> Checkpoint {
    let table = try SortedTable(file)
    var checkpoint = Checkpoint(path: file.path, files: [file.path], format: name)
    var tensors: [Tensor]
    if try TFCheckpoint.isVersion1(table) {
      let tables = try parts(of: table)
      let slices = try SavedSlices(tables)
      tensors = slices.tensors
      checkpoint.attributes = slices.attributes
      checkpoint.unreadable = slices.unreadable
      checkpoint.files = tables.map(\.file.path)
    } else {
      let bundle = try Bundle(table)
      tensors = bundle.tensors
      checkpoint.attributes = bundle.attributes
      checkpoint.unreadable = bundle.unreadable
      checkpoint.files = bundle.files
    }
    if let graph = checkpoint.attributes.first(where: { $0.name == ObjectGraph.key }),
      case .numbers(.u8, _, let bytes) = graph.value
    {
      do throws(CheckpointError) {
        try ObjectGraph(bytes).name(&tensors)
      } catch {
        checkpoint.warnings.append("\(ObjectGraph.key) cannot be read: \(error.reason)")
      }
    }
    checkpoint.groups = [Group(name: "", tensors: tensors)]
    return checkpoint
  }

  /// Whether the value of the empty key is a message inside a message, as in version 1.
  private static func isVersion1(_ table: SortedTable) throws(CheckpointError) -> Bool {
    guard let (key, value) = try table.first(), key.isEmpty else { return false }
    var message = Protobuf(value.reader)
    guard let field = try message.next(), field.number == 1 else { return false }
    if case .bytes = field.value { return true }
    return false
  }

  /// All tables of a checkpoint of version 1 that was split.
  private func parts(of table: SortedTable) throws(CheckpointError) -> [SortedTable] {
    let path = table.file.path
    guard let dash = path.utf8.count > 15 ? path.index(path.endIndex, offsetBy: -15) : nil,
      path[dash] == "-", let (_, count) = TFCheckpoint.numbers(path[path.index(after: dash)...]),
      count > 1
    else { return [table] }
    var tables: [SortedTable] = []
    for number in 0..<count {
      let other =
        "\(path[..<dash])-\(TFCheckpoint.padded(number))-of-\(TFCheckpoint.padded(count))"
      guard Paths.exists(other) else {
        throw CheckpointError(
          .cannotRead, .file(path), "the part \(Paths.name(of: other)) is missing",
          hint: "put it beside the others")
      }
      tables.append(other == path ? table : try SortedTable(try File(other)))
    }
    return tables
  }
}
