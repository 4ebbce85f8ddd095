import Checkpoint

/// Beam search as bert4keras 0.11.5 does it: `AutoRegressiveDecoder.beam_search`.
///
/// A sequence's score is Σ log(p + 1e-12), not divided by its length. At each step the best `topk` are kept;
/// when the best of them has ended, it is the answer, whatever the others might become; else those that have
/// ended are dropped, and the beam is that much narrower from then on. With one beam this is greedy decoding.
///
/// p and its logarithm are Float32 and their sum Float64, as NumPy has them. Of equal scores the earlier row
/// and the lower id come first; in the library `argpartition` leaves their order open.
struct Bert4kerasBeamSearch: Search {
  private struct Row {
    /// With the start tokens, in which ends count too.
    var output: [Int32]
    var score: Double
  }

  private let decoding: Decoding
  private let constraints: Constraints
  private let history: [Int32]
  private let begin: Int
  private let room: Int
  private var width: Int
  private var rows: [Row]
  private var steps = 0
  private var margin = Double.infinity
  private(set) var result: Generated?

  init(_ decoding: Decoding, _ request: DecodingRequest) {
    self.decoding = decoding
    constraints = Constraints(decoding)
    history = request.history
    begin = request.prompt.targets.count
    room = min(request.room, decoding.maxNewTokens)
    width = decoding.beams
    rows = [Row(output: request.prompt.targets, score: 0)]
  }

  mutating func advance(_ logits: [ArraySlice<Float>]) -> [Continuation] {
    guard steps < room else {
      result = result ?? Generated(ids: [], score: 0, isFinished: false)
      return []
    }
    let size = logits.first?.count ?? 0
    let scores = zip(logits, rows).map { logarithms(of: $0, after: $1.output) }
    let order = Logits.largest(width + 1, of: logits.count * size) { index in
      rows[index / size].score + Double(scores[index / size][index % size])
    }
    let best = order.map { index -> (row: Int, candidate: Row) in
      let (row, token) = (index / size, index % size)
      let output = rows[row].output + [Int32(token)]
      return (row, Row(output: output, score: rows[row].score + Double(scores[row][token])))
    }
    var kept = Array(best.prefix(width))
    guard let first = kept.first else { return [] }
    if best.count > width, let last = kept.last {
      margin = min(margin, last.candidate.score - best[width].candidate.score)
    }
    steps += 1
    if first.candidate.output.count >= decoding.minLength {
      let ends = kept.map { decoding.hasEnded($0.candidate.output) }
      // Which is best matters where one of the two has ended.
      if kept.count > 1, ends[0] || ends[1] || steps == room {
        margin = min(margin, first.candidate.score - kept[1].candidate.score)
      }
      if ends[0] {
        finish(first.candidate)
        return []
      }
      kept = zip(kept, ends).filter { !$0.1 }.map(\.0)
      width = kept.count
    }
    rows = kept.map(\.candidate)
    guard steps < room else {
      // The best that has not ended: those that have were dropped.
      finish(rows[0])
      return []
    }
    return kept.map {
      Continuation(parent: $0.row, token: $0.candidate.output.last ?? 0)
    }
  }

  private mutating func finish(_ row: Row) {
    result = Generated(
      ids: Array(row.output.dropFirst(begin)), score: row.score,
      isFinished: decoding.hasEnded(row.output),
      margin: margin.isFinite ? margin : nil)
  }

  /// log(p + 1e-12) of each token; constraints, which the library has none of, change the logits.
  private func logarithms(of logits: ArraySlice<Float>, after output: [Int32]) -> [Float] {
    var logits = Array(logits)
    constraints.apply(
      to: &logits, history: history + output.dropFirst(begin), new: output.count - begin)
    return Logits.softmax(logits[...], temperature: decoding.temperature)
      .map { Float.log($0 + 1e-12) }
  }
}
