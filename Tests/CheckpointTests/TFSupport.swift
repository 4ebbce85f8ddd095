import TestSupport
import Testing

@testable import Checkpoint

/// Where the fixtures are, and what TensorFlow reads from them.
enum TFFixtures {
  static func path(_ name: String) -> String { Fixtures.path("tf", name) }

  static func open(_ name: String) throws -> Checkpoint { try Opening(path(name)).checkpoint }

  static let expected: [(file: String, tensors: [(name: String, entry: JSON)])] = {
    guard let bytes = try? File.contents(of: path("expected.json")),
      let json = try? JSON(parsing: bytes)
    else { return [] }
    return (json.members ?? []).map { file in
      (file.key, (file.value.members ?? []).map { ($0.key, $0.value) })
    }
  }()
}

extension Checkpoint {
  /// Fails unless a tensor is what the original library read.
  func check(_ name: String, _ expected: JSON) throws {
    let tensor = try self.tensor(name)
    #expect(tensor.dtype.rawValue == expected["dtype"]?.string, "\(name)")
    #expect(tensor.shape.extents == expected["shape"]?.array?.compactMap(\.int), "\(name)")
    var digest = SHA256()
    try tensor.readWindows { bytes in digest.update(bytes) }
    #expect(digest.hex().prefix(24) == expected["sha256"]?.string ?? "", "\(name)")
  }
}

extension TemporaryFolder {
  /// Writes a bundle and opens it again.
  @discardableResult
  func bundle(
    _ checkpoint: Checkpoint, _ prefix: String = "model", overwrite: Bool = false,
    options: WriteOptions = WriteOptions()
  ) throws -> Checkpoint {
    let output = Output(overwrite: overwrite, inputs: [])
    let index = try TFCheckpoint().write(
      checkpoint, to: file(prefix), in: output, options: options)
    try output.commit(durable: false)
    return try TFCheckpoint().read(Probe(index))
  }

  @discardableResult
  func bundle(_ tensors: [Tensor], _ prefix: String = "model") throws -> Checkpoint {
    try bundle(Checkpoint(groups: [Group(name: "", tensors: tensors)]), prefix)
  }

  /// An index of these entries beside a shard of as many bytes; opens it.
  func bundle(
    entries: [(key: [UInt8], value: [UInt8])], data: Int = 64, header: [UInt8]? = nil
  ) throws -> Checkpoint {
    var table = SortedTableWriter()
    table.append([], header ?? BundleHeader(shards: 1).bytes)
    for (key, value) in entries { table.append(key, value) }
    table.finish()
    try file("a.data-00000-of-00001", [UInt8](repeating: 0, count: data))
    return try TFCheckpoint().read(Probe(file("a.index", table.bytes)))
  }

  /// A table of one block with these contents, and its index of blocks; opens it.
  func table(
    block: [UInt8], compression: UInt8 = 0, checksum: UInt32? = nil, index: [UInt8]? = nil
  ) throws -> Checkpoint {
    var bytes: [UInt8] = []
    func add(_ contents: [UInt8], _ compression: UInt8, _ checksum: UInt32? = nil) -> [UInt8] {
      var handle: [UInt8] = []
      ProtobufWriter.append(UInt64(bytes.count), to: &handle)
      ProtobufWriter.append(UInt64(contents.count), to: &handle)
      var state = ChecksumState(.crc32c)
      state.update(contents + [compression])
      bytes += contents + [compression]
      bytes.append(little: checksum ?? Checksum.masked(state.value))
      return handle
    }
    let handle = index ?? add(block, compression, checksum)
    var footer = add(TFBlock.contents([]), 0)
    footer += add(TFBlock.contents([TFBlock.entry(0, [0x7a], handle)]), 0)
    footer += [UInt8](repeating: 0, count: 40 - footer.count)
    footer.append(little: SortedTable.magic)
    return try TFCheckpoint().read(Probe(file("a.index", bytes + footer)))
  }
}

/// A block's bytes, written out.
enum TFBlock {
  static func entry(_ shared: UInt64, _ key: [UInt8], _ value: [UInt8]) -> [UInt8] {
    var bytes: [UInt8] = []
    for number in [shared, UInt64(key.count), UInt64(value.count)] {
      ProtobufWriter.append(number, to: &bytes)
    }
    return bytes + key + value
  }

  static func contents(_ entries: [[UInt8]], restarts: UInt32 = 1) -> [UInt8] {
    var bytes = entries.flatMap(\.self)
    bytes.append(little: UInt32(0))
    bytes.append(little: restarts)
    return bytes
  }
}
