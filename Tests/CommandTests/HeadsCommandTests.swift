import Checkpoint
import Infer
import TestSupport
import Testing

/// Steps on attention heads, as a user runs them.
@Suite struct HeadsCommandTests {
  private func verdict(_ result: Command.Result) -> String? {
    result.json?["verification"]?["verdict"]?.string
  }

  /// Converts with steps and returns where the result is, and the command's JSON.
  private func apply(
    _ steps: [String], to source: String, in folder: TemporaryFolder, as name: String,
    _ more: String...
  ) throws -> (path: String, result: Command.Result) {
    let path = folder.file(name)
    return (path, try Command.convert(source, to: path, steps: steps, more))
  }

  static let sources = [
    "b4k-bert", "b4k-albert", "b4k-nezha", "b4k-roformer", "b4k-gpt2-ml", "b4k-t5", "b4k-opt-sizes",
    "b4k-opt-residual",
  ]

  @Test(arguments: sources)
  func `the identity between heads changes no bit, there and back`(_ name: String) throws {
    let folder = try TemporaryFolder()
    let source = Fixtures.path(name, "weights.h5")
    let there = try apply(["talking-heads"], to: source, in: folder, as: "there.h5")
    #expect(there.result.code == 0, "\(there.result.errors)")
    #expect(verdict(there.result) == "identical")
    let back = try apply(["flatten-talking-heads"], to: there.path, in: folder, as: "back.h5")
    #expect(back.result.code == 0, "\(back.result.errors)")
    #expect(verdict(back.result) == "identical")
    let hashes = try [source, back.path].map {
      try Command.run("hash", $0).output.prefix { $0 != " " }
    }
    #expect(hashes[0] == hashes[1])
  }

  @Test(arguments: [
    ("b4k-bert", "weights.h5"), ("b4k-albert", "weights.h5"), ("b4k-nezha", "weights.h5"),
    ("b4k-gpt2", "weights.h5"), ("b4k-opt-sizes", "weights.h5"),
    ("b4k-t5-no-cross-bias", "weights.h5"),
  ])
  func `mixed heads are flattened to rounding`(_ name: String, _ file: String) throws {
    let folder = try TemporaryFolder()
    let mixed = try apply(
      ["talking-heads:noise=0.4:seed=3"], to: Fixtures.path(name, file), in: folder,
      as: "mixed.h5")
    #expect(mixed.result.code == 0, "\(mixed.result.errors)")
    let flat = try apply(["flatten-talking-heads"], to: mixed.path, in: folder, as: "flat.h5")
    #expect(flat.result.code == 0, "\(flat.result.errors)")
    #expect(verdict(flat.result) == "rounding")
  }

  @Test func `a T5 of mixed heads becomes a UMT5`() throws {
    let folder = try TemporaryFolder()
    let mixed = try apply(
      ["talking-heads:noise=0.4"], to: Fixtures.path("b4k-t5", "weights.h5"), in: folder,
      as: "mixed.h5", "--set", "cross_position_bias=false")
    #expect(mixed.result.code == 0, "\(mixed.result.errors)")
    let flat = try apply(
      ["flatten-talking-heads"], to: mixed.path, in: folder, as: "flat", "--to", "huggingface")
    #expect(flat.result.code == 0, "\(flat.result.errors)")
    #expect(verdict(flat.result) == "rounding")
    #expect(flat.result.json?["loads_as"]?.string?.hasPrefix("UMT5For") == true)
  }

