/// What decoding asks of a model: the logits of the next token, for rows in the making.
///
/// Rows are held by the model, so that it may keep what it has computed for them; how they are chosen,
/// kept and ended is the decoder's affair.
public protocol StepModel: AnyObject {
  /// The width of the logits.
  var vocabularySize: Int { get }
  /// How many tokens a row may hold, or `nil` for any number: prompt and targets where they share
  /// one sequence, else the targets. A longer row is an error; decoding ends before.
  var limit: Int? { get }

  /// Forgets all rows and takes one for each prompt.
  ///
  /// - Returns: the logits of the token that comes next, `[prompts, vocabulary]`.
  func start(_ prompts: [Prompt]) throws -> NDArray<Float>

  /// Replaces the rows: row i continues what was row `parents[i]` by `tokens[i]`.
  ///
  /// A row may have several children or none. `parents` and `tokens` have the same length, at least 1.
  /// - Returns: the logits of the token that comes next, `[parents.count, vocabulary]`.
  func advance(_ parents: [Int], _ tokens: [Int32]) throws -> NDArray<Float>
}

/// What generation starts from.
public struct Prompt: Sendable, Equatable {
  /// The source: the encoder's tokens where there is an encoder, else what stands before the targets.
  public var tokens: [Int32]
  public var segments: [Int32]
  /// What the target begins with: a decoder's start token, or targets that are given.
  public var targets: [Int32]
  /// The segment of targets, where source and target share one sequence (UniLM).
  public var targetSegment: Int32

  public init(
    tokens: [Int32], segments: [Int32], targets: [Int32] = [], targetSegment: Int32 = 0
  ) {
    self.tokens = tokens
    self.segments = segments
    self.targets = targets
    self.targetSegment = targetSegment
  }
}
