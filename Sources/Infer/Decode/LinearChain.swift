import Checkpoint

/// A linear-chain conditional random field (Lafferty, McCallum, Pereira 2001), decoded.
///
/// `score(y) = start[y₁] + Σₜ emissions[t, yₜ] + Σₜ transitions[yₜ, yₜ₊₁] + end[y_T]`,
/// `p(y) = exp(score(y)) / Σ exp(score(y′))`: bert4keras' `ConditionalRandomField` (start and end are
/// 0; `starts` and `ends` of its `ViterbiDecoder` are ``limited(starts:ends:)``), and torchcrf's `CRF`.
public struct LinearChain: Sendable {
  /// The number of labels.
  public let labels: Int
  /// `[labels, labels]`, from → to.
  public let transitions: [Float]
  /// Scores of the first label and of the last one, `[labels]` each.
  public private(set) var start: [Float]
  public private(set) var end: [Float]

  /// The transitions in Float64.
  private let pairs: [Double]
  /// The transitions to four labels at a time, for each four of them from every label.
  private let columns: [SIMD4<Float>]
  private var groups: Int { (labels + 3) / 4 }

  /// - Parameters:
  ///   - transitions: `[labels, labels]`, from → to, as they are used (a stored one times its
  ///     `lr_multiplier`).
  ///   - start: scores of the first label; 0 by default.
  ///   - end: scores of the last label; 0 by default.
  /// - Precondition: the sizes fit, and there is a label.
  public init(transitions: [Float], labels: Int, start: [Float]? = nil, end: [Float]? = nil) {
    precondition(labels > 0 && transitions.count == labels * labels, "transitions are square")
    let none = [Float](repeating: 0, count: labels)
    precondition([start, end].allSatisfy { $0.map { $0.count == labels } ?? true })
    self.labels = labels
    self.transitions = transitions
    self.start = start ?? none
    self.end = end ?? none
    pairs = transitions.map { Double($0) }
    columns = (0..<((labels + 3) / 4)).flatMap { group in
      (0..<labels).map { from in
        var four = SIMD4<Float>.zero
        for lane in 0..<min(4, labels - 4 * group) {
          four[lane] = transitions[from * labels + 4 * group + lane]
        }
        return four
      }
    }
  }

  /// keras-contrib's `CRF`, whose weights are energies: a path's is smallest where its score is largest, so
  /// give the negated energies of its inputs as emissions.
  ///
  /// For input with a mask leave `right` out, which its code adds only to input without one. Without a
  /// mask its decoder begins one label behind the last and may return a path that is not the best.
  ///
  /// - Parameters:
  ///   - kernel: `chain_kernel`, `[labels, labels]`, from → to.
  ///   - left: `left_boundary`; `nil` without `use_boundary`.
  ///   - right: `right_boundary`.
  public static func kerasContrib(
    kernel: [Float], labels: Int, left: [Float]? = nil, right: [Float]? = nil
  ) -> LinearChain {
    LinearChain(
      transitions: kernel.map { -$0 }, labels: labels, start: left.map { $0.map { -$0 } },
      end: right.map { $0.map { -$0 } })
  }

  /// The same where the first and the last label are among these; any when `nil`.
  public func limited(starts: [Int]?, ends: [Int]?) -> LinearChain {
    var copy = self
    for label in 0..<labels {
      if let starts, !starts.contains(label) { copy.start[label] = -.infinity }
      if let ends, !ends.contains(label) { copy.end[label] = -.infinity }
    }
    return copy
  }

  /// What it says about one text.
  ///
  /// - Parameter emissions: `[length, labels]`.
  public func chain(_ emissions: ArraySlice<Float>) -> LabelChain {
    var unary = emissions.map { Double($0) }
    for label in 0..<(unary.isEmpty ? 0 : labels) {
      unary[label] += Double(start[label])
      unary[unary.count - labels + label] += Double(end[label])
    }
    return LabelChain(unary: unary, pairs: pairs, labels: labels)
  }

  // MARK: - Viterbi

