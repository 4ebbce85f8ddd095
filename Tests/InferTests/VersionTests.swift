import Checkpoint
import Infer
import TestSupport
import Testing

/// What older releases of bert4keras saved and computed.
@Suite struct VersionTests {
  /// A file, the release whose numbers are expected, and what is said of it.
  struct Case: Sendable, CustomTestStringConvertible {
    var file: String
    var values: String
    var settings: [String: String] = [:]

    init(_ file: String, values: String? = nil, _ settings: [String: String] = [:]) {
      self.file = file
      self.values = values ?? file
      self.settings = settings
    }

    var testDescription: String { "\(file) as \(values)" }
  }

  static let older = ["bert4keras_version": "0.11.3"]
  static let cases =
    [
      "0.2.0-albert", "0.5.1", "0.5.1-albert", "0.5.1-nezha", "0.5.4", "0.7.2", "0.10.9",
      "0.11.0-t5",
    ].map { Case($0) }
    + ["albert", "nezha", "roformer"].flatMap { family in
      [
        Case("0.11.3-\(family)", older),
        Case("0.11.3-\(family)", values: "0.11.5-\(family)"),
      ]
    }

  private func model(_ test: Case) throws -> Model {
    var options = ModelReader.Options()
    options.configurationPath = Fixtures.path("b4k-versions", "b4k-\(test.file).json")
    options.settings = test.settings.map { ($0.key, $0.value) }
    return try Opening(
      Fixtures.path("b4k-versions", "b4k-\(test.file).h5"), options: options
    ).model()
  }

  @Test(arguments: cases)
  func `an older release's outputs are computed`(_ test: Case) throws {
    let model = try model(test)
    let runnable = try RunnableModel(model)
    let name = "b4k-\(test.values)"
    var arrays = try Fixtures.arrays("b4k-versions", "\(name).npz", as: Float.self)
    let truth = try Fixtures.arrays("b4k-versions", "\(name).f64.npz", as: Double.self)
    let mask = arrays.removeValue(forKey: "mask")
    let given = arrays.filter { $0.key.contains("Input-") }
    let inputs = try TextInputs(
      named: given, padding: model.architecture.configuration.padding, for: runnable.graph)
    let judged = try runnable.reference(
      Double.self, inputs.arrays, returning: truth.keys.sorted())
    for (name, expected) in truth {
      let found = try #require(judged[name])
      #expect(found.shape == expected.shape, "\(name)")
      // What stands at padded positions changed between releases, and nothing looks there.
      let width = expected.values.count / max(mask?.values.count ?? 1, 1)
      let isSequence = expected.shape.count == 3 && mask?.shape == Array(expected.shape.prefix(2))
      let largest = expected.values.map(abs).max() ?? 1
      for index in expected.values.indices
      where !isSequence || mask?.values[index / width] != 0 {
        let difference = abs(found.values[index] - expected.values[index]) / largest
        guard difference > 1e-9 else { continue }
        Issue.record("\(name)[\(index)]: \(difference)")
        break
      }
    }
  }

  @Test func `what is assumed of the release is said, and --set decides`() throws {
    let assumed = try model(Case("0.11.3-nezha"))
    #expect(
      assumed.warnings.contains {
        $0.contains("epsilons of 0.11.4 and later are assumed")
          && $0.contains("--set bert4keras_version=0.11.3")
      }, "\(assumed.warnings)")
    #expect(assumed.architecture.configuration.blockNormEpsilon == 1e-7)
    let said = try model(Case("0.11.3-nezha", VersionTests.older))
    #expect(said.warnings == [])
    #expect(said.architecture.configuration.blockNormEpsilon == 1e-12)
    let old = try model(Case("0.5.1-nezha"))
    #expect(old.warnings == [])
    #expect(old.architecture.configuration.blockNormEpsilon == 1e-14)
    let wrong = try model(Case("0.10.9", ["bert4keras_version": "0.11.5"]))
    #expect(wrong.warnings.contains { $0.contains("from 0.7.3 to before 0.11.0") })
    #expect(throws: CheckpointError.self) {
      try model(Case("0.10.9", ["bert4keras_version": "new"]))
    }
  }
}
