/// The safetensors format, single file or sharded with an index.
///
/// Source: the format description in the README of huggingface/safetensors; the index as written
/// by transformers. What the format has no place for, Keras' layers and typed attributes, goes to
/// the metadata under ``Layout/key``, so that it comes back unchanged.
public struct Safetensors: Format {
  public init() {}

  public var name: String { "safetensors" }
  public var summary: String { "safetensors, single file or sharded with an index" }
  public var suffixes: [String] { ["safetensors", "safetensors.index.json"] }
  public var splits: Bool { true }
  public var customaryNames: [String] { ["model.safetensors.index.json", "model.safetensors"] }

  /// Bytes that a header may have, as in the reference implementation.
  static let largestHeader = 100_000_000

  public func recognises(_ probe: Probe) -> Bool {
    if let length = headerLength(probe), probe.head.count > 8 {
      return length >= 2 && length <= Safetensors.largestHeader
        && probe.head[8] == UInt8(ascii: "{")
    }
    // An index is that of safetensors unless its shards are something else.
    return ShardIndex.is(probe) && !Torch.isIndex(probe)
  }

  private func headerLength(_ probe: Probe) -> Int? {
    guard probe.head.count >= 8, !ShardIndex.is(probe) else { return nil }
    let length = probe.head[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
    return Int(exactly: length)
  }
}

// MARK: - Reading

extension Safetensors {
  public func read(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
    let (part, files) =
      ShardIndex.is(probe) ? try readIndex(probe) : (try readFile(probe.file), [probe.path])
    var checkpoint = Checkpoint(
      path: probe.path, files: files, format: name, unreadable: part.unreadable)
    arrange(part.tensors, part.metadata, into: &checkpoint)
    return checkpoint
  }

  private struct Part {
    var tensors: [Tensor] = []
    var unreadable: [Unreadable] = []
    var metadata: [JSON.Member] = []

    /// Adds entries whose keys are new.
    mutating func add(_ members: [JSON.Member]) {
      let known = Set(metadata.map(\.key))
      metadata += members.filter { !known.contains($0.key) }
    }
  }

  private func readFile(_ file: File) throws(CheckpointError) -> Part {
    do throws(CheckpointError) {
      guard file.size >= 8 else {
        throw CheckpointError(
          .damaged, Place(offset: 0), "has \(file.size) bytes; a header needs at least 8")
      }
      let stated = try file.bytes(at: 0, count: 8).reversed().reduce(UInt64(0)) {
        $0 << 8 | UInt64($1)
      }
      guard let length = Int(exactly: stated), length <= Safetensors.largestHeader,
        length <= file.size - 8
      else {
        throw CheckpointError(
          .damaged, Place(offset: 0),
          "the header claims \(stated) bytes; the file has \(file.size - 8) left and "
            + "\(Safetensors.largestHeader) are allowed")
      }
      let bytes = try file.bytes(at: 8, count: length)
      guard let members = try JSON(parsing: bytes).members else {
        throw CheckpointError(.damaged, Place(offset: 8), "the header is no JSON object")
      }
      return try entries(members, of: file, dataStart: 8 + length)
    } catch {
      throw error.at(.file(file.path))
    }
  }

