/// Models and weights as Keras 3 and tf.keras 2.13 to 2.15 save them: `.keras` archives, and weights
/// in shards (`NAME.weights.json` with `NAME_00000.weights.h5`, …).
///
/// An archive holds `metadata.json`, `config.json`, the weights as `model.weights.h5` (or, as an
/// option of `save_model`, as `model.weights.npz`) and files of layers under `assets/`.
///
/// **Names** are the HDF5 paths inside, in natural order (`layers/dense/vars/0`;
/// `_layer_checkpoint_dependencies/…` from 2.13). Keras on Windows put backslashes into them; such a
/// tensor has the name with slashes as an alias. ``Checkpoint/attributes`` are those of the weights'
/// root, then `model_config` (the text of `config.json`) and the members of `metadata.json`
/// (`keras_version`, `date_saved`).
///
/// Single files `NAME.weights.h5` are ``KerasHDF5``.
///
/// **Writing** makes an archive: the attribute `model_config` is `config.json`, `keras_version` and
/// `date_saved` are `metadata.json`; the rest is `model.weights.h5`. Members are stored, so that the HDF5
/// file inside can be read in place. Shards are not written.
///
/// Source: `keras/src/saving/saving_lib.py` (Keras 3.15 and 2.15).
public struct Keras: Format {
  public init() {}

  public var name: String { "keras" }
  public var aliases: [String] { ["keras3"] }
  public var summary: String { "Keras 3 model archive (.keras), and weights in shards" }
  public var suffixes: [String] { ["keras", "weights.json"] }
  public var customaryNames: [String] { ["model.keras", "model.weights.json"] }
  static let metadata = "metadata.json"
  static let configuration = "config.json"
  static let weights = "model.weights.h5"
  static let arrays = "model.weights.npz"
  static let assets = "assets/"
  /// The attribute that holds the configuration, as in Keras' whole models in HDF5.
  static let modelConfig = "model_config"

  /// A zip with weights or a configuration of Keras, or the index of shards; a zip that is damaged
  /// is judged by its first member.
  public func recognises(_ probe: Probe) -> Bool {
    if Keras.isIndex(probe) { return true }
    return probe.isZip { archive in
      archive[Keras.weights] != nil || archive[Keras.arrays] != nil
        || (archive[Keras.metadata] != nil && archive[Keras.configuration] != nil)
    } orFirst: {
      [Keras.metadata, Keras.configuration, Keras.weights].contains($0)
    }
  }

  /// A JSON object whose `weight_map` leads to HDF5 files.
  static func isIndex(_ probe: Probe) -> Bool {
    guard probe.head.first(where: { $0 > 0x20 }) == UInt8(ascii: "{") else { return false }
    let text = String(decoding: probe.head, as: UTF8.self)
    return text.contains("\"weight_map\"")
      && (text.contains(".weights.h5\"") || probe.path.hasSuffix(".weights.json"))
  }

  public func read(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
    var checkpoint =
      Keras.isIndex(probe) ? try Keras.readShards(probe) : try Keras.readArchive(probe)
    for group in checkpoint.groups.indices {
      for tensor in checkpoint.groups[group].tensors.indices {
        let name = checkpoint.groups[group].tensors[tensor].name
        guard name.utf8.contains(UInt8(ascii: "\\")) else { continue }
        checkpoint.groups[group].tensors[tensor].aliases.append(
          name.replacing("\\", with: "/"))
      }
    }
    checkpoint.path = probe.path
    if checkpoint.files.isEmpty { checkpoint.files = [probe.path] }
    checkpoint.format = name
    return checkpoint
  }
}

// MARK: - Archives

extension Keras {
  private static func readArchive(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
    let archive = try probe.zip()
    var checkpoint: Checkpoint
    if let member = archive[weights] {
      do throws(CheckpointError) {
        let image = try image(of: member, in: archive)
        checkpoint = KerasHDF5Reading(
          try HDF5.index(of: image.file, offset: image.offset, length: image.length)
        ).checkpoint()
      } catch {
        throw error.at(Place(file: probe.path, member: member.name))
      }
    } else if let member = archive[arrays] {
      do throws(CheckpointError) {
        checkpoint = try readArrays(ZipArchive(image(of: member, in: archive)))
      } catch {
        throw error.at(Place(file: probe.path, member: member.name))
      }
    } else {
      throw CheckpointError(
        .damaged, .file(probe.path), "has neither \(weights) nor \(arrays)",
        hint: "the model was saved without weights, or the archive is not complete")
    }
    for member in archive.members where member.name.hasPrefix(assets) && member.size > 0 {
      checkpoint.unreadable.append(
        Unreadable(name: member.name, reason: "is a file of a layer (an asset), no tensor"))
    }
    for attribute in try attributes(of: archive)
    where checkpoint.attributes.allSatisfy({ $0.name != attribute.name }) {
      checkpoint.attributes.append(attribute)
    }
    return checkpoint
  }

