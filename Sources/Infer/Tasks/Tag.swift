public import Checkpoint

/// A label for each token: by the softmax of a token classifier, a CRF or an MEMM.
public struct Tag: TextTask {
  /// A text with its tokens.
  public struct Prepared: Sendable {
    let encoding: Encoding
    let texts: [TextSlices]

    init(_ input: TaskInput, _ tokenization: Tokenization) throws {
      encoding = try tokenization.encoding(input.text, pair: input.pair)
      texts = [TextSlices(input.text), TextSlices(input.pair ?? "")]
    }
  }

  /// The labels of one text.
  public struct Answer: TaskAnswer, Equatable {
    /// The tokens that were decoded, in order.
    public var tokens: [LabelledToken]
    /// The score of the path: a CRF's sum, else a log-probability; −∞ when no path is allowed.
    public var score: Double
    public var margin: Double?
    /// The logarithm of the sum over all paths, with the probabilities of labels.
    public var logPartition: Double?
    /// The best paths, when more than one was asked for.
    public var paths: [LabelPath]
    /// Parts of the text by the labels' scheme.
    public var spans: [TextSpan]

    /// The path as one decision.
    public var decisions: [Decision] {
      [Decision("tags", tokens.map(\.label).joined(separator: " "), margin: margin)]
    }
  }

  public let prepare: @Sendable (TaskInput) throws -> Prepared
  /// What is done with a text's scores.
  public let reading: Reading
  private let session: TextSession
  private let value: String

  public var mixesLengths: Bool { session.mixesLengths }

  /// From scores to an answer: the part that needs no session, on any thread.
  public struct Reading: Sendable {
    public let decoder: LabelDecoder
    /// The labels' names.
    public let labels: [String]
    public let scheme: LabelScheme
    public let options: Options
    let tokenization: Tokenization
  }

  /// What is wanted besides the best path.
  public struct Options: Sendable {
    /// Whether special tokens that an encoded text begins and ends with are labelled too.
    public var special = false
    /// How many paths.
    public var paths = 1
    /// Whether tokens get the probabilities of all labels.
    public var marginals = false

    public init(special: Bool = false, paths: Int = 1, marginals: Bool = false) {
      self.special = special
      self.paths = paths
      self.marginals = marginals
    }
  }

  /// - Parameters:
  ///   - labelling: the layer whose scores are decoded.
  ///   - decoder: how.
  ///   - labels: a name for each label.
  /// - Throws: ``InferError`` when the numbers of labels differ.
  public init(
    _ model: any TextModel, _ tokenization: Tokenization, labelling: Labelling,
    decoder: LabelDecoder, labels: [String], scheme: LabelScheme, options: Options = Options(),
    threads: Int? = nil
  ) throws {
    guard labels.count == labelling.size, decoder.labels == labelling.size else {
      throw InferError(
        .input, "labels", "are \(labels.count); \(labelling.name) has \(labelling.size)")
    }
    reading = Reading(
      decoder: decoder, labels: labels, scheme: scheme, options: options,
      tokenization: tokenization)
    value = labelling.value
    session = try model.texts(
      returning: [value], padding: tokenization.tokenizer.special.padding, threads: threads)
    prepare = { try Prepared($0, tokenization) }
  }

  /// The layer on top that labels tokens: a CRF or an MEMM, else the last dense layer on the sequence.
  ///
  /// - Throws: ``InferError`` when there is none.
  public static func layer(of model: RunnableModel) throws(InferError) -> TopLayer {
    let tops = model.architecture.tops
    func isOnSequence(_ top: TopLayer) -> Bool {
      switch top.input {
      case .sequence: true
      case .firstToken, .pooler: false
      case .layer(let name): tops.first { $0.name == name }.map(isOnSequence) ?? false
      }
    }
    let chains = tops.filter {
      switch $0.kind {
      case .crf, .memm: true
      default: false
      }
    }
    let dense = tops.filter {
      if case .dense = $0.kind { isOnSequence($0) } else { false }
    }
    guard let layer = chains.last ?? dense.last else {
      throw InferError(
        .unsupported, "tag", "the model has no layer that labels tokens",
        hint: tops.isEmpty
          ? "a CRF, an MEMM or a dense layer on the sequence (docs/layers-on-top.md)"
          : "on top there is \(tops.map(\.summary).joined(separator: "; "))")
    }
    return layer
  }

  /// The transitions of a CRF or an MEMM as they are used: what is stored times the multiplier.
  ///
  /// - Throws: ``InferError`` when the layer has no labels; what reading weights throws.
  public static func kind(
    of layer: TopLayer, _ model: RunnableModel, _ direction: MarkovModel.Direction
  ) throws -> LabelDecoder.Kind {
    guard layer.outputSize > 0 else {
      throw InferError(.unsupported, layer.name, "has no labels to choose from")
    }
    let multiplier = Float(model.architecture.configuration.transitionMultiplier)
    func weight(_ part: String) throws -> [Float] {
      try model.weight("head.\(layer.name).\(part)").floats().map { $0 * multiplier }
    }
    switch layer.kind {
    case .crf:
      return .crf(LinearChain(transitions: try weight("transitions"), labels: layer.outputSize))
    case .memm(rank: nil):
      return .memm(
        MarkovModel(transitions: try weight("transitions"), labels: layer.outputSize), direction)
    case .memm:
      return .memm(
        MarkovModel(left: try weight("left"), right: try weight("right"), labels: layer.outputSize),
        direction)
    default: return .softmax
    }
  }

