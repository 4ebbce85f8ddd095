import Checkpoint
import Infer
import TestSupport
import Testing

/// The engine and the Float64 reference against the original libraries' numbers, at every layer.
@Suite struct OracleTests {
  /// A fixture, the mask it was run with, and what its configuration leaves unsaid.
  struct Case: Sendable, CustomTestStringConvertible {
    var fixture: String
    var file: String
    var mask: AttentionMaskKind = .bidirectional
    var settings: [(key: String, value: String)] = []
    /// The folder with inputs and expected values, where it is another.
    var folder: String?
    /// The file of values, when a folder has several.
    var values = "expected"
    var inputs = "inputs"

    var testDescription: String { "\(fixture)/\(file), \(values), \(mask)" }
    var stem: String { values + (mask == .bidirectional ? "" : ".\(mask.rawValue)") }
  }

  static let cases: [Case] =
    AttentionMaskKind.allCases.flatMap { mask in
      ["b4k-bert", "b4k-albert"].flatMap { fixture in
        ["weights.h5", "model.h5", "tf/best_model.weights"].map {
          Case(fixture: fixture, file: $0, mask: mask)
        }
      }
    } + [
      Case(fixture: "b4k-bert", file: "model_with_optimizer.h5"),
      Case(
        fixture: "b4k-bert-tanh", file: "weights.h5",
        settings: [(key: "hidden_act", value: "gelu_tanh")]),
      Case(fixture: "b4k-albert-relu", file: "weights.h5"),
      Case(fixture: "hf-bert", file: "model.safetensors"),
      Case(
        fixture: "hf-bert-sharded", file: "model.safetensors.index.json", folder: "hf-bert"),
      Case(fixture: "hf-bert-gelu-new", file: "model.safetensors"),
      Case(fixture: "hf-bert-mlm", file: "model.safetensors"),
      Case(fixture: "hf-bert-mlm", file: "model.safetensors", mask: .causal),
      Case(fixture: "hf-albert", file: "model.safetensors"),
      Case(fixture: "hf-albert-groups", file: "model.safetensors"),
      Case(fixture: "hf-albert-equal", file: "model.safetensors"),
      Case(fixture: "hf-bert-old", file: "pytorch_model.bin", folder: "hf-bert-tiny"),
    ] + transformers.map { Case(fixture: "hf-\($0)", file: "model.safetensors") }
    + tensorFlow.map { Case(fixture: "hf-tf-\($0.0)", file: "tf_model.h5", folder: "hf-\($0.1)") }
    + tops + bert4keras

  /// Families, classes and tasks of transformers.
  static let transformers = [
    "bert-tiny", "bert-nsp", "bert-token", "bert-sequence", "bert-qa", "albert-token",
    "albert-sequence", "albert-qa", "electra-discriminator", "electra-generator", "electra-equal",
    "electra-token", "electra-sequence", "electra-qa", "roformer", "roformer-rotary-value",
    "roformer-sequence", "roberta", "roberta-sequence", "distilbert", "distilbert-sequence",
    "distilbert-qa", "gpt", "gpt2", "t5", "t5-gated", "t5-encoder", "mt5",
  ]

  /// Files of its TensorFlow classes, and whose weights they have.
  static let tensorFlow = [
    ("bert", "bert-tiny"), ("albert", "albert"), ("electra", "electra-discriminator"),
    ("distilbert", "distilbert"), ("gpt2", "gpt2"), ("t5", "t5"), ("roberta", "roberta"),
    ("roformer", "roformer"),
  ]

  @Test(arguments: cases)
  func `every value agrees with the library`(_ test: Case) throws {
    var options = ModelReader.Options()
    options.settings = test.settings
    if test.file.contains("/") {
      options.configurationPath = Fixtures.path(test.fixture, "config.json")
    }
    let model = try Opening(Fixtures.path(test.fixture, test.file), options: options).model()
    // GPT's own mask is causal.
    let runnable = try RunnableModel(model, mask: test.mask == .bidirectional ? nil : test.mask)
    let folder = test.folder ?? test.fixture
    let given = try Fixtures.arrays(folder, "\(test.inputs).npz", as: Float.self)
    let isEncoder = test.values.hasPrefix("encoder")
    let inputs = try TextInputs(
      named: given.filter { !isEncoder || !$0.key.hasPrefix("Decoder") },
      padding: model.architecture.configuration.padding, for: runnable.graph)
    let expected = try Fixtures.arrays(folder, "\(test.stem).npz", as: Double.self)
    let exact = try Fixtures.arrays(folder, "\(test.stem).f64.npz", as: Double.self)

    try Self.compare(runnable, inputs, expected, exact, atLeast: 1)
  }

  /// - Parameters:
  ///   - count: values that there are at least.
  ///   - judge: how far the Float64 reference may be from the library's float64.
  static func compare(
    _ runnable: RunnableModel, _ inputs: TextInputs, _ expected: [String: NDArray<Double>],
    _ exact: [String: NDArray<Double>], atLeast count: Int, judge tolerance: Double = 1e-9
  ) throws {
    let known = Set(runnable.graph.valueNames + runnable.outputNames)
    // A layer's own name is an alias of its value.
    let aliases = Dictionary(runnable.frameworkNames.map { ($1, $0) }) { first, _ in first }
    func value(_ name: String) -> String { known.contains(name) ? name : aliases[name] ?? name }
    #expect(expected.keys.filter { !known.contains(value($0)) } == [])
    let names = expected.keys.map(value).sorted()
    #expect(names.count >= count)

    let values = try runnable.session(returning: names).run(inputs.arrays)
    let fused = try runnable.session(returning: runnable.outputNames).run(inputs.arrays)
    let judged = try runnable.reference(Double.self, inputs.arrays, returning: names)
    for stored in expected.keys.sorted() {
      let name = value(stored)
      let library = try #require(expected[stored])
      let truth = try #require(exact[stored])
      let value = try #require(values[name]).withoutSingleHead(like: library.shape)
      let judge = try #require(judged[name]).withoutSingleHead(like: library.shape)
      guard value.shape == library.shape else {
        Issue.record("\(name): \(value.shape) for \(library.shape)")
        continue
      }
      let own = Comparison(name, truth, library).relative  // the library's own rounding
      let engine = Comparison(name, library, value.converted(to: Double.self))
      #expect(engine.relative <= max(1e-5, 4 * own), "\(name): engine \(engine.relative)")
      let reference = Comparison(name, truth, judge)
      #expect(reference.relative <= tolerance, "\(name): Float64 \(reference.relative)")
      if let output = fused[name] {
        let relative = Comparison(name, library, output.converted(to: Double.self)).relative
        #expect(relative <= max(1e-5, 4 * own), "\(name): fused \(relative)")
      }
    }
  }
}

extension NDArray {
  /// A gated attention unit has one head, for which bert4keras has no axis.
  fileprivate func withoutSingleHead(like shape: [Int]) -> NDArray {
    self.shape.count == 4 && shape.count == 3 && self.shape[1] == 1
      ? NDArray(shape: [self.shape[0]] + self.shape[2...], values: values) : self
  }
}
