// Writing `.keras` archives.

extension Keras {
  /// Members of `metadata.json`, as Keras writes them.
  private static let metadataKeys = ["keras_version", "date_saved"]

  public func leavesOut(_ checkpoint: Checkpoint) -> [String] {
    let known = Keras.metadataKeys + [Keras.modelConfig]
    let others = checkpoint.attributes.map(\.name).filter { !known.contains($0) }
    return others.isEmpty ? [] : ["attributes: \(others.joined(separator: ", "))"]
  }

  public func remarks(on checkpoint: Checkpoint) -> [String] {
    checkpoint.text(Keras.modelConfig) == nil
      ? ["Keras cannot load an archive without the model's configuration, and there is none"] : []
  }

  /// Writes an archive.
  ///
  /// - Throws: ``CheckpointError`` for a tensor that HDF5 cannot hold.
  @discardableResult
  public func write(
    _ checkpoint: Checkpoint, to path: String, in output: Output, options: WriteOptions
  ) throws(CheckpointError) -> String {
    guard !path.lowercased().hasSuffix(".json") else {
      throw CheckpointError(
        .usage, .file(path), "weights in shards are only read", hint: "write NAME.keras, or NAME.h5"
      )
    }
    var weights = checkpoint
    // Both Keras write the weights' file without attributes of its own.
    weights.attributes = []
    let plan: KerasHDF5Plan
    do throws(CheckpointError) {
      plan = try KerasHDF5Plan(weights)
    } catch {
      throw error.at(.file(path))
    }
    let metadata = JSON.object(
      Keras.metadataKeys.compactMap { key in
        checkpoint.text(key).map { .init(key, .string($0)) }
      })
    var writer = try ZipWriter(output.file(path))
    try writer.add(Keras.metadata, bytes: Array(metadata.compact.utf8))
    if let configuration = checkpoint.text(Keras.modelConfig) {
      try writer.add(Keras.configuration, bytes: Array(configuration.utf8))
    }
    try writer.add(Keras.weights) { (file) throws(CheckpointError) in
      try plan.write(to: file, nil)
    }
    try writer.finish()
    return path
  }
}
