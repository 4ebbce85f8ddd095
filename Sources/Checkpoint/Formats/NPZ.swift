/// NumPy's `.npz`, a zip of `.npy` arrays, and a single `.npy`.
///
/// Arrays are read in every order that NumPy writes (C or Fortran, either byte order, packed or
/// stored) and written little-endian, in C order, stored and aligned. The format has no groups and
/// no attributes: a checkpoint's groups are written one after the other.
public struct NPZ: Format {
  public init() {}

  public var name: String { "npz" }
  public var aliases: [String] { ["npy"] }
  public var summary: String { "NumPy arrays (.npz; .npy is read)" }
  public var suffixes: [String] { ["npz"] }

  private static let zipMagic: [UInt8] = [0x50, 0x4b, 3, 4]
  private static let emptyZipMagic: [UInt8] = [0x50, 0x4b, 5, 6]
  private static let suffix = ".npy"

  /// An `.npy`, or a zip with such a member; a zip that is damaged is judged by its first member.
  public func leavesOut(_ checkpoint: Checkpoint) -> [String] {
    let attributes = checkpoint.attributes.map(\.name)
    return attributes.isEmpty ? [] : ["attributes: \(attributes.joined(separator: ", "))"]
  }

  public func recognises(_ probe: Probe) -> Bool {
    if probe.starts(with: NPYHeader.magic) { return true }
    if probe.starts(with: NPZ.emptyZipMagic) { return true }
    guard probe.starts(with: NPZ.zipMagic) else { return false }
    if let archive = try? ZipArchive(probe.file) {
      return archive.members.contains { NPZ.arrayName(of: $0) != nil }
    }
    guard probe.head.count >= ZipLayout.localSize else { return false }
    let length = Int(ZipRecord(probe.head[...]).u16(26))
    return probe.head.dropFirst(ZipLayout.localSize).prefix(length)
      .suffix(NPZ.suffix.utf8.count).elementsEqual(NPZ.suffix.utf8)
  }

  public func read(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
    if probe.starts(with: NPYHeader.magic) { return try readArray(probe) }
    var checkpoint = try read(ZipArchive(probe.file))
    checkpoint.path = probe.path
    checkpoint.files = [probe.path]
    return checkpoint
  }

  /// The arrays of an archive, which may lie inside another file.
  func read(_ archive: ZipArchive) throws(CheckpointError) -> Checkpoint {
    var tensors: [Tensor] = []
    var unreadable: [Unreadable] = []
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
            try NPZ.tensor(
              name, dtype: dtype, header: header, bigEndian: bigEndian,
              stored: try archive.payload(of: member, from: header.length)))
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

  /// A single array; its tensor is called as the file is.
  private func readArray(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
    let file = probe.file
    let name = Paths.stem(of: probe.path)
    var group = Group(name: "")
    var unreadable: [Unreadable] = []
    do throws(CheckpointError) {
      let header = try NPYHeader(size: file.size) { (count) throws(CheckpointError) in
        try file.head(count)
      }
      switch header.element {
      case .number(let dtype, let bigEndian):
        let slice = try FileSlice(
          file, offset: header.length, length: file.size - header.length)
        group.tensors = [
          try NPZ.tensor(
            name, dtype: dtype, header: header, bigEndian: bigEndian, stored: SlicePayload(slice))
        ]
      case .unreadable(let reason): unreadable = [Unreadable(name: name, reason: reason)]
      case .refused(let reason): throw CheckpointError(.unsupported, Place(), reason)
      }
    } catch {
      throw error.at(.file(probe.path))
    }
    return Checkpoint(
      path: probe.path, format: self.name, groups: [group], unreadable: unreadable)
  }

  /// A tensor over stored bytes, which are put into canonical order when they are not.
  private static func tensor(
    _ name: String, dtype: DType, header: NPYHeader, bigEndian: Bool, stored: any Payload
  ) throws(CheckpointError) -> Tensor {
    let shape = header.shape
    // The order matters only where two axes have more than one element each.
    let reorder = header.fortranOrder && shape.extents.count { $0 != 1 } > 1
    guard reorder || bigEndian else {
      return Tensor(name: name, dtype: dtype, shape: shape, payload: stored)
    }
    return Tensor(
      name: name, dtype: dtype, shape: shape,
      payload: try StridedPayload(
        stored: stored, shape: shape,
        strides: reorder ? shape.fortranStrides : shape.strides, size: dtype.size,
        swapped: bigEndian ? dtype.numberSize : 1))
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
      try writer.add(tensor.name + NPZ.suffix, size: header.count + tensor.byteCount) {
        (file, offset) throws(CheckpointError) in
        try file.write(header, at: offset)
        try file.write(tensor, at: offset + header.count)
      }
    }
    try writer.finish()
    return path
  }
}
