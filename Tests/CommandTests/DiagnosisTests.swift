import Checkpoint
import TestSupport
import Testing

/// `ckpt verify` names the known mistake that explains a difference.
@Suite struct DiagnosisTests {
  private static let bert = Command.fixtures + "/b4k-bert/weights.h5"

  /// A way to break a file: what becomes of a canonical weight's values, and what is said of it.
  struct Break: Sendable, CustomTestStringConvertible {
    var kind: String
    var subject: String
    /// The canonical weight whose values a canonical weight gets.
    var source: @Sendable (String) -> String = { $0 }
    var change: @Sendable (_ name: String, _ values: [Float], _ shape: [Int]) -> [Float] = {
      _, values, _ in values
    }

    var testDescription: String { kind }
  }

  static let breaks: [Break] = [
    Break(
      kind: "gamma-beta-swapped", subject: "mlm.norm",
      source: { name in
        guard name.hasSuffix(".norm.gamma") || name.hasSuffix(".norm.beta") else { return name }
        return name.hasSuffix("gamma")
          ? name.replacing(".gamma", with: ".beta") : name.replacing(".beta", with: ".gamma")
      }),
    Break(
      kind: "transposed", subject: "layers.*.attention.query.kernel",
      change: { name, values, shape in
        guard name.contains(".attention."), name.hasSuffix(".kernel") else { return values }
        return values.indices.map { values[($0 % shape[0]) * shape[1] + $0 / shape[0]] }
      }),
    Break(
      kind: "half-split", subject: "layers.*.attention.query.kernel",
      change: { name, values, _ in
        guard name.contains(".query.") || name.contains(".key.") else { return values }
        return DiagnosisTests.columns(values) { ($0 % 8) * 2 + $0 / 8 }
      }),
    Break(
      kind: "interleaved", subject: "layers.*.attention.query.bias",
      change: { name, values, _ in
        guard name.contains(".query.bias") || name.contains(".key.bias") else { return values }
        return DiagnosisTests.columns(values) { $0 / 2 + ($0 % 2) * 8 }
      }),
    Break(
      kind: "shifted-blocks", subject: "layers.*.attention.key.kernel",
      source: { name in
        guard name.hasPrefix("layers."), let layer = Int(name.dropFirst(7).prefix(1)) else {
          return name
        }
        return "layers.\((layer + 1) % 3)" + name.dropFirst(8)
      }),
    Break(
      kind: "scaled", subject: "mlm.bias",
      change: { name, values, _ in name == "mlm.bias" ? values.map { $0 * 1000 } : values }),
    Break(
      kind: "moved", subject: "layers.1.attention.query.bias",
      source: { name in
        switch name {
        case "layers.1.attention.query.bias": "layers.1.attention.key.bias"
        case "layers.1.attention.key.bias": "layers.1.attention.query.bias"
        default: name
        }
      }),
  ]

  /// Columns of each head (16 wide) in another order.
  private static func columns(_ values: [Float], _ place: (Int) -> Int) -> [Float] {
    values.indices.map { values[$0 - $0 % 16 + place($0 % 16)] }
  }

