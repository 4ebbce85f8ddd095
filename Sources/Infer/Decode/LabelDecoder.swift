/// How scores of labels become labels: what `tag` decodes by.
public struct LabelDecoder: Sendable {
  public enum Kind: Sendable {
    /// Each position for itself: the softmax of its scores.
    case softmax
    case crf(LinearChain)
    case memm(MarkovModel, MarkovModel.Direction)
  }

  public let kind: Kind
  /// The number of labels.
  public let labels: Int
  /// The labels that may come first and last; any when `nil`.
  public var starts: [Int]?
  public var ends: [Int]?

  /// The chain that is followed in Float32, as the original decoders do, where there is one.
  private let viterbi: LinearChain?

  public init(_ kind: Kind, labels: Int, starts: [Int]? = nil, ends: [Int]? = nil) {
    self.kind = kind
    self.labels = labels
    self.starts = starts
    self.ends = ends
    viterbi =
      switch kind {
      case .softmax: nil
      case .crf(let chain): chain.limited(starts: starts, ends: ends)
      case .memm(let model, .viterbi):
        LinearChain(transitions: model.transitions, labels: labels)
          .limited(starts: starts, ends: ends)
      case .memm: nil
      }
  }

  /// What was decided for one text.
  public struct Result: Sendable, Equatable {
    /// The best path; without labels where no path is allowed.
    public var best: LabelPath
    /// How far it is ahead of the second best; `nil` where there is no other.
    public var margin: Double?
    /// The best paths, as many as were asked for.
    public var paths: [LabelPath] = []
    /// `[length, labels]`: the probability of each label, where it was asked for.
    public var marginals: [Double]?
    /// The logarithm of the sum over all paths, with the marginals: a path's log-probability is its score
    /// less this.
    public var logPartition: Double?
  }

  /// - Parameters:
  ///   - emissions: `[length, labels]`.
  ///   - count: how many paths are wanted.
  ///   - marginals: whether the labels' probabilities are wanted.
  public func decode(
    _ emissions: ArraySlice<Float>, paths count: Int = 1, marginals: Bool = false
  ) -> Result {
    let chain = chain(emissions)
    // Where rounding decides, the path is the one that Float32 gives.
    let found = viterbi.map { $0.best(emissions) } ?? chain.best
    let path = found.flatMap { $0.score > -.infinity ? $0 : nil }
    return Result(
      best: path ?? LabelPath([], score: -.infinity),
      margin: path.flatMap { chain.margin(of: $0.labels) },
      paths: count > 1 ? chain.best(count) : path.map { [$0] } ?? [],
      marginals: marginals ? chain.marginals : nil,
      logPartition: marginals ? chain.logPartition : nil)
  }

  /// All labellings of one text with their scores: log-probabilities of a softmax and of an MEMM's one
  /// direction, sums of emissions and transitions of a CRF.
  public func chain(_ emissions: ArraySlice<Float>) -> LabelChain {
    let chain =
      if let viterbi {
        viterbi.chain(emissions)
      } else if case .memm(let model, let direction) = kind {
        model.chain(emissions, direction)
      } else {
        independent(emissions)
      }
    return chain.limited(starts: starts, ends: ends)
  }

  private func independent(_ emissions: ArraySlice<Float>) -> LabelChain {
    var unary = emissions.map { Double($0) }
    for start in stride(from: 0, to: unary.count, by: labels) {
      let total = LabelChain.logSum(unary[start..<(start + labels)])
      for index in start..<(start + labels) { unary[index] -= total }
    }
    return LabelChain(
      unary: unary, pairs: [Double](repeating: 0, count: labels * labels), labels: labels)
  }
}
