import Checkpoint
import Foundation
import Testing

@Suite struct StorageTests {
  @Test(arguments: [
    (#"{"b":1,"a":[1.0,-2e5,true,null,"x\n\u00e9\ud83d\ude00"]}"#, true), ("[]", true),
    (" {} ", true), ("NaN", true), ("", false), ("{", false), ("[1,]", false), ("{\"a\":}", false),
    ("{\"a\":1,\"a\":2}", false), ("[1] 2", false), ("\"\\ud83d\"", false), ("\"\u{1}\"", false),
    ("tru", false), ("0x10", false), ("1e", false), ("+1", false), ("nan", false),
    (String(repeating: "[", count: 10_000), false),
  ])
  func `JSON is taken or refused`(_ text: String, _ valid: Bool) throws {
    if valid {
      let json = try JSON(parsing: Array(text.utf8))
      #expect(try JSON(parsing: Array(json.compact.utf8)) == json)
      #expect(try JSON(parsing: Array(json.pretty.utf8)) == json)
    } else {
      #expect(throws: CheckpointError.self) { try JSON(parsing: Array(text.utf8)) }
    }
  }

  @Test func `JSON keeps the order of keys and the spelling of numbers`() throws {
    let text = #"{"z":1.50,"a":1e-12,"m":{"y":[],"x":{}}}"#
    #expect(try JSON(parsing: Array(text.utf8)).compact == text)
  }

  @Test func `names are ordered as people count`() {
    let names = ["l.10.a", "l.2.b", "l.2.a", "l", "k.11", "l.02.a"]
    #expect(names.sorted(by: Natural.less) == ["k.11", "l", "l.02.a", "l.2.a", "l.2.b", "l.10.a"])
  }

  @Test(arguments: [
    ("*", "anything/at all", true), ("a*c", "abbc", true), ("a*c", "abbd", false),
    ("a?c", "abc", true), ("a?c", "ac", false), ("[a-c]x", "bx", true), ("[!a]x", "ax", false),
    ("*kernel:0", "dense/kernel:0", true), ("", "", true), ("", "a", false), ("层*", "层1", true),
  ])
  func `globs match like the shell's`(_ pattern: String, _ name: String, _ matches: Bool) {
    #expect(Glob(pattern).matches(name) == matches)
  }

  @Test func `files appear together or not at all`() throws {
    let folder = NSTemporaryDirectory() + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: folder) }
    do {
      let output = Output(overwrite: false, inputs: [])
      try output.makeFolder(folder + "/deep/er")
      try output.file(folder + "/deep/er/a").write([1, 2, 3], at: 0)
      #expect(try File.contents(of: output.staged(folder + "/deep/er/a")) == [1, 2, 3])
      #expect(!Paths.exists(folder + "/deep/er/a"))
    }
    #expect(!Paths.exists(folder), "an output that was not committed leaves no folder")
    let output = Output(overwrite: false, inputs: [])
    try output.makeFolder(folder)
    try output.file(folder + "/a").write([1], at: 0)
    try output.file(folder + "/b").write([2], at: 0)
    try output.commit(durable: true)
    #expect(Paths.list(folder) == ["a", "b"])
  }

  @Test func `what a killed run left behind is removed, a living run's is not`() throws {
    let folder = NSTemporaryDirectory() + UUID().uuidString
    defer { try? FileManager.default.removeItem(atPath: folder) }
    let living = Output(overwrite: false, inputs: [])
    try living.makeFolder(folder)
    _ = try living.file(folder + "/living")
    let leftover = folder + "/.ckpt-1-1.tmp"
    try FileManager.default.createDirectory(atPath: leftover, withIntermediateDirectories: false)
    try Data([1]).write(to: URL(fileURLWithPath: leftover + "/half"))
    let output = Output(overwrite: false, inputs: [])
    _ = try output.file(folder + "/next")
    #expect(!Paths.exists(leftover))
    try living.commit(durable: false)
    #expect(Paths.exists(folder + "/living"))
  }

  @Test(arguments: [
    Float.infinity, -.infinity, .nan, -0.0, .leastNonzeroMagnitude, 65504, 3.38e38, 1.00390625,
  ])
  func `bfloat16 and float16 round as IEEE says`(_ value: Float) {
    let half: [Float] = Elements.decode(Elements.encode([value], as: .f16), as: .f16)
    #expect(half[0].isNaN ? value.isNaN : half[0] == Float(Float16(value)))
    let brain: [Float] = Elements.decode(Elements.encode([value], as: .bf16), as: .bf16)
    if value.isNaN {
      #expect(brain[0].isNaN)
    } else if value.isInfinite || value == 0 {
      #expect(brain[0] == value && brain[0].sign == value.sign)
    } else {
      // Half a unit of the seven stored bits.
      #expect(abs(brain[0] - value) <= max(abs(value) / 256, .leastNonzeroMagnitude))
    }
  }

  @Test func `a cast that overflows says where`() throws {
    let tensor = Tensor(name: "w", shape: [3], values: [1, 70_000, 2])
    let error = try #require(throws: CheckpointError.self) {
      try tensor.cast(to: .f16).bytes()
    }
    #expect(error.description.contains("element 1"))
    #expect(error.place.tensor == "w")
  }
}
