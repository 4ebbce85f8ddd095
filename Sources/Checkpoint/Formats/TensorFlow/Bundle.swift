/// A TensorFlow checkpoint of version 2: `PREFIX.index`, a sorted table, and data shards.
///
/// Source: `tensorflow/core/util/tensor_bundle/tensor_bundle.cc`.
struct Bundle {
  private let index: File
  private let prefix: String
  private var header = BundleHeader(shards: 0)
  private var entries: [(key: [UInt8], entry: BundleEntry)] = []
  /// Entries of parts, whose keys begin with a zero byte.
  private var parts: [[UInt8]: BundleEntry] = [:]
  private var usedParts: Set<[UInt8]> = []
  private var shards: [Int: File] = [:]
  /// Bytes of texts that may still be read: no more than the shards have.
  private var textBudget = 0

  /// A tensor of texts that is larger, or has more of them, is not read into memory.
  private static let largestText = 64 << 20
  private static let mostTexts = 1 << 20

  private(set) var tensors: [Tensor] = []
  private(set) var attributes: [Attribute] = []
  private(set) var unreadable: [Unreadable] = []

  /// Files that tensors were found in.
  var files: [String] {
    [index.path] + shards.keys.sorted().compactMap { shards[$0]?.path }
  }

  /// Reads the index; every entry is compared with its shard's size.
  init(_ table: SortedTable) throws(CheckpointError) {
    index = table.file
    prefix = index.path.replacingSuffix(TFCheckpoint.indexSuffix, with: "")
    var header: BundleHeader?
    var entries: [(key: [UInt8], entry: BundleEntry)] = []
    var parts: [[UInt8]: BundleEntry] = [:]
    try table.forEach { (key, value) throws(CheckpointError) in
      if key.isEmpty {
        header = try BundleHeader(Protobuf(value.reader))
      } else if key[0] == 0 {
        parts[key] = try BundleEntry(Protobuf(value.reader))
      } else {
        entries.append((key, try BundleEntry(Protobuf(value.reader))))
      }
    }
    guard let header, header.shards > 0 else {
      throw CheckpointError(.damaged, .file(index.path), "has no header with a count of shards")
    }
    guard header.oldestReader <= BundleHeader.version else {
      throw CheckpointError(
        .unsupported, .file(index.path),
        "wants a reader of version \(header.oldestReader); ckpt reads \(BundleHeader.version)")
    }
    (self.header, self.entries, self.parts) = (header, entries, parts)
    for (key, entry) in entries {
      guard let name = String(validating: key, as: UTF8.self) else {
        unreadable.append(
          Unreadable(name: String(decoding: key, as: UTF8.self), reason: "its name is not UTF-8"))
        continue
      }
      do throws(CheckpointError) {
        try add(entry, name, key)
      } catch {
        throw error.at(Place(file: index.path, tensor: name))
      }
    }
    let lost = parts.count - usedParts.count
    if lost > 0 {
      throw CheckpointError(
        .damaged, .file(index.path), "\(lost) parts of tensors belong to no tensor")
    }
  }

  private mutating func add(
    _ entry: BundleEntry, _ name: String, _ key: [UInt8]
  ) throws(CheckpointError) {
    guard !entry.isRankUnknown else {
      throw CheckpointError(.damaged, Place(), "has no shape")
    }
    let shape = try Shape(checking: entry.extents)
    if entry.type == TensorFlowType.string, entry.slices.isEmpty {
      return try addText(entry, name, shape)
    }
    guard let dtype = TensorFlowType.dtype(entry.type) else {
      for slice in entry.slices { usedParts.insert(slice.key(of: key)) }
      if entry.slices.isEmpty { _ = try self.slice(entry) }
      unreadable.append(Unreadable(name: name, reason: TensorFlowType.reason(entry.type)))
      return
    }
    let payload =
      entry.slices.isEmpty
      ? try self.payload(entry, dtype, shape) : try partitioned(entry, key, dtype, shape)
    tensors.append(Tensor(name: name, dtype: dtype, shape: shape, payload: payload))
  }

  // MARK: Numbers

  /// The entry's bytes in its shard.
  private mutating func slice(_ entry: BundleEntry) throws(CheckpointError) -> FileSlice {
    try FileSlice(try shard(entry.shard), offset: entry.offset, length: entry.size)
  }

  private mutating func payload(
    _ entry: BundleEntry, _ dtype: DType, _ shape: Shape
  ) throws(CheckpointError) -> any Payload {
    let slice = try slice(entry)
    try check(entry, dtype, shape)
    let checksum = Checksum(.crc32c, Checksum.unmasked(entry.checksum))
    guard header.isBigEndian, dtype.numberSize > 1 else {
      return SlicePayload(slice, checksum: checksum)
    }
    let swapped = try StridedPayload(
      stored: SlicePayload(slice), shape: shape, strides: shape.strides, size: dtype.size,
      swapped: dtype.numberSize)
    return CheckedPayload(payload: swapped, stored: [(slice, checksum)])
  }

  private func check(
    _ entry: BundleEntry, _ dtype: DType, _ shape: Shape
  ) throws(CheckpointError) {
    let needed = dtype.byteCount(of: shape.count)
    guard entry.size == needed else {
      throw CheckpointError(
        .damaged, Place(),
        "\(dtype.rawValue) \(shape) needs \(needed) bytes, but the entry says \(entry.size)")
    }
  }

