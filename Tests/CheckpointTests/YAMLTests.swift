import Checkpoint
import Testing

@Suite struct YAMLTests {
  private func parse(_ text: String) throws -> JSON { try YAML.parse(Array(text.utf8)) }

  @Test(arguments: [
    ("", "null"), ("a: 1", #"{"a":1}"#), ("- x\n- 2.50\n- -3\n", #"["x",2.50,-3]"#),
    (
      "{a: [~, null, true, False, yes], b: {c: 'true', d: \"1\"}}",
      #"{"a":[null,null,true,false,"yes"],"b":{"c":"true","d":"1"}}"#
    ),
    ("a: &x [1, 2]\nb: *x", #"{"a":[1,2],"b":[1,2]}"#), ("a: 'x: y # z'", #"{"a":"x: y # z"}"#),
    ("# only a comment", "null"), ("a: 0.1-3", #"{"a":"0.1-3"}"#), ("词: ü", #"{"词":"ü"}"#),
    ("a: nan\nb: inf\nc: .5", #"{"a":"nan","b":"inf","c":".5"}"#), ("1: a", #"{"1":"a"}"#),
  ])
  func `values are those of JSON`(_ text: String, _ expected: String) throws {
    #expect(try parse(text) == JSON(parsing: Array(expected.utf8)))
  }

  @Test(arguments: [
    ("a: [1", 2), ("a: 1\na: 2", 2), ("? [a]\n: b", 1), ("a: 1\n---\nb: 2", 1), ("\ta: 1", 1),
    ("a: &x [*x]", 1), ("a: *y", 1),
  ])
  func `what is no single plain document is refused with its line`(
    _ text: String, _ line: Int
  ) throws {
    let error = try #require(throws: CheckpointError.self) { try parse(text) }
    #expect(error.kind == .damaged)
    #expect(error.place.member == "line \(line)")
  }

  @Test func `aliases that multiply are refused`() {
    var text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n"
    for level in 1..<9 {
      let list = (0..<10).map { _ in "*a\(level - 1)" }.joined(separator: ", ")
      text += "a\(level): &a\(level) [\(list)]\n"
    }
    #expect(throws: CheckpointError.self) { try parse(text) }
  }

  @Test func `bytes that are no text are refused`() {
    #expect(throws: CheckpointError.self) { try YAML.parse([0x61, 0x3a, 0x20, 0xff, 0xfe]) }
    #expect(throws: CheckpointError.self) { try YAML.parse([UInt8](repeating: 0, count: 9)) }
  }
}
