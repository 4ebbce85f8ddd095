import Checkpoint
import Infer
import TestSupport
import Testing

/// widen-key-size and narrow-key-size as a user runs them: written, read back, and run beside the source.
@Suite struct KeySizeCommandTests {
  private static let steps: [(fixture: String, steps: [String])] = [
    ("b4k-bert/weights.h5", ["widen-key-size=19"]),
    ("b4k-bert/weights.h5", ["widen-key-size=19", "narrow-key-size=16"]),
    ("b4k-bert-tanh/weights.h5", ["widen-key-size=52:fresh=zeros"]),
    ("b4k-albert/weights.h5", ["widen-key-size=13:noise=0.5"]),
    ("hf-albert", ["widen-key-size=9", "untie", "narrow-key-size=6"]),
    ("b4k-roformer", ["widen-key-size=20"]), ("b4k-roformer", ["widen-key-size=30:fresh=zeros"]),
    ("b4k-roformer-v2", ["widen-key-size=20"]), ("b4k-gau-alpha", ["widen-key-size=24"]),
    ("b4k-gau-alpha", ["widen-key-size=36:fresh=zeros"]),
    ("b4k-opt-roformer-positions", ["widen-key-size=12"]),
    ("b4k-gpt", ["widen-key-size=11"]), ("b4k-gpt2", ["widen-key-size=11"]),
    ("b4k-gpt2", ["widen-key-size=11", "narrow-key-size=10"]),
    ("b4k-gpt2-ml", ["widen-key-size=11"]), ("b4k-t5", ["widen-key-size=11"]),
    ("b4k-t5", ["narrow-key-size=9"]), ("hf-umt5", ["widen-key-size=4", "narrow-key-size=3"]),
    ("b4k-t5.1.1", ["widen-key-size=9", "narrow-key-size=7"]),
    ("b4k-electra", ["widen-key-size=12"]), ("b4k-simbert", ["widen-key-size=12"]),
    ("b4k-opt-sizes", ["widen-key-size=7"]),
    ("b4k-opt-sizes", ["widen-key-size=9", "narrow-key-size=6"]),
    ("b4k-opt-residual", ["widen-key-size=7"]), ("b4k-opt-talking-heads", ["widen-key-size=7"]),
    ("b4k-opt-conditional", ["widen-key-size=7"]), ("b4k-crf", ["widen-key-size=7"]),
    ("b4k-opt-shared-segments", ["widen-key-size=7"]),
    ("b4k-opt-hierarchical", ["widen-key-size=7", "narrow-key-size=6"]),
  ]

  private func convert(
    _ fixture: String, _ steps: [String], _ more: String...
  ) throws -> Command.Result {
    try Command.convert(Fixtures.path(fixture), steps: steps, more)
  }

  @Test(arguments: steps)
  func `the function stays`(_ fixture: String, _ steps: [String]) throws {
    let result = try convert(fixture, steps)
    #expect(result.code == 0, "\(result.errors)")
    let verification = result.json?["verification"]
    #expect(verification?["contract"]?.string == "rounding")
    #expect(["rounding", "identical"].contains(verification?["verdict"]?.string))
    #expect(verification?["first_float64_difference"] == .null)
  }

  @Test(arguments: ["f16", "bf16"])
  func `the judge goes by what was computed, not by what half precision made of it`(
    _ dtype: String
  ) throws {
    let folder = try TemporaryFolder()
    let half = folder.file("half")
    #expect(
      try Command.run(
        "convert", "\(Command.fixtures)/hf-bert", half, "--dtype", dtype, "--format", "safetensors"
      ).code == 0)
    let result = try Command.run(
      "convert", half, folder.file("out"), "--to", "google", "--format", "safetensors", "--json",
      "--apply", "widen-key-size=17", "--apply", "narrow-key-size=12")
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["verification"]?["verdict"]?.string == "rounding")
  }

  @Test func `what is narrowed reports each head's error`() throws {
    let result = try convert("b4k-t5", ["narrow-key-size=4"])
    #expect(result.code == 0, "\(result.errors)")
    #expect(result.json?["verification"]?["contract"]?.string == "lossy")
    let findings = try #require(result.json?["findings"]?.array)
    #expect(
      findings.contains { $0["subject"]?.string?.contains("cross_attention, head 1") == true })
    #expect(findings.allSatisfy { ($0["value"]?.double ?? 2) < 1 })
  }

  @Test func `bert4keras is told the size, others say why they cannot hold it`() throws {
    let folder = try TemporaryFolder()
    let there = try Command.run(
      "convert", "\(Command.fixtures)/hf-bert", folder.file("out.h5"), "--to", "bert4keras",
      "--apply",
      "widen-key-size=15")
    #expect(there.code == 0, "\(there.errors)")
    let configuration = try JSON(parsing: File.contents(of: folder.file("out.config.json")))
    #expect(configuration["attention_key_size"] == .number(15))
    for (fixture, word) in [
      ("hf-bert", "--to bert4keras"), ("hf-t5", "--to bert4keras"), ("hf-roberta", "no framework"),
    ] {
      let refused = try convert(fixture, ["widen-key-size=15"])
      #expect(refused.code == 2)
      #expect(refused.errors.contains(word), "\(refused.errors)")
    }
    let gguf = try convert("hf-bert", ["widen-key-size=15"], "--to", "gguf-bert")
    #expect(gguf.code == 2)
  }

  /// bert4keras' own `autoresize_weights` on the same models (`fixtures/generate_autoresize.py`).
  @Test(arguments: [
    ("bert", 16, true), ("bert", 12, false), ("zero-biases", 16, false), ("roformer", 16, false),
  ])
  func `widening keeps what bert4keras' autoresize_weights keeps only at times`(
    _ name: String, _ size: Int, _ keeps: Bool
  ) throws {
    let folder = try TemporaryFolder()
    let result = try Command.run(
      "convert", Fixtures.path("b4k-autoresize", "\(name).h5"), folder.file("wide.h5"), "--apply",
      "widen-key-size=\(size)")
    #expect(result.code == 0, "\(result.errors)")
    var arrays: [String: NDArray<Float>] = [:]
    for tensor in try NPZ().read(Probe(Fixtures.path("b4k-autoresize", "\(name).npz"))).tensors {
      arrays[tensor.name] = NDArray(shape: tensor.shape.extents, values: try tensor.floats())
    }
    let original = try #require(arrays["original"])
    let theirs = try #require(arrays["resized.\(size)"])
    arrays = arrays.filter { $0.key.hasPrefix("Input-") }

    let model = try Opening(folder.file("wide.h5")).model()
    #expect(model.architecture.configuration.keySize == size)
    let runnable = try RunnableModel(model)
    let inputs = try TextInputs(
      named: arrays, padding: model.architecture.configuration.padding, for: runnable.graph)
    let output = "last_hidden_state"
    let engine = try #require(
      try runnable.session(returning: [output]).run(inputs.arrays)[output])
    let judge = try #require(
      try runnable.reference(Double.self, inputs.arrays, returning: [output])[output])
    #expect(Comparison(output, original, engine).relative < 1e-5)
    #expect(Comparison(output, original.converted(to: Double.self), judge).relative < 1e-5)
    let relative = Comparison(output, original, theirs).relative
    // Not a number, where the norm of zero biases is divided by.
    #expect(keeps ? relative < 1e-5 : !(relative < 0.1))
  }
}
