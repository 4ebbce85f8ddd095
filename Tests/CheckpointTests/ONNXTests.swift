import Foundation
import TestSupport
import Testing

@testable import Checkpoint

/// Files made by other people, with what onnx reads from them; run where a folder with both is named
/// by the environment variable.
private let realFiles = ProcessInfo.processInfo.environment["CKPT_REAL_FILES"]

@Suite struct ONNXTests {
  static func open(_ path: String) throws -> Checkpoint {
    let probe = try Probe(path)
    #expect(ONNX().recognises(probe))
    return try ONNX().read(probe)
  }

  static func bytes(_ name: String) throws -> [UInt8] {
    try File.contents(of: Fixtures.path("onnx", name))
  }

  // MARK: What onnx writes

  @Test(arguments: ["types.onnx", "graphs.onnx", "external.onnx"])
  func `every tensor is what onnx reads`(name: String) throws {
    let json = try JSON(parsing: ONNXTests.bytes("expected.json"))
    let members = try #require(json[name]?.members)
    let checkpoint = try ONNXTests.open(Fixtures.path("onnx", name))
    #expect(checkpoint.tensors.map(\.name).sorted() == members.map(\.key).sorted())
    for tensor in checkpoint.tensors {
      let expected = try #require(json[name]?[tensor.name].flatMap { Expectation($0) })
      #expect(try expected.isMet(by: tensor), "\(tensor.name)")
    }
  }

