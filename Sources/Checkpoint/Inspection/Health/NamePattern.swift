/// Names that differ only in numbers, as one: `layers.*.attention.query.kernel`.
public struct NamePattern: Sendable, Equatable {
  /// The name with a star for each number in which the names differ.
  public var pattern: String
  public var names: [String]

  /// The groups that names make, each in order of its first name.
  public static func groups(of names: [String]) -> [NamePattern] {
    var order: [String] = []
    var members: [String: [(name: String, numbers: [String])]] = [:]
    for name in names {
      let (key, numbers) = split(name)
      if members[key] == nil { order.append(key) }
      members[key, default: []].append((name, numbers))
    }
    return order.compactMap { key in
      guard let found = members[key], let first = found.first else { return nil }
      var texts = first.numbers
      for index in texts.indices
      where !found.allSatisfy({ $0.numbers[index] == first.numbers[index] }) {
        texts[index] = "*"
      }
      return NamePattern(pattern: join(key, texts), names: found.map(\.name))
    }
  }

  private static let hole: Character = "\0"

  /// The name with holes for its numbers, and the numbers.
  private static func split(_ name: String) -> (key: String, numbers: [String]) {
    var (key, numbers, isInside) = ("", [String](), false)
    for character in name {
      if character.isASCII, character.isNumber {
        if isInside {
          numbers[numbers.count - 1].append(character)
        } else {
          numbers.append(String(character))
          key.append(hole)
        }
        isInside = true
      } else {
        key.append(character)
        isInside = false
      }
    }
    return (key, numbers)
  }

  private static func join(_ key: String, _ numbers: [String]) -> String {
    var (text, next) = ("", numbers.makeIterator())
    for character in key {
      if character == hole { text += next.next() ?? "" } else { text.append(character) }
    }
    return text
  }
}
