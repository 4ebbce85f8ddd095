import TestSupport
import Testing

@testable import Checkpoint

@Suite struct FlaxMsgpackTests {
  static func open(_ name: String) throws -> Checkpoint {
    let probe = try Probe(Fixtures.path("flax", name))
    #expect(FlaxMsgpack().recognises(probe))
    return try FlaxMsgpack().read(probe)
  }

  static func bytes(_ name: String) throws -> [UInt8] {
    try File.contents(of: Fixtures.path("flax", name))
  }

  @Test(arguments: ["model.msgpack", "types.msgpack", "chunked.msgpack"])
  func `every array is what Flax restores`(name: String) throws {
    let json = try JSON(parsing: FlaxMsgpackTests.bytes("expected.json"))
    let members = try #require(json[name]?.members)
    let checkpoint = try FlaxMsgpackTests.open(name)
    #expect(checkpoint.tensors.map(\.name).sorted() == members.map(\.key).sorted())
    for tensor in checkpoint.tensors {
      let expected = try #require(json[name]?[tensor.name].flatMap { Expectation($0) })
      #expect(try expected.isMet(by: tensor), "\(tensor.name)")
      let isChunked = name == "chunked.msgpack" && tensor.name != "b/small"
      #expect((tensor.payload.slice == nil) == isChunked, "\(tensor.name)")
    }
  }

  @Test func `a chunked array is read in windows`() throws {
    let tensor = try FlaxMsgpackTests.open("chunked.msgpack").tensors[0]
    let whole = try tensor.bytes()
    for start in [0, 60, 64, 200, 251] {
      var window = [UInt8](repeating: 0, count: min(70, whole.count - start))
      var span = window.mutableSpan
      var raw = span.mutableBytes
      try tensor.payload.read(at: start, into: &raw)
      #expect(window == Array(whole[start..<(start + window.count)]), "\(start)")
    }
  }

