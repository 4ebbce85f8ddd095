import Checkpoint
import Infer

/// Keras graphs: so many rows of the shapes that their inputs state.
extension Bench {
  func measure(_ model: KerasModel) throws {
    guard generate == nil, !viterbi, mask == nil else {
      throw CheckpointError(
        .usage, .file(self.model),
        "is a graph of layers; --generate, --viterbi and --mask are for "
          + "transformers")
    }
    var inputs: [String: NDArray<Float>] = [:]
    for tensor in model.network.inputs {
      guard let stated = model.inputShapes[tensor] else {
        throw CheckpointError(
          .usage, Place(member: "input \(tensor.layer)"), "states no shape",
          hint: "give it by --set input_shape=\(tensor.layer):None,28,28,1")
      }
      let shape = stated.extents.enumerated().map { axis, extent in
        extent ?? (axis == 0 ? batch : length ?? 128)
      }
      guard shape.allSatisfy({ $0 > 0 }), KerasShape(shape).count().map({ $0 < 1 << 31 }) ?? false
      else {
        throw CheckpointError(
          .usage, Place(member: "input \(tensor.layer)"), "would have shape \(KerasShape(shape))")
      }
      // One is a number, a flag and the id of a table's row.
      inputs[tensor.layer] = NDArray(
        shape: shape, values: Array(repeating: 1, count: shape.reduce(1, *)))
    }
    let runnable = try RunnableKeras(model, inputs: inputs.mapValues(\.shape))
    if let obstacle = runnable.obstacle { throw obstacle }
    let session = try runnable.session(returning: runnable.outputNames, threads: threads)
    let measured = try measured(threads: session.threads, length: 1) {
      _ = try session.run(inputs)
    }
    let names = model.network.inputs.map(\.layer)
    // A model may state its batch.
    let rows = names.first.flatMap { inputs[$0]?.shape[0] } ?? batch
    let rate = Double(rows) / measured.median
    if output.json {
      print(
        JSON.object(
          [
            .init("batch", .number(rows)),
            .init(
              "inputs",
              .object(
                names.map { name in
                  .init(name, .array((inputs[name]?.shape ?? []).map { .number($0) }))
                })),
          ] + measured.members + [.init("rows_per_second", .number(rate))]
        ).pretty)
      return
    }
    let shapes = names.map { "\($0) \(Shape(inputs[$0]?.shape ?? []))" }.joined(separator: ", ")
    print(
      "\(shapes), \(Text.plural(measured.threads, "thread")): median "
        + "\(milliseconds(measured.median)) of \(measured.times.count) runs "
        + "(\(milliseconds(measured.times[0])) to "
        + "\(milliseconds(measured.times[measured.times.count - 1])), first "
        + "\(milliseconds(measured.first))), \(Text.decimal(rate, rate < 100 ? 1 : 0)) rows/s")
  }
}
