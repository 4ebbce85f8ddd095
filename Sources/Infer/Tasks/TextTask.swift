/// What is asked of a model about texts: `ckpt run --task`, and `ckpt verify --task` of two models.
///
/// A text is prepared alone, on any thread; the prepared ones of similar length are answered together.
public protocol TextTask {
  associatedtype Prepared: Sendable
  associatedtype Answer: TaskAnswer

  /// A text as the model's inputs; the closure is called on several threads.
  ///
  /// - Throws: what is wrong with this one text.
  var prepare: @Sendable (TaskInput) throws -> Prepared { get }

  /// How long a prepared text is, in tokens: similar ones are answered together.
  func length(_ prepared: Prepared) -> Int

  /// The ids that a prepared text is, one row or several; none where a task does not tell.
  func ids(_ prepared: Prepared) -> [[Int32]]

  /// How many tokens, padding among them, are answered together at most; a longer text alone.
  var batchTokens: Int { get }

  /// Whether texts of different lengths may be answered together.
  var mixesLengths: Bool { get }

  /// The answers to a batch, in its order.
  mutating func answers(_ batch: [Prepared]) throws -> [Answer]
}

extension TextTask {
  public var batchTokens: Int { TaskBatch.tokens }
  public var mixesLengths: Bool { true }
  public func ids(_ prepared: Prepared) -> [[Int32]] { [] }
}

extension TextTask where Prepared == Encoding {
  public func ids(_ prepared: Encoding) -> [[Int32]] { [prepared.ids] }
}

/// What a batch holds.
public enum TaskBatch {
  /// Tokens enough that all processors have their share of every product, and few enough that what a
  /// layer computes stays near the processor.
  public static let tokens = 2048
}

/// A text to answer, or a pair.
public struct TaskInput: Sendable, Equatable {
  /// Its line or argument, from 1.
  public var number: Int
  public var text: String
  public var pair: String?

  public init(number: Int, text: String, pair: String? = nil) {
    self.number = number
    self.text = text
    self.pair = pair
  }
}

/// An answer as what was decided, so that two models' answers can be compared.
public protocol TaskAnswer: Sendable {
  /// In a fixed order; equal answers have equal decisions.
  var decisions: [Decision] { get }

  /// What was computed instead of decided, such as a vector; of a fixed length.
  var numbers: [Float] { get }
}

extension TaskAnswer {
  public var numbers: [Float] { [] }
}

/// One thing that a model has decided: a label, a token, a path, a beam.
public struct Decision: Sendable, Equatable {
  /// What it is about, for people: `label`, `mask 2`, `tag of token 5`, `beam 1`.
  public var subject: String
  /// What was decided.
  public var value: String
  /// How far the best other choice is behind, in units of log-probability (or of the score that
  /// decides); `nil` where there is no other or it is not known.
  public var margin: Double?

  public init(_ subject: String, _ value: String, margin: Double? = nil) {
    self.subject = subject
    self.value = value
    self.margin = margin
  }
}
