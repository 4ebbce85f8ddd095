extension GGUF {
  /// Writes version 3, little-endian: header, metadata in the attributes' order, tensors in theirs.
  ///
  /// - Throws: ``CheckpointError`` naming the tensor that GGUF cannot hold.
  @discardableResult
  public func write(
    _ checkpoint: Checkpoint, to path: String, in output: Output, options: WriteOptions
  ) throws(CheckpointError) -> String {
    do throws(CheckpointError) {
      var names: Set<String> = []
      for tensor in checkpoint.tensors {
        try check(tensor)
        guard names.insert(tensor.name).inserted else {
          throw CheckpointError(.unsupported, .tensor(tensor.name), "stands here twice")
        }
      }
    } catch {
      throw error.at(.file(path))
    }
    let entries = metadata(checkpoint)
    let alignment = GGUF.alignment(in: checkpoint.attributes) ?? GGUF.defaultAlignment
    func padded(_ count: Int) -> Int { (count + alignment - 1) / alignment * alignment }

    var header = GGUF.magic
    header.append(little: UInt32(3))
    header.append(little: UInt64(checkpoint.tensors.count))
    header.append(little: UInt64(entries.count))
    for (key, value) in entries {
      GGUF.append(key, to: &header)
      header += value
    }
    var offset = 0
    for tensor in checkpoint.tensors {
      GGUF.append(tensor.name, to: &header)
      header.append(little: UInt32(tensor.shape.rank))
      for extent in tensor.shape.extents.reversed() { header.append(little: UInt64(extent)) }
      header.append(little: GGUF.codes[tensor.dtype] ?? 0)  // checked above
      header.append(little: UInt64(offset))
      offset += padded(tensor.byteCount)
    }
    header += [UInt8](repeating: 0, count: padded(header.count) - header.count)

    let file = try output.file(path)
    try file.write(header, at: 0)
    var position = header.count
    for tensor in checkpoint.tensors {
      try file.write(tensor, at: position)
      let end = position + tensor.byteCount
      position += padded(tensor.byteCount)
      // ggml reads the padding of the last tensor too.
      try file.write([UInt8](repeating: 0, count: position - end), at: end)
    }
    return path
  }

  /// Whether GGUF, as ggml reads it, can hold the tensor.
  private func check(_ tensor: Tensor) throws(CheckpointError) {
    func refuse(_ reason: String, hint: String?) -> CheckpointError {
      CheckpointError(.unsupported, .tensor(tensor.name), reason, hint: hint)
    }
    let leave = "to go on without it: --allow-drop '\(tensor.name)'"
    guard GGUF.codes[tensor.dtype] != nil else {
      throw refuse(
        "GGUF holds no \(tensor.dtype.rawValue)",
        hint: tensor.isCastable ? "use --dtype f32" : leave)
    }
    guard (tensor.shape.extents.last ?? 1) % tensor.dtype.block.elements == 0 else {
      throw refuse(
        "rows of shape \(tensor.shape) do not fill blocks of \(tensor.dtype.rawValue)",
        hint: tensor.isCastable ? "use --dtype f32" : leave)
    }
    guard tensor.shape.rank <= GGUF.largestRank else {
      throw refuse(
        "has \(tensor.shape.rank) axes; GGUF allows \(GGUF.largestRank)", hint: leave)
    }
    guard !tensor.name.utf8.contains(0) else {
      throw refuse("a name with a NUL ends there for ggml", hint: "use --apply rename='OLD=>NEW'")
    }
  }

  /// Keys and values: the attributes that GGUF has types for, and the layout where they or the
  /// groups would not come back from those alone.
  private func metadata(_ checkpoint: Checkpoint) -> [(key: String, value: [UInt8])] {
    var entries: [(key: String, value: [UInt8])] = []
    var keys: Set<String> = [Layout.key]
    var isWhole = true
    for attribute in checkpoint.attributes {
      if let value = GGUF.value(of: attribute), isFree(attribute),
        keys.insert(attribute.name).inserted
      {
        entries.append((attribute.name, value))
      } else {
        isWhole = false
      }
    }
    let isPlain =
      checkpoint.groups.isEmpty
      || checkpoint.groups.count == 1 && checkpoint.groups[0].name == ""
        && checkpoint.groups[0].attributes.isEmpty
    if !isWhole || !isPlain {
      let layout = Attribute(Layout.key, text: Layout(checkpoint).json.compact)
      entries.append((layout.name, GGUF.value(of: layout) ?? []))
    }
    return entries
  }

  /// Whether the attribute's name means in GGUF what it meant before.
  private func isFree(_ attribute: Attribute) -> Bool {
    if GGUF.splitKeys.contains(attribute.name) { return false }
    return attribute.name != GGUF.alignmentKey || GGUF.alignment(in: [attribute]) != nil
  }
}
