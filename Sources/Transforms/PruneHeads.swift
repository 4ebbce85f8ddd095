public import Checkpoint

/// Removes heads from attention.
///
/// A removed head h takes its columns of query, key and value and its rows of the output kernel along,
/// and its column of T5's table of distances. The result computes what the source does with the rows
/// O_h of the output kernel set to zero; the output bias stays. Another function, whose error is
/// measured.
///
/// `auto` keeps in each attention the K heads with the largest ‖V_h · O_h‖, Frobenius' norm of the
/// matrix through which a head writes what it reads (the OV circuit, Elhage et al., A mathematical
/// framework for transformer circuits, 2021), with the bias of values as one more row of V. It bounds
/// what a head can add, ‖Σ_j w_j · (x_j, 1) · V_h · O_h‖ ≤ max ‖(x_j, 1)‖ · ‖V_h · O_h‖, and does not
/// change with the basis of a head's values. It knows weights only; scores that follow data (arXiv
/// 1905.10650, arXiv 1905.09418) choose better, and their choice can be given as a list.
///
/// A configuration has one number of heads (transformers had `pruned_heads` until version 4). Where
/// attentions keep different numbers, all have as many as the one that keeps most, and removed heads fill
/// the places that are left, their values and output rows zero. Where layers that share a T5's table lose
/// other heads, each gets its own, as UMT5 has it. Talking heads are mixed and cannot be removed alone. No
/// inverse: what is removed is gone.
public struct PruneHeads: ModelTransform {
  public init() {}

  public var name: String { "prune-heads" }
  public var summary: String { "heads are removed from attention" }
  public var contract: Correspondence.Contract { .lossy }
  public var precondition: String { "heads do not talk" }
  public var value: TransformValue { .required("LAYER.HEAD,…|auto") }
  public var options: [TransformOption] {
    [TransformOption("keep", "K", "with auto: how many heads of each attention stay")]
  }

  public func apply(
    to model: Model, _ arguments: TransformArguments
  ) throws(CheckpointError) -> ModelChange {
    let architecture = model.architecture
    let heads = architecture.configuration.heads
    guard !architecture.structure.gatedUnit else {
      throw refusal("\(architecture.family)'s attention has one head")
    }
    guard !architecture.configuration.talkingHeads else {
      throw refusal(
        "its heads are mixed, so that none can be removed without the others",
        hint: "--apply flatten-talking-heads makes them independent")
    }
    let choice = try HeadChoice(arguments, architecture)
    var norms: [String: [Double]] = [:]
    for attention in architecture.storedAttentions {
      norms[attention] = try model.headNorms(of: attention)
    }
    let removed = choice.heads(norms)
    let places = try places(removed, architecture)
    let findings = architecture.storedAttentions.flatMap { attention in
      (removed[attention] ?? []).sorted().map { head in
        Finding(
          name, "\(attention), head \(head)", "‖V·O‖ of the removed head",
          norms[attention]?[head] ?? 0)
      }
    }
    let (result, rewritten) = try pruned(model, removed, places)
    let left = result.architecture.configuration.heads
    let values = ["query", "key", "value", "scores", "weights", "context"]
    var change = ModelChange(
      result,
      Correspondence(
        contract: contract,
        removed: left == heads ? [] : architecture.attentionValues(values),
        rewritten: rewritten, claims: [.silenced(removed)]),
      findings: findings)
    let empty = places.filter { !(removed[$0.key] ?? []).isDisjoint(with: $0.value) }
    if !empty.isEmpty {
      change.remarks.append(
        "a configuration has one number of heads, \(left) here; in \(empty.count) of "
          + "\(places.count) attentions removed heads stay as zeros")
    }
    return change
  }

