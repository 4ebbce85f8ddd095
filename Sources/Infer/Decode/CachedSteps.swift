import Checkpoint

/// Generation that keeps the keys and values of earlier positions: a step computes its tokens only.
///
/// The same numbers as ``UncachedSteps``, but for rounding. That needs a mask under which no position
/// sees a later one that generation adds: causal, or UniLM's with targets of a segment above 0.
///
/// A row's tokens stand in its state without gaps, so that a key's place is its position. Rows have
/// slots in the session's states, which keep their order to themselves: a row that goes on alone
/// stays where it is whatever its number, and only forks are copied.
public final class CachedSteps: StepModel {
  public let vocabularySize: Int
  public let limit: Int?
  private let form: StepForm
  private let configuration: Configuration
  private let countsPadding: Bool
  private let session: Session
  /// Computes each layer's keys and values of the source, where there is an encoder.
  private var encoder: Session?

  private var rows: [StepRow] = []
  /// Each row's slot.
  private var slots: [Int] = []
  /// Each slot's prompt: rows of one prompt have the same source.
  private var prompts: [Int] = []
  private var capacity = 0
  private var sourceMask = NDArray<Float>(zeros: [0, 0])

  /// Why keys and values of a model cannot be kept, or `nil` when they can.
  static func obstacle(_ model: RunnableModel) -> String? {
    let c = model.architecture.configuration
    return c.talkingHeads && c.talkingHeadsBias
      ? "the bias of its heads' mixing weighs positions that are hidden, later ones included" : nil
  }

  /// - Throws: ``InferError`` when the model cannot generate, or not from kept keys and values; what
  ///   reading weights throws.
  public init(_ model: RunnableModel, threads: Int? = nil) throws {
    form = try StepForm(model)
    if let obstacle = CachedSteps.obstacle(model) {
      throw InferError(.unsupported, "the key/value cache", obstacle)
    }
    vocabularySize = form.vocabularySize
    limit = form.limit
    configuration = model.architecture.configuration
    countsPadding =
      try ArchitectureRegistry.named(model.architecture.family).structure.position
      == .absoluteAfterPadding
    session = try Session(model.stepGraph(), outputs: [form.logits], threads: threads) {
      try model.weight($0)
    }
    guard form.isEncoderDecoder else { return }
    let names = session.graph.states.filter { session.graph[$0].shape[1] == .length }
      .map { session.graph[$0].name }
    encoder = try Session(model.graph, outputs: names, sharing: session) {
      try model.weight($0)
    }
  }

  // MARK: Rows

  public func start(_ prompts: [Prompt]) throws -> NDArray<Float> {
    let next = try prompts.map { try form.row($0) }
    guard !next.isEmpty else { throw InferError(.input, "rows", "there is none") }
    slots = Array(next.indices)
    self.prompts = slots
    capacity = 0
    var kept: [String: NDArray<Float>] = [:]
    if let encoder {
      let source = TextInputs(
        rows: next.map { ($0.source, [Int32](repeating: 0, count: $0.source.count)) }
      ).arrays
      kept = try encoder.run(source)
      sourceMask = source[Input.mask] ?? NDArray(zeros: [0, 0])
    }
    try reserve(rows: next.count, positions: next.map(\.tokens.count).max() ?? 1)
    for (name, value) in kept { try session.fillState(name, with: value) }
    rows = next
    return try run(from: rows.map { _ in 0 })
  }

  public func advance(_ parents: [Int], _ tokens: [Int32]) throws -> NDArray<Float> {
    let next = try form.rows(rows, parents, tokens)
    try reserve(
      rows: max(next.count, prompts.count), positions: next.map(\.tokens.count).max() ?? 1)
    try arrange(parents)
    rows = next
    return try run(from: rows.map { $0.tokens.count - 1 })
  }

  /// Makes room for so many positions, and some that will come.
  private func reserve(rows: Int, positions: Int) throws {
    if positions > capacity {
      let room = positions + max(64, positions / 2)
      capacity = min((room + 31) / 32 * 32, max(limit ?? .max, positions))
    }
    try session.reserveStates(
      rows: rows, length: form.isEncoderDecoder ? sourceMask.shape[1] : 1, capacity: capacity)
  }

