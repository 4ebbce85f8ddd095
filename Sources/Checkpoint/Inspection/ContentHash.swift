/// The content hash of a checkpoint: equal for equally named, equal tensors, whatever the format.
public struct ContentHash: Sendable {
  public struct Entry: Sendable {
    public var name: String
    public var dtype: DType
    public var shape: Shape
    /// SHA-256 over the canonical bytes: little-endian, C order.
    public var sha256: String
  }

  /// SHA-256 over a line `name NUL dtype NUL shape NUL sha256 LF` for each tensor, sorted by name.
  public let hash: String
  /// In the file's order.
  public let tensors: [Entry]

  /// Reads every tensor once, in windows.
  ///
  /// - Throws: ``CheckpointError`` when a tensor cannot be read.
  public init(_ checkpoint: Checkpoint) throws(CheckpointError) {
    var entries: [Entry] = []
    for tensor in checkpoint.tensors {
      var digest = SHA256()
      try tensor.readWindows { digest.update($0) }
      entries.append(
        Entry(name: tensor.name, dtype: tensor.dtype, shape: tensor.shape, sha256: digest.hex()))
    }
    var whole = SHA256()
    let sorted = entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    for entry in sorted {
      let shape = entry.shape.extents.map(String.init).joined(separator: ",")
      let line = [entry.name, entry.dtype.rawValue, shape, entry.sha256]
        .joined(separator: "\0")
      whole.update(Array((line + "\n").utf8))
    }
    hash = whole.hex()
    tensors = entries
  }
}
