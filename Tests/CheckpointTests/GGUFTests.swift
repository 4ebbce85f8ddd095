import TestSupport
import Testing

@testable import Checkpoint

@Suite struct GGUFTests {
  static func open(_ name: String) throws -> Checkpoint {
    let probe = try Probe(Fixtures.path("gguf", name))
    #expect(GGUF().recognises(probe))
    return try GGUF().read(probe)
  }

  /// What gguf-py reads, `FILE/TENSOR`.
  static func expected() throws -> [String: Tensor] {
    let tensors = try NPZ().read(Probe(Fixtures.path("gguf", "expected.npz"))).tensors
    return Dictionary(uniqueKeysWithValues: tensors.map { ($0.name, $0) })
  }

  /// Whether both hold the same numbers, to the bit.
  static func isEqual(_ tensor: Tensor, _ expected: Tensor) throws -> Bool {
    guard tensor.shape == expected.shape else { return false }
    if !tensor.dtype.isQuantized, tensor.dtype != .bf16 {
      return try tensor.dtype == expected.dtype && tensor.bytes() == expected.bytes()
    }
    return try tensor.cast(to: .f32).bytes() == expected.bytes()
  }

  func written(
    _ checkpoint: Checkpoint, in folder: TemporaryFolder, name: String = "w.gguf"
  ) throws -> Checkpoint {
    let output = Output(overwrite: true, inputs: [])
    try GGUF().write(checkpoint, to: folder.file(name), in: output, options: WriteOptions())
    try output.commit(durable: false)
    return try GGUF().read(Probe(folder.file(name)))
  }

  // MARK: What gguf-py writes

