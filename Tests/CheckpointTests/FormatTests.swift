import Foundation
import TestSupport
import Testing

@testable import Checkpoint

/// What every format of the registry promises; a new one is held to it once it is listed.
@Suite struct FormatTests {
  static let writable = FormatRegistry.writable.map(\.name)

  /// Writes to a folder of its own and opens what was written.
  func returned(
    _ checkpoint: Checkpoint, as name: String, in folder: TemporaryFolder, file: String = "x"
  ) throws -> Checkpoint {
    let format = try FormatRegistry.named(name)
    let output = Output(overwrite: true, inputs: [])
    let target = folder.file("\(file).\(format.suffixes[0])")
    let path = try format.write(checkpoint, to: target, in: output, options: WriteOptions())
    try output.commit(durable: false)
    // By content, as a user opens it.
    let entry = Paths.isFile(path) ? path : try #require(FormatRegistry.entry(for: path))
    let probe = try Probe(entry)
    #expect(try FormatRegistry.recognise(probe).name == name)
    return try format.read(probe)
  }

  func expectEqual(_ found: [Tensor], _ expected: [Tensor]) throws {
    #expect(found.map(\.name) == expected.map(\.name))
    for (a, b) in zip(found, expected) {
      #expect(a.dtype == b.dtype && a.shape == b.shape, "\(b.name)")
      #expect(try a.bytes() == b.bytes(), "\(b.name)")
    }
  }

  @Test(arguments: writable, DType.allCases)
  func `every type and shape returns, or is refused by name`(
    _ name: String, _ dtype: DType
  ) throws {
    let folder = try TemporaryFolder()
    var held = 0
    let shapes = [
      [], [0], [2, 0, 3], [1], [3], [2, 4], [2, 1, 4], [2, 256], [1, 2, 1, 2, 1, 2],
    ]
    for extents in shapes {
      let shape = Shape(extents)
      guard shape.count % dtype.block.elements == 0,
        dtype.block.elements == 1 || (extents.last ?? 1) % dtype.block.elements == 0
      else { continue }
      let tensor = Samples.tensor("x", dtype, shape, seed: 3)
      do {
        let back = try returned(
          Checkpoint(groups: [Group(name: "", tensors: [tensor])]), as: name, in: folder)
        try expectEqual(back.tensors, [tensor])
        held += 1
      } catch let error as CheckpointError {
        #expect(error.kind == .unsupported && error.place.tensor == "x", "\(error)")
      }
    }
    // A type is held with its usual shapes or not at all.
    #expect(held == 0 || held >= 3 || dtype.isPacked)
    if dtype == .f32 { #expect(held >= 7) }
  }

  @Test(arguments: writable)
  func `names of every script return, or are refused by name`(_ name: String) throws {
    let names = [
      "a/b/c:0", "with space", "词嵌入.权重", "dots.and-dashes_", "Ünï/cödé", "a\\b", "x@y", "'q'\"r\"",
      "new\nline", "layer_10", "layer_2", String(repeating: "long/", count: 40) + "end",
    ]
    for (index, text) in names.enumerated() {
      let folder = try TemporaryFolder()
      let tensor = Samples.tensor(text, .f32, [2, 3], seed: index)
      do {
        let back = try returned(
          Checkpoint(groups: [Group(name: "", tensors: [tensor])]), as: name, in: folder)
        if name == "npy" { continue }  // the file's name is the array's
        try expectEqual(back.tensors, [tensor])
      } catch let error as CheckpointError {
        #expect(error.kind == .unsupported && error.place.tensor == text, "\(error)")
        #expect(["keras", "keras-h5", "tf"].contains(name), "\(name) refuses \(text): \(error)")
      }
    }
  }

  @Test(arguments: writable.filter { $0 != "npy" })
  func `ten thousand tensors return in order`(_ name: String) throws {
    let folder = try TemporaryFolder()
    let tensors = (0..<10_000).map { index in
      Samples.tensor("层.\(index)/weight", .f32, [2, index % 3 + 1], seed: index)
    }
    let back = try returned(
      Checkpoint(groups: [Group(name: "", tensors: tensors)]), as: name, in: folder)
    let format = try FormatRegistry.named(name)
    let expected =
      format.keepsOrder
      ? tensors : tensors.sorted { $0.name.utf8.lexicographicallyPrecedes($1.name.utf8) }
    #expect(back.tensors.map(\.name) == expected.map(\.name))
    var differing = 0
    for (a, b) in zip(back.tensors, expected) {
      let (found, wanted) = try (a.bytes(), b.bytes())
      if found != wanted { differing += 1 }
    }
    #expect(differing == 0)
  }

  /// A Keras file: groups, one of them empty, attributes of several types.
  func keras() throws -> Checkpoint {
    try KerasHDF5().read(Probe(Fixtures.path("b4k-bert-tanh", "weights.h5")))
  }

  @Test(arguments: writable.filter { $0 != "npy" })
  func `a Keras file passes through every format that has room for it`(_ name: String) throws {
    let folder = try TemporaryFolder()
    let original = try keras()
    let there = try returned(original, as: name, in: folder)
    let format = try FormatRegistry.named(name)
    let back = try returned(there, as: "keras-h5", in: folder, file: "back")
    if format.leavesOut(original).isEmpty {
      #expect(back.groups.map(\.name) == original.groups.map(\.name))
      #expect(back.groups.map(\.attributes) == original.groups.map(\.attributes))
      #expect(back.attributes == original.attributes)
      try expectEqual(back.tensors, original.tensors)
    } else {
      let byName = Dictionary(uniqueKeysWithValues: back.tensors.map { ($0.name, $0) })
      #expect(byName.count == original.tensors.count)
      for tensor in original.tensors {
        #expect(try byName[tensor.name]?.bytes() == tensor.bytes(), "\(tensor.name)")
      }
    }
  }

  @Test(arguments: writable)
  func `the same content gives the same bytes`(_ name: String) throws {
    let folder = try TemporaryFolder()
    let tensors = [Samples.tensor("a", .f32, [3, 5])]
    let checkpoint = Checkpoint(groups: [Group(name: "", tensors: tensors)])
    _ = try returned(checkpoint, as: name, in: folder)
    let first = try folder.contents.map { try File.contents(of: folder.file($0)) }
    _ = try returned(checkpoint, as: name, in: folder)
    #expect(try folder.contents.map { try File.contents(of: folder.file($0)) } == first)
  }

  /// Small files of every format that can be written, with what damage may do to them.
  func small(_ name: String, in folder: TemporaryFolder) throws -> [(path: String, bytes: [UInt8])]
  {
    var tensors = [Samples.tensor("a", .f32, [2, 3])]
    if name != "npy" {
      tensors += [Samples.tensor("b/c", .i32, [4]), Samples.tensor("d", .f16, [2, 2, 2])]
    }
    _ = try returned(
      Checkpoint(groups: [Group(name: "", tensors: tensors)]), as: name, in: folder)
    return try folder.contents.map { name in
      (folder.file(name), try File.contents(of: folder.file(name)))
    }
  }

  /// Opens and reads everything; only errors that blame the file may come.
  func survive(_ path: String, _ name: String) -> Bool {
    do throws(CheckpointError) {
      let probe = try Probe(path)
      let format = try FormatRegistry.named(name)
      guard format.recognises(probe) else { return false }
      for tensor in try format.read(probe).tensors { try tensor.readWindows { _ in } }
      return true
    } catch {
      #expect(
        [.damaged, .unsupported, .notRecognised, .cannotRead].contains(error.kind), "\(error)")
      #expect(error.place != Place(), "\(error) has no place")
      return false
    }
  }

