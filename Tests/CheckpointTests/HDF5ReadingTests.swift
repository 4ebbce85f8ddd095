import Checkpoint
import Glibc
import Synchronization
import TestSupport
import Testing

@Suite struct HDF5ReadingTests {
  /// Every dataset of the fixture: element i is i % 100.
  static let datasets: [(name: String, dtype: DType, shape: [Int], storage: String)] =
    [
      ("contiguous", .f32, [5, 7], "contiguous"),
      ("scalar", .f32, [], "contiguous"),
      ("empty", .f32, [0, 5], "never written"),
      ("chunked/plain", .f32, [20, 9], "chunked"),
      ("chunked/gzip", .f32, [50, 33], "chunked gzip"),
      ("chunked/all", .i32, [7, 11, 13], "chunked shuffle+gzip+fletcher32"),
      ("chunked/lzf", .f32, [4000], "chunked lzf"),
      ("chunked/big", .f64, [40, 3], "chunked gzip big-endian"),
      ("compact", .f64, [6], "compact"),
      ("bf16", .bf16, [3], "contiguous"),
    ]
    + [DType.f16, .f32, .f64, .i8, .i16, .i32, .i64, .u8, .u16, .u32, .u64].flatMap { dtype in
      let name = "\(dtype.rawValue.prefix(1))\(dtype.size)"
      return [
        ("little/" + name, dtype, [3, 5], "contiguous"),
        (
          "big/" + name, dtype, [3, 5], dtype.size == 1 ? "contiguous" : "contiguous, big-endian"
        ),
      ]
    }

  @Test(arguments: datasets) func `a dataset of any layout and type reads`(
    _ expected: (name: String, dtype: DType, shape: [Int], storage: String)
  ) throws {
    let tensor = try HDF5Fixtures.read("layouts.h5").tensor(expected.name)
    #expect(tensor.dtype == expected.dtype)
    #expect(tensor.shape.extents == expected.shape)
    #expect(tensor.payload.storage == expected.storage)
    #expect(tensor.payload.filters.isEmpty == !expected.storage.contains("chunked "))
    #expect(expected.storage.contains(tensor.payload.filters.joined(separator: "+")))
    #expect(try tensor.doubles() == (0..<tensor.shape.count).map { Double($0 % 100) })
  }

  static let filtered: [(name: String, dtype: DType, shape: [Int], storage: String)] = [
    ("szip", .f32, [40, 24], "chunked szip"), ("szip entropy", .i16, [40, 24], "chunked szip"),
    ("scaled", .i32, [60], "chunked scaleoffset"), ("fletcher32", .f32, [60], "chunked fletcher32"),
    ("half", .f16, [30, 8], "chunked shuffle+gzip"),
    ("index/single", .f32, [6, 7], "chunked gzip"), ("index/fixed", .f32, [30, 7], "chunked gzip"),
    ("index/extensible", .f32, [30, 7], "chunked"), ("index/tree", .f32, [30, 7], "chunked lzf"),
  ]

  @Test(arguments: filtered) func `a dataset of any filter and index of chunks reads`(
    _ expected: (name: String, dtype: DType, shape: [Int], storage: String)
  ) throws {
    let tensor = try HDF5Fixtures.read("filters.h5").tensor(expected.name)
    #expect(tensor.dtype == expected.dtype)
    #expect(tensor.shape.extents == expected.shape)
    #expect(tensor.payload.storage == expected.storage)
    #expect(try tensor.doubles() == (0..<tensor.shape.count).map { Double($0 % 100) })
  }

