/// Text that is being normalized, each character with the part of the original text it stands for.
///
/// The rules by which parts are kept are those of the `tokenizers` package, so that offsets agree.
struct AlignedText: Sendable, Equatable {
  /// Code points of the original text.
  struct Span: Sendable, Equatable {
    var start: Int32
    var end: Int32
  }

  /// A character of the new text.
  struct Change: Sendable, Equatable {
    var scalar: UInt32
    /// 0: it replaces the next old one; above: it is new, and belongs to the old one before; below: it replaces
    /// the next old one, and so many behind that are removed.
    var change: Int

    init(_ scalar: UInt32, _ change: Int) {
      self.scalar = scalar
      self.change = change
    }
  }

  var scalars: [UInt32] = []
  var spans: [Span] = []

  init() {}

  /// - Parameter offset: where the text begins in a longer one.
  init(_ text: some Sequence<UInt32>, offset: Int = 0) {
    scalars = Array(text)
    spans.reserveCapacity(scalars.count)
    let first = Int32(clamping: offset)
    for index in scalars.indices {
      let start = first &+ Int32(truncatingIfNeeded: index)
      spans.append(Span(start: start, end: start &+ 1))
    }
  }

  var count: Int { scalars.count }

  mutating func append(_ scalar: UInt32, _ span: Span) {
    scalars.append(scalar)
    spans.append(span)
  }

  subscript(range: Range<Int>) -> AlignedText {
    var part = AlignedText()
    part.scalars = Array(scalars[range])
    part.spans = Array(spans[range])
    return part
  }

  /// The part of the original text that some characters stand for.
  func span(of range: Range<Int>) -> Range<Int> {
    guard !range.isEmpty, range.upperBound <= spans.count else { return 0..<0 }
    let start = Int(spans[range.lowerBound].start)
    return start..<max(start, Int(spans[range.upperBound - 1].end))
  }

  /// Keeps some characters, and may change them.
  ///
  /// - Parameter transform: the new character; `nil` to remove it.
  mutating func compactMap(_ transform: (UInt32) -> UInt32?) {
    var count = 0
    for index in scalars.indices {
      guard let scalar = transform(scalars[index]) else { continue }
      scalars[count] = scalar
      if count != index { spans[count] = spans[index] }
      count += 1
    }
    scalars.removeLast(scalars.count - count)
    spans.removeLast(spans.count - count)
  }

  /// Puts new characters in the place of all.
  ///
  /// - Parameter removed: old characters at the beginning that nothing stands for.
  mutating func transform(_ changes: [Change], removed: Int = 0) {
    var result = AlignedText()
    result.scalars.reserveCapacity(changes.count)
    result.spans.reserveCapacity(changes.count)
    var next = removed
    let first = spans.first.map { Span(start: $0.start, end: $0.start) } ?? Span(start: 0, end: 0)
    for change in changes {
      let index = min(change.change > 0 ? next - 1 : next, spans.count - 1)
      result.append(change.scalar, index < 0 ? first : spans[index])
      if change.change <= 0 { next += 1 - change.change }
    }
    self = result
  }

  /// Replaces each occurrence of a text; what is put in belongs to the last character that was there.
  mutating func replace(_ pattern: [UInt32], with content: [UInt32]) {
    guard let head = pattern.first, scalars.contains(head) else { return }
    var result = AlignedText()
    var position = 0
    while position < scalars.count {
      if scalars[position] == head, scalars[position...].starts(with: pattern) {
        position += pattern.count
        for scalar in content { result.append(scalar, spans[position - 1]) }
      } else {
        result.append(scalars[position], spans[position])
        position += 1
      }
    }
    self = result
  }

  /// Puts text in front, as part of the first character; empty text stays empty.
  mutating func prepend(_ text: [UInt32]) {
    guard let first = spans.first else { return }
    scalars.insert(contentsOf: text, at: 0)
    spans.insert(contentsOf: repeatElement(first, count: text.count), at: 0)
  }
}