  @Test(arguments: [
    "types.gguf", "big_endian.gguf", "big_endian_numbers.gguf", "v1.gguf", "v2.gguf",
  ])
  func `tensors of every type are those that gguf-py reads`(name: String) throws {
    let expected = try GGUFTests.expected()
    let checkpoint = try GGUFTests.open(name)
    for tensor in checkpoint.tensors {
      if let dtype = DType(rawValue: tensor.name.lowercased()) { #expect(tensor.dtype == dtype) }
      let wanted = try #require(expected["\(name)/\(tensor.name)"])
      #expect(try GGUFTests.isEqual(tensor, wanted), "\(tensor.name)")
      let inPlace = !name.hasPrefix("big") || tensor.dtype.numberSize == 1
      if !tensor.dtype.isQuantized || inPlace && !name.hasPrefix("big") {
        #expect((tensor.payload.slice != nil) == inPlace, "\(tensor.name)")
      }
    }
    #expect(checkpoint.tensors.count == expected.keys.count { $0.hasPrefix(name + "/") })
  }

  @Test func `every type of ggml is in the fixture but Q8_1, which stands in no file`() throws {
    let found = Set(try GGUFTests.open("types.gguf").tensors.map(\.dtype))
    #expect(Set(GGUF.types.values).subtracting(found) == [.q8_1])
    #expect(DType.allCases.filter(\.isQuantized).allSatisfy { GGUF.codes[$0] != nil })
  }

  @Test func `a block of Q8_1 is its bytes times its scale`() {
    var bytes: [UInt8] = []
    bytes.append(little: Float16(0.5).bitPattern)
    bytes.append(little: Float16(99).bitPattern)
    bytes += (0..<32).map { UInt8(bitPattern: Int8($0 - 16)) }
    #expect(Quantization.decode(bytes, as: .q8_1) == (0..<32).map { Float($0 - 16) / 2 })
  }

  @Test func `big-endian blocks without an agreed form are listed`() throws {
    let checkpoint = try GGUFTests.open("big_endian_numbers.gguf")
    #expect(checkpoint.unreadable.map(\.name) == ["Q5_K"])
  }

  @Test(arguments: ["metadata.gguf", "big_endian_numbers.gguf"])
  func `metadata of every type keep it`(name: String) throws {
    let attributes = try GGUFTests.open(name).attributes
    func value(_ name: String) -> Attribute.Value? { attributes.first { $0.name == name }?.value }
    let scalars: [(String, DType, Double)] = [
      ("u8", .u8, 200), ("i8", .i8, -100), ("u16", .u16, 60_000), ("i16", .i16, -30_000),
      ("u32", .u32, 4_000_000_000), ("i32", .i32, -2_000_000_000), ("f32", .f32, 0.5),
      ("u64", .u64, 0x1p63), ("i64", .i64, -0x1p62), ("f64", .f64, 0.1), ("true", .bool, 1),
      ("false", .bool, 0),
    ]
    for (name, dtype, number) in scalars {
      #expect(
        value("v.\(name)")
          == .numbers(dtype, shape: [], bytes: Elements.encode([number], as: dtype)), "\(name)")
    }
    #expect(value("v.text") == Attribute("", text: "词嵌入").value)
    #expect(value("v.empty") == Attribute("", text: "").value)
    let names: [(String, DType)] = [
      ("uint8", .u8), ("int8", .i8), ("uint16", .u16), ("int16", .i16), ("uint32", .u32),
      ("int32", .i32), ("float32", .f32), ("bool", .bool), ("uint64", .u64), ("int64", .i64),
      ("float64", .f64),
    ]
    for (name, dtype) in names {
      let values: [Double] = dtype == .bool ? [1, 0, 1] : [1, 2, 3]
      #expect(
        value("a.\(name)")
          == .numbers(dtype, shape: [3], bytes: Elements.encode(values, as: dtype)), "\(name)")
    }
    #expect(value("a.string") == .text(["a", "", "词"], shape: [3], type: .init()))
    #expect(attributes.first?.name == "general.architecture")
  }

  @Test func `nested arrays are listed, and the alignment of the file counts`() throws {
    let checkpoint = try GGUFTests.open("metadata.gguf")
    #expect(checkpoint.unreadable.map(\.name) == ["nested"])
    let offsets = checkpoint.tensors.compactMap { $0.payload.slice?.offset }
    #expect(offsets.count == 2 && offsets[1] - offsets[0] == 64 && offsets[0] % 64 == 0)
  }

  @Test func `scalars, empty tensors and other scripts are read`() throws {
    let tensors = try GGUFTests.open("shapes.gguf").tensors
    let expected = try GGUFTests.expected()
    for tensor in tensors.prefix(8) {
      let wanted = try #require(expected["shapes.gguf/\(tensor.name)"])
      #expect(try GGUFTests.isEqual(tensor, wanted), "\(tensor.name)")
    }
    #expect(tensors[8].name == "层/权重 0")
    #expect(tensors[9].name == String(repeating: "n", count: 100))
  }

  // MARK: Shards

  @Test(arguments: 1...3) func `every shard leads to all of them`(number: Int) throws {
    let checkpoint = try GGUFTests.open("shards-0000\(number)-of-00003.gguf")
    let expected = try GGUFTests.expected()
    #expect(checkpoint.tensors.map(\.name) == (0..<5).map { "blk.\($0).weight" })
    for tensor in checkpoint.tensors {
      #expect(try tensor.bytes() == expected["shards/\(tensor.name)"]?.bytes())
    }
    #expect(checkpoint.files.count == 3)
    #expect(checkpoint.text("general.name") == "in three parts")
    #expect(checkpoint.attributes.allSatisfy { !$0.name.hasPrefix("split.") })
  }

  @Test func `a folder of shards opens`() throws {
    let folder = try TemporaryFolder()
    for name in (1...3).map({ "shards-0000\($0)-of-00003.gguf" }) {
      try folder.file(name, File.contents(of: Fixtures.path("gguf", name)))
    }
    let checkpoint = try Opening(folder.path).checkpoint
    #expect(checkpoint.tensors.count == 5 && checkpoint.warnings.isEmpty)
  }

  @Test func `a shard that is missing, misnamed or another's is named`() throws {
    let folder = try TemporaryFolder()
    let names = (1...3).map { "shards-0000\($0)-of-00003.gguf" }
    func copy(_ name: String, as other: String) throws {
      try folder.file(other, File.contents(of: Fixtures.path("gguf", name)))
    }
    func read(_ name: String) throws { _ = try GGUF().read(Probe(folder.file(name))) }
    try copy(names[0], as: names[0])
    try copy(names[2], as: names[2])
    var error = #expect(throws: CheckpointError.self) { try read(names[0]) }
    #expect(error?.kind == .cannotRead && error?.reason.contains(names[1]) == true)
    try copy(names[2], as: names[1])
    error = #expect(throws: CheckpointError.self) { try read(names[0]) }
    #expect(error == CheckpointError(.damaged, .file(folder.file(names[1])), ""))
    try copy(names[0], as: "other.gguf")
    error = #expect(throws: CheckpointError.self) { try read("other.gguf") }
    #expect(error == CheckpointError(.unsupported, .file(folder.file("other.gguf")), ""))
  }

  // MARK: Writing

  @Test(arguments: ["types.gguf", "metadata.gguf", "big_endian.gguf", "v1.gguf", "v2.gguf"])
  func `what was read is written, blocks and metadata unchanged`(name: String) throws {
    let folder = try TemporaryFolder()
    let original = try GGUFTests.open(name)
    let back = try written(original, in: folder)
    #expect(back.attributes == original.attributes)
    #expect(back.tensors.map(\.name) == original.tensors.map(\.name))
    for (tensor, source) in zip(back.tensors, original.tensors) {
      #expect(tensor.dtype == source.dtype && tensor.shape == source.shape)
      #expect(try tensor.bytes() == source.bytes())
      #expect((tensor.payload.slice?.offset ?? 1) % (name == "metadata.gguf" ? 64 : 32) == 0)
    }
    _ = try written(back, in: folder, name: "second.gguf")
    #expect(
      try File.contents(of: folder.file("w.gguf"))
        == File.contents(of: folder.file("second.gguf")))
  }

  @Test func `what gguf-py wrote without oddities comes out as the same bytes`() throws {
    let folder = try TemporaryFolder()
    _ = try written(GGUFTests.open("types.gguf"), in: folder)
    #expect(
      try File.contents(of: folder.file("w.gguf"))
        == File.contents(of: Fixtures.path("gguf", "types.gguf")))
  }

  @Test func `every shape of every type comes back, and groups and attributes with it`() throws {
    let folder = try TemporaryFolder()
    var tensors: [Tensor] = []
    for dtype in GGUF.codes.keys.sorted(by: { $0.rawValue < $1.rawValue }) {
      let row = dtype.block.elements
      let shapes: [Shape] =
        row > 1
        ? [[row], [0], [2, 3 * row], [3, 0, row]] : [[], [0], [1], [3], [2, 0, 5], [2, 1, 3, 4]]
      for shape in shapes {
        tensors.append(Samples.tensor("层/\(dtype.rawValue) \(shape)", dtype, shape))
      }
    }
    let fixed = Attribute.TextType(size: 4, utf8: false, padding: .nullPadded)
    let attributes = [
      Attribute("keras_version", text: "2.15.0"),
      Attribute("names", .text(["ab", "c"], shape: [2], type: fixed)),
      Attribute("table", .numbers(.f32, shape: [1, 2], bytes: [0, 0, 0, 0, 0, 0, 128, 63])),
      Attribute("none", .numbers(.f64, shape: [0], bytes: [])),
      Attribute("general.alignment", text: "left"), Attribute("split.count", text: "3"),
      Attribute("ckpt.layout", text: "mine"),
    ]
    let groups = [
      Group(name: "empty"), Group(name: "a", attributes: attributes, tensors: tensors),
    ]
    let back = try written(Checkpoint(groups: groups, attributes: attributes), in: folder)
    #expect(back.attributes == attributes)
    #expect(back.groups.map(\.name) == ["empty", "a"])
    #expect(back.groups[1].attributes == attributes)
    for (tensor, source) in zip(back.tensors, tensors) {
      #expect(tensor.name == source.name && tensor.dtype == source.dtype)
      #expect(tensor.shape == source.shape)
      #expect(try tensor.bytes() == source.bytes(), "\(source.name)")
    }
    #expect(back.tensors.count == tensors.count && back.warnings.isEmpty)
  }

  @Test func `a Keras file is the same again after GGUF`() throws {
    let folder = try TemporaryFolder()
    func rewritten(_ checkpoint: Checkpoint, _ format: any Format, _ name: String) throws
      -> Checkpoint
    {
      let output = Output(overwrite: true, inputs: [])
      try format.write(checkpoint, to: folder.file(name), in: output, options: WriteOptions())
      try output.commit(durable: false)
      return try format.read(Probe(folder.file(name)))
    }
    let groups = ["dense", "empty", "norm"].map { name in
      Group(
        name: name,
        tensors: name == "empty"
          ? [] : [Samples.tensor("\(name)/kernel:0", .f32, [3, 4], seed: name.count)])
    }
    let made = Checkpoint(
      groups: groups, attributes: [Attribute("keras_version", text: "2.15.0")])
    let original = try rewritten(made, KerasHDF5(), "1.h5")
    let packed = try rewritten(original, GGUF(), "2.gguf")
    _ = try rewritten(packed, KerasHDF5(), "3.h5")
    #expect(packed.groups.map(\.name) == original.groups.map(\.name))
    #expect(
      try File.contents(of: folder.file("1.h5")) == File.contents(of: folder.file("3.h5")))
  }

  @Test func `ten thousand tensors come back in order`() throws {
    let folder = try TemporaryFolder()
    let tensors = (0..<10_000).map { Samples.tensor("t.\($0)", .i8, [$0 % 3]) }
    let back = try written(Checkpoint(groups: [Group(name: "", tensors: tensors)]), in: folder)
    #expect(back.tensors.map(\.name) == tensors.map(\.name))
    #expect(try back.tensors[9_998].bytes() == tensors[9_998].bytes())
  }

  @Test func `what GGUF cannot hold is refused by name, with the way out`() throws {
    let folder = try TemporaryFolder()
    func refused(_ tensor: Tensor) throws -> String? {
      let error = #expect(throws: CheckpointError.self) {
        try written(Checkpoint(groups: [Group(name: "", tensors: [tensor])]), in: folder)
      }
      #expect(error?.kind == .unsupported && error?.place.tensor == tensor.name)
      return error?.hint
    }
    for dtype in DType.allCases where GGUF.codes[dtype] == nil {
      let isFloat = dtype.isFloat || dtype.isPacked
      let hint = try refused(Samples.tensor("t", dtype, [4]))
      #expect(hint == (isFloat ? "use --dtype f32" : "to go on without it: --allow-drop 't'"))
    }
    #expect(
      try refused(Samples.tensor("t", .f32, [1, 1, 1, 1, 1]))?.contains("--allow-drop") == true)
    #expect(try refused(Samples.tensor("n\0n", .f32, [1]))?.contains("rename") == true)
    #expect(folder.contents.isEmpty)
  }

  @Test(arguments: [(63, 0), (64, 1), (300, 1)])
  func `names that ggml does not read are written with a remark`(
    _ length: Int, _ remarks: Int
  ) throws {
    let tensor = Samples.tensor(String(repeating: "n", count: length), .f32, [1])
    let checkpoint = Checkpoint(groups: [Group(name: "", tensors: [tensor])])
    #expect(try written(checkpoint, in: TemporaryFolder()).tensors.map(\.name) == [tensor.name])
    #expect(GGUF().remarks(on: checkpoint).count == remarks)
  }

  // MARK: Hostile files

  /// A little-endian file of version 3, part by part.
  struct Handmade {
    var magic = Array("GGUF".utf8)
    var version: UInt32 = 3
    var tensorCount: UInt64?
    var entryCount: UInt64?
    var entries: [[UInt8]] = []
    var tensors: [[UInt8]] = []
    var data = 64

    static func text(_ value: String) -> [UInt8] {
      var bytes: [UInt8] = []
      bytes.append(little: UInt64(value.utf8.count))
      return bytes + Array(value.utf8)
    }

    static func words(_ values: UInt32...) -> [UInt8] {
      values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
    }

    static func longs(_ values: UInt64...) -> [UInt8] {
      values.flatMap { value in (0..<8).map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) } }
    }

    static func tensor(
      _ name: String = "t", _ extents: [UInt64] = [4], type: UInt32 = 0, offset: UInt64 = 0,
      rank: UInt32? = nil
    ) -> [UInt8] {
      text(name) + words(rank ?? UInt32(extents.count)) + extents.flatMap { longs($0) }
        + words(type) + longs(offset)
    }

    var bytes: [UInt8] {
      var header = magic + Handmade.words(version)
      header += Handmade.longs(tensorCount ?? UInt64(tensors.count))
      header += Handmade.longs(entryCount ?? UInt64(entries.count))
      header += entries.flatMap(\.self) + tensors.flatMap(\.self)
      header += [UInt8](repeating: 0, count: (32 - header.count % 32) % 32)
      return header + [UInt8](repeating: 0, count: data)
    }
  }

  static let lies: [(String, CheckpointError.Kind, @Sendable (inout Handmade) -> Void)] = {
    typealias Made = Handmade
    let key = Made.text("k")
    return [
      ("version 0", .unsupported, { $0.version = 0 }),
      ("version 4", .unsupported, { $0.version = 4 }),
      ("big-endian version 2", .unsupported, { $0.version = 2 << 24 }),
      ("more tensors than bytes", .damaged, { $0.tensorCount = 1 << 60 }),
      ("a tensor too many", .damaged, { $0.tensorCount = 3 }),
      ("more entries than bytes", .damaged, { $0.entryCount = .max }),
      ("a key longer than the file", .damaged, { $0.entries = [Made.longs(1 << 40)] }),
      ("a key that is not UTF-8", .damaged, { $0.entries = [Made.longs(1) + [255]] }),
      ("an unknown type", .damaged, { $0.entries = [key + Made.words(13, 0, 0)] }),
      ("a key twice", .damaged, { $0.entries = [key + Made.words(4, 1), key + Made.words(4, 1)] }),
      ("a bool of 2", .damaged, { $0.entries = [key + Made.words(7) + [2]] }),
      (
        "a text longer than the file", .damaged,
        { $0.entries = [key + Made.words(8) + Made.longs(.max)] }
      ),
      (
        "an array longer than the file", .damaged,
        { $0.entries = [key + Made.words(9, 12) + Made.longs(1 << 58)] }
      ),
      (
        "an array of texts longer than the file", .damaged,
        { $0.entries = [key + Made.words(9, 8) + Made.longs(1 << 30)] }
      ),
      (
        "arrays in arrays without end", .damaged,
        {
          $0.entries = [
            key + Made.words(9, 9) + Made.longs(1)
              + (0..<20).flatMap { _ in Made.words(9) + Made.longs(1) }
          ]
        }
      ),
      (
        "an alignment of 3", .damaged,
        { $0.entries = [Made.text("general.alignment") + Made.words(4, 3)] }
      ),
      (
        "an alignment of 0", .damaged,
        { $0.entries = [Made.text("general.alignment") + Made.words(4, 0)] }
      ),
      (
        "an alignment of 2 GB", .damaged,
        { $0.entries = [Made.text("general.alignment") + Made.words(4, 1 << 31)] }
      ),
      (
        "a signed alignment", .damaged,
        { $0.entries = [Made.text("general.alignment") + Made.words(5, 32)] }
      ),
      ("five axes", .damaged, { $0.tensors = [Made.tensor("t", [1, 1, 1, 1, 1])] }),
      ("a rank of 4 billion", .damaged, { $0.tensors = [Made.tensor(rank: .max)] }),
      ("extents that overflow", .damaged, { $0.tensors = [Made.tensor("t", [1 << 40, 1 << 40])] }),
      ("an extent beyond Int", .damaged, { $0.tensors = [Made.tensor("t", [.max])] }),
      ("more elements than bytes", .damaged, { $0.tensors = [Made.tensor("t", [1 << 40])] }),
      ("a tensor behind the end", .damaged, { $0.tensors = [Made.tensor(offset: 1 << 20)] }),
      (
        "an offset that overflows", .damaged,
        { $0.tensors = [Made.tensor(offset: 0x7fff_ffff_ffff_ffe0)] }
      ),
      ("an offset beyond Int", .damaged, { $0.tensors = [Made.tensor(offset: .max)] }),
      ("an offset between", .damaged, { $0.tensors = [Made.tensor(offset: 8)] }),
      ("a name twice", .damaged, { $0.tensors = [Made.tensor(), Made.tensor(offset: 32)] }),
      (
        "tensors one over the other", .damaged,
        { $0.tensors = [Made.tensor("a", [9]), Made.tensor("b", offset: 32)] }
      ),
      (
        "a row that fills no block", .damaged,
        { $0.tensors = [Made.tensor("t", [33, 32], type: 2)] }
      ),
    ]
  }()

  @Test(arguments: lies.indices) func `a file that lies is an error`(index: Int) throws {
    let (name, kind, change) = GGUFTests.lies[index]
    let damage = try Damage(GGUF())
    var file = Handmade(tensors: [Handmade.tensor(), Handmade.tensor("u", offset: 32)])
    #expect(try damage.read(file.bytes)?.tensors.count == 2)
    change(&file)
    let error = #expect(throws: CheckpointError.self, "\(name)") { try damage.read(file.bytes) }
    #expect(error?.kind == kind, "\(name): \(error?.description ?? "")")
    #expect(error?.place.file != nil, "\(name)")
  }

  @Test func `types that ggml has removed or that are not known are listed`() throws {
    let damage = try Damage(GGUF())
    let file = Handmade(tensors: [
      Handmade.tensor("a", type: 4), Handmade.tensor("b", type: 999), Handmade.tensor("c"),
    ])
    let checkpoint = try #require(try damage.read(file.bytes))
    #expect(checkpoint.unreadable.map(\.name) == ["a", "b"])
    #expect(checkpoint.unreadable[0].reason == "is of type Q4_2, which ggml has removed")
    #expect(checkpoint.tensors.map(\.name) == ["c"])
  }

  @Test func `text that is not UTF-8 is listed, the rest is read`() throws {
    let damage = try Damage(GGUF())
    let file = Handmade(entries: [
      Handmade.text("k") + Handmade.words(9, 8) + Handmade.longs(2) + Handmade.text("a")
        + Handmade.longs(1) + [0xff],
      Handmade.text("l") + Handmade.words(8) + Handmade.text("b"),
    ])
    let checkpoint = try #require(try damage.read(file.bytes))
    #expect(
      checkpoint.unreadable == [Unreadable(name: "k", reason: "holds text that is not UTF-8")])
    #expect(checkpoint.text("l") == "b")
  }

  @Test(arguments: ["v1.gguf", "v2.gguf", "metadata.gguf", "big_endian_numbers.gguf"])
  func `a file cut anywhere is an error`(name: String) throws {
    let bytes = try File.contents(of: Fixtures.path("gguf", name))
    // Behind the last tensor there is padding.
    let end = try #require(
      GGUFTests.open(name).tensors.compactMap { $0.payload.slice.map { $0.offset + $0.length } }
        .max())
    if name == "big_endian_numbers.gguf" {
      try Damage(GGUF()).cutEverywhere(Array(bytes[..<1000]))
    } else {
      try Damage(GGUF()).cutEverywhere(bytes, sparing: bytes.count - end)
    }
  }

  @Test(arguments: [("v1.gguf", 1_500), ("v2.gguf", 1_500), ("metadata.gguf", 1_500)])
  func `mutations end in tensors or in an error`(name: String, trials: Int) throws {
    try Damage(GGUF()).mutate(File.contents(of: Fixtures.path("gguf", name)), trials: trials)
  }
}
