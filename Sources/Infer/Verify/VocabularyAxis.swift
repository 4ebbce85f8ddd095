import Checkpoint

/// Values with a column for each token, where a transform has renumbered tokens.
struct VocabularyAxis {
  private let names: Set<String>
  /// Values that are shared out among all tokens.
  private let shares: Set<String>
  /// The columns that both have, in the result's order: the source's number and the result's.
  private let columns: [(source: Int, result: Int)]

  init(_ graph: Graph, _ correspondence: Correspondence) {
    guard let tokens = correspondence.tokens else {
      (names, shares, columns) = ([], [], [])
      return
    }
    columns = tokens.enumerated().compactMap { number, source in source.map { ($0, number) } }
    /// Every name of these values.
    func all(_ values: [String]) -> Set<String> {
      let wanted = values.compactMap { graph.value(named: $0) }
      return Set(
        (graph.valueNames + graph.outputs.map(\.name)).filter { name in
          graph.value(named: name).map(wanted.contains) ?? false
        })
    }
    names = all(["mlm_logits", "lm_logits"])
    shares = all(["mlm_probs", "lm_probs"])
  }

  /// Whether a value has a column for each token.
  func has(_ name: String) -> Bool { names.contains(name) }

  /// Whether a value is shared out among all tokens, so that other tokens change every element.
  func isShare(_ name: String) -> Bool { shares.contains(name) }

  /// A value's columns that both have.
  func kept<Scalar>(
    _ array: NDArray<Scalar>, _ name: String, ofResult: Bool
  ) -> NDArray<Scalar> {
    guard has(name), let width = array.shape.last, width > 0 else { return array }
    let wanted = columns.map { ofResult ? $0.result : $0.source }.map { min($0, width - 1) }
    var values: [Scalar] = []
    values.reserveCapacity(array.values.count / width * wanted.count)
    for row in 0..<(array.values.count / width) {
      for column in wanted { values.append(array.values[row * width + column]) }
    }
    return NDArray(shape: array.shape.dropLast() + [wanted.count], values: values)
  }
}
