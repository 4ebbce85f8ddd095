import Checkpoint
import Infer
import TestSupport
import Testing

/// Vocabularies, tables of positions and factored embeddings, as a user changes them.
@Suite struct VocabularyCommandTests {
  private typealias Arrays = [String: NDArray<Float>]

  private func arrays(_ path: String) throws -> Arrays {
    var arrays: Arrays = [:]
    for tensor in try NPZ().read(Probe(path)).tensors {
      arrays[tensor.name] = NDArray(shape: tensor.shape.extents, values: try tensor.floats())
    }
    return arrays
  }

  /// Some outputs of a model.
  private func values(
    _ path: String, _ inputs: Arrays, _ names: [String], _ dialect: String? = nil
  ) throws -> Arrays {
    var options = ModelReader.Options()
    options.dialect = dialect
    let model = try Opening(path, options: options).model()
    let runnable = try RunnableModel(model, inputs: inputs.keys)
    let fed = try TextInputs(named: inputs, padding: .tokenZero, for: runnable.graph)
    return try runnable.session(returning: names).run(fed.arrays)
  }

  private func expectClose(
    _ a: NDArray<Float>?, _ b: NDArray<Float>?, _ name: String, within tolerance: Float = 1e-5
  ) throws {
    let (a, b) = (try #require(a), try #require(b))
    #expect(a.shape == b.shape)
    let largest = b.values.reduce(0) { max($0, abs($1)) }
    let error = zip(a.values, b.values).reduce(0) { max($0, abs($1.0 - $1.1)) }
    #expect(error <= tolerance * largest, "\(name) differs by \(error) of \(largest)")
  }

  private func convert(_ source: String, _ out: String, _ options: [String]) throws
    -> Command.Result
  {
    try Command.convert(Fixtures.path(source), to: out, options)
  }

  // MARK: Tokens

  @Test(arguments: [
    ("bert", ["hidden_act=gelu_erf"]), ("albert", ["hidden_act=gelu_erf"]),
    ("gpt2_ml", ["hidden_act=gelu_erf"]),
    ("t5", ["cross_position_bias=true", "scale_decoder_outputs=true"]),
    (
      "t5.1.1",
      ["cross_position_bias=true", "scale_decoder_outputs=true", "hidden_act=gelu_erf,linear"]
    ),
  ])
  func `keep-tokens and compound-tokens are those of bert4keras`(
    _ name: String, _ settings: [String]
  ) throws {
    let folder = try TemporaryFolder()
    let lists = Command.fixtures + "/b4k-tokens"
    let out = folder.file("out")
    let result = try convert(
      "google/\(name)/bert_model.ckpt", out,
      [
        "--to", "bert4keras", "--apply", "keep-tokens=\(lists)/keep_tokens.json", "--apply",
        "compound-tokens=\(lists)/compound_tokens.json",
      ] + settings.flatMap { ["--set", $0] })
    #expect(result.code == 0, "\(result.errors)")
    let expected = try arrays("\(lists)/\(name).npz")
    let model = try Opening(out).model()
    let tables = ["embeddings.token": "token", "mlm.bias": "bias", "lm.kernel": "kernel"]
    #expect(expected["token"]?.shape.first == 19)
    #expect((expected["bias"] != nil) == name.contains("bert"))
    #expect((expected["kernel"] != nil) == (name == "t5.1.1"))
    for (ours, theirs) in tables {
      guard let table = expected[theirs] else { continue }
      let found = try #require(model[ours]?.tensor)
      try expectClose(
        NDArray(shape: found.shape.extents, values: found.floats()), table, ours, within: 1e-6)
    }
    let output = name.contains("bert") ? "mlm_probs" : "lm_probs"
    let inputs = expected.filter { $0.key.contains("Input-") }
    try expectClose(try values(out, inputs, [output])[output], expected[output], output)
  }

  @Test(
    arguments: [
      ("bert4keras", []), ("huggingface", []), ("google", []),
      ("gguf", ["--allow-drop", "pooler.*", "--allow-drop", "nsp.*", "--allow-drop", "mlm.*"]),
      ("keras-bert", []),
    ] as [(String, [String])])
  func `every dialect remembers that a vocabulary was trimmed`(
    _ dialect: String, _ options: [String]
  ) throws {
    let folder = try TemporaryFolder()
    let list = try folder.file("ids.txt", Array("0\n3\n4\n9\n".utf8))
    let trim = ["--apply", "keep-tokens=\(list)"]
    let said = ["--to", dialect, "--set", "hidden_act=gelu_tanh"] + options
    let out = folder.file("out")
    let first = try convert("b4k-bert/weights.h5", out, said + trim)
    #expect(first.code == 0, "\(first.errors)")
    let again = folder.file("again")
    let refused = try Command.run(Command.path, ["convert", out, again] + trim)
    #expect(refused.code == 2)
    #expect(refused.errors.contains("trimmed before, from"), "\(refused.errors)")
    #expect(!Paths.exists(again))
    let chain = try convert("b4k-bert/weights.h5", again, said + trim + trim)
    #expect(chain.code == 2 && chain.errors.contains("trimmed before"), "\(chain.errors)")
    // One that was never trimmed says nothing of it.
    let plain = try Command.run("info", Command.fixtures + "/b4k-bert", "--json")
    #expect(!plain.output.contains("original_vocab_size"))
  }

  @Test func `a trimmed model answers as before in texts of kept tokens`() throws {
    let folder = try TemporaryFolder()
    let source = Command.fixtures + "/tiny-albert"
    let words = try Vocabulary(contentsOf: source + "/vocab.txt")
    let answers = try #require(
      try JSON(parsing: File.contents(of: source + "/fill_mask.json"))["answers"]?.array)
    // What the sentences and their answers need, the last ones first behind the special ones.
    var needed = Set(answers.flatMap { $0["token_ids"]?.array?.compactMap(\.int) ?? [] })
    needed.formUnion(
      answers.flatMap { $0["top"]?.array?.compactMap { $0["id"]?.int } ?? [] })
    let special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    let rest = needed.sorted(by: >).compactMap { words.token(of: Int32($0)) }
      .filter { !special.contains($0) }
    #expect(rest.count > 20 && rest.count + 5 < words.count)
    let list = try folder.file("tokens.txt", Array((special + rest).joined(separator: "\n").utf8))
    for dialect in ["bert4keras", "huggingface"] {
      let out = folder.file(dialect)
      let result = try convert(
        "tiny-albert/weights.h5", out, ["--to", dialect, "--apply", "keep-tokens=\(list)"])
      #expect(result.code == 0, "\(result.errors)")
      #expect(
        try File.contents(of: out + "/vocab.txt")
          == Array(((special + rest).joined(separator: "\n") + "\n").utf8))
      let found = try Command.run(
        "run", out, "--task", "fill-mask", "--json",
        input: answers.compactMap { $0["sentence"]?.string }.joined(separator: "\n"))
      #expect(found.code == 0, "\(found.errors)")
      let results = try #require(found.json?["results"]?.array)
      #expect(results.count == answers.count)
      for (answer, other) in zip(answers, results) {
        let candidates = other["masks"]?.array?.first?["candidates"]?.array
        #expect(candidates?.map { $0["token"] } == answer["top"]?.array?.map { $0["token"] })
      }
    }
  }

  @Test func `new tokens get their lines, also behind a trim`() throws {
    let folder = try TemporaryFolder()
    let list = try folder.file("new.txt", Array("酒店\t酒 店\n很 好\n".utf8))
    let out = folder.file("out")
    let result = try convert("tiny-albert", out, ["--apply", "compound-tokens=\(list)"])
    #expect(result.code == 0, "\(result.errors)")
    let words = try Vocabulary(contentsOf: out + "/vocab.txt")
    let old = try Vocabulary(contentsOf: Command.fixtures + "/tiny-albert/vocab.txt")
    #expect(words.tokens == old.tokens + ["酒店", "很好"])
    let refused = try convert(
      "tiny-albert", folder.file("none"), ["--apply", "compound-tokens=\(list):as=ids"])
    #expect(refused.code == 64 && refused.errors.contains("is no id"), "\(refused.errors)")
    #expect(!Paths.exists(folder.file("none")))
  }

  @Test func `a vocabulary of bert4keras is read as bert4keras reads it`() throws {
    let folder = try TemporaryFolder()
    let words = try folder.file(
      "vocab.txt", Array("[PAD] 0\n[UNK] 1\n[CLS] 2\na 3\nb 4\n".utf8))
    let list = try folder.file("tokens.txt", Array("[PAD]\nb\n".utf8))
    let out = folder.file("out")
    let result = try convert(
      "b4k-bert/weights.h5", out,
      ["--vocab", words, "--to", "bert4keras", "--apply", "keep-tokens=\(list)"])
    #expect(result.code == 0, "\(result.errors)")
    #expect(try File.contents(of: out + "/vocab.txt") == Array("[PAD]\nb\n".utf8))
  }

  @Test func `what else makes ids is named, and special ids follow`() throws {
    let folder = try TemporaryFolder()
    let source = folder.file("source")
    #expect(try convert("hf-t5", source, ["--to", "huggingface"]).code == 0)
    let file = try TemporaryFolder()
    let list = try file.file("ids.json", Array("[0, 5, 1, 7, 9]".utf8))
    let output = Output(overwrite: false, inputs: [])
    try output.file(source + "/tokenizer.json").write(Array("{}".utf8), at: 0)
    try output.commit(durable: false)
    let out = folder.file("out")
    let result = try Command.run(
      Command.path, ["convert", source, out, "--json", "--apply", "keep-tokens=\(list)"])
    #expect(result.code == 0, "\(result.errors)")
    let notes = result.json?["notes"]?.array?.compactMap(\.string) ?? []
    #expect(notes.contains { $0.hasPrefix("tokenizer.json") }, "\(notes)")
    #expect(notes.contains { $0.contains("no vocab.txt") }, "\(notes)")
    let config = try JSON(parsing: File.contents(of: out + "/config.json"))
    #expect(config["eos_token_id"] == .number(2))
    #expect(config["vocab_size"] == .number(5))
    #expect(config["original_vocab_size"]?.int ?? 0 > 5)
  }

  @Test(arguments: [
    ("b4k-bert/weights.h5", "[1, 0]", 2, "id 0 is the padding"),
    ("b4k-opt-shared-segments", "[0, 2]", 2, "segments are rows"),
    ("hf-roberta", "[0, 3, 1]", 2, "behind the padding token's id"),
    ("b4k-bert/weights.h5", "[0, 100000]", 64, "element 2: id 100000"),
    ("b4k-bert/weights.h5", "[PAD]\n", 64, "has no vocabulary"),
  ])
  func `a list that does not fit leaves nothing`(
    _ source: String, _ content: String, _ code: Int32, _ word: String
  ) throws {
    let folder = try TemporaryFolder()
    let list = try folder.file("list", Array(content.utf8))
    let result = try convert(source, folder.file("out"), ["--apply", "keep-tokens=\(list)"])
    #expect(result.code == code)
    #expect(result.errors.contains(word), "\(result.errors)")
    #expect(folder.contents == ["list"])
  }

  @Test(arguments: [
    "b4k-gpt", "b4k-gpt2", "b4k-t5", "b4k-t5.1.1", "b4k-electra", "b4k-nezha", "b4k-gau-alpha",
    "hf-roberta", "hf-electra-generator", "hf-distilbert", "hf-mt5", "google/brightmart-albert",
  ])
  func `every family is trimmed and grows to the bit`(_ source: String) throws {
    let folder = try TemporaryFolder()
    let list = try folder.file("ids.txt", Array("0\n1\n7\n3\n5\n12\n".utf8))
    let more = try folder.file("more.json", Array("[[2, 3], [4, 5, 1]]".utf8))
    let result = try convert(
      source, folder.file("out"),
      [
        "--apply", "keep-tokens=\(list)", "--apply", "compound-tokens=\(more)", "--allow-drop",
        "*/adam_?", "--allow-drop", "global_step",
      ])
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["verification"]?["verdict"]?.string == "identical")
  }

  // MARK: Positions

  @Test(arguments: [("b4k-opt-hierarchical", 3, 0.4), ("b4k-opt-hierarchical-number", 4, 0.3)])
  func `a longer table computes what bert4keras computes by hierarchy`(
    _ name: String, _ rows: Int, _ alpha: Double
  ) throws {
    let folder = try TemporaryFolder()
    let inputs = try arrays("\(Command.fixtures)/\(name)/inputs.npz")
    let expected = try arrays("\(Command.fixtures)/\(name)/expected.npz")
    let plain = [
      "--set", "hierarchical_position=false", "--apply",
      "extend-positions=\(rows * rows),alpha=\(alpha)",
    ]
    let hierarchical = ["--apply", "extend-positions=\(rows * rows - 1)"]
    for (index, options) in [plain, hierarchical].enumerated() {
      for dialect in ["bert4keras", "huggingface", "google"] {
        let out = folder.file("\(index)-\(dialect)")
        let result = try convert(
          name, out,
          options + ["--to", dialect] + (dialect == "google" ? ["--format", "tf"] : []))
        #expect(result.code == 0, "\(result.errors)")
        let outputs = ["embeddings.position", "last_hidden_state"]
        let found = try values(out, inputs, outputs, dialect)
        for output in outputs { try expectClose(found[output], expected[output], output) }
      }
    }
  }

  @Test(arguments: [
    ("hf-roberta", "30", 32), ("hf-gpt2", "28", 28), ("hf-distilbert", "28", 28),
    ("b4k-albert", "38", 38), ("google/gpt2_ml", "22", 22),
  ])
  func `N counts positions, and the configuration says how many rows there are`(
    _ source: String, _ count: String, _ rows: Int
  ) throws {
    let folder = try TemporaryFolder()
    let out = folder.file("out")
    let result = try convert(source, out, ["--apply", "extend-positions=\(count)"])
    #expect(result.code == 0, "\(result.errors)")
    #expect(try Opening(out).model().architecture.configuration.positions == rows)
  }

  @Test func `a positions' hierarchy that a framework lacks names the step`() throws {
    let folder = try TemporaryFolder()
    let result = try convert("b4k-opt-hierarchical", folder.file("out"), ["--to", "huggingface"])
    #expect(result.code == 2 && result.errors.contains("--apply extend-positions=N"))
  }

  // MARK: Factors

  @Test(
    arguments: [
      ("google", []), ("google", ["--apply", "untie"]), ("huggingface", []),
      ("huggingface", ["--apply", "untie"]),
      ("huggingface", ["--apply", "untie", "--to-family", "bert"]),
      ("bert4keras", ["--apply", "untie"]),
    ] as [(String, [String])])
  func `albert_zh folded computes what it computed`(
    _ dialect: String, _ options: [String]
  ) throws {
    let folder = try TemporaryFolder()
    let source = "google/brightmart-albert"
    let out = folder.file("out")
    let left = ["--allow-drop", "*/adam_?", "--allow-drop", "global_step"]
    let refused = try convert(source, out, left + ["--to", "huggingface"])
    #expect(refused.code == 2 && refused.errors.contains("--apply fold-embedding"))
    let result = try convert(
      source, out, options + ["--apply", "fold-embedding", "--to", dialect] + left)
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["verification"]?["verdict"]?.string == "rounding")
    if dialect == "huggingface" {
      #expect(
        result.json?["loads_as"]?.string?.hasPrefix(
          options.isEmpty ? "Albert" : "BertForPreTraining") == true)
    }
    let inputs = try arrays("\(Command.fixtures)/\(source)/inputs.npz")
    let expected = try arrays("\(Command.fixtures)/\(source)/expected.npz")
    let names = ["last_hidden_state", "pooler_output", "nsp_logits", "mlm_logits"]
      .filter { expected[$0] != nil }
    #expect(names.count > 2)
    let found = try values(out, inputs, names)
    for name in names { try expectClose(found[name], expected[name], name) }
  }
}
