extension TFCheckpoint {
  /// What goes into a bundle, sorted by key, and what does not.
  private struct Plan {
    enum Content {
      case tensor(Tensor)
      /// As they are stored, and their masked checksum.
      case texts(bytes: [UInt8], checksum: UInt32)
    }

    struct Item {
      let key: [UInt8]
      let type: Int
      let extents: [Int]
      let content: Content

      var byteCount: Int {
        switch content {
        case .tensor(let tensor): tensor.byteCount
        case .texts(let bytes, _): bytes.count
        }
      }
    }

    private(set) var items: [Item] = []
    private(set) var leftOut: [String] = []

    /// - Throws: ``CheckpointError`` naming the tensor that a bundle cannot hold.
    init(_ checkpoint: Checkpoint) throws(CheckpointError) {
      var names: Set<String> = []
      for tensor in checkpoint.tensors {
        try Plan.check(tensor.name)
        guard let type = TensorFlowType.number(tensor.dtype) else {
          throw CheckpointError(
            .unsupported, .tensor(tensor.name),
            "TensorFlow has no elements of type \(tensor.dtype.rawValue)", hint: "use --dtype f32")
        }
        guard tensor.shape.rank <= TensorSlice.largestRank else {
          throw CheckpointError(
            .unsupported, .tensor(tensor.name),
            "TensorFlow has no tensors of rank "
              + "\(tensor.shape.rank)")
        }
        guard names.insert(tensor.name).inserted else {
          throw CheckpointError(.unsupported, .tensor(tensor.name), "stands there twice")
        }
        items.append(
          Item(
            key: Array(tensor.name.utf8), type: type, extents: tensor.shape.extents,
            content: .tensor(tensor)))
      }
      add(checkpoint.attributes, &names)
      let groups = checkpoint.groups.filter { !$0.name.isEmpty || !$0.attributes.isEmpty }
      if !groups.isEmpty {
        leftOut.append("\(groups.count) groups (layers)")
      }
      items.sort { $0.key.lexicographicallyPrecedes($1.key) }
    }

    private static func check(_ name: String) throws(CheckpointError) {
      // The empty key is the header's, and a zero byte begins the key of a part.
      guard let first = name.utf8.first, first != 0 else {
        throw CheckpointError(
          .unsupported, .tensor(name),
          name.isEmpty
            ? "TensorFlow keeps the empty name for itself"
            : "TensorFlow keeps names that begin with a zero byte for itself",
          hint: "rename it with --apply rename")
      }
    }

    /// Texts are tensors of texts; the object graph is one, without the values that are gone.
    private mutating func add(_ attributes: [Attribute], _ names: inout Set<String>) {
      var others: [String] = []
      var graph: [UInt8]?
      for attribute in attributes {
        if attribute.name == ObjectGraph.key, case .numbers(.u8, _, let bytes) = attribute.value {
          graph = bytes
        } else if case .text(let texts, let shape, _) = attribute.value,
          let first = attribute.name.utf8.first, first != 0,
          names.insert(attribute.name).inserted
        {
          items.append(
            Item(
              key: Array(attribute.name.utf8), type: TensorFlowType.string, extents: shape,
              content: Plan.stored(texts.map { Array($0.utf8) })))
        } else {
          others.append(attribute.name)
        }
      }
      if let graph {
        if let kept = try? ObjectGraph(graph).kept(names), names.insert(ObjectGraph.key).inserted {
          items.append(
            Item(
              key: Array(ObjectGraph.key.utf8), type: TensorFlowType.string, extents: [],
              content: Plan.stored([kept])))
        } else {
          leftOut.append("\(ObjectGraph.key): it names values that are not in the checkpoint")
        }
      }
      if !others.isEmpty {
        leftOut.append("attributes: \(others.joined(separator: ", "))")
      }
    }

    private static func stored(_ texts: [[UInt8]]) -> Content {
      let (bytes, checksum) = BundleText.bytes(texts)
      return .texts(bytes: bytes, checksum: checksum)
    }

