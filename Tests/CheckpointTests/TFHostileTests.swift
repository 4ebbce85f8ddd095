import TestSupport
import Testing

@testable import Checkpoint

/// Damaged and hostile TensorFlow checkpoints.
@Suite struct TFHostileTests {
  let folder: TemporaryFolder

  init() throws { folder = try TemporaryFolder() }

  // MARK: Blocks

  static let header = TFBlock.entry(0, [], BundleHeader(shards: 1).bytes)

  /// Contents that break the rules of blocks.
  static let blocks: [(name: String, contents: [UInt8])] = [
    ("empty", []), ("no restarts", [0, 0, 0]),
    ("too many restarts", TFBlock.contents([header], restarts: 1 << 30)),
    ("restarts before the start", TFBlock.contents([], restarts: 9)),
    ("a key that shares too much", TFBlock.contents([header, TFBlock.entry(1, [65], [])])),
    ("a key twice", TFBlock.contents([header, header])),
    (
      "keys out of order",
      TFBlock.contents([header, TFBlock.entry(0, [66], []), TFBlock.entry(0, [65], [])])
    ),
    (
      "a prefix behind",
      TFBlock.contents([TFBlock.entry(0, [65, 66], []), TFBlock.entry(1, [], [])])
    ),
    ("a value that is too long", TFBlock.contents([[0, 0, 50]])),
    ("a key that is too long", TFBlock.contents([[0, 50, 0]])),
    (
      "lengths that overflow",
      TFBlock.contents([[0] + [UInt8](repeating: 0xff, count: 9) + [1, 0]])
    ),
    ("an endless number", TFBlock.contents([[UInt8](repeating: 0xff, count: 12)])),
    (
      "no header",
      TFBlock.contents([TFBlock.entry(0, [65], BundleEntry(type: 1, extents: []).bytes)])
    ),
  ]

