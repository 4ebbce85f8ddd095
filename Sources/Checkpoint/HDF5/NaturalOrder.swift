/// The order in which people count: layer 2 before layer 10.
public enum NaturalOrder {
  /// Whether `a` comes before `b`; runs of digits compare as numbers, everything else as bytes.
  public static func precedes(_ a: String, _ b: String) -> Bool {
    var left = a.utf8[...]
    var right = b.utf8[...]
    while let x = left.first, let y = right.first {
      if isDigit(x), isDigit(y) {
        let m = number(&left)
        let n = number(&right)
        if m.count != n.count { return m.count < n.count }
        if !m.elementsEqual(n) { return m.lexicographicallyPrecedes(n) }
      } else {
        // A slash ends a component, so a group stands before its longer-named neighbours.
        if x != y { return x == slash || (y != slash && x < y) }
        left.removeFirst()
        right.removeFirst()
      }
    }
    if left.isEmpty != right.isEmpty { return left.isEmpty }
    return a.utf8.lexicographicallyPrecedes(b.utf8)  // equal but for leading zeros
  }

  private static let slash = UInt8(ascii: "/")

  private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

  /// Takes a run of digits off the front; returns it without leading zeros.
  private static func number(_ text: inout Substring.UTF8View) -> Substring.UTF8View {
    let digits = text.prefix(while: isDigit)
    text = text[digits.endIndex...]
    return digits.drop { $0 == 0x30 }
  }
}
