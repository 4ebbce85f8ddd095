/// The order in which people count: layer 2 before layer 10.
public enum Natural {
  /// Whether `a` comes before `b`; runs of digits compare as numbers, everything else as bytes.
  public static func less(_ a: String, _ b: String) -> Bool {
    var (a, b) = (a, b)
    // Both are contiguous from here on.
    a.makeContiguousUTF8()
    b.makeContiguousUTF8()
    let (left, right) = (a.utf8.span, b.utf8.span)
    var (i, j) = (0, 0)
    while i < left.count, j < right.count {
      let (x, y) = (left[i], right[j])
      if isDigit(x), isDigit(y) {
        // Numbers without their leading zeros: the longer is the larger.
        let (m, n) = (number(left, &i), number(right, &j))
        if m.count != n.count { return m.count < n.count }
        for (p, q) in zip(m, n) where left[p] != right[q] { return left[p] < right[q] }
      } else {
        // A slash ends a component, so a group stands before its longer-named neighbours.
        if x != y { return x == slash || (y != slash && x < y) }
        i += 1
        j += 1
      }
    }
    if (i < left.count) != (j < right.count) { return i == left.count }
    return a.utf8.lexicographicallyPrecedes(b.utf8)  // equal but for leading zeros
  }

  private static let slash = UInt8(ascii: "/")

  private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

  /// Steps over a run of digits; returns where it is, without leading zeros.
  private static func number(_ text: Span<UInt8>, _ position: inout Int) -> Range<Int> {
    while position < text.count, text[position] == 0x30 { position += 1 }
    let start = position
    while position < text.count, isDigit(text[position]) { position += 1 }
    return start..<position
  }
}

/// Shell-like patterns over tensor names: `*` any run, `?` any character, `[a-z]` a set.
public struct Glob: Sendable {
  public let pattern: String
  private let parts: [Character]

  public init(_ pattern: String) {
    self.pattern = pattern
    parts = Array(pattern)
  }

  public func matches(_ name: String) -> Bool {
    let name = Array(name)
    var (p, n) = (0, 0)
    var retry: (pattern: Int, name: Int)?
    while n < name.count {
      if p < parts.count, parts[p] == "*" {
        retry = (p, n)
        p += 1
      } else if p < parts.count, let next = step(p, name[n]) {
        p = next
        n += 1
      } else if let (pattern, start) = retry {
        retry = (pattern, start + 1)
        (p, n) = (pattern + 1, start + 1)
      } else {
        return false
      }
    }
    return parts[p...].allSatisfy { $0 == "*" }
  }

  /// The pattern position after one that matches `character`, or `nil`.
  private func step(_ p: Int, _ character: Character) -> Int? {
    if parts[p] == "?" { return p + 1 }
    if parts[p] == "[", let end = parts[(p + 1)...].firstIndex(of: "]"), end > p + 1 {
      var set = parts[(p + 1)..<end]
      let inverted = set.first == "!"
      if inverted { set.removeFirst() }
      var found = false
      while let low = set.first {
        set.removeFirst()
        if set.count >= 2, set.first == "-", let high = set.dropFirst().first {
          set.removeFirst(2)
          found = found || (low <= character && character <= high)
        } else {
          found = found || low == character
        }
      }
      return found != inverted ? end + 1 : nil
    }
    return parts[p] == character ? p + 1 : nil
  }
}

extension String {
  /// The text with a suffix exchanged, or unchanged without that suffix.
  func replacingSuffix(_ suffix: String, with other: String) -> String {
    hasSuffix(suffix) ? String(dropLast(suffix.count)) + other : self
  }

  /// The text with a prefix exchanged, or unchanged without that prefix.
  func replacingPrefix(_ prefix: String, with other: String) -> String {
    hasPrefix(prefix) ? other + dropFirst(prefix.count) : self
  }
}
