/// How a family puts its blocks together: what no file states because the family's name means it.
///
/// A family of transformers is a name and one of these; weights, shapes and the graph follow from it.
public struct Structure: Sendable, Equatable {
  /// How a token's place enters.
  public enum Position: Sendable {
    /// Only by what each position may see.
    case none
    /// A table's row is added to the embeddings.
    case absolute
    /// The same; rows are counted from behind the padding token's id (RoBERTa).
    case absoluteAfterPadding
    /// A table of distances enters the scores and the context (arXiv 1803.02155, NEZHA).
    case relative
    /// Queries and keys are rotated (arXiv 2104.09864).
    case rotary
    /// A bias per head and bucket of distances is added to the scores (arXiv 1910.10683, T5).
    case buckets
  }

  /// Where a block's norms stand.
  public enum Placement: Sendable {
    /// Behind each sum: `x = Norm(x + Part(x))`.
    case after
    /// Before each part: `x = x + Part(Norm(x))`, and one norm at the end.
    case before
    /// Around the feed-forward (GPT2-ML): `y = x + Attention(x)`, `x = Norm(y + FeedForward(Norm(y)))`.
    case around
  }

  public enum Norm: Sendable {
    /// Centred and scaled, with gamma and beta (arXiv 1607.06450).
    case layer
    /// Scaled only, with gamma (arXiv 1910.07467).
    case scale
    /// Scaled only, without weights.
    case plain
  }

  /// What a masked language model does between the hidden states and the token table.
  public enum MaskedHead: Sendable {
    /// Dense with activation, norm, table, bias (BERT).
    case transform
    /// A projection where widths differ, then the table (RoFormerV2).
    case projection
  }

  public var position = Position.absolute
  /// Whether a stack's layers share one table of buckets; else each has its own (UMT5).
  public var sharesDistances = true
  public var placement = Placement.after
  public var norm = Norm.layer
  /// Whether the sum of the embeddings is normalized.
  public var embeddingNorm = true
  /// Whether dense layers have biases.
  public var biases = true
  /// Whether scores are divided by √(key size).
  public var scalesScores = true
  /// Whether a block is one gated attention unit (arXiv 2202.10447).
  public var gatedUnit = false
  public var maskedHead = MaskedHead.transform
  /// Whether the token table always gives a causal language model's logits, without own weights.
  public var languageModel = false
  /// Whether an encoder and a decoder stand beside each other, each under its prefix.
  public var encoderDecoder = false

  public init() {}

  /// Whether one more norm follows the last block.
  public var finalNorm: Bool { placement == .before }
  /// Whether queries and keys are wide for a pair each.
  public var isRotary: Bool { position == .rotary }
}
