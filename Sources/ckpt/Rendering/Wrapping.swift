extension Text {
  /// Lines of at most `width` columns, broken between words; a longer word is cut where a line ends.
  static func wrapped(_ text: String, width: Int) -> [String] {
    let width = max(8, width)
    var lines: [String] = []
    var line = ""
    for word in text.split(separator: " ", omittingEmptySubsequences: false).map(String.init) {
      if !line.isEmpty, Text.width(line) + 1 + Text.width(word) <= width {
        line += " " + word
        continue
      }
      if !line.isEmpty { lines.append(line) }
      line = word
      while Text.width(line) > width {
        var (head, taken) = ("", 0)
        for character in line {
          let size = Text.width(String(character))
          guard taken + size <= width else { break }
          head.append(character)
          taken += size
        }
        lines.append(head)
        line = String(line.dropFirst(head.count))
      }
    }
    if !line.isEmpty || lines.isEmpty { lines.append(line) }
    return lines
  }

  /// A text that is too long, without its middle.
  static func cut(_ text: String, width: Int) -> String {
    guard Text.width(text) > width, width > 3 else { return text }
    var (head, tail) = ("", "")
    var (start, end) = (text.startIndex, text.endIndex)
    while start < end {
      let atHead = Text.width(head) <= Text.width(tail)
      let character = atHead ? text[start] : text[text.index(before: end)]
      let size = Text.width(head) + Text.width(tail) + Text.width(String(character))
      guard size < width else { break }
      if atHead {
        head.append(character)
        start = text.index(after: start)
      } else {
        end = text.index(before: end)
        tail = String(character) + tail
      }
    }
    return head + "…" + tail
  }
}
