extension GGUF {
  public func read(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
    var parts = [try readFile(probe.file)]
    var files = [probe.path]
    if let split = parts[0].split, split.count > 1 {
      (parts, files) = try readShards(of: probe.path, parts[0], split)
    }
    var checkpoint = Checkpoint(path: probe.path, files: files, format: name)
    checkpoint.files = files
    var names: Set<String> = []
    for (part, file) in zip(parts, files) {
      for tensor in part.tensors where !names.insert(tensor.name).inserted {
        throw CheckpointError(
          .damaged, Place(file: file, tensor: tensor.name), "stands in two shards")
      }
      checkpoint.unreadable += part.unreadable
      checkpoint.warnings += part.warnings
    }
    arrange(
      parts.flatMap(\.tensors), parts[0].attributes.filter { !GGUF.splitKeys.contains($0.name) },
      into: &checkpoint)
    return checkpoint
  }

  private struct Part {
    var tensors: [Tensor] = []
    var attributes: [Attribute] = []
    var unreadable: [Unreadable] = []
    var warnings: [String] = []

    /// Which shard this is, and of how many.
    var split: (number: Int, count: Int)? {
      guard let number = integer(GGUF.splitKeys[0]), let count = integer(GGUF.splitKeys[1]) else {
        return nil
      }
      return (number, count)
    }

    func integer(_ key: String) -> Int? {
      guard
        case .numbers(let dtype, let shape, let bytes)? = attributes.first(where: {
          $0.name == key
        })?.value, shape.isEmpty, dtype != .bool
      else { return nil }
      let values: [Double] = Elements.decode(bytes, as: dtype)
      return values.first.flatMap { Int(exactly: $0) }
    }
  }

  // MARK: Shards

  /// All shards of the model that `first`, found at `path`, is one of; the first one comes first.
  private func readShards(
    of path: String, _ found: Part, _ split: (number: Int, count: Int)
  ) throws(CheckpointError) -> ([Part], [String]) {
    let own = GGUF.shardSuffix(split.number, split.count)
    guard split.number >= 0, split.number < split.count, split.count <= 99_999 else {
      throw CheckpointError(
        .damaged, .file(path), "is shard \(split.number) of \(split.count) by its metadata")
    }
    guard path.hasSuffix(own) else {
      throw CheckpointError(
        .unsupported, .file(path),
        "is shard \(split.number + 1) of \(split.count) by its metadata, but is not named so",
        hint: "shards are called NAME\(own)")
    }
    var parts: [Part] = []
    var paths: [String] = []
    for number in 0..<split.count {
      let shard = String(path.dropLast(own.count)) + GGUF.shardSuffix(number, split.count)
      paths.append(shard)
      if number == split.number {
        parts.append(found)
        continue
      }
      guard Paths.exists(shard) else {
        throw CheckpointError(
          .cannotRead, .file(path), "the shard \(Paths.name(of: shard)) is missing",
          hint: "put it beside this one")
      }
      let part = try readFile(try File(shard))
      guard let other = part.split, other == (number, split.count) else {
        throw CheckpointError(
          .damaged, .file(shard), "is not shard \(number + 1) of \(split.count) by its metadata")
      }
      parts.append(part)
    }
    let count = parts.reduce(0) { $0 + $1.tensors.count + $1.unreadable.count }
    if let stated = parts[0].integer(GGUF.splitKeys[2]), stated > count {
      throw CheckpointError(
        .damaged, .file(paths[0]), "states \(stated) tensors, but the shards hold \(count)")
    }
    return (parts, paths)
  }