    /// The items of each shard, in order.
    func shards(limit: Int?) -> [Range<Int>] {
      guard let limit else { return [0..<items.count] }
      var shards: [Range<Int>] = []
      var start = 0
      var size = 0
      for (index, item) in items.enumerated() {
        if size + item.byteCount > limit, index > start {
          shards.append(start..<index)
          (start, size) = (index, 0)
        }
        size += item.byteCount
      }
      return shards + [start..<items.count]
    }
  }

  public func leavesOut(_ checkpoint: Checkpoint) -> [String] {
    (try? Plan(checkpoint))?.leftOut ?? []
  }

  @discardableResult
  public func write(
    _ checkpoint: Checkpoint, to path: String, in output: Output, options: WriteOptions
  ) throws(CheckpointError) -> String {
    let prefix = path.replacingSuffix(TFCheckpoint.indexSuffix, with: "")
    let index = prefix + TFCheckpoint.indexSuffix
    let plan: Plan
    do throws(CheckpointError) {
      plan = try Plan(checkpoint)
    } catch {
      throw error.at(.file(index))
    }
    let state = try state(for: prefix, in: output)
    // Another file of that name would be opened in the checkpoint's place.
    if prefix == path { try output.supersede(prefix) }
    let shards = plan.shards(limit: options.maxShardSize)
    try supersedeShards(of: prefix, but: shards.count, in: output)
    var table = SortedTableWriter()
    table.append([], BundleHeader(shards: shards.count).bytes)
    for (number, range) in shards.enumerated() {
      let file = try output.file(
        TFCheckpoint.shard(number, of: shards.count, prefix: prefix))
      try file.reserve(plan.items[range].reduce(0) { $0 + $1.byteCount })
      var position = 0
      for item in plan.items[range] {
        var entry = BundleEntry(type: item.type, extents: item.extents)
        (entry.shard, entry.offset) = (number, position)
        switch item.content {
        case .tensor(let tensor):
          entry.size = tensor.byteCount
          let checksum = try file.write(tensor, at: position, summing: .crc32c)
          entry.checksum = Checksum.masked(checksum.value)
        case .texts(let bytes, let checksum):
          (entry.size, entry.checksum) = (bytes.count, checksum)
          try file.write(bytes, at: position)
        }
        position += entry.size
        table.append(item.key, entry.bytes)
      }
    }
    table.finish()
    try output.file(index).write(table.bytes, at: 0)
    if let state {
      try output.file(state.path).write(state.content.bytes, at: 0)
    }
    return index
  }

  /// Shards of an earlier checkpoint of that name, in another number.
  private func supersedeShards(
    of prefix: String, but count: Int, in output: Output
  ) throws(CheckpointError) {
    let folder = Paths.folder(of: prefix)
    let ours = Set(
      (0..<count).map { Paths.name(of: TFCheckpoint.shard($0, of: count, prefix: prefix)) })
    let start = Paths.name(of: prefix) + ".data-"
    for name in Paths.list(folder) where name.hasPrefix(start) && !ours.contains(name) {
      guard TFCheckpoint.prefix(ofShard: name) != nil else { continue }
      try output.supersede(Paths.join(folder, name))
    }
  }

  /// The file `checkpoint` beside the result, or `nil` when it says what it should.
  ///
  /// - Throws: ``CheckpointError`` when it names another one as the latest and may not be replaced;
  ///   the others stay in its list.
  private func state(
    for prefix: String, in output: Output
  ) throws(CheckpointError) -> (path: String, content: CheckpointState)? {
    let path = Paths.join(Paths.folder(of: prefix), CheckpointState.fileName)
    let name = Paths.name(of: prefix)
    guard name != CheckpointState.fileName else {
      throw CheckpointError(
        .usage, .file(path), "is the file that names checkpoints", hint: "choose another name")
    }
    var content = CheckpointState(latest: name, all: [])
    if Paths.exists(path), let before = try? CheckpointState(reading: path) {
      if before.latest == name { return nil }
      do throws(CheckpointError) {
        try output.check(path)
      } catch {
        throw CheckpointError(
          .usage, .file(path), "names another checkpoint, \(before.latest)",
          hint: "use --overwrite to let it name \(name) and keep the others in its list, "
            + "or write to another folder")
      }
      content.all = before.all.filter { $0 != name }
    }
    content.all.append(name)
    return (path, content)
  }
}
