import Glibc

/// Beam search as transformers 5.23 does it: `GenerationMixin._beam_search`, without sampling.
///
/// A finished sequence's score is Σ log p divided by its length to the power of the length penalty. Beams that
/// run and sequences that have finished are kept apart; ``Decoding/EarlyStopping`` says when no more is expected
/// of the running ones. Scores are Float32, as there. Of equal scores the earlier beam and the lower id come
/// first; in the library `topk` leaves their order open.
struct BeamSearch: Search {
  private struct Beam {
    var ids: [Int32]
    var score: Float
    var hasEnded = false
    /// Whether it is a sequence that has finished, not a place for one.
    var isSequence = true
  }

  private let decoding: Decoding
  private let constraints: Constraints
  private let history: [Int32]
  private let room: Int
  private var running: [Beam]
  private var finished: [Beam]
  private var canImprove = true
  private var steps = 0
  private var margin = Double.infinity

  private static let nothing: Float = -1e9

  init(_ decoding: Decoding, _ request: DecodingRequest) {
    self.decoding = decoding
    constraints = Constraints(decoding)
    history = request.history
    room = min(request.room, decoding.maxNewTokens)
    // All begin as the prompt; only the first counts, so that they become different.
    running = (0..<decoding.beams).map {
      Beam(ids: [], score: $0 == 0 ? 0 : BeamSearch.nothing)
    }
    finished = running.map { _ in
      Beam(ids: [], score: BeamSearch.nothing, isSequence: false)
    }
  }

  /// The finished sequences, the best first.
  var results: [Generated] {
    let sequences = finished.filter(\.isSequence)
    return sequences.prefix(decoding.returns).enumerated().map { index, beam in
      var margin = margin
      for neighbour in [index - 1, index + 1] where sequences.indices.contains(neighbour) {
        margin = min(margin, abs(Double(beam.score) - Double(sequences[neighbour].score)))
      }
      return Generated(
        ids: beam.ids, score: Double(beam.score), isFinished: beam.hasEnded,
        margin: margin.isFinite ? margin : nil)
    }
  }

  mutating func advance(_ logits: [ArraySlice<Float>]) -> [Continuation] {
    guard steps < room, let size = logits.first?.count, size > 0 else { return [] }
    let beams = decoding.beams
    let isFirst = steps == 0
    // At the first step there is one row, which all beams have.
    let scores = (isFirst ? Array(running.prefix(1)) : running).enumerated().map { row, beam in
      var scores = Logits.logSoftmax(logits[row])
      constraints.apply(to: &scores, history: history + beam.ids, new: beam.ids.count)
      return scores
    }
    func score(_ index: Int) -> Float {
      scores[isFirst ? 0 : index / size][index % size] + running[index / size].score
    }
    let count = max(2, 1 + decoding.ends.count) * beams
    steps += 1
    let isLast = steps == room
    let candidates = Logits.largest(count + 1, of: beams * size) { Double(score($0)) }
    note(candidates.prefix(count + 1).map { Double(score($0)) }, at: count)
    let best = candidates.prefix(count).map { index in
      (
        parent: index / size,
        beam: Beam(
          ids: running[index / size].ids + [Int32(index % size)], score: score(index),
          hasEnded: decoding.ends.contains(Int32(index % size)))
      )
    }
    // What goes on: the best that have not ended.
    let going = best.map { $0.beam.score + (isLast || $0.beam.hasEnded ? BeamSearch.nothing : 0) }
    let order = Logits.largest(beams + 1, of: going[...])
    note(order.map { Double(going[$0]) }, at: beams)
    let next = order.prefix(beams).map { index in
      (
        parent: best[index].parent,
        beam: Beam(ids: best[index].beam.ids, score: going[index], hasEnded: false)
      )
    }
    collect(best.prefix(beams).map(\.beam), isLast)
    running = next.map(\.beam)
    canImprove = canImprove && mayImprove
    let isFull = decoding.earlyStopping == .true && finished.allSatisfy(\.isSequence)
    guard canImprove, !isFull, !isLast, !best.allSatisfy(\.beam.hasEnded) else { return [] }
    return next.map {
      Continuation(parent: isFirst ? 0 : $0.parent, token: $0.beam.ids.last ?? 0)
    }
  }

  /// Takes what has just ended among the best into the finished ones.
  private mutating func collect(_ best: [Beam], _ isLast: Bool) {
    let isFull = decoding.earlyStopping == .true && finished.allSatisfy(\.isSequence)
    let divisor = Float(pow(Double(steps), decoding.lengthPenalty))
    let fresh = best.map { beam in
      var beam = beam
      beam.isSequence = beam.hasEnded || isLast
      beam.score /= divisor
      if isFull { beam.score += BeamSearch.nothing }
      if !canImprove { beam.score += BeamSearch.nothing }
      if !beam.isSequence { beam.score += BeamSearch.nothing }
      return beam
    }
    let merged = finished + fresh
    let scores = merged.map(\.score)
    let order = Logits.largest(decoding.beams + 1, of: scores[...])
    if let last = order.last, order.count > decoding.beams, merged[last].isSequence {
      note(order.map { Double(scores[$0]) }, at: decoding.beams)
    }
    finished = order.prefix(decoding.beams).map { merged[$0] }
  }

  /// Whether the best running beam may still come before the worst finished one.
  private var mayImprove: Bool {
    let length =
      decoding.earlyStopping == .never && decoding.lengthPenalty > 0 ? room : steps
    let hope =
      (running.first?.score ?? BeamSearch.nothing)
      / Float(pow(Double(length), decoding.lengthPenalty))
    let worst = finished.map(\.score).min() ?? BeamSearch.nothing
    return finished.contains { hope > ($0.isSequence ? worst : BeamSearch.nothing) }
  }

  /// Remembers the gap between the last that is kept and the first that is not.
  private mutating func note(_ scores: [Double], at count: Int) {
    guard scores.count > count, count > 0, scores[count] > Double(BeamSearch.nothing) / 2 else {
      return
    }
    margin = min(margin, scores[count - 1] - scores[count])
  }
}