  /// `-00001-of-00003.gguf` for the first of three.
  private static func shardSuffix(_ number: Int, _ count: Int) -> String {
    func padded(_ number: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
    return "-\(padded(number + 1))-of-\(padded(count)).gguf"
  }

  // MARK: One file

  private func readFile(_ file: File) throws(CheckpointError) -> Part {
    do throws(CheckpointError) {
      var cursor = try Cursor(file)
      let tensorCount = try cursor.count("tensors", smallest: cursor.smallestTensor)
      let valueCount = try cursor.count("metadata entries", smallest: cursor.smallestEntry)
      var part = Part()
      var keys: Set<String> = []
      for _ in 0..<valueCount {
        let key = try cursor.text("a key")
        guard keys.insert(key).inserted else {
          throw cursor.reader.fail("the key \(key) stands in the metadata twice")
        }
        do throws(CheckpointError) {
          switch try cursor.value() {
          case .known(let value): part.attributes.append(Attribute(key, value))
          case .unknown(let reason):
            part.unreadable.append(Unreadable(name: key, reason: reason))
          }
        } catch {
          throw error.at(Place(member: key))
        }
      }
      let hasAlignment = keys.contains(GGUF.alignmentKey)
      let alignment = GGUF.alignment(in: part.attributes)
      guard alignment != nil || !hasAlignment else {
        throw CheckpointError(
          .damaged, Place(member: GGUF.alignmentKey),
          "is no power of two up to \(GGUF.largestAlignment) of type u32")
      }
      try readTensors(tensorCount, &cursor, alignment ?? GGUF.defaultAlignment, into: &part)
      return part
    } catch {
      throw error.at(.file(file.path))
    }
  }

  /// What the header says of a tensor.
  private struct Info {
    var name: String
    var shape: Shape
    var type: UInt32
    var offset: Int
  }

  private func readTensors(
    _ count: Int, _ cursor: inout Cursor, _ alignment: Int, into part: inout Part
  ) throws(CheckpointError) {
    var infos: [Info] = []
    infos.reserveCapacity(count)
    var names: Set<String> = []
    for _ in 0..<count {
      let name = try cursor.text("a tensor's name")
      guard names.insert(name).inserted else {
        throw CheckpointError(
          .damaged, Place(tensor: name, offset: cursor.reader.position), "is listed twice")
      }
      do throws(CheckpointError) {
        let rank = Int(try cursor.reader.u32())
        guard rank <= GGUF.largestRank else {
          throw cursor.reader.fail("has \(rank) axes; GGUF allows \(GGUF.largestRank)")
        }
        var extents: [Int] = []
        for _ in 0..<rank { extents.append(try cursor.size()) }
        infos.append(
          Info(
            name: name, shape: try Shape(checking: extents.reversed()),
            type: try cursor.reader.u32(), offset: try cursor.reader.int()))
      } catch {
        throw error.at(.tensor(name))
      }
    }
    let end = cursor.reader.position
    let (padded, overflow) = end.addingReportingOverflow((alignment - end % alignment) % alignment)
    guard !overflow else { throw cursor.reader.fail("the alignment \(alignment) is too large") }
    var spans: [(begin: Int, end: Int, name: String)] = []
    for info in infos {
      do throws(CheckpointError) {
        guard info.offset % alignment == 0 else {
          throw CheckpointError(
            .damaged, Place(), "lies at \(info.offset), no multiple of the alignment \(alignment)")
        }
        guard let dtype = GGUF.types[info.type] else {
          part.unreadable.append(Unreadable(name: info.name, reason: GGUF.unknown(info.type)))
          continue
        }
        let row = info.shape.extents.last ?? 1
        guard row % dtype.block.elements == 0 else {
          throw CheckpointError(
            .damaged, Place(),
            "has rows of \(row) elements, no multiple of the \(dtype.block.elements) of a block "
              + "of \(dtype.rawValue)")
        }
        let length = dtype.byteCount(of: info.shape.count)
        let (begin, overflow) = padded.addingReportingOverflow(info.offset)
        // An empty tensor may stand behind the end of a file without padding.
        guard !overflow, length == 0 || begin <= cursor.file.size,
          length == 0 || length <= cursor.file.size - begin
        else {
          throw CheckpointError(
            .damaged, Place(offset: overflow ? nil : begin),
            "needs \(length) bytes, but the file has \(cursor.file.size)")
        }
        let slice = try FileSlice(
          cursor.file, offset: min(begin, cursor.file.size), length: length)
        spans.append((begin, begin + length, info.name))
        guard let payload = try payload(slice, dtype, info.shape, cursor.reader.order) else {
          part.unreadable.append(
            Unreadable(
              name: info.name,
              reason: "big-endian blocks of \(dtype.rawValue) have no agreed form"))
          continue
        }
        part.tensors.append(
          Tensor(name: info.name, dtype: dtype, shape: info.shape, payload: payload))
      } catch {
        throw error.at(.tensor(info.name))
      }
    }
    spans.sort { ($0.begin, $0.end) < ($1.begin, $1.end) }
    for (before, after) in zip(spans, spans.dropFirst()) where after.begin < before.end {
      throw CheckpointError(
        .damaged, Place(tensor: after.name, offset: after.begin),
        "overlaps the tensor \(before.name)")
    }
  }

  private static func unknown(_ type: UInt32) -> String {
    removed[type].map { "is of type \($0), which ggml has removed" }
      ?? "is of ggml's type \(type), which is not known"
  }

  private func payload(
    _ slice: FileSlice, _ dtype: DType, _ shape: Shape, _ order: ByteReader.ByteOrder
  ) throws(CheckpointError) -> (any Payload)? {
    guard order == .big, dtype.size > 1 else { return SlicePayload(slice) }
    guard dtype.isQuantized else {
      return try StridedPayload(
        stored: SlicePayload(slice), shape: shape, strides: shape.strides, size: dtype.size,
        swapped: dtype.numberSize)
    }
    guard let halves = GGUF.halves(in: dtype) else { return nil }
    return halves.isEmpty
      ? SlicePayload(slice)
      : SwappedBlocks(stored: SlicePayload(slice), size: dtype.block.bytes, halves: halves)
  }

  /// Groups, attributes and order from the layout, where there is one.
  private func arrange(
    _ tensors: [Tensor], _ attributes: [Attribute], into checkpoint: inout Checkpoint
  ) {
    checkpoint.attributes = attributes.filter { $0.name != Layout.key }
    checkpoint.groups = [Group(name: "", tensors: tensors)]
    guard let text = attributes.first(where: { $0.name == Layout.key })?.text else { return }
    let byName = Dictionary(tensors.map { ($0.name, $0) }) { first, _ in first }
    if let json = try? JSON(parsing: Array(text.utf8)),
      let layout = Layout(json: json, tensors: byName)
    {
      checkpoint.attributes = layout.attributes
      checkpoint.groups = layout.groups
    } else {
      checkpoint.warnings.append(
        "the groups in the metadata do not fit the tensors; they are left out")
    }
  }
}

// MARK: - The header's numbers

extension GGUF {
  /// A cursor that knows the version's counts and the file's byte order.
  fileprivate struct Cursor {
    let file: File
    var reader: ByteReader
    let version: UInt32

    /// Bytes of the shortest tensor entry: name, rank, type, offset.
    var smallestTensor: Int { countSize + 4 + 4 + 8 }
    /// Bytes of the shortest metadata entry: key, type, value.
    var smallestEntry: Int { countSize + 4 + 1 }
    private var countSize: Int { version == 1 ? 4 : 8 }

    init(_ file: File) throws(CheckpointError) {
      self.file = file
      reader = ByteReader(try FileSlice(file, offset: 0, length: file.size))
      guard try reader.bytes(4) == GGUF.magic else {
        throw reader.fail("does not begin with GGUF", at: 0)
      }
      var version = try reader.u32()
      // The version is small; in the wrong order it is not.
      if version & 0xffff == 0, version.byteSwapped > 0 {
        version = version.byteSwapped
        reader.order = .big
      }
      guard (1...3).contains(version), reader.order == .little || version == 3 else {
        throw CheckpointError(
          .unsupported, Place(offset: 4), "is of GGUF version \(version); 1 to 3 are known")
      }
      self.version = version
    }

    /// A count of records whose bytes must be left.
    mutating func count(_ what: String, smallest: Int) throws(CheckpointError) -> Int {
      let at = reader.position
      let count = try size()
      guard count <= reader.left / smallest else {
        throw reader.fail("\(count) \(what) are stated, but \(reader.left) bytes are left", at: at)
      }
      return count
    }

    /// A count, a length or an extent: 4 bytes in version 1, later 8.
    mutating func size() throws(CheckpointError) -> Int {
      version == 1 ? Int(try reader.u32()) : try reader.int()
    }

    mutating func text(_ what: String) throws(CheckpointError) -> String {
      let length = try size()
      try reader.need(length, for: what)
      return try reader.text(length)
    }

    enum Value {
      case known(Attribute.Value)
      /// One that no attribute holds, with the reason.
      case unknown(String)
    }

    /// A value with its type before it.
    mutating func value() throws(CheckpointError) -> Value {
      let type = try type()
      guard type == .array else { return try elements(type, count: 1, shape: []) }
      let element = try self.type()
      guard element != .array else {
        let count = try count("arrays", smallest: 4)
        for _ in 0..<count { try skipArray(depth: 1) }
        return .unknown("is an array of arrays")
      }
      let smallest = element.dtype?.size ?? (version == 1 ? 4 : 8)
      let count = try count("elements", smallest: smallest)
      return try elements(element, count: count, shape: [count])
    }

    private mutating func type() throws(CheckpointError) -> ValueType {
      let at = reader.position
      let code = try reader.u32()
      guard let type = ValueType(rawValue: code) else {
        throw reader.fail("\(code) is no type of a metadata value", at: at)
      }
      return type
    }

    private mutating func elements(
      _ type: ValueType, count: Int, shape: [Int]
    ) throws(CheckpointError) -> Value {
      if let dtype = type.dtype {
        let at = reader.position
        var bytes = try reader.bytes(count * dtype.size)
        if reader.order == .big, dtype.size > 1 {
          for start in stride(from: 0, to: bytes.count, by: dtype.size) {
            bytes[start..<(start + dtype.size)].reverse()
          }
        }
        if dtype == .bool, let index = bytes.firstIndex(where: { $0 > 1 }) {
          throw reader.fail("\(bytes[index]) is neither true nor false", at: at + index)
        }
        return .known(.numbers(dtype, shape: shape, bytes: bytes))
      }
      var texts: [String] = []
      texts.reserveCapacity(count)
      var isText = true
      for _ in 0..<count {
        let length = try size()
        try reader.need(length, for: "a text")
        if let text = try reader.textIfValid(length) {
          texts.append(text)
        } else {
          isText = false
        }
      }
      guard isText else { return .unknown("holds text that is not UTF-8") }
      return .known(.text(texts, shape: shape, type: Attribute.TextType()))
    }

    /// Goes over an array inside an array.
    private mutating func skipArray(depth: Int) throws(CheckpointError) {
      guard depth < 16 else { throw reader.fail("arrays are nested too deeply") }
      let element = try type()
      let smallest = element == .array ? 4 : element.dtype?.size ?? (version == 1 ? 4 : 8)
      let count = try count("elements", smallest: smallest)
      if let dtype = element.dtype {
        try reader.skip(count * dtype.size)
        return
      }
      for _ in 0..<count {
        if element == .array {
          try skipArray(depth: depth + 1)
        } else {
          try reader.skip(try size())
        }
      }
    }
  }

  /// Blocks whose halves lie big-endian.
  private struct SwappedBlocks: Payload {
    let stored: SlicePayload
    /// Bytes of a block.
    let size: Int
    /// Places of the halves in a block.
    let halves: [Int]

    var byteCount: Int { stored.byteCount }
    var storage: String { "contiguous, big-endian" }
    var isWindowed: Bool { true }

    func read(at offset: Int, into buffer: inout MutableRawSpan) throws(CheckpointError) {
      let first = offset / size * size
      let last = min(byteCount, (offset + buffer.byteCount + size - 1) / size * size)
      var bytes = [UInt8](repeating: 0, count: last - first)
      var span = bytes.mutableSpan
      var raw = unsafe span.mutableBytes
      try stored.read(at: first, into: &raw)
      for block in stride(from: 0, to: bytes.count, by: size) {
        for half in halves { bytes.swapAt(block + half, block + half + 1) }
      }
      try BytesPayload(bytes).read(at: offset - first, into: &buffer)
    }
  }
}
