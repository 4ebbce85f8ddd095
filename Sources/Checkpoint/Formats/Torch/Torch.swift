/// PyTorch's files: the zip of today, the stream of before 1.6, TorchScript archives, either of them
/// in a tar or tar.gz, and shards with an index as transformers writes them.
///
/// Source: `torch/serialization.py`, `torch/_utils.py` and `caffe2/serialize/inline_container.h` of
/// PyTorch. The pickle in a file is read as plain data (``PickleTree``); nothing of it is run.
/// Nested dictionaries become names with dots; numbers and texts in them become attributes.
public struct Torch: Format {
  public init() {}

  public var name: String { "torch" }
  public var aliases: [String] { ["pytorch", "pt"] }
  public var summary: String { "PyTorch (.pt, .bin, .pth, .ckpt, …), single file or sharded" }
  public var suffixes: [String] { ["pt", "bin", "pth", "ckpt", "th", "bin.index.json"] }
  public var splits: Bool { true }
  public var customaryNames: [String] {
    ["pytorch_model.bin.index.json", "pytorch_model.bin", "model.pt", "model.pth"]
  }

  public func recognises(_ probe: Probe) -> Bool {
    Torch.holdsWeights(probe) || TarArchive.recognises(probe) || Torch.isIndex(probe)
  }

  /// Whether the file itself is a zip or a stream of PyTorch.
  static func holdsWeights(_ probe: Probe) -> Bool {
    TorchZip.recognises(probe) || TorchStream.recognises(probe.head)
  }

  /// Whether the file is an index whose first shard is PyTorch's; by its name when it is missing.
  static func isIndex(_ probe: Probe) -> Bool {
    guard ShardIndex.is(probe), let path = try? ShardIndex(probe).paths.first else { return false }
    if let shard = try? Probe(path) { return holdsWeights(shard) }
    return Torch().suffixes.contains(Paths.suffix(of: path))
  }

  public func read(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
    do throws(CheckpointError) {
      if ShardIndex.is(probe) { return try readIndex(probe) }
      var content: TorchContent
      if TarArchive.recognises(probe) {
        content = try Torch.unpack(probe)
      } else {
        content = try Torch.content(
          FileSlice(probe.file, offset: 0, length: probe.file.size),
          rootName: Paths.stem(of: probe.path))
      }
      content.checkpoint.path = probe.path
      content.checkpoint.files = [probe.path]
      content.checkpoint.format = name
      return content.checkpoint
    } catch {
      throw error.at(.file(probe.path))
    }
  }

  /// What a zip or a stream holds, which may lie inside another file.
  private static func content(
    _ region: FileSlice, rootName: String
  ) throws(CheckpointError) -> TorchContent {
    let head = try region.file.bytes(at: region.offset, count: min(4096, region.length))
    if head.starts(with: TorchZip.magic) { return try TorchZip(region).read(rootName: rootName) }
    guard TorchStream.recognises(head) else {
      throw CheckpointError(
        .notRecognised, Place(offset: region.offset), "is neither a zip nor a stream of PyTorch")
    }
    return try TorchStream(region).read(rootName: rootName)
  }

  /// Reads the weights inside a tar.
  private static func unpack(_ probe: Probe) throws(CheckpointError) -> TorchContent {
    let tar = try TarArchive(probe)
    if tar.names.contains("storages"), tar.names.contains("pickle") {
      throw CheckpointError(
        .unsupported, Place(),
        "is in the tar format that PyTorch wrote before version 0.1.10",
        hint: "load it with PyTorch 1.x and save it again")
    }
    guard let weights = tar.weights else {
      throw CheckpointError(
        .unsupported, Place(),
        "is a tar without PyTorch weights; it holds \(tar.names.prefix(5).joined(separator: ", "))")
    }
    do throws(CheckpointError) {
      var content = try content(weights.region, rootName: Paths.stem(of: weights.name))
      content.checkpoint.warnings.append("\(weights.name) inside the tar is read")
      return content
    } catch {
      throw error.at(Place(member: weights.name))
    }
  }

  private func readIndex(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
    let index = try ShardIndex(probe)
    var whole = Checkpoint(path: probe.path, files: [probe.path] + index.paths, format: name)
    var tensors: [Tensor] = []
    try index.readShards { (shard) throws(CheckpointError) in
      do throws(CheckpointError) {
        let part = try Torch.content(
          FileSlice(shard.file, offset: 0, length: shard.file.size),
          rootName: Paths.stem(of: shard.path)
        ).checkpoint
        tensors += part.tensors
        whole.unreadable += part.unreadable
        whole.warnings += part.warnings
        for attribute in part.attributes { whole.set(attribute) }
        return part.tensors.map(\.name) + part.unreadable.map(\.name)
      } catch {
        throw error.at(.file(shard.path))
      }
    }
    let layout = index.metadata.first { $0.key == Layout.key }?.value.string
    TorchContent.arrange(tensors, layout.map { Array($0.utf8) }, into: &whole)
    return whole
  }
}

/// What was read, before it is known of which file.
struct TorchContent {
  var checkpoint: Checkpoint

  /// Groups and attributes from a layout that ckpt has written; one nameless group without it.
  static func arrange(
    _ tensors: [Tensor], _ layout: [UInt8]?, into checkpoint: inout Checkpoint
  ) {
    let byName = Dictionary(tensors.map { ($0.name, $0) }) { first, _ in first }
    if let layout, let json = try? JSON(parsing: layout),
      let restored = Layout(json: json, tensors: byName)
    {
      checkpoint.attributes = restored.attributes
      checkpoint.groups = restored.groups
      return
    }
    if layout != nil {
      checkpoint.warnings.append("the groups in the file do not fit the tensors; they are left out")
    }
    checkpoint.groups = [Group(name: "", tensors: tensors)]
  }

  /// What the pickle of a file holds.
  init(
    _ pickle: Pickle, _ storages: any TorchStorages, rootName: String, layout: [UInt8]? = nil
  ) throws(CheckpointError) {
    var tree = PickleTree(pickle, TorchVocabulary(storages: storages))
    if let call = pickle.call(pickle.root), tree.isModule(call),
      let name = tree.className(call), !name.hasPrefix("__torch__.")
    {
      throw TorchContent.isModule(name)
    }
    try tree.flatten(rootName: rootName)
    if tree.tensors.isEmpty,
      let module = tree.unreadable.first(where: { $0.reason.hasPrefix("is a whole ") })
    {
      throw CheckpointError(
        .unsupported, Place(member: module.name.isEmpty ? nil : module.name), module.reason)
    }
    checkpoint = Checkpoint(attributes: tree.attributes, unreadable: tree.unreadable)
    TorchContent.arrange(tree.tensors, layout, into: &checkpoint)
  }

  private static func isModule(_ name: String) -> CheckpointError {
    CheckpointError(
      .unsupported, Place(),
      "holds a whole \(name) object, which only that class's code can load",
      hint: "load it where that code is, and save model.state_dict()")
  }
}