  /// The heads that have a place in each attention: those that stay, and removed ones in places that are
  /// left.
  private func places(
    _ removed: [String: Set<Int>], _ architecture: FamilyArchitecture
  ) throws(CheckpointError) -> [String: [Int]] {
    let heads = architecture.configuration.heads
    let attentions = architecture.storedAttentions
    let count = attentions.map { heads - (removed[$0]?.count ?? 0) }.max() ?? 0
    guard count > 0 else {
      throw refusal("none of its \(heads) heads would be left", at: attentions.first)
    }
    var places: [String: [Int]] = [:]
    for attention in attentions {
      let gone = removed[attention] ?? []
      let kept = (0..<heads).filter { !gone.contains($0) }
      places[attention] = (kept + gone.sorted().prefix(count - kept.count)).sorted()
    }
    if architecture.configuration.residualScores,
      let other = attentions.first(where: { places[$0] != places[attentions[0]] })
    {
      throw refusal(
        "its scores are added to those of the next layer's same head, so every layer must lose the "
          + "same heads", at: other)
    }
    return places
  }

  private func pruned(
    _ model: Model, _ removed: [String: Set<Int>], _ places: [String: [Int]]
  ) throws(CheckpointError) -> (Model, Set<String>) {
    var result = model
    var rewritten: Set<String> = []
    let c = model.architecture.configuration
    var matrices: [String: [Double]] = [:]
    var left = c.heads
    for attention in model.architecture.storedAttentions {
      let gone = removed[attention] ?? []
      let kept = places[attention] ?? []
      left = kept.count
      let step = "\(c.heads - gone.count) of \(c.heads) heads"
      /// What a removed head reads may stay where it has a place; what it writes is nothing.
      func picks(_ size: Int, reads: Bool) -> [Pick] {
        kept.flatMap { head in
          (0..<size).map { Pick(reads || !gone.contains(head) ? head * size + $0 : nil) }
        }
      }
      for (part, size) in [("query", c.keySize), ("key", c.keySize), ("value", c.headSize)] {
        if part != "value", left == c.heads { continue }
        rewritten.formUnion(
          try result.rewriteDense("\(attention).\(part)") {
            $0.pickingColumns(picks(size, reads: part != "value"), step)
          })
      }
      let output = "\(attention).output.kernel"
      try result.rewrite([output]) {
        $0.pickingRows(picks(c.headSize, reads: false), step)
      }
      rewritten.insert(output)
      matrices[attention] = (0..<c.heads).flatMap { head in kept.map { $0 == head ? 1 : 0 } }
    }
    guard left < c.heads else { return (result, rewritten) }
    rewritten.formUnion(
      try result.mixDistances(matrices, heads: left, "\(left) of \(c.heads) heads", for: self))
    result.architecture.configuration.heads = left
    return (result, rewritten)
  }
}

/// Which heads go.
private enum HeadChoice {
  /// By attention.
  case listed([String: Set<Int>])
  /// As many of each attention.
  case weakest(Int)

  init(
    _ arguments: TransformArguments, _ architecture: FamilyArchitecture
  ) throws(CheckpointError) {
    let kept = try arguments.count("keep")
    guard arguments.value == "auto" else {
      guard kept == nil else {
        throw arguments.wrong("keep goes with auto; a list says what is removed")
      }
      self = .listed(try HeadList(arguments, architecture).heads)
      return
    }
    let heads = architecture.configuration.heads
    guard let kept else {
      throw arguments.wrong("needs to know how many heads stay", hint: "add :keep=K")
    }
    guard kept < heads else {
      throw arguments.wrong("keep is \(kept); there are \(heads) heads")
    }
    self = .weakest(heads - kept)
  }

  /// - Parameter norms: of each head, by attention.
  func heads(_ norms: [String: [Double]]) -> [String: Set<Int>] {
    switch self {
    case .listed(let heads): heads
    case .weakest(let count):
      // Of equal ones the last.
      norms.mapValues { norms in
        Set(norms.indices.sorted { (norms[$1], $0) > (norms[$0], $1) }.prefix(count))
      }
    }
  }
}

/// Heads as a user lists them: `LAYER.HEAD`, with `*` for every layer and ranges such as `0-3` for both.
///
/// In a model with an encoder and a decoder a layer means all its attentions on both sides;
/// `encoder.`, `decoder.` (to itself) and `decoder.cross.` before it choose. Layers are stored blocks: a
/// shared one is one.
private struct HeadList {
  /// By attention.
  private(set) var heads: [String: Set<Int>] = [:]

