import Checkpoint

extension Disagreement {
  /// Everything that is said differently and not explained by what a framework can hold; its effect is
  /// measured like any other.
  static func all(
    _ expected: FamilyArchitecture, _ source: RunnableModel, _ result: RunnableModel,
    _ correspondence: Correspondence
  ) throws -> [Disagreement] {
    try between(
      expected, result.architecture, dialects: (source.dialect, result.dialect),
      vocabulary: correspondence.tokens == nil) + carried(source, result)
  }

  /// Tensors of no known meaning, by name and by bits; in another precision, as rounding makes them.
  private static func carried(
    _ source: RunnableModel, _ result: RunnableModel
  ) throws -> [Disagreement] {
    var found: [Disagreement] = []
    for name in Set(source.carried.keys).union(result.carried.keys).sorted(by: Natural.less) {
      let (a, b) = (source.carried[name], result.carried[name])
      if let a, let b, a.shape == b.shape, try a.isRounding(of: b) { continue }
      func state(_ tensor: Tensor?) -> String {
        tensor.map { "\($0.dtype.rawValue) \($0.shape)" } ?? "missing"
      }
      let same = state(a) == state(b)
      found.append(
        Disagreement(
          subject: name, source: state(a), result: same ? "other values" : state(b)))
    }
    return found
  }
}
