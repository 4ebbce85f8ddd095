import Checkpoint

/// Two models on corresponding inputs: what a verification runs, whatever kind the models are of.
struct Trial<Source: Runnable, Result: Runnable> {
  /// Arrays for the two models.
  typealias Inputs = (source: [String: NDArray<Float>], result: [String: NDArray<Float>])

  let source: Source
  let result: Result
  let correspondence: Correspondence
  let inputs: Inputs
  /// Short rows, enough for a judge that computes with plain loops.
  let few: Inputs
  let vocabulary: VocabularyAxis
  /// Every value that both have, in the source's order of computation.
  let pairs: [(source: String, result: String)]
  let onlyInSource: [String]
  let onlyInResult: [String]

  init(
    _ source: Source, _ result: Result, _ correspondence: Correspondence, inputs: Inputs,
    few: Inputs
  ) {
    (self.source, self.result, self.correspondence) = (source, result, correspondence)
    (self.inputs, self.few) = (inputs, few)
    vocabulary = VocabularyAxis(source.graph, correspondence)
    let theirs = Set(result.graph.valueNames + result.outputNames)
    var pairs: [(source: String, result: String)] = []
    var (seen, lonely): (Set<String>, [String]) = ([], [])
    for name in source.graph.valueNames + source.outputNames where seen.insert(name).inserted {
      guard let other = correspondence.name(of: name), !vocabulary.isShare(name) else { continue }
      if theirs.contains(other) { pairs.append((name, other)) } else { lonely.append(name) }
    }
    self.pairs = pairs
    onlyInSource = lonely
    let vocabulary = vocabulary
    onlyInResult = theirs.subtracting(pairs.map(\.result)).filter { !vocabulary.isShare($0) }
      .sorted(by: Natural.less)
  }

  /// Only these values.
  init(
    _ source: Source, _ result: Result, _ pairs: [(source: String, result: String)],
    inputs: Inputs
  ) {
    (self.source, self.result, correspondence) = (source, result, Correspondence())
    (self.inputs, few) = (inputs, inputs)
    vocabulary = VocabularyAxis(source.graph, correspondence)
    (self.pairs, onlyInSource, onlyInResult) = (pairs, [], [])
  }

  /// The values of both, as the engine computes them.
  func compared(threads: Int?) throws -> [Comparison] {
    try compare(
      source.session(returning: pairs.map(\.source), threads: threads).run(inputs.source),
      result.session(returning: pairs.map(\.result), threads: threads).run(inputs.result))
  }

  /// The values of both in Float64, by plain loops.
  ///
  /// - Parameter candidate: the result, or what is to be judged in its place.
  func judged(_ candidate: Result) throws -> [Comparison] {
    try compare(
      source.reference(Double.self, few.source, returning: pairs.map(\.source)),
      candidate.reference(Double.self, few.result, returning: pairs.map(\.result)))
  }

  func compare<Scalar>(
    _ a: [String: NDArray<Scalar>], _ b: [String: NDArray<Scalar>]
  ) throws -> [Comparison] {
    try pairs.map { pair in
      guard let left = a[pair.source], let right = b[pair.result] else {
        throw InferError(.graph, pair.source, "was not computed")
      }
      return Comparison(
        pair.source, vocabulary.kept(left, pair.source, ofResult: false),
        vocabulary.kept(right, pair.source, ofResult: true), otherName: pair.result)
    }
  }

  /// The first value whose shapes differ in the source and another graph, as a difference without bound.
  func misfit(with graph: Graph) -> Comparison? {
    for pair in pairs where !vocabulary.has(pair.source) {
      guard let left = source.graph.value(named: pair.source),
        let right = graph.value(named: pair.result),
        source.graph[left].shape != graph[right].shape
      else { continue }
      return Comparison(
        "\(pair.source)", misfit: "\(source.graph[left].shape) against \(graph[right].shape)")
    }
    return nil
  }
}
