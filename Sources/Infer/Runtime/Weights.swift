import Checkpoint

/// A graph's weights in memory that belongs to the session, each in the layouts its users want.
struct Weights {
  private var buffers: [Graph.ID: [WeightLayout: Buffer]] = [:]
  private var names: [String: Graph.ID] = [:]

  /// Reads every weight of the graph once, but for those that are there already.
  ///
  /// - Throws: ``InferError`` when a shape differs from the graph's; what `tensor` throws; what
  ///   reading throws.
  init(
    _ graph: Graph, sharing other: Weights? = nil, _ tensor: (_ name: String) throws -> Tensor
  ) throws {
    var layouts: [Graph.ID: Set<WeightLayout>] = [:]
    for node in graph.nodes {
      for (index, operand) in node.operands.enumerated() {
        layouts[operand, default: []].insert(node.op.layout(ofWeight: index))
      }
    }
    for output in graph.outputs { layouts[output.value, default: []].insert(.plain) }
    for id in graph.weights {
      let (name, wanted) = (graph[id].name, layouts[id] ?? [])
      let held = other?.names[name].flatMap { other?.buffers[$0] } ?? [:]
      let missing = wanted.subtracting(held.keys)
      names[name] = id
      buffers[id] = held
      guard !missing.isEmpty else { continue }
      buffers[id]?.merge(
        try Weights.load(try tensor(name), graph[id], layouts: missing)
      ) { $1 }
    }
  }

  /// The weight's view, in the layout that the given operand of an op wants.
  func view(_ id: Graph.ID, shape: [Int], layout: WeightLayout) -> View? {
    buffers[id]?[layout].map { View(shape: shape, data: $0.data, layout: layout) }
  }

  private static func load(
    _ tensor: Tensor, _ value: Graph.Value, layouts: Set<WeightLayout>
  ) throws -> [WeightLayout: Buffer] {
    let shape = value.shape.map { $0.extent(Extents()) }
    guard tensor.shape.extents == shape else {
      throw InferError(
        .graph, value.name, "has the shape \(tensor.shape.extents); expected \(shape)")
    }
    let plain = try Buffer(count: tensor.shape.count, for: value.name)
    try read(tensor, into: plain)
    var result: [WeightLayout: Buffer] = [:]
    for layout in layouts {
      switch layout {
      case .plain: result[layout] = plain
      case .panels(let transposed):
        let (rows, width) = (shape.dropLast().reduce(1, *), shape.last ?? 1)
        let (inner, columns) = transposed ? (width, rows) : (rows, width)
        let panels = try Buffer(
          count: MatMul.panelCount(inner: inner, columns: columns), for: value.name)
        MatMul.pack(
          plain.data, stride: width, transposed: transposed, inner: inner, columns: columns,
          into: panels.data)
        result[layout] = panels
      }
    }
    return result
  }

  /// Float32 is read straight into place, other types by way of an array.
  private static func read(_ tensor: Tensor, into buffer: Buffer) throws(CheckpointError) {
    guard tensor.dtype == .f32, tensor.payload.byteCount == tensor.byteCount else {
      let floats = try tensor.floats()
      floats.withUnsafeBufferPointer { source in
        if let base = source.baseAddress { buffer.data.update(from: base, count: floats.count) }
      }
      return
    }
    let bytes = UnsafeMutableRawBufferPointer(
      start: buffer.data, count: tensor.byteCount)
    var span = MutableRawSpan(_unsafeBytes: bytes)
    do {
      try tensor.payload.read(at: 0, into: &span)
    } catch {
      throw error.at(.tensor(tensor.name))
    }
  }
}
