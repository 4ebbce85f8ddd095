import Checkpoint
import Infer
import TestSupport
import Testing

/// Label chains and span pointers against all paths, counted out by NumPy, and bert4keras' own decoder.
@Suite struct LabellingTests {
  private static let cases = try? JSON(
    parsing: File.contents(of: Fixtures.folder + "/labelling.json"))

  private static func list(_ key: String) -> [JSON] { cases?[key]?.array ?? [] }
  private static func named(_ key: String) -> [String] {
    list(key).compactMap { $0["name"]?.string }
  }
  private static func named(_ key: String, _ name: String) throws -> JSON {
    try #require(list(key).first { $0["name"]?.string == name })
  }

  /// Numbers of nested lists; null is −∞.
  private static func floats(_ json: JSON?) -> [Float] {
    guard let json else { return [] }
    if let list = json.array { return list.flatMap { floats($0) } }
    return [json.double.map { Float($0) } ?? -.infinity]
  }

  private static func ints(_ json: JSON?) -> [Int]? { json?.array?.compactMap(\.int) }

  /// Whether a chain has the paths, sums and probabilities that were counted.
  private static func check(_ chain: LabelChain, _ expected: JSON, _ name: String) throws {
    let paths = try #require(expected["paths"]?.array)
    let allowed = try #require(expected["allowed"]?.int)
    let found = chain.best(12)
    #expect(found.map(\.labels) == paths.compactMap { ints($0["labels"]) }, "\(name)")
    for (path, other) in zip(found, paths) {
      let score = try #require(other["score"]?.double)
      #expect(abs(path.score - score) <= 1e-9 * max(1, abs(score)), "\(name)")
      #expect(abs(chain.score(of: path.labels) - score) <= 1e-9 * max(1, abs(score)), "\(name)")
    }
    // All of them, each once, in falling order.
    let all = chain.best(allowed + 5)
    #expect(all.count == allowed && Set(all.map(\.labels)).count == allowed, "\(name)")
    #expect(zip(all, all.dropFirst()).allSatisfy { $0.score >= $1.score - 1e-12 }, "\(name)")
    let partition = try #require(expected["log_partition"]?.double)
    #expect(abs(chain.logPartition - partition) <= 1e-9 * max(1, abs(partition)), "\(name)")
    let marginals = try #require(expected["marginals"]?.array).flatMap { $0.array ?? [] }
    #expect(chain.marginals.count == marginals.count)
    for (mine, other) in zip(chain.marginals, marginals) {
      #expect(abs(mine - (other.double ?? .nan)) < 1e-9, "\(name)")
    }
    let margin = allowed > 1 ? found[0].score - found[1].score : nil
    #expect(chain.margin(of: found[0].labels) == margin, "\(name)")
    // Of another path the best is ahead.
    for path in found.dropFirst() { #expect(chain.margin(of: path.labels) == 0, "\(name)") }
    #expect(chain.best == found[0], "\(name)")
  }

  @Test(arguments: [1, 2, 7, 101])
  func `the margin is the distance of the two best paths`(_ labels: Int) throws {
    var random = SplitMix64(seed: UInt64(labels))
    func draw(_ count: Int, _ values: ClosedRange<Double>) -> [Double] {
      (0..<count).map { _ in Double.random(in: values, using: &random) }
    }
    for length in [1, 2, 9] {
      for places in [1, length - 1] where places > 0 {
        let chain = LabelChain(
          unary: draw(length * labels, -1...1), pairs: draw(places * labels * labels, -1...1),
          labels: labels)
        for chain in [chain, chain.limited(starts: [0], ends: [labels - 1])] {
          let two = chain.best(2)
          #expect(chain.best == two.first)
          guard let best = two.first else { continue }
          #expect(
            chain.margin(of: best.labels) == (two.count > 1 ? best.score - two[1].score : nil))
        }
      }
    }
  }

  @Test func `a path that another equals has the margin 0`() {
    let chain = LabelChain(unary: [0, 0, 1, 1, 2, 2], pairs: [3, 3, 3, 3], labels: 2)
    #expect(chain.best?.labels == [0, 0, 0])
    #expect(chain.margin(of: [0, 0, 0]) == 0)
  }

  @Test func `there are cases`() {
    #expect(Self.list("chains").count == 17)
    #expect(Self.list("markov").count == 4)
    #expect(Self.list("spans").count == 5)
  }

