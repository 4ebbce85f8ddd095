/// What a session keeps from one run to the next: an array `[rows, positions, width]` for each state
/// of its graph.
///
/// Rows are places in a batch; runs take the first ones. What was never written is 0.
final class States {
  private struct Held {
    let name: String
    let dimension: Dimension
    let width: Int
    var buffer: Buffer?
  }

  private var held: [Graph.ID: Held] = [:]
  private var rows = 0
  private var extents = Extents(batch: 0, length: 0, targets: 0, capacity: 0)

  init(_ graph: Graph) {
    for id in graph.states {
      let value = graph[id]
      guard case .fixed(let width) = value.shape[2] else { continue }
      held[id] = Held(name: value.name, dimension: value.shape[1], width: width)
    }
  }

  /// Makes room for so many rows and positions; what is held stays.
  ///
  /// - Returns: whether something was moved.
  /// - Throws: ``InferError`` when there is not that much memory.
  func reserve(rows wanted: Int, _ next: Extents) throws(InferError) -> Bool {
    let newRows = max(rows, wanted)
    var moved = false
    for (id, state) in held {
      let (old, new) = (state.dimension.extent(extents), state.dimension.extent(next))
      if state.buffer != nil, old == new, newRows == rows { continue }
      let (count, overflow) = (newRows * new).multipliedReportingOverflow(by: state.width)
      let buffer = try Buffer(count: overflow ? .max : count, for: state.name)
      buffer.data.update(repeating: 0, count: count)
      if let before = state.buffer {
        let kept = min(old, new) * state.width
        for row in 0..<rows {
          (buffer.data + row * new * state.width)
            .update(from: before.data + row * old * state.width, count: kept)
        }
      }
      held[id]?.buffer = buffer
      moved = true
    }
    (rows, extents) = (newRows, next)
    return moved
  }

  /// Copies one row to another: of states with a capacity the first `positions`; of others all,
  /// if they are wanted.
  func copy(from source: Int, to target: Int, positions: Int, others: Bool) {
    for state in held.values {
      guard let data = state.buffer?.data else { continue }
      let extent = state.dimension.extent(extents)
      let count = state.dimension == .capacity ? min(positions, extent) : others ? extent : 0
      (data + target * extent * state.width)
        .update(from: data + source * extent * state.width, count: count * state.width)
    }
  }

  /// Replaces the first rows of the state of that name.
  ///
  /// - Throws: ``InferError`` when there is none, or it is of another shape.
  func fill(_ name: String, with array: NDArray<Float>) throws(InferError) {
    guard let state = held.values.first(where: { $0.name == name }), let buffer = state.buffer,
      array.shape.count == 3, array.shape[0] <= rows,
      array.shape[1] == state.dimension.extent(extents), array.shape[2] == state.width
    else { throw InferError(.graph, name, "is no state that takes \(array.shape)") }
    array.values.withUnsafeBufferPointer { source in
      if let base = source.baseAddress { buffer.data.update(from: base, count: source.count) }
    }
  }

  /// Checks that there is room for a run.
  func check(_ wanted: Extents) throws(InferError) {
    for state in held.values
    where wanted.batch > rows
      || state.dimension.extent(wanted) != state.dimension.extent(extents)
    {
      throw InferError(
        .input, state.name,
        "holds \(rows)×\(state.dimension.extent(extents)); the run is "
          + "\(wanted.batch)×\(state.dimension.extent(wanted))")
    }
  }

  func view(_ id: Graph.ID, shape: [Int]) -> View? {
    held[id]?.buffer.map { View(shape: shape, data: $0.data) }
  }
}
