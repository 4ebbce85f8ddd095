import TestSupport
import Testing

@testable import Checkpoint

/// Pickles written byte by byte, most of them hostile.
@Suite struct PickleTests {
  private struct Nothing: PickleVocabulary {
    func value(
      of call: Pickle.Call, _ name: String, in tree: PickleTree, depth: Int
    ) throws(CheckpointError) -> PickledValue? { nil }
  }

  func read(_ bytes: [UInt8]) throws -> PickleTree {
    var tree = PickleTree(try PickleMachine.read(.memory(bytes)), Nothing())
    try tree.flatten(rootName: "root")
    return tree
  }

  /// Text is its bytes.
  func read(_ text: String) throws -> PickleTree { try read(Array(text.utf8)) }

  @Test func `numbers of every protocol are read`() throws {
    let tree = try read(
      Array("(I7\nL-12L\nI01\nF1.5\nK\u{5}M\u{1}\u{2}J".utf8) + [0xfe, 0xff, 0xff, 0xff]
        + [0x8a, 0, 0x8a, 1, 0xff, 0x8a, 2, 0, 1, 0x88, 0x89]
        + [0x47, 0x3f, 0xf8, 0, 0, 0, 0, 0, 0] + Array("Vu\\u4e2d\nS'a b'\nNl.".utf8))
    let texts = tree.attributes.map { attribute -> String in
      if let text = attribute.text { return text }
      guard case .numbers(let dtype, _, let bytes) = attribute.value else { return "?" }
      return Elements.decode(bytes, as: dtype).map { (value: Double) in "\(value)" }.joined()
    }
    #expect(
      texts == [
        "7.0", "-12.0", "1.0", "1.5", "5.0", "513.0", "-2.0", "0.0", "-1.0", "256.0", "1.0", "0.0",
        "1.5", "u中", "a b", "None",
      ])
  }

  @Test(arguments: [
    "cos\nsystem\n(S'rm'\ntR.", "cposix\nsystem\n)R.", "c__builtin__\neval\n(S'1'\ntR.",
    "cbuiltins\nexec\n)R.", "csubprocess\nPopen\n)R.", "(ios\nsystem\n.", "(cos\nsystem\no.",
    "cos\nsystem\n)\u{81}.",
  ])
  func `a call that would do something is refused`(_ text: String) throws {
    // The last one has its operation as a single byte.
    let bytes = text.unicodeScalars.map { UInt8($0.value) }
    let error = try #require(throws: CheckpointError.self) { try read(bytes) }
    #expect(error.kind == .unsupported && error.reason.contains("would run"), "\(error)")
  }

  @Test func `unknown calls are listed and not made`() throws {
    let tree = try read(
      "(S'a'\nccollections\nevil\n(I1\ntRS'b'\ncbuiltins\ngetattr\n(ca\nb\nS'c'\ntRd.")
    #expect(tree.tensors.isEmpty && tree.attributes.isEmpty)
    #expect(tree.unreadable.map(\.name) == ["a", "b"])
  }

  @Test func `dictionaries of unknown classes are read as dictionaries`() throws {
    let tree = try read("clightning\nAttributeDict\n)RS'lr'\nF0.5\nsS'name'\nS'x'\ns.")
    #expect(tree.attributes.map(\.name) == ["lr", "name"] && tree.unreadable.isEmpty)
  }

  @Test(arguments: [
    ("", "needed"), ("N", "needed"), (".", "where none"), ("(.", "where none"), ("h\u{5}.", "kept"),
    ("g99\n.", "kept"), ("gx\n.", "no number"), ("]Na(ee.", "no mark"), ("Na.", "where none"),
    ("NNa.", "holds nothing"), ("(NNNd.", "no value"), ("]N}b.", "holds nothing"), ("NR.", "fewer"),
    ("NNR.", "no tuple"), ("u.", "no mark"), ("t.", "no mark"), ("X\u{ff}", "needed"),
    ("Iabc\n.", "no integer"),
    ("F1.x\n.", "no number"), ("Sabc\n.", "quoted"), ("V\\u12\n.", "escape"),
    ("\u{1}", "no operation"),
    ("(o.", "class"), ("cos", "needed"), ("Q.", "where none"),
  ])
  func `a broken pickle is damaged, with its place`(_ text: String, _ word: String) throws {
    let error = try #require(throws: CheckpointError.self) { try read(text) }
    #expect(error.kind == .damaged && error.place.offset != nil, "\(error)")
    #expect(error.reason.contains(word), "\(error)")
  }

  @Test(
    arguments: [
      [0x8b, 0xff, 0xff, 0xff, 0xff], [0x58, 0xff, 0xff, 0xff, 0x7f],
      [0x42, 0xff, 0xff, 0xff, 0x7f],
      [0x8e, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x7f], [0x8d, 0, 0, 0, 0, 0, 0, 0, 0xff],
      [0x95, 0, 0, 0, 0, 0, 1, 0, 0], [0x80, 9],
    ] as [[UInt8]])
  func `lengths beyond the file take no memory`(_ bytes: [UInt8]) throws {
    let error = try #require(throws: CheckpointError.self) { try read(bytes + [0x4e, 0x2e]) }
    #expect(error.kind == .damaged)
  }

  @Test func `references out of the file are refused`() throws {
    for byte: UInt8 in [0x97, 0x98, 0x82] {
      let error = try #require(throws: CheckpointError.self) { try read([0x4e, byte, 0x2e]) }
      #expect(error.kind == .unsupported)
    }
  }

  @Test func `deep nesting is an error and no overflow`() throws {
    let deep = [UInt8](repeating: UInt8(ascii: "]"), count: 200_000)
    let close = [UInt8](repeating: UInt8(ascii: "a"), count: 199_999)
    let error = try #require(throws: CheckpointError.self) { try read(deep + close + [0x2e]) }
    #expect(error.kind == .damaged && error.reason.contains("deep"))
    // Calls around a value.
    let calls =
      (0..<1000).map { _ in "cbuiltins\nlist\n" }.joined() + "]"
      + String(repeating: "\u{85}R", count: 1000) + "."
    let inner = try #require(throws: CheckpointError.self) {
      try read(calls.unicodeScalars.map { UInt8($0.value) })
    }
    #expect(inner.kind == .damaged && inner.reason.contains("deep"))
  }

  @Test func `parts that refer to each other again and again are refused in time`() throws {
    // Each list holds the one before ten times: 10³⁰ values.
    var text = "(lp0\nI1\na"
    for level in 0..<30 {
      text += "0(lp\(level + 1)\n" + String(repeating: "g\(level)\na", count: 10)
    }
    let error = try #require(throws: CheckpointError.self) { try read(text + ".") }
    #expect(error.kind == .damaged && error.reason.contains("too often"))
  }

  @Test func `values that contain themselves end`() throws {
    let list = try read("(lp0\ng0\na.")
    #expect(list.unreadable == [Unreadable(name: "0", reason: "contains itself")])
    let dictionary = try read("(dp0\nS'a'\ng0\ns.")
    #expect(dictionary.unreadable == [Unreadable(name: "a", reason: "contains itself")])
  }

  @Test func `names that meet when joined are refused`() throws {
    let error = try #require(throws: CheckpointError.self) {
      try read("(S'a.b'\nI1\nS'a'\n(S'b'\nI2\ndd.")
    }
    #expect(error.kind == .unsupported && error.place.tensor == "a.b")
  }

  /// An array as NumPy reduces it, with these bytes.
  func array(
    _ shape: String = "(I2\nt", code: String = "f4", order: String = "<", data: String,
    fortran: String = "00"
  ) -> String {
    "cnumpy.core.multiarray\n_reconstruct\n(cnumpy\nndarray\n(I0\ntS'b'\ntR(I1\n\(shape)"
      + "cnumpy\ndtype\n(S'\(code)'\nI0\nI1\ntR(I3\nS'\(order)'\nNNNI-1\nI-1\nI0\ntbI\(fortran)\n"
      + "\(data)tb."
  }

  @Test func `NumPy's arrays are read in both byte orders`() throws {
    let bytes =
      "c_codecs\nencode\n(V\\u0000\\u0000\\u0080\\u003f\\u0000\\u0000\\u0000\\u0040\nS'latin1'\ntR"
    let tensor = try #require(try read(array(data: bytes)).tensors.first)
    #expect(tensor.name == "root" && tensor.dtype == .f32)
    #expect(try tensor.floats() == [1, 2])
    let swapped = try #require(
      try read(array(order: ">", data: "T\u{8}\0\0\0?\0\0\0@\0\0\0")).tensors.first)
    #expect(try swapped.floats() == [0.5, 2])
  }

  @Test(arguments: [
    "U\u{4}abcd", "U\u{9}abcdefghi", "U\u{0}",
  ])
  func `an array with too few or too many bytes is damaged`(_ data: String) throws {
    let error = try #require(throws: CheckpointError.self) { try read(array(data: data)) }
    #expect(error.kind == .damaged, "\(error)")
  }

  @Test func `shapes that overflow or are negative are damaged`() throws {
    for shape in ["(I-1\nt", "(L4611686018427387904L\nI4\nt", "(Nt"] {
      let error = try #require(throws: CheckpointError.self) {
        try read(array(shape, data: "U\u{0}"))
      }
      #expect(error.kind == .damaged)
    }
  }

  @Test func `arrays of objects are listed`() throws {
    #expect(try read(array(code: "O8", order: "|", data: "]")).unreadable.count == 1)
  }

  @Test func `bytes kept as long text are told in windows`() throws {
    let values = (0..<40_000).map { UInt8(truncatingIfNeeded: $0 &* 7 + $0 >> 8) }
    let text = Array(String(String.UnicodeScalarView(values.map { UnicodeScalar($0) })).utf8)
    let payload = Latin1Payload(
      source: .memory(text), span: Pickle.Span(offset: 0, length: text.count),
      byteCount: values.count)
    for (start, count) in [(0, 100), (100, 39_900), (5, 7), (39_999, 1), (0, 40_000)] {
      var window = [UInt8](repeating: 0, count: count)
      var span = window.mutableSpan
      var raw = span.mutableBytes
      try payload.read(at: start, into: &raw)
      #expect(window == Array(values[start..<(start + count)]))
    }
    let short = Latin1Payload(
      source: .memory(text), span: Pickle.Span(offset: 0, length: text.count - 1), byteCount: 40_000
    )
    var window = [UInt8](repeating: 0, count: 40_000)
    #expect(throws: CheckpointError.self) {
      var span = window.mutableSpan
      var raw = span.mutableBytes
      try short.read(at: 0, into: &raw)
    }
  }
}
