/// How the tokens of an answer are chosen.
public struct Decoding: Sendable, Equatable {
  /// Whose definitions are followed where the libraries differ.
  public enum Rule: String, Sendable, CaseIterable {
    /// bert4keras 0.11.5, `AutoRegressiveDecoder`.
    case bert4keras
    /// transformers 5.23, `GenerationMixin.generate`.
    case transformers
  }

  /// When transformers' beam search stops.
  public enum EarlyStopping: String, Sendable, CaseIterable {
    /// When there are as many finished beams as beams.
    case `true`
    /// When no running beam would be better, were it to end now.
    case `false`
    /// When no running beam can become better, whatever its length.
    case never
  }

  public var rule: Rule
  /// Beams that are held; 1 is greedy.
  public var beams = 1
  /// How many beams are returned, the best first.
  public var returns = 1
  /// transformers' beams: scores are divided by the length to this power.
  public var lengthPenalty = 1.0
  public var earlyStopping = EarlyStopping.false
  /// Samples for each prompt; 0 draws nothing and searches.
  public var samples = 0
  public var temperature = 1.0
  /// Only so many of the likeliest tokens are drawn from; `nil` for all.
  public var topK: Int?
  /// Only the likeliest tokens whose probabilities sum up to this are drawn from; `nil` for all.
  public var topP: Double?
  public var seed: UInt64 = 0
  /// The most new tokens, the end among them.
  public var maxNewTokens = 32
  /// How long an answer must be.
  ///
  /// bert4keras: an end counts from so many tokens on, a start token and the end included. transformers:
  /// so many new tokens come before an end.
  public var minLength: Int
  /// bert4keras: an answer is finished at its so-manieth end token.
  public var minEnds = 1
  /// Tokens that end an answer; with none it runs to the most new tokens.
  public var ends: Set<Int32>
  /// Logits of tokens that stand there already are divided by this, or multiplied below 0; 1 is none.
  public var repetitionPenalty = 1.0
  /// No n-gram of that size comes twice; 0 allows all.
  public var noRepeatNGram = 0

  public init(_ rule: Rule, ends: Set<Int32>) {
    self.rule = rule
    self.ends = ends
    minLength = rule == .bert4keras ? 1 : 0
  }

  /// Whether a sequence stops at an end, and has come to as many as finish it.
  func hasEnded(_ output: [Int32]) -> Bool {
    guard let last = output.last, ends.contains(last) else { return false }
    return output.count { ends.contains($0) } >= minEnds
  }
}

extension [Int32] {
  /// The ids without the end that the last of them may be.
  func withoutEnd(_ ends: Set<Int32>) -> [Int32] {
    last.map { ends.contains($0) } ?? false ? Array(dropLast()) : self
  }
}

/// A sequence that decoding has made.
public struct Generated: Sendable, Equatable {
  /// The new tokens, with the end that finished it.
  public var ids: [Int32]
  /// The sum of the tokens' log-probabilities by the model, as the rule takes them: bert4keras' log(p + 1e-12);
  /// for transformers' beams `sequences_scores`, which its length has divided.
  public var score: Double
  /// Whether it came to an end by itself.
  public var isFinished: Bool
  /// How close the closest decision was on the way to it, in units of the score; `nil` for samples.
  public var margin: Double?

  public init(ids: [Int32], score: Double, isFinished: Bool, margin: Double? = nil) {
    self.ids = ids
    self.score = score
    self.isFinished = isFinished
    self.margin = margin
  }
}