  /// Gives each new row a slot: its parent's to a parent's first child, others by copying.
  private func arrange(_ parents: [Int]) throws {
    let count = parents.count
    var next = [Int?](repeating: nil, count: count)
    var isFree = [Bool](repeating: true, count: count)
    for (row, parent) in parents.enumerated() {
      let slot = slots[parent]
      if slot < count, isFree[slot] { (next[row], isFree[slot]) = (slot, false) }
    }
    // A free slot below `count` holds a row that ended, or none, so what is copied is never
    // overwritten before.
    if prompts.count < count {
      prompts += [Int](repeating: -1, count: count - prompts.count)
    }
    var free = isFree.indices.filter { isFree[$0] }
    for (row, parent) in parents.enumerated() where next[row] == nil {
      let (source, prompt) = (slots[parent], prompts[slots[parent]])
      // Where a row of the same prompt stood, its source need not be copied.
      let choice = free.firstIndex { prompts[$0] == prompt } ?? free.endIndex - 1
      let slot = free.remove(at: choice)
      session.copyState(
        from: source, to: slot, positions: rows[parent].tokens.count,
        others: prompts[slot] != prompt)
      if form.isEncoderDecoder, prompts[slot] != prompt { copyMask(from: source, to: slot) }
      prompts[slot] = prompt
      next[row] = slot
    }
    slots = next.map { $0 ?? 0 }
  }

  private func copyMask(from source: Int, to slot: Int) {
    let length = sourceMask.shape[1]
    if slot >= sourceMask.shape[0] {
      sourceMask.values += [Float](
        repeating: 0, count: (slot + 1 - sourceMask.shape[0]) * length)
      sourceMask.shape[0] = slot + 1
    }
    for column in 0..<length {
      sourceMask.values[slot * length + column] = sourceMask.values[source * length + column]
    }
  }

  // MARK: Running

  /// Runs each row's tokens from a position on, and returns the logits behind its last one.
  private func run(from first: [Int]) throws -> NDArray<Float> {
    let count = rows.count
    var order = [Int](repeating: 0, count: count)  // the row in each slot
    for (row, slot) in slots.enumerated() { order[slot] = row }
    let length = zip(rows, first).map { $0.tokens.count - $1 }.max() ?? 1
    var tokens = NDArray<Float>(zeros: [count, length])
    var (segments, places, positions) = (tokens, tokens, tokens)
    var last = NDArray<Float>(zeros: [count])
    for (slot, index) in order.enumerated() {
      let (row, first) = (rows[index], first[index])
      last.values[slot] = Float(row.tokens.count - first - 1)
      let numbers = countsPadding ? afterPadding(row.tokens) : []
      for column in 0..<length {
        let (place, cell) = (first + column, slot * length + column)
        places.values[cell] = Float(place)
        guard place < row.tokens.count else {
          positions.values[cell] = Float(countsPadding ? configuration.paddingToken : place)
          tokens.values[cell] = Float(form.padding)
          continue
        }
        tokens.values[cell] = Float(row.tokens[place])
        segments.values[cell] = Float(row.segments[place])
        positions.values[cell] = Float(countsPadding ? numbers[place] : place)
      }
    }
    var inputs = [
      form.isEncoderDecoder ? Input.decoderTokens : Input.tokens: tokens,
      Input.segments: segments, Input.places: places, Input.positions: positions,
      Input.last: last, Input.visible: visible(order, first, length, segments),
    ]
    if form.isEncoderDecoder {
      let length = sourceMask.shape[1]
      inputs[Input.mask] = NDArray(
        shape: [count, length], values: Array(sourceMask.values.prefix(count * length)))
    }
    guard var logits = try session.run(inputs)[form.logits] else {
      throw InferError(.graph, form.logits, "was not computed")
    }
    logits.shape = [count, vocabularySize]
    guard slots != Array(slots.indices) else { return logits }
    return NDArray(shape: logits.shape, values: slots.flatMap { logits.vector($0) })
  }

  /// What each token sees, `[slots, length, capacity]`: a lone new token all that stands before it,
  /// a prompt's tokens what the mask says.
  private func visible(
    _ order: [Int], _ first: [Int], _ length: Int, _ segments: NDArray<Float>
  ) -> NDArray<Float> {
    var result = NDArray<Float>(zeros: [order.count, length, capacity])
    guard first.allSatisfy({ $0 == 0 }) else {
      for (slot, row) in order.enumerated() {
        for column in 0..<rows[row].tokens.count { result.values[slot * capacity + column] = 1 }
      }
      return result
    }
    var padding = NDArray<Float>(zeros: [order.count, length])
    for (slot, row) in order.enumerated() {
      for column in 0..<rows[row].tokens.count { padding.values[slot * length + column] = 1 }
    }
    let mask = AttentionMask(form.mask).reference(
      form.mask == .unilm ? [padding, segments] : [padding],
      shape: [order.count, length, length])
    for row in 0..<(order.count * length) {
      for column in 0..<length {
        result.values[row * capacity + column] = mask.values[row * length + column]
      }
    }
    return result
  }

  /// RoBERTa's numbers of positions (``PositionsAfterPadding``).
  private func afterPadding(_ tokens: [Int32]) -> [Int] {
    let tokens = NDArray<Float>(shape: [1, tokens.count], values: tokens.map { Float($0) })
    return PositionsAfterPadding(padding: configuration.paddingToken)
      .reference([tokens], shape: tokens.shape).values.map { Int($0) }
  }
}