  @Test(arguments: blocks)
  func `a block that breaks the rules is damaged`(name: String, contents: [UInt8]) throws {
    let error = #expect(throws: CheckpointError.self, "\(name)") {
      try folder.table(block: contents)
    }
    #expect(error?.kind == .damaged && error?.place.file != nil, "\(name): \(error as Any)")
  }

  @Test func `checksums, places and compressions of blocks are checked`() throws {
    let good = TFBlock.contents([TFHostileTests.header])
    #expect(try folder.table(block: good).tensors.isEmpty)
    #expect(throws: CheckpointError(.damaged, Place(file: folder.file("a.index"), offset: 0), "")) {
      try folder.table(block: good, checksum: 1)
    }
    #expect(
      throws: CheckpointError(.unsupported, Place(file: folder.file("a.index"), offset: 0), "")
    ) { try folder.table(block: good, compression: 4) }
    for handle: [UInt8] in [[0, 0xff, 0x7f], [0xff, 0x7f, 1], [0], []] {
      let error = #expect(throws: CheckpointError.self) {
        try folder.table(block: good, index: handle)
      }
      #expect(error?.kind == .damaged)
    }
  }

  @Test func `a Snappy block that claims too much takes no memory`() throws {
    // A length of 4 GB before two bytes; none; a copy from before the start.
    let blocks: [[UInt8]] = [[0xff, 0xff, 0xff, 0xff, 0x0f, 0, 0], [], [4, 0x01, 0xff], [0xff]]
    for block in blocks {
      let error = #expect(throws: CheckpointError.self) {
        try folder.table(block: block, compression: 1)
      }
      #expect(error?.kind == .damaged && error?.place.offset == 0)
    }
    let zeros = [UInt8](repeating: 0, count: 60_000_000 / 20)
    #expect(throws: CheckpointError.self) {
      try Snappy.uncompress([0x80, 0x97, 0xce, 0x1c] + zeros, limit: 1000)
    }
  }

  @Test func `long keys that share their beginning take no memory`() throws {
    let key = [UInt8](repeating: 65, count: 200_000)
    var entries = [TFHostileTests.header, TFBlock.entry(0, key, [])]
    var length = UInt64(key.count)
    for _ in 0..<1000 {
      entries.append(TFBlock.entry(length, [65], []))
      length += 1
    }
    let error = #expect(throws: CheckpointError.self) {
      try folder.table(block: TFBlock.contents(entries))
    }
    #expect(error?.kind == .unsupported)
  }

  // MARK: Entries

  /// An entry of f32 (2, 3) with one of its values changed.
  static func entry(_ change: (inout BundleEntry) -> Void) -> [UInt8] {
    var entry = BundleEntry(type: 1, extents: [2, 3])
    entry.size = 24
    change(&entry)
    return entry.bytes
  }

  static let entries: [(name: String, value: [UInt8])] = [
    ("size too small", entry { $0.size = 23 }), ("size too large", entry { $0.size = 25 }),
    ("beyond the shard", entry { $0.offset = 41 }),
    ("offset overflows", entry { $0.offset = .max }), ("no such shard", entry { $0.shard = 1 }),
    ("shape overflows", entry { $0.extents = [.max, 3] }),
    ("another type", entry { $0.type = 2 }),
    ("negative extent", [8, 1, 18, 13, 18, 11, 8] + [UInt8](repeating: 0xff, count: 9) + [1]),
    ("negative offset", [8, 1, 18, 0, 40, 4, 32] + [UInt8](repeating: 0xff, count: 9) + [1]),
    ("negative shard", [8, 1, 18, 0, 40, 4, 24] + [UInt8](repeating: 0xff, count: 9) + [1]),
    ("rank unknown", [8, 1, 18, 2, 24, 1]), ("no protocol buffer", [7, 7, 7]),
    ("cut off", [18, 9]),
    ("rank 255", entry { $0.extents = [Int](repeating: 1, count: 255) }),
    ("text without lengths", entry { ($0.type, $0.size, $0.extents) = (7, 4, [9]) }),
    ("text with a wrong checksum", entry { ($0.type, $0.size, $0.extents) = (7, 5, []) }),
    ("an unknown type beyond the shard", entry { ($0.type, $0.size) = (99, 65) }),
  ]

  @Test(arguments: entries)
  func `an entry that contradicts its shard is damaged`(name: String, value: [UInt8]) throws {
    let error = #expect(throws: CheckpointError.self, "\(name)") {
      try folder.bundle(entries: [([97], value)])
    }
    #expect(error?.kind == .damaged, "\(name): \(error as Any)")
  }

  @Test func `unknown types and newer versions are told`() throws {
    let unknown = TFHostileTests.entry { $0.type = 99 }
    #expect(try folder.bundle(entries: [([97], unknown)]).unreadable.map(\.name) == ["a"])
    let bytes = TFHostileTests.entry { _ in }
    let name = try folder.bundle(entries: [([0x61, 0xff], bytes)])
    #expect(name.tensors.isEmpty && name.unreadable[0].reason == "its name is not UTF-8")
    #expect(throws: CheckpointError(.unsupported, .file(folder.file("a.index")), "")) {
      try folder.bundle(entries: [], header: [8, 1, 26, 2, 16, 2])
    }
    #expect(throws: CheckpointError(.damaged, .file(folder.file("a.index")), "")) {
      try folder.bundle(entries: [], header: [16, 0])
    }
  }

  @Test func `a tensor's checksum is checked with its bytes`() throws {
    for file in ["types", "big", "boxes", "partitioned"] {
      var data = try File.contents(of: TFFixtures.path("\(file).data-00000-of-00001"))
      data[data.count / 2] ^= 0x10
      try folder.file("c.data-00000-of-00001", data)
      try folder.file("c.index", File.contents(of: TFFixtures.path("\(file).index")))
      var damaged: [String] = []
      for tensor in try Opening(folder.file("c")).checkpoint.tensors {
        do throws(CheckpointError) {
          try tensor.readWindows { _ in }
        } catch {
          #expect(error.kind == .damaged && error.place.tensor == tensor.name)
          damaged.append(tensor.name)
        }
      }
      #expect(damaged.count == 1, "\(file): \(damaged)")
    }
  }

  // MARK: Parts

  /// A tensor (4, 2) of parts, each with the entry that its box says unless another is given.
  func parts(_ slices: [TensorSlice], drop: Int? = nil, type: Int = 1) throws -> Checkpoint {
    var value = BundleEntry(type: 1, extents: [4, 2]).bytes
    var entries: [(key: [UInt8], value: [UInt8])] = []
    for (number, slice) in slices.enumerated() {
      var message: [UInt8] = []
      for extent in slice.extents {
        var axis = ProtobufWriter()
        axis.varint(1, UInt64(bitPattern: Int64(extent.start)))
        if let length = extent.length { axis.varint(2, UInt64(bitPattern: Int64(length))) }
        message += [10, UInt8(axis.bytes.count)] + axis.bytes
      }
      value += [58, UInt8(message.count)] + message
      guard number != drop else { continue }
      let extents = slice.box(in: [4, 2])?.extents ?? [1]
      var part = BundleEntry(type: type, extents: extents)
      part.size = extents.reduce(4, *)
      part.checksum = Checksum.masked(0)
      entries.append((slice.key(of: [97]), part.bytes))
    }
    entries.sort { $0.key.lexicographicallyPrecedes($1.key) }
    return try folder.bundle(entries: entries + [([97], value)])
  }

  func rows(_ start: Int, _ length: Int?) -> TensorSlice {
    TensorSlice(extents: [.init(start: start, length: length), .init(start: 0, length: nil)])
  }

  @Test func `parts have to be the whole, each element once`() throws {
    #expect(try parts([rows(0, 1), rows(1, 3)]).tensors.map(\.shape) == [[4, 2]])
    #expect(try parts([rows(2, 2), rows(0, 2)]).tensors.count == 1)
    let bad: [[TensorSlice]] = [
      [rows(0, 1)], [rows(0, 3), rows(1, 1)], [rows(0, 2), rows(0, 2)], [rows(0, 5)],
      [rows(-1, 5)], [rows(3, 2)], [rows(0, -2)],
      [TensorSlice(extents: [.init(start: 0, length: nil)])],
    ]
    for slices in bad {
      let error = #expect(throws: CheckpointError.self) { try parts(slices) }
      #expect(error?.kind == .damaged, "\(slices)")
    }
    #expect(throws: CheckpointError.self) { try parts([rows(0, 1), rows(1, 3)], drop: 1) }
    #expect(throws: CheckpointError.self) { try parts([rows(0, 1), rows(1, 3)], type: 3) }
    let lost = rows(0, 1).key(of: [98])
    #expect(throws: CheckpointError(.damaged, .file(folder.file("a.index")), "")) {
      try folder.bundle(entries: [(lost, TFHostileTests.entry { _ in })])
    }
  }

  @Test func `numbers in keys are coded in order`() {
    let numbers: [Int64] = [
      .min, -1 << 40, -8193, -8192, -65, -64, -1, 0, 1, 63, 64, 8191, 8192, 1 << 40, .max,
    ]
    let codes = numbers.map { number in
      var code: [UInt8] = []
      OrderedCode.append(signed: number, to: &code)
      return code
    }
    #expect(codes == codes.sorted { $0.lexicographicallyPrecedes($1) })
    #expect(codes[6] == [0x7f] && codes[7] == [0x80] && codes[9] == [0xbf])
    #expect(codes[10] == [0xc0, 0x40] && codes[12] == [0xe0, 0x20, 0x00] && codes[14].count == 10)
    var code: [UInt8] = []
    OrderedCode.append(number: 0x1234, to: &code)
    OrderedCode.append(text: [0, 1, 0xff], to: &code)
    #expect(code == [2, 0x12, 0x34, 0, 0xff, 1, 0xff, 0, 0, 1])
  }

  @Test func `a damaged object graph costs the names, not the tensors`() throws {
    for graph: [UInt8] in [[10, 200], [10, 4, 10, 2, 8, 9], [255]] {
      let texts = BundleText.bytes([graph])
      var entry = BundleEntry(type: TensorFlowType.string, extents: [])
      (entry.size, entry.checksum) = (texts.bytes.count, texts.checksum)
      var value = BundleEntry(type: 1, extents: [1])
      (value.size, value.offset) = (4, 40)
      var table = SortedTableWriter()
      table.append([], BundleHeader(shards: 1).bytes)
      table.append(Array(ObjectGraph.key.utf8), entry.bytes)
      table.append([0x61], value.bytes)
      table.finish()
      try folder.file("g.data-00000-of-00001", texts.bytes + [UInt8](repeating: 0, count: 44))
      let checkpoint = try TFCheckpoint().read(Probe(folder.file("g.index", table.bytes)))
      #expect(checkpoint.tensors.map(\.name) == ["a"])
      #expect(checkpoint.warnings.count == 1)
    }
  }

  @Test func `mutations of graphs, pointers and texts end in values or in an error`() throws {
    let checkpoint = try TFFixtures.open("objects")
    let attribute = try #require(checkpoint.attributes.first { $0.name == ObjectGraph.key })
    guard case .numbers(_, _, let graph) = attribute.value else { return }
    let keys = Set(checkpoint.tensors.map(\.name))
    let pointer = CheckpointState(latest: "a\n\"文", all: ["b", "a\n\"文"])
    #expect(try CheckpointState(parsing: pointer.bytes) == pointer)
    let texts = BundleText.bytes([[1, 2], [], [3]])
    var random = SeededGenerator(seed: 9)
    func changed(_ bytes: [UInt8]) -> [UInt8] {
      var bytes = bytes
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
          in: 0...255, using: &random)
      }
      return bytes
    }
    var errors = 0
    for _ in Fuzz.trials(1000) {
      do throws(CheckpointError) {
        let graph = try ObjectGraph(changed(graph))
        var tensors = checkpoint.tensors
        try graph.name(&tensors)
        _ = try graph.kept(keys)
      } catch {
        errors += 1
        #expect(error.kind == .damaged)
      }
      do throws(CheckpointError) {
        _ = try CheckpointState(parsing: changed(pointer.bytes))
      } catch {
        errors += 1
        #expect(error.kind == .damaged)
      }
      do throws(CheckpointError) {
        var reader = ByteReader(changed(texts.bytes))
        _ = try BundleText.read(&reader, count: 3, checksum: texts.checksum)
      } catch {
        errors += 1
        #expect(error.kind == .damaged)
      }
    }
    #expect(errors > 1000)
  }

  // MARK: Version 1

  /// A table of version 1 with the tensor `w` of these values.
  func version1(_ values: [Float], shape: [Int], type: UInt64 = 1) -> [UInt8] {
    var shapeField = ProtobufWriter()
    shapeField.text(1, "w")
    shapeField.bytes(2, TensorShapeProto.bytes(shape))
    shapeField.varint(3, type)
    var meta = ProtobufWriter()
    meta.bytes(1, shapeField.bytes)
    var header = ProtobufWriter()
    header.bytes(1, meta.bytes)
    var tensor = ProtobufWriter()
    tensor.varint(1, type)
    tensor.bytes(5, Elements.encode(values, as: .f32))
    var slice = ProtobufWriter()
    for _ in shape { slice.bytes(1, []) }
    var saved = ProtobufWriter()
    saved.text(1, "w")
    saved.bytes(2, slice.bytes)
    saved.bytes(3, tensor.bytes)
    var data = ProtobufWriter()
    data.bytes(2, saved.bytes)
    return TFBlock.contents([
      TFBlock.entry(0, [], header.bytes), TFBlock.entry(0, [0, 119, 0, 1], data.bytes),
    ])
  }

  @Test func `values in a large block are read where they lie`() throws {
    let values = (0..<1_300_000).map { Float($0) }
    let block = version1(values, shape: [1300, 1000])
    #expect(block.count > 4 << 20)
    let tensor = try folder.table(block: block).tensor("w")
    #expect(tensor.payload.slice != nil)
    #expect(try tensor.floats() == values)
    #expect(throws: CheckpointError(.damaged, Place(file: folder.file("a.index"), offset: 0), "")) {
      try folder.table(block: block, checksum: 7)
    }
    for compression: UInt8 in [1, 2] {
      #expect(
        throws: CheckpointError(.unsupported, Place(file: folder.file("a.index"), offset: 0), "")
      ) { try folder.table(block: block, compression: compression) }
    }
  }

  @Test func `values in a compressed block are read when asked for`() throws {
    let values = (0..<5000).map { Float($0) }
    let block = version1(values, shape: [5000])
    // Snappy without any compression: the length, and one literal of up to 64 KiB.
    var packed: [UInt8] = []
    ProtobufWriter.append(UInt64(block.count), to: &packed)
    packed.append(61 << 2)
    packed.append(little: UInt16(block.count - 1))
    let tensor = try folder.table(block: packed + block, compression: 1).tensor("w")
    #expect(tensor.payload.slice == nil)
    #expect(try tensor.floats() == values)
  }

  @Test func `values that do not fit their shape or type are damaged`() throws {
    for (shape, type) in [([3], 1), ([2, 2], 1), ([2], 2), ([2], 3), ([0], 1)] {
      let block = version1([1, 2], shape: shape, type: UInt64(type))
      let error = #expect(throws: CheckpointError.self, "\(shape) \(type)") {
        for tensor in try folder.table(block: block).tensors { _ = try tensor.bytes() }
      }
      #expect(error?.kind == .damaged && error?.place.tensor == "w")
    }
    let unknown = try folder.table(block: version1([1], shape: [1], type: 20))
    #expect(unknown.tensors.isEmpty && unknown.unreadable[0].reason.contains("resource"))
  }

  // MARK: Damage

  /// Copies a fixture and returns its files' names.
  func copy(_ name: String) throws -> [String] {
    let names = Paths.list(TFFixtures.path("")).filter {
      $0 == name || $0.hasPrefix(name + ".") || $0.hasPrefix(name + "-0")
    }
    for name in names { try folder.file(name, File.contents(of: TFFixtures.path(name))) }
    return names
  }

  @Test(arguments: [
    "types", "texts", "snappy", "partitioned", "sharded", "v1-partitioned", "v1-split",
  ])
  func `a file cut anywhere is an error`(name: String) throws {
    let names = try copy(name)
    let opened = names.contains(name + ".index") ? name + ".index" : names[0]
    // Opening many tensors for every byte of their data takes long and shows nothing more.
    for cut in names where name != "snappy" || cut == opened {
      let bytes = try File.contents(of: folder.file(cut))
      for count in 0..<bytes.count {
        try folder.file(cut, Array(bytes[..<count]))
        #expect(throws: CheckpointError.self, "\(cut) at \(count)") {
          for tensor in try TFCheckpoint().read(Probe(folder.file(opened))).tensors {
            _ = try tensor.bytes()
          }
        }
      }
      try folder.file(cut, bytes)
    }
  }

  /// Reads everything; only errors of damage may come.
  func readAll(_ path: String) throws {
    do throws(CheckpointError) {
      let probe = try Probe(path)
      guard TFCheckpoint().recognises(probe) else { return }
      for tensor in try TFCheckpoint().read(probe).tensors { _ = try tensor.bytes() }
    } catch {
      let isMissing = error.kind == .cannotRead && error.reason.contains("missing")
      #expect(isMissing || [.damaged, .unsupported].contains(error.kind), "\(error)")
    }
  }

  @Test(arguments: ["texts", "snappy", "partitioned", "v1-partitioned", "big"])
  func `mutations end in tensors or in an error`(name: String) throws {
    let names = try copy(name)
    let opened = names.contains(name + ".index") ? name + ".index" : names[0]
    var random = SeededGenerator(seed: 7)
    let original = try File.contents(of: folder.file(opened))
    for _ in Fuzz.trials(600) {
      var bytes = original
      for _ in 0..<Int.random(in: 1...8, using: &random) {
        bytes[Int.random(in: 0..<bytes.count, using: &random)] = UInt8.random(
          in: 0...255, using: &random)
      }
      try folder.file(opened, bytes)
      try readAll(folder.file(opened))
    }
  }

  /// Checksums catch nearly all random damage, so here they are made right again.
  @Test(arguments: ["texts", "partitioned", "big", "types", "v1-partitioned", "v1-split"])
  func `mutations under right checksums end in tensors or in an error`(name: String) throws {
    let names = try copy(name)
    let opened = names.contains(name + ".index") ? name + ".index" : names[0]
    var pairs: [(key: [UInt8], value: [UInt8])] = []
    try SortedTable(File(folder.file(opened))).forEach { (key, value) throws(CheckpointError) in
      var reader = value.reader
      pairs.append((key, try reader.bytes(reader.left)))
    }
    var random = SeededGenerator(seed: 8)
    for _ in Fuzz.trials(1200) {
      var changed = pairs
      for _ in 0..<Int.random(in: 1...4, using: &random) {
        let index = Int.random(in: changed.indices, using: &random)
        let byte = UInt8.random(in: 0...255, using: &random)
        if Bool.random(using: &random), !changed[index].key.isEmpty {
          let at = Int.random(in: changed[index].key.indices, using: &random)
          changed[index].key[at] = byte
        } else if !changed[index].value.isEmpty {
          let at = Int.random(in: changed[index].value.indices, using: &random)
          changed[index].value[at] = byte
        }
      }
      changed.sort { $0.key.lexicographicallyPrecedes($1.key) }
      var table = SortedTableWriter()
      for (key, value) in changed { table.append(key, value) }
      table.finish()
      try folder.file(opened, table.bytes)
      try readAll(folder.file(opened))
    }
  }
}