  @Test func `flattened, a user's talking heads compute what bert4keras computed`() throws {
    let folder = try TemporaryFolder()
    let name = "b4k-opt-talking-heads"
    let flat = try apply(
      ["flatten-talking-heads"], to: Fixtures.path(name, "weights.h5"), in: folder, as: "flat.h5")
    #expect(verdict(flat.result) == "rounding", "\(flat.result.errors)")
    let values = try run(Opening(flat.path).model(), name)
    let expected = try arrays(name, "expected.npz")
    let attention = "layers.0.attention"
    for (ours, theirs) in [
      ("\(attention).scores", "\(attention).pre_softmax"),
      ("\(attention).weights", "\(attention).weights"),
      ("\(attention).output", "\(attention).output"), ("last_hidden_state", "last_hidden_state"),
    ] {
      let comparison = Comparison(
        ours, try #require(expected[theirs]), try #require(values[ours]))
      #expect(comparison.relative < 1e-5, "\(ours): \(comparison.relative)")
    }
  }

  @Test(arguments: [
    ("b4k-bert/weights.h5", "*.1"), ("b4k-albert/weights.h5", "0.0"),
    ("b4k-bert/weights.h5", "0.1"), ("b4k-nezha/weights.h5", "0.1,1.0,1.1"),
    ("b4k-opt-residual/weights.h5", "0.0"), ("hf-gpt2/model.safetensors", "0.0,0.1"),
    ("b4k-nezha/weights.h5", "0.1,1.0"), ("b4k-roformer/weights.h5", "*.0"),
    ("b4k-t5/weights.h5", "*.1"), ("b4k-opt-residual/weights.h5", "*.0"),
    ("hf-t5-gated/model.safetensors", "*.0,*.2"), ("hf-umt5/model.safetensors", "*.1"),
  ])
  func `without heads a model computes what zeros in their output rows do`(
    _ source: String, _ list: String
  ) throws {
    let folder = try TemporaryFolder()
    let fixture = String(source.prefix { $0 != "/" })
    let path = Fixtures.path(source)
    let file = source.hasPrefix("hf") ? "pruned" : "pruned.h5"
    let pruned = try apply(["prune-heads=\(list)"], to: path, in: folder, as: file)
    #expect(pruned.result.code == 0, "\(pruned.result.errors)")
    var zeroed = try Opening(path).model()
    let c = zeroed.architecture.configuration
    let rules = list.split(separator: ",").map { $0.split(separator: ".") }
    for (index, attention) in zeroed.architecture.storedAttentions.enumerated() {
      let gone = rules.filter { $0[0] == "*" || Int($0[0]) == index }.compactMap { Int($0[1]) }
      let name = "\(attention).output.kernel"
      let place = try #require(zeroed.weights.firstIndex { $0.name == name })
      var values = try zeroed.weights[place].tensor.floats()
      let size = c.headSize * c.hiddenSize
      for head in gone {
        values.replaceSubrange(
          (head * size)..<((head + 1) * size), with: repeatElement(0, count: size))
      }
      zeroed.weights[place].tensor = Tensor(
        name: name, shape: zeroed.weights[place].tensor.shape, values: values)
    }
    let expected = try reference(zeroed, fixture)
    let values = try reference(Opening(pruned.path).model(), fixture)
    let names = expected.keys.filter {
      $0.hasSuffix("_logits") || $0.hasSuffix("_state") || $0.hasSuffix("_output")
    }
    #expect(!names.isEmpty)
    for name in names {
      let comparison = Comparison(
        name, try #require(expected[name]), try #require(values[name]))
      #expect(comparison.relative < 1e-12, "\(name): \(comparison.relative)")
    }
  }

  // MARK: Running

  private func arrays(_ fixture: String, _ file: String) throws -> [String: NDArray<Float>] {
    var arrays: [String: NDArray<Float>] = [:]
    for tensor in try Opening(Fixtures.path(fixture, file)).checkpoint.tensors {
      arrays[tensor.name] = NDArray(shape: tensor.shape.extents, values: try tensor.floats())
    }
    return arrays
  }

  private func inputs(_ runnable: RunnableModel, _ fixture: String) throws -> TextInputs {
    try TextInputs(
      named: arrays(fixture, "inputs.npz"),
      padding: runnable.architecture.configuration.padding, for: runnable.graph)
  }

  private func run(_ model: Model, _ fixture: String) throws -> [String: NDArray<Float>] {
    let runnable = try RunnableModel(model)
    return try runnable.session(returning: runnable.graph.valueNames + runnable.outputNames)
      .run(inputs(runnable, fixture).arrays)
  }

  private func reference(_ model: Model, _ fixture: String) throws -> [String: NDArray<Double>] {
    let runnable = try RunnableModel(model)
    return try runnable.reference(
      Double.self, inputs(runnable, fixture).arrays, returning: runnable.outputNames)
  }
}
