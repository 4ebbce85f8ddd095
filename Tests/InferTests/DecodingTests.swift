import Checkpoint
import Glibc
import Testing

@testable import Infer

/// Decoding against what its definitions give, on a model small enough to try everything.
@Suite struct DecodingTests {
  /// A model whose next token depends on the last one only: a table of logits.
  final class Bigrams: StepModel {
    let vocabularySize: Int
    let limit: Int? = nil
    private(set) var steps = 0
    let table: [[Float]]
    private var last: [Int32] = []

    init(_ size: Int, seed: UInt64) {
      var random = SplitMix64(seed: seed)
      vocabularySize = size
      table = (0..<size).map { _ in
        (0..<size).map { _ in Float(random.uniform() * 6 - 3) }
      }
    }

    func start(_ prompts: [Prompt]) throws -> NDArray<Float> {
      last = prompts.map { $0.targets.last ?? $0.tokens.last ?? 0 }
      return logits
    }

    func advance(_ parents: [Int], _ tokens: [Int32]) throws -> NDArray<Float> {
      steps += 1
      last = tokens
      return logits
    }

    private var logits: NDArray<Float> {
      NDArray(shape: [last.count, vocabularySize], values: last.flatMap { table[Int($0)] })
    }

    func logarithms(after token: Int32) -> [Double] {
      let row = table[Int(token)].map(Double.init)
      let sum = row.reduce(0) { $0 + exp($1) }
      return row.map { $0 - log(sum) }
    }
  }

  private static let end: Int32 = 1

  private func request(_ token: Int32, stream: UInt64 = 0) -> DecodingRequest {
    DecodingRequest(
      Prompt(tokens: [token], segments: [0]), history: [token], stream: stream)
  }

  private func decoding(
    _ rule: Decoding.Rule, _ change: (inout Decoding) -> Void
  ) -> Decoding {
    var decoding = Decoding(rule, ends: [DecodingTests.end])
    decoding.maxNewTokens = 4
    change(&decoding)
    return decoding
  }

  /// Every sequence that ends, or is as long as may be, with its log-probability.
  private func all(
    _ model: Bigrams, after token: Int32, most: Int
  ) -> [(ids: [Int32], score: Double)] {
    let next = model.logarithms(after: token)
    return next.indices.flatMap { id -> [(ids: [Int32], score: Double)] in
      let here = ([Int32(id)], next[id])
      guard id != Int(DecodingTests.end), most > 1 else { return [here] }
      return all(model, after: Int32(id), most: most - 1).map {
        (here.0 + $0.ids, here.1 + $0.score)
      }
    }
  }

  @Test(arguments: [0.0, 1.0, 2.0], [UInt64(1), 2, 3])
  func `a beam as wide as everything finds what is best of everything`(
    _ penalty: Double, _ seed: UInt64
  ) throws {
    let model = Bigrams(5, seed: seed)
    let every = all(model, after: 3, most: 4)
      .map { ($0.ids, $0.score / pow(Double($0.ids.count), penalty)) }.sorted { $0.1 > $1.1 }
    let found = try Decoder(
      decoding(.transformers) {
        $0.beams = 300
        $0.returns = 3
        $0.lengthPenalty = penalty
        $0.earlyStopping = .never
      })([request(3)], on: model)[0]
    #expect(found.map(\.ids) == every.prefix(3).map(\.0))
    for (one, other) in zip(found, every) { #expect(abs(one.score - other.1) < 1e-5) }
  }

  @Test func `a wide bert4keras beam ends with the first best that has ended`() throws {
    let model = Bigrams(5, seed: 4)
    let found = try #require(
      Decoder(decoding(.bert4keras) { $0.beams = 300 })([request(3)], on: model)[0].first)
    // At each length, what has ended earlier is gone: the first length whose best sequence ends wins.
    var open = [(ids: [Int32](), score: 0.0)]
    var expected: (ids: [Int32], score: Double)?
    while expected == nil, open[0].ids.count < 4 {
      let next = open.flatMap { row in
        model.logarithms(after: row.ids.last ?? 3).enumerated().map {
          (ids: row.ids + [Int32($0.offset)], score: row.score + log(exp($0.element) + 1e-12))
        }
      }.sorted { $0.score > $1.score }
      if next[0].ids.last == DecodingTests.end { expected = next[0] }
      open = next.filter { $0.ids.last != DecodingTests.end }
    }
    let best = expected ?? open[0]
    #expect(found.ids == best.ids)
    #expect(abs(found.score - best.score) < 1e-5)
  }

  @Test(arguments: Decoding.Rule.allCases)
  func `greedy decoding takes the likeliest token and tells the closest decision`(
    _ rule: Decoding.Rule
  ) throws {
    let model = Bigrams(9, seed: 5)
    let found = try Decoder(decoding(rule) { $0.maxNewTokens = 7 })([request(3)], on: model)[0][0]
    var (ids, margin, last) = ([Int32](), Double.infinity, Int32(3))
    while ids.count < 7, last != DecodingTests.end || ids.isEmpty {
      let order = model.logarithms(after: last).enumerated().sorted { $0.element > $1.element }
      margin = min(margin, order[0].element - order[1].element)
      last = Int32(order[0].offset)
      ids.append(last)
    }
    #expect(found.ids == ids)
    #expect(abs((found.margin ?? 0) - margin) < 1e-5)
    #expect(found.isFinished == (last == DecodingTests.end))
  }

