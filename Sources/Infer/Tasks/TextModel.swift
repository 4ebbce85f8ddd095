import Checkpoint

/// What text tasks ask of a model, be its graph a family's (``RunnableModel``) or its own
/// (``KerasTextModel``).
public protocol TextModel: Sendable {
  /// The layer that labels tokens.
  ///
  /// - Parameter direction: how an MEMM is read.
  /// - Throws: ``InferError`` when there is none; what reading its transitions throws.
  func labelling(_ direction: MarkovModel.Direction) throws -> Labelling

  /// The layers that classify whole texts.
  ///
  /// - Parameter problem: `problem_type` of transformers' configuration.
  func sequenceHeads(problem: String?) throws -> [SequenceHead]

  /// Prepares the model for texts.
  ///
  /// - Parameters:
  ///   - names: values that runs return.
  ///   - padding: the id that fills up shorter texts, where the model does not decide it.
  func texts(returning names: [String], padding: Int32?, threads: Int?) throws -> TextSession
}

/// Runs batches of texts.
public struct TextSession {
  /// Whether texts of different lengths may be in a batch: that what fills up the shorter ones changes
  /// none of their numbers.
  public let mixesLengths: Bool
  private let body: ([Encoding]) throws -> [String: NDArray<Float>]

  init(
    mixesLengths: Bool = true, _ body: @escaping ([Encoding]) throws -> [String: NDArray<Float>]
  ) {
    self.mixesLengths = mixesLengths
    self.body = body
  }

  /// The wanted values, rows in the order of the texts.
  func run(_ batch: [Encoding]) throws -> [String: NDArray<Float>] { try body(batch) }
}

/// A layer that labels tokens, and how its scores are decoded.
public struct Labelling: Sendable {
  public var name: String
  /// The number of labels.
  public var size: Int
  public var kind: LabelDecoder.Kind
  /// The value that holds its scores before any softmax, `[texts, tokens, size]`.
  let value: String
}

extension RunnableModel: TextModel {
  public func labelling(_ direction: MarkovModel.Direction) throws -> Labelling {
    let layer = try Tag.layer(of: self)
    return Labelling(
      name: layer.name, size: layer.outputSize, kind: try Tag.kind(of: layer, self, direction),
      value: try Tag.value(of: layer, self))
  }

  public func sequenceHeads(problem: String?) -> [SequenceHead] {
    SequenceHead.all(of: self, problem: problem)
  }

  public func texts(
    returning names: [String], padding: Int32?, threads: Int?
  ) throws -> TextSession {
    let session = try session(returning: names, threads: threads)
    return TextSession { try session.run(TextInputs($0, padding: padding).arrays) }
  }
}
