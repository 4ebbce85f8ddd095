/// The content hash of a checkpoint: equal for equally named, equal tensors, whatever the format.
public struct ContentHash: Sendable {
  public struct Entry: Sendable, Equatable {
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

  /// Reads every tensor once, in windows; several threads take a tensor each.
  ///
  /// - Parameter progress: called from any thread with the bytes that were read since it was last called.
  /// - Throws: ``CheckpointError`` when a tensor cannot be read.
  public init(
    _ checkpoint: Checkpoint, threads: Int? = nil, progress: (@Sendable (Int) -> Void)? = nil
  ) throws(CheckpointError) {
    let tensors = checkpoint.tensors
    // The largest first, so that no thread is left alone with one at the end.
    let order = tensors.indices.sorted { (tensors[$1].byteCount, $0) < (tensors[$0].byteCount, $1) }
    let ahead = ReadAhead(Set(tensors.compactMap(\.payload.slice?.file.path)).sorted())
    defer { ahead.stop() }
    let digests = try Parallel.map(order.count, threads: threads, with: { Window() }) {
      (index, window) throws(CheckpointError) in
      let tensor = tensors[order[index]]
      var digest = SHA256()
      for part in tensor.parts() {
        try tensor.read(part, through: window) { _, bytes in
          digest.update(bytes)
          progress?(bytes.byteCount)
        }
      }
      return digest.hex()
    }
    var entries = tensors.map {
      Entry(name: $0.name, dtype: $0.dtype, shape: $0.shape, sha256: "")
    }
    for (index, digest) in zip(order, digests) { entries[index].sha256 = digest }
    self.tensors = entries
    hash = ContentHash.whole(entries)
  }

  /// The hash of all, from those of the tensors.
  static func whole(_ entries: [Entry]) -> String {
    var whole = SHA256()
    let sorted = entries.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    for entry in sorted {
      let shape = entry.shape.extents.map(String.init).joined(separator: ",")
      let line = [entry.name, entry.dtype.rawValue, shape, entry.sha256]
        .joined(separator: "\0")
      whole.update(Array((line + "\n").utf8))
    }
    return whole.hex()
  }
}
