import Checkpoint
import TestSupport
import Testing

@Suite struct HashManifestTests {
  private func checkpoint(_ tensors: [Tensor]) -> Checkpoint {
    Checkpoint(groups: [Group(name: "", tensors: tensors)])
  }

  private static let tensors = [
    Samples.tensor("a  f32 (2)", .f32, [3, 2]), Samples.tensor("b", .i8, []),
    Samples.tensor("词", .u8, [0, 3], seed: 1), Samples.tensor("d", .f16, [7], seed: 2),
    Samples.tensor("\u{301}x", .f16, [2], seed: 3),
  ]

  private func lines(_ content: ContentHash) -> String {
    content.tensors.map { "\($0.sha256)  \($0.name)  \($0.dtype.rawValue) \($0.shape)\n" }.joined()
      + "\(content.hash)  some path (1)\n"
  }

  @Test func `any number of threads gives the same hash`() throws {
    let checkpoint = try Opening(Fixtures.path("b4k-bert", "weights.h5")).checkpoint
    let one = try ContentHash(checkpoint, threads: 1)
    for threads in [2, 5] {
      let many = try ContentHash(checkpoint, threads: threads)
      #expect(many.hash == one.hash && many.tensors == one.tensors)
    }
  }

  @Test func `the lines that hash prints are a manifest, whatever the names`() throws {
    let content = try ContentHash(checkpoint(Self.tensors))
    let manifest = try HashManifest(parsing: Array(lines(content).utf8))
    #expect(manifest.hash == content.hash)
    #expect(manifest.tensors == content.tensors)
    #expect(HashComparison(manifest, content).isEqual)
  }

  @Test(arguments: ["\r\n", "\n\n"])
  func `lines may end as another system's do`(_ end: String) throws {
    let content = try ContentHash(checkpoint(Self.tensors))
    let text = lines(content).unicodeScalars.map { $0 == "\n" ? end : String($0) }.joined()
    let manifest = try HashManifest(parsing: Array(text.utf8))
    #expect(manifest.tensors == content.tensors && manifest.hash == content.hash)
  }

  @Test func `changed, renamed, missing and new tensors are told apart`() throws {
    let manifest = try HashManifest(
      parsing: Array(lines(ContentHash(checkpoint(Self.tensors))).utf8))
    var tensors = Self.tensors
    tensors[0] = Samples.tensor("a  f32 (2)", .f32, [3, 2], seed: 9)
    tensors[1] = tensors[1].renamed("b2")
    tensors[3] = Samples.tensor("e", .f64, [1])
    let found = HashComparison(manifest, try ContentHash(checkpoint(tensors)))
    #expect(!found.isEqual)
    #expect(found.changed.map(\.found.name) == ["a  f32 (2)"])
    #expect(found.renamed.map { [$0.expected.name, $0.found.name] } == [["b", "b2"]])
    #expect(found.missing.map(\.name) == ["d"])
    #expect(found.new.map(\.name) == ["e"])
  }

  @Test func `another type or shape of the same bytes is a change`() throws {
    let manifest = try HashManifest(
      parsing: Array(lines(ContentHash(checkpoint(Self.tensors))).utf8))
    var tensors = Self.tensors
    tensors[3] = Tensor(name: "d", dtype: .bf16, shape: [7], payload: tensors[3].payload)
    tensors[0] = Tensor(
      name: tensors[0].name, dtype: .f32, shape: [2, 3], payload: tensors[0].payload)
    let found = HashComparison(manifest, try ContentHash(checkpoint(tensors)))
    #expect(found.changed.map(\.found.dtype) == [.f32, .bf16])
  }

  @Test(arguments: [
    ("", "states no hash"), ("hello\n", "line 1"), ("{}", "states no hash"),
    ("{\"hash\": \"12\"}", "no SHA-256"), ("{\"hash\": 3}", "no SHA-256"),
    ("{\"tensors\": 3}", "no list"), ("{\"tensors\": [{\"name\": \"a\"}]}", "entry 0"),
    ("{\"tensors\": [", "byte"),
    ("{\"hash\": \"\(String(repeating: "0", count: 64))\", \"tensors\": []}", "of its tensors"),
    ("\(String(repeating: "g", count: 64))  a\n", "line 1"),
    (
      "\(String(repeating: "0", count: 64))  a\n\(String(repeating: "0", count: 64))  b\n", "line 2"
    ),
    (
      "\(String(repeating: "0", count: 64))  a  f32 (2,)\n\(String(repeating: "1", count: 64))  a  f32 (2,)\n",
      "twice"
    ),
    ("\(String(repeating: "0", count: 64))  a  f32 (99999999999, 99999999999)\nx\n", "line 2"),
  ])
  func `what is no manifest is refused with the reason`(_ text: String, _ reason: String) throws {
    let error = #expect(throws: CheckpointError.self) {
      try HashManifest(parsing: Array(text.utf8))
    }
    #expect(error?.description.contains(reason) == true, "\(error?.description ?? "")")
    #expect(error?.kind == .damaged)
  }
}