  @Test func `groups and attributes that are kept densely read`() throws {
    let checkpoint = try HDF5Fixtures.read("filters.h5")
    for number in 0..<20 {
      #expect(
        try checkpoint.tensor("dense/\(number)").doubles() == [0, 1, 2].map { $0 + Double(number) })
    }
    let group = try #require(checkpoint.groups.first { $0.name == "dense" })
    #expect(Set(group.attributes.map(\.name)) == Set((0..<20).map { "a\($0)" }))
    #expect(try checkpoint.tensor("truth").bytes() == (0..<300).map { $0 % 100 == 1 ? 1 : 0 })
    #expect(checkpoint.unreadable == [])
  }

  @Test(arguments: [
    ("classic.h5", "complex/<c8", 6, DType.c64), ("classic.h5", "complex/>c8", 6, .c64),
    ("classic.h5", "complex/<c16", 6, .c128), ("classic.h5", "complex/>c16", 6, .c128),
    ("filters.h5", "complex", 30, .c64), ("filters.h5", "complex big", 30, .c128),
  ])
  func `complex numbers read`(_ file: String, _ name: String, _ count: Int, _ dtype: DType) throws {
    let tensor = try HDF5Fixtures.read(file).tensor(name)
    #expect(tensor.dtype == dtype)
    let parts = (0..<count).flatMap { [Double($0), 0 - 2 * Double($0)] }
    #expect(try tensor.bytes() == Elements.encode(parts, as: dtype == .c64 ? .f32 : .f64))
  }

  @Test func `complex numbers are written as h5py writes them`() throws {
    let scratch = try TemporaryFolder()
    let tensors = [
      Samples.tensor("a", .c64, [3, 5]), Samples.tensor("b", .c128, [3]),
      Samples.tensor("c", .c64, [2000]),
    ]
    let checkpoint = Checkpoint(groups: [Group(name: "", tensors: tensors)])
    let read = try scratch.rewritten(checkpoint)
    #expect(try read.summary() == checkpoint.summary())
    #expect(read.tensors.allSatisfy { $0.payload.slice != nil })
  }

  @Test(arguments: 0...3) func `every superblock reads`(_ version: Int) throws {
    let checkpoint = try HDF5Fixtures.read("superblock\(version).h5")
    #expect(try checkpoint.tensor("x").doubles() == (0..<12).map(Double.init))
    #expect(
      try checkpoint.tensor("group/packed").doubles() == (0..<120).map { Double($0 % 100) })
    #expect(checkpoint.text("text") == "文")
  }

  @Test func `what was never written reads as the fill value`() throws {
    let checkpoint = try HDF5Fixtures.read("layouts.h5")
    #expect(try checkpoint.tensor("never").floats() == [3, 3, 3, 3])
    #expect(try checkpoint.tensor("chunked/never").floats() == [Float](repeating: 3, count: 16))
    #expect(try checkpoint.tensor("bool").bytes() == [0, 1, 0, 0, 0, 0])
  }

  @Test(arguments: ["chunked/all", "big/i4", "compact", "chunked/lzf"])
  func `any window of a payload reads`(_ name: String) throws {
    let tensor = try HDF5Fixtures.read("layouts.h5").tensor(name)
    let whole = try tensor.bytes()
    var random = SeededGenerator(seed: 7)
    for _ in 0..<12 {
      let offset = Int.random(in: 0..<whole.count, using: &random)
      let count = Int.random(in: 0...(whole.count - offset), using: &random)
      var window = [UInt8](repeating: 0xee, count: count)
      var span = window.mutableSpan
      var raw = span.mutableBytes
      try tensor.payload.read(at: offset, into: &raw)
      #expect(window == Array(whole[offset..<(offset + count)]), "\(offset), \(count)")
    }
  }

  @Test func `windows that follow each other are read, also of many datasets at once`() throws {
    let checkpoint = try HDF5Fixtures.read("layouts.h5")
    let names = ["chunked/all", "chunked/gzip", "chunked/lzf", "chunked/big", "chunked/plain"]
    // More datasets than children may wait.
    let tensors = try (0..<12).map { try checkpoint.tensor(names[$0 % names.count]) }
    var found = [[UInt8]](repeating: [], count: tensors.count)
    for round in 0..<40 {
      for (index, tensor) in tensors.enumerated() {
        // Some begin anew in between.
        if round == 3, index % 2 == 0 { found[index] = [] }
        let count = min(300 + index, tensor.byteCount - found[index].count)
        var window = [UInt8](repeating: 0xee, count: count)
        var span = window.mutableSpan
        var raw = span.mutableBytes
        try tensor.payload.read(at: found[index].count, into: &raw)
        found[index] += window
      }
    }
    for (index, tensor) in tensors.enumerated() {
      #expect(try found[index] == Array(tensor.bytes().prefix(found[index].count)), "\(index)")
      #expect(
        found[index].count == min(tensor.byteCount, (index % 2 == 0 ? 37 : 40) * (300 + index)))
    }
  }

  @Test(arguments: [
    ("not/text", "it holds text, no numbers"),
    ("not/fixed", "it holds text, no numbers"),
    ("not/compound", "it holds compound values, no plain numbers"),
    ("not/enum", "it holds an enumeration other than FALSE and TRUE"),
    ("not/opaque", "it holds opaque bytes, no numbers"),
    ("not/void", "it has no elements and no shape (a null dataspace)"),
    ("not/type", "it is a named type, no tensor"),
    ("not/soft", "it is a soft link, which is not followed"),
    ("not/dangling", "it is a soft link, which is not followed"),
    ("not/external", "it is a link to another file, which is not followed"),
    ("not/loop", "it is a second link to a group that is listed already"),
    ("not/elsewhere", "its bytes are in another file"),
    ("not/virtual", "it is a view of other files (a virtual dataset)"),
    ("huge", "it claims 8589934592 bytes, for which the file holds 0"),
    ("attributes@void", "the attribute has a type but no value (a null dataspace)"),
    ("attributes@compound", "it holds compound values, no plain numbers"),
    ("attributes@latin", "the attribute's text is not UTF-8"),
  ])
  func `what is no tensor is listed with the reason`(_ name: String, _ reason: String) throws {
    let unreadable = try HDF5Fixtures.read("layouts.h5").unreadable
    #expect(unreadable.contains(Unreadable(name: name, reason: reason)))
    #expect(unreadable.count == 17)
  }

  @Test func `attributes keep their type`() throws {
    let checkpoint = try HDF5Fixtures.read("layouts.h5")
    let group = try #require(checkpoint.groups.first { $0.name == "attributes" })
    func value(_ name: String) -> Attribute.Value? {
      group.attributes.first { $0.name == name }?.value
    }
    #expect(value("vlen utf8") == .text(["naïve – 文"], shape: [], type: .init()))
    #expect(value("vlen ascii") == .text(["tensorflow"], shape: [], type: .init(utf8: false)))
    #expect(value("empty text") == .text([""], shape: [], type: .init()))
    #expect(value("vlen array") == .text(["a", "", "ccc", "文"], shape: [2, 2], type: .init()))
    #expect(
      value("fixed")
        == .text(
          ["a", "bcd", ""], shape: [3], type: .init(size: 5, utf8: false, padding: .nullPadded)))
    #expect(value("nullterm") == .text(["ab"], shape: [], type: .init(size: 6)))
    #expect(
      value("spacepad") == .text(["ab"], shape: [], type: .init(size: 6, padding: .spacePadded)))
    #expect(value("no layers") == .numbers(.f64, shape: [0], bytes: []))
    #expect(value("i2") == .numbers(.i16, shape: [2, 2], bytes: [0, 0, 1, 0, 2, 0, 3, 0]))
    #expect(
      value("big") == .numbers(.i32, shape: [3], bytes: [0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0]))
    #expect(value("truth") == .numbers(.bool, shape: [], bytes: [1]))
    #expect(value("truths") == .numbers(.bool, shape: [2], bytes: [1, 0]))
    #expect(
      checkpoint.groups.first?.attributes
        == [
          Attribute("bf16@dtype", text: "bfloat16"),
          Attribute(
            "contiguous@of a dataset", .numbers(.i64, shape: [], bytes: [1, 0, 0, 0, 0, 0, 0, 0])),
        ])
  }

  @Test func `a user block is skipped`() throws {
    let checkpoint = try HDF5Fixtures.read("userblock.h5")
    #expect(try checkpoint.tensor("x").floats() == (0..<12).map { Float($0) })
    #expect(try checkpoint.tensor("never").floats() == [0, 0, 0, 0])
    #expect(try checkpoint.tensor("x").payload.slice != nil)
  }

  @Test func `an image inside another file opens`() throws {
    let scratch = try TemporaryFolder()
    let inner = try File.contents(of: HDF5Fixtures.folder + "/layouts.h5")
    let path = try scratch.file("outer", [UInt8](repeating: 7, count: 1001) + inner + [1, 2, 3])
    let index = try HDF5.index(of: File(path), offset: 1001, length: inner.count)
    let tensors = index.datasets.map(\.tensor)
    let reference = try HDF5.index(of: File(HDF5Fixtures.folder + "/layouts.h5"))
    #expect(tensors.map(\.name) == reference.datasets.map(\.path))
    for (tensor, expected) in zip(tensors, reference.datasets) {
      #expect(try tensor.bytes() == expected.tensor.bytes(), "\(tensor.name)")
    }
    #expect(throws: CheckpointError(.damaged, Place(file: path, offset: 1001), "")) {
      try HDF5.index(of: File(path), offset: 1001, length: inner.count + 4)
    }
  }

  @Test func `many threads read at once`() throws {
    let names = ["chunked/all", "contiguous", "big/f8", "chunked/lzf"]
    let failures = Mutex<[String]>([])
    withThreads(8) { thread in
      do {
        for round in 0..<6 {
          let tensor = try HDF5Fixtures.read("layouts.h5").tensor(names[(thread + round) % 4])
          let expected = (0..<tensor.shape.count).map { Double($0 % 100) }
          if try tensor.doubles() != expected { failures.withLock { $0.append(tensor.name) } }
        }
      } catch {
        failures.withLock { $0.append("\(error)") }
      }
    }
    #expect(failures.withLock { $0 } == [])
  }

  @Test func `a read-only file in a read-only folder opens`() throws {
    let scratch = try TemporaryFolder()
    let path = try scratch.file("a.h5", File.contents(of: HDF5Fixtures.folder + "/userblock.h5"))
    chmod(path, 0o444)
    chmod(scratch.path, 0o555)
    defer { chmod(scratch.path, 0o755) }
    #expect(try KerasHDF5().read(Probe(path)).tensors.count == 2)
  }

  @Test func `no child and no descriptor stays behind`() throws {
    func descriptors() -> Int { Paths.list("/proc/self/fd").count }
    _ = try HDF5Fixtures.read("layouts.h5")
    let before = descriptors()
    for _ in 0..<40 { _ = try HDF5Fixtures.read("layouts.h5").tensor("chunked/all").bytes() }
    #expect(descriptors() < before + 30)  // other tests run meanwhile
  }
}

/// Runs `body` on `count` threads and waits for them.
private func withThreads(_ count: Int, _ body: @escaping @Sendable (Int) -> Void) {
  final class Job: Sendable {
    let run: @Sendable () -> Void
    init(_ run: @escaping @Sendable () -> Void) { self.run = run }
  }
  var threads: [pthread_t] = []
  for index in 0..<count {
    let job = Unmanaged.passRetained(Job { body(index) }).toOpaque()
    var thread = pthread_t()
    pthread_create(
      &thread, nil,
      { pointer in
        if let pointer { Unmanaged<Job>.fromOpaque(pointer).takeRetainedValue().run() }
        return nil
      }, job)
    threads.append(thread)
  }
  for thread in threads { pthread_join(thread, nil) }
}
