import Checkpoint
import Infer
import TestSupport
import Testing

/// keras-bert's files: one array file holds inputs and what the library computed.
@Suite struct KerasBERTTests {
  @Test(arguments: [("keras-bert-0.80.0", "gelu_erf"), ("keras-bert-0.89.0", "gelu_tanh")])
  func `outputs agree with the library`(_ fixture: String, _ activation: String) throws {
    let model = try open(fixture, [("hidden_act", activation)])
    #expect(model.dialect == "keras-bert")
    #expect(model.architecture.heads == [.pooler, .nsp, .mlm])
    let runnable = try RunnableModel(model)
    let stored = try Fixtures.arrays("b4k-versions", "\(fixture).npz", as: Float.self)
    let exact = try Fixtures.arrays("b4k-versions", "\(fixture).f64.npz", as: Double.self)
    let inputs = try TextInputs(
      named: stored.filter { $0.key.hasPrefix("Input-") },
      padding: model.architecture.configuration.padding, for: runnable.graph)
    let names = stored.keys.filter { !$0.hasPrefix("Input-") && $0 != "mask" }.sorted()
    #expect(Set(names) == Set(runnable.outputNames))
    let values = try runnable.session(returning: names).run(inputs.arrays)
    let judged = try runnable.reference(Double.self, inputs.arrays, returning: names)
    #expect(exact.count >= 4)
    for name in names {
      let library = try #require(stored[name]).converted(to: Double.self)
      guard let truth = exact[name] else { continue }  // probabilities follow from logits
      let own = Comparison(name, truth, library).relative
      let engine = Comparison(name, library, try #require(values[name]).converted(to: Double.self))
      #expect(engine.relative <= max(1e-5, 4 * own), "\(name): engine \(engine.relative)")
      // To 0.43.0, keras-self-attention adds 1e-7 to the sum of its weights.
      let bound = fixture.hasSuffix("0.80.0") ? 1e-6 : 1e-9
      let reference = Comparison(name, truth, try #require(judged[name]))
      #expect(reference.relative <= bound, "\(name): Float64 \(reference.relative)")
    }
  }

  @Test func `which gelu is asked for`() throws {
    let model = try open("keras-bert-0.89.0", [])
    #expect(model.architecture.configuration.activation == .geluTanh)
    #expect(model.warnings.contains { $0.contains("hidden_act=gelu_erf") })
  }

  @Test func `adapters are refused by name`() throws {
    let error = try #require(throws: CheckpointError.self) {
      try open("keras-bert-0.80.0-adapter", [])
    }
    #expect(error.kind == .unsupported)
    #expect(error.description.contains("-Adapter"))
  }

  private func open(_ fixture: String, _ settings: [(String, String)]) throws -> Model {
    var options = ModelReader.Options()
    options.configurationPath = Fixtures.path("b4k-versions", "\(fixture).json")
    options.settings = settings
    return try Opening(Fixtures.path("b4k-versions", "\(fixture).h5"), options: options).model()
  }
}
