import Checkpoint
import TestSupport
import Testing

/// Transforms one after the other, as a user chains them.
@Suite struct ChainTests {
  private func convert(_ source: String, _ options: [String]) throws -> Command.Result {
    let folder = try TemporaryFolder()
    return try Command.run(
      Command.path,
      ["convert", "\(Command.fixtures)/\(source)", folder.file("out"), "--json"] + options)
  }

  /// untie, to a wider key size, to talking heads, and all the way back.
  private func chain(_ steps: [String]) -> [String] { steps.flatMap { ["--apply", $0] } }

  @Test(
    arguments: [
      ("hf-albert", "untie", 6, ["", "bert4keras", "huggingface"]),
      ("hf-albert-groups", "untie", 13, ["", "bert4keras", "huggingface"]),
      ("b4k-bert/weights.h5", "", 16, ["", "bert4keras", "huggingface", "google"]),
      ("b4k-opt-sizes/weights.h5", "", 6, ["", "bert4keras"]),
      ("hf-gpt2", "", 5, ["", "bert4keras", "huggingface"]),
      ("b4k-t5/weights.h5", "", 9, ["", "bert4keras"]),
      ("hf-t5", "", 7, ["", "bert4keras", "huggingface"]),
    ])
  func `there and back is the same function`(
    _ source: String, _ first: String, _ size: Int, _ targets: [String]
  ) throws {
    let steps =
      (first.isEmpty ? [] : [first]) + [
        "widen-key-size=\(size + 5)", "talking-heads", "flatten-talking-heads",
        "narrow-key-size=\(size)",
      ]
    for target in targets {
      let options = chain(steps) + (target.isEmpty ? [] : ["--to", target])
      let result = try convert(source, options)
      #expect(result.code == 0, "\(target): \(result.errors)\(result.output.suffix(600))")
      let verification = result.json?["verification"]
      #expect(verification?["passed"] == .bool(true))
      #expect(verification?["contract"] == .string("rounding"))
      #expect(result.json?["broken_promise"] == .null)
      // Every weight is in its old shape, so sizes are the source's again.
      #expect(result.json?["findings"]?.array?.isEmpty == false)
    }
  }

  @Test(arguments: [
    // Half-way, where the target has no such sizes or projections.
    ("hf-albert", ["untie", "widen-key-size=9"], "huggingface", "key size 9"),
    ("hf-albert", ["untie", "talking-heads"], "huggingface", "talking-heads"),
    ("b4k-bert/weights.h5", ["widen-key-size=18"], "huggingface", "key size 18"),
    ("hf-gpt2", ["widen-key-size=7"], "huggingface", "key size 7"),
    ("hf-t5", ["widen-key-size=9"], "huggingface", "keys have 9"),
    // Where the mathematics does not allow it.
    ("b4k-roformer/weights.h5", ["widen-key-size=11"], "bert4keras", "multiple"),
    ("b4k-nezha/weights.h5", ["widen-key-size=32"], "bert4keras", "distances"),
    ("b4k-bert/weights.h5", ["untie"], "bert4keras", "already"),
    ("hf-albert", ["talking-heads", "talking-heads"], "bert4keras", "already"),
  ])
  func `what cannot be held is refused before anything is written`(
    _ source: String, _ steps: [String], _ target: String, _ reason: String
  ) throws {
    let folder = try TemporaryFolder()
    let result = try Command.run(
      Command.path,
      ["convert", "\(Command.fixtures)/\(source)", folder.file("out"), "--to", target]
        + chain(steps))
    #expect(result.code == 2, "\(result.output)")
    #expect(result.errors.contains(reason), "\(result.errors)")
    #expect(folder.contents.isEmpty)
  }

  @Test func `a plan tells sources, operations, bytes and memory, and writes nothing`() throws {
    let folder = try TemporaryFolder()
    let result = try Command.run(
      Command.path,
      [
        "convert", "\(Command.fixtures)/hf-albert", folder.file("out"), "--to", "bert4keras",
        "--dry-run", "--json",
      ] + chain(["untie", "widen-key-size=9"]))
    #expect(result.code == 0, "\(result.errors)")
    #expect(folder.contents.isEmpty)
    let rows = try #require(result.json?["tensors"]?.array)
    let query = try #require(
      rows.first {
        $0["target"]?.string?.hasSuffix("Transformer-1-MultiHeadSelfAttention/dense/kernel:0")
          == true
      })
    let operation = try #require(query["operation"]?.string)
    #expect(operation.contains("copied") && operation.contains("key size 6 to 9"))
    let shape = try #require(query["shape"]?.array).compactMap(\.int)
    #expect(query["bytes"]?.int == shape.reduce(4, *))
    #expect(
      query["sources"]?.array?.compactMap(\.string).contains { $0.hasSuffix("query.weight") }
        == true)
    #expect((result.json?["writing_memory"]?.int ?? 0) > 0)
  }

  @Test func `half precision is proven as well as single`() throws {
    for dtype in ["f16", "bf16"] {
      let folder = try TemporaryFolder()
      let half = folder.file("half")
      let first = try Command.run(
        "convert", Command.fixtures + "/hf-bert", half, "--dtype", dtype)
      #expect(first.code == 0, "\(first.errors)")
      let result = try Command.run(
        Command.path,
        ["convert", half, folder.file("wide.safetensors"), "--json", "--to", "bert4keras"]
          + chain(["widen-key-size=17", "widen-ffn=90"]))
      #expect(result.code == 0, "\(result.errors)\(result.output.suffix(900))")
      #expect(result.json?["verification"]?["verdict"] == .string("rounding"))
      // What the weights' own rounding does is larger than the tolerance, and told.
      let dtypes = Set(
        (result.json?["tensors"]?.array ?? []).compactMap { $0["dtype"]?.string })
      #expect(dtypes == [dtype])
    }
  }
}
