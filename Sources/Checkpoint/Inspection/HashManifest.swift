/// Hashes that a checkpoint once had, as `ckpt hash` prints them, to be compared with what it has now.
public struct HashManifest: Sendable {
  /// Of the whole, where it is stated.
  public private(set) var hash: String?
  /// Of each tensor, where they are stated.
  public private(set) var tensors: [ContentHash.Entry]?

  /// Bytes that a manifest may have; one of a million tensors has some 200 MB.
  public static let largest = 256 << 20

  private static let hint =
    "a manifest is what `ckpt hash --per-tensor` prints, with or without --json, or {\"hash\": …}"

  /// The manifest in a file.
  ///
  /// - Throws: ``CheckpointError`` when it cannot be read, is none, or contradicts itself.
  public init(contentsOf path: String) throws(CheckpointError) {
    let bytes = try File.contents(of: path, limit: HashManifest.largest)
    do throws(CheckpointError) {
      try self.init(parsing: bytes)
    } catch {
      throw error.at(.file(path))
    }
  }

  /// JSON, or lines `digest  name  dtype (shape)` and `digest  path`; after a backslash in front, the name is
  /// spelled as in a JSON string.
  public init(parsing bytes: [UInt8]) throws(CheckpointError) {
    if bytes.first(where: { ![0x20, 0x09, 0x0a, 0x0d].contains($0) }) == UInt8(ascii: "{") {
      try readJSON(bytes)
    } else {
      try readLines(bytes)
    }
    guard hash != nil || tensors != nil else { throw HashManifest.bad("it states no hash") }
    guard let tensors else { return }
    var names: Set<String> = []
    for entry in tensors where !names.insert(entry.name).inserted {
      throw HashManifest.bad("tensor \(entry.name) stands twice")
    }
    if let hash, hash != ContentHash.whole(tensors) {
      throw HashManifest.bad("its hash of the whole is not that of its tensors")
    }
  }

  private mutating func readJSON(_ bytes: [UInt8]) throws(CheckpointError) {
    let json = try JSON(parsing: bytes)
    if let value = json["hash"] {
      guard let digest = value.string.flatMap(HashManifest.digest) else {
        throw HashManifest.bad("\"hash\" is no SHA-256 in hexadecimal digits")
      }
      hash = digest
    }
    guard let list = json["tensors"] else { return }
    guard let array = list.array else { throw HashManifest.bad("\"tensors\" is no list") }
    tensors = try array.enumerated().map { (index, json) throws(CheckpointError) in
      guard let name = json["name"]?.string,
        let dtype = json["dtype"]?.string.flatMap(DType.init(rawValue:)),
        let extents = json["shape"]?.array,
        let digest = json["sha256"]?.string.flatMap(HashManifest.digest)
      else {
        throw HashManifest.bad(
          "entry \(index) of \"tensors\" lacks a name, dtype, shape or sha256")
      }
      let numbers = extents.compactMap(\.int)
      guard numbers.count == extents.count else {
        throw HashManifest.bad("the shape of entry \(index) of \"tensors\" holds no numbers")
      }
      return ContentHash.Entry(
        name: name, dtype: dtype, shape: try Shape(checking: numbers), sha256: digest)
    }
  }

  private mutating func readLines(_ bytes: [UInt8]) throws(CheckpointError) {
    guard String(validating: bytes, as: UTF8.self) != nil else {
      throw HashManifest.bad("it is not UTF-8")
    }
    var entries: [ContentHash.Entry] = []
    // By bytes: a combining mark at the beginning of a name does not hide the blank before it.
    for (number, line) in bytes.split(separator: 0x0a, omittingEmptySubsequences: false)
      .enumerated()
    {
      var line = line.last == 0x0d ? line.dropLast() : line
      guard !line.isEmpty else { continue }
      let isEscaped = line.first == UInt8(ascii: "\\")
      if isEscaped { line = line.dropFirst() }
      let rest = line.dropFirst(64)
      guard let digest = HashManifest.digest(String(decoding: line.prefix(64), as: UTF8.self)),
        rest.starts(with: "  ".utf8)
      else {
        throw HashManifest.bad("line \(number + 1) is not \"digest  name  dtype (shape)\"")
      }
      if let entry = HashManifest.entry(rest.dropFirst(2), isEscaped: isEscaped, digest) {
        entries.append(entry)
      } else {
        guard hash == nil else {
          throw HashManifest.bad(
            "line \(number + 1) is not \"digest  name  dtype (shape)\", and the whole's hash is stated"
          )
        }
        hash = digest
      }
    }
    if !entries.isEmpty { tensors = entries }
  }

