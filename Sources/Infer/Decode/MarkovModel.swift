import Glibc

/// A maximum entropy Markov model (McCallum, Freitag, Pereira 2000): a probability for each label given
/// its neighbour's, as bert4keras' `MaximumEntropyMarkovModel` learns them (kexue.fm/archives/7213).
///
/// Forward: `p(y₁) = softmax(e₁)`, `p(yₜ | yₜ₋₁) = softmax((eₜ + transitions[yₜ₋₁, ·]) / 2)`; backward the
/// same from the other end: `p(y_T) = softmax(e_T)`, `p(yₜ | yₜ₊₁) = softmax((eₜ + transitions[·, yₜ₊₁]) / 2)`.
/// The layer's loss is the mean of both, and so is the log-probability of ``Direction/average``.
public struct MarkovModel: Sendable {
  /// Which of its probabilities decide.
  public enum Direction: String, Sendable, CaseIterable {
    /// The sum of emissions and transitions, as of a CRF: what bert4keras' `ViterbiDecoder` finds,
    /// which its examples use for either layer.
    case viterbi
    case forward
    case backward
    /// The mean of both logarithms.
    case average
  }

  /// The number of labels.
  public let labels: Int
  /// `[labels, labels]`, from → to.
  public let transitions: [Float]
  /// What emission and transition together are multiplied by: ½ in bert4keras.
  public let scale: Double

  /// - Precondition: the sizes fit, and there is a label.
  public init(transitions: [Float], labels: Int, scale: Double = 0.5) {
    precondition(labels > 0 && transitions.count == labels * labels, "transitions are square")
    self.labels = labels
    self.transitions = transitions
    self.scale = scale
  }

  /// With factored transitions, `left · rightᵀ`.
  ///
  /// - Parameters:
  ///   - left: `[labels, rank]`, as it is used (bert4keras multiplies each factor).
  ///   - right: `[labels, rank]`.
  public init(left: [Float], right: [Float], labels: Int, scale: Double = 0.5) {
    precondition(labels > 0 && left.count == right.count && left.count % labels == 0)
    let rank = left.count / labels
    var product = [Float](repeating: 0, count: labels * labels)
    for from in 0..<labels {
      for to in 0..<labels {
        var sum = 0.0
        for inner in 0..<rank {
          sum += Double(left[from * rank + inner]) * Double(right[to * rank + inner])
        }
        product[from * labels + to] = Float(sum)
      }
    }
    self.init(transitions: product, labels: labels, scale: scale)
  }

  /// What it says about one text: of ``Direction/forward`` and ``Direction/backward`` each path's score is
  /// its log-probability.
  ///
  /// - Parameter emissions: `[length, labels]`.
  public func chain(_ emissions: ArraySlice<Float>, _ direction: Direction) -> LabelChain {
    guard direction != .viterbi else {
      return LinearChain(transitions: transitions, labels: labels).chain(emissions)
    }
    let length = emissions.count / labels
    var unary = [Double](repeating: 0, count: length * labels)
    var pairs = [Double](repeating: 0, count: max(length - 1, 0) * labels * labels)
    guard length > 0 else { return LabelChain(unary: [], pairs: [], labels: labels) }
    let e = emissions.map { Double($0) }
    let share = direction == .average ? 0.5 : 1
    var terms = [Double](repeating: 0, count: labels)

    /// Adds the logarithms of the softmax over the terms.
    func add(to sums: inout [Double], at place: (Int) -> Int) {
      let total = LabelChain.logSum(terms[...])
      for label in 0..<labels { sums[place(label)] += share * (terms[label] - total) }
    }
    if direction != .backward {
      for label in 0..<labels { terms[label] = e[label] }
      add(to: &unary) { $0 }
      for t in 1..<max(length, 1) {
        for from in 0..<labels {
          for to in 0..<labels {
            terms[to] = scale * (e[t * labels + to] + Double(transitions[from * labels + to]))
          }
          add(to: &pairs) { ((t - 1) * labels + from) * labels + $0 }
        }
      }
    }
    if direction != .forward {
      for label in 0..<labels { terms[label] = e[(length - 1) * labels + label] }
      add(to: &unary) { (length - 1) * labels + $0 }
      for t in 1..<max(length, 1) {
        for to in 0..<labels {
          for from in 0..<labels {
            terms[from] =
              scale * (e[(t - 1) * labels + from] + Double(transitions[from * labels + to]))
          }
          add(to: &pairs) { ((t - 1) * labels + $0) * labels + to }
        }
      }
    }
    return LabelChain(unary: unary, pairs: pairs, labels: labels)
  }
}
