import Checkpoint
import TestSupport
import Testing

/// `ckpt diff` says what two checkpoints are to each other.
@Suite struct DiffTests {
  private let bert = Command.fixtures + "/b4k-bert/weights.h5"

  private func verdict(_ result: Command.Result) -> String? { result.json?["verdict"]?.string }

  private func write(_ tensors: [Tensor], to path: String, _ format: String = "safetensors") throws
  {
    let output = Output(overwrite: true, inputs: [])
    try FormatRegistry.named(format).write(
      Checkpoint(groups: [Group(name: "", tensors: tensors)]), to: path, in: output,
      options: WriteOptions())
    try output.commit(durable: false)
  }

  private func random(_ name: String, _ shape: Shape, seed: UInt64) -> Tensor {
    var generator = SeededGenerator(seed: seed)
    return Tensor(
      name: name, shape: shape,
      values: (0..<shape.count).map { _ in Float.random(in: -1...1, using: &generator) })
  }

  // MARK: Equal

  @Test(arguments: FormatRegistry.all.filter(\.writes).map(\.name))
  func `a copy in any format is equal`(_ format: String) throws {
    let folder = try TemporaryFolder()
    let copy = folder.file("copy")
    let made = try Command.run("convert", bert, copy, "--format", format, "--no-verify")
    guard made.code == 0 else { return }
    let result = try Command.run("diff", bert, copy, "--json")
    #expect(result.code == 0, "\(result.errors) \(result.output.prefix(600))")
    #expect(["identical", "same-weights"].contains(verdict(result)))
    #expect(result.json?["pairs"]?.array?.count == 62)
  }

  @Test(arguments: [
    ("b4k-bert/weights.h5", "huggingface"), ("b4k-bert/weights.h5", "google"),
    ("b4k-albert/weights.h5", "huggingface"), ("b4k-albert/weights.h5", "google"),
    ("hf-bert/model.safetensors", "bert4keras"), ("hf-electra-discriminator", "bert4keras"),
    ("hf-gpt2", "bert4keras"), ("b4k-t5/weights.h5", "google"),
  ])
  func `another dialect's copy is equal, whatever its names`(
    _ source: String, _ dialect: String
  ) throws {
    let folder = try TemporaryFolder()
    let copy = folder.file("copy")
    let made = try Command.run(
      "convert", Command.fixtures + "/" + source, copy, "--to", dialect, "--no-verify")
    #expect(made.code == 0, "\(made.errors)")
    for (a, b) in [
      (Command.fixtures + "/" + source, copy), (copy, Command.fixtures + "/" + source),
    ] {
      let result = try Command.run("diff", a, b, "--json")
      #expect(result.code == 0, "\(result.errors) \(result.output.prefix(800))")
      #expect(verdict(result) == "same-weights")
      #expect(result.json?["matching"]?.string == "meaning")
    }
  }

  @Test func `shared layers are equal to the same layers apart`() throws {
    let folder = try TemporaryFolder()
    let albert = Command.fixtures + "/b4k-albert/weights.h5"
    let made = try Command.run(
      "convert", albert, folder.file("untied.h5"), "--to", "bert4keras", "--apply", "untie",
      "--no-verify")
    #expect(made.code == 0, "\(made.errors)")
    let result = try Command.run("diff", albert, folder.file("untied.h5"), "--json")
    #expect(result.code == 0, "\(result.errors) \(result.output.prefix(800))")
    #expect(verdict(result) == "same-weights")
  }

  @Test func `a file is identical to itself, and to a folder that holds it`() throws {
    let result = try Command.run("diff", bert, bert)
    #expect(result.code == 0)
    #expect(result.output.contains("identical: the same 62 tensors"))
    let folders = try Command.run(
      "diff", Command.fixtures + "/hf-bert", Command.fixtures + "/hf-bert/model.safetensors",
      "--quiet")
    #expect(folders.code == 0)
    #expect(folders.output.split(separator: "\n").count == 1)
  }

