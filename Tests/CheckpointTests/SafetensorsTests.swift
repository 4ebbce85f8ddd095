import Checkpoint
import Foundation
import TestSupport
import Testing

@Suite struct SafetensorsTests {
  /// A file from a header and data.
  private func file(_ header: String, data: [UInt8] = [], length: UInt64? = nil) throws -> String {
    let bytes = Array(header.utf8)
    let count = length ?? UInt64(bytes.count)
    let prefix = (0..<8).map { UInt8(truncatingIfNeeded: count >> (8 * UInt64($0))) }
    let path = NSTemporaryDirectory() + UUID().uuidString + ".safetensors"
    try Data(prefix + bytes + data).write(to: URL(fileURLWithPath: path))
    return path
  }

  private func read(_ path: String) throws -> Checkpoint {
    defer { try? FileManager.default.removeItem(atPath: path) }
    return try Safetensors().read(Probe(path))
  }

  /// A header, its data, and words that the message must have.
  struct Hostile: Sendable, CustomTestStringConvertible {
    var header: String
    var bytes = 0
    var length: UInt64?
    var word: String
    var testDescription: String { "\(word): \(header.prefix(60))" }
  }

  @Test(arguments: [
    Hostile(header: "{}", length: 1 << 40, word: "claims"),
    Hostile(header: "{}", length: .max, word: "claims"),
    Hostile(header: "[]", word: "JSON object"),
    Hostile(header: "{\"a\"", word: "JSON"),
    Hostile(header: "{\"a\":1}", word: "data_offsets"),
    Hostile(
      header: #"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,4]}}"#, bytes: 4, word: "span"),
    Hostile(
      header: #"{"a":{"dtype":"F32","shape":[-1],"data_offsets":[0,4]}}"#, bytes: 4,
      word: "negative"),
    Hostile(
      header: #"{"a":{"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,0]}}"#,
      word: "overflows"),
    Hostile(
      header: #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,0]}}"#, bytes: 4, word: "lies"),
    Hostile(
      header: #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,8]}}"#, bytes: 4, word: "lies"),
    Hostile(
      header: #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}"#, bytes: 8, word: "hole"),
    Hostile(
      header: #"{"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}}"#, bytes: 9,
      word: "belong to none"),
    Hostile(
      header: """
        {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},\
        "b":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}
        """, bytes: 8, word: "overlaps"),
    Hostile(
      header: """
        {"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},\
        "a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}}
        """, bytes: 8, word: "stands twice"),
    Hostile(header: #"{"__metadata__":{"a":1}}"#, word: "text to text"),
  ])
  func `a header that lies is refused with its place`(_ hostile: Hostile) throws {
    let path = try file(
      hostile.header, data: [UInt8](repeating: 0, count: hostile.bytes), length: hostile.length)
    let error = try #require(throws: CheckpointError.self) { try read(path) }
    #expect(error.kind == .damaged)
    #expect(error.description.contains(hostile.word), "\(error)")
    #expect(error.place.file == path)
  }

  @Test func `truncation at every byte is an error`() throws {
    let source = Fixtures.path("hf-albert-equal", "model.safetensors")
    let bytes = try File.contents(of: source)
    let path = NSTemporaryDirectory() + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: path) }
    for count in Array(0..<3000) + stride(from: 3000, to: bytes.count, by: 997) {
      try Data(bytes[..<count]).write(to: URL(fileURLWithPath: path))
      #expect(throws: CheckpointError.self, "\(count) bytes") {
        try Safetensors().read(Probe(path))
      }
    }
  }

  @Test func `random mutations give an error or sound tensors`() throws {
    let bytes = try File.contents(of: Fixtures.path("hf-albert-equal", "model.safetensors"))
    let path = NSTemporaryDirectory() + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: path) }
    var random = SeededGenerator(seed: 7)
    for _ in Fuzz.trials(2000) {
      var copy = bytes
      for _ in 0..<Int.random(in: 1...16, using: &random) {
        copy[Int.random(in: 0..<4000, using: &random)] = .random(in: 0...255, using: &random)
      }
      try Data(copy).write(to: URL(fileURLWithPath: path))
      do {
        for tensor in try Safetensors().read(Probe(path)).tensors {
          #expect(try tensor.bytes().count == tensor.byteCount)
        }
      } catch {
        #expect(error.place.file == path)
      }
    }
  }

  @Test func `every dtype and shape comes back with groups and attributes`() throws {
    var tensors: [Tensor] = []
    for dtype in DType.allCases where dtype != .c128 && !dtype.isQuantized {
      for shape in [[], [0], [3], [2, 0, 4], [2, 3], [2, 4]] as [Shape]
      where shape.count % dtype.block.elements == 0 {
        tensors.append(Samples.tensor("组 \(dtype.rawValue)/\(shape)", dtype, shape))
      }
    }
    let checkpoint = Checkpoint(
      groups: [
        Group(name: "empty"),
        Group(
          name: "full",
          attributes: [
            Attribute(
              "names", .text(["a", "乙"], shape: [2], type: .init(size: 4, padding: .nullPadded))),
            Attribute("none", .numbers(.f64, shape: [0], bytes: [])),
          ], tensors: tensors),
      ], attributes: [Attribute("plain", text: "x\ny\"\\")])
    let folder = NSTemporaryDirectory() + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: folder) }
    for limit in [nil, 100] as [Int?] {
      let output = Output(overwrite: true, inputs: [])
      try output.makeFolder(folder)
      let path = folder + "/m.safetensors"
      try Safetensors().write(
        checkpoint, to: path, in: output, options: WriteOptions(maxShardSize: limit))
      try output.commit(durable: false)
      let again = try Safetensors().read(
        Probe(limit == nil ? path : folder + "/m.safetensors.index.json"))
      #expect(again.attributes == checkpoint.attributes)
      #expect(again.groups.map(\.name) == ["empty", "full"])
      #expect(again.groups[1].attributes == checkpoint.groups[1].attributes)
      #expect(again.tensors.map(\.name) == tensors.map(\.name))
      for (a, b) in zip(tensors, again.tensors) {
        #expect(a.dtype == b.dtype && a.shape == b.shape)
        #expect(try a.bytes() == b.bytes(), "\(a.name)")
      }
    }
  }

  @Test func `a missing shard is named`() throws {
    let folder = NSTemporaryDirectory() + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: folder) }
    try FileManager.default.copyItem(
      atPath: Fixtures.path("hf-bert-sharded"), toPath: folder)
    let shard = try #require(
      Paths.list(folder).first { $0.contains("-00002-of-") && $0.hasSuffix(".safetensors") })
    try FileManager.default.removeItem(atPath: folder + "/" + shard)
    let error = try #require(throws: CheckpointError.self) { try Opening(folder) }
    #expect(error.description.contains(shard))
  }
}
