import Checkpoint
import TestSupport

extension TemporaryFolder {
  /// Writes `checkpoint` as Keras HDF5 and opens it again.
  func rewritten(_ checkpoint: Checkpoint, _ name: String = "out.h5") throws -> Checkpoint {
    let target = file(name)
    let output = Output(overwrite: true, inputs: [])
    try KerasHDF5().write(checkpoint, to: target, in: output, options: WriteOptions())
    try output.commit(durable: false)
    return try KerasHDF5().read(Probe(target))
  }
}

enum HDF5Fixtures {
  static let folder = Fixtures.path("hdf5")

  static func read(_ name: String) throws -> Checkpoint {
    try KerasHDF5().read(Probe("\(folder)/\(name)"))
  }
}

extension Checkpoint {
  func tensor(_ name: String) throws -> Tensor {
    guard let tensor = tensors.first(where: { $0.name == name }) else {
      throw CheckpointError(.notRecognised, .tensor(name), "is not there")
    }
    return tensor
  }

  /// Everything that a round trip must keep, as comparable text.
  func summary() throws -> [String] {
    var lines = attributes.map { "@ \($0.json.compact)" }
    for group in groups {
      lines.append("[\(group.name)]")
      lines += group.attributes.map { "  @ \($0.json.compact)" }
      for tensor in group.tensors {
        lines.append("  \(tensor.name) \(tensor.dtype) \(tensor.shape) \(try tensor.bytes())")
      }
    }
    return lines
  }
}
