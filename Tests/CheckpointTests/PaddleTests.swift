import TestSupport
import Testing

@testable import Checkpoint

@Suite struct PaddleTests {
  static let expected =
    (try? ExpectedTensors.file(Fixtures.path("paddle", "expected.json"))) ?? []

  func open(_ name: String) throws -> Checkpoint {
    let probe = try Probe(Fixtures.path("paddle", name))
    #expect(try FormatRegistry.recognise(probe).name == "paddle")
    return try Paddle().read(probe)
  }

  @Test(arguments: expected.map(\.key))
  func `every tensor is what paddle.load gives`(_ name: String) throws {
    let checkpoint = try open(name)
    let member = try #require(PaddleTests.expected.first { $0.key == name })
    try ExpectedTensors(member.value["tensors"]).check(checkpoint)
    for alias in member.value["aliases"]?.members ?? [] {
      let tensor = checkpoint.tensors.first { $0.name == alias.key }
      #expect(tensor?.aliases.first == alias.value.string)
    }
    #expect(checkpoint.unreadable.isEmpty)
  }

  @Test func `bytes lie in the file, or in its text`() throws {
    #expect(PaddleTests.expected.count == 6)
    for name in ["protocol3.pdparams", "protocol4.pdparams", "model.pdopt"] {
      #expect(try open(name).tensors.allSatisfy { $0.payload.slice != nil })
    }
    let large = try #require(try open("protocol2.pdparams").tensors.first)
    #expect(large.payload.storage == "text" && large.payload.isWindowed)
  }

  @Test func `what is no tensor becomes an attribute`() throws {
    let optimizer = try open("model.pdopt")
    #expect(optimizer.attributes.contains { $0.name == "LR_Scheduler.last_epoch" })
    #expect(try open("nested.pdparams").text("list.2") == "名")
  }

  @Test func `it is only read`() throws {
    #expect(!Paddle().writes)
    #expect(!FormatRegistry.writable.contains { $0.name == "paddle" })
  }

  @Test(arguments: ["one.pdparams", "protocol2.pdparams", "protocol4.pdparams"])
  func `truncation and mutations end in an error or in tensors`(_ name: String) throws {
    let scratch = try TemporaryFolder()
    let bytes = try File.contents(of: Fixtures.path("paddle", name))
    for count in stride(from: 0, to: bytes.count, by: bytes.count > 1000 ? 13 : 1) {
      let path = try scratch.file("cut.pdparams", Array(bytes[..<count]))
      let error = try #require(throws: CheckpointError.self) { try Paddle().read(Probe(path)) }
      #expect(error.kind == .damaged && error.place.file == path, "\(error)")
    }
    var random = SeededGenerator(seed: 5)
    for _ in Fuzz.trials(2000) {
      var copy = bytes
      for _ in 0..<Int.random(in: 1...6, using: &random) {
        copy[Int.random(in: 0..<copy.count, using: &random)] = .random(in: 0...255, using: &random)
      }
      let path = try scratch.file("mutated.pdparams", copy)
      do throws(CheckpointError) {
        for tensor in try Paddle().read(Probe(path)).tensors {
          #expect(try tensor.bytes().count == tensor.byteCount)
        }
      } catch {
        #expect([.damaged, .unsupported].contains(error.kind), "\(error)")
      }
    }
  }
}
