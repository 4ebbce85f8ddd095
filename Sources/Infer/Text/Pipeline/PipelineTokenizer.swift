/// A tokenizer put together as those of the `tokenizers` package are: added tokens, normalizer, splits, a model of
/// pieces, a template.
///
/// transformers' tokenizers for SentencePiece models, GPT-2 and RoBERTa are such, and so is every `tokenizer.json`.
public struct PipelineTokenizer: Tokenizer {
  var name: String
  var added = AddedTokens()
  var normalizer: TextNormalizer?
  var preTokenizer: PreTokenizer?
  var model: any PieceModel
  var decoder: TokenDecoder?
  var single = EncodingTemplate([.text(0, segment: 0)])
  var pair = EncodingTemplate([.text(0, segment: 0), .text(1, segment: 1)])
  /// Whether blanks at the ends of a piece are left out of its range; the value tells whether a blank has been put
  /// before the text.
  var trimming: [Bool] = []
  public internal(set) var special = SpecialTokens()
  public internal(set) var warnings: [String] = []

  init(_ name: String, model: any PieceModel) {
    self.name = name
    self.model = model
  }

  public var summary: String { name }

  public var idCount: Int {
    added.tokens.reduce(model.vocabulary.idCount) { max($0, Int($1.id) + 1) }
  }

  public func token(of id: Int32) -> String? {
    added.token(of: id)?.content ?? model.vocabulary.token(of: id)
  }

  public func readable(_ id: Int32) -> String? {
    let token = token(of: id)
    guard let token, case .byteLevel? = decoder, added.token(of: id) == nil else { return token }
    let text = TokenDecoder.text(ofBytes: [token])
    // Part of a character, or what would break a table.
    guard
      !text.unicodeScalars.contains(where: {
        $0 == "\u{fffd}" || $0.properties.generalCategory == .control
      })
    else { return token }
    // A blank stays as visible as it is spelled.
    return String(text.map { $0 == " " ? "Ġ" : $0 })
  }

  public func id(of token: String) -> Int32? {
    added.id(of: token) ?? model.vocabulary.id(of: token)
  }

  /// As transformers takes it.
  public var ignoresEmptyPair: Bool { true }

  public func template(isPair: Bool) -> EncodingTemplate { isPair ? pair : single }

  public func kept(_ first: Int, _ second: Int, room: Int) -> (first: Int, second: Int) {
    TransformersTruncation.kept(first, second, room: room)
  }

  public func pieces(_ text: String) -> [Piece] {
    var pieces: [Piece] = []
    visit(text) { id, range in
      pieces.append(Piece(id: id, token: token(of: id) ?? "", range: range))
    }
    for prefixSpace in trimming { trim(&pieces, prefixSpace) }
    return pieces
  }

  public func ids(_ text: String) -> [Int32] {
    var ids: [Int32] = []
    ids.reserveCapacity(text.utf8.count / 3 + 2)
    visit(text) { id, _ in ids.append(id) }
    return ids
  }

  private func visit(_ text: String, _ body: (Int32, Range<Int>) -> Void) {
    let scalars = text.unicodeScalars.map(\.value)
    added.split(scalars, isNormalized: false) { range, id in
      if let id { return body(id, range) }
      var part = AlignedText(scalars[range], offset: range.lowerBound)
      normalizer?(&part)
      added.split(part.scalars, isNormalized: true) { range, id in
        if let id { return body(id, part.span(of: range)) }
        var split = SplitText(range.count == part.count ? part : part[range])
        preTokenizer?(&split)
        for range in split.ranges {
          model.pieces(of: split.text.scalars, range) { id, place in
            body(id, split.text.span(of: place))
          }
        }
      }
    }
  }

  /// The package's `process_offsets`.
  private func trim(_ pieces: inout [Piece], _ prefixSpace: Bool) {
    func isBlank(_ scalar: Unicode.Scalar) -> Bool {
      scalar.value == 0x120
        || UnicodeData.shared.classes(of: scalar.value).contains(.rustSpace)
    }
    for index in pieces.indices {
      let scalars = pieces[index].token.unicodeScalars
      var leading = scalars.prefix(while: isBlank).count
      let trailing = scalars.reversed().prefix(while: isBlank).count
      var (start, end) = (pieces[index].range.lowerBound, pieces[index].range.upperBound)
      if leading > 0 {
        // What was put before the text itself is no part of it.
        if index == 0 || start == 0, prefixSpace, leading == 1 { leading = 0 }
        start = min(start + leading, end)
      }
      if trailing > 0, end >= trailing { end = max(end - trailing, start) }
      pieces[index].range = start..<end
    }
  }

  public func text(of ids: [Int32], skippingSpecial: Bool) -> String {
    let tokens = ids.compactMap { id -> String? in
      if let token = added.token(of: id) {
        return skippingSpecial && token.isSpecial ? nil : added.text(of: id)
      }
      return model.vocabulary.token(of: id)
    }
    guard let decoder else { return tokens.joined(separator: " ") }
    return decoder(tokens).joined()
  }
}

/// How transformers cuts a pair: the longer one first, then both to halves.
enum TransformersTruncation {
  static func kept(_ first: Int, _ second: Int, room: Int) -> (first: Int, second: Int) {
    let excess = first + second - room
    guard excess > 0 else { return (first, second) }
    let fromLonger = min(abs(first - second), excess)
    // The shorter one keeps the smaller half.
    if excess == fromLonger {
      return first > second ? (first - fromLonger, second) : (first, second - fromLonger)
    }
    return first > second ? (room - room / 2, room / 2) : (room / 2, room - room / 2)
  }
}
