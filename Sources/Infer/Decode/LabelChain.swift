import Glibc

/// Labels for a sequence, one per position, with the sum of what speaks for them.
public struct LabelPath: Sendable, Equatable {
  public var labels: [Int]
  public var score: Double

  public init(_ labels: [Int], score: Double) {
    self.labels = labels
    self.score = score
  }
}

/// Every way of labelling a sequence, each with a score that is a sum over positions and neighbours:
/// `score(y) = Σₜ unary[t, yₜ] + Σₜ pairs[t, yₜ, yₜ₊₁]`, in Float64.
///
/// What a CRF or an MEMM says about one text (``LinearChain/chain(_:length:)``,
/// ``MarkovModel/chain(_:length:_:)``). A label that is not allowed somewhere scores −∞ there.
/// Of paths with equal scores the one that has the smaller label at the last position where they
/// differ comes first, as by the backward pointers of bert4keras' `ViterbiDecoder` and of torchcrf.
public struct LabelChain: Sendable {
  /// The number of positions.
  public let length: Int
  /// The number of labels.
  public let labels: Int
  /// `[length, labels]`.
  public private(set) var unary: [Double]
  /// `[length − 1, labels, labels]`, from → to, or one `[labels, labels]` for every place.
  let pairs: [Double]
  private let step: Int

  /// - Parameter pairs: `[labels, labels]` for all places, or `[length − 1, labels, labels]`.
  /// - Precondition: the sizes fit, and there is a label.
  public init(unary: [Double], pairs: [Double], labels: Int) {
    precondition(labels > 0 && unary.count % labels == 0, "scores are [length, labels]")
    self.labels = labels
    length = unary.count / labels
    let square = labels * labels
    precondition(
      pairs.count == square || pairs.count == max(length - 1, 0) * square,
      "neighbours' scores are [labels, labels], once or for each place")
    step = pairs.count == square ? 0 : square
    self.unary = unary
    self.pairs = pairs
  }

  /// The scores of neighbours at `t` and `t + 1`, from → to.
  @inline(__always)
  func pair(_ t: Int, _ from: Int, _ to: Int) -> Double {
    pairs[t * step + from * labels + to]
  }

  /// The same where the first and the last label are among these; any when `nil`.
  public func limited(starts: [Int]?, ends: [Int]?) -> LabelChain {
    guard length > 0 else { return self }
    var copy = self
    for label in 0..<labels {
      if let starts, !starts.contains(label) { copy.unary[label] = -.infinity }
      if let ends, !ends.contains(label) {
        copy.unary[(length - 1) * labels + label] = -.infinity
      }
    }
    return copy
  }

  /// The score of a path.
  ///
  /// - Precondition: there is a label for every position.
  public func score(of path: [Int]) -> Double {
    precondition(path.count == length, "a path has a label for every position")
    var score = 0.0
    for (t, label) in path.enumerated() {
      score += unary[t * labels + label]
      if t > 0 { score += pair(t - 1, path[t - 1], label) }
    }
    return score
  }

  // MARK: - Best paths

  /// The best paths, the best first: exactly, by keeping as many for each label at each position.
  ///
  /// Fewer where there are not so many that are allowed.
  public func best(_ count: Int) -> [LabelPath] {
    guard length > 0, count > 0 else { return count > 0 ? [LabelPath([], score: 0)] : [] }
    guard count > 1 else { return best.map { [$0] } ?? [] }
    /// A way to a label: its score, and the way that it goes on from.
    struct Way {
      var score: Double
      var origin: Int32
    }
    // The ways to all labels of a position, one label after the other; `starts` tells where each begins.
    var ways = (0..<labels).map { Way(score: unary[$0], origin: -1) }.filter {
      $0.score > -.infinity
    }
    var starts = [0]
    for label in 0..<labels { starts.append(starts[label] + (unary[label] > -.infinity ? 1 : 0)) }
    var origins: [[Int32]] = []
    var endings: [[Int]] = [starts]
    var heads = [Int](repeating: 0, count: labels)
    for t in 1..<max(length, 1) {
      var next: [Way] = []
      var nextStarts = [0]
      for to in 0..<labels {
        let own = unary[t * labels + to]
        for from in 0..<labels { heads[from] = starts[from] }
        for _ in 0..<(own > -.infinity ? count : 0) {
          var best = -Double.infinity
          var chosen = -1
          for from in 0..<labels where heads[from] < starts[from + 1] {
            let score = ways[heads[from]].score + pair(t - 1, from, to) + own
            if score > best { (best, chosen) = (score, from) }
          }
          guard chosen >= 0 else { break }
          next.append(Way(score: best, origin: Int32(heads[chosen])))
          heads[chosen] += 1
        }
        nextStarts.append(next.count)
      }
      origins.append(next.map(\.origin))
      endings.append(nextStarts)
      (ways, starts) = (next, nextStarts)
    }
    // The best of all labels' ways; each label's are in order already.
    for label in 0..<labels { heads[label] = starts[label] }
    var paths: [LabelPath] = []
    while paths.count < count {
      var chosen = -1
      for label in 0..<labels where heads[label] < starts[label + 1] {
        if chosen < 0 || ways[heads[label]].score > ways[heads[chosen]].score { chosen = label }
      }
      guard chosen >= 0 else { break }
      var path = [Int](repeating: 0, count: length)
      var way = heads[chosen]
      for t in stride(from: length - 1, through: 0, by: -1) {
        path[t] = LabelChain.label(of: way, endings[t])
        if t > 0 { way = Int(origins[t - 1][way]) }
      }
      paths.append(LabelPath(path, score: ways[heads[chosen]].score))
      heads[chosen] += 1
    }
    return paths
  }

