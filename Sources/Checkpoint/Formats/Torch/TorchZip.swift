/// PyTorch's zip: `NAME/data.pkl` and a member `NAME/data/KEY` for each storage; a TorchScript
/// archive has code beside them.
struct TorchZip: TorchStorages {
  static let magic: [UInt8] = [0x50, 0x4b, 3, 4]
  private static let pickleName = "data.pkl"
  /// Bytes of a packed pickle or of a layout that are unpacked at most; PyTorch packs neither.
  private static let largest = 64 << 20

  private let archive: ZipArchive
  /// The top folder with its slash; empty without one.
  private let folder: String
  let isBigEndian: Bool

  /// A zip with `data.pkl`; a zip that is damaged is judged by its first member.
  static func recognises(_ probe: Probe) -> Bool {
    probe.isZip {
      folder(of: $0) != nil
    } orFirst: {
      $0 == pickleName || $0.hasSuffix("/" + pickleName)
    }
  }

  private static func folder(of archive: ZipArchive) -> String? {
    archive.members.map(\.name)
      .filter { $0 == pickleName || $0.hasSuffix("/" + pickleName) }
      .min { $0.utf8.count < $1.utf8.count }
      .map { String($0.dropLast(pickleName.count)) }
  }

  init(_ region: FileSlice) throws(CheckpointError) {
    archive = try ZipArchive(region)
    guard let folder = TorchZip.folder(of: archive) else {
      throw CheckpointError(.notRecognised, Place(), "is a zip without data.pkl")
    }
    self.folder = folder
    var isBigEndian = false
    if let member = archive[folder + "byteorder"] {
      let order = try archive.contents(of: member, limit: 16)
      guard order == Array("little".utf8) || order == Array("big".utf8) else {
        throw CheckpointError(
          .damaged, Place(member: member.name), "is neither \"little\" nor \"big\"")
      }
      isBigEndian = order == Array("big".utf8)
    }
    self.isBigEndian = isBigEndian
  }

  func read(rootName: String) throws(CheckpointError) -> TorchContent {
    let name = folder + TorchZip.pickleName
    guard let member = archive[name] else {
      throw CheckpointError(.damaged, Place(member: name), "is missing")
    }
    archive.prepareHeaders()
    var layout: [UInt8]?
    if let member = archive["\(folder).data/\(Layout.key)"] {
      layout = try archive.contents(of: member, limit: TorchZip.largest)
    }
    do throws(CheckpointError) {
      let source: PickleSource =
        member.method == .stored
        ? .file(try archive.slice(of: member))
        : .memory(try archive.contents(of: member, limit: TorchZip.largest))
      var content = try TorchContent(
        PickleMachine.read(source), self, rootName: rootName, layout: layout)
      if hasConstants {
        content.checkpoint.warnings.append(
          "constants that stand in the TorchScript code are left out, as in its state_dict()")
      }
      return content
    } catch {
      throw error.at(Place(member: name))
    }
  }

  /// Whether the code of a TorchScript archive has tensors of its own.
  private var hasConstants: Bool {
    archive.members.contains { $0.name.hasPrefix(folder + "constants/") }
  }

  func payload(_ key: String, byteCount: Int) throws(CheckpointError) -> any Payload {
    let name = "\(folder)data/\(key)"
    guard !key.isEmpty, !key.contains("/"), let member = archive[name] else {
      throw CheckpointError(.damaged, Place(member: name), "is missing, but a tensor lies in it")
    }
    guard byteCount <= member.size else {
      throw CheckpointError(
        .damaged, Place(member: name),
        "has \(member.size) bytes where a storage of \(byteCount) is claimed")
    }
    return try archive.payload(of: member).prefix(byteCount)
  }
}
