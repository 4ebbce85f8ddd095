import Checkpoint
import Infer

/// Files under `fixtures/`.
enum Fixtures {
  static let folder = Paths.join(
    Paths.folder(of: Paths.folder(of: Paths.folder(of: #filePath))), "fixtures")

  static func path(_ parts: String...) -> String {
    parts.reduce(folder) { Paths.join($0, $1) }
  }

  /// All arrays of an .npz file.
  static func arrays<Scalar: BinaryFloatingPoint & Sendable>(
    _ fixture: String, _ file: String, as _: Scalar.Type
  ) throws -> [String: NDArray<Scalar>] {
    let probe = try Probe(path(fixture, file))
    var arrays: [String: NDArray<Scalar>] = [:]
    for tensor in try NPZ().read(probe).tensors {
      arrays[tensor.name] = NDArray(
        shape: tensor.shape.extents, values: Elements.decode(try tensor.bytes(), as: tensor.dtype))
    }
    return arrays
  }
}
