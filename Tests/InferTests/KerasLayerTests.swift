import Checkpoint
import Infer
import TestSupport
import Testing

/// Every class of layers as Keras 1.2.2, 2.15, 3 and keras_contrib compute it (fixtures/keras-layers), by
/// the engine and by the reference in Float64, from weights as the versions store them.
@Suite struct KerasLayerTests {
  /// A model of the fixture.
  struct Case: Sendable, CustomTestStringConvertible {
    let environment: String
    let json: JSON
    let weights: [Tensor]
    let inputs: [String: NDArray<Float>]
    let outputs: [NDArray<Float>]

    var name: String { json["name"]?.string ?? "" }
    var testDescription: String { "\(environment)/\(name)" }
    var version: String { ["keras1": "1.2.2", "keras3": "3.15.1"][environment] ?? "2.15.0" }

    func texts(_ key: String) -> [String] { (json[key]?.array ?? []).compactMap(\.string) }

    private var attributes: [Attribute] {
      [
        Attribute("model_config", text: json["model_config"]?.compact ?? ""),
        Attribute("keras_version", text: version),
      ] + (json["backend"]?.string.map { [Attribute("backend", text: $0)] } ?? [])
    }

    /// As `save_weights("x.weights.h5")` of Keras 3 has it, by paths; Keras 1 has no such files.
    var byPaths: Checkpoint? {
      guard json["stored"] != nil else { return nil }
      var seen: Set<String> = []
      let tensors = zip(texts("stored"), weights).map { $1.renamed($0) }
      return Checkpoint(
        groups: [Group(name: "", tensors: tensors.filter { seen.insert($0.name).inserted })],
        attributes: attributes)
    }

    /// As `save("x.h5")` has it: layer by layer.
    var byLayers: Checkpoint {
      let names = texts("weights")
      let groups = (json["saved"]?.members ?? []).map { member in
        Group(
          name: "model_weights/\(member.key)",
          tensors: (member.value.array ?? []).compactMap(\.int).map { number in
            weights[number].renamed("model_weights/\(member.key)/\(names[number])#\(number)")
          })
      }
      return Checkpoint(groups: groups, attributes: attributes)
    }
  }

  static let environments = ["keras1", "keras2", "keras3", "contrib", "cudnn"]

  static let cases: [Case] = environments.flatMap { environment -> [Case] in
    let folder = "keras-layers"
    guard
      let said = try? NPZ().read(Probe(Fixtures.path(folder, "\(environment).npz"))).tensors.first,
      let list = try? JSON(parsing: said.bytes()).array,
      let probe = try? Probe(Fixtures.path(folder, "\(environment).safetensors")),
      let tensors = try? Safetensors().read(probe).tensors
    else { return [] }
    let byName = Dictionary(tensors.map { ($0.name, $0) }) { first, _ in first }
    func array(_ name: String) -> NDArray<Float>? {
      byName[name].flatMap { tensor in
        (try? tensor.bytes()).map {
          NDArray(shape: tensor.shape.extents, values: Elements.decode($0, as: tensor.dtype))
        }
      }
    }
    return list.map { json in
      let name = json["name"]?.string ?? ""
      func count(_ key: String) -> Int { json[key]?.array?.count ?? 0 }
      return Case(
        environment: environment, json: json,
        weights: (0..<count("weights")).compactMap { byName["\(name)/weights/\($0)"] },
        inputs: Dictionary(
          (json["inputs"]?.array ?? []).compactMap(\.string).compactMap { input in
            array("\(name)/inputs/\(input)").map { (input, $0) }
          }
        ) { first, _ in first },
        outputs: (0..<count("outputs")).compactMap { array("\(name)/outputs/\($0)") })
    }
  }

  @Test func `there are cases of both versions`() {
    let counts = Self.environments.map { environment in
      Self.cases.count { $0.environment == environment }
    }
    #expect(counts == [20, 90, 89, 3, 2])
  }

