import Checkpoint

/// The distribution that a token is drawn from.
public struct Sampler: Sendable {
  public let rule: Decoding.Rule
  public let temperature: Double
  public let topK: Int?
  public let topP: Double?

  public init(_ decoding: Decoding) {
    rule = decoding.rule
    temperature = decoding.temperature
    topK = decoding.topK
    topP = decoding.topP
  }

  /// The tokens that can be drawn and their probabilities, which sum up to 1.
  ///
  /// Temperature first, then the `topK` likeliest, then of these the likeliest up to and with the one that
  /// brings the sum to `topP`. bert4keras takes exactly `topK` tokens, transformers also those as likely as the
  /// last; equal ones come in the order of their ids.
  public func distribution(_ logits: ArraySlice<Float>) -> [(id: Int32, probability: Double)] {
    let scaled = Logits.scaled(logits, temperature)
    var ids = Array(scaled.indices)
    if let topK, topK < scaled.count {
      ids = Logits.largest(topK, of: scaled[...])
      if rule == .transformers, let last = ids.last {
        ids = scaled.indices.filter { scaled[$0] >= scaled[last] }
      }
    }
    if topP != nil { ids.sort { (-scaled[$0], $0) < (-scaled[$1], $1) } }
    let kept = ids.map { scaled[$0] }
    var probabilities = Logits.softmax(kept[...])
    if let topP {
      let count =
        rule == .bert4keras
        ? countAscending(probabilities, topP) : countDescending(probabilities, topP)
      ids.removeLast(ids.count - count)
      probabilities.removeLast(probabilities.count - count)
    }
    let sum = probabilities.reduce(0.0) { $0 + Double($1) }
    return zip(ids, probabilities).filter { $0.1 > 0 }.map {
      (Int32($0.0), Double($0.1) / sum)
    }
  }

  /// bert4keras: tokens until the sum, from the likeliest on in Float32, has reached `share`.
  private func countAscending(_ probabilities: [Float], _ share: Double) -> Int {
    var sum: Float = 0
    for (index, probability) in probabilities.enumerated() {
      sum += probability
      if sum >= Float(share) { return index + 1 }
    }
    return probabilities.count
  }

  /// transformers: without the least likely whose sum stays within 1 − `share`.
  private func countDescending(_ probabilities: [Float], _ share: Double) -> Int {
    var sum = 0.0
    var count = probabilities.count
    while count > 1 {
      sum += Double(probabilities[count - 1])
      guard Float(sum) <= Float(1 - share) else { break }
      count -= 1
    }
    return count
  }

  /// A token of a distribution.
  public static func draw(
    _ distribution: [(id: Int32, probability: Double)], _ random: inout SplitMix64
  ) -> Int32? {
    let point = random.uniform()
    var sum = 0.0
    for (id, probability) in distribution {
      sum += probability
      if point < sum { return id }
    }
    return distribution.last?.id
  }
}

extension SplitMix64 {
  /// The stream of a seed that belongs to some numbers: a text's, and a sample's of it.
  init(seed: UInt64, stream numbers: UInt64...) {
    self = numbers.reduce(SplitMix64(seed: seed)) { random, number in
      var random = random
      // Mixed twice, so that neighbouring numbers begin far apart.
      var next = SplitMix64(seed: random.next() ^ number)
      return SplitMix64(seed: next.next())
    }
  }

  /// A number of 0 ≤ x < 1, of 53 bits.
  mutating func uniform() -> Double { Double(next() >> 11) * 0x1p-53 }
}