  /// Where a member's bytes can be read: in place when it is stored, else unpacked.
  private static func image(
    of member: ZipMember, in archive: ZipArchive
  ) throws(CheckpointError) -> FileSlice {
    if member.method == .stored { return try archive.slice(of: member) }
    // Deflate packs at most 1,032 to 1: a larger claim is wrong, and costs no disk.
    guard member.size / 1100 <= member.compressedSize else {
      throw CheckpointError(
        .damaged, Place(),
        "claims to unpack \(member.compressedSize) bytes to \(member.size), which deflate cannot")
    }
    let unpacked = try TemporaryFile(
      for: "\(archive.region.file.path) (\(member.name), unpacked)")
    let bytes = Tensor(
      name: "", dtype: .u8, shape: Shape([member.size]), payload: try archive.payload(of: member))
    do throws(CheckpointError) {
      try bytes.readWindows { (window) throws(CheckpointError) in
        // The window's bytes are copied inside the closure.
        try unpacked.append(unsafe window.withUnsafeBytes { unsafe [UInt8]($0) })
      }
    } catch {
      var error = error
      error.place.tensor = nil
      throw error
    }
    let file = try unpacked.reopened()
    return try FileSlice(file, offset: 0, length: file.size)
  }

  /// `config.json` as it is, and what `metadata.json` says.
  private static func attributes(
    of archive: ZipArchive
  ) throws(CheckpointError) -> [Attribute] {
    var attributes: [Attribute] = []
    if let member = archive[configuration] {
      let bytes = try archive.contents(of: member)
      guard let text = String(validating: bytes, as: UTF8.self) else {
        throw CheckpointError(
          .damaged, Place(file: archive.region.file.path, member: member.name), "is not UTF-8")
      }
      attributes.append(Attribute(modelConfig, text: text))
    }
    if let member = archive[metadata] {
      let place = Place(file: archive.region.file.path, member: member.name)
      do throws(CheckpointError) {
        let json = try JSON(parsing: archive.contents(of: member, limit: 1 << 20))
        for entry in json.members ?? [] {
          attributes.append(Attribute(entry.key, text: entry.value.string ?? entry.value.compact))
        }
      } catch {
        throw error.at(place)
      }
    }
    return attributes
  }
}

// MARK: - Shards

extension Keras {
  /// The largest index that is read; it names groups, not tensors.
  private static let largestIndex = 256 << 20

  /// Reads the shards as one file: `weight_map` says in which of them a group's variables are.
  private static func readShards(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
    let (shards, expected) = try shardList(probe)
    var whole = HDF5Index(groups: [], datasets: [], unreadable: [])
    var places: [String: Int] = [:]
    var owners: [String: String] = [:]
    for shard in shards {
      let path = Paths.join(Paths.folder(of: probe.path), shard)
      guard Paths.isFile(path) else {
        throw CheckpointError(
          .cannotRead, .file(probe.path), "the shard \(shard) is missing",
          hint: "put it beside the index")
      }
      let index = try HDF5.index(of: File(path))
      for group in index.groups {
        if let place = places[group.path] {
          let known = Set(whole.groups[place].attributes.map(\.name))
          whole.groups[place].attributes += group.attributes.filter { !known.contains($0.name) }
        } else {
          places[group.path] = whole.groups.count
          whole.groups.append(group)
        }
      }
      for dataset in index.datasets {
        if let other = owners.updateValue(shard, forKey: dataset.path) {
          throw CheckpointError(
            .damaged, Place(file: path, tensor: dataset.path), "stands in the shard \(other) too")
        }
        whole.datasets.append(dataset)
      }
      whole.unreadable += index.unreadable
      let found = Set(index.groups.map(\.path))
      if let missing = expected[shard]?.first(where: { !found.contains($0) }) {
        throw CheckpointError(
          .damaged, Place(file: path, member: missing), "is in the index but not in the shard")
      }
    }
    var checkpoint = KerasHDF5Reading(whole).checkpoint()
    checkpoint.files =
      [probe.path] + shards.map { Paths.join(Paths.folder(of: probe.path), $0) }
    return checkpoint
  }

  /// The shards in natural order, and the groups that the index says are in each.
  private static func shardList(
    _ probe: Probe
  ) throws(CheckpointError) -> (shards: [String], expected: [String: [String]]) {
    var expected: [String: [String]] = [:]
    do throws(CheckpointError) {
      guard probe.file.size <= largestIndex else {
        throw CheckpointError(.damaged, Place(), "is too large for an index of shards")
      }
      let json = try JSON(parsing: probe.file.bytes(at: 0, count: probe.file.size))
      guard let map = json["weight_map"]?.members else {
        throw CheckpointError(.damaged, Place(), "has no weight_map that leads from paths to files")
      }
      for entry in map {
        for value in entry.value.array ?? [entry.value] {
          guard let shard = value.string, !shard.isEmpty, !shard.contains("/"),
            !shard.utf8.contains(0), shard != "..", shard != "."
          else {
            throw CheckpointError(
              .damaged, Place(member: entry.key), "the index does not name a file beside it")
          }
          let path = entry.key.hasPrefix("/") ? String(entry.key.dropFirst()) : entry.key
          expected[shard, default: []].append(path)
        }
      }
    } catch {
      throw error.at(.file(probe.path))
    }
    return (expected.keys.sorted(by: Natural.less), expected)
  }
}
