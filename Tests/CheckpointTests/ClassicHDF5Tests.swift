import Glibc
import TestSupport
import Testing

@testable import Checkpoint

/// The reader of the classic layout against libhdf5: the same index, or none.
@Suite struct ClassicHDF5Tests {
  /// Every HDF5 file under a folder.
  static func files(under folder: String) -> [String] {
    Paths.list(folder).flatMap { name -> [String] in
      let path = Paths.join(folder, name)
      if Paths.isFolder(path) { return files(under: path) }
      guard let file = try? File(path),
        let head = try? file.head(4096), HDF5.recognises(head: head)
      else { return [] }
      return [path]
    }
  }

  static func image(_ path: String) throws -> HDF5Image {
    let file = try File(path)
    return HDF5Image(try FileSlice(file, offset: 0, length: file.size))
  }

  /// Everything in an index, as comparable text.
  static func summary(_ index: HDF5Index) -> [String] {
    index.groups.flatMap { ["[\($0.path)]"] + $0.attributes.map { "  \($0)" } }
      + index.datasets.flatMap { dataset in
        let tensor = dataset.tensor
        let slice = tensor.payload.slice.map { "\($0.offset)+\($0.length)" } ?? "none"
        return [
          "\(tensor.name) \(tensor.dtype) \(tensor.shape) \(tensor.payload.storage) "
            + "\(tensor.payload.byteCount) \(slice)"
        ] + dataset.attributes.map { "  \($0)" }
      } + index.unreadable.map { "\($0)" }
  }

  @Test(arguments: files(under: Fixtures.folder))
  func `a fixture is listed as libhdf5 lists it`(_ path: String) throws {
    let image = try Self.image(path)
    let expected = Self.summary(try HDF5.childIndex(of: image))
    // Fixtures with what is no longer classic (a later superblock among it), or cannot be held.
    let others = ["layouts", "filters", "superblock"]
    let version = try File(path).bytes(at: 8, count: 1)
    let isUser = Paths.name(of: path) == "userblock.h5"
    let isClassic =
      !others.contains { Paths.name(of: path).hasPrefix($0) } && (version == [0] || isUser)
    let index = ClassicHDF5.index(of: image)
    #expect((index != nil) == isClassic, "\(path)")
    if let index { #expect(Self.summary(index) == expected) }
  }

  @Test(.enabled(if: getenv("CKPT_REAL_FILES") != nil, "CKPT_REAL_FILES names no folder"))
  func `real files are listed as libhdf5 lists them`() throws {
    let folder = String(cString: try #require(getenv("CKPT_REAL_FILES")))
    var counts = [true: 0, false: 0]
    for path in Self.files(under: folder) {
      let image = try Self.image(path)
      let index = ClassicHDF5.index(of: image)
      counts[index != nil, default: 0] += 1
      guard let index else {
        print("not classic:", path)
        continue
      }
      #expect(try Self.summary(index) == Self.summary(HDF5.childIndex(of: image)), "\(path)")
    }
    print("classic: \(counts[true] ?? 0), others: \(counts[false] ?? 0)")
  }

  @Test(arguments: ["a user block", "none"])
  func `an image inside another file is listed`(_ block: String) throws {
    let scratch = try TemporaryFolder()
    let source =
      block == "none"
      ? Fixtures.path("b4k-albert", "model.h5") : Fixtures.path("hdf5", "userblock.h5")
    let inner = try File.contents(of: source)
    let path = try scratch.file("outer", [UInt8](repeating: 7, count: 777) + inner + [1, 2, 3])
    let file = try File(path)
    let image = HDF5Image(try FileSlice(file, offset: 777, length: inner.count))
    let index = try #require(ClassicHDF5.index(of: image))
    #expect(Self.summary(index) == Self.summary(try HDF5.childIndex(of: image)))
    let offsets = try Self.image(source).slice.file
    #expect(index.datasets.count == (try HDF5.index(of: offsets)).datasets.count)
  }

  /// A damaged file has the outcome that libhdf5 gives it.
  private static func compare(_ bytes: [UInt8], _ scratch: TemporaryFolder) throws -> Outcome {
    let image = try image(try scratch.file("damaged.h5", bytes))
    guard let index = ClassicHDF5.index(of: image) else { return .left }
    do throws(CheckpointError) {
      let expected = summary(try HDF5.childIndex(of: image))
      #expect(summary(index) == expected, "\(summary(index).difference(from: expected))")
      return .same
    } catch {
      Issue.record("libhdf5 refuses it: \(error)")
      return .refused
    }
  }

  private enum Outcome { case left, same, refused }

  @Test(arguments: ["b4k-bert/weights.h5", "hdf5/userblock.h5", "hdf5/classic.h5"], 0..<2)
  func `mutations agree with libhdf5 or are left to it`(_ name: String, _ part: Int) throws {
    let bytes = try File.contents(of: Fixtures.path(name))
    let scratch = try TemporaryFolder()
    var random = SeededGenerator(seed: UInt64(part * 1000 + bytes.count))
    var counts: [Outcome: Int] = [:]
    // Damage goes where the structures are: to bytes that the reader looks at.
    let structure = bytes.indices.filter { $0 < 4096 || bytes[$0] != 0 }
    for _ in Fuzz.trials(250) {
      var damaged = bytes
      for _ in 0..<Int.random(in: 1...3, using: &random) {
        let position = structure[Int.random(in: 0..<structure.count, using: &random)]
        let values: [UInt8] = [
          UInt8.random(in: 0...255, using: &random), damaged[position] ^ 1,
          damaged[position] &+ 8, 0, 0xff,
        ]
        damaged[position] = values[Int.random(in: 0..<5, using: &random)]
      }
      counts[try Self.compare(damaged, scratch), default: 0] += 1
    }
    #expect(counts[.same, default: 0] > 0)
    #expect(counts[.left, default: 0] > 0)
  }

  @Test func `many mutations end without a crash`() throws {
    let bytes = try File.contents(of: Fixtures.path("hdf5", "classic.h5"))
    let scratch = try TemporaryFolder()
    var random = SeededGenerator(seed: 5)
    var listed = 0
    for _ in Fuzz.trials(10_000) {
      var damaged = bytes
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        damaged[Int.random(in: 0..<damaged.count, using: &random)] =
          UInt8.random(in: 0...255, using: &random)
      }
      let image = try Self.image(try scratch.file("damaged.h5", damaged))
      if let index = ClassicHDF5.index(of: image) {
        listed += 1
        for dataset in index.datasets { _ = dataset.tensor.payload.slice }
      }
    }
    #expect(listed > 0)
  }

  @Test func `every truncation is left to libhdf5`() throws {
    let bytes = try File.contents(of: Fixtures.path("hdf5", "classic.h5"))
    let scratch = try TemporaryFolder()
    for length in bytes.indices {
      let image = try Self.image(try scratch.file("short.h5", Array(bytes[..<length])))
      #expect(ClassicHDF5.index(of: image) == nil, "\(length)")
    }
  }
}