  @Test(arguments: writable.filter { $0 != "keras-h5" })
  func `a file cut anywhere is an error`(_ name: String) throws {
    let folder = try TemporaryFolder()
    let files = try small(name, in: folder)
    let main = try #require(try entry(of: files.map(\.path), name))
    for (path, bytes) in files where Paths.name(of: path) != "checkpoint" {
      // Behind the last tensor of a GGUF file there is padding, which not every writer writes.
      let end = name == "gguf" ? try endOfTensors(path) : bytes.count
      for count in 0..<end {
        try rewrite(path, Array(bytes[..<count]))
        #expect(!survive(main, name), "\(path) cut at \(count)")
      }
      try rewrite(path, bytes)
    }
  }

  func endOfTensors(_ path: String) throws -> Int {
    let tensors = try FormatRegistry.recognise(Probe(path)).read(Probe(path)).tensors
    return tensors.compactMap { $0.payload.slice.map { $0.offset + $0.length } }.max() ?? 0
  }

  /// Some file systems wait for the disk when a file is cut and written again.
  func rewrite(_ path: String, _ bytes: [UInt8]) throws {
    unlink(path)
    try Data(bytes).write(to: URL(fileURLWithPath: path))
  }

  /// The file by which the written ones are opened.
  func entry(of paths: [String], _ name: String) throws -> String? {
    let format = try FormatRegistry.named(name)
    return try paths.first { path in
      try Paths.name(of: path) != "checkpoint" && format.recognises(Probe(path))
    }
  }

  @Test(arguments: writable.filter { $0 != "keras-h5" })
  func `ten thousand mutations end in tensors or in an error`(_ name: String) throws {
    let folder = try TemporaryFolder()
    let files = try small(name, in: folder)
    let main = try #require(try entry(of: files.map(\.path), name))
    var random = SeededGenerator(seed: 20_261_124)
    for _ in Fuzz.trials(10_000) {
      let (path, bytes) = files.randomElement(using: &random) ?? files[0]
      var copy = bytes
      for _ in 0..<Int.random(in: 1...16, using: &random) {
        copy[Int.random(in: 0..<copy.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      try rewrite(path, copy)
      _ = survive(main, name)
      try rewrite(path, bytes)
    }
  }
}