  @Test(arguments: named("chains"))
  func `a CRF's paths, log-partition and marginals are those of all paths`(_ name: String) throws {
    let json = try Self.named("chains", name)
    let transitions = Self.floats(json["transitions"])
    let labels = try #require(json["transitions"]?.array).count
    let emissions = Self.floats(json["emissions"])
    let crf = LinearChain(
      transitions: transitions, labels: labels, start: json["start"].map { Self.floats($0) },
      end: json["end"].map { Self.floats($0) })
    let (starts, ends) = (Self.ints(json["starts"]), Self.ints(json["ends"]))
    try Self.check(crf.chain(emissions[...]).limited(starts: starts, ends: ends), json, name)
    // Limits of the layer are limits of what it says.
    let limited = crf.limited(starts: starts, ends: ends)
    try Self.check(limited.chain(emissions[...]), json, name)
    let best = limited.best(emissions[...])
    let expected = Self.ints(json["viterbi"]) ?? Self.ints(json["paths"]?.array?[0]["labels"])
    #expect(best.labels == expected, "\(name)")
    #expect(
      abs(best.score - (json["paths"]?.array?[0]["score"]?.double ?? .nan)) < 1e-3, "\(name)")
    let decoder = LabelDecoder(.crf(crf), labels: labels, starts: starts, ends: ends)
    let result = decoder.decode(emissions[...], paths: 3, marginals: true)
    #expect(result.best.labels == expected, "\(name)")
    #expect(result.paths.count == min(3, json["allowed"]?.int ?? 0))
    #expect((result.margin == nil) == (json["allowed"]?.int == 1))
  }

  @Test func `texts of a batch are decoded to their lengths`() throws {
    let json = try Self.named("chains", "four labels")
    let crf = LinearChain(transitions: Self.floats(json["transitions"]), labels: 4)
    let emissions = Self.floats(json["emissions"])
    let rows = 300
    let lengths = (0..<rows).map { $0 % 6 }
    let batch = NDArray(shape: [rows, 5, 4], values: (0..<rows).flatMap { _ in emissions })
    let paths = try crf.best(batch, lengths: lengths)
    for (length, path) in zip(lengths, paths) {
      #expect(path == crf.best(emissions[..<(length * 4)]))
    }
    #expect(throws: InferError.self) { try crf.best(batch, lengths: [6]) }
    #expect(throws: InferError.self) { try crf.best(batch, lengths: lengths.map { $0 + 1 }) }
  }

  @Test(arguments: named("markov"))
  func `an MEMM's probabilities are those of bert4keras' loss`(_ name: String) throws {
    let json = try Self.named("markov", name)
    let emissions = Self.floats(json["emissions"])
    let labels = try #require(json["emissions"]?.array?.first?.array).count
    let model =
      json["left"] == nil
      ? MarkovModel(transitions: Self.floats(json["transitions"]), labels: labels)
      : MarkovModel(
        left: Self.floats(json["left"]), right: Self.floats(json["right"]), labels: labels)
    for direction in [MarkovModel.Direction.forward, .backward, .average] {
      // Factored transitions are multiplied in Float32.
      guard json["left"] == nil else {
        let chain = model.chain(emissions[...], direction)
        let best = try #require(json[direction.rawValue]?["paths"]?.array?.first)
        #expect(chain.best(1)[0].labels == Self.ints(best["labels"]))
        #expect(abs(chain.best(1)[0].score - (best["score"]?.double ?? .nan)) < 1e-5)
        continue
      }
      let expected = try #require(json[direction.rawValue])
      try Self.check(model.chain(emissions[...], direction), expected, "\(name) \(direction)")
    }
    let average = model.chain(emissions[...], .average).best(1)[0]
    let loss = try #require(json["loss"]?.double)
    #expect(abs(average.score + loss) < 1e-4)
    // The customary decoder is that of a CRF with the same transitions.
    let crf = LinearChain(transitions: model.transitions, labels: labels)
    let decoder = LabelDecoder(.memm(model, .viterbi), labels: labels)
    #expect(decoder.decode(emissions[...]).best == crf.best(emissions[...]))
  }

  @Test(arguments: named("spans"))
  func `a pointer's spans are those of bert4keras' examples`(_ name: String) throws {
    let json = try Self.named("spans", name)
    let heads = try #require(json["scores"]?.array)
    let length = try #require(heads[0].array).count
    let scores = Self.floats(json["scores"])
    let threshold = Float(try #require(json["threshold"]?.double))
    for (key, isFlat) in [("spans", false), ("flat", true)] {
      let result = SpanDecoder(threshold: threshold, isFlat: isFlat).decode(
        scores[...], heads: heads.count, length: length, positions: 1..<max(length - 1, 1))
      let expected = try #require(json[key]?.array).compactMap { Self.ints($0) }
      #expect(result.spans.map { [$0.head, $0.first, $0.last] } == expected, "\(name) \(key)")
      guard !isFlat else { continue }
      #expect(result.margin.map { Float($0) } == json["margin"]?.double.map { Float($0) })
    }
  }

  @Test func `a softmax decides each token for itself`() {
    let decoder = LabelDecoder(.softmax, labels: 2)
    let result = decoder.decode([1, 0, 0, 3], paths: 4, marginals: true)
    #expect(result.best.labels == [0, 1])
    #expect(abs((result.margin ?? 0) - 1) < 1e-12)
    #expect(result.paths.map(\.labels) == [[0, 1], [1, 1], [0, 0], [1, 0]])
    let sums = result.paths.map { Double.exp($0.score) }.reduce(0, +)
    #expect(abs(sums - 1) < 1e-12)
    #expect(abs((result.marginals ?? [])[0] - 1 / (1 + Double.exp(-1))) < 1e-12)
  }

  @Test func `nothing at all, and what is no number, end nowhere bad`() {
    let crf = LinearChain(transitions: [0, 1, 2, 3], labels: 2)
    #expect(crf.best([]) == LabelPath([], score: 0))
    #expect(crf.chain([]).best(2) == [LabelPath([], score: 0)])
    #expect(crf.chain([]).logPartition == 0 && crf.chain([]).marginals.isEmpty)
    #expect(MarkovModel(transitions: [0, 1, 2, 3], labels: 2).chain([], .average).length == 0)
    for odd in [Float.nan, .infinity, -.infinity] {
      for decoder in [
        LabelDecoder(.softmax, labels: 2),
        LabelDecoder(.crf(crf), labels: 2, starts: [0], ends: [1]),
        LabelDecoder(.memm(.init(transitions: [0, 1, 2, 3], labels: 2), .average), labels: 2),
      ] {
        _ = decoder.decode([odd, odd, 0, odd], paths: 3, marginals: true)
        _ = decoder.decode([0, 0, odd, odd], paths: 3, marginals: true)
      }
      _ = SpanDecoder(isFlat: true).decode(
        [odd, odd, odd, odd], heads: 1, length: 2, positions: 0..<2)
    }
    // One token cannot begin as one label and end as another.
    let decoder = LabelDecoder(.crf(crf), labels: 2, starts: [0], ends: [1])
    let result = decoder.decode([1, 2], paths: 2, marginals: true)
    #expect(result.best == LabelPath([], score: -.infinity) && result.paths.isEmpty)
  }

  @Test func `energies of keras-contrib are scores with the other sign`() {
    let kernel: [Float] = [0.5, -1, 2, 0.25]
    let masked = LinearChain.kerasContrib(kernel: kernel, labels: 2, left: [1, -1])
    #expect(masked.start == [-1, 1] && masked.end == [0, 0])
    #expect(masked.transitions == [-0.5, 1, -2, -0.25])
    let both = LinearChain.kerasContrib(kernel: kernel, labels: 2, left: [1, -1], right: [3, 4])
    #expect(both.end == [-3, -4])
  }

  // MARK: - Labels as spans

  @Test(arguments: [
    (["b", "m", "e", "s"], LabelScheme.bmes), (["O", "B-PER", "I-PER"], .bio),
    (["B", "I", "O"], .bio), (["B-X", "I-X", "E-X", "S-X", "O"], .bioes),
    (["B_X", "M_X", "E_X", "S_X", "O"], .bmes), (["LABEL_0", "LABEL_1"], .none),
    (["positive", "B"], .none), ([], .none), (["O", "I-PER"], .none), (["B-"], .none),
  ])
  func `labels tell their scheme`(_ labels: [String], _ scheme: LabelScheme) {
    #expect(LabelScheme.of(labels) == scheme)
  }

  @Test func `labels of a segmenter divide the text as bert4keras' example does`() {
    // S and B begin a word, anything else goes on; the first token begins one in any case.
    let spans = LabelScheme.bmes.spans(["e", "s", "b", "m", "e", "m", "b", "s"], areWords: true)
    #expect(spans.map { [$0.first, $0.last] } == [[0, 0], [1, 1], [2, 5], [6, 6], [7, 7]])
  }

  @Test func `entities begin anew where labels do not fit`() {
    func spans(_ scheme: LabelScheme, _ labels: String) -> [String] {
      scheme.spans(labels.split(separator: " ").map(String.init), areWords: false)
        .map { "\($0.type) \($0.first)-\($0.last)" }
    }
    #expect(
      spans(.bio, "O B-A I-A I-B O I-A B-A B-A") == ["A 1-2", "B 3-3", "A 5-5", "A 6-6", "A 7-7"])
    #expect(
      spans(.bioes, "B-A I-A E-A E-A S-B I-B O E-A") == [
        "A 0-2", "A 3-3", "B 4-4", "B 5-5", "A 7-7",
      ])
    #expect(spans(.none, "B-A I-A").isEmpty)
  }
}