  @Test(arguments: breaks)
  func `a deliberately broken file is explained`(_ test: Break) throws {
    let folder = try TemporaryFolder()
    let bad = folder.file("bad.h5")
    try Self.write(bad, test)
    let config = Command.fixtures + "/b4k-bert/config.json"
    let result = try Command.run("verify", Self.bert, bad, "--config-b", config, "--json")
    #expect(result.code == 1, "\(result.errors)")
    let diagnosis = result.json?["diagnosis"]
    let causes = diagnosis?["causes"]?.array ?? []
    #expect(causes.contains { $0["kind"]?.string == test.kind }, "\(causes.map(\.compact))")
    #expect(
      causes.contains {
        $0["kind"]?.string == test.kind && $0["subject"]?.string?.contains(test.subject) ?? false
      }, "\(causes.map(\.compact))")
    #expect(diagnosis?["complete"] == .bool(true), "\(diagnosis?.compact ?? "none")")
    let text = try Command.run("verify", Self.bert, bad, "--config-b", config)
    #expect(text.output.contains("cause:"))
  }

  @Test(arguments: [
    ("hidden_act=gelu_tanh", "hidden_act"), ("layer_norm_eps=1e-5", "block_norm_eps"),
    ("block_norm_eps=1e-5", "block_norm_eps"), ("pooler_activation=relu", "pooler_activation"),
    ("mask=causal", "mask"),
  ])
  func `a configuration that explains the difference is named`(
    _ setting: String, _ key: String
  ) throws {
    let result = try Command.run("verify", Self.bert, Self.bert, "--set-b", setting, "--json")
    #expect(result.code == 1)
    let diagnosis = result.json?["diagnosis"]
    let causes = diagnosis?["causes"]?.array ?? []
    #expect(causes.contains { $0["subject"]?.string == key }, "\(causes.map(\.compact))")
    #expect(causes.allSatisfy { $0["kind"]?.string == "configuration" })
    #expect(diagnosis?["complete"] == .bool(true))
  }

  @Test func `a broken file and a wrong configuration are told apart`() throws {
    let folder = try TemporaryFolder()
    let bad = folder.file("bad.h5")
    try Self.write(bad, Self.breaks[0])
    let config = Command.fixtures + "/b4k-bert/config.json"
    let result = try Command.run(
      "verify", Self.bert, bad, "--config-b", config, "--set-b", "hidden_act=gelu_tanh", "--json")
    let diagnosis = result.json?["diagnosis"]
    let kinds = diagnosis?["causes"]?.array?.compactMap { $0["kind"]?.string } ?? []
    #expect(kinds == ["gamma-beta-swapped", "configuration"])
    #expect(diagnosis?["complete"] == .bool(true))
  }

  @Test func `what no known mistake explains is said so`() throws {
    let folder = try TemporaryFolder()
    let bad = folder.file("bad.h5")
    try Self.write(
      bad,
      Break(
        kind: "", subject: "",
        change: { name, values, _ in
          guard name == "layers.1.feed_forward.inner.bias" else { return values }
          return values.enumerated().map { $1 + Float($0 % 3) }
        }))
    let config = Command.fixtures + "/b4k-bert/config.json"
    let result = try Command.run("verify", Self.bert, bad, "--config-b", config, "--json")
    let diagnosis = result.json?["diagnosis"]
    #expect(diagnosis?["complete"] == .bool(false))
    #expect(diagnosis?["causes"]?.array == [])
    #expect(diagnosis?["unexplained"]?.array == [.string("layers.1.feed_forward.inner.bias")])
    let text = try Command.run("verify", Self.bert, bad, "--config-b", config)
    #expect(text.output.contains("no known mistake explains"))
  }

  @Test func `a CRF's learning-rate multiplier is recognised`() throws {
    let folder = try TemporaryFolder()
    let (good, bad) = (Command.fixtures + "/b4k-crf/weights.h5", folder.file("bad.h5"))
    var checkpoint = try Opening(good).checkpoint
    for group in checkpoint.groups.indices {
      for index in checkpoint.groups[group].tensors.indices
      where checkpoint.groups[group].tensors[index].name.hasSuffix("/trans:0") {
        let tensor = checkpoint.groups[group].tensors[index]
        checkpoint.groups[group].tensors[index] = Tensor(
          name: tensor.name, shape: tensor.shape, values: try tensor.floats().map { $0 * 1000 })
      }
    }
    let output = Output(overwrite: false, inputs: [])
    try KerasHDF5().write(checkpoint, to: bad, in: output, options: WriteOptions())
    try output.commit(durable: false)
    let config = Command.fixtures + "/b4k-crf/config.json"
    let result = try Command.run("verify", good, bad, "--config-b", config, "--json")
    #expect(result.code == 1, "\(result.errors)")
    let causes = result.json?["diagnosis"]?["causes"]?.array ?? []
    #expect(causes.map { $0["kind"]?.string } == ["scaled"])
    #expect(causes.first?["explanation"]?.string?.contains("1000 times") == true)
    #expect(causes.first?["hint"]?.string?.contains("lr_multiplier") == true)
    #expect(result.json?["diagnosis"]?["complete"] == .bool(true))
  }

  /// The fixture's file with its weights changed.
  private static func write(_ path: String, _ test: Break) throws {
    let opening = try Opening(bert)
    let model = try opening.model()
    var names: [String: String] = [:]
    for weight in model.weights { names[weight.sources[0]] = weight.name }
    var checkpoint = opening.checkpoint
    for group in checkpoint.groups.indices {
      for index in checkpoint.groups[group].tensors.indices {
        let tensor = checkpoint.groups[group].tensors[index]
        guard let name = names[tensor.name], let source = model[test.source(name)]?.tensor else {
          continue
        }
        checkpoint.groups[group].tensors[index] = Tensor(
          name: tensor.name, shape: tensor.shape,
          values: test.change(name, try source.floats(), tensor.shape.extents))
      }
    }
    let output = Output(overwrite: false, inputs: [])
    try KerasHDF5().write(checkpoint, to: path, in: output, options: WriteOptions())
    try output.commit(durable: false)
  }
}