  @Test func `other leaves are attributes, and None is said`() throws {
    let checkpoint = try FlaxMsgpackTests.open("leaves.msgpack")
    let attributes = checkpoint.attributes
    func value(_ name: String) -> Attribute.Value? { attributes.first { $0.name == name }?.value }
    func number(_ value: Double, _ dtype: DType) -> Attribute.Value {
      .numbers(dtype, shape: [], bytes: Elements.encode([value], as: dtype))
    }
    #expect(value("step") == number(12, .i64) && value("negative") == number(-300, .i64))
    #expect(value("huge") == .numbers(.u64, shape: [], bytes: Elements.store([UInt64.max])))
    #expect(value("rate") == number(0.1, .f64) && value("flag") == number(1, .bool))
    #expect(value("word") == Attribute("", text: "词").value)
    #expect(value("raw") == .numbers(.u8, shape: [3], bytes: [0, 1, 2]))
    #expect(value("complex") == .numbers(.c128, shape: [], bytes: Elements.store([1.0, 2.0])))
    #expect(value("list/0") == number(1, .i64) && value("list/2/x") == number(3, .i64))
    #expect(checkpoint.tensors.map(\.name) == ["list/1", "w"])
    #expect(checkpoint.warnings == ["none is None; it is left out"])
    #expect(
      try FlaxMsgpackTests.open("types.msgpack").unreadable
        == [Unreadable(name: "int4", reason: "elements of type int4 are not supported")])
  }

  @Test func `other MessagePack and other bytes are not taken for parameters`() throws {
    let damage = try Damage(FlaxMsgpack())
    let others: [[UInt8]] = [
      [], [0x80], [0x80, 2], [0x81, 1, 2], [0x81, 0xa1], [0x82, 0xa1, 0x61, 0xc1],
      [0x80, 2, 0x8a], [0x89, 0x48, 0x44, 0x46], [0x81, 0xa1, 0xff, 1], [0x81, 0xa1, 0x61, 1, 9],
      [0x1f, 0x8b, 8], Array("PK".utf8), [0x81, 0xa0, 1],
    ]
    for bytes in others { #expect(try damage.read(bytes) == nil, "\(bytes)") }
    #expect(
      !FlaxMsgpack().recognises(try Probe(Fixtures.path("flax", "other.msgpack"))))
    #expect(try damage.read([0x81, 0xa1, 0x61, 1])?.attributes.count == 1)
  }

  /// `{"a": extension}` of that type and content.
  static func wrapped(_ content: [UInt8], type: UInt8 = 1, length: Int? = nil) -> [UInt8] {
    [0x81, 0xa1, 0x61, 0xc7, UInt8(length ?? content.count), type] + content
  }

  static let i1: [UInt8] = [0xa4] + Array("int8".utf8)

  static let lies: [(String, [UInt8])] = [
    ("an array of nothing", wrapped([])),
    ("no triple", wrapped([0x92, 0x91, 1] + i1)),
    ("a shape that is no list", wrapped([0x93, 1] + i1 + [0xc4, 1, 0])),
    ("a negative extent", wrapped([0x93, 0x91, 0xff] + i1 + [0xc4, 1, 0])),
    ("an extent that is no number", wrapped([0x93, 0x91, 0xc0] + i1 + [0xc4, 1, 0])),
    ("a rank of billions", wrapped([0x93, 0xdd, 255, 255, 255, 255] + i1)),
    ("too few bytes", wrapped([0x93, 0x91, 2] + i1 + [0xc4, 1, 0])),
    ("too many bytes", wrapped([0x93, 0x91, 1] + i1 + [0xc4, 2, 0, 0])),
    ("bytes beyond the extension", wrapped([0x93, 0x91, 1] + i1 + [0xc6, 0, 0, 1, 0, 0])),
    ("an extension that is longer", wrapped([0x93, 0x91, 1] + i1 + [0xc4, 1, 0, 0])),
    ("an extension beyond the file", wrapped([0x93], length: 200)),
    ("a type that is no text", wrapped([0x93, 0x91, 1, 1, 0xc4, 1, 0])),
    ("a complex number of three", wrapped([0x93, 1, 2, 3], type: 2)),
    ("a key twice", [0x82, 0xa1, 0x61, 1, 0xa1, 0x61, 2]),
    ("a key that is a list", [0x82, 0xa1, 0x61, 1, 0x90, 2]),
    ("a map of billions", [0x81, 0xa1, 0x61, 0xdf, 255, 255, 255, 255]),
    ("a list of billions", [0x81, 0xa1, 0x61, 0xdd, 255, 255, 255, 255]),
    ("one name for two", [0x82, 0xa3, 0x61, 0x2f, 0x62, 1, 0xa1, 0x61, 0x81, 0xa1, 0x62, 2]),
    (
      "no end of maps",
      [UInt8](repeating: 0, count: 0) + (0..<500).flatMap { _ in [0x81, 0xa1, 0x61] } + [1]
    ),
    ("a text beyond the file", [0x81, 0xa1, 0x61, 0xdb, 0, 0, 16, 0]),
    ("text that is not UTF-8", [0x81, 0xa1, 0x61, 0xa1, 0xff]),
  ]

  @Test(arguments: lies.indices) func `a file that lies is damaged`(index: Int) throws {
    let (name, bytes) = FlaxMsgpackTests.lies[index]
    let damage = try Damage(FlaxMsgpack())
    let sound = FlaxMsgpackTests.wrapped([0x93, 0x91, 1] + FlaxMsgpackTests.i1 + [0xc4, 1, 7])
    #expect(try damage.read(sound)?.tensors.first?.bytes() == [7])
    let error = #expect(throws: CheckpointError.self, "\(name)") { try damage.read(bytes) }
    #expect(error?.kind == .damaged, "\(name): \(error?.description ?? "")")
    #expect(error?.place.file != nil, "\(name)")
  }

  @Test func `an extension of another type is listed`() throws {
    let bytes = FlaxMsgpackTests.wrapped([1, 2], type: 9)
    #expect(try Damage(FlaxMsgpack()).read(bytes)?.unreadable.map(\.name) == ["a"])
  }

  static let chunkKey: [UInt8] = [0x83, 0xb9] + Array("__msgpack_chunked_array__".utf8) + [0xc3]

  @Test func `pieces that do not fit together are damaged`() throws {
    let damage = try Damage(FlaxMsgpack())
    let bytes = try FlaxMsgpackTests.bytes("chunked.msgpack")
    // The shape of the first array, (7, 9), becomes (7, 8).
    let shape: [UInt8] = [0xa1, 0x30, 7, 0xa1, 0x31, 9]
    let place = try #require(
      bytes.indices.first { bytes[$0...].starts(with: shape) })
    var copy = bytes
    copy[place + 5] = 8
    var error = #expect(throws: CheckpointError.self) { try damage.read(copy) }
    #expect(
      error
        == CheckpointError(
          .damaged,
          Place(
            file: damage.folder.file("a.bin"), tensor: "a", offset: error?.place.offset), ""))
    copy = bytes
    copy[place + 1] = 0x31
    error = #expect(throws: CheckpointError.self) { try damage.read(copy) }
    #expect(error?.kind == .damaged)
    error = #expect(throws: CheckpointError.self) {
      try damage.read(
        [0x81, 0xa1, 0x61] + FlaxMsgpackTests.chunkKey + [0xa1, 0x78, 0x80, 0xa1, 0x79, 0x80])
    }
    #expect(error?.kind == .damaged)
  }

  @Test(arguments: ["model.msgpack", "leaves.msgpack", "chunked.msgpack"])
  func `a file cut anywhere is an error`(name: String) throws {
    try Damage(FlaxMsgpack()).cutEverywhere(FlaxMsgpackTests.bytes(name))
  }

  @Test(arguments: ["model.msgpack", "leaves.msgpack", "chunked.msgpack"])
  func `mutations end in tensors or in an error`(name: String) throws {
    try Damage(FlaxMsgpack()).mutate(FlaxMsgpackTests.bytes(name), trials: 3_500)
  }
}
