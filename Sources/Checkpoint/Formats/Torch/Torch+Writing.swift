extension Torch {
  /// Writes zips that `torch.load(path, weights_only=True)` reads: an ordered dictionary of tensors
  /// under their names.
  ///
  /// Tensors that lie at the same place share a storage, as tied weights do. Groups and attributes,
  /// for which PyTorch has no place, go to a record that it ignores.
  ///
  /// - Throws: ``CheckpointError`` naming the tensor whose element type PyTorch does not have.
  @discardableResult
  public func write(
    _ checkpoint: Checkpoint, to path: String, in output: Output, options: WriteOptions
  ) throws(CheckpointError) -> String {
    let tensors = checkpoint.tensors
    for tensor in tensors where TorchDType.spelled(tensor.dtype) == nil {
      throw CheckpointError(
        .unsupported, Place(file: path, tensor: tensor.name),
        "PyTorch has no \(tensor.dtype.rawValue)", hint: "use --dtype f32")
    }
    let layout = Layout.isNeeded(checkpoint) ? Layout(checkpoint).json.compact : nil
    let suffix = suffixes.first { path.lowercased().hasSuffix("." + $0) } ?? suffixes[0]
    let stem = path.replacingSuffix("." + suffix, with: "")
    let indexPath = "\(stem).\(suffix).index.json"
    let shards = ShardIndex.split(tensors, limit: options.maxShardSize)
    guard shards.count > 1 else {
      try output.supersede(indexPath)
      try write(tensors, options, layout: layout, to: output.file(path))
      return path
    }
    try output.supersede(path)
    var names: [String] = []
    for (number, shard) in shards.enumerated() {
      names.append(ShardIndex.name(stem, number, of: shards.count, suffix: suffix))
      try write(shard, options, layout: nil, to: output.file(names[number]))
    }
    try output.file(indexPath).write(
      ShardIndex.bytes(
        shards, files: names,
        metadata: layout.map { [.init(Layout.key, .string($0))] } ?? []), at: 0)
    return indexPath
  }

  private func write(
    _ tensors: [Tensor], _ options: WriteOptions, layout: String?, to file: OutputFile
  ) throws(CheckpointError) {
    let ties = Ties(tensors, looking: options.keepsTies)
    var keys: [String: Int] = [:]
    for (number, tensor) in ties.kept.enumerated() { keys[tensor.name] = number }
    for twin in ties.twins { keys[twin.name] = keys[twin.kept] }
    let pickle = Torch.pickle(tensors, keys)
    try file.reserve(ties.kept.reduce(pickle.count) { $0 + $1.byteCount })
    var writer = ZipWriter(file)
    try writer.add("archive/data.pkl", bytes: pickle)
    try writer.add("archive/byteorder", bytes: Array("little".utf8))
    for (number, tensor) in ties.kept.enumerated() {
      try writer.add("archive/data/\(number)", bytes: [], tensor: tensor)
    }
    try writer.add("archive/version", bytes: Array("3\n".utf8))
    if let layout {
      try writer.add("archive/.data/\(Layout.key)", bytes: Array(layout.utf8))
    }
    try writer.finish()
  }

  /// The pickle of an ordered dictionary of tensors.
  ///
  /// - Parameter keys: the number of each tensor's storage.
  private static func pickle(_ tensors: [Tensor], _ keys: [String: Int]) -> [UInt8] {
    var pickle = PickleWriter()
    func writeEmptyDictionary() {
      pickle.write(global: "collections", "OrderedDict")
      pickle.write(.emptyTuple)
      pickle.write(.reduce)
    }
    writeEmptyDictionary()
    pickle.write(.mark)
    for tensor in tensors {
      guard let (dtype, storage) = TorchDType.spelled(tensor.dtype) else { continue }
      pickle.write(tensor.name)
      pickle.write(
        global: "torch._utils", storage == nil ? "_rebuild_tensor_v3" : "_rebuild_tensor_v2")
      pickle.write(.mark)
      // The storage: ('storage', class, key, location, elements).
      pickle.write(.mark)
      pickle.write(common: "storage")
      if let storage {
        pickle.write(global: "torch", storage)
      } else {
        pickle.write(global: "torch.storage", TorchDType.untyped)
      }
      pickle.write(String(keys[tensor.name] ?? 0))
      pickle.write(common: "cpu")
      pickle.write(storage == nil ? tensor.byteCount : tensor.shape.count)
      pickle.write(.tuple)
      pickle.write(.binaryPersistent)
      // Offset, size, stride, whether it needs a gradient, hooks.
      pickle.write(0)
      pickle.write(tensor.shape.extents)
      pickle.write(tensor.shape.torchStrides)
      pickle.write(.no)
      writeEmptyDictionary()
      if storage == nil { pickle.write(global: "torch", dtype) }
      pickle.write(.tuple)
      pickle.write(.reduce)
    }
    pickle.write(.setItems)
    pickle.write(.stop)
    return pickle.bytes
  }
}

extension Shape {
  /// Row-major strides as PyTorch has them: empty axes count as one.
  fileprivate var torchStrides: [Int] { Shape(extents.map { max($0, 1) }).strides }
}