  init(
    _ arguments: TransformArguments, _ architecture: FamilyArchitecture
  ) throws(CheckpointError) {
    let count = architecture.configuration.heads
    // Each stored attention with its place: the stack, and the number of its layer.
    var numbers: [String: Int] = [:]
    let places = architecture.storedAttentions.map { attention in
      let stack =
        attention.hasSuffix(".cross_attention")
        ? "decoder.cross" : ["encoder", "decoder"].first { attention.hasPrefix($0 + ".") } ?? ""
      numbers[stack, default: -1] += 1
      return (attention: attention, stack: stack, layer: numbers[stack] ?? 0)
    }
    for item in (arguments.value ?? "").split(separator: ",", omittingEmptySubsequences: false) {
      let parts = item.split(separator: ".", omittingEmptySubsequences: false)
      let stack = parts.dropLast(2).joined(separator: ".")
      let layers = parts.count > 1 ? HeadList.range(parts[parts.count - 2]) : nil
      guard let layers, let chosen = HeadList.range(parts[parts.count - 1]) else {
        throw arguments.wrong(
          "\"\(item)\" is no LAYER.HEAD", hint: "such as 0.1, *.1, 0-3.1 or 2.0-1")
      }
      guard stack.isEmpty || numbers[stack] != nil else {
        let known = numbers.keys.filter { !$0.isEmpty }.sorted().joined(separator: ", ")
        throw arguments.wrong(
          "\"\(item)\": there is no \(stack) to choose",
          hint: known.isEmpty ? "this model has one stack: LAYER.HEAD" : "choose of \(known)")
      }
      let found = places.filter { place in
        (stack.isEmpty || place.stack == stack) && layers.contains(place.layer)
      }
      let last = places.filter { stack.isEmpty || $0.stack == stack }.map(\.layer).max() ?? 0
      guard !found.isEmpty, layers == HeadList.all || layers.upperBound <= last else {
        throw arguments.wrong("\"\(item)\": layers are 0 to \(last)")
      }
      guard chosen != HeadList.all, chosen.upperBound < count else {
        throw arguments.wrong("\"\(item)\": heads are 0 to \(count - 1)")
      }
      for place in found { heads[place.attention, default: []].formUnion(chosen) }
    }
  }

  private static let all = 0...Int.max

  private static func range(_ text: Substring) -> ClosedRange<Int>? {
    if text == "*" { return all }
    let ends = text.split(separator: "-", omittingEmptySubsequences: false)
    guard ends.count <= 2, let first = Int(ends[0]), first >= 0,
      let last = Int(ends[ends.count - 1]), last >= first, last < Int.max
    else { return nil }
    return first...last
  }
}

extension Model {
  /// Frobenius' norm of each head's value kernel, its bias below it, times its rows of the output kernel.
  ///
  /// ‖V · O‖² is the trace of (Vᵀ · V) · (O · Oᵀ), two small squares.
  fileprivate func headNorms(of attention: String) throws(CheckpointError) -> [Double] {
    func kernel(_ part: String) throws(CheckpointError) -> (values: [Double], shape: Shape) {
      let tensor = try weight("\(attention).\(part).kernel").tensor
      return (try tensor.doubles(), tensor.shape)
    }
    let (heads, size) = (architecture.configuration.heads, architecture.configuration.headSize)
    var squares = [Double](repeating: 0, count: heads * size * size)
    var (value, _) = try kernel("value")
    value += try self["\(attention).value.bias"]?.tensor.doubles() ?? []
    for row in 0..<(value.count / (heads * size)) {
      for head in 0..<heads {
        let start = (row * heads + head) * size
        for i in 0..<size {
          let target = (head * size + i) * size
          for j in 0..<size { squares[target + j] += value[start + i] * value[start + j] }
        }
      }
    }
    let (output, shape) = try kernel("output")
    let width = shape[1]
    return (0..<heads).map { head in
      var sum = 0.0
      for i in 0..<size {
        for j in 0..<size {
          var product = 0.0
          for column in 0..<width {
            product +=
              output[(head * size + i) * width + column]
              * output[(head * size + j) * width + column]
          }
          sum += squares[(head * size + i) * size + j] * product
        }
      }
      return max(sum, 0).squareRoot()
    }
  }
}