  private func entries(
    _ members: [JSON.Member], of file: File, dataStart: Int
  ) throws(CheckpointError) -> Part {
    var part = Part()
    var spans: [(begin: Int, end: Int, name: String)] = []
    var tensors: [(begin: Int, tensor: Tensor)] = []
    for member in members {
      if member.key == "__metadata__" {
        guard let metadata = member.value.members,
          metadata.allSatisfy({ $0.value.string != nil })
        else {
          throw CheckpointError(
            .damaged, Place(member: "__metadata__"), "is no map from text to text")
        }
        part.metadata = metadata
        continue
      }
      let place = Place.tensor(member.key)
      guard let dtypeName = member.value["dtype"]?.string,
        let extents = member.value["shape"]?.array?.map(\.int),
        let offsets = member.value["data_offsets"]?.array?.map(\.int), offsets.count == 2,
        let begin = offsets[0], let end = offsets[1]
      else {
        throw CheckpointError(.damaged, place, "needs dtype, shape and two data_offsets")
      }
      guard begin >= 0, begin <= end, end <= file.size - dataStart else {
        throw CheckpointError(
          .damaged, place,
          "lies at bytes \(begin) to \(end) of \(file.size - dataStart) bytes of data")
      }
      spans.append((begin, end, member.key))
      guard let dtype = Safetensors.dtypes[dtypeName] else {
        part.unreadable.append(
          Unreadable(name: member.key, reason: "elements of type \(dtypeName) are not supported"))
        continue
      }
      let shape: Shape
      do throws(CheckpointError) {
        shape = try Shape(checking: extents.map { $0 ?? -1 })
      } catch {
        throw error.at(place)
      }
      let needed = dtype.byteCount(of: shape.count)
      guard shape.count % dtype.block.elements == 0, needed == end - begin else {
        throw CheckpointError(
          .damaged, place,
          "\(dtype.rawValue) \(shape) needs \(needed) bytes, but data_offsets span "
            + "\(end - begin)")
      }
      let slice = try FileSlice(file, offset: dataStart + begin, length: end - begin)
      tensors.append(
        (
          begin,
          Tensor(name: member.key, dtype: dtype, shape: shape, payload: SlicePayload(slice))
        ))
    }
    // The whole of the data belongs to exactly one tensor each.
    spans.sort { ($0.begin, $0.end) < ($1.begin, $1.end) }
    var position = 0
    for span in spans {
      guard span.begin == position else {
        throw CheckpointError(
          .damaged, Place(tensor: span.name, offset: dataStart + position),
          span.begin > position ? "leaves a hole before it" : "overlaps the tensor before it")
      }
      position = span.end
    }
    guard position == file.size - dataStart else {
      throw CheckpointError(
        .damaged, Place(offset: dataStart + position),
        "\(file.size - dataStart - position) bytes after the last tensor belong to none")
    }
    // A stable order by place: empty tensors share a place and keep the header's order.
    part.tensors = tensors.enumerated()
      .sorted { ($0.element.begin, $0.offset) < ($1.element.begin, $1.offset) }
      .map(\.element.tensor)
    return part
  }

  private func readIndex(_ probe: Probe) throws(CheckpointError) -> (Part, files: [String]) {
    let index = try ShardIndex(probe)
    var whole = Part()
    try index.readShards { (shard) throws(CheckpointError) in
      let part = try readFile(shard.file)
      whole.tensors += part.tensors
      whole.unreadable += part.unreadable
      whole.add(part.metadata)
      return part.tensors.map(\.name) + part.unreadable.map(\.name)
    }
    whole.add(index.metadata)
    return (whole, [probe.path] + index.paths)
  }

  /// Groups, attributes and aliases from the metadata.
  private func arrange(
    _ tensors: [Tensor], _ metadata: [JSON.Member], into checkpoint: inout Checkpoint
  ) {
    var byName: [String: Tensor] = [:]
    for tensor in tensors { byName[tensor.name] = tensor }
    var plain: [Attribute] = []
    for member in metadata where member.key != Layout.key {
      guard let text = member.value.string else { continue }
      if byName[text] != nil, byName[member.key] == nil {
        byName[text]?.aliases.append(member.key)  // safetensors' own note of a shared tensor
      } else {
        plain.append(Attribute(member.key, text: text))
      }
    }
    let layout = metadata.first { $0.key == Layout.key }?.value.string
    if let layout, let json = try? JSON(parsing: Array(layout.utf8)),
      let restored = Layout(json: json, tensors: Safetensors.untied(byName, json))
    {
      checkpoint.attributes = restored.attributes
      checkpoint.groups = restored.groups
    } else {
      if layout != nil {
        checkpoint.warnings.append(
          "the groups in the metadata do not fit the tensors; they are left out")
      }
      checkpoint.attributes = plain
      checkpoint.groups = [Group(name: "", tensors: tensors.compactMap { byName[$0.name] })]
    }
  }

  /// The tensors by name, and those aliases which the layout lists as tensors of their own: they
  /// were written once.
  private static func untied(_ tensors: [String: Tensor], _ layout: JSON) -> [String: Tensor] {
    var all = tensors
    let listed = Layout.names(layout)
    for (name, tensor) in tensors {
      for alias in tensor.aliases where listed.contains(alias) {
        all[name]?.aliases.removeAll { $0 == alias }
        var twin = tensor.renamed(alias)
        twin.aliases = []
        all[alias] = twin
      }
    }
    return all
  }

  /// The format's names of the element types: ours in capitals, but for complex numbers.
  private static let dtypes: [String: DType] = Dictionary(
    uniqueKeysWithValues: DType.allCases.filter { !$0.isQuantized && $0 != .c128 }
      .map { (spelled($0), $0) })

