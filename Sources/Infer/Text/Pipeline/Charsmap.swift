import Checkpoint

/// The compiled replacements of a sentencepiece model (`precompiled_charsmap`): a double array over UTF-8 that leads
/// to texts.
///
/// They are applied as the `tokenizers` package does it: grapheme clusters of less than six bytes are looked up
/// whole, of several entries that fit the shortest counts, and longer clusters go character by character.
struct Charsmap: Sendable {
  private let units: [UInt32]
  /// Texts, each ended by a zero byte.
  private let texts: [UInt8]
  private let isEmpty: Bool

  /// - Throws: ``InferError`` when the bytes hold no such table.
  init(_ bytes: [UInt8], from place: String) throws(InferError) {
    isEmpty = bytes.isEmpty
    guard !bytes.isEmpty else {
      units = []
      texts = []
      return
    }
    func number(_ offset: Int) -> UInt32 {
      (0..<4).reduce(0) { $0 | UInt32(bytes[offset + $1]) << (8 * UInt32($1)) }
    }
    guard bytes.count >= 4, Int(number(0)) <= bytes.count - 4, number(0) % 4 == 0 else {
      throw InferError(.input, place, "has a damaged table of character replacements")
    }
    let size = Int(number(0))
    units = stride(from: 4, to: 4 + size, by: 4).map { number($0) }
    texts = Array(bytes[(4 + size)...])
  }

  /// Checks that no walk leads beyond the tables, for those who do not look.
  ///
  /// - Throws: ``InferError`` when one does.
  func validate(_ place: String) throws(InferError) {
    guard let root = units.first else { return }
    var seen: Set<Int> = [0]
    var open = [Charsmap.offset(root)]
    while let base = open.popLast() {
      guard base | 0xff < units.count else {
        throw InferError(.input, place, "has a damaged table of character replacements")
      }
      for byte in 1..<256 {
        let node = base ^ byte
        let unit = units[node]
        guard unit & (1 << 31 | 0xff) == UInt32(byte), seen.insert(node).inserted else { continue }
        let next = node ^ Charsmap.offset(unit)
        if unit >> 8 & 1 == 1 {
          guard next < units.count, Int(units[next] & 0x7fff_ffff) < texts.count else {
            throw InferError(.input, place, "has a damaged table of character replacements")
          }
        }
        open.append(next)
      }
    }
    guard texts.last == 0 else {
      throw InferError(.input, place, "has replacements without an end")
    }
  }

  private static func offset(_ unit: UInt32) -> Int {
    Int((unit >> 10) << ((unit & 1 << 9) >> 6))
  }

  /// What stands for the beginning of a text: the shortest entry's.
  private func replacement(of text: some Sequence<UInt8>) -> ArraySlice<UInt8>? {
    guard let root = units.first else { return nil }
    var node = Charsmap.offset(root)
    for byte in text {
      node ^= Int(byte)
      guard byte != 0, units.indices.contains(node) else { return nil }
      let unit = units[node]
      guard unit & (1 << 31 | 0xff) == UInt32(byte) else { return nil }
      node ^= Charsmap.offset(unit)
      guard unit >> 8 & 1 == 1 else { continue }
      guard units.indices.contains(node) else { return nil }
      let start = Int(units[node] & 0x7fff_ffff)
      guard start <= texts.count else { return nil }
      return texts[start..<(texts[start...].firstIndex(of: 0) ?? texts.count)]
    }
    return nil
  }

  func callAsFunction(_ text: inout AlignedText, _ unicode: UnicodeData) {
    guard !isEmpty else { return }
    var changes: [AlignedText.Change] = []
    changes.reserveCapacity(text.count)
    var isModified = false
    var start = 0
    var bytes: [UInt8] = []
    while start < text.count {
      let end = clusterEnd(text.scalars, start, unicode)
      bytes.removeAll(keepingCapacity: true)
      if end - start <= 5 {
        for scalar in text.scalars[start..<end] { Charsmap.append(scalar, to: &bytes) }
      }
      if end - start <= 5, bytes.count < 6, let found = replacement(of: bytes) {
        isModified = true
        Charsmap.replace(end - start, with: found, in: &changes)
      } else {
        for scalar in text.scalars[start..<end] {
          bytes.removeAll(keepingCapacity: true)
          Charsmap.append(scalar, to: &bytes)
          if let found = replacement(of: bytes) {
            isModified = true
            Charsmap.replace(1, with: found, in: &changes)
          } else {
            changes.append(AlignedText.Change(scalar, 0))
          }
        }
      }
      start = end
    }
    if isModified { text.transform(changes) }
  }