  static let modes: [@Sendable (inout Decoding) -> Void] = [
    { _ in }, { $0.beams = 3 }, { $0.samples = 3 }, { ($0.samples, $0.topK) = (2, 4) },
    { ($0.beams, $0.noRepeatNGram, $0.repetitionPenalty) = (2, 2, 1.4) },
    { ($0.samples, $0.topP, $0.temperature) = (2, 0.7, 1.3) },
  ]

  @Test(arguments: Decoding.Rule.allCases, modes.indices)
  func `an answer does not depend on what is decoded beside it`(
    _ rule: Decoding.Rule, _ mode: Int
  ) throws {
    let model = Bigrams(8, seed: 6)
    let decoder = Decoder(
      decoding(rule) {
        DecodingTests.modes[mode](&$0)
        $0.maxNewTokens = 9
        $0.seed = 11
      })
    let requests = (0..<7).map { request(Int32($0 % 5 + 2), stream: UInt64($0)) }
    let together = try decoder(requests, on: model)
    for (request, answers) in zip(requests, together) {
      #expect(try decoder([request], on: model) == [answers])
    }
    #expect(try decoder(requests.reversed(), on: model) == together.reversed())
    #expect(try decoder([], on: model).isEmpty)
  }

  @Test func `many samples run some at a time, and the first of them are those of a few`() throws {
    final class Widest: StepModel {
      let inner = Bigrams(7, seed: 5)
      var rows = 0
      var vocabularySize: Int { inner.vocabularySize }
      var limit: Int? { nil }
      func start(_ prompts: [Prompt]) throws -> NDArray<Float> { try inner.start(prompts) }
      func advance(_ parents: [Int], _ tokens: [Int32]) throws -> NDArray<Float> {
        rows = max(rows, parents.count)
        return try inner.advance(parents, tokens)
      }
    }
    let requests = [request(2), request(3, stream: 1)]
    func drawn(_ count: Int) throws -> (answers: [[Generated]], rows: Int) {
      let model = Widest()
      let answers = try Decoder(decoding(.transformers) { $0.samples = count })(requests, on: model)
      return (answers, model.rows)
    }
    let (many, few) = (try drawn(700), try drawn(40))
    #expect(many.answers.map(\.count) == [700, 700] && many.rows <= 256)
    #expect(many.answers.map { Array($0.prefix(40)) } == few.answers)
  }

  @Test func `seeds, texts and samples have streams of their own`() throws {
    let model = Bigrams(8, seed: 7)
    func drawn(seed: UInt64, _ stream: UInt64) throws -> [[Int32]] {
      let decoder = Decoder(
        decoding(.transformers) {
          ($0.samples, $0.maxNewTokens, $0.seed, $0.ends) = (3, 12, seed, [])
        })
      return try decoder([request(3, stream: stream)], on: model)[0].map(\.ids)
    }
    let first = try drawn(seed: 1, 1)
    #expect(try drawn(seed: 1, 1) == first)
    let others = try [drawn(seed: 2, 1), drawn(seed: 1, 2)].flatMap(\.self) + first
    #expect(Set(others).count == others.count)
  }

  @Test(arguments: Decoding.Rule.allCases)
  func `samples have the distribution that the options define`(_ rule: Decoding.Rule) throws {
    let model = Bigrams(12, seed: 8)
    // By the definition: temperature, the 8 likeliest, of these the likeliest up to 0.85.
    let scaled = model.table[3].map { exp(Double($0) / 1.2) }
    var kept = scaled.enumerated().sorted { $0.element > $1.element }.prefix(8).map { $0 }
    let sum = kept.reduce(0) { $0 + $1.element }
    var (share, count) = (0.0, 0)
    while share < 0.85 {
      share += kept[count].element / sum
      count += 1
    }
    kept = Array(kept.prefix(count))
    let total = kept.reduce(0) { $0 + $1.element }
    let draws = 20_000
    let found = try Decoder(
      decoding(rule) {
        ($0.samples, $0.maxNewTokens, $0.seed) = (draws, 1, 3)
        ($0.temperature, $0.topK, $0.topP) = (1.2, 8, 0.85)
      })([request(3)], on: model)[0]
    let counts = Dictionary(found.map { ($0.ids[0], 1) }, uniquingKeysWith: +)
    #expect(Set(counts.keys) == Set(kept.map { Int32($0.offset) }))
    let statistic = kept.reduce(0.0) { statistic, token in
      let wanted = token.element / total * Double(draws)
      return statistic + pow(Double(counts[Int32(token.offset)] ?? 0) - wanted, 2) / wanted
    }
    // χ² passes this once in a thousand times or less with up to 7 degrees of freedom.
    #expect(statistic < 24.4, "\(statistic) of \(kept.count - 1)")
  }

