import Checkpoint
import Glibc

/// A folder that vanishes with its owner.
final class HDF5Scratch {
  let path: String

  init() throws {
    var template = Array("/tmp/ckpt-hdf5-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else {
      throw CheckpointError(.cannotWrite, Place(), "no temporary folder")
    }
    path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
  }

  deinit {
    for name in Paths.list(path) { unlink(Paths.join(path, name)) }
    rmdir(path)
  }

  func file(_ name: String, _ bytes: [UInt8]) throws -> String {
    let target = Paths.join(path, name)
    let output = Output(overwrite: true, inputs: [])
    try output.file(target).write(bytes, at: 0)
    try output.commit(durable: false)
    return target
  }

  /// Writes `checkpoint` as Keras HDF5 and opens it again.
  func rewritten(_ checkpoint: Checkpoint, _ name: String = "out.h5") throws -> Checkpoint {
    let target = Paths.join(path, name)
    let output = Output(overwrite: true, inputs: [])
    try KerasHDF5().write(checkpoint, to: target, in: output, options: WriteOptions())
    try output.commit(durable: false)
    return try KerasHDF5().read(Probe(target))
  }
}

enum HDF5Fixtures {
  static let folder =
    Paths.folder(of: Paths.folder(of: Paths.folder(of: #filePath))) + "/fixtures/hdf5"

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

/// Numbers that a seed decides.
struct HDF5Random: RandomNumberGenerator {
  private var state: UInt64

  init(seed: UInt64) { state = seed }

  mutating func next() -> UInt64 {
    state &+= 0x9e37_79b9_7f4a_7c15
    var z = state
    z = (z ^ (z >> 30)) &* 0xbf58_476d_1ce4_e5b9
    z = (z ^ (z >> 27)) &* 0x94d0_49bb_1331_11eb
    return z ^ (z >> 31)
  }
}