  /// `name  f32 (97, 48)`; `nil` of a path.
  private static func entry(
    _ text: ArraySlice<UInt8>, isEscaped: Bool, _ digest: String
  ) -> ContentHash.Entry? {
    guard text.last == UInt8(ascii: ")"), let open = text.lastIndex(of: UInt8(ascii: "(")) else {
      return nil
    }
    let extents = String(decoding: text[(open + 1)...].dropLast(), as: UTF8.self)
      .split(separator: ",").map { $0.filter { $0 != " " } }.filter { !$0.isEmpty }
    let numbers = extents.compactMap { Int($0) }
    let (before, blank) = (text[..<open], UInt8(ascii: " "))
    guard numbers.count == extents.count, let shape = try? Shape(checking: numbers),
      before.last == blank
    else { return nil }
    let words = before.dropLast()
    guard let space = words.lastIndex(of: blank), space > words.startIndex,
      words[space - 1] == blank,
      let dtype = DType(rawValue: String(decoding: words[(space + 1)...], as: UTF8.self)),
      let name = name(words[..<(space - 1)], isEscaped: isEscaped)
    else { return nil }
    return ContentHash.Entry(name: name, dtype: dtype, shape: shape, sha256: digest)
  }

  /// A name as it is, or as it stands in a JSON string.
  private static func name(_ bytes: ArraySlice<UInt8>, isEscaped: Bool) -> String? {
    let text = String(decoding: bytes, as: UTF8.self)
    return isEscaped ? (try? JSON(parsing: Array("\"\(text)\"".utf8)))?.string : text
  }

  private static func digest(_ text: String) -> String? {
    let lower = text.lowercased()
    return lower.utf8.count == 64 && Hex.decode(lower) != nil ? lower : nil
  }

  private static func bad(_ reason: String) -> CheckpointError {
    CheckpointError(.damaged, Place(), "is no manifest of hashes: \(reason)", hint: hint)
  }
}

/// How a checkpoint differs from a manifest.
public struct HashComparison: Sendable, Equatable {
  public struct Change: Sendable, Equatable {
    public var expected: ContentHash.Entry
    public var found: ContentHash.Entry
  }

  /// Whether all that the manifest states holds.
  public private(set) var isEqual: Bool
  /// Tensors of the same name with another content, type or shape.
  public private(set) var changed: [Change] = []
  /// The same content, type and shape under another name.
  public private(set) var renamed: [Change] = []
  /// Tensors of the manifest that are gone.
  public private(set) var missing: [ContentHash.Entry] = []
  /// Tensors that the manifest does not have.
  public private(set) var new: [ContentHash.Entry] = []

  public init(_ manifest: HashManifest, _ content: ContentHash) {
    isEqual = manifest.hash.map { $0 == content.hash } ?? true
    guard let expected = manifest.tensors else { return }
    let found = Dictionary(content.tensors.map { ($0.name, $0) }) { first, _ in first }
    let known = Set(expected.map(\.name))
    for entry in expected {
      guard let now = found[entry.name] else {
        missing.append(entry)
        continue
      }
      if now != entry { changed.append(Change(expected: entry, found: now)) }
    }
    new = content.tensors.filter { !known.contains($0.name) }
    var gone: [ContentHash.Entry] = []
    for entry in missing {
      let place = new.firstIndex {
        $0.sha256 == entry.sha256 && $0.dtype == entry.dtype && $0.shape == entry.shape
      }
      if let place {
        renamed.append(Change(expected: entry, found: new.remove(at: place)))
      } else {
        gone.append(entry)
      }
    }
    missing = gone
    isEqual =
      isEqual && changed.isEmpty && renamed.isEmpty && missing.isEmpty && new.isEmpty
  }
}
