import Checkpoint
import Infer
import TestSupport
import Testing

/// Checkpoints of Google's names against what bert4keras, or Google's own arithmetic, computes.
@Suite struct GoogleOracleTests {
  struct Case: Sendable, CustomTestStringConvertible {
    var fixture: String
    var family: String
    /// What the computing library does otherwise than the names' own code.
    var settings: [(key: String, value: String)] = []
    /// Of the file with expected values, for a part of its own.
    var prefix = ""
    /// Where the table of distances is rounded once more, or once less.
    var judge = 1e-9
    /// The folder with inputs and expected values, where it is another.
    var values: String?

    var testDescription: String { fixture + (prefix.isEmpty ? "" : ", \(prefix)") }
  }

  private static let erf = [(key: "hidden_act", value: "gelu_erf")]
  private static let softmax = [(key: "head_output", value: "softmax")]
  private static let gated = [(key: "hidden_act", value: "gelu_erf,linear")]
  private static let bert4kerasT5 = [
    (key: "cross_position_bias", value: "true"), (key: "scale_decoder_outputs", value: "true"),
  ]

  static let cases = [
    Case(fixture: "bert", family: "bert", settings: erf + softmax),
    Case(fixture: "bert-adam", family: "bert"),
    Case(
      fixture: "albert", family: "albert",
      settings: erf + softmax + [(key: "block_norm_eps", value: "1e-7")]),
    Case(fixture: "albert-groups", family: "albert"),
    Case(fixture: "brightmart-albert", family: "albert_zh"),
    Case(fixture: "electra", family: "electra"),
    Case(fixture: "electra-both", family: "electra"),
    Case(
      fixture: "electra-both", family: "electra", settings: [(key: "part", value: "generator")],
      prefix: "generator."),
    Case(
      fixture: "nezha", family: "nezha",
      settings: erf + [
        (key: "embedding_norm_eps", value: "1e-7"), (key: "block_norm_eps", value: "1e-7"),
      ], judge: 1e-6),
    Case(fixture: "nezha-huawei", family: "nezha", judge: 1e-6),
    Case(fixture: "roformer", family: "roformer"),
    Case(fixture: "roformer_v2", family: "roformer_v2"),
    Case(fixture: "gpt", family: "gpt"),
    Case(fixture: "gpt2", family: "gpt2"),
    Case(fixture: "gpt2_ml", family: "gpt2_ml", settings: erf),
    Case(fixture: "t5", family: "t5", settings: bert4kerasT5),
    Case(fixture: "t5-slots", family: "t5", settings: bert4kerasT5, values: "t5"),
    Case(fixture: "t5.1.1", family: "t5", settings: bert4kerasT5 + gated),
    Case(fixture: "mt5.1.1", family: "mt5", settings: bert4kerasT5 + gated, values: "t5.1.1"),
  ]

  @Test(arguments: cases)
  func `every value agrees with the library`(_ test: Case) throws {
    var options = ModelReader.Options()
    options.settings = [(key: "padding", value: "token-zero")] + test.settings
    // NEZHA's and RoFormer's names are the same.
    if ["nezha", "roformer"].contains(test.fixture) { options.family = test.family }
    let model = try Opening(
      Fixtures.path("google", test.fixture, "bert_model.ckpt"), options: options
    ).model()
    #expect(model.architecture.family == test.family)
    #expect(model.dialect == "google")
    let runnable = try RunnableModel(model)
    let inputs = try TextInputs(
      named: Fixtures.arrays("google/\(test.values ?? test.fixture)", "inputs.npz", as: Float.self),
      padding: model.architecture.configuration.padding, for: runnable.graph)
    func expected(_ file: String) throws -> [String: NDArray<Double>] {
      let all = try Fixtures.arrays(
        "google/\(test.values ?? test.fixture)", file, as: Double.self)
      let generator = "generator."
      var own: [String: NDArray<Double>] = [:]
      for (name, value) in all where name.hasPrefix(generator) == !test.prefix.isEmpty {
        own[String(name.dropFirst(test.prefix.count))] = value
      }
      return own
    }
    try OracleTests.compare(
      runnable, inputs, expected("expected.npz"), expected("expected.f64.npz"), atLeast: 1,
      judge: test.judge)
  }
}
