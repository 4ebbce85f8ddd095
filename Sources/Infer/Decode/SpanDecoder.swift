/// Spans out of the scores of a GlobalPointer: every pair of a first and a last token whose score is above
/// a threshold, nested ones too, as in bert4keras' examples (kexue.fm/archives/8373).
public struct SpanDecoder: Sendable {
  /// A span that a head has found.
  public struct Span: Sendable, Equatable {
    public var head: Int
    /// The places of its first and last token.
    public var first: Int
    public var last: Int
    public var score: Float

    public init(head: Int, first: Int, last: Int, score: Float) {
      self.head = head
      self.first = first
      self.last = last
      self.score = score
    }

    func overlaps(_ other: Span) -> Bool {
      min(first, last) <= max(other.first, other.last)
        && min(other.first, other.last) <= max(first, last)
    }
  }

  /// What was decided for one text.
  public struct Result: Sendable, Equatable {
    /// By first token, then by last, then by head.
    public var spans: [Span]
    /// The smallest change of a score that changes the spans.
    ///
    /// The distance of the score that is nearest to the threshold; when flat, also of a span to the one that it gives way to. `nil` when none could be.
    public var margin: Double?
  }

  /// A span's score has to be above it.
  public var threshold: Float
  /// Whether spans, of whatever heads, that overlap a better one go: the best scores first, of equal
  /// ones the earlier.
  public var isFlat: Bool

  public init(threshold: Float = 0, isFlat: Bool = false) {
    self.threshold = threshold
    self.isFlat = isFlat
  }

  /// - Parameters:
  ///   - scores: `[heads, length, length]`, first token → last token; −∞ for what is no span.
  ///   - positions: the tokens that may begin or end a span: not `[CLS]`, `[SEP]` and padding.
  public func decode(
    _ scores: ArraySlice<Float>, heads: Int, length: Int, positions: some Collection<Int>
  ) -> Result {
    var found: [Span] = []
    var nearest = Double.infinity
    scores.withUnsafeBufferPointer { scores in
      for head in 0..<heads {
        for first in positions {
          let row = (head * length + first) * length
          for last in positions {
            let score = scores[row + last]
            guard score.isFinite else { continue }
            nearest = min(nearest, abs(Double(score) - Double(threshold)))
            if score > threshold {
              found.append(Span(head: head, first: first, last: last, score: score))
            }
          }
        }
      }
    }
    func isBefore(_ a: Span, _ b: Span) -> Bool {
      (a.first, a.last, a.head) < (b.first, b.last, b.head)
    }
    if isFlat {
      var kept: [Span] = []
      for span in found.sorted(by: { $0.score != $1.score ? $0.score > $1.score : isBefore($0, $1) }
      ) {
        let above = kept.filter { $0.overlaps(span) }
        if above.isEmpty { kept.append(span) }
        for other in above { nearest = min(nearest, Double(other.score) - Double(span.score)) }
      }
      found = kept
    }
    return Result(spans: found.sorted(by: isBefore), margin: nearest.isFinite ? nearest : nil)
  }
}
