import Checkpoint

/// What decoders make of the logits of one row.
enum Logits {
  /// `x − log Σ exp(x)`, summed in Float64.
  static func logSoftmax(_ logits: ArraySlice<Float>) -> [Float] {
    let normalizer = logarithmOfSum(logits)
    return logits.map { Float(Double($0) - normalizer) }
  }

  /// Logits divided by a temperature that their type can hold: far below it the likeliest token is certain anyway.
  static func scaled(_ logits: ArraySlice<Float>, _ temperature: Double) -> [Float] {
    guard temperature != 1 else { return Array(logits) }
    let divisor = Float(min(max(temperature, 1e-30), 1e30))
    return logits.map { $0 / divisor }
  }

  static func softmax(_ logits: ArraySlice<Float>, temperature: Double = 1) -> [Float] {
    let scaled = scaled(logits, temperature)
    let largest = Double(scaled.max() ?? 0)
    let exponentials = scaled.map { Double.exp(Double($0) - largest) }
    let sum = exponentials.reduce(0, +)
    return exponentials.map { Float($0 / sum) }
  }

  /// `log Σ exp(x)`.
  static func logarithmOfSum(_ logits: ArraySlice<Float>) -> Double {
    let largest = Double(logits.max() ?? 0)
    guard largest.isFinite else { return largest }
    return largest + Double.log(logits.reduce(0.0) { $0 + Double.exp(Double($1) - largest) })
  }

  /// The indices of the largest, the largest first, from 0; of equal ones the lower index comes first.
  ///
  /// NaN counts as less than everything.
  static func largest(_ count: Int, of values: ArraySlice<Float>) -> [Int] {
    largest(count, of: values.count) { Double(values[values.startIndex + $0]) }
  }

  /// The index of the largest, from 0, and how far the next one is behind; `nil` where there is none.
  static func best(_ values: ArraySlice<Float>) -> (index: Int, margin: Double?)? {
    let best = largest(2, of: values)
    guard let first = best.first else { return nil }
    func value(_ index: Int) -> Double { Double(values[values.startIndex + index]) }
    return (first, best.count < 2 ? nil : value(first) - value(best[1]))
  }

  static func largest(
    _ count: Int, of total: Int, _ value: (Int) -> Double
  ) -> [Int] {
    guard count > 0 else { return [] }
    // Candidates are gathered, and sorted and cut when there are many: linear in `total` for any count.
    let full = max(64, min(count, total).multipliedReportingOverflow(by: 2).partialValue)
    var kept: [(index: Int, value: Double)] = []
    kept.reserveCapacity(min(full, total))
    var least = -Double.infinity
    func cut() {
      kept.sort { ($1.value, $0.index) < ($0.value, $1.index) }
      if kept.count > count { kept.removeLast(kept.count - count) }
    }
    for index in 0..<total {
      let given = value(index)
      let value = given.isNaN ? -.infinity : given
      // Of equal ones the earlier, which is there already.
      if kept.count >= count, value <= least { continue }
      kept.append((index, value))
      if kept.count == count || kept.count == full {
        cut()
        least = kept.last?.value ?? least
      }
    }
    cut()
    return kept.map(\.index)
  }
}

extension ArraySlice<Float> {
  /// The places of the `count` largest, the largest first; equal ones in order, NaN never.
  func largest(_ count: Int) -> [Int] {
    Logits.largest(count, of: self).map { startIndex + $0 }.filter { !self[$0].isNaN }
  }
}

/// What changes scores before a token is chosen, in transformers' order: repetition, n-grams, length.
struct Constraints: Sendable {
  let penalty: Float
  let size: Int
  /// Ends are barred until there are so many new tokens.
  let minNewTokens: Int
  let ends: Set<Int32>

  init(_ decoding: Decoding) {
    penalty = Float(decoding.repetitionPenalty)
    size = decoding.noRepeatNGram
    // bert4keras goes on behind an end that comes too early.
    minNewTokens = decoding.rule == .transformers ? decoding.minLength : 0
    ends = decoding.ends
  }

  private var isNone: Bool { penalty == 1 && size == 0 && minNewTokens == 0 }

  /// - Parameters:
  ///   - scores: logits or log-probabilities of the next token.
  ///   - history: the tokens before it.
  ///   - new: how many of them are new.
  func apply(to scores: inout [Float], history: [Int32], new: Int) {
    guard !isNone else { return }
    if penalty != 1 {
      for token in Set(history) where scores.indices.contains(Int(token)) {
        let score = scores[Int(token)]
        scores[Int(token)] = score < 0 ? score * penalty : score / penalty
      }
    }
    if size > 0, history.count >= size {
      let prefix = history.suffix(size - 1)
      for start in 0...(history.count - size)
      where history[start..<(start + size - 1)].elementsEqual(prefix) {
        let banned = Int(history[start + size - 1])
        if scores.indices.contains(banned) { scores[banned] = -.infinity }
      }
    }
    if new < minNewTokens {
      for end in ends where scores.indices.contains(Int(end)) { scores[Int(end)] = -.infinity }
    }
  }
}