  @Test func `what was said is made less likely, and no n-gram comes twice`() throws {
    let model = Bigrams(6, seed: 9)
    for seed in UInt64(0)..<20 {
      let found = try Decoder(
        decoding(.transformers) {
          ($0.samples, $0.maxNewTokens, $0.seed, $0.noRepeatNGram, $0.ends) = (1, 20, seed, 2, [])
        })([request(3)], on: model)[0][0]
      let whole = [3] + found.ids
      let pairs = zip(whole, whole.dropFirst()).map { [$0, $1] }
      #expect(Set(pairs).count == pairs.count)
    }
    var scores: [Float] = [2, -2, 1, 4]
    Constraints(decoding(.transformers) { $0.repetitionPenalty = 2 })
      .apply(to: &scores, history: [0, 1, 0], new: 0)
    #expect(scores == [1, -4, 1, 4])
  }

  @Test func `no end comes before there are enough tokens`() throws {
    let model = Bigrams(4, seed: 10)
    for beams in [1, 3] {
      let found = try Decoder(
        decoding(.transformers) { ($0.minLength, $0.beams, $0.maxNewTokens) = (3, beams, 6) }
      )([request(3)], on: model)[0]
      for answer in found { #expect(!answer.ids.prefix(3).contains(DecodingTests.end)) }
    }
    let b4k = try Decoder(
      decoding(.bert4keras) { ($0.minLength, $0.minEnds, $0.maxNewTokens) = (3, 2, 12) }
    )([request(3)], on: model)[0][0]
    #expect(b4k.ids.count >= 3)
    if b4k.isFinished { #expect(b4k.ids.count { $0 == DecodingTests.end } >= 2) }
  }

  @Test(arguments: Decoding.Rule.allCases, [0, 1, 2])
  func `a prompt without room has an empty answer`(_ rule: Decoding.Rule, _ mode: Int) throws {
    let model = Bigrams(4, seed: 11)
    var request = request(3)
    request.room = 0
    let found = try Decoder(decoding(rule, DecodingTests.modes[mode]))([request], on: model)[0]
    #expect(found.allSatisfy { $0.ids.isEmpty && !$0.isFinished })
  }

  @Test func `logits that say nothing are no crash`() throws {
    for row: [Float] in [
      [.nan, .nan, .nan], [-.infinity, -.infinity, -.infinity], [.infinity, 1, 2],
    ] {
      #expect(Logits.largest(2, of: row[...]).count == 2)
      _ = Logits.logSoftmax(row[...])
      var sampling = decoding(.transformers) { $0.topP = 0.5 }
      for rule in Decoding.Rule.allCases {
        sampling.rule = rule
        _ = Sampler(sampling).distribution(row[...])
      }
    }
    #expect(Logits.largest(2, of: [.nan, 1, .nan, 3, 3]) == [3, 4])
    // As a stable sort has it, for any count.
    var random = SplitMix64(seed: 5)
    let many = (0..<1000).map { _ in Float(random.next() % 300) }
    let sorted = many.indices.sorted { (many[$1], $0) < (many[$0], $1) }
    for count in [0, 1, 2, 63, 64, 65, 200, 999, 1000, 1001, Int.max] {
      #expect(Logits.largest(count, of: many[...]) == Array(sorted.prefix(count)), "\(count)")
    }
  }
}

/// BLEU and ROUGE-L by hand.
@Suite struct OverlapMeasureTests {
  @Test func `BLEU clips, and punishes brevity`() {
    #expect(OverlapMeasures.bleu([([1, 2, 3, 4, 5], [1, 2, 3, 4, 5])]) == 1)
    // Precisions 5/6, 3/5, 2/4, 1/3; as long as the reference.
    let value = OverlapMeasures.bleu([([1, 2, 3, 4, 9, 5], [1, 2, 3, 4, 5, 6])])
    #expect(abs(value - pow(5.0 / 6 * 3 / 5 * 2 / 4 / 3, 0.25)) < 1e-12)
    // All of four, in a reference of six.
    let short = OverlapMeasures.bleu([([1, 2, 3, 4], [1, 2, 3, 4, 5, 6])])
    #expect(abs(short - exp(-0.5)) < 1e-12)
    #expect(OverlapMeasures.bleu([([7, 7, 7, 7], [7, 1, 2, 3])]) == 0)
    #expect(OverlapMeasures.bleu([([], [1])]) == 0)
  }

  @Test func `ROUGE-L is the F1 of the longest common subsequence`() {
    #expect(OverlapMeasures.rougeL([1, 9, 2, 3], [1, 2, 8, 3, 4]) == 2 * 3.0 / 9)
    #expect(OverlapMeasures.rougeL([3, 2, 1], [1, 2, 3]) == 2 * 1.0 / 6)
    #expect(OverlapMeasures.rougeL([], []) == 0)
  }
}