  private mutating func partitioned(
    _ entry: BundleEntry, _ key: [UInt8], _ dtype: DType, _ shape: Shape
  ) throws(CheckpointError) -> any Payload {
    var found: [PartitionedPayload.Part] = []
    var stored: [(slice: FileSlice, checksum: Checksum)] = []
    for (number, slice) in entry.slices.enumerated() {
      guard let box = slice.box(in: shape) else {
        throw CheckpointError(.damaged, Place(), "part \(number) reaches beyond shape \(shape)")
      }
      let partKey = slice.key(of: key)
      guard let part = parts[partKey] else {
        throw CheckpointError(.damaged, Place(), "part \(number) is not in the index")
      }
      guard usedParts.insert(partKey).inserted else {
        throw CheckpointError(.damaged, Place(), "part \(number) stands there twice")
      }
      guard part.type == entry.type, part.extents == box.extents, part.slices.isEmpty else {
        throw CheckpointError(
          .damaged, Place(), "part \(number) is of another type or shape than its tensor says")
      }
      let payload = try self.payload(part, dtype, Shape(checking: box.extents))
      if let slice = payload.slice, let checksum = payload.checksum {
        stored.append((slice, checksum))
      }
      found.append(PartitionedPayload.Part(box: box, payload: payload))
    }
    let whole = try PartitionedPayload(shape: shape, size: dtype.size, parts: found)
    return CheckedPayload(payload: whole, stored: stored)
  }

  private mutating func shard(_ number: Int) throws(CheckpointError) -> File {
    if let file = shards[number] { return file }
    guard number >= 0, number < header.shards else {
      throw CheckpointError(
        .damaged, Place(), "lies in shard \(number) of \(header.shards), counted from 0")
    }
    let path = TFCheckpoint.shard(number, of: header.shards, prefix: prefix)
    guard Paths.exists(path) else {
      throw CheckpointError(
        .cannotRead, .file(index.path), "the data shard \(Paths.name(of: path)) is missing",
        hint: "put it beside the index")
    }
    let file = try File(path)
    shards[number] = file
    textBudget += file.size
    return file
  }

  // MARK: Texts

  /// A tensor of byte strings becomes an attribute.
  ///
  /// The lengths as varints, their checksum, the bytes of all strings.
  private mutating func addText(
    _ entry: BundleEntry, _ name: String, _ shape: Shape
  ) throws(CheckpointError) {
    let slice = try slice(entry)
    guard entry.size <= Bundle.largestText, shape.count <= Bundle.mostTexts else {
      unreadable.append(
        Unreadable(name: name, reason: "holds \(shape.count) texts in \(entry.size) bytes"))
      return
    }
    textBudget -= entry.size
    guard textBudget >= 0 else {
      throw CheckpointError(.damaged, Place(), "shares its bytes with other texts")
    }
    let place = Place(file: slice.file.path, offset: slice.offset)
    var reader = ByteReader(
      try slice.file.bytes(at: slice.offset, count: slice.length), at: slice.offset)
    if header.isBigEndian { reader.order = .big }
    let texts: [[UInt8]]
    do throws(CheckpointError) {
      texts = try BundleText.read(&reader, count: shape.count, checksum: entry.checksum)
    } catch {
      throw error.at(place)
    }
    let strings = texts.compactMap { String(validating: $0, as: UTF8.self) }
    if name == ObjectGraph.key, shape.rank == 0 {
      attributes.append(
        Attribute(name, .numbers(.u8, shape: [texts[0].count], bytes: texts[0])))
    } else if strings.count == texts.count {
      attributes.append(
        Attribute(name, .text(strings, shape: shape.extents, type: Attribute.TextType())))
    } else if texts.count == 1 {
      attributes.append(
        Attribute(name, .numbers(.u8, shape: [texts[0].count], bytes: texts[0])))
    } else {
      unreadable.append(Unreadable(name: name, reason: "holds byte strings that are not UTF-8"))
    }
  }
}

/// Byte strings in a data shard.
enum BundleText {
  /// - Parameter checksum: masked, over the lengths as numbers, their checksum and the bytes.
  static func read(
    _ reader: inout ByteReader, count: Int, checksum: UInt32
  ) throws(CheckpointError) -> [[UInt8]] {
    try reader.need(count, for: "the lengths of \(count) texts")
    var state = ChecksumState(.crc32c)
    var lengths: [Int] = []
    for _ in 0..<count {
      let length = try reader.length()
      lengths.append(length)
      state.update(number(length, bigEndian: reader.order == .big))
    }
    let at = reader.position
    guard try reader.u32() == Checksum.masked(state.value) else {
      throw reader.fail("the lengths of texts do not match their checksum (CRC-32C)", at: at)
    }
    try reader.seek(at)
    state.update(try reader.bytes(4))
    var texts: [[UInt8]] = []
    for length in lengths {
      let text = try reader.bytes(length)
      state.update(text)
      texts.append(text)
    }
    guard reader.left == 0 else {
      throw reader.fail("\(reader.left) bytes follow the last text")
    }
    try state.check(Checksum(.crc32c, Checksum.unmasked(checksum)))
    return texts
  }

  /// The stored bytes and their masked checksum.
  static func bytes(_ texts: [[UInt8]]) -> (bytes: [UInt8], checksum: UInt32) {
    var state = ChecksumState(.crc32c)
    var bytes: [UInt8] = []
    for text in texts {
      ProtobufWriter.append(UInt64(text.count), to: &bytes)
      state.update(number(text.count, bigEndian: false))
    }
    var stated: [UInt8] = []
    stated.append(little: Checksum.masked(state.value))
    for part in [stated] + texts {
      state.update(part)
      bytes += part
    }
    return (bytes, Checksum.masked(state.value))
  }

  /// A length as it is checked: 4 bytes, or 8 where those do not suffice.
  private static func number(_ length: Int, bigEndian: Bool) -> [UInt8] {
    var bytes: [UInt8] = []
    if length <= UInt32.max {
      bytes.append(little: UInt32(length))
    } else {
      bytes.append(little: UInt64(length))
    }
    return bigEndian ? bytes.reversed() : bytes
  }
}
