import Checkpoint
import TestSupport
import Testing

/// Damaged files: an error or a listing, never a crash, a hang or bytes of the wrong number.
@Suite struct HDF5HostileTests {
  /// Opens `bytes` and reads what opens; tells whether it was refused.
  @discardableResult
  private static func survive(_ bytes: [UInt8], _ scratch: TemporaryFolder, payload: Bool) throws
    -> Bool
  {
    let path = try scratch.file("damaged.h5", bytes)
    let clock = ContinuousClock()
    let start = clock.now
    var isRefused = false
    do throws(CheckpointError) {
      let checkpoint = try KerasHDF5().read(Probe(path))
      for tensor in checkpoint.tensors where payload || tensor.payload.slice != nil {
        #expect(tensor.byteCount <= 64 << 20 || tensor.byteCount <= 1100 * bytes.count)
        let read = try? tensor.bytes()
        #expect(read == nil || read?.count == tensor.byteCount)
      }
    } catch {
      isRefused = true
      #expect(error.kind == .damaged, "\(error)")
      #expect(error.place.file == path, "\(error)")
    }
    #expect(clock.now - start < .seconds(30))
    return isRefused
  }

  private static func small() throws -> [UInt8] {
    let scratch = try TemporaryFolder()
    let groups = ["dense", "norm", "dropout"].map { name in
      Group(
        name: name,
        tensors: name == "dropout"
          ? []
          : ["kernel:0", "bias:0"].map {
            Tensor(name: "\(name)/\(name)/\($0)", shape: [3, 4], values: (0..<12).map(Float.init))
          })
    }
    return try File.contents(of: scratch.rewritten(Checkpoint(groups: groups)).path)
  }

  @Test(arguments: 0..<8) func `mutations of a Keras file`(_ part: Int) throws {
    try mutate(Self.small(), seed: UInt64(part), count: 230, payload: true)
  }

  @Test(arguments: 0..<2) func `mutations of a file of every layout`(_ part: Int) throws {
    let bytes = try File.contents(of: HDF5Fixtures.folder + "/layouts.h5")
    try mutate(bytes, seed: UInt64(100 + part), count: 80, payload: false)
  }

  private func mutate(_ bytes: [UInt8], seed: UInt64, count: Int, payload: Bool) throws {
    let scratch = try TemporaryFolder()
    var random = SeededGenerator(seed: seed)
    for _ in Fuzz.trials(count) {
      var damaged = bytes
      for _ in 0..<Int.random(in: 1...16, using: &random) {
        damaged[Int.random(in: 0..<damaged.count, using: &random)] =
          UInt8.random(in: 0...255, using: &random)
      }
      try Self.survive(damaged, scratch, payload: payload)
    }
  }

  @Test func `every truncation is refused`() throws {
    let scratch = try TemporaryFolder()
    let bytes = try Self.small()
    for length in stride(from: 0, to: bytes.count, by: 61) {
      #expect(try Self.survive(Array(bytes[..<length]), scratch, payload: true), "\(length)")
    }
  }

  @Test func `text behind the signature is refused`() throws {
    let scratch = try TemporaryFolder()
    let bytes = HDF5.signature + [UInt8](repeating: UInt8(ascii: "x"), count: 3000)
    #expect(try Self.survive(bytes, scratch, payload: true))
    let path = try scratch.file("no.h5", Array("not HDF5".utf8))
    #expect(try !KerasHDF5().recognises(Probe(path)))
  }
}
