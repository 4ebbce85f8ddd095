import Checkpoint
import Testing

/// The graph of layers in Keras' configurations: every version's way to write it, changes that keep it in
/// step, and what is refused.
@Suite struct KerasNetworkTests {
  static func layer(_ name: String, _ className: String, _ config: String, _ inbound: String)
    -> String
  {
    """
    {"class_name": "\(className)", "name": "\(name)", "config": {"name": "\(name)"\(config)}, \
    "inbound_nodes": \(inbound)}
    """
  }

  static let input = layer("x", "InputLayer", #", "batch_input_shape": [null, 4]"#, "[]")

  static func dense(_ name: String, units: Int = 3, from source: String) -> String {
    layer(name, "Dense", #", "units": \#(units), "activation": "tanh", "use_bias": true"#, source)
  }

  static func model(
    _ layers: [String], output: String = #"["d", 0, 0]"#, input: String = #"["x", 0, 0]"#
  ) -> String {
    """
    {"class_name": "Model", "config": {"name": "m", "layers": [\(layers.joined(separator: ", "))], \
    "input_layers": [\(input)], "output_layers": [\(output)]}}
    """
  }

  func network(_ text: String) throws -> KerasNetwork {
    try KerasNetwork(JSON(parsing: Array(text.utf8)))
  }

  func shapes(_ text: String) throws -> [String: String] {
    let network = try network(text)
    return Dictionary(
      network.shapes(network.statedInputs).values.map { ($0.key.name, $0.value.description) }
    ) { first, _ in first }
  }

  @Test func `references of Keras 2, keywords behind them`() throws {
    let text = Self.model([
      Self.input, Self.dense("a", from: #"[[["x", 0, 0, {"training": false}]]]"#),
      Self.dense("d", units: 5, from: #"[[["a", 0, 0, {}]]]"#),
    ])
    #expect(try shapes(text) == ["x": "(None, 4)", "a": "(None, 3)", "d": "(None, 5)"])
    #expect(try network(text)["a"]?.calls[0]["training"]?.constant == .bool(false))
  }

  @Test func `arguments of Keras 3`() throws {
    let tensor = #"{"class_name": "__keras_tensor__", "config": {"keras_history": ["x", 0, 0]}}"#
    let text = Self.model([
      Self.layer("x", "InputLayer", #", "batch_shape": [null, 4]"#, "[]"),
      Self.dense("d", from: #"[{"args": [\#(tensor)], "kwargs": {"mask": null}}]"#),
    ])
    #expect(try shapes(text)["d"] == "(None, 3)")
    #expect(try network(text).context.version == 3)
  }

  @Test func `a list of layers, with and without what stands around it`() throws {
    let layers = """
      [{"class_name": "Dense", "config": {"name": "a", "output_dim": 3, "batch_input_shape": [null, 4], \
      "init": "uniform", "bias": true}}, {"class_name": "Dense", "config": {"name": "b", "output_dim": 2}}]
      """
    for text in [
      #"{"class_name": "Sequential", "config": \#(layers)}"#,
      #"{"class_name": "Sequential", "config": {"name": "s", "layers": \#(layers)}}"#,
    ] {
      #expect(try shapes(text) == ["a_input": "(None, 4)", "a": "(None, 3)", "b": "(None, 2)"])
      #expect(try network(text).context.version == 1)
      let variables = try network(text).variables(network(text).statedInputs)
      #expect(variables.map(\.name) == ["a.kernel", "a.bias", "b.kernel", "b.bias"])
      #expect(
        variables.map(\.path) == [
          "layers/dense/vars/0", "layers/dense/vars/1", "layers/dense_1/vars/0",
          "layers/dense_1/vars/1",
        ])
    }
  }

  @Test func `a layer that is applied twice has the same variables once`() throws {
    let text = Self.model(
      [
        Self.input,
        Self.dense("d", units: 4, from: #"[[["x", 0, 0, {}]], [["d", 0, 0, {}]]]"#),
      ], output: #"["d", 0, 0], ["d", 1, 0]"#)
    #expect(try shapes(text)["d:1"] == "(None, 4)")
    #expect(try network(text).outputNames == ["d", "d_1"])
    #expect(try network(text).variables(network(text).statedInputs).count == 2)
  }

  @Test func `changes keep the document in step`() throws {
    let text = Self.model([
      Self.input, Self.dense("a", units: 4, from: #"[[["x", 0, 0, {}]]]"#),
      Self.layer("drop", "Dropout", #", "rate": 0.5"#, #"[[["a", 0, 0, {}]]]"#),
      Self.dense("d", from: #"[[["drop", 0, 0, {}]]]"#),
    ])
    var network = try network(text)
    #expect(try network.document == JSON(parsing: Array(text.utf8)), "as it was read")
    network.redirect(KerasTensor(layer: "drop"), to: KerasTensor(layer: "a"))
    network.remove("drop")
    network.set("units", .number(7), of: "d")
    try network.connect()
    let again = try KerasNetwork(network.document)
    #expect(again.layers.map(\.name) == ["x", "a", "d"])
    #expect(
      again.shapes(again.statedInputs).values[KerasTensor(layer: "d")]?.description == "(None, 7)")
    #expect(again["d"]?.calls[0].inputs == [KerasTensor(layer: "a")])
  }

  @Test func `an unknown class ends its branch and no other`() throws {
    let text = Self.model([
      Self.input, Self.dense("a", from: #"[[["x", 0, 0, {}]]]"#),
      Self.layer("odd", "MyOwn", #", "size": 3"#, #"[[["a", 0, 0, {}]]]"#),
      Self.dense("d", from: #"[[["odd", 0, 0, {}]]]"#),
      Self.dense("e", from: #"[[["a", 0, 0, {}]]]"#),
    ])
    let network = try network(text)
    let shapes = network.shapes(network.statedInputs)
    #expect(Set(shapes.values.keys.map(\.layer)) == ["x", "a", "e"])
    #expect(shapes.stops.map(\.layer) == ["odd"])
    #expect(shapes.stops.first?.error.reason.contains(#""size":3"#) ?? false)
  }

  /// What no model can be, the kind of the error, and a word that it must say.
  static let refused: [(text: String, kind: CheckpointError.Kind, word: String)] = [
    ("{}", .notRecognised, "class_name"),
    (#"{"class_name": "Model", "config": {}}"#, .unsupported, "own class"),
    (#"{"class_name": "Sequential", "config": {"layers": []}}"#, .unsupported, "no layers"),
    (#"{"class_name": "Sequential", "config": [1]}"#, .damaged, "class_name"),
    (model([input, dense("d", from: #"[[["y", 0, 0, {}]]]"#)]), .damaged, "\"y\""),
    (model([input, dense("d", from: #"[[["x", 3, 0, {}]]]"#)]), .damaged, "application 3"),
    (model([input, dense("d", from: #"[[["x", -1, 0, {}]]]"#)]), .damaged, "application -1"),
    (model([input, dense("d", from: #"[[["x", 0, -1, {}]]]"#)]), .damaged, "application 0"),
    (model([input, dense("d", from: #"[[["d", 0, 0, {}]]]"#)]), .damaged, "circle"),
    (
      model([
        input, dense("a", from: #"[[["d", 0, 0, {}]]]"#), dense("d", from: #"[[["a", 0, 0, {}]]]"#),
      ]), .damaged, "circle"
    ),
    (
      model([input, dense("d", from: #"[[["x", 0, 0, {}]]]"#), dense("d", from: "[]")]), .damaged,
      "two layers"
    ),
    (model([input], output: #"["nothing", 0, 0]"#), .damaged, "nothing"),
    (model([input], output: "7"), .damaged, "output_layers"),
    (model([input], input: #"["none", 0, 0]"#), .damaged, "none"),
    (model([input, dense("d", from: "[7]")]), .damaged, "inbound_nodes"),
    (
      #"{"class_name": "Sequential", "config": ["#
        + Array(repeating: #"{"class_name":"Dropout","config":{}}"#, count: 100_001)
        .joined(separator: ",") + "]}", .unsupported, "100001 layers"
    ),
  ]

  @Test(arguments: refused.indices) func `a graph that cannot be is refused`(_ index: Int) throws {
    let (text, kind, word) = Self.refused[index]
    do {
      _ = try network(text)
      Issue.record("was taken: \(text.prefix(200))")
    } catch let error as CheckpointError {
      #expect(error.kind == kind, "\(error)")
      #expect(error.description.contains(word), "\(error)")
    }
  }

  /// Configs of one Dense layer that are wrong, and the key that the message must name.
  static let wrong: [(config: String, word: String)] = [
    (#""units": 0"#, "units"), (#""units": -3"#, "units"), (#""units": 1e300"#, "units"),
    (#""units": "three""#, "units"), (#""units": 4294967296"#, "units"), (#""rate": 1"#, "units"),
    (#""units": 3, "activation": "glorp""#, "glorp"),
    (#""units": 3, "activation": {"class_name": "Odd", "config": {}}"#, "activation"),
    (#""units": 3, "use_bias": "maybe""#, "use_bias"),
  ]

  @Test(arguments: wrong.indices) func `a config that cannot be names its key`(_ index: Int) throws
  {
    let (config, word) = Self.wrong[index]
    let network = try network(
      Self.model([
        Self.input, Self.layer("d", "Dense", ", " + config, #"[[["x", 0, 0, {}]]]"#),
      ]))
    let stop = try #require(network.shapes(network.statedInputs).stops.first)
    #expect(stop.layer == "d")
    #expect(stop.error.description.contains("layer d"))
    #expect(stop.error.description.contains(word), "\(stop.error)")
  }

  @Test func `models that multiply each other are refused before they are run`() throws {
    // Every model applies the one inside it sixteen times: 16⁶ applications in a short text.
    var text = Self.model([Self.input, Self.dense("d", units: 4, from: #"[[["x", 0, 0, {}]]]"#)])
    for _ in 0..<6 {
      let config = text.dropFirst(#"{"class_name": "Model", "config": "#.count).dropLast()
      let calls = (0..<16).map { _ in #"[["x", 0, 0, {}]]"# }.joined(separator: ", ")
      text = Self.model([
        Self.input,
        #"{"class_name": "Model", "name": "d", "config": \#(config), "inbound_nodes": [\#(calls)]}"#,
      ])
    }
    do {
      let found = try network(text)
      // An inner model that is refused makes its layer unknown.
      #expect(
        found.shapes(found.statedInputs).stops.first?.error.reason.contains("1000000") ?? false)
    } catch let error as CheckpointError {
      #expect(error.reason.contains("1000000"))
    }
  }
}