  // MARK: Different

  @Test func `one value is named with its place and both values`() throws {
    let folder = try TemporaryFolder()
    let path = Command.fixtures + "/hf-bert/model.safetensors"
    var tensors = try Opening(path).checkpoint.tensors
    let index = try #require(tensors.firstIndex { $0.name.hasSuffix("pooler.dense.bias") })
    var values = try tensors[index].floats()
    let before = values[5]
    values[5] = 0.75
    tensors[index] = Tensor(name: tensors[index].name, shape: tensors[index].shape, values: values)
    try write(tensors, to: folder.file("changed.safetensors"))
    for by in [["--by", "name"], ["--config-b", Command.fixtures + "/hf-bert/config.json"]] {
      let result = try Command.run(
        Command.path, ["diff", path, folder.file("changed.safetensors")] + by)
      #expect(result.code == 1)
      #expect(result.output.contains("edited: 1 value of one tensor"), "\(result.output)")
      #expect(result.output.contains("at [5]: \(before) → 0.75"), "\(result.output)")
    }
    let tolerant = try Command.run(
      "diff", path, folder.file("changed.safetensors"), "--atol", "5", "--json")
    #expect(tolerant.code == 0)
    #expect(verdict(tolerant) == "within-tolerance")
  }

  @Test func `optimizer state of one is what it has more`() throws {
    let result = try Command.run(
      "diff", bert, Command.fixtures + "/b4k-bert/model_with_optimizer.h5", "--json")
    #expect(result.code == 1)
    #expect(verdict(result) == "subset")
    let more = try #require(result.json?["only_in_second"]?.array)
    #expect(more.count == 125)
    #expect(more.allSatisfy { $0["reason"]?.string == "optimizer state" })
  }

  @Test func `optimizer state is told from a counter of steps`() throws {
    let google = Command.fixtures + "/google/"
    let result = try Command.run("diff", google + "bert", google + "bert-adam", "--quiet")
    #expect(result.output.contains("61 only in B (optimizer state: 60, training state: 1)"))
  }

  @Test func `kept tokens are rows of the whole table`() throws {
    let folder = try TemporaryFolder()
    try folder.file("ids.txt", Array([0, 3, 9, 27, 81].map { "\($0)\n" }.joined().utf8))
    let made = try Command.run(
      "convert", bert, folder.file("small.h5"), "--to", "bert4keras", "--apply",
      "keep-tokens=\(folder.file("ids.txt"))", "--no-verify")
    #expect(made.code == 0, "\(made.errors)")
    let result = try Command.run("diff", bert, folder.file("small.h5"), "--json")
    #expect(result.code == 1)
    #expect(verdict(result) == "resized", "\(result.json?["summary"]?.string ?? result.errors)")
    let pairs = try #require(result.json?["pairs"]?.array)
    let rows = pairs.compactMap { $0["rows"] }.filter { $0 != .null }
    #expect(rows.count == 2)
    #expect(rows.allSatisfy { $0["kept"]?.int == 5 && $0["in_order"]?.bool == true })
  }

