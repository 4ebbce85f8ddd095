/// NumPy's `.npz`, a zip of `.npy` arrays.
///
/// Arrays are read in every order that NumPy writes (C or Fortran, either byte order, packed or
/// stored) and written little-endian, in C order, stored and aligned. The format has no groups and
/// no attributes: a checkpoint's groups are written one after the other.
public struct NPZ: Format {
  public init() {}

  public var name: String { "npz" }
  public var summary: String { "NumPy arrays in a zip (.npz)" }
  public var suffixes: [String] { ["npz"] }

  private static let suffix = ".npy"

  public func leavesOut(_ checkpoint: Checkpoint) -> [String] {
    let attributes = checkpoint.attributes.map(\.name)
    return attributes.isEmpty ? [] : ["attributes: \(attributes.joined(separator: ", "))"]
  }

  /// A zip with an `.npy` member; a zip that is damaged is judged by its first member.
  public func recognises(_ probe: Probe) -> Bool {
    if probe.starts(with: Probe.emptyZipMagic) { return true }
    return probe.isZip { archive in
      archive.members.contains { NPZ.arrayName(of: $0) != nil }
    } orFirst: {
      $0.utf8.suffix(NPZ.suffix.utf8.count).elementsEqual(NPZ.suffix.utf8)
    }
  }

  public func read(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
    var checkpoint = try read(probe.zip())
    checkpoint.path = probe.path
    checkpoint.files = [probe.path]
    return checkpoint
  }

  /// The arrays of an archive, which may lie inside another file.
  func read(_ archive: ZipArchive) throws(CheckpointError) -> Checkpoint {
    var tensors: [Tensor] = []
    var unreadable: [Unreadable] = []
    archive.prepareHeaders()
    for member in archive.members {
      guard let name = NPZ.arrayName(of: member) else {
        unreadable.append(Unreadable(name: member.name, reason: "is no .npy array"))
        continue
      }
      let place = Place(file: archive.region.file.path, member: member.name)
      do throws(CheckpointError) {
        let header = try NPYHeader(size: member.size) { (count) throws(CheckpointError) in
          try archive.head(of: member, count: count)
        }
        switch header.element {
        case .number(let dtype, let bigEndian):
          tensors.append(
            try header.tensor(
              name, dtype, bigEndian: bigEndian,
              stored: archive.payload(of: member, from: header.length)))
        case .unreadable(let reason): unreadable.append(Unreadable(name: name, reason: reason))
        case .refused(let reason): throw CheckpointError(.unsupported, Place(), reason)
        }
      } catch {
        throw error.at(place)
      }
    }
    return Checkpoint(
      format: self.name, groups: [Group(name: "", tensors: tensors)], unreadable: unreadable)
  }

  /// The member's name without its suffix, or `nil` for a member that is no array.
  private static func arrayName(of member: ZipMember) -> String? {
    let name = member.name.utf8  // by bytes: a suffix may be part of a longer character
    guard name.suffix(suffix.utf8.count).elementsEqual(suffix.utf8) else { return nil }
    return String(decoding: name.dropLast(suffix.utf8.count), as: UTF8.self)
  }

  /// Writes an archive of little-endian arrays in C order.
  ///
  /// - Throws: ``CheckpointError`` naming the tensor, when it is of bfloat16 or its name cannot
  ///   stand in an archive.
  @discardableResult
  public func write(
    _ checkpoint: Checkpoint, to path: String, in output: Output, options: WriteOptions
  ) throws(CheckpointError) -> String {
    var headers: [[UInt8]] = []
    for tensor in checkpoint.tensors {
      do throws(CheckpointError) {
        headers.append(try NPYHeader.bytes(dtype: tensor.dtype, shape: tensor.shape))
      } catch {
        throw error.at(Place(file: path, tensor: tensor.name))
      }
    }
    var writer = try ZipWriter(output.file(path))
    for (tensor, header) in zip(checkpoint.tensors, headers) {
      try writer.add(tensor.name + NPZ.suffix, bytes: header, tensor: tensor)
    }
    try writer.finish()
    return path
  }
}