  private static func spelled(_ dtype: DType) -> String { dtype.rawValue.uppercased() }
}

// MARK: - Writing

extension Safetensors {
  @discardableResult
  public func write(
    _ checkpoint: Checkpoint, to path: String, in output: Output, options: WriteOptions
  ) throws(CheckpointError) -> String {
    let ties = Ties(checkpoint.tensors, looking: options.keepsTies)
    // The widest elements come first, so that every tensor is aligned to its elements.
    let tensors = ties.kept.enumerated()
      .sorted {
        ($1.element.dtype.size, $0.offset) < ($0.element.dtype.size, $1.offset)
      }
      .map(\.element)
    let metadata = metadata(
      checkpoint, ties, reordered: tensors.map(\.name) != ties.kept.map(\.name))
    let stem = path.replacingSuffix(".safetensors", with: "")
    let indexPath = stem + ".safetensors.index.json"
    let shards = ShardIndex.split(tensors, limit: options.maxShardSize)
    // Beside a single file an older index, and beside an index an older file, would be read first
    // by some: transformers prefers the file.
    guard shards.count > 1 else {
      try output.supersede(indexPath)
      try write(tensors, metadata, to: output.file(path))
      return path
    }
    try output.supersede(path)
    // Each shard says what framework it is for; the layout stands in the index alone.
    let shardMetadata = metadata.filter { $0.key != Layout.key }
    var names: [String] = []
    for (number, shard) in shards.enumerated() {
      names.append(ShardIndex.name(stem, number, of: shards.count, suffix: "safetensors"))
      try write(shard, shardMetadata, to: output.file(names[number]))
    }
    try output.file(indexPath).write(
      ShardIndex.bytes(shards, files: names, metadata: metadata), at: 0)
    return indexPath
  }

  private func metadata(
    _ checkpoint: Checkpoint, _ ties: Ties, reordered: Bool
  ) -> [JSON.Member] {
    var metadata: [JSON.Member] = []
    let simple = checkpoint.attributes.allSatisfy {
      $0 == Attribute($0.name, text: $0.text ?? "") && $0.name != Layout.key
    }
    let grouped =
      checkpoint.groups.count != 1 || checkpoint.groups[0].name != ""
      || !checkpoint.groups[0].attributes.isEmpty
    for attribute in checkpoint.attributes {
      if let text = attribute.text, attribute == Attribute(attribute.name, text: text) {
        metadata.append(.init(attribute.name, .string(text)))
      }
    }
    // transformers takes files of PyTorch's weights only, and this is how it tells them.
    if checkpoint.format == Torch().name, checkpoint.text("format") == nil {
      metadata.append(.init("format", .string("pt")))
    }
    if reordered || grouped || !simple || !ties.twins.isEmpty {
      metadata.append(.init(Layout.key, .string(Layout(checkpoint).json.compact)))
    }
    let names = Set(checkpoint.tensors.map(\.name))
    for tensor in checkpoint.tensors {
      for alias in tensor.aliases where !names.contains(alias) {
        metadata.append(.init(alias, .string(tensor.name)))
      }
    }
    for twin in ties.twins { metadata.append(.init(twin.name, .string(twin.kept))) }
    return metadata
  }

  private func write(
    _ tensors: [Tensor], _ metadata: [JSON.Member], to file: OutputFile
  ) throws(CheckpointError) {
    var members: [JSON.Member] = []
    if !metadata.isEmpty { members.append(.init("__metadata__", .object(metadata))) }
    var position = 0
    for tensor in tensors {
      guard tensor.name != "__metadata__" else {
        throw CheckpointError(
          .unsupported, .tensor(tensor.name), "safetensors keeps this name for itself",
          hint: "rename it")
      }
      guard Safetensors.dtypes.values.contains(tensor.dtype),
        tensor.shape.count % tensor.dtype.block.elements == 0
      else {
        throw CheckpointError(
          .unsupported, .tensor(tensor.name),
          "safetensors holds no \(tensor.dtype.rawValue) of shape \(tensor.shape)",
          hint: tensor.dtype.isPacked ? "use --dtype f32" : nil)
      }
      let end = position + tensor.byteCount
      members.append(
        .init(
          tensor.name,
          .object([
            .init("dtype", .string(Safetensors.spelled(tensor.dtype))),
            .init("shape", .array(tensor.shape.extents.map { .number($0) })),
            .init("data_offsets", .array([.number(position), .number(end)])),
          ])))
      position = end
    }
    var header = Array(JSON.object(members).compact.utf8)
    while header.count % 8 != 0 { header.append(0x20) }
    guard header.count <= Safetensors.largestHeader else {
      throw CheckpointError(
        .unsupported, .file(file.target),
        "the header would have \(header.count) bytes; safetensors allows "
          + "\(Safetensors.largestHeader)")
    }
    let length = (0..<8).map { UInt8(truncatingIfNeeded: header.count >> (8 * $0)) }
    try file.reserve(8 + header.count + position)
    try file.write(length + header, at: 0)
    var offset = 8 + header.count
    for tensor in tensors {
      try file.write(tensor, at: offset)
      offset += tensor.byteCount
    }
  }
}
