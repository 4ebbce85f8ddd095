import Checkpoint
import Infer
import TestSupport

extension Fixtures {
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
