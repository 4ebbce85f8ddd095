/// The index of a checkpoint that is split into several files, as transformers writes it: a JSON
/// object with `weight_map` from tensor names to file names, and `metadata`.
struct ShardIndex {
  private let path: String
  /// Shards in natural order, with the names that the index gives them.
  private let shards: [(name: String, tensors: Set<String>)]
  /// Texts of the metadata.
  let metadata: [JSON.Member]

  /// Whether a file looks like an index; whose, only its shards tell.
  static func `is`(_ probe: Probe) -> Bool {
    probe.head.first == UInt8(ascii: "{") && probe.path.hasSuffix(".index.json")
  }

  init(_ probe: Probe) throws(CheckpointError) {
    path = probe.path
    let json: JSON
    do throws(CheckpointError) {
      json = try JSON(parsing: probe.file.bytes(at: 0, count: probe.file.size))
    } catch {
      throw error.at(.file(probe.path))
    }
    guard let map = json["weight_map"]?.members, !map.isEmpty else {
      throw CheckpointError(
        .damaged, .file(probe.path), "has no weight_map from tensor names to files")
    }
    var expected: [String: Set<String>] = [:]
    for member in map {
      guard let shard = member.value.string, !shard.contains("/"), !shard.isEmpty else {
        throw CheckpointError(
          .damaged, Place(file: probe.path, tensor: member.key),
          "its file in weight_map is no plain file name")
      }
      expected[shard, default: []].insert(member.key)
    }
    shards = expected.sorted { Natural.less($0.key, $1.key) }.map { ($0.key, $0.value) }
    metadata = (json["metadata"]?.members ?? []).filter {
      $0.key != "total_size" && $0.value.string != nil
    }
  }

  /// The shards' paths, in natural order.
  var paths: [String] { shards.map { Paths.join(Paths.folder(of: path), $0.name) } }

  /// Opens the shards one after the other.
  ///
  /// - Parameter read: reads a shard and returns the names that it holds.
  /// - Throws: ``CheckpointError`` naming a shard that is missing, or a tensor that only the index
  ///   or only the shard has.
  func readShards(
    _ read: (Probe) throws(CheckpointError) -> [String]
  ) throws(CheckpointError) {
    for (shard, file) in zip(shards, paths) {
      guard Paths.exists(file) else {
        throw CheckpointError(
          .cannotRead, .file(path), "the shard \(shard.name) is missing",
          hint: "put it beside the index")
      }
      let found = Set(try read(try Probe(file)))
      if let missing = shard.tensors.subtracting(found).sorted().first {
        throw CheckpointError(
          .damaged, Place(file: file, tensor: missing), "is in the index but not in the shard")
      }
      // What a shard holds beyond the index is stale by transformers' rule, but never silent.
      if let extra = found.subtracting(shard.tensors).sorted().first {
        throw CheckpointError(
          .damaged, Place(file: file, tensor: extra), "is in the shard but not in the index")
      }
    }
  }

  // MARK: Writing

  /// Tensors in runs of at most `limit` bytes; a larger one stands alone.
  static func split(_ tensors: [Tensor], limit: Int?) -> [[Tensor]] {
    guard let limit else { return [tensors] }
    var shards: [[Tensor]] = [[]]
    var size = 0
    for tensor in tensors {
      if size + tensor.byteCount > limit, !shards[shards.count - 1].isEmpty {
        shards.append([])
        size = 0
      }
      shards[shards.count - 1].append(tensor)
      size += tensor.byteCount
    }
    return shards
  }

  /// `STEM-00001-of-00002.SUFFIX` for number 0 of 2.
  static func name(_ stem: String, _ number: Int, of count: Int, suffix: String) -> String {
    func padded(_ number: Int) -> String {
      let digits = String(number)
      return String(repeating: "0", count: max(0, 5 - digits.count)) + digits
    }
    return "\(stem)-\(padded(number + 1))-of-\(padded(count)).\(suffix)"
  }

  /// The index's content.
  static func bytes(
    _ shards: [[Tensor]], files: [String], metadata: [JSON.Member]
  ) -> [UInt8] {
    var map: [JSON.Member] = []
    for (shard, file) in zip(shards, files) {
      map += shard.map { .init($0.name, .string(Paths.name(of: file))) }
    }
    let total = shards.joined().reduce(0) { $0 + $1.byteCount }
    let index = JSON.object([
      .init("metadata", .object([.init("total_size", .number(total))] + metadata)),
      .init("weight_map", .object(map.sorted { $0.key < $1.key })),
    ])
    return Array((index.pretty + "\n").utf8)
  }
}