  /// The best path, by additions in Float32 in the order of bert4keras and torchcrf, so that ties
  /// and what rounding decides fall as there.
  ///
  /// Its score is summed in Float64.
  ///
  /// - Parameter emissions: `[length, labels]`.
  public func best(_ emissions: ArraySlice<Float>) -> LabelPath {
    let path = emissions.withUnsafeBufferPointer { viterbi($0) }
    var score = 0.0
    for (t, label) in path.enumerated() {
      score += Double(emissions[emissions.startIndex + t * labels + label])
      if t > 0 { score += Double(transitions[path[t - 1] * labels + label]) }
    }
    if let first = path.first, let last = path.last {
      score += Double(start[first]) + Double(end[last])
    }
    return LabelPath(path, score: score)
  }

  /// The best paths of texts in a batch.
  ///
  /// - Parameters:
  ///   - emissions: `[batch, length, labels]`.
  ///   - lengths: how many positions of each row count.
  ///   - threads: as many as there are processors unless given.
  public func best(
    _ emissions: NDArray<Float>, lengths: [Int], threads: Int? = nil
  ) throws -> [LabelPath] {
    let row = emissions.shape.count == 3 ? emissions.shape[1] * labels : 0
    guard emissions.shape.count == 3, emissions.shape[2] == labels,
      lengths.count == emissions.shape[0], lengths.allSatisfy({ 0...emissions.shape[1] ~= $0 })
    else {
      throw InferError(
        .input, "emissions",
        "have the shape \(emissions.shape) for \(lengths.count) lengths; expected "
          + "[batch, length, \(labels)]")
    }
    // Texts are short work: several for each thread's turn.
    let turn = 8
    return try Parallel.map((lengths.count + turn - 1) / turn, threads: threads, with: {}) {
      index, _ throws(CheckpointError) in
      (index * turn..<min((index + 1) * turn, lengths.count)).map {
        best(emissions.values[($0 * row)..<($0 * row + lengths[$0] * labels)])
      }
    }.flatMap(\.self)
  }

  private func viterbi(_ emissions: UnsafeBufferPointer<Float>) -> [Int] {
    let length = emissions.count / labels
    guard length > 0, let base = emissions.baseAddress else { return [] }
    let groups = groups
    var scores = (0..<(4 * groups)).map { $0 < labels ? base[$0] + start[$0] : -.infinity }
    var next = scores
    var origins = [SIMD4<Int32>](repeating: .zero, count: (length - 1) * groups)
    columns.withUnsafeBufferPointer { columns in
      origins.withUnsafeMutableBufferPointer { origins in
        for t in 1..<max(length, 1) {
          let row = base + t * labels
          for group in 0..<groups {
            var emission = SIMD4<Float>.zero
            if 4 * group + 4 <= labels {
              emission = UnsafeRawPointer(row + 4 * group).loadUnaligned(as: SIMD4<Float>.self)
            } else {
              for lane in 0..<(labels - 4 * group) { emission[lane] = row[4 * group + lane] }
            }
            var best = SIMD4<Float>(repeating: -.infinity)
            var origin = SIMD4<Int32>.zero
            scores.withUnsafeBufferPointer { scores in
              for from in 0..<labels {
                let score =
                  (SIMD4(repeating: scores[from]) + columns[group * labels + from]) + emission
                let isBetter = score .> best
                best.replace(with: score, where: isBetter)
                origin.replace(
                  with: SIMD4(repeating: Int32(truncatingIfNeeded: from)), where: isBetter)
              }
            }
            for lane in 0..<4 { next[4 * group + lane] = best[lane] }
            origins[(t - 1) * groups + group] = origin
          }
          swap(&scores, &next)
        }
      }
    }
    var label = 0
    var best = -Float.infinity
    for last in 0..<labels where scores[last] + end[last] > best {
      (label, best) = (last, scores[last] + end[last])
    }
    var path = [Int](repeating: label, count: length)
    for t in stride(from: length - 1, to: 0, by: -1) {
      label = Int(origins[(t - 1) * groups + label / 4][label % 4])
      path[t - 1] = label
    }
    return path
  }
}
