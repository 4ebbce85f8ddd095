/// NumPy's `.npy`: a single array, whose tensor is called as the file is.
public struct NPY: Format {
  public init() {}

  public var name: String { "npy" }
  public var summary: String { "one NumPy array (.npy)" }
  public var suffixes: [String] { ["npy"] }
  public var keepsNames: Bool { false }

  public func leavesOut(_ checkpoint: Checkpoint) -> [String] { NPZ().leavesOut(checkpoint) }

  public func recognises(_ probe: Probe) -> Bool { probe.starts(with: NPYHeader.magic) }

  public func read(_ probe: Probe) throws(CheckpointError) -> Checkpoint {
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
          try header.tensor(name, dtype, bigEndian: bigEndian, stored: SlicePayload(slice))
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

  /// Writes the checkpoint's one tensor, little-endian and in C order.
  ///
  /// - Throws: ``CheckpointError`` when there is another tensor, or NumPy has no such type.
  @discardableResult
  public func write(
    _ checkpoint: Checkpoint, to path: String, in output: Output, options: WriteOptions
  ) throws(CheckpointError) -> String {
    let tensors = checkpoint.tensors
    guard let tensor = tensors.first, tensors.count == 1 else {
      throw CheckpointError(
        .unsupported, Place(file: path, tensor: tensors.dropFirst().first?.name),
        tensors.isEmpty
          ? "an .npy file holds one array, but there is none"
          : "an .npy file holds one array; this would be another of \(tensors.count)",
        hint: tensors.isEmpty ? nil : "use --format npz")
    }
    do throws(CheckpointError) {
      let header = try NPYHeader.bytes(dtype: tensor.dtype, shape: tensor.shape)
      let file = try output.file(path)
      try file.write(header, at: 0)
      try file.write(tensor, at: header.count)
    } catch {
      throw error.at(Place(file: path, tensor: tensor.name))
    }
    return path
  }
}
