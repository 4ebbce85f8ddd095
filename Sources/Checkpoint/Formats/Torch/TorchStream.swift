/// The stream that PyTorch wrote before 1.6: pickles of a magic number, a protocol number, the
/// system's sizes, the object and the storages' keys, then each storage as its count and its bytes.
struct TorchStream {
  private let region: FileSlice

  /// The magic number 0x1950a86a20f9469cfc6c as a pickle of protocol 2 or later writes it.
  private static let number: [UInt8] = [
    0x8a, 0x0a, 0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19, 0x2e,
  ]

  static func recognises(_ head: [UInt8]) -> Bool {
    guard head.count >= 2, head[0] == 0x80, (2...5).contains(head[1]) else { return false }
    let rest = head.dropFirst(2)
    // Protocol 4 puts a frame around the number.
    return rest.starts(with: number) || rest.dropFirst(9).starts(with: number)
  }

  init(_ region: FileSlice) { self.region = region }

  func read(rootName: String) throws(CheckpointError) -> TorchContent {
    let source = PickleSource.file(region)
    var offset = try PickleMachine.read(source, at: region.offset).end
    func next() throws(CheckpointError) -> Pickle {
      let pickle = try PickleMachine.read(source, at: offset)
      offset = pickle.end
      return pickle
    }
    let version = try next()
    guard version.root == .int(1001) else {
      throw CheckpointError(
        .unsupported, Place(offset: region.offset), "is of an unknown version of the stream")
    }
    let system = try next()
    let isBigEndian =
      system.entries(system.root)?.first { system.text($0.key) == "little_endian" }?.value
      == .bool(false)
    let object = try next()
    let keys = try next()
    let storages = try storages(of: object, keys, at: offset, isBigEndian: isBigEndian)
    return try TorchContent(object, storages, rootName: rootName)
  }

  private struct Storages: TorchStorages {
    var isBigEndian: Bool
    var slices: [String: FileSlice] = [:]

    func payload(_ key: String, byteCount: Int) throws(CheckpointError) -> any Payload {
      guard let slice = slices[key], slice.length >= byteCount else {
        throw CheckpointError(
          .damaged, Place(),
          "a tensor lies in \(byteCount) bytes of storage \(key), of which the file has "
            + "\(slices[key]?.length ?? 0)")
      }
      return try SlicePayload(slice).prefix(byteCount)
    }
  }

  /// Finds each storage; only the object tells how long its elements are.
  private func storages(
    of object: Pickle, _ keys: Pickle, at offset: Int, isBigEndian: Bool
  ) throws(CheckpointError) -> Storages {
    var sizes: [String: Int] = [:]
    for case .persistent(let id) in object.nodes {
      guard let parts = object.elements(id), parts.count >= 5, let key = object.text(parts[2]),
        object.text(parts[0]) == "storage"
      else { continue }
      let size = object.global(parts[1]).flatMap { TorchStream.elementSize($0) }
      guard let size, sizes[key] == nil || sizes[key] == size else {
        throw CheckpointError(
          .unsupported, Place(offset: offset), "the elements of storage \(key) are of unknown size")
      }
      sizes[key] = size
    }
    guard let list = keys.elements(keys.root) else {
      throw CheckpointError(.damaged, Place(offset: offset), "the list of storages is missing")
    }
    var reader = ByteReader(region)
    try reader.seek(offset)
    var storages = Storages(isBigEndian: isBigEndian)
    for value in list {
      guard let key = keys.text(value), let size = sizes[key], storages.slices[key] == nil else {
        throw reader.fail("a storage is listed that no tensor uses, or twice")
      }
      let count = try reader.int()
      let (length, overflow) = count.multipliedReportingOverflow(by: size)
      guard !overflow else { throw reader.fail("a storage of \(count) elements is claimed") }
      let start = reader.position
      try reader.need(length, for: "storage \(key)")
      try reader.skip(length)
      storages.slices[key] = try FileSlice(region.file, offset: start, length: length)
    }
    return storages
  }

  /// Bytes of an element, also of types that only have to be stepped over.
  private static func elementSize(_ type: String) -> Int? {
    if let dtype = TorchDType.storage(type) { return dtype.size }
    switch type.split(separator: ".").last {
    case "QInt8Storage", "QUInt8Storage", "QUInt4x2Storage", "QUInt2x4Storage": return 1
    case "QInt32Storage": return 4
    default: return nil
    }
  }
}