  /// The label whose ways hold that one: the last that begins at or before it and is not empty.
  private static func label(of way: Int, _ starts: [Int]) -> Int {
    var (low, high) = (0, starts.count - 1)
    while low + 1 < high {
      let middle = (low + high) / 2
      if starts[middle] <= way { low = middle } else { high = middle }
    }
    return low
  }

  /// The best path; `nil` where none is allowed.
  public var best: LabelPath? {
    guard length > 0 else { return LabelPath([], score: 0) }
    var scores = Array(unary[..<labels])
    var origins: [[Int32]] = []
    for t in 1..<max(length, 1) {
      var next = [Double](repeating: -.infinity, count: labels)
      var origin = [Int32](repeating: 0, count: labels)
      advance(scores, to: t, &next) { to, from in origin[to] = from }
      origins.append(origin)
      scores = next
    }
    var label = 0
    for other in 0..<labels where scores[other] > scores[label] || scores[label].isNaN {
      label = other
    }
    guard scores[label] > -.infinity else { return nil }
    let score = scores[label]
    var path = [Int](repeating: label, count: length)
    for t in stride(from: length - 1, to: 0, by: -1) {
      label = Int(origins[t - 1][label])
      path[t - 1] = label
    }
    return LabelPath(path, score: score)
  }

  /// How far a path is ahead of the best other one; `nil` where there is no other.
  ///
  /// 0 when another path is better, which happens within Float32's rounding.
  ///
  /// One pass: beside the path's own score goes the best one, for each label, of the ways that have
  /// left the path already.
  ///
  /// - Precondition: there is a label for every position.
  public func margin(of path: [Int]) -> Double? {
    precondition(path.count == length, "a path has a label for every position")
    guard let first = path.first else { return nil }
    var own = unary[first]
    var others = Array(unary[..<labels])
    others[first] = -.infinity
    var next = others
    for t in 1..<max(length, 1) {
      let (from, label) = (path[t - 1], path[t])
      for to in 0..<labels { next[to] = own + pair(t - 1, from, to) + unary[t * labels + to] }
      (own, next[label]) = (next[label], -.infinity)
      advance(others, to: t, &next) { _, _ in }
      swap(&others, &next)
    }
    var other = -Double.infinity
    for score in others where score > other { other = score }
    return other > -.infinity ? max(0, own - other) : nil
  }

  /// The best score of each label at a position, of those that `next` holds and of the ways that go on
  /// from `scores` at the position before; NaN counts for nothing.
  ///
  /// - Parameter improve: told each label whose score went up, and the one it comes from.
  @inline(__always)
  private func advance(
    _ scores: [Double], to t: Int, _ next: inout [Double], _ improve: (Int, Int32) -> Void
  ) {
    pairs.withUnsafeBufferPointer { pairs in
      unary.withUnsafeBufferPointer { unary in
        next.withUnsafeMutableBufferPointer { next in
          for from in 0..<labels where scores[from] > -.infinity {
            let score = scores[from]
            let row = (t - 1) * step + from * labels
            for to in 0..<labels {
              let sum = score + pairs[row + to] + unary[t * labels + to]
              if sum > next[to] {
                next[to] = sum
                improve(to, Int32(truncatingIfNeeded: from))
              }
            }
          }
        }
      }
    }
  }

  // MARK: - Sums over all paths

  /// `log Σ_y exp(score(y))`; −∞ when nothing is allowed.
  public var logPartition: Double {
    guard length > 0 else { return 0 }
    let last = forward().suffix(labels)
    return LabelChain.logSum(last)
  }

  /// The probability of each label at each position, `[length, labels]`.
  ///
  /// `p(yₜ = k) = Σ_{y: yₜ = k} exp(score(y)) / Σ_y exp(score(y))`. NaN when nothing is allowed.
  public var marginals: [Double] {
    guard length > 0 else { return [] }
    let alpha = forward()
    let total = LabelChain.logSum(alpha.suffix(labels))
    var result = [Double](repeating: 0, count: length * labels)
    var beta = [Double](repeating: 0, count: labels)
    var terms = beta
    for t in stride(from: length - 1, through: 0, by: -1) {
      for label in 0..<labels {
        // Rounding may go a little beyond 1.
        let probability = exp(alpha[t * labels + label] + beta[label] - total)
        result[t * labels + label] = probability > 1 ? 1 : probability
      }
      guard t > 0 else { break }
      var next = beta
      for from in 0..<labels {
        for to in 0..<labels {
          terms[to] = pair(t - 1, from, to) + unary[t * labels + to] + beta[to]
        }
        next[from] = LabelChain.logSum(terms[...])
      }
      beta = next
    }
    return result
  }

  /// `[length, labels]`: log of the sum over all beginnings that end with a label at a position.
  private func forward() -> [Double] {
    var alpha = unary
    var terms = [Double](repeating: 0, count: labels)
    for t in 1..<max(length, 1) {
      for to in 0..<labels {
        for from in 0..<labels {
          terms[from] = alpha[(t - 1) * labels + from] + pair(t - 1, from, to)
        }
        alpha[t * labels + to] += LabelChain.logSum(terms[...])
      }
    }
    return alpha
  }

  static func logSum(_ terms: ArraySlice<Double>) -> Double {
    guard let largest = terms.max(), largest > -.infinity else { return -.infinity }
    guard largest < .infinity else { return largest }
    return log(terms.reduce(0) { $0 + exp($1 - largest) }) + largest
  }
}