  @Test(arguments: cases) func `computes what Keras computes`(_ example: Case) throws {
    // What the code of the case's Lambda layers does.
    let lambdas = ["mean": "mean", "twice": "scale=2", "unmasked": "identity"]
    let model = try KerasModel(example.byLayers, lambdas: lambdas)
    if let paths = example.byPaths {
      let stored = try KerasModel(paths, lambdas: lambdas)
      #expect(model.weights.map(\.name).sorted() == stored.weights.map(\.name).sorted())
      for weight in model.weights {
        let same = try stored[weight.name]?.tensor.hasBytes(of: weight.tensor)
        #expect(same == true, "\(weight.name) is found by its layer as by its path")
      }
    }
    let count = model.weights.reduce(0) { $0 + $1.tensor.shape.count }
    let summary = KerasSummary(model)
    #expect(summary.parameters == count)
    // Keras 1 does not write that alpha is shared: the stored 5 numbers are 15.
    let repeated = example.testDescription == "keras1/activations" ? 10 : 0
    #expect(count == example.weights.reduce(repeated) { $0 + $1.shape.count })
    try expect(model, example)
  }

  /// As the layer of another model, whose file lists the weights of all its layers in one group.
  @Test(arguments: cases.filter { $0.json["backend"]?.string == "theano" })
  func `older forms are found in inner models`(_ example: Case) throws {
    let inner = try #require(example.json["model_config"])
    let config = try #require(inner["config"])
    let inputs = config["input_layers"]?.array ?? []
    let outer = config["layers"]?.array?.filter { layer in
      inputs.contains { $0.array?.first == layer["name"] }
    }
    let layer = JSON.object([
      .init("name", .string("inner")), .init("class_name", .string("Model")),
      .init("config", config), .init("inbound_nodes", .array([.array(inputs)])),
    ])
    let outputs = example.outputs.indices.map {
      JSON.array([.string("inner"), .number(1), .number($0)])
    }
    let whole = JSON.object([
      .init("class_name", .string("Model")),
      .init(
        "config",
        .object([
          .init("name", .string("outer")), .init("layers", .array((outer ?? []) + [layer])),
          .init("input_layers", .array(inputs)), .init("output_layers", .array(outputs)),
        ])),
    ])
    let names = example.texts("weights")
    let group = Group(
      name: "model_weights/inner",
      tensors: zip(names, example.weights).map { $1.renamed("model_weights/inner/" + $0) })
    let checkpoint = Checkpoint(
      groups: [group],
      attributes: [
        Attribute("model_config", text: whole.compact), Attribute("backend", text: "theano"),
        Attribute("keras_version", text: example.version),
      ])
    try expect(try KerasModel(checkpoint), example)
  }

  private func expect(_ model: KerasModel, _ example: Case) throws {
    let inputs = try RunnableKeras.inputs(named: example.inputs, for: model.network)
    let runnable = try RunnableKeras(model, inputs: inputs.mapValues(\.shape))
    if let obstacle = runnable.obstacle {
      // Keras 2 writes an einsum without its operands; it could not load that model itself.
      guard example.testDescription == "keras2/tf_products",
        runnable.stops.allSatisfy({ $0.layer.hasPrefix("tf.einsum") })
      else { throw obstacle }
    }
    let names = runnable.outputNames
    let rounding = (example.json["rounding"]?.array ?? []).map { $0.double ?? 0 }
    let expectations = zip(model.network.outputNames, example.outputs).enumerated()
      .filter { names.contains($1.0) }
    try #require(names.count == expectations.count)
    try #require(names.count + runnable.stops.count == example.outputs.count)
    let got = try runnable.session(returning: names, threads: 2).run(inputs)
    let judged = try runnable.reference(Double.self, inputs, returning: names)
    for (index, (name, expected)) in expectations {
      let own = rounding.indices.contains(index) ? rounding[index] : 0
      #expect(got[name]?.shape == expected.shape, "\(name)")
      let error = difference(got[name], expected.converted(to: Double.self))
      let said = example.json["tolerance"]?[name]?.double ?? 0
      #expect(error <= max(1e-5, 4 * own, said), "\(name): \(error)")
      let judge = difference(
        judged[name]?.converted(to: Float.self), expected.converted(to: Double.self))
      #expect(judge <= max(2e-6, 2 * own, said), "\(name) in Float64: \(judge)")
    }
  }
}
