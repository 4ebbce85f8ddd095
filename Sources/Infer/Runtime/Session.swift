public import Checkpoint

/// A graph made ready to run: fused, with its weights in memory, its threads started, and memory
/// planned for each batch and length that comes.
///
/// One run at a time: a session is not for several threads at once.
public final class Session {
  /// The graph that runs: what the passes made of the given one, with the wanted values as outputs.
  public let graph: Graph
  /// The number of workers, the calling thread included.
  public var threads: Int { workers.count }

  private let weights: Weights
  private let workers: Workers
  private let states: States
  private var arena: Buffer?
  private var prepared: [Extents: Prepared] = [:]
  /// Plans are small, but lengths may vary without end.
  private static let preparedLimit = 256

  /// What a run with some extents needs, bound to the arena.
  private struct Prepared {
    let plan: Plan
    let arena: Buffer
    let steps: [Step]
  }

  /// A node bound to memory.
  private struct Step {
    let op: any Op
    let operands: [View]
    let result: View
  }

  /// Prepares a graph.
  ///
  /// - Parameters:
  ///   - graph: what to compute.
  ///   - outputs: names of the graph's outputs, or of inner values, to be returned by each run.
  ///     Only what they need is computed, and only the weights and inputs that they need are asked
  ///     for.
  ///   - threads: the number of threads; all processors of the process by default.
  ///   - passes: rewrites of the graph, applied in order. An output is never fused away.
  ///   - other: a session of the same model, whose weights and threads are used too. The two do not
  ///     run at the same time.
  ///   - weights: returns a weight's tensor by its name in the graph; called once for each.
  /// - Throws: ``InferError`` when there is no value of a wanted name, or a weight has another
  ///   shape than the graph says; `CheckpointError` when a weight cannot be read; what `weights`
  ///   throws.
  public init(
    _ graph: Graph, outputs: [String], threads: Int? = nil, passes: [any Pass] = PassList.all,
    sharing other: Session? = nil, weights: (_ name: String) throws -> Tensor
  ) throws {
    var graph = try graph.answering(outputs)
    for pass in passes { graph = try pass(graph) }
    self.graph = graph
    self.weights = try Weights(graph, sharing: other?.weights, weights)
    workers = other?.workers ?? Workers(count: threads)
    states = States(graph)
  }

  // MARK: States

  /// Makes room in the states for so many rows and positions; what they hold stays.
  ///
  /// - Throws: ``InferError`` when there is not that much memory.
  func reserveStates(rows: Int, length: Int = 1, capacity: Int) throws(InferError) {
    // What was prepared points into the old memory.
    if try states.reserve(rows: rows, Extents(length: length, capacity: capacity)) {
      prepared = [:]
    }
  }

  /// Copies a row of all states to another: see ``States/copy(from:to:positions:others:)``.
  func copyState(from source: Int, to target: Int, positions: Int, others: Bool) {
    states.copy(from: source, to: target, positions: positions, others: others)
  }

  /// Replaces what a state holds.
  func fillState(_ name: String, with array: NDArray<Float>) throws(InferError) {
    try states.fill(name, with: array)
  }

  // MARK: Running

  /// Runs the graph.
  ///
  /// - Parameter inputs: arrays by the names of the graph's inputs. Names that the graph does not
  ///   have are ignored.
  /// - Returns: the wanted values by the names under which they were asked for.
  /// - Throws: ``InferError`` when an input is missing, does not fit, or indexes beyond a table; or
  ///   when there is not enough memory for this batch and length.
  public func run(
    _ inputs: [String: NDArray<Float>]
  ) throws(InferError) -> [String: NDArray<Float>] {
    let extents = try graph.checked(inputs)
    try states.check(extents)
    let prepared = try prepare(extents)
    for id in graph.inputs {
      guard let array = inputs[graph[id].name],
        let view = view(id, prepared.plan, prepared.arena, .plain)
      else { continue }
      array.values.withUnsafeBufferPointer { source in
        guard let base = source.baseAddress else { return }
        view.data.update(from: base, count: source.count)
      }
    }
    for step in prepared.steps {
      try step.op.run(step.operands, into: step.result, on: workers)
    }
    var results: [String: NDArray<Float>] = [:]
    for output in graph.outputs {
      guard let view = view(output.value, prepared.plan, prepared.arena, .plain) else { continue }
      let values = UnsafeBufferPointer(start: view.data, count: view.count)
      results[output.name] = NDArray(shape: view.shape, values: Array(values))
    }
    return results
  }

  /// The plan and steps for these extents, made at the first run with them and kept.
  private func prepare(_ extents: Extents) throws(InferError) -> Prepared {
    if let prepared = prepared[extents] { return prepared }
    let plan = try Plan(graph, extents)
    if prepared.count >= Session.preparedLimit { prepared = [:] }
    if arena.map({ $0.count < plan.size }) ?? true {
      // What was prepared points into the old memory.
      prepared = [:]
      self.arena = nil
      arena = try Buffer(count: plan.size, for: "batch \(extents.batch), length \(extents.length)")
    }
    guard let arena else { throw InferError(.unsupported, "", "has no memory to run in") }
    try workers.reserveScratch(plan.scratch)
    var steps: [Step] = []
    for node in graph.nodes {
      let operands = node.operands.enumerated().compactMap { index, id in
        view(id, plan, arena, node.op.layout(ofWeight: index))
      }
      guard operands.count == node.operands.count,
        let result = view(node.result, plan, arena, .plain)
      else { throw InferError(.graph, graph[node.result].name, "has operands without memory") }
      steps.append(Step(op: node.op, operands: operands, result: result))
    }
    let result = Prepared(plan: plan, arena: arena, steps: steps)
    prepared[extents] = result
    return result
  }

  private func view(
    _ id: Graph.ID, _ plan: Plan, _ arena: Buffer, _ layout: WeightLayout
  ) -> View? {
    if let state = graph.state(behind: id) {
      return states.view(state, shape: plan.shapes[id.index])
    }
    guard let offset = plan.offsets[id.index] else {
      return weights.view(id, shape: plan.shapes[id.index], layout: layout)
    }
    return View(shape: plan.shapes[id.index], data: arena.data + offset)
  }
}
