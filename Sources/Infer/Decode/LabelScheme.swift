/// How labels of tokens stand for spans: `B-PER I-PER O`, or `b m e s` for the words of a text.
public enum LabelScheme: String, Sendable, CaseIterable {
  /// Labels of tokens only.
  case none
  /// B begins, I goes on, O is outside.
  case bio
  /// B begins, M (or I) goes on, E ends, S is one token alone; O, where there is one, is outside.
  case bmes
  /// B, I, E and S as ``bmes``, O outside.
  case bioes

  /// A part of a text: a word, or an entity of some type.
  public struct Span: Sendable, Equatable {
    /// What stands behind the label's letter: `PER`; empty for words.
    public var type: String
    /// The first and the last of its tokens, as indexes of the labels.
    public var first: Int
    public var last: Int

    public init(type: String, first: Int, last: Int) {
      self.type = type
      self.first = first
      self.last = last
    }
  }

  /// A label's letter and type: `B-PER` or `B_PER` → B, PER; `b` → B without one.
  static func parts(_ label: String) -> (letter: Character, type: String)? {
    guard let first = label.uppercased().first, "BIOMES".contains(first) else { return nil }
    let rest = label.dropFirst()
    if rest.isEmpty { return (first, "") }
    guard first != "O", rest.first == "-" || rest.first == "_", rest.count > 1 else { return nil }
    return (first, String(rest.dropFirst()))
  }

  /// The scheme that all of these labels follow; ``none`` where they follow none.
  public static func of(_ labels: [String]) -> LabelScheme {
    let parts = labels.map(parts)
    let letters = Set(parts.compactMap { $0?.letter })
    guard !labels.isEmpty, parts.allSatisfy({ $0 != nil }), letters.contains("B") else {
      return .none
    }
    if letters.isSuperset(of: ["M"]), letters.contains("E") { return .bmes }
    if letters.contains("E") || letters.contains("S") { return .bioes }
    return letters.contains("I") ? .bio : .none
  }

  /// Whether labels have no types and none is outside, so that they divide a text into words.
  public static func areWords(_ labels: [String]) -> Bool {
    labels.map(parts).allSatisfy { $0.map { $0.type.isEmpty && $0.letter != "O" } ?? false }
  }

  /// The spans of labels, in their order.
  ///
  /// Where types are told, what does not fit begins anew (as in the evaluation of CoNLL): an I, M or
  /// E with nothing of its type before it begins a span. Labels without types are words, and
  /// every token belongs to one: B and S begin it, the rest goes on (as bert4keras' example reads them).
  ///
  /// - Parameter areWords: whether the labels divide the text, ``areWords(_:)`` of all that there are.
  public func spans(_ labels: [String], areWords: Bool) -> [Span] {
    guard self != .none else { return [] }
    let parts = labels.map { LabelScheme.parts($0) ?? ("O", "") }
    var spans: [Span] = []
    var isOpen = false
    for (index, (letter, type)) in parts.enumerated() {
      guard letter != "O" else {
        isOpen = false
        continue
      }
      let begins = letter == "B" || letter == "S"
      if let last = spans.last, !begins, areWords || (isOpen && last.type == type) {
        spans[spans.count - 1].last = index
      } else {
        spans.append(Span(type: type, first: index, last: index))
      }
      isOpen = letter != "E" && letter != "S"
    }
    return spans
  }
}
