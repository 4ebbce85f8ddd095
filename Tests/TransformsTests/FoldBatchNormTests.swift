import Checkpoint
import Testing
import Transforms

@Suite struct FoldBatchNormTests {
  private func layer(
    _ name: String, _ className: String, _ config: String, from sources: [String] = []
  ) -> String {
    let nodes =
      sources.isEmpty
      ? "[]" : "[[" + sources.map { #"["\#($0)", 0, 0, {}]"# }.joined(separator: ", ") + "]]"
    return """
      {"class_name": "\(className)", "name": "\(name)", "config": {"name": "\(name)"\(config)}, \
      "inbound_nodes": \(nodes)}
      """
  }

  private func model(
    _ layers: [String], outputs: [String], _ weights: [(String, Shape, [Float])]
  ) throws -> KerasModel {
    let ends = outputs.map { #"["\#($0)", 0, 0]"# }.joined(separator: ", ")
    let text = """
      {"class_name": "Functional", "config": {"name": "m", "layers": [\(layers.joined(separator: ", "))], \
      "input_layers": [["x", 0, 0]], "output_layers": [\(ends)]}}
      """
    return KerasModel(
      network: try KerasNetwork(JSON(parsing: Array(text.utf8))),
      weights: weights.map { name, shape, values in
        Weight(name, Tensor(name: name, shape: shape, values: values), sources: [name])
      })
  }

  private let x = #", "batch_input_shape": [null, 2]"#
  /// s = γ/√(σ² + ε) = (1, −3), t = β − μ·s = (5 − 3·1, 7 + 1·−3·−1…) with the numbers below.
  private let norm: [(String, Shape, [Float])] = [
    ("n.gamma", [2], [2, -3]), ("n.beta", [2], [5, 7]), ("n.moving_mean", [2], [3, 1]),
    ("n.moving_variance", [2], [3, 0]),
  ]

  private func fold(_ model: KerasModel) throws -> KerasChange {
    try FoldBatchNorm().apply(to: model, TransformArguments("fold-batchnorm"))
  }

  private func numbers(_ change: KerasChange, _ name: String) throws -> [Double] {
    try #require(change.model[name]).tensor.doubles()
  }

  private func classes(_ change: KerasChange) -> [String] {
    (change.model.network.document["config"]?["layers"]?.array ?? []).compactMap {
      $0["class_name"]?.string
    }
  }

  private func normLayer(from source: String) -> String {
    // ε = 1: √(3 + 1) = 2 and √(0 + 1) = 1, so s = (1, −3) and t = (5 − 3, 7 + 3) = (2, 10).
    layer(
      "n", "BatchNormalization", #", "axis": [1], "epsilon": 1.0, "scale": true, "center": true"#,
      from: [source])
  }

  @Test func `into the layer before: columns and a bias that it gets`() throws {
    let model = try model(
      [
        layer("x", "InputLayer", x),
        layer(
          "d", "Dense", #", "units": 2, "activation": "linear", "use_bias": false"#, from: ["x"]),
        normLayer(from: "d"),
        layer("e", "Activation", #", "activation": "tanh""#, from: ["n"]),
      ], outputs: ["e"], [("d.kernel", [2, 2], [1, 2, 3, 4])] + norm)
    let change = try fold(model)
    #expect(try numbers(change, "d.kernel") == [1, -6, 3, -12])
    #expect(try numbers(change, "d.bias") == [2, 10])
    #expect(change.model.weights.map(\.name) == ["d.kernel", "d.bias"])
    #expect(classes(change) == ["InputLayer", "Dense", "Activation"])
    #expect(change.model.network["d"]?.config.json["use_bias"] == .bool(true))
    #expect(change.model.network.document.compact.contains(#"[[["d",0,0,{}]]]"#))
    // What the normalization gave is the layer's value now; what the layer gave is gone.
    #expect(change.correspondence.name(of: "n") == "d")
    #expect(change.correspondence.name(of: "d") == nil)
    #expect(change.correspondence.name(of: "e") == "e")
    #expect(change.correspondence.contract == .rounding)
  }

  @Test func `into the layer after: rows, and what the shift adds`() throws {
    let model = try model(
      [
        layer("x", "InputLayer", x), normLayer(from: "x"),
        layer("d", "Dense", #", "units": 2, "activation": "tanh", "use_bias": true"#, from: ["n"]),
      ], outputs: ["d"],
      norm + [("d.kernel", [2, 2], [1, 2, 3, 4]), ("d.bias", [2], [0.5, 0.25])])
    let change = try fold(model)
    #expect(try numbers(change, "d.kernel") == [1, 2, -9, -12])
    // (2, 10) · [[1, 2], [3, 4]] + (0.5, 0.25).
    #expect(try numbers(change, "d.bias") == [32.5, 44.25])
    #expect(classes(change) == ["InputLayer", "Dense"])
    #expect(change.correspondence.name(of: "n") == nil)
    #expect(change.correspondence.name(of: "d") == "d")
  }

  @Test func `an output keeps its name`() throws {
    let model = try model(
      [
        layer("x", "InputLayer", x),
        layer(
          "d", "Dense", #", "units": 2, "activation": "linear", "use_bias": true"#, from: ["x"]),
        normLayer(from: "d"),
      ], outputs: ["n"],
      [("d.kernel", [2, 2], [1, 2, 3, 4]), ("d.bias", [2], [1, 1])] + norm)
    let change = try fold(model)
    #expect(classes(change) == ["InputLayer", "Dense", "Activation"])
    #expect(change.model.network.outputNames == ["n"])
    #expect(try numbers(change, "d.bias") == [3, 7])
    #expect(change.correspondence.name(of: "n") == "n")
  }

  @Test func `what cannot be folded says why, and stays`() throws {
    let model = try model(
      [
        layer("x", "InputLayer", x),
        layer("d", "Dense", #", "units": 2, "activation": "relu", "use_bias": false"#, from: ["x"]),
        normLayer(from: "d"),
        layer("e", "Activation", #", "activation": "tanh""#, from: ["n"]),
      ], outputs: ["e"], [("d.kernel", [2, 2], [1, 2, 3, 4])] + norm)
    let change = try fold(model)
    #expect(change.model.network.document == model.network.document)
    #expect(change.correspondence.contract == .exact)
    #expect(
      change.remarks.contains {
        $0.contains("n stays") && $0.contains("relu") && $0.contains("Activation")
      }, "\(change.remarks)")
  }

  @Test func `a branch beside it forbids the layer before`() throws {
    let model = try model(
      [
        layer("x", "InputLayer", x),
        layer(
          "d", "Dense", #", "units": 2, "activation": "linear", "use_bias": false"#, from: ["x"]),
        normLayer(from: "d"),
        layer("e", "Activation", #", "activation": "tanh""#, from: ["d"]),
      ], outputs: ["n", "e"], [("d.kernel", [2, 2], [1, 2, 3, 4])] + norm)
    let remarks = try fold(model).remarks
    #expect(remarks.contains { $0.contains("also taken by e") }, "\(remarks)")
  }

  @Test func `a graph without any is refused`() throws {
    let model = try model(
      [
        layer("x", "InputLayer", x),
        layer("e", "Activation", #", "activation": "tanh""#, from: ["x"]),
      ],
      outputs: ["e"], [])
    #expect(throws: CheckpointError.self) { try fold(model) }
  }
}
