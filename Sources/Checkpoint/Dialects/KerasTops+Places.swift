/// On what a layer on top sits.
extension KerasTops {
  // MARK: By the graph

  /// What the file's graph says, followed down from the layer.
  func place(of name: String, in graph: KerasGraph) -> TopLayer.Input? {
    var takesFirst = false
    var layer = name
    while let call = graph.input(of: layer) {
      layer = call.layer
      if parts.contains(where: { $0.name == layer }) { return takesFirst ? nil : .layer(layer) }
      if graph.isIdle(layer) { continue }
      if isFirst(layer, in: graph) {
        takesFirst = true
      } else if layer.hasSuffix(base.pooler) {
        return takesFirst ? nil : .pooler
      } else if isLast(call, in: graph) {
        return takesFirst ? .firstToken : .sequence
      } else {
        return nil  // Another Lambda may do anything; it also ends Keras' mask.
      }
    }
    return nil
  }

  /// Whether a layer hands on the first token; a user's prefix may stand before its name.
  private func isFirst(_ layer: String, in graph: KerasGraph) -> Bool {
    graph.takesFirst(layer) || base.first.contains { layer.hasSuffix($0) }
  }

  /// Whether a call gives the hidden states that no further block takes.
  private func isLast(_ call: KerasGraph.Call, in graph: KerasGraph) -> Bool {
    func isInside(_ layer: String) -> Bool {
      layer.contains(base.block) || layer.hasSuffix(KerasTops.finalNorm)
    }
    return isInside(call.layer) && !graph.users(of: call).contains(where: isInside)
  }

  /// The norm behind the last block, where there is one.
  private static let finalNorm = "Output-Norm"

  /// Whether what a layer sits on is hidden by a function: the file names none of it.
  func isHidden(_ name: String, in graph: KerasGraph) -> Bool {
    var layer = name
    while let call = graph.input(of: layer) {
      layer = call.layer
      if graph.isIdle(layer) || isFirst(layer, in: graph) { continue }
      return graph.isLambda(layer)
    }
    return false
  }

  // MARK: By shapes

  /// The dense layers that lead to CRFs and MEMMs: the only one before it of its width.
  func findEmitters() -> [Int: Int] {
    var found: [Int: Int] = [:]
    for (index, part) in parts.enumerated() {
      switch part.kind {
      case .crf, .memm:
        let fitting = parts[..<index].indices.filter {
          parts[$0].kind == .dense && parts[$0].outputSize == part.inputSize
        }
        if fitting.count == 1 { found[index] = fitting[0] }
      default: break
      }
    }
    return found
  }

  /// Where a layer must sit, if one place only is possible.
  func deduced(_ index: Int) -> TopLayer.Input? {
    let part = parts[index]
    switch part.kind {
    case nil: return nil
    case .crf, .memm: return emitters[index].map { .layer(parts[$0].name) }
    case .dense, .pointer, .efficientPointer:
      guard !parts[..<index].contains(where: { $0.kind == nil }) else { return nil }
      let isDirect = part.inputSize == hiddenSize
      let below = index > 0 ? parts[index - 1] : nil
      if let below, below.kind == .dense, below.outputSize == part.inputSize {
        return isDirect ? nil : .layer(below.name)
      }
      return isDirect && (part.needsSequence || leadsToTransitions(index)) ? .sequence : nil
    }
  }

  /// Whether a CRF or MEMM goes over what a dense layer gives, or another one above it does.
  private func leadsToTransitions(_ index: Int) -> Bool {
    if emitters.values.contains(index) { return true }
    guard index + 1 < parts.count else { return false }
    let above = parts[index + 1]
    return above.kind == .dense && above.inputSize == parts[index].outputSize
      && above.inputSize != hiddenSize && leadsToTransitions(index + 1)
  }
}
