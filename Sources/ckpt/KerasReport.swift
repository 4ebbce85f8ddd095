import Checkpoint

/// What `info` tells of a Keras graph: the table that Keras' `summary()` prints, and the same as JSON.
struct KerasReport {
  let model: KerasModel
  let summary: KerasSummary

  init(_ model: KerasModel) {
    self.model = model
    summary = KerasSummary(model)
  }

  private var network: KerasNetwork { model.network }

  /// In one line.
  var title: String { "\(form) of \(Text.plural(layerCount, "layer"))" }

  private var form: String {
    network.form == .sequential ? "Keras sequential model" : "Keras functional model"
  }

  /// Layers of the model and of the models in it, which are none themselves.
  var layerCount: Int { summary.rows.count { !$0.isModel } }

  // MARK: Text

  /// Rows about the whole.
  var facts: [(String, String)] {
    [
      ("model", "\(form) \"\(network.name)\", as Keras \(network.context.version) writes it"),
      ("inputs", KerasReport.text(summary.inputs)),
      ("outputs", KerasReport.text(summary.outputs)),
    ]
  }

  private static func text(_ ports: [KerasSummary.Port]) -> String {
    ports.map { "\($0.name) \($0.shape?.description ?? "of unknown shape")" }
      .joined(separator: ", ")
  }

  func printLayers() {
    Terminal.print("")
    // A chain says itself what takes from what.
    let isChain =
      network.form == .sequential
      && !summary.rows.contains { row in row.isModel && row.calls.map(\.count) != [1] }
      && !network.layers.contains { $0.network?.form == .functional }
    var table = Table(
      [.left, .left, .right] + (isChain ? [] : [.left]),
      header: ["layer (class)", "output shape", "parameters"] + (isChain ? [] : ["connected to"]),
      names: isChain ? [0] : [0, 3], optional: isChain ? [2, 1] : [2, 1, 3])
    for row in summary.rows {
      let indent = String(repeating: "  ", count: row.depth)
      var cells = [
        indent + "\(row.name) (\(row.className))",
        row.outputs.isEmpty
          ? "?" : row.outputs.map(\.description).joined(separator: ", "),
        row.parameters.map { Text.grouped($0) } ?? "?",
      ]
      if !isChain { cells.append(row.calls.joined().map(\.name).joined(separator: ", ")) }
      table.add(cells)
    }
    table.print()
  }

  /// As Keras counts: each variable once, those of frozen layers among the non-trainable ones.
  ///
  /// - Parameter optimizer: elements of the optimizer's state.
  func counts(optimizer: Int) -> [(String, String)] {
    let isPartial = summary.rows.contains { $0.parameters == nil }
    return [
      (
        "total",
        Text.grouped(summary.parameters)
          + (isPartial ? ", without those of layers marked ?" : "")
      ), ("trainable", Text.grouped(summary.trainable)),
      ("non-trainable", Text.grouped(summary.nonTrainable)),
      ("optimizer", optimizer > 0 ? Text.grouped(optimizer) : ""),
    ]
  }

  /// What stands in the way of running the whole, a sentence for each layer.
  var obstacles: [String] {
    summary.unknown.compactMap { row in
      row.reason.map { "layer \(row.fullName) (\(row.className)) \($0.reason)" }
    }
  }

  // MARK: JSON

  var json: JSON {
    .object([
      .init("name", .string(network.name)),
      .init("form", .string(network.form == .sequential ? "sequential" : "functional")),
      .init("version", .number(network.context.version)),
      .init("inputs", .array(summary.inputs.map(KerasReport.json))),
      .init("outputs", .array(summary.outputs.map(KerasReport.json))),
      .init("total_parameters", .number(summary.parameters)),
      .init("trainable_parameters", .number(summary.trainable)),
      .init("non_trainable_parameters", .number(summary.nonTrainable)),
      .init("layers", .array(summary.rows.map(KerasReport.json))),
    ])
  }

  private static func json(_ port: KerasSummary.Port) -> JSON {
    .object([
      .init("name", .string(port.name)), .init("shape", port.shape.map(json) ?? .null),
    ])
  }

  private static func json(_ shape: KerasShape) -> JSON {
    .array(shape.extents.map { $0.map { .number($0) } ?? .null })
  }

  private static func json(_ tensor: KerasTensor) -> JSON {
    .object([
      .init("layer", .string(tensor.layer)), .init("call", .number(tensor.call)),
      .init("output", .number(tensor.output)),
    ])
  }

  private static func json(_ row: KerasSummary.Row) -> JSON {
    .object([
      .init("name", .string(row.name)), .init("class", .string(row.className)),
      .init("path", .string(row.fullName)), .init("depth", .number(row.depth)),
      .init("output_shapes", .array(row.outputs.map(json))),
      .init("parameters", row.parameters.map { .number($0) } ?? .null),
      .init("trainable_parameters", .number(row.trainable)),
      .init("connected_to", .array(row.calls.map { .array($0.map(json)) })),
      .init("reason", row.reason.map { .string($0.description) } ?? .null),
    ])
  }
}