  /// The value that holds the layer's scores before any softmax.
  static func value(of layer: TopLayer, _ model: RunnableModel) throws(InferError) -> String {
    let candidates =
      switch layer.kind {
      case .crf: ["crf_emissions"]
      case .memm: ["memm_emissions"]
      default: ["\(layer.name)_logits", "logits", "head.\(layer.name)"]
      }
    let names = Set(model.outputNames + model.graph.valueNames)
    guard let name = candidates.first(where: names.contains) else {
      throw InferError(.unsupported, layer.name, "gives no scores of labels")
    }
    return name
  }

  public func length(_ prepared: Prepared) -> Int { prepared.encoding.count }
  public func ids(_ prepared: Prepared) -> [[Int32]] { [prepared.encoding.ids] }

  public func answers(_ batch: [Prepared]) throws -> [Answer] {
    guard let scores = try session.run(batch.map(\.encoding))[value] else { return [] }
    let width = reading.labels.count
    let row = scores.values.count / max(batch.count, 1)
    // A layer for each step may see them all in a row.
    guard scores.shape.last == width, row * batch.count == scores.values.count,
      batch.allSatisfy({ $0.encoding.count * width <= row })
    else {
      throw InferError(
        .input, value, "has the shape \(scores.shape); expected [texts, tokens, \(width)]")
    }
    let reading = reading
    return try Parallel.map(batch.count, with: {}) { index, _ throws(CheckpointError) in
      reading.answer(batch[index], scores.values[(index * row)..<((index + 1) * row)])
    }
  }
}

extension Tag.Reading {
  /// - Parameter scores: `[tokens, labels]`, padding too.
  func answer(_ prepared: Tag.Prepared, _ scores: ArraySlice<Float>) -> Tag.Answer {
    let encoding = prepared.encoding
    let width = labels.count
    let places = encoding.ids.indices.filter { options.special || encoding.sources[$0] != nil }
    let emissions = places.flatMap { place in
      scores[(scores.startIndex + place * width)..<(scores.startIndex + (place + 1) * width)]
    }
    let result = decoder.decode(
      emissions[...], paths: options.paths, marginals: options.marginals)
    let isAllowed = result.best.labels.count == places.count
    let tokens = (isAllowed ? Array(places.enumerated()) : []).map { index, place in
      LabelledToken(
        at: place, of: encoding, tokenization, label: labels[result.best.labels[index]],
        probabilities: result.marginals.map { Array($0[(index * width)..<((index + 1) * width)]) })
    }
    // What stands in the text; special tokens belong to no span.
    let own = tokens.indices.filter { tokens[$0].text != nil }
    let areWords = LabelScheme.areWords(labels)
    let spans = scheme.spans(own.map { tokens[$0].label }, areWords: areWords).map { span in
      TextSpan(
        label: span.type, first: own[span.first], last: own[span.last],
        tokens[own[span.first]...own[span.last]], prepared.texts)
    }
    return Tag.Answer(
      tokens: tokens, score: result.best.score, margin: result.margin,
      logPartition: result.logPartition, paths: options.paths > 1 ? result.paths : [], spans: spans)
  }
}

/// A token with its label.
public struct LabelledToken: Sendable, Equatable {
  public var token: String
  public var label: String
  /// Whether it stands in the text (0) or its pair (1); `nil` for special tokens.
  public var text: Int?
  /// Its code points in that text; `nil` where they are not known.
  public var range: Range<Int>?
  /// The probability of each label.
  public var probabilities: [Double]?

  init(
    at place: Int, of encoding: Encoding, _ tokenization: Tokenization, label: String,
    probabilities: [Double]? = nil
  ) {
    let source = encoding.sources[place]
    token = tokenization.token(encoding.ids[place])
    self.label = label
    text = source?.text
    range = source.flatMap { $0.range.isEmpty ? nil : $0.range }
    self.probabilities = probabilities
  }
}

/// A part of a text that a task has found.
public struct TextSpan: Sendable, Equatable {
  public var label: String
  /// Places of its first and last token among those that were labelled.
  public var first: Int
  public var last: Int
  /// Its code points; `nil` where they are not known.
  public var range: Range<Int>?
  /// What stands there.
  public var text: String

  /// The span of tokens: their text from the first one's beginning to the last one's end, or the
  /// tokens put together where the tokenizer tells no offsets.
  init(
    label: String, first: Int, last: Int, _ tokens: ArraySlice<LabelledToken>,
    _ texts: [TextSlices]
  ) {
    self.label = label
    self.first = first
    self.last = last
    let text = tokens.first?.text
    let ranges = tokens.filter { $0.text == text }.compactMap(\.range)
    if let text, let start = ranges.first?.lowerBound, let end = ranges.last?.upperBound,
      start < end, texts.indices.contains(text)
    {
      range = start..<end
      self.text = texts[text][start..<end]
    } else {
      range = nil
      self.text = tokens.map { $0.token.hasPrefix("##") ? String($0.token.dropFirst(2)) : $0.token }
        .joined()
    }
  }
}

/// A text that is cut by code points.
public struct TextSlices: Sendable, Equatable {
  private let scalars: [Unicode.Scalar]

  init(_ text: String) { scalars = Array(text.unicodeScalars) }

  /// What stands there; what is beyond the text is left out.
  subscript(range: Range<Int>) -> String {
    var view = String.UnicodeScalarView()
    view.append(contentsOf: scalars[range.clamped(to: 0..<scalars.count)])
    return String(view)
  }
}
