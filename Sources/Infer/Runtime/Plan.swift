/// Where each value of a graph lies while it runs with one set of extents.
///
/// Values that are not needed at the same time share memory: a node's result takes the lowest gap
/// that is large enough among the values that are still needed, its own operands included. Values
/// that are wanted stay to the end. Offsets are in floats and multiples of 16, which is 64 bytes.
struct Plan {
  /// By ``Graph/ID/index``; `nil` for weights and for what lies in a state.
  private(set) var offsets: [Int?]
  /// By ``Graph/ID/index``.
  private(set) var shapes: [[Int]]
  /// Floats of the arena.
  private(set) var size = 0
  /// Floats of scratch memory per worker.
  private(set) var scratch = 0

  /// - Throws: ``InferError`` when a value's size overflows.
  init(_ graph: Graph, _ extents: Extents) throws(InferError) {
    shapes = graph.values.map { value in value.shape.map { $0.extent(extents) } }
    offsets = [Int?](repeating: nil, count: shapes.count)
    var lastUse = graph.lastUses
    for output in graph.outputs { lastUse[output.value] = graph.nodes.count }
    var live: [Block] = []  // in the order of their offsets
    for id in graph.inputs { try place(id, graph, until: lastUse[id] ?? -1, &live) }
    for (index, node) in graph.nodes.enumerated() {
      live.removeAll { $0.lastUse < index }
      if graph.state(behind: node.result) == nil {
        try place(node.result, graph, until: lastUse[node.result] ?? index, &live)
      }
      scratch = max(scratch, node.op.scratch(node.operands.map { shapes[$0.index] }))
    }
  }

  private struct Block {
    let start: Int
    let end: Int
    let lastUse: Int
  }

  private mutating func place(
    _ id: Graph.ID, _ graph: Graph, until lastUse: Int, _ live: inout [Block]
  ) throws(InferError) {
    var count = 1
    for extent in shapes[id.index] {
      let (product, overflow) = count.multipliedReportingOverflow(by: extent)
      // The bound leaves room for sums of a few sizes and for the conversion to bytes.
      guard !overflow, product < 1 << 48 else {
        throw InferError(
          .unsupported, graph[id].name, "would have the shape \(shapes[id.index]): too large",
          hint: "use a smaller batch or length")
      }
      count = product
    }
    count = Buffer.aligned(count)
    var start = 0
    var position = live.count
    for (index, block) in live.enumerated() {
      if block.start - start >= count {
        position = index
        break
      }
      start = block.end
    }
    live.insert(Block(start: start, end: start + count, lastUse: lastUse), at: position)
    offsets[id.index] = start
    size = max(size, start + count)
  }
}