  @Test func `a configuration that says otherwise is said, and no equality`() throws {
    let result = try Command.run(
      "diff", Command.fixtures + "/hf-bert", Command.fixtures + "/hf-bert", "--set-b",
      "hidden_act=relu", "--json")
    #expect(result.code == 1)
    #expect(verdict(result) == "other-settings")
    #expect(
      result.json?["settings"]?.array?.first { $0["key"]?.string == "hidden_act" }?["second"]?
        .string
        == "relu")
  }

  @Test func `files that have nothing in common are said to`() throws {
    let folder = try TemporaryFolder()
    try write([random("a", [3, 4], seed: 1)], to: folder.file("a.safetensors"))
    try write([random("b", [5], seed: 2)], to: folder.file("b.safetensors"))
    try write([], to: folder.file("none.safetensors"))
    let files = ["a", "b", "none"].map { folder.file("\($0).safetensors") }
    #expect(verdict(try Command.run("diff", files[0], files[1], "--json")) == "disjoint")
    #expect(verdict(try Command.run("diff", files[0], files[2], "--json")) == "disjoint")
    #expect(verdict(try Command.run("diff", files[0], files[1], "--guess", "--json")) == "disjoint")
    let nothing = try Command.run("diff", files[2], files[2], "--json")
    #expect(nothing.code == 0)
    #expect(verdict(nothing) == "identical")
  }

  @Test func `what was rounded on the way to another dialect is said to be`() throws {
    let folder = try TemporaryFolder()
    let made = try Command.run(
      "convert", Command.fixtures + "/hf-bert-gelu-new", folder.file("b.gguf"), "--to", "gguf-bert",
      "--dtype", "f16", "--no-verify", "--allow-drop", "*")
    #expect(made.code == 0, "\(made.errors)")
    let result = try Command.run(
      "diff", Command.fixtures + "/hf-bert-gelu-new", folder.file("b.gguf"), "--json")
    #expect(result.code == 1)
    // Matrices are halves, and vectors are singles again.
    let pairs = try #require(result.json?["pairs"]?.array)
    for pair in pairs where pair["second"]?["dtype"]?.string == "f16" {
      #expect(pair["state"]?.string == "rounded", "\(pair)")
    }
    #expect(pairs.contains { $0["state"]?.string == "rounded" })
    #expect(pairs.allSatisfy { ($0["difference"]?["relative_norm"]?.double ?? 1) < 0x1p-11 })
  }

  // MARK: Asked for otherwise

  @Test func `meaning is refused with the reason where a model is not understood`() throws {
    let folder = try TemporaryFolder()
    try write([random("a", [3, 4], seed: 1)], to: folder.file("a.safetensors"))
    let result = try Command.run("diff", folder.file("a.safetensors"), bert, "--canonical")
    #expect(result.code == 2)
    #expect(result.errors.contains("no dialect"))
    #expect(try Command.run("diff", bert, bert, "--canonical", "--by", "name").code == 64)
    #expect(try Command.run("diff", bert, bert, "--atol", "-1").code == 64)
    #expect(try Command.run("diff", bert, folder.file("nowhere")).code == 2)
  }

  @Test func `globs choose by stored and canonical names`() throws {
    let copy = Command.fixtures + "/hf-bert"
    func count(_ globs: String...) throws -> Int? {
      let result = try Command.run(Command.path, ["diff", copy, copy, "--json", "--only"] + globs)
      #expect(result.code == 0, "\(result.errors)")
      return result.json?["pairs"]?.array?.count
    }
    #expect(try count("embeddings.*") == 5)
    #expect(try count("*.pooler.*") == 2)
    #expect(try count("*.pooler.*", "embeddings.token") == 3)
  }

  @Test func `the heads of BERT and ALBERT that judge two sentences belong together`() throws {
    let result = try Command.run(
      "diff", Command.fixtures + "/hf-bert", Command.fixtures + "/b4k-albert/weights.h5", "--json")
    let pairs = try #require(result.json?["pairs"]?.array)
    let head = pairs.first { $0["first"]?["canonical"]?.string == "nsp.kernel" }
    #expect(head?["second"]?["canonical"]?.string == "sop.kernel", "\(result.errors)")
  }

  @Test func `two that were rounded apart are not said to be trained on`() throws {
    let folder = try TemporaryFolder()
    let (half, blocks) = (folder.file("half.safetensors"), folder.file("blocks.gguf"))
    let source = Command.fixtures + "/tiny-albert/weights.h5"
    for (path, dtype) in [(half, "f16"), (blocks, "q8_0")] {
      let made = try Command.run("convert", source, path, "--dtype", dtype, "--no-verify")
      #expect(made.code == 0, "\(made.errors)")
    }
    for pair in [[half, blocks], [blocks, half]] {
      let result = try Command.run(Command.path, ["diff"] + pair + ["--json"])
      #expect(verdict(result) == "rounded" && result.code == 1, "\(result.errors)")
    }
  }

  @Test func `a table that one computes is said to be`() throws {
    let folder = try TemporaryFolder()
    let (nezha, google) = (Command.fixtures + "/b4k-nezha/weights.h5", folder.file("google"))
    let made = try Command.run(
      "convert", nezha, google, "--to", "google", "--format", "tf", "--no-verify")
    #expect(made.code == 0, "\(made.errors)")
    let result = try Command.run("diff", nezha, google)
    #expect(result.output.contains("is computed, not stored"), "\(result.output)")
    #expect(try Command.run("diff", nezha, google, "--atol", "1e-5").code == 0)
  }

  @Test func `globs that choose nothing are a mistake, not equality`() throws {
    let copy = Command.fixtures + "/hf-bert"
    for glob in ["nothing*", "", "["] {
      let result = try Command.run("diff", copy, copy, "--only", glob)
      #expect(result.code == 64, "\(result.output)")
      #expect(result.errors.contains("matches \"\(glob)\""), "\(result.errors)")
    }
  }

  // MARK: Put together

  @Test(arguments: [DType.f32, .f16, .bf16], [false, true])
  func `what was turned round, put together and rounded is found`(
    _ dtype: DType, _ isTurned: Bool
  ) throws {
    let folder = try TemporaryFolder()
    let (a, b) = (folder.file("a.safetensors"), folder.file("b.safetensors"))
    let parts = [14, 25, 3].map { random("part.\($0)", [$0, 12], seed: UInt64($0)) }
    let values = try parts.flatMap { try $0.floats() }
    try write(parts.map { isTurned ? $0.transposed() : $0 }, to: a)
    try write([Tensor(name: "all", shape: [42, 12], values: values).cast(to: dtype)], to: b)
    for paths in [[a, b], [b, a]] {
      let result = try Command.run(Command.path, ["diff"] + paths + ["--guess", "--json"])
      #expect(result.code == (dtype == .f32 ? 0 : 1), "\(result.errors)")
      let pairs = try #require(result.json?["pairs"]?.array)
      #expect(pairs.map { $0["piece"]?["start"]?.int } == [0, 14, 39])
      #expect(pairs.allSatisfy { $0["transposed"]?.bool == isTurned })
      #expect(pairs.allSatisfy { $0["state"]?.string == (dtype == .f32 ? "identical" : "rounded") })
    }
  }

  // MARK: Damaged and many

  @Test func `a damaged member is an error of its own, not a difference`() throws {
    let folder = try TemporaryFolder()
    // A bundle states a checksum of every tensor.
    let (good, bad) = (folder.file("good"), folder.file("bad"))
    let data = ".data-00000-of-00001"
    let tensors = [random("a", [300, 40], seed: 1), random("b", [9], seed: 2)]
    for path in [good, bad] { try write(tensors, to: path, "tf") }
    var bytes = try File.contents(of: bad + data)
    bytes[20_000] ^= 0x40
    try folder.file("bad" + data, bytes)
    for pair in [[good, bad], [bad, good]] {
      for options in [[], ["--guess"]] {
        let result = try Command.run(Command.path, ["diff"] + pair + options)
        #expect(result.code == 2, "\(result.output)")
        #expect(result.errors.contains("tensor a"), "\(result.errors)")
        #expect(result.errors.contains("checksum"), "\(result.errors)")
      }
    }
    try folder.file("bad" + data, Array(bytes.prefix(15_000)))
    #expect(try Command.run("diff", good, bad).code == 2)
  }

  @Test func `NaN everywhere and empty tensors have partners like others`() throws {
    let folder = try TemporaryFolder()
    let nan = Tensor(name: "nan", shape: [40, 30], values: [Float](repeating: .nan, count: 1200))
    let tensors = [nan, Tensor(name: "empty", shape: [0, 7], values: [])]
    try write(tensors, to: folder.file("a.safetensors"))
    try write(tensors.map { $0.renamed("x." + $0.name) }, to: folder.file("b.safetensors"))
    let result = try Command.run(
      "diff", folder.file("a.safetensors"), folder.file("b.safetensors"), "--guess")
    #expect(result.code == 0, "\(result.output) \(result.errors)")
    #expect(result.output.contains("1,200 values in both"))
  }

  @Test func `ten thousand tensors are told apart, renamed and shuffled`() throws {
    let folder = try TemporaryFolder()
    let tensors = (0..<10_000).map { random("t.\($0)", [4, 3], seed: UInt64($0 + 1)) }
    try write(tensors, to: folder.file("a.safetensors"))
    let renamed = tensors.enumerated().map { $1.renamed("r.\(($0 &* 7919) % 10_000)") }
    try write(renamed, to: folder.file("b.safetensors"))
    let result = try Command.run(
      "diff", folder.file("a.safetensors"), folder.file("b.safetensors"), "--guess", "--json")
    #expect(result.code == 0, "\(result.errors)")
    let pairs = try #require(result.json?["pairs"]?.array)
    #expect(pairs.count == 10_000)
    for pair in pairs {
      let number = pair["first"]?["name"]?.string.flatMap { Int($0.dropFirst(2)) } ?? -1
      #expect(pair["second"]?["name"]?.string == "r.\((number &* 7919) % 10_000)")
    }
  }

  @Test func `a table stored twice is a copy of what has its partner`() throws {
    let folder = try TemporaryFolder()
    let (table, bias) = (random("table", [50, 8], seed: 1), random("bias", [50], seed: 2))
    try write([table, bias], to: folder.file("a.safetensors"))
    try write(
      [table, bias, table.renamed("decoder"), random("new", [9, 8], seed: 3)],
      to: folder.file("b.safetensors"))
    let result = try Command.run(
      "diff", folder.file("a.safetensors"), folder.file("b.safetensors"), "--guess", "--json")
    #expect(result.code == 1)
    let alone = try #require(result.json?["only_in_second"]?.array)
    #expect(alone.map { $0["copy_of"]?.string } == ["table", nil])
  }

  @Test func `columns fit where there are few`() throws {
    let result = try Command.run(
      "diff", Command.fixtures + "/hf-bert", Command.fixtures + "/hf-bert-mlm", "--all")
    #expect(result.code == 1, "\(result.errors)")
    #expect(result.output.contains("A  "))
    #expect(!result.output.contains("\u{1b}["))
  }

  /// Names of Keras are longer than a line.
  @Test(arguments: [60, 80, 100]) func `lines fit the terminal`(columns: Int) throws {
    let folder = try TemporaryFolder()
    let source = Fixtures.path("tiny-albert", "weights.h5")
    var bytes = try File.contents(of: source)
    let tensors = try Opening(source).checkpoint.tensors
    let kernel = try #require(
      tensors.first { $0.name.contains("dense_2/kernel") }?.payload.slice)
    for number in 0..<128 * 128 { bytes[kernel.offset + 4 * number + 1] ^= 0x10 }
    let changed = try folder.file("changed.h5", bytes)
    let result = try Command.onTerminal(["diff", source, changed, "--no-color"], columns: columns)
    let lines = result.output.split(whereSeparator: \.isNewline).map(String.init)
    #expect(result.code == 1 && lines.contains { $0.hasPrefix("  largest") })
    // The paths of the sides are shown whole.
    #expect(
      lines.allSatisfy { $0.count <= columns || $0.contains(source) || $0.contains(changed) },
      "\(lines)")
  }
}