  /// Lists what comes in the place of `old` characters, with the package's own count of what is new and gone.
  private static func replace(
    _ old: Int, with bytes: ArraySlice<UInt8>, in changes: inout [AlignedText.Change]
  ) {
    let new = String(decoding: bytes, as: UTF8.self).unicodeScalars.map(\.value)
    for scalar in new { changes.append(AlignedText.Change(scalar, 0)) }
    let difference = new.count - old
    if difference > 0 {
      for index in max(0, changes.count - difference)..<changes.count { changes[index].change = 1 }
    } else if difference < 0, !changes.isEmpty {
      // With nothing new it is the character before that takes the removed ones.
      changes[changes.count - 1].change += difference
    }
  }

  private static func append(_ scalar: UInt32, to bytes: inout [UInt8]) {
    switch scalar {
    case 0..<0x80: bytes.append(UInt8(scalar))
    case 0x80..<0x800:
      bytes += [UInt8(0xc0 | scalar >> 6), UInt8(0x80 | scalar & 0x3f)]
    case 0x800..<0x10000:
      bytes += [
        UInt8(0xe0 | scalar >> 12), UInt8(0x80 | scalar >> 6 & 0x3f),
        UInt8(0x80 | scalar & 0x3f),
      ]
    default:
      bytes += [
        UInt8(0xf0 | scalar >> 18 & 7), UInt8(0x80 | scalar >> 12 & 0x3f),
        UInt8(0x80 | scalar >> 6 & 0x3f), UInt8(0x80 | scalar & 0x3f),
      ]
    }
  }

  // MARK: - Grapheme clusters

  /// The end of the extended grapheme cluster that begins at `start` (Unicode's annex 29).
  ///
  /// Clusters of several pictographs or letters are longer than five bytes whatever their rule; for them only the
  /// beginning matters, so that no rule of theirs is needed.
  private func clusterEnd(_ text: [UInt32], _ start: Int, _ unicode: UnicodeData) -> Int {
    var end = start + 1
    guard end < text.count else { return end }
    if text[start] == 0x0d { return text[end] == 0x0a ? end + 1 : end }
    if text[start] < 0x80, text[end] < 0x80 { return end }
    var classes = unicode.classes(of: text[start])
    guard !isControl(text[start], classes) else { return end }
    while end < text.count {
      let next = unicode.classes(of: text[end])
      guard !isControl(text[end], next) else { break }
      guard
        next.contains(.extends) || classes.contains(.prepends)
          || joinsHangul(text[end - 1], text[end])
      else { break }
      classes = next
      end += 1
    }
    return end
  }

  private func isControl(_ scalar: UInt32, _ classes: CharacterClasses) -> Bool {
    scalar == 0x2028 || scalar == 0x2029
      || classes.contains(.control) && classes.isDisjoint(with: [.extends, .prepends])
  }

  private func joinsHangul(_ first: UInt32, _ second: UInt32) -> Bool {
    let isVowel = (0x1160...0x11a7).contains(second) || (0xd7b0...0xd7c6).contains(second)
    let isFinal = (0x11a8...0x11ff).contains(second) || (0xd7cb...0xd7fb).contains(second)
    switch first {
    case 0x1100...0x115f, 0xa960...0xa97c:
      return isVowel || (0x1100...0x115f).contains(second) || (0xa960...0xa97c).contains(second)
        || (0xac00...0xd7a3).contains(second)
    case 0x1160...0x11a7, 0xd7b0...0xd7c6: return isVowel || isFinal
    case 0x11a8...0x11ff, 0xd7cb...0xd7fb: return isFinal
    case 0xac00...0xd7a3:
      return (first - 0xac00) % 28 == 0 ? isVowel || isFinal : isFinal
    default: return false
    }
  }
}
