public import Checkpoint

/// Spans of text with the name of the head that found each: GlobalPointer and EfficientGlobalPointer.
public struct FindSpans: TextTask {
  /// The spans of one text.
  public struct Answer: TaskAnswer, Equatable {
    /// In reading order.
    public var spans: [Found]
    public var margin: Double?

    /// All spans as one decision.
    public var decisions: [Decision] {
      [
        Decision(
          "spans",
          spans.map { "\($0.span.label) \($0.span.first)–\($0.span.last)" }
            .joined(separator: ", "),
          margin: margin)
      ]
    }
  }

  /// A span with its score.
  public struct Found: Sendable, Equatable {
    /// Its tokens are counted with `[CLS]` as 0.
    public var span: TextSpan
    /// Whether it begins in the text (0) or its pair (1).
    public var text: Int?
    public var score: Float
  }

  public let prepare: @Sendable (TaskInput) throws -> Tag.Prepared
  /// The heads' names.
  public let labels: [String]
  public let decoder: SpanDecoder
  private let session: Session
  private let tokenization: Tokenization
  private static let scores = "span_scores"

  /// - Parameter labels: a name for each head.
  /// - Throws: ``InferError`` when the model has no pointer, or the numbers of heads differ.
  public init(
    _ model: RunnableModel, _ tokenization: Tokenization, labels: [String], decoder: SpanDecoder,
    threads: Int? = nil
  ) throws {
    let layer = try FindSpans.layer(of: model)
    guard labels.count == layer.outputSize else {
      throw InferError(
        .input, "labels", "are \(labels.count); \(layer.name) has \(layer.outputSize) heads")
    }
    self.tokenization = tokenization
    self.labels = labels
    self.decoder = decoder
    session = try model.session(returning: [FindSpans.scores], threads: threads)
    prepare = { try Tag.Prepared($0, tokenization) }
  }

  /// The pointer on top.
  ///
  /// - Throws: ``InferError`` when there is none.
  public static func layer(of model: RunnableModel) throws(InferError) -> TopLayer {
    let tops = model.architecture.tops
    let pointers = tops.filter {
      switch $0.kind {
      case .globalPointer, .efficientGlobalPointer: true
      default: false
      }
    }
    guard let layer = pointers.last, model.outputNames.contains(FindSpans.scores) else {
      throw InferError(
        .unsupported, "spans", "the model has no GlobalPointer",
        hint: tops.isEmpty
          ? "a layer on top may need its place: --set head.NAME=sequence,heads=N "
            + "(docs/layers-on-top.md)"
          : "on top there is \(tops.map(\.summary).joined(separator: "; "))")
    }
    return layer
  }

  public func length(_ prepared: Tag.Prepared) -> Int { prepared.encoding.count }
  public func ids(_ prepared: Tag.Prepared) -> [[Int32]] { [prepared.encoding.ids] }

  public func answers(_ batch: [Tag.Prepared]) throws -> [Answer] {
    let inputs = TextInputs(
      batch.map(\.encoding), padding: tokenization.tokenizer.special.padding)
    guard let scores = try session.run(inputs.arrays)[FindSpans.scores] else { return [] }
    guard scores.shape.count == 4, scores.shape[1] == labels.count else {
      throw InferError(
        .input, FindSpans.scores,
        "have the shape \(scores.shape); expected [texts, \(labels.count), tokens, tokens]")
    }
    let length = scores.shape[2]
    let size = labels.count * length * length
    let (labels, decoder, tokenization) = (labels, decoder, tokenization)
    return try Parallel.map(batch.count, with: {}) { row, _ throws(CheckpointError) in
      let encoding = batch[row].encoding
      let places = encoding.ids.indices.filter { encoding.sources[$0] != nil }
      let result = decoder.decode(
        scores.values[(row * size)..<((row + 1) * size)], heads: labels.count, length: length,
        positions: places)
      let tokens = encoding.ids.indices.map { place in
        LabelledToken(at: place, of: encoding, tokenization, label: "")
      }
      return Answer(
        spans: result.spans.map { span in
          // A pointer without a triangular mask may point backwards: the text between, all the same.
          let ends = (min(span.first, span.last), max(span.first, span.last))
          return Found(
            span: TextSpan(
              label: labels[span.head], first: span.first, last: span.last,
              tokens[ends.0...ends.1], batch[row].texts), text: tokens[ends.0].text,
            score: span.score)
        }, margin: result.margin)
    }
  }
}