  @Test func `raw data and numbers of fixed size are slices of the file`() throws {
    for tensor in try ONNXTests.open(Fixtures.path("onnx", "types.onnx")).tensors {
      let isFixed = [.f32, .f64, .c64, .c128].contains(tensor.dtype)
      guard tensor.shape.count > 0 else { continue }
      #expect(
        (tensor.payload.slice != nil) == (tensor.name.hasPrefix("raw") || isFixed),
        "\(tensor.name)")
    }
    let external = try ONNXTests.open(Fixtures.path("onnx", "external.onnx"))
    #expect(external.files.map(Paths.name) == ["external.onnx", "external.data"])
    #expect(external.tensors[0].payload.slice?.file.path == external.files[1])
  }

  @Test func `what the model says of itself are attributes`() throws {
    let attributes = try ONNXTests.open(Fixtures.path("onnx", "types.onnx")).attributes
    func number(_ name: String) -> Int? {
      guard
        case .numbers(.i64, [], let bytes)? = attributes.first(where: { $0.name == name })?.value
      else { return nil }
      return Elements.load(bytes, Int.self).first
    }
    func text(_ name: String) -> String? { attributes.first { $0.name == name }?.text }
    #expect(number("ir_version") == 10 && number("model_version") == 7)
    #expect(number("opset_import") == 21 && number("opset_import.local") == 1)
    #expect(text("producer_name") == "ckpt fixtures" && text("producer_version") == "1.2")
    #expect(text("domain") == "ai.test")
    #expect(text("author") == "词嵌入" && text("task") == "test")
  }

  @Test func `what no tensor can hold is listed`() throws {
    let types = try ONNXTests.open(Fixtures.path("onnx", "types.onnx")).unreadable
    #expect(types.map(\.name) == ["u4", "i4", "text"])
    let graphs = try ONNXTests.open(Fixtures.path("onnx", "graphs.onnx")).unreadable
    #expect(graphs.map(\.name) == ["sparse", "word", "words", "thin"])
  }

  @Test(.enabled(if: realFiles != nil, "CKPT_REAL_FILES names no folder"))
  func `every tensor of other people's files is what onnx reads`() throws {
    let folder = try #require(realFiles)
    let text = try File.contents(of: "\(folder)/expected/onnx-small.json")
    var count = 0
    for member in try JSON(parsing: text).members ?? [] {
      let checkpoint = try ONNXTests.open("\(folder)/files/onnx-small/\(member.key)")
      #expect(checkpoint.unreadable.isEmpty)
      for entry in member.value["tensors"]?.members ?? [] {
        let tensor = try #require(checkpoint.tensors.first { $0.name == entry.key })
        let expected = try #require(Expectation(entry.value))
        #expect(try expected.isMet(by: tensor), "\(member.key) \(entry.key)")
        count += 1
      }
    }
    #expect(count > 0)
  }

  // MARK: Handmade models

  /// A model with a graph of `initializers`, each a TensorProto.
  static func model(_ initializers: [[UInt8]], nodes: [[UInt8]] = []) -> [UInt8] {
    var graph = ProtobufWriter()
    for node in nodes { graph.bytes(1, node) }
    for tensor in initializers { graph.bytes(5, tensor) }
    var model = ProtobufWriter()
    model.varint(1, 8)
    model.bytes(7, graph.bytes)
    return model.bytes
  }

  static func tensor(
    _ name: String = "t", type: UInt64 = 1, dims: [UInt64] = [2],
    _ more: (inout ProtobufWriter) -> Void
  ) -> [UInt8] {
    var tensor = ProtobufWriter()
    for extent in dims { tensor.varint(1, extent) }
    tensor.varint(2, type)
    tensor.text(8, name)
    more(&tensor)
    return tensor.bytes
  }

  static func entry(_ key: String, _ value: String) -> [UInt8] {
    var entry = ProtobufWriter()
    entry.text(1, key)
    entry.text(2, value)
    return entry.bytes
  }

  static func external(_ entries: [(String, String)]) -> [UInt8] {
    tensor {
      for (key, value) in entries { $0.bytes(13, entry(key, value)) }
      $0.varint(14, 1)
    }
  }

  @Test func `numbers may lie in several runs or alone`() throws {
    let damage = try Damage(ONNX())
    let floats: [UInt8] = [0, 0, 128, 63]
    let file = ONNXTests.model([
      ONNXTests.tensor("runs") { for _ in 0..<2 { $0.bytes(4, floats) } },
      ONNXTests.tensor("alone") { for _ in 0..<2 { $0.fixed32(4, 0x3f80_0000) } },
      ONNXTests.tensor("ints", type: 6) { for _ in 0..<2 { $0.varint(5, 1) } },
      ONNXTests.tensor("int runs", type: 6) { for _ in 0..<2 { $0.bytes(5, [1]) } },
    ])
    let checkpoint = try #require(try damage.read(file))
    for tensor in checkpoint.tensors { #expect(try tensor.doubles() == [1, 1], "\(tensor.name)") }
    #expect(checkpoint.tensors.count == 4)
  }

  @Test func `varints are decoded in windows, in any order`() throws {
    let damage = try Damage(ONNX())
    let numbers = (0..<5000).map { UInt64($0 * $0 * $0) }
    var packed: [UInt8] = []
    for number in numbers { ProtobufWriter.append(number, to: &packed) }
    let file = ONNXTests.model([
      ONNXTests.tensor(type: 7, dims: [5000]) { $0.bytes(7, packed) }
    ])
    let tensor = try #require(try damage.read(file)).tensors[0]
    let whole = try tensor.bytes()
    #expect(whole == Elements.store(numbers))
    for start in [0, 8000, 16_003, 4, 39_999] {
      var window = [UInt8](repeating: 0, count: min(4001, whole.count - start))
      var span = window.mutableSpan
      var raw = span.mutableBytes
      try tensor.payload.read(at: start, into: &raw)
      #expect(window == Array(whole[start..<(start + window.count)]), "\(start)")
    }
  }

  static let lies: [(String, CheckpointError.Kind, [UInt8])] = {
    let floats = [UInt8](repeating: 0, count: 8)
    var segment = ProtobufWriter()
    segment.varint(1, 0)
    return [
      (
        "a name twice", .damaged,
        model([tensor { $0.bytes(9, floats) }, tensor { $0.bytes(9, floats) }])
      ),
      ("too few bytes", .damaged, model([tensor { $0.bytes(9, [0]) }])),
      ("too many bytes", .damaged, model([tensor { $0.bytes(9, floats + [0]) }])),
      ("no data", .damaged, model([tensor { _ in }])),
      ("a negative extent", .damaged, model([tensor(dims: [.max]) { $0.bytes(9, floats) }])),
      (
        "extents that overflow", .damaged,
        model([tensor(dims: [1 << 40, 1 << 40]) { $0.bytes(9, floats) }])
      ),
      (
        "raw bytes and numbers", .damaged,
        model([
          tensor {
            $0.bytes(9, floats); $0.bytes(4, floats)
          }
        ])
      ),
      ("numbers in another type's field", .damaged, model([tensor { $0.bytes(5, [1, 2]) }])),
      ("too few varints", .damaged, model([tensor(type: 6) { $0.bytes(5, [1]) }])),
      ("too many varints", .damaged, model([tensor(type: 6) { $0.bytes(5, [1, 2, 3]) }])),
      ("varints that never end", .damaged, model([tensor(type: 6) { $0.bytes(5, [255, 255]) }])),
      (
        "varints for billions", .damaged,
        model([tensor(type: 6, dims: [1 << 40]) { $0.bytes(5, [1, 2]) }])
      ),
      ("segments", .damaged, model([tensor { $0.bytes(3, segment.bytes) }])),
      (
        "a thousand axes", .damaged,
        model([tensor(dims: Array(repeating: 1, count: 1025)) { $0.bytes(9, floats) }])
      ),
      ("data above", .damaged, model([external([("location", "../x")])])),
      ("data anywhere", .damaged, model([external([("location", "/etc/passwd")])])),
      ("data nowhere", .damaged, model([external([])])),
      ("data in a folder above", .damaged, model([external([("location", "a/../../x")])])),
      ("data that are missing", .cannotRead, model([external([("location", "missing")])])),
      (
        "data at a negative offset", .damaged,
        model([external([("location", "data"), ("offset", "-1")])])
      ),
      (
        "data behind the end", .damaged, model([external([("location", "data"), ("offset", "1")])])
      ),
      (
        "data of another length", .damaged,
        model([external([("location", "data"), ("length", "7")])])
      ),
      ("data through a link out", .unsupported, model([external([("location", "link")])])),
    ]
  }()

  @Test(arguments: lies.indices) func `a model that lies is an error`(index: Int) throws {
    let (name, kind, bytes) = ONNXTests.lies[index]
    let damage = try Damage(ONNX())
    let outside = try TemporaryFolder()
    try outside.file("data", [UInt8](repeating: 0, count: 8))
    try damage.folder.file("data", [UInt8](repeating: 0, count: 8))
    try FileManager.default.createSymbolicLink(
      atPath: damage.folder.file("link"), withDestinationPath: outside.file("data"))
    let error = #expect(throws: CheckpointError.self, "\(name)") { try damage.read(bytes) }
    #expect(error?.kind == kind, "\(name): \(error?.description ?? "")")
    #expect(error?.place.file != nil || error?.place.tensor != nil, "\(name)")
    // The same without the lie is read.
    let sound = ONNXTests.model([ONNXTests.external([("location", "data"), ("length", "8")])])
    #expect(try damage.read(sound)?.tensors.count == 1)
  }

  @Test func `graphs without end are an error`() throws {
    var graph: [UInt8] = []
    for _ in 0..<200 {
      var attribute = ProtobufWriter()
      attribute.text(1, "body")
      attribute.bytes(6, graph)
      var node = ProtobufWriter()
      node.bytes(5, attribute.bytes)
      var outer = ProtobufWriter()
      outer.bytes(1, node.bytes)
      graph = outer.bytes
    }
    var model = ProtobufWriter()
    model.varint(1, 8)
    model.bytes(7, graph)
    let error = #expect(throws: CheckpointError.self) { try Damage(ONNX()).read(model.bytes) }
    #expect(error?.kind == .damaged)
  }

  @Test func `other protocol buffers and other bytes are not taken for models`() throws {
    let damage = try Damage(ONNX())
    var saved = ProtobufWriter()  // TensorFlow's SavedModel: a version, then a meta graph
    saved.varint(1, 1)
    saved.bytes(2, [10, 2, 8, 1])
    var definition = ProtobufWriter()  // TensorFlow's GraphDef: nodes, versions
    definition.bytes(1, [10, 1, 97])
    definition.bytes(4, [8, 1])
    var noGraph = ProtobufWriter()
    noGraph.varint(1, 8)
    noGraph.text(2, "somebody")
    var future = ProtobufWriter()
    future.varint(1, 1000)
    future.bytes(7, [])
    for bytes in [
      saved.bytes, definition.bytes, noGraph.bytes, future.bytes, [], [8], Array("{}".utf8),
      ONNXTests.model([]) + [0xff], Array(repeating: 0, count: 100),
    ] {
      #expect(try damage.read(bytes) == nil, "\(bytes.prefix(20))")
    }
    var random = SeededGenerator(seed: 5)
    for _ in 0..<2000 {
      let bytes = (0..<60).map { _ in UInt8.random(in: 0...255, using: &random) }
      try damage.folder.file("r", bytes)
      #expect(!ONNX().recognises(try Probe(damage.folder.file("r"))))
    }
  }

  @Test(arguments: ["types.onnx", "graphs.onnx"])
  func `a model cut anywhere is an error`(name: String) throws {
    // Without one of the fields after its graph it is a whole model again.
    let bytes = try ONNXTests.bytes(name)
    var model = Protobuf(ByteReader(bytes))
    var end = 0
    while let field = try model.next() {
      if field.number == 7, case .bytes(let offset, let count) = field.value {
        end = offset + count
      }
    }
    try Damage(ONNX()).cutEverywhere(Array(bytes[..<end]))
  }

  @Test(arguments: [("types.onnx", 1_000), ("graphs.onnx", 3_000), ("external.onnx", 6_000)])
  func `mutations end in tensors or in an error`(name: String, trials: Int) throws {
    let damage = try Damage(ONNX())
    try damage.folder.file("external.data", ONNXTests.bytes("external.data"))
    let bytes = try ONNXTests.bytes(name)
    var random = SeededGenerator(seed: 9)
    for _ in Fuzz.trials(trials) {
      var copy = bytes
      for _ in 0...Int.random(in: 0..<16, using: &random) {
        copy[Int.random(in: copy.indices, using: &random)] = UInt8.random(
          in: 0...255, using: &random)
      }
      do throws(CheckpointError) {
        try damage.read(copy)
      } catch {
        // A changed location is a file that is missing.
        #expect([.damaged, .unsupported, .cannotRead].contains(error.kind), "\(error)")
      }
    }
  }
}
