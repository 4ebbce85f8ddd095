import Checkpoint
import Infer

/// Arrays in files.
enum Arrays {
  /// All tensors of an .npz or .safetensors file.
  static func read(_ path: String) throws -> [String: NDArray<Float>] {
    let probe = try Probe(path)
    let checkpoint = try FormatRegistry.recognise(probe).read(probe)
    if let entry = checkpoint.unreadable.first {
      throw CheckpointError(
        .unsupported, Place(file: path, tensor: entry.name), entry.reason)
    }
    var arrays: [String: NDArray<Float>] = [:]
    for tensor in checkpoint.tensors {
      arrays[tensor.name] = NDArray(shape: tensor.shape.extents, values: try tensor.floats())
    }
    return arrays
  }

  /// Writes arrays in order, in the format of the path's suffix (npz without one).
  static func write(
    _ arrays: [(name: String, array: NDArray<Float>)], to path: String, inputs: Set<File.Identity>,
    overwrite: Bool
  ) throws {
    try write(
      arrays.map {
        Tensor(name: $0.name, shape: Shape($0.array.shape), values: $0.array.values)
      }, to: path, inputs: inputs, overwrite: overwrite)
  }

  /// The same for tensors that may lie anywhere.
  static func write(
    _ tensors: [Tensor], to path: String, inputs: Set<File.Identity>, overwrite: Bool
  ) throws {
    let format = try FormatRegistry.suffixed(path) ?? FormatRegistry.named("npz")
    let output = Output(overwrite: overwrite, inputs: inputs)
    try format.write(
      Checkpoint(groups: [Group(name: "", tensors: tensors)]), to: path, in: output,
      options: WriteOptions())
    try output.commit(durable: false)
  }
}
